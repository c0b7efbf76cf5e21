package spelling

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNearest(t *testing.T) {
	require.Equal(t, "Update conditional access policy", Nearest("Updated conditional access policies", []string{"Add policy", "Update conditional access policy"}))
	require.Empty(t, Nearest("x", []string{"y"}))
}

func TestSlip(t *testing.T) {
	keys := []string{"id", "level", "falsepositives", "logsource", "group-by"}
	for name, want := range map[string]string{"levle": "level", "levels": "level", "Level": "level", "false_positives": "falsepositives", "log source": "logsource", "groupby": "group-by", "falsepositive": "falsepositives",
		"owner": "", "ticket": "", "ids": "", "confidence": "", "label": "", "state": "", "": ""} {
		require.Equal(t, want, Slip(name, keys), name)
	}
}

func TestDistance(t *testing.T) {
	require.Equal(t, 3, Distance("abc", "xyz", 3))
	require.Equal(t, 2, Distance("abc", "xyz", 1), "one more than the most that is asked for")
	require.Equal(t, 1, Distance("abc", "ab", 2))
	require.Zero(t, Distance("", "", 0))
}
