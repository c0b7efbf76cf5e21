package sigma

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"cordon/internal/record"
)

// Reason is one clause for whose sake a rule holds, and what the record has there.
type Reason struct {
	Clause string
	Values []string // of the field, one empty text where it has none; nil where the clause looks in all of the record
}

// What a finding tells of its reasons.
const (
	maxReasons = 12
	maxSeen    = 3 // values of one field
)

// Why are the clauses that made the rule hold for an event: of alternatives those that held, of what is negated those
// that did not. It is for rules that hold, and adds them to out; the values are the event's own.
func (r *Rule) Why(e Event, out []Reason) []Reason {
	if r.match == nil {
		return out
	}
	return why(r.match, e, false, out)
}

// why is about a part that holds, or does not if negative: of what all must hold all do, and need not be asked.
func why(x expression, e Event, negative bool, out []Reason) []Reason {
	if len(out) >= maxReasons {
		return out
	}
	switch x := x.(type) {
	case allOf:
		for _, part := range x {
			if !negative || !part.eval(e).Holds() {
				out = why(part, e, negative, out)
			}
		}
	case anyOf:
		for _, part := range x {
			if negative || part.eval(e).Holds() {
				out = why(part, e, negative, out)
			}
		}
	case negated:
		return why(x.of, e, !negative, out)
	case named:
		return why(x.of, e, negative, out)
	case *test:
		reason := Reason{Clause: x.text}
		if negative {
			reason.Clause = x.unlike
		}
		if !x.Keywords {
			reason.Values = shown(e.Field(x.at))
		}
		return append(out, reason)
	}
	return out
}

func shown(v record.Values) (out []string) {
	if v.Absent {
		return []string{""}
	}
	if len(v.List) <= maxSeen && !slices.Contains(v.List, "") {
		return v.List
	}
	for _, s := range v.List {
		if s == "" || len(out) == maxSeen {
			continue
		}
		out = append(out, s)
	}
	return out
}

// describe writes down once what findings will say.
func (t *test) describe() {
	t.text = clipped(t.String())
	t.unlike = "not " + t.text
}

// maxClause bounds what a finding repeats of a clause: some list thousands of values.
const maxClause = 200

func clipped(s string) string {
	if len(s) <= maxClause {
		return s
	}
	return strings.ToValidUTF8(s[:maxClause], "") + "…"
}

// String is the correlation's condition in words.
func (c *Correlation) String() string {
	var b strings.Builder
	b.WriteString(c.Type)
	if len(c.Fields) > 0 {
		fmt.Fprintf(&b, " of %s", strings.Join(c.Fields, ", "))
	}
	fmt.Fprintf(&b, " over %s", strings.Join(c.Rules, ", "))
	if len(c.GroupBy) > 0 {
		fmt.Fprintf(&b, " by %s", strings.Join(c.GroupBy, ", "))
	}
	fmt.Fprintf(&b, " within %s: ", span(c.Timespan))
	switch {
	case c.sums():
		for i, bound := range c.Bounds {
			b.WriteString(strings.Repeat(", ", min(i, 1)) + bound.String())
		}
	case c.Range.Most == math.MaxInt:
		fmt.Fprintf(&b, "%d or more", c.Range.Least)
	case c.Range.Least == c.Range.Most:
		fmt.Fprintf(&b, "%d", c.Range.Least)
	default:
		fmt.Fprintf(&b, "%d to %d", c.Range.Least, c.Range.Most)
	}
	for _, not := range c.Range.Except {
		fmt.Fprintf(&b, ", not %d", not)
	}
	return b.String()
}

// span is a duration without the units that are none of it.
func span(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"0s", "0m"} {
		if len(s) > 2 && strings.HasSuffix(s, zero) && !strings.ContainsAny(s[len(s)-3:len(s)-2], "0123456789") {
			s = strings.TrimSuffix(s, zero)
		}
	}
	return s
}
