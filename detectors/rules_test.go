package detectors

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cordon/detectors/rules"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/record"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// ruleTest is the proof beside a rule: records on which it fires, and the same records with one field changed, on
// which it does not.
type ruleTest struct {
	Fires []struct {
		Why       string                `yaml:"why"`
		Rule      string                `yaml:"rule"`
		Also      []string              `yaml:"also"`
		Directory []directory.Principal `yaml:"directory"`
		Records   []map[string]any      `yaml:"records"`
	} `yaml:"fires"`
	Quiet       []variant `yaml:"quiet"`
	Unconfirmed []variant `yaml:"unconfirmed"`
}

type variant struct {
	Why  string         `yaml:"why"`
	Rule string         `yaml:"rule"`
	Of   int            `yaml:"of"` // which firing example it changes
	Set  map[string]any `yaml:"set"`
}

func TestEveryRuleFiresAndKeepsQuiet(t *testing.T) {
	all, err := Load(rules.Shipped)
	require.NoError(t, err)
	fired, kept := map[string]bool{}, map[string]bool{}
	files, err := fs.Glob(rules.Shipped, "*/*.test.yml")
	require.NoError(t, err)
	for _, file := range files {
		data, err := fs.ReadFile(rules.Shipped, file)
		require.NoError(t, err)
		var test ruleTest
		dec := yaml.NewDecoder(strings.NewReader(string(data)))
		dec.KnownFields(true)
		require.NoError(t, dec.Decode(&test), file)
		only := ""
		for _, r := range all {
			if r.File == strings.Replace(file, ".test.yml", ".yml", 1) {
				only = r.Name // files with one rule need not name it
			}
		}
		name := func(rule string) string {
			if rule == "" {
				return only
			}
			return rule
		}
		for i, f := range test.Fires {
			t.Run(fmt.Sprintf("%s/fires/%s", file, f.Why), func(t *testing.T) {
				found := run(t, f.Directory, f.Records, nil)
				for _, rule := range append(f.Also, name(f.Rule)) {
					require.Contains(t, found, rule)
					require.False(t, found[rule].Unconfirmed)
					require.NotContains(t, found[rule].Says, "unknown", "the sentence is complete")
					fired[rule] = true
				}
			})
			_ = i
		}
		for _, q := range test.Quiet {
			t.Run(fmt.Sprintf("%s/quiet/%s", file, q.Why), func(t *testing.T) {
				require.Len(t, q.Set, 1, "a quiet record differs in one field")
				f := test.Fires[q.Of]
				require.NotContains(t, run(t, f.Directory, f.Records, q.Set), name(q.Rule))
				kept[name(q.Rule)] = true
			})
		}
		for _, u := range test.Unconfirmed {
			t.Run(fmt.Sprintf("%s/unconfirmed/%s", file, u.Why), func(t *testing.T) {
				f := test.Fires[u.Of]
				found := run(t, f.Directory, f.Records, u.Set)
				require.True(t, found[name(u.Rule)].Unconfirmed)
			})
		}
	}
	engine, err := NewEngine(all, directory.New())
	require.NoError(t, err)
	for _, r := range all {
		require.NotEmpty(t, r.ID, r.Name)
		if engine.base[r.Name] {
			continue
		}
		require.NotEmpty(t, r.Techniques, r.Name)
		require.NotEmpty(t, r.FalsePositives, r.Name)
		require.NotEmpty(t, r.Custom.Kind, r.Name)
		require.True(t, fired[r.Name], "%s has no firing record", r.Name)
		require.True(t, kept[r.Name], "%s has no quiet record", r.Name)
	}
}

// run feeds the records to all shipped rules and returns the findings by rule.
func run(t *testing.T, holders []directory.Principal, records []map[string]any, set map[string]any) map[string]finding.Finding {
	t.Helper()
	all, err := Load(rules.Shipped)
	require.NoError(t, err)
	d := directory.New()
	d.Load(directory.Snapshot{Tenant: "7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11", Read: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Principals: holders})
	engine, err := NewEngine(all, d)
	require.NoError(t, err)
	found := map[string]finding.Finding{}
	for i, rec := range records {
		raw, err := json.Marshal(rec)
		require.NoError(t, err)
		for path, value := range set {
			index, rest, _ := strings.Cut(path, ".")
			if index == strconv.Itoa(i) {
				var copied any
				require.NoError(t, json.Unmarshal(raw, &copied))
				require.True(t, change(copied, strings.Split(rest, "."), value), "there is no %s to change", path)
				raw, err = json.Marshal(copied)
				require.NoError(t, err)
			}
		}
		r, err := record.Decode(raw, record.Defaults{})
		require.NoError(t, err)
		for _, f := range engine.Process(r, strconv.Itoa(i)) {
			found[f.Rule] = f
		}
	}
	for _, f := range engine.Flush() {
		found[f.Rule] = f
	}
	return found
}

// change sets a value that is already there.
func change(v any, path []string, value any) bool {
	switch v := v.(type) {
	case map[string]any:
		// A dot may stand in a key's place only at the end of a path, so keys are looked up one by one.
		inner, ok := v[path[0]]
		if !ok {
			return false
		}
		if len(path) == 1 {
			v[path[0]] = value
			return true
		}
		return change(inner, path[1:], value)
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i >= len(v) {
			return false
		}
		if len(path) == 1 {
			v[i] = value
			return true
		}
		return change(v[i], path[1:], value)
	}
	return false
}

func TestRulesCanBeReadInOrder(t *testing.T) {
	all, err := Load(rules.Shipped)
	require.NoError(t, err)
	var names []string
	for _, r := range all {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	require.Len(t, slices.Compact(names), len(all), "names are unique")
}
