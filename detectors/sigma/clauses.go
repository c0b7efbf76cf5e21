package sigma

import (
	"strings"

	"cordon/internal/record"
)

// Clause is one test of a rule.
type Clause struct {
	Search    string
	Field     string
	Modifiers []string
	Values    []string
	Null      bool
	Keywords  bool
	Line      int
}

// LogSource is a rule's log source.
type LogSource struct{ Product, Category, Service string }

// Explanation says why a rule holds or does not.
type Explanation struct {
	Text   string
	Truth  Truth
	Field  string
	Values []string
	Parts  []Explanation
}

func name(x expression, search string) {
	switch x := x.(type) {
	case allOf:
		for _, p := range x {
			name(p, search)
		}
	case anyOf:
		for _, p := range x {
			name(p, search)
		}
	case *test:
		x.search = search
	}
}

func (r *Rule) collect(x expression) {
	switch x := x.(type) {
	case allOf:
		for _, p := range x {
			r.collect(p)
		}
	case anyOf:
		for _, p := range x {
			r.collect(p)
		}
	case negated:
		r.collect(x.of)
	case *test:
		r.clauses = append(r.clauses, x)
		r.unset = append(r.unset, x.unset...)
	}
}

func (t *test) clause() Clause {
	return Clause{Search: t.search, Field: t.field, Modifiers: t.mods, Values: t.values, Null: t.null, Keywords: t.keywords, Line: t.line}
}

// Clauses are the rule's tests.
func (r *Rule) Clauses() (out []Clause) {
	for _, t := range r.clauses {
		out = append(out, t.clause())
	}
	return out
}

// LogSource is where the rule's records come from.
func (r *Rule) LogSource() LogSource { return r.source }

// Placeholders are those that no list sets.
func (r *Rule) Placeholders() []string { return r.unset }

// Possible evaluates the condition with what the caller says of each clause.
func (r *Rule) Possible(of func(Clause) Truth) Truth { return possible(r.match, of) }

func possible(x expression, of func(Clause) Truth) Truth {
	switch x := x.(type) {
	case allOf:
		least := True
		for _, p := range x {
			least = min(least, possible(p, of))
		}
		return least
	case anyOf:
		most := False
		for _, p := range x {
			most = max(most, possible(p, of))
		}
		return most
	case negated:
		return possible(x.of, of).Not()
	case exists:
		return of(Clause{Field: x.field, Modifiers: []string{"exists"}})
	case *test:
		return of(x.clause())
	}
	return Unknown
}

// Explain says why the rule holds for an event or does not.
func (r *Rule) Explain(e Event) Explanation { return explain(r.match, e) }

func explain(x expression, e Event) Explanation {
	out := Explanation{Truth: x.eval(e)}
	switch x := x.(type) {
	case allOf:
		out.Text = "all of"
		for _, p := range x {
			out.Parts = append(out.Parts, explain(p, e))
		}
	case anyOf:
		out.Text = "any of"
		for _, p := range x {
			out.Parts = append(out.Parts, explain(p, e))
		}
	case negated:
		out.Text = "not"
		out.Parts = append(out.Parts, explain(x.of, e))
	case exists:
		out.Text, out.Field, out.Values = x.field+"|exists", x.field, e.Field(x.field).List
	case *test:
		out.Field = x.field
		out.Text = strings.Join(append([]string{x.field}, x.mods...), "|") + ": " + strings.Join(x.values, ", ")
		if !x.keywords {
			out.Values = e.Field(x.field).List
		}
	}
	return out
}

func everything(e Event) record.Values {
	if r, ok := e.(interface{ Everything() record.Values }); ok {
		return r.Everything()
	}
	return record.Values{Absent: true}
}
