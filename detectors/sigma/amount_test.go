package sigma

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAmountsAreDecimalNumbersOfLimitedLength(t *testing.T) {
	for text, want := range map[string]string{"1": "1", "-2.50": "-5/2", " 3 ": "3", "1e3": "1000", "1E-2": "1/100", "+7": "7", ".5": "1/2", "0": "0"} {
		is, ok := amount(text)
		require.True(t, ok, text)
		require.Equal(t, want, is.RatString(), text)
	}
	for _, text := range []string{"", " ", "x", "1/2", "0x10", "1_000", "1e31", "1e-31", "1e999999999", strings.Repeat("9", 31), "." + strings.Repeat("9", 31), "--1", "+-1", "1e", "1e5p", "e5", "NaN", "Inf", "1.2.3", "1 2"} {
		is, ok := amount(text)
		require.False(t, ok, "%q is %v", text, is)
	}
}
