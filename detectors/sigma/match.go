package sigma

import (
	"bytes"
	"slices"

	"cordon/internal/record"
)

// Event is what a rule looks at: a record, with what the directory knew at its time.
type Event interface {
	// Field is what the record holds in a field of the rule, by the field's place in Rule.Fields.
	Field(i int) record.Values
	// Bears says whether the record has that field at all, be it empty or null.
	Bears(i int) bool
	// Each calls visit with every scalar of the record, until it returns false.
	Each(visit func(value string) bool)
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

// Match evaluates a rule that is no correlation. A rule with placeholders that nobody has set is inactive.
func (r *Rule) Match(e Event) Truth {
	if len(r.unset) > 0 || r.match == nil {
		return False
	}
	return r.quick.eval(e)
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

// named is a part of the condition that has a name: a search, or several of them.
type named struct {
	text string
	of   expression
}

func (n named) eval(e Event) Truth { return n.of.eval(e) }

// test is one clause, compiled.
type test struct {
	Clause
	how                     string // the modifier that compares; "" is equality
	all, neq, cased, expand bool
	ref                     bool // values are names of fields
	part                    string
	text, unlike            string // the clause and its opposite, in Sigma's words
	flags                   string
	encodings               []string

	at       int  // the field's place in the rule's fields
	want     bool // of exists
	nothing  bool // it holds for an empty field
	matchers []matcher
	literals map[string]struct{} // of many plain texts, in small letters: they are looked up instead
	longest  int                 // bytes of the longest of them
	within   int                 // patterns that look for a text anywhere in a value
	refs     []string
	refsAt   []int
}

func (t *test) eval(e Event) Truth {
	truth := False
	switch {
	case t.Keywords:
		return t.search(e)
	case t.how == "exists":
		truth = t.exists(e)
	case t.ref:
		truth = t.compareFields(e)
	default:
		truth = t.compare(e.Field(t.at))
	}
	if t.neq {
		return truth.Not()
	}
	return truth
}

func (t *test) compare(v record.Values) Truth {
	switch {
	case v.Unknown:
		return Unknown
	case v.Absent && (t.Null || t.nothing):
		return TrueAbsent
	case v.Absent:
		return FalseAbsent
	case t.matched(v.List):
		return True
	}
	return False
}

// exists looks for the field alone, not for what stands in it: the specification's words.
func (t *test) exists(e Event) Truth {
	truth := FalseAbsent
	if e.Field(t.at).Unknown {
		return Unknown
	}
	if e.Bears(t.at) {
		truth = True
	}
	if t.want {
		return truth
	}
	return truth.Not()
}

// takesNothing says whether the test holds for a field that is empty or missing: it is compared as an empty text, but stars
// alone ask for anything that is there.
func (t *test) takesNothing() bool {
	nothing := false
	for _, m := range t.matchers {
		if p, ok := m.(*pattern); ok && len(p.parts) > 0 && p.parts[0] == star {
			nothing = false
		} else {
			nothing = m.matches("")
		}
		if nothing != t.all {
			return nothing
		}
	}
	return nothing
}

// either is one value of the rule that may be written in several ways.
type either []matcher

func (e either) matches(v string) bool {
	return slices.ContainsFunc(e, func(m matcher) bool { return m.matches(v) })
}

// matched says whether any of the matchers, or all of them, match a value of the field.
func (t *test) matched(values []string) bool {
	if t.literals != nil && t.among(values) {
		return true
	}
	if t.within > 1 && len(values) == 1 {
		return t.matchedIn(values[0])
	}
	effort := maxEffort
	for _, m := range t.matchers {
		if one := matchesAny(m, values, &effort); one != t.all {
			return one
		}
	}
	return t.all && len(t.matchers) > 0
}

// matchedIn has several patterns look for their texts in one value: its small letters are made once.
func (t *test) matchedIn(v string) bool {
	var room [512]byte
	low, plain := room[:0], len(v) <= len(room)
	if plain {
		low, plain = lowered(low, v)
	}
	for _, m := range t.matchers {
		one := false
		if p, ok := m.(*pattern); ok && plain && p.shape == within && !p.cased {
			one = bytes.Contains(low, p.needle)
		} else {
			one = m.matches(v)
		}
		if one != t.all {
			return one
		}
	}
	return t.all && len(t.matchers) > 0
}

// lowered appends the small letters of a text that is ASCII.
func lowered(to []byte, v string) (low []byte, ascii bool) {
	to = append(to, v...)
	return to, record.FoldASCII(to) == len(to)
}

func matchesAny(m matcher, values []string, effort *int) bool {
	for _, v := range values {
		if matches(m, v, effort) {
			return true
		}
	}
	return false
}

// matches spends, of the effort that a test has for a record, what an expression costs.
func matches(m matcher, v string, effort *int) bool {
	if x, ok := m.(expr); ok {
		return x.within(v, effort)
	}
	return m.matches(v)
}

// search looks for keywords in all of the record.
func (t *test) search(e Event) Truth {
	found, effort := false, maxEffort
	if !t.all {
		e.Each(func(v string) bool {
			for _, m := range t.matchers {
				if found = matches(m, v, &effort); found {
					break
				}
			}
			return !found
		})
	} else {
		for _, m := range t.matchers {
			found = false
			e.Each(func(v string) bool { found = matches(m, v, &effort); return !found })
			if !found {
				break
			}
		}
	}
	if found {
		return True
	}
	return False
}

// What fieldref compares: so many values of a field with so many of another, in turn, and so many bytes of them.
const (
	maxCompared      = 500
	maxComparedBytes = 16 << 20
)

// compareFields compares a field with others of the same record. Two empty fields are not equal: absence proves
// nothing.
func (t *test) compareFields(e Event) Truth {
	v := e.Field(t.at)
	result := False
	if t.all {
		result = True
	}
	for _, at := range t.refsAt {
		one := t.compareField(v, e.Field(at))
		if t.all {
			result = min(result, one)
		} else {
			result = max(result, one)
		}
	}
	return result
}

func (t *test) compareField(v, other record.Values) Truth {
	switch {
	case v.Unknown || other.Unknown:
		return Unknown
	case v.Absent || other.Absent:
		return FalseAbsent
	}
	compared := 0
	for _, a := range v.List[:min(len(v.List), maxCompared)] {
		for _, b := range other.List[:min(len(other.List), maxCompared)] {
			if compared += len(a) + len(b); compared > maxComparedBytes {
				return False
			}
			if b != "" && related(t.how, a, b, t.cased) {
				return True
			}
		}
	}
	return False
}
