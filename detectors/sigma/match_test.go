package sigma

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"cordon/internal/record"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// given is an event made of fields.
type given map[string]record.Values

func (g given) Field(name string) record.Values {
	if v, ok := g[name]; ok {
		return v
	}
	return record.Values{Absent: true}
}

func (g given) bears(name string) bool {
	_, there := g[name]
	return there
}

func (g given) Each(visit func(string) bool) {
	for _, name := range slices.Sorted(maps.Keys(g)) {
		for _, v := range g[name].List {
			if !visit(v) {
				return
			}
		}
	}
}

// seen is an event as a rule looks at it.
type seen struct {
	*Rule
	given
}

func (s seen) Field(i int) record.Values { return s.given.Field(s.fields[i]) }
func (s seen) Bears(i int) bool          { return s.given.bears(s.fields[i]) }

func (r *Rule) matches(e given) Truth         { return r.Match(seen{r, e}) }
func (r *Rule) explained(e given) Explanation { return r.Explain(seen{r, e}) }

// newPattern is a literal of a rule as it is compared.
func newPattern(literal, how string) *pattern { return readLiteral(literal).pattern(how, false) }

func has(values ...string) record.Values { return record.Values{List: values} }

// rule parses one rule with this detection.
func rule(t require.TestingT, detection string) *Rule {
	text := "title: t\nname: t\nlogsource: {product: azure, service: auditlogs}\ndetection:\n"
	for _, line := range strings.Split(strings.TrimSpace(detection), "\n") {
		text += "  " + line + "\n"
	}
	rules, err := Parse("t.yml", strings.NewReader(text), Lists{"three": {"a", "b*", "C"}})
	require.NoError(t, err)
	require.Len(t, rules, 1)
	return rules[0]
}

var truths = []Truth{False, FalseAbsent, Unknown, TrueAbsent, True}

// fixed is an expression of one value.
type fixed Truth

func (f fixed) eval(Event) Truth { return Truth(f) }

func and(a, b Truth) Truth { return allOf{fixed(a), fixed(b)}.eval(nil) }
func or(a, b Truth) Truth  { return anyOf{fixed(a), fixed(b)}.eval(nil) }

func TestTruthTable(t *testing.T) {
	// Rows and columns in the order of truths.
	andTable := [5][5]Truth{
		{False, False, False, False, False},
		{False, FalseAbsent, FalseAbsent, FalseAbsent, FalseAbsent},
		{False, FalseAbsent, Unknown, Unknown, Unknown},
		{False, FalseAbsent, Unknown, TrueAbsent, TrueAbsent},
		{False, FalseAbsent, Unknown, TrueAbsent, True},
	}
	orTable := [5][5]Truth{
		{False, FalseAbsent, Unknown, TrueAbsent, True},
		{FalseAbsent, FalseAbsent, Unknown, TrueAbsent, True},
		{Unknown, Unknown, Unknown, TrueAbsent, True},
		{TrueAbsent, TrueAbsent, TrueAbsent, TrueAbsent, True},
		{True, True, True, True, True},
	}
	for i, a := range truths {
		for j, b := range truths {
			require.Equal(t, andTable[i][j], and(a, b), "%d and %d", a, b)
			require.Equal(t, orTable[i][j], or(a, b), "%d or %d", a, b)
		}
		require.Equal(t, truths[4-i], negated{fixed(a)}.eval(nil))
		require.Equal(t, a == True || a == TrueAbsent, a.Holds())
	}
	require.False(t, Unknown.Holds())
	require.False(t, Unknown.Not().Holds(), "what is not known satisfies neither a clause nor its negation")
}

func TestTruthLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one := rapid.SampledFrom(truths)
		a, b, c, more := one.Draw(t, "a"), one.Draw(t, "b"), one.Draw(t, "c"), one.Draw(t, "more")
		require.Equal(t, a, a.Not().Not())
		require.Equal(t, and(a, b).Not(), or(a.Not(), b.Not()), "De Morgan")
		require.Equal(t, or(a, b).Not(), and(a.Not(), b.Not()), "De Morgan")
		require.Equal(t, and(a, or(b, c)), or(and(a, b), and(a, c)))
		if more >= a {
			require.GreaterOrEqual(t, and(more, b), and(a, b), "monotonic")
			require.GreaterOrEqual(t, or(more, b), or(a, b), "monotonic")
			require.LessOrEqual(t, more.Not(), a.Not())
		}
	})
}

func TestSelections(t *testing.T) {
	for name, c := range map[string]struct {
		detection string
		event     given
		want      Truth
	}{
		"equal, whatever the case":       {"s: {f: AbC}\ncondition: s", given{"f": has("aBc")}, True},
		"not equal":                      {"s: {f: abc}\ncondition: s", given{"f": has("abcd")}, False},
		"any value of the list":          {"s: {f: [a, b]}\ncondition: s", given{"f": has("b")}, True},
		"any element of the field":       {"s: {f: b}\ncondition: s", given{"f": has("a", "b")}, True},
		"a number":                       {"s: {f: 0}\ncondition: s", given{"f": has("0")}, True},
		"true":                           {"s: {f: true}\ncondition: s", given{"f": has("True")}, True},
		"all fields of a search":         {"s: {f: a, g: b}\ncondition: s", given{"f": has("a"), "g": has("x")}, False},
		"any search of a list":           {"s:\n  - {f: a}\n  - {f: b}\ncondition: s", given{"f": has("b")}, True},
		"contains":                       {"s: {f|contains: ell}\ncondition: s", given{"f": has("Hello")}, True},
		"contains not":                   {"s: {f|contains: elx}\ncondition: s", given{"f": has("Hello")}, False},
		"startswith":                     {"s: {f|startswith: he}\ncondition: s", given{"f": has("Hello")}, True},
		"startswith not":                 {"s: {f|startswith: el}\ncondition: s", given{"f": has("Hello")}, False},
		"endswith":                       {"s: {f|endswith: LO}\ncondition: s", given{"f": has("Hello")}, True},
		"endswith not":                   {"s: {f|endswith: el}\ncondition: s", given{"f": has("Hello")}, False},
		"contains all":                   {"s: {f|contains|all: [he, lo]}\ncondition: s", given{"f": has("Hello")}, True},
		"contains not all":               {"s: {f|contains|all: [he, x]}\ncondition: s", given{"f": has("Hello")}, False},
		"all over several elements":      {"s: {f|all: [a, b]}\ncondition: s", given{"f": has("b", "c", "a")}, True},
		"expand":                         {"s: {f|expand: '%three%'}\ncondition: s", given{"f": has("bcd")}, True},
		"expand to none of them":         {"s: {f|expand: '%three%'}\ncondition: s", given{"f": has("cd")}, False},
		"exists":                         {"s: {f|exists: true}\ncondition: s", given{"f": has("x")}, True},
		"exists, and does not":           {"s: {f|exists: true}\ncondition: s", given{}, FalseAbsent},
		"exists not":                     {"s: {f|exists: false}\ncondition: s", given{}, TrueAbsent},
		"exists not, and does":           {"s: {f|exists: false}\ncondition: s", given{"f": has("x")}, False},
		"exists, unknown":                {"s: {f|exists: true}\ncondition: s", given{"f": {Unknown: true}}, Unknown},
		"null":                           {"s: {f: null}\ncondition: s", given{}, TrueAbsent},
		"null, and is there":             {"s: {f: null}\ncondition: s", given{"f": has("x")}, False},
		"null or a value":                {"s: {f: [null, x]}\ncondition: s", given{"f": has("x")}, True},
		"empty":                          {"s: {f: ''}\ncondition: s", given{"f": {Absent: true}}, TrueAbsent},
		"missing":                        {"s: {f: x}\ncondition: s", given{}, FalseAbsent},
		"missing and negated":            {"s: {f: x}\ncondition: not s", given{}, TrueAbsent},
		"missing, all of":                {"s: {f|contains|all: ['*', x]}\ncondition: s", given{}, FalseAbsent},
		"unknown":                        {"s: {f: x}\ncondition: s", given{"f": {Unknown: true}}, Unknown},
		"unknown and negated":            {"s: {f: x}\ncondition: not s", given{"f": {Unknown: true}}, Unknown},
		"unknown beside what is false":   {"s: {f: x, g: y}\ncondition: s", given{"f": {Unknown: true}, "g": has("z")}, False},
		"operation names are normalised": {"s: {operationName: 'Add member to role. '}\ncondition: s", given{"operationName": has("Add member to role")}, True},
		"an en dash in the rule":         {"s: {operationName: \"A \u2013 b \"}\ncondition: s", given{"operationName": has("A - b")}, True},
		"a name with its full stop":      {"s: {Operation: 'Add member to role.'}\ncondition: s", given{"Operation": has("Add member to role")}, True},
		"a message as it is":             {"s: {properties.message: 'A was moved.'}\ncondition: s", given{"properties.message": has("A was moved.")}, True},
		"a part keeps its full stop":     {"s: {operationName|contains: '.'}\ncondition: s", given{"operationName": has("Add user")}, False},
		"a part keeps its blanks":        {"s: {operationName|startswith: 'Add '}\ncondition: s", given{"operationName": has("Address changed")}, False},
		"a part at the end":              {"s: {operationName|endswith: ' role'}\ncondition: s", given{"operationName": has("Add parole")}, False},
		"other fields are not":           {"s: {f: 'role.'}\ncondition: s", given{"f": has("role")}, False},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, rule(t, c.detection).matches(c.event)) })
	}
}

func TestConditions(t *testing.T) {
	searches := "a: {a: x}\nb: {b: x}\nc_1: {c: x}\nc_2: {d: x}\n_hidden: {h: x}\n"
	for condition, want := range map[string]func(a, b, c, d bool) bool{
		"a or b and c_1":             func(a, b, c, d bool) bool { return a || b && c },
		"(a or b) and c_1":           func(a, b, c, d bool) bool { return (a || b) && c },
		"not a and b":                func(a, b, c, d bool) bool { return !a && b },
		"not (a and b)":              func(a, b, c, d bool) bool { return !(a && b) },
		"not not a":                  func(a, b, c, d bool) bool { return a },
		"a and not b or c_2":         func(a, b, c, d bool) bool { return a && !b || d },
		"1 of them":                  func(a, b, c, d bool) bool { return a || b || c || d },
		"all of them":                func(a, b, c, d bool) bool { return a && b && c && d },
		"1 of c_*":                   func(a, b, c, d bool) bool { return c || d },
		"any of c_*":                 func(a, b, c, d bool) bool { return c || d },
		"all of c_*":                 func(a, b, c, d bool) bool { return c && d },
		"a and 1 of c_*":             func(a, b, c, d bool) bool { return a && (c || d) },
		"not 1 of c_* and b":         func(a, b, c, d bool) bool { return !(c || d) && b },
		"a AND (b OR all OF c_*)":    func(a, b, c, d bool) bool { return a && (b || c && d) },
		"1 of c_1":                   func(a, b, c, d bool) bool { return c },
		"(((a)))and(b)or((not c_1))": func(a, b, c, d bool) bool { return a && b || !c },
	} {
		r := rule(t, searches+"condition: "+condition)
		for bits := range 16 {
			on := func(i int) bool { return bits>>i&1 == 1 }
			e := given{}
			for i, name := range []string{"a", "b", "c", "d"} {
				e[name] = has(map[bool]string{true: "x", false: "y"}[on(i)])
			}
			e["h"] = has("y")
			require.Equal(t, want(on(0), on(1), on(2), on(3)), r.matches(e) == True, "%s with %04b", condition, bits)
		}
	}
}

// naive is a wildcard matcher as a child would write it.
func naive(pattern, value []rune) bool {
	if len(pattern) == 0 {
		return len(value) == 0
	}
	switch c := pattern[0]; {
	case c == '*':
		for i := range len(value) + 1 {
			if naive(pattern[1:], value[i:]) {
				return true
			}
		}
		return false
	case c == '?':
		return len(value) > 0 && naive(pattern[1:], value[1:])
	case c == '\\' && len(pattern) > 1 && strings.ContainsRune(`*?\`, pattern[1]):
		pattern = pattern[1:]
		c = pattern[0]
		return len(value) > 0 && value[0] == c && naive(pattern[1:], value[1:])
	default:
		return len(value) > 0 && value[0] == c && naive(pattern[1:], value[1:])
	}
}

func TestWildcards(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.SampledFrom([]rune(`aab*?\é`)), 0, 8, -1).Draw(t, "pattern")
		value := rapid.StringOfN(rapid.SampledFrom([]rune(`aab*?\é`)), 0, 8, -1).Draw(t, "value")
		require.Equal(t, naive([]rune(pattern), []rune(value)), newPattern(pattern, "").matches(value))
		require.Equal(t, naive([]rune(pattern+"*"), []rune(value)) || strings.HasSuffix(pattern, `\`), newPattern(pattern, "startswith").matches(value) || strings.HasSuffix(pattern, `\`))
		require.Equal(t, naive([]rune("*"+pattern), []rune(value)), newPattern(pattern, "endswith").matches(value))
		require.Equal(t, newPattern(pattern, "").matches(value), newPattern(strings.ToUpper(pattern), "").matches(strings.ToUpper(value)))
	})
	// Linear in the value for each star, not exponential.
	require.False(t, newPattern(strings.Repeat("*a", 20)+"b", "").matches(strings.Repeat("a", 20_000)))
}

func TestEscapes(t *testing.T) {
	for pattern, c := range map[string][2]string{ // what matches, what does not
		`a\*b`: {`a*b`, `axb`}, `a\?b`: {`a?b`, `axb`}, `a\\*`: {`a\x`, `ax`}, `a\b`: {`a\b`, `ab`}, `a\\b`: {`a\b`, `a\\b`}, `\`: {`\`, ``},
	} {
		p := newPattern(pattern, "")
		require.True(t, p.matches(c[0]), "%s %s", pattern, c[0])
		require.False(t, p.matches(c[1]), "%s %s", pattern, c[1])
	}
}
