package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRulesOfAFolder(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "r.yml"), []byte("title: Never\nname: never\nlogsource: {product: azure, service: auditlogs}\ndetection:\n  s:\n    operationName: Add member from group\n  condition: s\n"), 0o600))
	record := `{"time":"2026-03-02T08:10:05Z","category":"AuditLogs","tenantId":"t","operationName":"Add member to group","properties":{"id":"1","activityDateTime":"2026-03-02T08:10:05Z"}}`

	status, out, errs := command(t, "", "rules", "check", dir)
	require.Equal(t, 1, status)
	require.Contains(t, out, "r.yml:6: impossible: operationName: Add member from group: a mixture of two operations; real: Remove member from group, Add member to group\n1 rules: 0 fine, 1 impossible")
	require.Equal(t, "cordon: something is wrong with the rules\n", errs)

	status, out, _ = command(t, "", "rules", "list", "--rules", dir, "--json")
	require.Zero(t, status)
	require.Contains(t, out, `"name":"never","title":"Never","level":"medium","mode":"audit","categories":["AuditLogs"],"state":"impossible"`)

	status, out, _ = command(t, "", "rules", "show", "--rules", dir, "r.yml")
	require.Zero(t, status)
	require.Contains(t, out, "impossible")

	status, out, _ = command(t, "", "rules", "test", dir)
	require.Zero(t, status)
	require.Contains(t, out, "0 cases, 0 failed, 1 rules untested")

	status, out, _ = command(t, record, "explain", "--rules", dir, "--rule", "never", "-")
	require.Zero(t, status)
	require.Contains(t, out, "- line 0: never does not fire\n")
	require.Contains(t, out, "Add member to group")

	status, _, errs = command(t, "", "explain", "--rules", dir, "--rule", "nver", "-")
	require.Equal(t, 1, status)
	require.Contains(t, errs, `there is no rule "nver"; did you mean never?`)
}

func TestShippedRulesAreSound(t *testing.T) {
	status, out, errs := command(t, "", "rules", "check")
	require.Zero(t, status, out+errs)
	status, out, errs = command(t, "", "rules", "test")
	require.Zero(t, status, out+errs)
	status, _, _ = command(t, "", "rules", "check", "--strict")
	require.Equal(t, 1, status, "some are wide on purpose")
}
