package sigma

import (
	"strings"
	"testing"

	"cordon/internal/record"
	"github.com/stretchr/testify/require"
)

// What fieldref compares ends in time, however long it is: byte by byte it would take hours.
func TestFieldrefIsLinear(t *testing.T) {
	const n = 1 << 20
	for _, how := range []string{"contains", "endswith", "startswith"} {
		r := rule(t, "s: {f|fieldref|"+how+": g}\ncondition: s")
		require.Equal(t, False, r.matches(given{"f": has(strings.Repeat("a", 2*n)), "g": has(strings.Repeat("A", n) + "b")}), how)
		require.Equal(t, True, r.matches(given{"f": has(strings.Repeat("a", 2*n)), "g": has(strings.Repeat("A", n))}), how)
	}
	many := func(of string) record.Values {
		list := make([]string, 2*maxCompared)
		for i := range list {
			list[i] = of
		}
		return has(list...)
	}
	r := rule(t, "s: {f|fieldref|contains: g}\ncondition: s")
	require.Equal(t, False, r.matches(given{"f": many(strings.Repeat("a", 1000)), "g": many(strings.Repeat("a", 500) + "b")}))
}

// The effort for regular expressions is one for all values of a record.
func TestTheEffortOfExpressionsIsBounded(t *testing.T) {
	m, err := newExpression("(a{1,30}){1,30}b", "")
	require.NoError(t, err)
	x := m.(expr)
	effort, searched := maxEffort, 0
	for range 1000 {
		before := effort
		require.False(t, x.within(strings.Repeat("a", maxSearched), &effort))
		require.GreaterOrEqual(t, effort, 0)
		searched += (before - effort) / x.instructions
	}
	require.LessOrEqual(t, searched*x.instructions, maxEffort)
	long := make([]string, 16)
	for i := range long {
		long[i] = strings.Repeat("a", maxSearched)
	}
	spent, err := newExpression("^a*$", "")
	require.NoError(t, err)
	none := 0
	require.False(t, spent.(expr).within("b", &none), "what is not looked at is not nothing")
	r := rule(t, "s: {f|re: '(a{1,30}){1,30}b'}\ncondition: s")
	require.Equal(t, False, r.matches(given{"f": has(long...)}))
	require.Equal(t, True, r.matches(given{"f": has("ab", strings.Repeat("a", maxSearched))}))
}
