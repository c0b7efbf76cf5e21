package tape

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// What the machine does many bytes at a time is what is done one by one.
func TestQuotesAreFoundTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := rapid.SliceOfN(rapid.SampledFrom([]byte(`""\ax`+"\x00\xff\xa2\xdc!#[]")), 0, 700).Draw(t, "bytes")
		if rapid.Bool().Draw(t, "full") {
			for i := range src {
				src[i] = '"'
			}
		}
		blocks := len(src) / 64
		got, want := make([]sets, blocks+1), make([]sets, blocks+1)
		n, backslashes := fill(got, src)
		wantN, wantBackslashes := findSets(want, src)
		require.Equal(t, want, got)
		require.Equal(t, wantN, n)
		require.Equal(t, wantBackslashes != 0, backslashes != 0)
		to, wantTo := make([]uint32, n+spare), make([]uint32, n+spare)
		places(got, to)
		list(want, wantTo)
		require.Equal(t, wantTo[:n], to[:n])
		require.Equal(t, want, got)
	})
}
