package packed

import (
	"cmp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var texts = []string{"", "a", "A", "b|c", "ü", "Ü", "7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11", "7C2F0C1E-52A7-4F1E-9A0B-3A5F5F0E7A11", "7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a1g",
	"7c2f0c1e052a704f1e09a0b03a5f5f0e7a11", "fc2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11", "\x01|/\x0c\x1eR\xa7O\x1e\x9a\x0b:__\x0ez\x11", "7", strings.Repeat("long ", 100)}

func TestTexts(t *testing.T) {
	for _, s := range texts {
		for _, likely := range [][]string{nil, {"b"}, {"x", s}} {
			all := append(Text(nil, s, likely...), "rest"...)
			got, rest, ok := CutText(string(all), likely...)
			require.True(t, ok)
			require.Equal(t, s, got)
			require.Equal(t, "rest", rest)
			skipped, ok := Skip(string(all))
			require.True(t, ok)
			require.Equal(t, "rest", skipped)
		}
		_, _, ok := CutText(string(Text(nil, s, s)))
		require.False(t, ok, "no likely one was named")
		i, _, ok := CutLike(string(Text(nil, s, "x", s)))
		require.True(t, ok)
		require.Equal(t, 1, i)
		_, _, ok = CutLike(string(Text(nil, s)))
		require.False(t, ok)
	}
	require.Len(t, Text(nil, texts[6]), 17, "a GUID")
}

func TestOrderAndEqualityOfPackedTexts(t *testing.T) {
	for _, a := range texts {
		for _, b := range texts {
			packedA, packedB := string(Text(nil, a)), string(Text(nil, b))
			require.Equal(t, cmp.Compare(a, b), Compare(packedA, packedB), "%q %q", a, b)
			keyA, _, ok := CutKey(packedA + "x")
			require.True(t, ok)
			keyB, _, _ := CutKey(packedB + "y")
			lowA, lowB := strings.ToLower(a), strings.ToLower(b) // not by folding: the Kelvin sign's small letter is k
			require.Equal(t, lowA == lowB, keyA == keyB, "%q %q", a, b)
			require.Equal(t, a == "", keyA == "")
		}
	}
	key, _, ok := CutKey(string(Text(nil, "a", "a")))
	require.True(t, ok)
	require.Empty(t, key, "a likely one")
}

// What is damaged is refused, and what is read of it is within it.
func FuzzCut(f *testing.F) {
	for _, s := range texts {
		f.Add(string(Text(nil, s)), s)
	}
	f.Add("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "")
	f.Add("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "")
	f.Fuzz(func(t *testing.T, from, text string) {
		s, rest, ok := CutText(from, "likely")
		skipped, skips := Skip(from)
		_, behind, keyed := CutKey(from)
		if ok {
			require.True(t, skips && keyed)
			require.Equal(t, rest, skipped)
			require.Equal(t, rest, behind)
			require.Less(t, len(rest), len(from))
			again, _, _ := CutText(string(Text(nil, s)))
			require.Equal(t, s, again)
		} else {
			require.Empty(t, s+rest)
		}
		_, left, ok := CutNumber(from)
		require.True(t, !ok || strings.HasSuffix(from, left) && len(left) < len(from))
		if _, left, ok := CutLike(from); ok {
			require.True(t, strings.HasSuffix(from, left) && len(left) < len(from))
		}
		require.Equal(t, Compare(from, from), 0)
		got, _, ok := CutText(string(Text(nil, text)))
		require.True(t, ok)
		require.Equal(t, text, got)
	})
}
