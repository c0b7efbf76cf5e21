package sigma

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Filter is an exception from rules: a Sigma filter, whose condition is joined to each of them with `and`. Somebody
// answers for it, says why it is there, and it ends: what nobody looks at again hides attackers.
//
// The document is that of the Sigma filters specification 2.2.0 (specification/sigma-filters-specification.md of
// github.com/SigmaHQ/sigma-specification), whose `rules` are a list of names and ids, or the word any.
type Filter struct {
	Name        string
	ID          string
	Title       string
	Description string
	Owner       string    // who answers for it
	Reason      string    // why what it suppresses is harmless
	Until       time.Time // it holds for records of before
	Rules       []string  // names or ids; none where Any
	Any         bool      // every rule for single records that its log source covers
	Categories  []string  // of records, that its log source stands for
	File        string
	Line        int

	at     *yaml.Node // the list of rules, for what is wrong with it
	search Rule       // its searches and its condition, compiled as a rule's are
}

// Holds says whether the exception has not ended for a record of time t.
func (f *Filter) Holds(t time.Time) bool { return t.Before(f.Until) }

// Suppresses says whether a match is to be suppressed: the condition is false for what the record says, not for what
// it leaves open. What is empty proves nothing, and what nobody knows does not either. With a placeholder that no
// list sets it suppresses nothing.
func (f *Filter) Suppresses(e Event, t time.Time) bool {
	return f.Holds(t) && len(f.search.unset) == 0 && f.search.Match(e) == False
}

// Clauses are the tests of its searches in the order of the file.
func (f *Filter) Clauses() []Clause { return f.search.Clauses() }

// Possible evaluates its condition with what the caller says of each clause.
func (f *Filter) Possible(of func(Clause) Truth) Truth { return f.search.Possible(of) }

// Fields are the names that its searches read, each once.
func (f *Filter) Fields() []string { return f.search.Fields() }

// Digest tells this edition of the exception from any other.
func (f *Filter) Digest() string { return f.search.Digest }

// Placeholders are those that no list has. An exception that has any suppresses nothing.
func (f *Filter) Placeholders() []string { return f.search.Placeholders() }

// Condition is as it was written.
func (f *Filter) Condition() string { return f.search.condition }

// filterDocument is a filter's YAML, strict.
type filterDocument struct {
	Title       string     `yaml:"title"`
	ID          string     `yaml:"id"`
	Name        string     `yaml:"name"`
	Description string     `yaml:"description"`
	Date        string     `yaml:"date"`
	Modified    string     `yaml:"modified"`
	LogSource   *logSource `yaml:"logsource"`
	Filter      yaml.Node  `yaml:"filter"`
	Custom      struct {
		Owner  string `yaml:"owner"`
		Reason string `yaml:"reason"`
		Until  string `yaml:"until"`
	} `yaml:"custom"`
}

// parseFilter reads a document that has `filter`.
func parseFilter(root *yaml.Node, lists Lists) (*Filter, error) {
	for _, not := range []string{"detection", "correlation"} {
		if n := member(root, not); n != nil {
			return nil, at(n, "a filter has no %s: its searches and its condition stand under filter", not)
		}
	}
	if err := known(root, "title", "id", "name", "description", "references", "author", "date", "modified", "taxonomy", "license",
		"logsource", "filter", "custom"); err != nil {
		return nil, err
	}
	if c := member(root, "custom"); c != nil {
		if err := known(c, "owner", "reason", "until"); err != nil {
			return nil, err
		}
	}
	var d filterDocument
	if err := root.Decode(&d); err != nil {
		return nil, mistyped(root, err)
	}
	f := &Filter{Name: firstSet(d.Name, d.ID, slug(d.Title)), ID: d.ID, Title: d.Title, Description: d.Description, Owner: strings.TrimSpace(d.Custom.Owner),
		Reason: strings.TrimSpace(d.Custom.Reason), Line: root.Line}
	switch {
	case f.Title == "":
		return nil, at(root, "a filter needs a title")
	case f.Name == "":
		return nil, at(root, "a filter needs a name or an id")
	case d.LogSource == nil:
		return nil, at(root, "a filter needs a logsource")
	}
	if err := f.answers(root, d); err != nil {
		return nil, err
	}
	categories, err := route(member(root, "logsource"), d.LogSource)
	if err != nil {
		return nil, err
	}
	f.Categories = categories
	return f, f.compile(member(root, "filter"), lists)
}

// answers reads who answers for the exception, why it is there and when it ends.
func (f *Filter) answers(root *yaml.Node, d filterDocument) error {
	custom := member(root, "custom")
	place := func(key string) *yaml.Node {
		if custom == nil {
			return root
		}
		if v := member(custom, key); v != nil {
			return v
		}
		return custom
	}
	switch {
	case f.Owner == "":
		return at(place("owner"), "a filter needs custom.owner: who answers for it")
	case f.Reason == "":
		return at(place("reason"), "a filter needs custom.reason: why what it suppresses is harmless")
	case d.Custom.Until == "":
		return at(place("until"), "a filter needs custom.until: the day on which it ends, such as 2026-12-31")
	}
	var err error
	if f.Until, err = moment(d.Custom.Until); err != nil {
		return at(place("until"), "until %q is no date such as 2026-12-31, nor a time such as 2026-12-31T18:00:00Z", d.Custom.Until)
	}
	var since time.Time
	from := ""
	for _, one := range []struct{ key, value string }{{"date", d.Date}, {"modified", d.Modified}} {
		if one.value == "" {
			continue
		}
		if since, err = time.Parse(time.DateOnly, one.value); err != nil {
			return at(member(root, one.key), "%s %q is no date such as 2026-01-31", one.key, one.value)
		}
		from = one.key + " " + one.value
	}
	switch {
	case from == "":
		return nil
	case !f.Until.After(since):
		return at(place("until"), "until %s is not after %s", d.Custom.Until, from)
	case f.Until.After(since.AddDate(0, 0, maxException)):
		return at(place("until"), "until %s is more than %d days after %s: look at it again before", d.Custom.Until, maxException, from)
	}
	return nil
}

// maxException is for how many days an exception may be made, or renewed.
const maxException = 366

// moment reads a date, which is its first moment in UTC, or a time.
func moment(s string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, s)
}

// compile reads what stands under `filter`: the rules, and a detection.
func (f *Filter) compile(n *yaml.Node, lists Lists) error {
	if n.Kind != yaml.MappingNode {
		return at(n, "filter is a mapping of rules, searches and a condition")
	}
	detection, rules := &yaml.Node{Kind: yaml.MappingNode, Line: n.Line}, (*yaml.Node)(nil)
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch {
		case n.Content[i].Value != "rules":
			detection.Content = append(detection.Content, n.Content[i], n.Content[i+1])
		case rules != nil:
			return at(n.Content[i], "a filter has one list of rules")
		default:
			rules = n.Content[i+1]
		}
	}
	condition := member(n, "condition")
	switch {
	case rules == nil:
		return at(n, "a filter needs rules: a list of names or ids, or any")
	case condition == nil || condition.Tag == "!!null":
		return at(n, "a filter needs a condition, such as not selection")
	case condition.Kind != yaml.ScalarNode:
		return at(condition, "a filter has one condition, such as not selection")
	case len(detection.Content) < 4:
		return at(n, "a filter needs a selection: what the records look like that it speaks of")
	}
	if err := f.name(rules); err != nil {
		return err
	}
	return compile(&f.search, detection, lists)
}

func (f *Filter) name(rules *yaml.Node) error {
	f.at = rules
	if rules.Kind == yaml.ScalarNode && rules.Value == "any" {
		f.Any = true
		return nil
	}
	if rules.Kind != yaml.SequenceNode || len(rules.Content) == 0 {
		return at(rules, "rules are a list of names or ids, or any")
	}
	for i, r := range rules.Content {
		if r.Kind != yaml.ScalarNode || r.Value == "" {
			return at(r, "a rule is named by its name or its id")
		}
		if slices.Contains(f.Rules[:i], r.Value) {
			return at(r, "rule %q is listed twice", r.Value)
		}
		f.Rules = append(f.Rules, r.Value)
	}
	return nil
}

func firstSet(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// Except gives each rule the exceptions that name it, and returns the rules without the filters. It refuses filters
// that name what is not there, a correlation, or a rule whose records they do not speak of.
func Except(rules []*Rule) ([]*Rule, error) {
	var out []*Rule
	by := map[string]*Rule{}
	for _, r := range rules {
		if r.Filter == nil {
			out = append(out, r)
			by[strings.ToLower(r.ID)] = r
		}
	}
	if len(out) == len(rules) {
		return rules, nil
	}
	for _, r := range out {
		by[r.Name] = r // a name goes before an id
	}
	taken := map[string]*Rule{}
	for _, r := range rules {
		f := r.Filter
		if f == nil {
			continue
		}
		if other := firstRule(taken[f.Name], by[f.Name]); other != nil {
			return nil, fmt.Errorf("%s:%d: %s is already defined in %s:%d", f.File, f.Line, f.Name, other.File, other.Line)
		}
		taken[f.Name] = r
		if err := f.link(out, func(ref string) *Rule { return firstRule(by[ref], by[strings.ToLower(ref)]) }); err != nil {
			return nil, fmt.Errorf("%s:%w", f.File, err)
		}
	}
	return out, nil
}

func firstRule(rules ...*Rule) *Rule {
	for _, r := range rules {
		if r != nil {
			return r
		}
	}
	return nil
}

// link hands the filter to the rules that it names.
func (f *Filter) link(rules []*Rule, find func(ref string) *Rule) error {
	var named []*Rule
	for i, ref := range f.Rules {
		n, r := f.at.Content[i], find(ref)
		switch {
		case ref == "" || r == nil:
			return at(n, "filter %s names rule %q, which is not there", f.Name, ref)
		case r.Correlation != nil:
			return at(n, "filter %s names %s, which is a correlation: a filter speaks of single records, so name the rules that it counts: %s", f.Name, ref,
				strings.Join(r.Correlation.Rules, ", "))
		case !f.covers(r):
			return at(n, "filter %s names rule %s, which looks at %s; the filter's logsource stands for %s", f.Name, ref, strings.Join(r.Categories, ", "),
				strings.Join(f.Categories, ", "))
		case slices.Contains(named, r):
			return at(n, "filter %s names rule %s twice, by name and by id", f.Name, r.Name)
		}
		named = append(named, r)
	}
	if f.Any {
		for _, r := range rules {
			if r.Correlation == nil && f.covers(r) {
				named = append(named, r)
			}
		}
		if len(named) == 0 {
			return at(f.at, "filter %s is for any rule, and none looks at %s", f.Name, strings.Join(f.Categories, ", "))
		}
	}
	for _, r := range named {
		if !slices.Contains(r.Exceptions, f) { // the rules may serve another engine already
			r.Exceptions = append(r.Exceptions, f)
		}
	}
	return nil
}

// covers says that the filter's log source stands for all that the rule looks at.
func (f *Filter) covers(r *Rule) bool {
	return !slices.ContainsFunc(r.Categories, func(c string) bool { return !slices.Contains(f.Categories, c) })
}
