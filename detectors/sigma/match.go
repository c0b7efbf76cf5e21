package sigma

import (
	"slices"
	"strings"

	"cordon/internal/record"
)

// Event is what a rule looks at: a record, with what the directory knew at its time.
type Event interface {
	Field(name string) record.Values
}

// Truth is the value of a clause. Absence is not proof: what holds or fails only because a field is empty or
// missing is kept apart, and what nobody knows satisfies neither a clause nor its negation. The order is that of
// growing truth, so `and` is the least and `or` the greatest.
type Truth int

// The truth values.
const (
	False       Truth = iota
	FalseAbsent       // false, but only for want of a field
	Unknown           // rests on a fact that is not known
	TrueAbsent        // true, but only for want of a field: unconfirmed
	True
)

// Not is the negation.
func (t Truth) Not() Truth { return True - t }

// Holds says whether a rule with this truth fires.
func (t Truth) Holds() bool { return t >= TrueAbsent }

// Match evaluates a rule that is no correlation.
func (r *Rule) Match(e Event) Truth {
	if len(r.unset) > 0 {
		return False
	}
	return r.match.eval(e)
}

type expression interface{ eval(Event) Truth }

type allOf []expression

func (a allOf) eval(e Event) Truth {
	least := True
	for _, x := range a {
		if least = min(least, x.eval(e)); least == False {
			break
		}
	}
	return least
}

type anyOf []expression

func (a anyOf) eval(e Event) Truth {
	most := False
	for _, x := range a {
		if most = max(most, x.eval(e)); most == True {
			break
		}
	}
	return most
}

type negated struct{ of expression }

func (n negated) eval(e Event) Truth { return n.of.eval(e).Not() }

type exists struct {
	field string
	want  bool
}

func (x exists) eval(e Event) Truth {
	v := e.Field(x.field)
	t := True
	switch {
	case v.Unknown:
		t = Unknown
	case v.Absent:
		t = FalseAbsent
	}
	if !x.want {
		return t.Not()
	}
	return t
}

// test compares one field's values with patterns.
type test struct {
	field    string
	how      string
	all      bool
	null     bool
	patterns []pattern

	search              string
	mods, values, unset []string
	line                int
	keywords            bool
}

func (t *test) eval(e Event) Truth {
	var v record.Values
	if t.keywords {
		v = everything(e)
	} else {
		v = e.Field(t.field)
	}
	if v.Unknown {
		return Unknown
	}
	matches := func(p pattern) bool { return slices.ContainsFunc(v.List, p.matches) }
	if v.Absent {
		if t.null {
			return TrueAbsent
		}
		matches = func(p pattern) bool { return p.matches("") }
	}
	matched := slices.ContainsFunc(t.patterns, matches)
	if t.all && matched {
		matched = !slices.ContainsFunc(t.patterns, func(p pattern) bool { return !matches(p) })
	}
	switch {
	case v.Absent && matched:
		return TrueAbsent
	case v.Absent:
		return FalseAbsent
	case matched:
		return True
	}
	return False
}

// pattern is a literal with Sigma's wildcards * and ?, compared without regard to case, in time linear in the
// value for each star.
type pattern struct {
	parts []rune // folded; star and any stand for the wildcards
	plain string // where there are no wildcards
	wild  bool
}

const (
	star rune = -1
	any1 rune = -2
)

func newPattern(field, literal, how string) pattern {
	if strings.EqualFold(field, "operationName") || strings.EqualFold(field, "activityDisplayName") {
		literal = record.NormalOperation(literal)
	}
	var p pattern
	if how == "contains" || how == "endswith" {
		p.parts, p.wild = append(p.parts, star), true
	}
	runes := []rune(strings.ToLower(literal))
	for i := 0; i < len(runes); i++ {
		switch c := runes[i]; {
		case c == '\\' && i+1 < len(runes) && (runes[i+1] == '*' || runes[i+1] == '?' || runes[i+1] == '\\'):
			i++
			p.parts = append(p.parts, runes[i])
		case c == '*':
			p.parts, p.wild = append(p.parts, star), true
		case c == '?':
			p.parts, p.wild = append(p.parts, any1), true
		default:
			p.parts = append(p.parts, c)
		}
	}
	if how == "contains" || how == "startswith" {
		p.parts, p.wild = append(p.parts, star), true
	}
	if !p.wild {
		p.plain = string(p.parts)
	}
	return p
}

func (p pattern) matches(value string) bool {
	if !p.wild {
		return strings.ToLower(value) == p.plain
	}
	v := []rune(strings.ToLower(value))
	i, j, mark, back := 0, 0, -1, 0
	for i < len(v) {
		switch {
		case j < len(p.parts) && p.parts[j] == star:
			mark, back = j, i
			j++
		case j < len(p.parts) && (p.parts[j] == v[i] || p.parts[j] == any1):
			i++
			j++
		case mark >= 0: // the last star takes one more
			back++
			i, j = back, mark+1
		default:
			return false
		}
	}
	for j < len(p.parts) && p.parts[j] == star {
		j++
	}
	return j == len(p.parts)
}
