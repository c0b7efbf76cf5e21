package record

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// What is done by hand is what the standard library does.
func TestWords(t *testing.T) {
	words := rapid.OneOf(rapid.SampledFrom([]string{"success", "SUCCESS", "\u017fuccess", "to\u212aen", "claim in the To\u212aEN", "xtokenx", "MFA completed in Azure AD", "é", ""}), rapid.StringMatching(`[tokenTOKEN ]{0,12}`), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		s := words.Draw(t, "s")
		for _, word := range []string{"success", "token", "k", "mfa completed in azure ad"} {
			require.Equal(t, strings.ToLower(s) == word, is(s, word))
			require.Equal(t, strings.HasPrefix(strings.ToLower(s), word), hasPrefix(s, word))
			require.Equal(t, strings.Contains(strings.ToLower(s), word), says(s, word))
		}
		require.Equal(t, strings.ToLower(s), string(AppendLower(nil, s)))
		number := rapid.OneOf(rapid.StringMatching(`[ +-]?[0-9_]{0,22} ?`), rapid.String()).Draw(t, "number")
		want, err := strconv.Atoi(strings.TrimSpace(number))
		got, ok := integer(number)
		require.Equal(t, err == nil, ok, number)
		if ok {
			require.Equal(t, want, got)
			require.False(t, plain(strings.TrimSpace(number)) && strconv.Itoa(want) != strings.TrimSpace(number), number)
		}
	})
}

func TestGUIDs(t *testing.T) {
	for s, want := range map[string]bool{tenantID: true, strings.ToUpper(tenantID): true, tenantID + "\n": false, tenantID[1:]: false, tenantID[1:] + "g": false, strings.ReplaceAll(tenantID, "-", "0"): false, "": false} {
		require.Equal(t, want, isGUID(s), s)
	}
}

// The form that nearly all times have is read as the layouts read it.
func TestPlainTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`(19[67]|20[0-9]|99[89])[0-9]-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.,][0-9]{0,11})?(Z|ZZ|\+01:00)?`).Draw(t, "time")
		got, ok := plainTime(s)
		if !ok {
			return // the layouts are asked
		}
		for _, layout := range layouts {
			if want, err := time.Parse(layout, s); err == nil {
				require.Equal(t, want.UTC(), got, s)
				return
			}
		}
		t.Fatalf("%q is no time, and was read as %s", s, got)
	})
}

func TestAddressesAreWhatNetipReads(t *testing.T) {
	lenient := func(s string) string {
		s = strings.TrimSpace(s)
		if a, err := netip.ParseAddr(s); err == nil {
			return a.Unmap().WithZone("").String()
		}
		if ap, err := netip.ParseAddrPort(s); err == nil {
			return ap.Addr().Unmap().WithZone("").String()
		}
		return strings.TrimPrefix(s, "<null>")
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.StringMatching(`[0-9]{1,3}(\.[0-9]{1,3}){3,4}(:[0-9 +]{0,6})?`), rapid.StringMatching(`[1-9]{1,2}(\.(0|[1-9]{1,2})){3}(:[0-9]{1,5})?`), rapid.StringMatching(`\[?(::|fe80::)?(ffff:)?[0-9a-f.:]{0,20}(%e)?\]?(:[0-9]{1,3})?`), rapid.String()).Draw(t, "address")
		if s != "" && !strings.HasPrefix(s, "<null>") {
			require.Equal(t, lenient(s), Address(s), s)
		}
	})
	require.Empty(t, Address("<null>"))
}
