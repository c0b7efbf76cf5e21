package sigma

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"cordon/internal/record"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// slots is an event whose slots are the fields of its rule.
type slots struct{ seen }

func (s slots) Slot(i int) record.Values { return s.Field(i) }

// Plain is as a record's JSON: the values in whatever order, with something between them.
func (s slots) Plain() (text []byte, plain bool) {
	plain = true
	s.Each(func(v string) bool {
		for i := range len(v) {
			plain = plain && v[i] < 0x80 && v[i] != '\\'
		}
		text = append(append(text, v...), '"', ',', '"')
		return true
	})
	return text, plain
}

func TestTriggers(t *testing.T) {
	for detection, want := range map[string]string{
		"s: {f: A, g: [b, c]}\ncondition: s":                               "f=a",
		"s: {f: a}\nn: {g: x}\ncondition: s and not n":                     "f=a",
		"s: {f: a}\nn: {g: x}\ncondition: s or n":                          "f=a g=x",
		"s: {f: a}\nn: {g: x}\ncondition: not s and not n":                 "always",
		"s: {f: a}\nn: {g: x}\ncondition: s or not n":                      "always",
		"s: {f: [a, null]}\ncondition: s":                                  "always",
		"s: {f: ''}\ncondition: s":                                         "always",
		"s: {f|neq: a}\ncondition: s":                                      "always",
		"s: {f|re: a, g|contains: some}\ncondition: s":                     "g~some",
		"s: {f|contains: ab}\ncondition: s":                                "always",
		"s: {f|startswith: [Abc, 'x*long?y']}\ncondition: s":               "f~abc f~long",
		"s: {f|contains|all: [a, bcd]}\ncondition: s":                      "f~bcd",
		"s: {f: 'a*'}\ncondition: s":                                       "always",
		"s: {f|exists: true}\ncondition: s":                                "always",
		"s: {f|cased: AbC}\ncondition: s":                                  "f=abc",
		"s: [Some word, other]\ncondition: s":                              "*~other *~some word",
		"s: {f|fieldref: g}\ncondition: s":                                 "always",
		"s: {f|expand: '%three%'}\ncondition: s":                           "always", // b* has no part that is long enough
		"s: {f|windash: 'a-b', g|contains: whoami}\ncondition: s":          "g~whoami",
		"s: {f|base64offset|contains: whoami}\ncondition: 1 of them":       "f~3ag9hbw f~d2hvyw1p f~dob2fta",
		"a_1: {f: x}\na_2: {f: y}\nb: {g: z}\ncondition: all of a_* and b": "f=x",
	} {
		r := rule(t, detection)
		got := "always"
		if trigger, ok := triggerOf(r.match, func(n need) int { return len(n.wholes) * 10 / (1 + len(n.wholes)*len(n.wholes)) }); ok {
			var texts []string
			for _, n := range trigger {
				name := "*"
				if n.field != wholeRecord {
					name = r.fields[n.field]
				}
				for _, w := range n.wholes {
					texts = append(texts, name+"="+w)
				}
				for _, p := range n.parts {
					texts = append(texts, name+"~"+p)
				}
			}
			slices.Sort(texts)
			got = strings.Join(texts, " ")
		}
		require.Equal(t, want, got, detection)
	}
}

// Many texts of one length, and long ones, each lead to their rule and to no other.
func TestAnIndexOfManyTexts(t *testing.T) {
	var texts []string
	for i := range 40 {
		texts = append(texts, fmt.Sprintf("text%03d", i), strings.Repeat("é", i+1), fmt.Sprintf("%0*d", 250+i%10, i))
	}
	var rules []*Rule
	for _, text := range texts {
		rules = append(rules, rule(t, "s: {f: '"+text+"'}\ncondition: s"))
	}
	x, found := NewIndex(rules, func(int, int) int { return 0 }), NewCandidates()
	for i, text := range texts {
		for _, v := range []string{text, strings.ToUpper(text)} {
			x.Find(slots{seen{rules[i], given{"f": has(v)}}}, found)
			require.Equal(t, i, found.Next(0), v)
			require.Equal(t, -1, found.Next(i+1), v)
		}
	}
	for _, v := range []string{"text040", "text0000", "x", strings.Repeat("0", 255), strings.Repeat("0", 500)} {
		x.Find(slots{seen{rules[0], given{"f": has(v)}}}, found)
		require.Equal(t, -1, found.Next(0), v)
	}
}

func TestTheScannerFindsEveryText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 4))
		texts := map[string][]int32{}
		for i := range 1 + r.IntN(20) {
			var b strings.Builder
			for range 3 + r.IntN(1+r.IntN(12)) {
				b.WriteByte("abc"[r.IntN(3)])
			}
			texts[b.String()] = append(texts[b.String()], int32(i))
		}
		s := newScanner(texts)
		for range 50 {
			var b strings.Builder
			for range r.IntN(60) {
				b.WriteByte("abcd"[r.IntN(4)])
			}
			var want, got []int32
			for text, rules := range texts {
				if strings.Contains(b.String(), text) {
					want = append(want, rules...)
				}
			}
			s.find([]byte(b.String()), func(rules []int32) { got = append(got, rules...) })
			slices.Sort(want)
			slices.Sort(got)
			require.Equal(t, want, slices.Compact(got), "%s %v", b.String(), texts)
		}
	})
}

// Thousands of texts are looked up as they are compared in turn: whatever their case and their number.
func TestManyLiteralsAreLookedUp(t *testing.T) {
	var values []string
	for i := range 1000 {
		values = append(values, fmt.Sprintf("'Value-%d-É'", i))
	}
	r := rule(t, "s: {f: ["+strings.Join(values, ", ")+", 'wild*']}\ncondition: s")
	require.Len(t, r.clauses[0].literals, 1000)
	for value, want := range map[string]Truth{"VALUE-7-é": True, "value-999-É": True, "value-1000-é": False, "": FalseAbsent, "Wilder": True, strings.Repeat("value-7-é", 9): False} {
		e := seen{r, given{"f": record.Values{List: []string{value}, Absent: value == ""}}}
		require.Equal(t, want, r.Match(e), value)
	}
	var e Event = seen{r, given{"f": has("value-77777")}}
	require.Zero(t, testing.AllocsPerRun(100, func() { r.Match(e) }))
	require.Equal(t, False, rule(t, "s: {f: ["+strings.Join(values, ", ")+"]}\ncondition: not s").matches(given{"f": has("Value-3-é")}))
	empty := rule(t, "s: {f: ['', "+strings.Join(values, ", ")+"]}\ncondition: s")
	require.Equal(t, TrueAbsent, empty.matches(given{}))
}
