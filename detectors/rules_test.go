package detectors_test

import (
	"slices"
	"testing"

	"cordon/detectors"
	"cordon/detectors/rules"
	"cordon/detectors/ruletest"
	"cordon/internal/directory"
	"github.com/stretchr/testify/require"
)

func TestEveryRuleFiresAndKeepsQuiet(t *testing.T) {
	result, err := ruletest.Run(rules.Shipped)
	require.NoError(t, err)
	for _, c := range result.Cases {
		t.Run(c.File+"/"+c.Kind+"/"+c.Why, func(t *testing.T) { require.NoError(t, c.Err) })
	}
	require.Empty(t, result.Untested, "rules without a firing record or without a quiet one")
	all, err := detectors.Load(rules.Shipped)
	require.NoError(t, err)
	engine, err := detectors.NewEngine(all, directory.New())
	require.NoError(t, err)
	for _, r := range all {
		require.NotEmpty(t, r.ID, r.Name)
		if engine.Serves(r.Name) {
			continue
		}
		require.NotEmpty(t, r.Techniques, r.Name)
		require.NotEmpty(t, r.FalsePositives, r.Name)
		require.NotEmpty(t, r.Custom.Kind, r.Name)
	}
}

func TestRulesCanBeReadInOrder(t *testing.T) {
	all, err := detectors.Load(rules.Shipped)
	require.NoError(t, err)
	var names []string
	for _, r := range all {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	require.Len(t, slices.Compact(names), len(all), "names are unique")
}
