package sigma

import (
	"cmp"
	"slices"
)

// ordered is an expression of the same truth whose cheap parts are evaluated first: `and` ends at the first that is
// false, `or` at the first that is true, and neither asks in which order.
func ordered(x expression) expression {
	switch x := x.(type) {
	case allOf:
		return allOf(orderedParts(x))
	case anyOf:
		return anyOf(orderedParts(x))
	case negated:
		return negated{ordered(x.of)}
	case named:
		return ordered(x.of)
	}
	return x
}

func orderedParts(parts []expression) []expression {
	out := make([]expression, 0, len(parts))
	for _, part := range parts {
		out = append(out, ordered(part))
	}
	slices.SortStableFunc(out, func(a, b expression) int { return cmp.Compare(cost(a), cost(b)) })
	return out
}

// What tests cost, measured by that of one value.
const (
	costLookup  = 2
	costWithin  = 8
	costGeneral = 20
	costParsed  = 50
	costRecord  = 1000 // to look at all of it
)

func cost(x expression) int {
	total := 0
	switch x := x.(type) {
	case allOf:
		for _, part := range x {
			total += cost(part)
		}
	case anyOf:
		for _, part := range x {
			total += cost(part)
		}
	case negated:
		return cost(x.of)
	case named:
		return cost(x.of)
	case *test:
		if x.Keywords {
			return costRecord
		}
		total = 1
		if len(x.literals) > 0 {
			total += costLookup
		}
		for _, m := range x.matchers {
			switch p, ok := m.(*pattern); {
			case !ok:
				total += costParsed
			case p.shape == within:
				total += costWithin
			case p.shape == anyShape:
				total += costGeneral
			default:
				total++
			}
		}
	}
	return total
}
