package sigma

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// How many rules and events the properties below look at: with rapid's 100 checks, 60,000 pairs of a rule and an
// event, and 40,000 correlations (see correlate_property_test.go) — 100,000 cases.
const (
	rulesACheck  = 60
	eventsOfRule = 10
)

// randomCondition writes a condition over searches, and its meaning.
func randomCondition(r *rand.Rand, names []string, means map[string]func(given) three, depth int) (string, func(given) three) {
	least := func(some []string) func(given) three {
		return func(e given) three {
			t := three(1)
			for _, n := range some {
				t = min(t, means[n](e))
			}
			return t
		}
	}
	most := func(some []string) func(given) three {
		return func(e given) three {
			t := three(-1)
			for _, n := range some {
				t = max(t, means[n](e))
			}
			return t
		}
	}
	starting := func(prefix string) (out []string) {
		for _, n := range names {
			if strings.HasPrefix(n, prefix) {
				out = append(out, n)
			}
		}
		return out
	}
	shown := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n[0] == '_' })
	switch n := r.IntN(9); {
	case depth == 0 || n < 2:
		name := pick(r, names...)
		return name, means[name]
	case n == 2:
		return pick(r, "1", "any", "ANY") + " of them", most(shown)
	case n == 3:
		return "all Of Them", least(shown)
	case n == 4:
		return "1 of s_*", most(starting("s_"))
	case n == 5:
		return "all of s_*", least(starting("s_"))
	case n == 6:
		inner, means := randomCondition(r, names, means, depth-1)
		return pick(r, "not", "NOT") + " (" + inner + ")", func(e given) three { return -means(e) }
	default:
		a, first := randomCondition(r, names, means, depth-1)
		b, second := randomCondition(r, names, means, depth-1)
		if n == 7 {
			return "(" + a + ") and (" + b + ")", func(e given) three { return min(first(e), second(e)) }
		}
		return "(" + a + ") or (" + b + ")", func(e given) three { return max(first(e), second(e)) }
	}
}

func TestRulesMeanWhatTheSpecificationSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		for range rulesACheck {
			names, means := []string{"s_a", "s_b", "_hidden", "last"}, map[string]func(given) three{}
			detection := ""
			for _, name := range names {
				tests := []spelt{randomTest(r)}
				if r.IntN(6) == 0 {
					tests = []spelt{randomKeywords(r)}
				} else if more := randomTest(r); more.key != tests[0].key {
					tests = append(tests, more)
				}
				alternatives := r.IntN(3) == 0
				detection += name + ":\n"
				for _, one := range tests {
					dash := " "
					if alternatives {
						dash = "-"
					}
					values := []string{}
					for _, v := range one.values {
						values = append(values, "'"+v+"'")
					}
					list := "[" + strings.Join(values, ", ") + "]"
					if one.values == nil {
						list = "null"
					}
					detection += fmt.Sprintf(" %s '%s': %s\n", dash, one.key, list)
				}
				means[name] = func(e given) three {
					low, high := three(1), three(-1)
					for _, one := range tests {
						low, high = min(low, one.holds(e)), max(high, one.holds(e))
					}
					if alternatives {
						return high
					}
					return low
				}
			}
			condition, meaning := randomCondition(r, names, means, 3)
			compiled := rule(t, detection+"condition: "+condition)
			index, candidates := NewIndex([]*Rule{compiled}, func(_, field int) int { return field }), NewCandidates()
			for range eventsOfRule {
				e := randomEvent(r)
				truth := compiled.matches(e)
				if want := meaning(e); truth.Holds() != (want == 1) || truth.Not().Holds() != (want == -1) {
					t.Fatalf("%scondition: %s\n%v: %v, the specification says %v\n%+v", detection, condition, e, truth, want, compiled.explained(e))
				}
				require.Equal(t, truth, compiled.explained(e).Truth)
				if index.Find(slots{seen{compiled, e}}, candidates); candidates.Next(0) < 0 && truth > FalseAbsent {
					t.Fatalf("%scondition: %s\n%v: %v, but the index passes it over", detection, condition, e, truth)
				}
			}
		}
	})
}
