package pieces

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// What was handed out stays as it is, whatever is handed out after it.
func TestWhatWasHandedOutStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var texts Texts
		var things Of[int]
		var kept, want []string
		var lists [][]int
		for i, size := range rapid.SliceOf(rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(ofText-1, ofText+1), rapid.IntRange(0, 3*ofThings))).Draw(t, "sizes") {
			said := strings.Repeat(string(rune('a'+i%26)), size)
			memory := []byte(said)
			kept, want = append(kept, texts.Keep(memory)), append(want, said)
			clear(memory)
			list := things.Take(size % (2 * ofThings))
			for at := range list {
				require.Zero(t, list[at])
				list[at] = i
			}
			require.Equal(t, len(list), cap(list))
			lists = append(lists, list)
			*things.One() = -1
		}
		require.Equal(t, want, kept)
		for i, list := range lists {
			for _, n := range list {
				require.Equal(t, i, n)
			}
		}
	})
}
