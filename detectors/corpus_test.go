package detectors

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cordon/detectors/rules"
	"cordon/internal/directory"
	"github.com/stretchr/testify/require"
)

// SigmaHQ's rules for Azure, where a copy of them is at hand: below the shared folder's data/sigma.
func corpus(t *testing.T) fs.FS {
	folder := sharedFolder()
	if folder == "" {
		t.Skip("no copy of SigmaHQ's rules here")
	}
	return os.DirFS(filepath.Join(folder, "data", "sigma"))
}

// sharedFolder is where records and rules of others are, "" where they are not.
func sharedFolder() string {
	shared := os.Getenv("CORDON_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "shared") // beside the checkout
	}
	if _, err := os.Stat(filepath.Join(shared, "data", "sigma")); err != nil {
		return ""
	}
	return shared
}

func TestSigmaHQsRulesLoad(t *testing.T) {
	all, err := Load(corpus(t))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(all), 98)
	inactive := 0
	for _, r := range all {
		require.NotEmpty(t, r.Categories, r.File)
		require.NotEmpty(t, r.Clauses(), r.File)
		placeholder := false
		for _, c := range r.Clauses() {
			placeholder = placeholder || strings.Contains(strings.Join(c.Modifiers, "|"), "expand")
		}
		require.Equal(t, placeholder, len(r.Placeholders()) > 0, r.File)
		if placeholder {
			inactive++
		}
	}
	require.Positive(t, inactive)
	_, err = NewEngine(all, directory.New())
	require.NoError(t, err)
}

func TestTheShippedRulesAreActive(t *testing.T) {
	all, err := Load(rules.Shipped)
	require.NoError(t, err)
	for _, r := range all {
		require.Empty(t, r.Placeholders(), r.Name)
	}
}
