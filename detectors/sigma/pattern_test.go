package sigma

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// letters are few, so that texts meet; the Kelvin sign and the dotted capital I have small letters that are ASCII.
var letters = []string{"a", "A", "b", "k", "K", "i", "I", "-", " ", "\u212a", "\u0130", "ä", "Ä", "\xff", "日"}

func written(r *rand.Rand, most int) string {
	var out strings.Builder
	plain := r.IntN(2) == 0
	for range r.IntN(most) {
		if plain {
			out.WriteString(letters[r.IntN(9)])
		} else {
			out.WriteString(pick(r, letters...))
		}
	}
	return out.String()
}

// What is compared byte by byte says what comparing character by character says.
func TestAPatternIsTheSameByteByByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 4))
		shapes := map[shape]int{}
		for range 2000 {
			long := r.IntN(2) * 20 // eight characters are compared at a time
			text, how, cased := written(r, 4+long), pick(r, "", "contains", "startswith", "endswith"), r.IntN(4) == 0
			if r.IntN(4) == 0 {
				text = pick(r, "*"+text, text+"*", "*"+text+"*", text+"?", text+"*"+text)
			}
			p := readLiteral(text).pattern(how, cased)
			shapes[p.shape]++
			v := written(r, 8+long)
			if r.IntN(4) == 0 {
				v = pick(r, v+text, text+v, strings.ToUpper(text), text)
			}
			if at := r.IntN(1 + len(v)); r.IntN(8) == 0 { // all but one are the same
				v = v[:at] + pick(r, "a", "B", "ſ", "K") + v[min(at+1, len(v)):]
			}
			require.Equal(t, p.slowly(v), p.matches(v), "%q %s %q", text, how, v)
			several := &test{matchers: []matcher{p, readLiteral(written(r, 4)).pattern(how, cased)}, all: r.IntN(2) == 0}
			slow := several.all
			for _, m := range several.matchers {
				if one := m.(*pattern).slowly(v); one != several.all {
					slow = one
					break
				}
			}
			several.gather()
			require.Equal(t, slow, several.matched([]string{v}), "%q %s %q", text, how, v)
		}
		require.Len(t, shapes, 5)
	})
}
