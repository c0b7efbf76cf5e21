// Package check says of rules what is wrong with them before any record comes: which can never match a real one, which
// ask for fields and values that nobody knows, which are inactive for want of a list, which fire on every ordinary change.
// It judges by the table of fields and the vocabulary, and calls impossible only what is proven.
package check

import (
	"maps"
	"slices"
	"strings"

	"cordon/detectors/fields"
	"cordon/detectors/sigma"
	"cordon/detectors/vocabulary"
)

// State is what a rule comes to.
type State string

// The states, the worst last but Inactive, which goes before all: what a list will be set to is not known yet.
const (
	Fine       State = "fine"
	Wide       State = "wide"       // fires on every ordinary change
	Doubtful   State = "doubtful"   // asks for what nobody has seen
	Impossible State = "impossible" // can never match, or nothing of it is left
	Inactive   State = "inactive"   // names a placeholder that no list sets
)

// The kinds of remarks.
const (
	NeverMatches = "impossible"    // the rule rests on it, and it cannot be
	Dead         = "dead"          // it cannot be, but the rule has other ways
	UnknownField = "unknown-field" // no table and no documentation has it
	UnknownValue = "unknown-value" // the vocabulary does not have it, and may be incomplete
	Unset        = "inactive"
	TooWide      = "wide"
	Idle         = "idle"     // an exception that suppresses nothing
	Silenced     = "silenced" // an exception suppresses all that the rule finds
)

// Remark is one thing to say about a rule, or an exception from it.
type Remark struct {
	Kind    string   `json:"kind"`
	File    string   `json:"file,omitempty"` // of the exception; "" is the rule's
	Line    int      `json:"line,omitempty"`
	Field   string   `json:"field,omitempty"`
	Value   string   `json:"value,omitempty"`
	Reason  string   `json:"reason"`
	Instead []string `json:"instead,omitempty"`
}

// Report is all there is to say about a rule.
type Report struct {
	Rule    string   `json:"rule"`
	Title   string   `json:"title"`
	File    string   `json:"file"`
	Line    int      `json:"line"`
	Level   string   `json:"level"`
	State   State    `json:"state"`
	Remarks []Remark `json:"remarks,omitempty"`
}

// Wrong says that the rule does not do what it was written for.
func (r Report) Wrong() bool {
	return slices.ContainsFunc(r.Remarks, func(m Remark) bool { return m.Kind != TooWide && m.Kind != Unset })
}

// Checker judges rules.
type Checker struct {
	table *fields.Table
	known *vocabulary.Vocabulary
}

// New returns a checker.
func New(table *fields.Table, known *vocabulary.Vocabulary) *Checker {
	return &Checker{table: table, known: known}
}

// Check judges rules that were loaded together, in their order.
func (c *Checker) Check(rules []*sigma.Rule) []Report {
	serves := map[string]bool{} // rules that raise no finding of their own
	named := func(ref string) string {
		if i := slices.IndexFunc(rules, func(r *sigma.Rule) bool { return r.Called(ref) }); i >= 0 {
			return rules[i].Name
		}
		return ref
	}
	for _, r := range rules {
		if r.Correlation != nil && !r.Correlation.Generate {
			for _, ref := range r.Correlation.Rules {
				serves[named(ref)] = true
			}
		}
	}
	singles := map[string]*sigma.Rule{}
	states := map[string]State{}
	reports := make([]Report, len(rules))
	for i, r := range rules {
		if r.Correlation == nil {
			reports[i] = c.single(r, !serves[r.Name])
			states[r.Name] = reports[i].State
			singles[r.Name] = r
		}
	}
	for range rules { // from the bottom up, in whatever order they stand
		before := maps.Clone(states)
		for i, r := range rules {
			if r.Correlation != nil {
				reports[i] = c.correlation(r, named, singles, states)
				states[r.Name] = reports[i].State
			}
		}
		if maps.Equal(before, states) {
			break
		}
	}
	return reports
}

func report(r *sigma.Rule) Report {
	return Report{Rule: r.Name, Title: r.Title, File: r.File, Line: r.Line, Level: r.Level, State: Fine}
}

// once adds a remark, but not a second one about the same thing.
func once(all []Remark, m Remark) []Remark {
	if slices.ContainsFunc(all, func(have Remark) bool {
		return have.File == m.File && have.Line == m.Line && have.Field == m.Field && have.Value == m.Value
	}) {
		return all
	}
	return append(all, m)
}

func (c *Checker) single(r *sigma.Rule, alone bool) Report {
	out := report(r)
	source := fields.Name(r.LogSource().Product, r.LogSource().Service, r.LogSource().Category)
	var remarks []Remark
	for _, clause := range r.Clauses() {
		_, said := c.judge(source, clause)
		remarks = append(remarks, said...)
	}
	possible := r.Possible(func(clause sigma.Clause) sigma.Truth {
		truth, _ := c.judge(source, clause)
		return truth
	})
	for _, m := range remarks {
		if m.Kind == NeverMatches && possible != sigma.False {
			m.Kind = Dead
		}
		if m.Kind == UnknownField || m.Kind == UnknownValue {
			out.State = Doubtful
		}
		out.Remarks = once(out.Remarks, m)
	}
	exceptions, silenced := c.exceptions(source, r)
	if (Report{Remarks: exceptions}).Wrong() {
		out.State = Doubtful
	}
	out.Remarks = append(out.Remarks, exceptions...)
	if possible == sigma.False || silenced {
		out.State = Impossible
	}
	if unset := r.Placeholders(); len(unset) > 0 {
		out.State = Inactive
		for _, name := range slices.Compact(slices.Sorted(slices.Values(unset))) {
			out.Remarks = append(out.Remarks, Remark{Kind: Unset, Line: r.Line, Value: name, Reason: "no list is named " + name + ": set it in lists.yml"})
		}
		return out
	}
	if possible == sigma.False || !alone {
		return out
	}
	if on := c.ordinary(source, r); len(on) > 0 {
		if out.State == Fine {
			out.State = Wide
		}
		out.Remarks = append(out.Remarks, Remark{Kind: TooWide, Line: r.Line, Value: strings.Join(on, ", "), Reason: "everyday work, and nothing else narrows the rule: it fires on every one"})
	}
	return out
}
