package sigma

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhy(t *testing.T) {
	for detection, c := range map[string]struct {
		event given
		want  []Reason
	}{
		"a: {f: x, g|contains: [y, z]}\ncondition: a":        {given{"f": has("X"), "g": has("yy")}, []Reason{{"f: x", []string{"X"}}, {"g|contains: y, z", []string{"yy"}}}},
		"a: {f: x}\nb: {g: y}\ncondition: a or b":            {given{"f": has("x"), "g": has("n")}, []Reason{{"f: x", []string{"x"}}}},
		"a: {f: x}\nb: {g: y}\ncondition: a and not b":       {given{"f": has("x"), "g": has("n")}, []Reason{{"f: x", []string{"x"}}, {"not g: y", []string{"n"}}}},
		"a: {f: x}\nb: {g: y, h: z}\ncondition: a and not b": {given{"f": has("x"), "g": has("y")}, []Reason{{"f: x", []string{"x"}}, {"not h: z", []string{""}}}},
		"a: [word]\ncondition: a":                            {given{"f": has("a word")}, []Reason{{"keywords: word", nil}}},
		"a: {f: [a, b, c, d, e]}\ncondition: 1 of them":      {given{"f": has("", "a", "b", "c", "d")}, []Reason{{"f: a, b, c, d, e", []string{"a", "b", "c"}}}},
	} {
		r := rule(t, detection)
		require.True(t, r.matches(c.event).Holds(), detection)
		require.Equal(t, c.want, r.Why(seen{r, c.event}, nil), detection)
	}
	long := rule(t, "a: {f: ["+strings.Repeat("é, ", 300)+"x]}\ncondition: a")
	require.Less(t, len(long.Why(seen{long, given{"f": has("x")}}, nil)[0].Clause), maxClause+10)
}

func TestACorrelationInWords(t *testing.T) {
	require.Equal(t, "value_count of actor.id over wrong-password by signIn.address within 20m: 5 or more",
		(&Correlation{Type: "value_count", Rules: []string{"wrong-password"}, GroupBy: []string{"signIn.address"}, Fields: []string{"actor.id"}, Timespan: 20 * time.Minute, Range: Range{Least: 5, Most: math.MaxInt}}).String())
	require.Equal(t, "event_count over a within 1h30m: 0 to 3, not 2", (&Correlation{Type: "event_count", Rules: []string{"a"}, Timespan: 90 * time.Minute, Range: Range{Most: 3, Except: []int{2}}}).String())
	require.Equal(t, "temporal over a, b within 10s: 2", (&Correlation{Type: "temporal", Rules: []string{"a", "b"}, Timespan: 10 * time.Second, Range: Range{Least: 2, Most: 2}}).String())
	require.Equal(t, "24h", span(24*time.Hour))
}
