// Package sigma reads Sigma rules and correlations, compiles them and matches them against records. It knows the
// Sigma language and nothing of Cordon's streams: detectors feed it records and make findings of what matches.
package sigma

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"cordon/internal/finding"
	"cordon/internal/record"
	"go.yaml.in/yaml/v3"
)

// Kinds are what a rule's finding is about; two findings of one kind are never independent proofs.
var Kinds = []string{"sign-in", "method", "role", "grant", "credential", "policy", "account", "mailbox", "device", "azure"}

// Custom is Cordon's part of a rule, under `custom`.
type Custom struct {
	Idea            int    `yaml:"idea"`             // row of the list of detection ideas
	Kind            string `yaml:"kind"`             // what independence of proofs is told by
	Principal       string `yaml:"principal"`        // actor (default), target, tenant, or `actor of RULE` in a correlation
	Child           bool   `yaml:"child"`            // the target was made by the actor
	Decisive        bool   `yaml:"decisive"`         // alone enough for the verdict compromised
	Playbook        string `yaml:"playbook"`         // where the playbook's own opens-on is not enough
	PrivilegedLevel string `yaml:"privileged-level"` // level where the principal is privileged
	Says            string `yaml:"says"`             // the finding in one sentence, with {fields}
}

// Rule is a Sigma rule or, where Correlation is set, a correlation.
type Rule struct {
	Name           string
	ID             string
	Title          string
	Description    string
	Level          string
	Status         string
	Techniques     []string // T1110.003
	FalsePositives []string
	Custom         Custom
	File           string
	Line           int

	Categories  []string // record categories that the log source stands for
	Correlation *Correlation
	match       expression
	source      LogSource
	clauses     []*test
	unset       []string
}

// Correlation is a condition over several records in a window of event time.
type Correlation struct {
	Type     string // value_count or temporal
	Rules    []string
	GroupBy  []string
	Timespan time.Duration
	Field    string // whose distinct values value_count counts
	AtLeast  int
	Generate bool // the rules it refers to raise findings of their own as well
}

// document is a rule file's YAML, strict.
type document struct {
	Title          string       `yaml:"title"`
	ID             string       `yaml:"id"`
	Name           string       `yaml:"name"`
	Status         string       `yaml:"status"`
	Description    string       `yaml:"description"`
	References     []string     `yaml:"references"`
	Author         string       `yaml:"author"`
	Date           string       `yaml:"date"`
	Modified       string       `yaml:"modified"`
	Tags           []string     `yaml:"tags"`
	LogSource      *logSource   `yaml:"logsource"`
	Detection      yaml.Node    `yaml:"detection"`
	Correlation    *correlation `yaml:"correlation"`
	Fields         []string     `yaml:"fields"`
	FalsePositives []string     `yaml:"falsepositives"`
	Level          string       `yaml:"level"`
	Custom         Custom       `yaml:"custom"`
}

type logSource struct {
	Product    string `yaml:"product"`
	Category   string `yaml:"category"`
	Service    string `yaml:"service"`
	Definition string `yaml:"definition"`
}

type correlation struct {
	Type      string    `yaml:"type"`
	Rules     []string  `yaml:"rules"`
	GroupBy   []string  `yaml:"group-by"`
	Timespan  string    `yaml:"timespan"`
	Condition yaml.Node `yaml:"condition"`
	Generate  bool      `yaml:"generate"`
}

// Lists are the values of placeholders: `field|expand: '%privileged-role-ids%'`.
type Lists map[string][]string

// ParseLists reads a YAML file of placeholder lists.
func ParseLists(file string, in io.Reader) (Lists, error) {
	dec := yaml.NewDecoder(in)
	var l Lists
	if err := dec.Decode(&l); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return l, nil
}

// Parse reads the rules of one file, which may hold several documents. Errors name file and line and what was
// expected there.
func Parse(file string, in io.Reader, lists Lists) ([]*Rule, error) {
	dec := yaml.NewDecoder(in)
	var rules []*Rule
	for {
		var node yaml.Node
		err := dec.Decode(&node)
		if errors.Is(err, io.EOF) {
			return rules, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		rule, err := parseDocument(&node, lists)
		if err != nil {
			return nil, fmt.Errorf("%s:%w", file, err)
		}
		rule.File = file
		rules = append(rules, rule)
	}
}

// placed is an error at a line of the file.
type placed struct {
	line int
	err  error
}

func (p *placed) Error() string { return fmt.Sprintf("%d: %v", p.line, p.err) }
func (p *placed) Unwrap() error { return p.err }

func at(n *yaml.Node, format string, args ...any) error {
	return &placed{line: n.Line, err: fmt.Errorf(format, args...)}
}

// mistyped is a value of the wrong type, at the line that the YAML parser names in its text alone.
func mistyped(n *yaml.Node, err error) error {
	var wrong *yaml.TypeError
	if errors.As(err, &wrong) && len(wrong.Errors) > 0 {
		line, what, _ := strings.Cut(strings.TrimPrefix(wrong.Errors[0], "line "), ": ")
		if number, err := strconv.Atoi(line); err == nil {
			return &placed{line: number, err: errors.New(what)}
		}
	}
	return at(n, "%v", err)
}

func parseDocument(node *yaml.Node, lists Lists) (*Rule, error) {
	root := node
	if root.Kind == yaml.DocumentNode {
		root = root.Content[0]
	}
	if root.Kind != yaml.MappingNode {
		return nil, at(root, "a rule is a mapping with title, logsource, detection")
	}
	if err := known(root, "title", "id", "name", "status", "description", "references", "author", "date", "modified", "tags", "logsource",
		"detection", "correlation", "fields", "falsepositives", "level", "custom", "taxonomy", "license", "related", "scope"); err != nil {
		return nil, err
	}
	if c := member(root, "custom"); c != nil {
		if err := known(c, "idea", "kind", "principal", "child", "decisive", "playbook", "privileged-level", "says"); err != nil {
			return nil, err
		}
	}
	var d document
	if err := root.Decode(&d); err != nil {
		return nil, mistyped(root, err)
	}
	r := &Rule{Name: d.Name, ID: d.ID, Title: d.Title, Description: d.Description, Level: d.Level, Status: d.Status,
		FalsePositives: d.FalsePositives, Custom: d.Custom, Line: root.Line}
	if r.Title == "" {
		return nil, at(root, "a rule needs a title")
	}
	if r.Name == "" {
		r.Name = r.ID
	}
	if r.Name == "" {
		return nil, at(root, "a rule needs a name or an id")
	}
	if r.Level == "" {
		r.Level = "medium"
	}
	if !slices.Contains(finding.Levels, r.Level) {
		return nil, at(member(root, "level"), "level %q is none of %s", r.Level, strings.Join(finding.Levels, ", "))
	}
	if err := checkCustom(member(root, "custom"), r.Custom, d.Correlation); err != nil {
		return nil, err
	}
	for _, tag := range d.Tags {
		if t, ok := strings.CutPrefix(strings.ToLower(tag), "attack.t"); ok {
			r.Techniques = append(r.Techniques, "T"+t)
		}
	}
	switch {
	case d.Correlation != nil:
		c, err := parseCorrelation(member(root, "correlation"), d.Correlation)
		if err != nil {
			return nil, err
		}
		r.Correlation = c
	case d.LogSource == nil:
		return nil, at(root, "a rule needs a logsource")
	case member(root, "detection") == nil:
		return nil, at(root, "a rule needs a detection")
	default:
		categories, err := route(member(root, "logsource"), d.LogSource)
		if err != nil {
			return nil, err
		}
		r.Categories = categories
		r.source = LogSource{Product: d.LogSource.Product, Category: d.LogSource.Category, Service: d.LogSource.Service}
		if r.match, err = compile(member(root, "detection"), lists); err != nil {
			return nil, err
		}
		r.collect(r.match)
	}
	return r, nil
}

// principals are who a finding may name: the incident it joins is his.
var principals = []string{"actor", "target", "tenant"}

func checkCustom(n *yaml.Node, c Custom, over *correlation) error {
	if l := c.PrivilegedLevel; l != "" && !slices.Contains(finding.Levels, l) {
		return at(member(n, "privileged-level"), "level %q is none of %s", l, strings.Join(finding.Levels, ", "))
	}
	if k := c.Kind; k != "" && !slices.Contains(Kinds, k) {
		return at(member(n, "kind"), "kind %q is none of %s", k, strings.Join(Kinds, ", "))
	}
	if of, each := strings.CutPrefix(c.Principal, "actor of "); each {
		if over == nil || !slices.Contains(over.Rules, of) {
			return at(member(n, "principal"), "principal %q: %s is no rule of this correlation", c.Principal, of)
		}
	} else if c.Principal != "" && !slices.Contains(principals, c.Principal) {
		return at(member(n, "principal"), "principal %q is none of %s, or `actor of RULE` in a correlation", c.Principal, strings.Join(principals, ", "))
	}
	return nil
}

// route names the categories that a log source stands for.
func route(n *yaml.Node, s *logSource) ([]string, error) {
	if err := known(n, "product", "category", "service", "definition"); err != nil {
		return nil, err
	}
	if s.Product == "m365" {
		return []string{record.UnifiedEntra, record.UnifiedExchange, record.UnifiedSharePoint, record.UnifiedGeneral}, nil
	}
	if s.Product != "azure" {
		return nil, at(n, "logsource product %q: only azure is read", s.Product)
	}
	switch s.Service {
	case "auditlogs":
		return []string{record.AuditLogs}, nil
	case "signinlogs":
		return []string{record.SignInLogs, record.NonInteractiveUserSignInLogs}, nil
	case "pim":
		return []string{record.AuditLogs}, nil
	case "riskdetection":
		return []string{record.UserRiskEvents, record.RiskyUsers, record.ServicePrincipalRiskEvents, record.RiskyServicePrincipals}, nil
	case "activitylogs":
		return []string{record.Administrative, record.Security, record.Policy}, nil
	}
	return nil, at(n, "logsource service %q has no decoder; auditlogs, signinlogs and activitylogs have one", s.Service)
}

func parseCorrelation(n *yaml.Node, c *correlation) (*Correlation, error) {
	if err := known(n, "type", "rules", "group-by", "timespan", "condition", "generate"); err != nil {
		return nil, err
	}
	out := &Correlation{Type: c.Type, Rules: c.Rules, GroupBy: c.GroupBy, Generate: c.Generate}
	if len(c.Rules) == 0 {
		return nil, at(n, "a correlation needs rules")
	}
	if member(n, "timespan") == nil {
		return nil, at(n, "a correlation needs a timespan, such as 20m")
	}
	span, err := timespan(c.Timespan)
	if err != nil {
		return nil, at(member(n, "timespan"), "%v", err)
	}
	out.Timespan = span
	switch c.Type {
	case "value_count":
		var cond struct {
			Field string `yaml:"field"`
			GTE   *int   `yaml:"gte"`
			GT    *int   `yaml:"gt"`
		}
		if c.Condition.Kind == 0 {
			return nil, at(n, "value_count needs a condition with field and gte")
		}
		if err := known(&c.Condition, "field", "gte", "gt"); err != nil {
			return nil, err
		}
		if err := c.Condition.Decode(&cond); err != nil {
			return nil, mistyped(&c.Condition, err)
		}
		switch {
		case cond.Field == "" || cond.GTE == nil && cond.GT == nil:
			return nil, at(&c.Condition, "value_count needs a condition with field and gte or gt")
		case cond.GTE != nil:
			out.AtLeast = *cond.GTE
		default:
			out.AtLeast = *cond.GT + 1
		}
		out.Field = cond.Field
	case "temporal":
		if len(c.Rules) < 2 {
			return nil, at(n, "temporal needs two rules or more")
		}
	default:
		return nil, at(n, "correlation type %q: value_count and temporal are supported", c.Type)
	}
	return out, nil
}

func timespan(s string) (time.Duration, error) {
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
	if len(s) >= 2 {
		if n, err := strconv.Atoi(s[:len(s)-1]); err == nil && n > 0 && n < 1e6 && units[s[len(s)-1]] > 0 {
			return time.Duration(n) * units[s[len(s)-1]], nil
		}
	}
	return 0, fmt.Errorf("timespan %q is not a number with s, m, h or d", s)
}

// member returns a mapping's value by key, nil where there is none.
func member(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// known refuses members that nobody reads: a misspelt key would be silently nothing.
func known(n *yaml.Node, keys ...string) error {
	if n.Kind != yaml.MappingNode {
		return at(n, "expected a mapping with %s", strings.Join(keys, ", "))
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !slices.Contains(keys, n.Content[i].Value) {
			return at(n.Content[i], "unknown key %q; expected one of %s", n.Content[i].Value, strings.Join(keys, ", "))
		}
	}
	return nil
}
