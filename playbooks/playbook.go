// Package playbooks turns findings into incidents and drives them: from FINDINGS to INCIDENTS, and from INCIDENTS
// to STEPS and TIMERS. A playbook is a YAML file that an analyst reads top to bottom; this file reads it, and
// refuses what it does not know.
package playbooks

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"cordon/actions"
	"cordon/internal/finding"
	"cordon/internal/incident"
	"cordon/internal/record"
	"go.yaml.in/yaml/v3"
)

// Playbook is which findings open an incident, and the steps of each phase.
type Playbook struct {
	Name    string
	Summary string
	For     string // user, servicePrincipal or tenant
	OpensOn []Opening
	Lines   []Line // in playbook order, over all phases
}

// Opening is one kind of finding that opens an incident.
type Opening struct {
	Level string
	Rules []string
	When  *Condition
}

// Line is one line of a playbook: a step once it is bound to an incident.
type Line struct {
	Place   string // contain.1, or its id
	Phase   string
	Order   int    // counts over all phases
	Kind    string // of incident.Spec, or "verdict"
	Action  actions.Action
	With    map[string]string
	Approve string
	When    *Condition
	ForEach *List
	After   bool // only once every step of the phase before it is done
	Again   time.Duration
	Offered bool
	Verdict string
	Task    string
	Due     time.Duration
	Watch   time.Duration
}

// file is a playbook's YAML.
type file struct {
	Playbook string    `yaml:"playbook"`
	Summary  string    `yaml:"summary"`
	For      string    `yaml:"for"`
	OpensOn  yaml.Node `yaml:"opens-on"`
	Confirm  yaml.Node `yaml:"confirm"`
	Contain  yaml.Node `yaml:"contain"`
	Secure   yaml.Node `yaml:"secure"`
	Improve  yaml.Node `yaml:"improve"`
}

// secure is that phase's YAML: it has two lists.
type secure struct {
	Recover yaml.Node `yaml:"recover"`
	Harden  yaml.Node `yaml:"harden"`
}

// line is one line's YAML.
type line struct {
	Read    string            `yaml:"read"`
	Do      string            `yaml:"do"`
	Task    string            `yaml:"task"`
	Watch   string            `yaml:"watch"`
	Verdict string            `yaml:"verdict"`
	ID      string            `yaml:"id"`
	With    map[string]string `yaml:"with"`
	Approve string            `yaml:"approve"`
	When    string            `yaml:"when"`
	ForEach string            `yaml:"for-each"`
	After   string            `yaml:"after"`
	Again   string            `yaml:"again-after"`
	Due     string            `yaml:"due"`
}

// Load reads every playbook of a folder, in the order of their names.
func Load(files fs.FS) ([]*Playbook, error) {
	var out []*Playbook
	names, err := fs.Glob(files, "*.yml")
	if err != nil {
		return nil, fmt.Errorf("listing playbooks: %w", err)
	}
	for _, name := range names {
		f, err := files.Open(name)
		if err != nil {
			return nil, fmt.Errorf("opening playbook: %w", err)
		}
		p, err := Parse(name, f)
		f.Close()
		if err != nil {
			return nil, err
		}
		if p.Name+".yml" != path.Base(name) {
			return nil, fmt.Errorf("%s: playbook %q must stand in a file of its name", name, p.Name)
		}
		out = append(out, p)
	}
	return out, nil
}

// Parse reads one playbook. Errors name file and line, and what was expected there.
func Parse(name string, in io.Reader) (*Playbook, error) {
	var root, more yaml.Node
	documents := yaml.NewDecoder(in)
	if err := documents.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the file is empty")
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := documents.Decode(&more); err == nil {
		return nil, fmt.Errorf("%s:%w", name, at(&more, "there is a second document; expected one playbook a file"))
	}
	p, err := parse(root.Content[0])
	if err != nil {
		return nil, fmt.Errorf("%s:%w", name, err)
	}
	return p, nil
}

func at(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%d: %w", n.Line, fmt.Errorf(format, args...))
}

// strict decodes a mapping and refuses keys that nobody reads.
func strict(n *yaml.Node, into any, keys ...string) error {
	if n.Kind != yaml.MappingNode {
		return at(n, "expected a mapping with %s", strings.Join(keys, ", "))
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := n.Content[i]; !slices.Contains(keys, k.Value) {
			return at(k, "unknown key %q; expected one of %s", k.Value, strings.Join(keys, ", "))
		}
	}
	if err := n.Decode(into); err != nil {
		return at(n, "%v", err)
	}
	return nil
}

// items returns the items of a list; a key that is not there has none.
func items(n *yaml.Node, key, of string) ([]*yaml.Node, error) {
	if n.Kind != 0 && n.Kind != yaml.SequenceNode {
		return nil, at(n, "%s: expected a list of %s", key, of)
	}
	return n.Content, nil
}

func parse(root *yaml.Node) (*Playbook, error) {
	var f file
	if err := strict(root, &f, "playbook", "summary", "for", "opens-on", "confirm", "contain", "secure", "improve"); err != nil {
		return nil, err
	}
	p := &Playbook{Name: f.Playbook, Summary: f.Summary, For: map[string]string{"user": record.User, "application": record.ServicePrincipal, "tenant": record.Tenant}[f.For]}
	switch {
	case p.Name == "":
		return nil, at(root, "a playbook needs a name under `playbook`")
	case p.For == "":
		return nil, at(root, "playbook %s: for is %q; expected user, application or tenant", p.Name, f.For)
	}
	var second secure
	if f.Secure.Kind != 0 {
		if err := strict(&f.Secure, &second, "recover", "harden"); err != nil {
			return nil, err
		}
	}
	openings, err := items(&f.OpensOn, "opens-on", "findings that open an incident")
	if err != nil {
		return nil, err
	}
	for _, n := range openings {
		var o struct {
			Level string   `yaml:"level"`
			Rules []string `yaml:"rules"`
			When  string   `yaml:"when"`
		}
		if err := strict(n, &o, "level", "rules", "when"); err != nil {
			return nil, err
		}
		opening := Opening{Level: o.Level, Rules: o.Rules}
		if (o.Level == "") == (len(o.Rules) == 0) {
			return nil, at(n, "an opening names either a level or rules")
		}
		if o.Level != "" && !slices.Contains(finding.Levels, o.Level) {
			return nil, at(n, "level %q is none of %s", o.Level, strings.Join(finding.Levels, ", "))
		}
		if opening.When, err = condition(o.When); err != nil {
			return nil, at(n, "when: %w", err)
		}
		p.OpensOn = append(p.OpensOn, opening)
	}
	for _, section := range []struct {
		phase, prefix string
		lines         *yaml.Node
		offered       bool
	}{
		{"confirm", "confirm", &f.Confirm, false},
		{"contain", "contain", &f.Contain, false},
		{"secure", "secure.recover", &second.Recover, true},
		{"secure", "secure.harden", &second.Harden, false},
		{"improve", "improve", &f.Improve, false},
	} {
		lines, err := items(section.lines, section.prefix, "steps")
		if err != nil {
			return nil, err
		}
		for i, n := range lines {
			l, err := parseLine(n, section.phase, fmt.Sprintf("%s.%d", section.prefix, i+1))
			if err != nil {
				return nil, err
			}
			l.Offered, l.Order = section.offered, len(p.Lines)+1
			if slices.ContainsFunc(p.Lines, func(o Line) bool { return o.Place == l.Place }) {
				return nil, at(n, "there is another step with the id %q", l.Place)
			}
			p.Lines = append(p.Lines, l)
		}
	}
	return p, nil
}

// id is how a step may be called: a slash comes before the object of a for-each.
var id = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`)

// names are the actions that change something, or those that read.
func names(changes bool) []string {
	var out []string
	for _, a := range actions.Catalogue {
		if a.Changes() == changes {
			out = append(out, a.Name)
		}
	}
	return out
}

func takes(a actions.Action) string {
	var out []string
	for _, p := range a.Params {
		out = append(out, p.Name)
	}
	if len(out) == 0 {
		return "it takes none"
	}
	return "expected " + strings.Join(out, ", ")
}

func parseLine(n *yaml.Node, phase, place string) (Line, error) {
	var y line
	if err := strict(n, &y, "read", "do", "task", "watch", "verdict", "id", "with", "approve", "when", "for-each", "after", "again-after", "due"); err != nil {
		return Line{}, err
	}
	l := Line{Place: place, Phase: phase, With: y.With, Approve: y.Approve, Task: y.Task, Verdict: y.Verdict}
	if y.ID != "" {
		if !id.MatchString(y.ID) {
			return l, at(n, "id is %q; expected lower-case letters, digits, dots and dashes", y.ID)
		}
		l.Place = y.ID
	}
	kinds := 0
	for kind, value := range map[string]string{incident.KindRead: y.Read, incident.KindDo: y.Do, incident.KindTask: y.Task, incident.KindWatch: y.Watch, "verdict": y.Verdict} {
		if value != "" {
			l.Kind = kind
			kinds++
		}
	}
	if kinds != 1 {
		return l, at(n, "a step is one of read, do, task, watch and verdict")
	}
	if reads := l.Kind == incident.KindRead || l.Kind == "verdict"; reads != (phase == "confirm") && l.Kind != incident.KindTask {
		return l, at(n, "%s does not belong in %s", l.Kind, phase)
	}
	if name := y.Read + y.Do; name != "" {
		a, ok := actions.Find(name)
		if !ok {
			return l, at(n, "there is no action %q; expected one of %s", name, strings.Join(names(y.Do != ""), ", "))
		}
		if a.Changes() != (y.Do != "") {
			return l, at(n, "action %s is used with %s", a.Name, map[bool]string{true: "do", false: "read"}[a.Changes()])
		}
		l.Action = a
		for param := range y.With {
			if !slices.ContainsFunc(a.Params, func(p actions.Param) bool { return p.Name == param }) {
				return l, at(n, "action %s has no parameter %q; %s", a.Name, param, takes(a))
			}
		}
		for _, p := range a.Params {
			if p.Required && y.With[p.Name] == "" && y.ForEach == "" {
				return l, at(n, "action %s needs parameter %q, from `with` or from the object of a `for-each`", a.Name, p.Name)
			}
		}
	}
	switch l.Approve {
	case incident.Auto, incident.One, incident.Two:
		if l.Action.Tier0 && l.Approve != incident.Two {
			return l, at(n, "%s always needs two approvals", l.Action.Name)
		}
		if l.Action.Returns && l.Approve == incident.Auto {
			return l, at(n, "%s gives access back and never runs by itself", l.Action.Name)
		}
	case "":
		if l.Kind == incident.KindDo {
			l.Approve = incident.One
			if l.Action.Tier0 {
				l.Approve = incident.Two
			}
			if l.Action.Name == "report.write" {
				l.Approve = incident.Auto
			}
		}
	default:
		return l, at(n, "approve is %q; expected auto, one or two", l.Approve)
	}
	if l.Kind == "verdict" && !slices.Contains([]string{incident.Suspicious, incident.Exposed, incident.Compromised}, l.Verdict) {
		return l, at(n, "verdict %q is none of suspicious, exposed, compromised", l.Verdict)
	}
	switch y.After {
	case "", "previous":
		l.After = y.After != ""
	default:
		return l, at(n, "after is %q; expected previous", y.After)
	}
	var err error
	if l.When, err = condition(y.When); err != nil {
		return l, at(n, "when: %w", err)
	}
	if l.ForEach, err = list(y.ForEach); err != nil {
		return l, at(n, "for-each: %w", err)
	}
	for _, d := range []struct {
		text string
		into *time.Duration
	}{{y.Again, &l.Again}, {y.Due, &l.Due}, {y.Watch, &l.Watch}} {
		if *d.into, err = duration(d.text); err != nil {
			return l, at(n, "%w", err)
		}
	}
	return l, nil
}

// duration reads 5m, 2h and 30d.
func duration(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		d, err := time.ParseDuration(days + "h")
		if err == nil && d > 0 {
			return 24 * d, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is no duration such as 5m, 2h or 30d", s)
	}
	return d, nil
}
