package sigma

import (
	"slices"
	"strings"
)

// Clause is one test of a rule's detection as it was written.
type Clause struct {
	Search    string // the search that it stands in
	Field     string // "" for keywords
	Modifiers []string
	Values    []string // but null
	Compared  []string // what they stand for: the members of lists in place of placeholders
	Unset     bool     // a placeholder among them has no list
	Null      bool     // null is among the values
	Keywords  bool     // looks in all of the record
	Line      int
}

// String is the clause in Sigma's words.
func (c Clause) String() string {
	values := c.Values
	if c.Null {
		values = append(slices.Clone(values), "null")
	}
	left := strings.Join(append([]string{c.Field}, c.Modifiers...), "|")
	if c.Keywords {
		left = "keywords" + left
	}
	return left + ": " + strings.Join(values, ", ")
}

// Clauses are the rule's tests in the order of the file; a correlation has none.
func (r *Rule) Clauses() []Clause {
	var out []Clause
	for _, t := range r.clauses {
		out = append(out, t.Clause)
	}
	return out
}

// Fields are the names that the rule reads, each once.
func (r *Rule) Fields() []string { return slices.Clone(r.fields) }

// LogSource is what the rule says it looks at; a correlation says nothing.
func (r *Rule) LogSource() LogSource { return r.source }

// Placeholders are those that no list has. A rule that has any is inactive: it never matches.
func (r *Rule) Placeholders() []string { return slices.Clone(r.unset) }

// Possible evaluates the rule's condition with what the caller says of each clause; Unknown for a correlation, which
// has none.
func (r *Rule) Possible(of func(Clause) Truth) Truth {
	if r.match == nil {
		return Unknown
	}
	return possible(r.match, of)
}

func possible(x expression, of func(Clause) Truth) Truth {
	switch x := x.(type) {
	case allOf:
		least := True
		for _, part := range x {
			least = min(least, possible(part, of))
		}
		return least
	case anyOf:
		most := False
		for _, part := range x {
			most = max(most, possible(part, of))
		}
		return most
	case negated:
		return possible(x.of, of).Not()
	case named:
		return possible(x.of, of)
	case *test:
		return of(x.Clause)
	}
	return Unknown
}

// Explanation says of a part of a rule whether it held, and what it saw.
type Explanation struct {
	Text   string // the condition, a part of it, or a clause
	Truth  Truth
	Field  string   // of a clause
	Values []string // that the record has in this field
	Parts  []Explanation
}

// Explain evaluates the rule and says of each part whether it held, with the values it saw.
func (r *Rule) Explain(e Event) Explanation {
	out := Explanation{Text: r.condition, Truth: r.Match(e)}
	for _, name := range r.unset {
		out.Parts = append(out.Parts, Explanation{Text: "inactive: %" + name + "% is not set", Truth: Unknown})
	}
	if r.match != nil {
		out.Parts = append(out.Parts, explain(r.match, e))
	}
	return out
}

func explain(x expression, e Event) Explanation {
	out := Explanation{Truth: x.eval(e)}
	switch x := x.(type) {
	case allOf:
		out.Text = "and"
		for _, part := range x {
			out.Parts = append(out.Parts, explain(part, e))
		}
	case anyOf:
		out.Text = "or"
		for _, part := range x {
			out.Parts = append(out.Parts, explain(part, e))
		}
	case negated:
		out.Text, out.Parts = "not", []Explanation{explain(x.of, e)}
	case named:
		inner := explain(x.of, e)
		out.Text = x.text
		if _, leaf := x.of.(*test); leaf {
			out.Parts = []Explanation{inner}
		} else {
			out.Parts = inner.Parts
		}
	case *test:
		out.Text, out.Field = x.String(), x.Field
		if !x.Keywords {
			out.Values = slices.Clone(e.Field(x.at).List)
		}
	}
	return out
}
