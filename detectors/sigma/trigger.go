package sigma

import "unicode"

// A rule's trigger is what a record must hold for the rule to hold, told from the rule's text: of each of its needs a
// record that meets none can be passed over without looking at the rule. A rule that has none is always looked at.
type trigger []need

// need is a field, and the texts of which it must hold one: as a whole value, or as a part of one. All are in small
// letters. Field -1 is the whole record.
type need struct {
	field  int
	wholes []string
	parts  []string
}

const wholeRecord = -1

// shortest is the least number of bytes of a part that is worth looking for.
const shortest = 3

// triggerOf derives a trigger; rank says of a need how well it tells records apart, the more the better.
func triggerOf(x expression, rank func(need) int) (trigger, bool) {
	switch x := x.(type) {
	case allOf: // each is necessary: the best does
		var best trigger
		most, found := 0, false
		for _, part := range x {
			t, ok := triggerOf(part, rank)
			if !ok {
				continue
			}
			if r := t.rank(rank); !found || r > most {
				best, most, found = t, r, true
			}
		}
		return best, found
	case anyOf: // any may be the one
		var all trigger
		for _, part := range x {
			t, ok := triggerOf(part, rank)
			if !ok {
				return nil, false
			}
			all = append(all, t...)
		}
		return all, len(all) > 0
	case named:
		return triggerOf(x.of, rank)
	case *test:
		n, ok := x.need()
		return trigger{n}, ok
	}
	return nil, false
}

func (t trigger) rank(of func(need) int) int {
	least := of(t[0])
	for _, n := range t[1:] {
		least = min(least, of(n))
	}
	return least
}

// need is what a test asks for, if it can hold for nothing else: an empty field, an unlike one and another field's
// value are no texts that one could look for.
func (t *test) need() (need, bool) {
	if t.Null || t.neq || t.ref || t.part != "" || len(t.matchers)+len(t.literals) == 0 {
		return need{}, false
	}
	n := need{field: t.at}
	if t.Keywords {
		n.field = wholeRecord
	}
	for literal := range t.literals {
		if literal == "" {
			return need{}, false
		}
		n.wholes = append(n.wholes, literal)
	}
	for _, m := range t.matchers {
		p, ok := m.(*pattern)
		if !ok && t.all {
			continue // another one of them may do
		}
		if !ok {
			return need{}, false
		}
		text := p.longest()
		switch {
		case !p.wild && text != "":
			n.wholes = append(n.wholes, text)
		case len(text) >= shortest:
			n.parts = append(n.parts, text)
		case t.all:
			continue // another one of them may do
		default:
			return need{}, false
		}
		if t.all {
			return n, true // every one is necessary: this one does
		}
	}
	return n, len(n.wholes)+len(n.parts) > 0
}

// longest is the longest text in a pattern that stands there without a wildcard, in small letters.
func (p *pattern) longest() string {
	var best, run []rune
	for _, c := range p.parts {
		if c < 0 {
			run = nil
			continue
		}
		if run = append(run, unicode.ToLower(c)); len(run) > len(best) {
			best = run
		}
	}
	return string(best)
}
