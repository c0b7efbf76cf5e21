package offline

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sharedData is the folder with records from public sources, which are never copied into the project.
func sharedData(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("CORDON_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared") // beside the repository
	}
	data := filepath.Join(dir, "data")
	if _, err := os.Stat(data); err != nil {
		t.Skipf("no shared records: %v (CORDON_SHARED names their folder)", err)
	}
	return data
}

type expected struct {
	decoded, taken, rejected int
	findings                 map[string]int // by rule
}

// What is expected of each file. A new file must be entered here.
var numbers = map[string]expected{
	"blueteam0ps/eventhub_derived.ndjson": {45, 0, 0, map[string]int{
		"privileged-role-assigned": 2, "method-changed": 1, "user-consent-loosened": 1, "password-spray": 4, "password-spray-hit": 4}},
	"blueteam0ps/ual_all.ndjson":                         {60, 0, 0, nil},
	"msticpy/aad_logons_eventhub_derived.ndjson":         {86, 0, 0, nil},
	"msticpy/aad_logons_loganalytics.ndjson":             {86, 0, 0, nil},
	"opensearch-security-analytics/azure-sample.ndjson":  {0, 0, 1, nil},
	"otrf-security-datasets/AADAuditEvents.ndjson":       {4, 0, 0, map[string]int{"credential-added": 1, "tenant-wide-grant": 1}},
	"otrf-security-datasets/OfficeActivityEvents.ndjson": {1, 0, 0, nil},
	"panther/azure_activity_rules.ndjson":                {90, 5, 0, map[string]int{"diagnostic-setting-removed": 2}},
	"panther/azure_signin_rules.ndjson": {47, 0, 0, map[string]int{
		"conditional-access-deleted": 1, "conditional-access-changed": 1, "privileged-role-assigned": 1, "credential-added": 1, "federation-changed": 1}},
	"stratus-red-team/samples.ndjson": {0, 1, 20, nil},
}

// must are the lines which some finding has to name, counted from 0.
var must = map[string]map[string][]int{
	"blueteam0ps/eventhub_derived.ndjson": {
		"privileged-role-assigned": {0, 1}, "user-consent-loosened": {32}, "method-changed": {34},
		"password-spray": {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 19, 20, 22, 23, 24, 25, 27, 28, 29, 30},
		// Each spray whole, with the record of its hit.
		"password-spray-hit": {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30},
	},
	"panther/azure_signin_rules.ndjson": {
		"federation-changed": {4}, "conditional-access-changed": {25, 26}, "conditional-access-deleted": {30}, "privileged-role-assigned": {38, 40}, "credential-added": {43},
	},
	"otrf-security-datasets/AADAuditEvents.ndjson": {"credential-added": {0, 1}, "tenant-wide-grant": {3}},
}

func TestSharedRecords(t *testing.T) {
	data := sharedData(t)
	seen := 0
	require.NoError(t, filepath.WalkDir(data, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".ndjson") || strings.HasSuffix(path, ".labels.ndjson") {
			return err
		}
		name, err := filepath.Rel(data, path)
		require.NoError(t, err)
		seen++
		t.Run(name, func(t *testing.T) {
			want, listed := numbers[name]
			require.True(t, listed, "what is expected of this file?")
			r := detect(t, Options{Files: []string{path}})
			count := r.Counts[0]
			taken := 0
			for _, n := range count.Taken {
				taken += n
			}
			found := map[string]int{}
			for _, f := range r.Findings {
				found[f.Rule]++
			}
			if want.findings == nil {
				want.findings = map[string]int{}
			}
			require.Equal(t, want, expected{count.Decoded, taken, len(count.Rejected), found})
			for _, rejected := range count.Rejected {
				require.NotEmpty(t, rejected.Reason)
			}
			got := lines(r)
			for rule, wanted := range must[name] {
				slices.Sort(got[rule])
				require.Equal(t, wanted, slices.Compact(got[rule]), rule)
			}
		})
		return nil
	}))
	require.Equal(t, len(numbers), seen)
}
