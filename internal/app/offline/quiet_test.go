package offline

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const ownRules = `title: Created
name: created
logsource: {product: azure, service: auditlogs}
detection: {s: {operationName: Add user}, condition: s}
custom: {mode: MODE, says: "{actor} created {target}"}
---
title: The identity service
name: identity-service
logsource: {product: azure, service: auditlogs}
filter: {rules: [created], selection: {actor.id: u7}, condition: not selection}
custom: {owner: blake, reason: It creates whoever is hired, until: 2026-12-31}
`

func TestQuietFindingsAreMarked(t *testing.T) {
	file := write(t, "a.ndjson", created+"\n"+strings.NewReplacer(`"c1"`, `"c2"`, `"u1"`, `"u7"`).Replace(created)+"\n")
	run := func(mode string, asJSON bool) (string, string) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "r.yml"), []byte(strings.Replace(ownRules, "MODE", mode, 1)), 0o600))
		var out, errs bytes.Buffer
		require.NoError(t, Run(t.Context(), Options{Files: []string{file}, Rules: dir, JSON: asJSON, Out: &out, Errs: &errs}))
		return out.String(), errs.String()
	}
	const counted = "exception identity-service suppressed 1 records that rule created matched\n"
	out, errs := run("audit", false)
	rows := strings.Split(out, "\n")
	require.Regexp(t, ` 0 +audit: avery@contoso\.example created svc@contoso\.example$`, rows[1])
	require.Regexp(t, ` 1 +suppressed by identity-service: avery@contoso\.example created svc@contoso\.example$`, rows[2])
	require.Equal(t, file+": 2 records read\n1 findings are of rules in audit: they would open nothing\n"+counted, errs)

	out, errs = run("on", false)
	require.Regexp(t, ` 0 +avery@contoso\.example created svc@contoso\.example\n`, out)
	require.Equal(t, file+": 2 records read\n"+counted, errs)

	out, errs = run("off", false)
	require.Equal(t, 1, strings.Count(out, "\n"))
	require.Equal(t, file+": 2 records read, of them 2 that no rule looks at (AuditLogs 2)\n", errs)

	out, _ = run("audit", true)
	dec := json.NewDecoder(strings.NewReader(out))
	var first, second map[string]any
	require.NoError(t, dec.Decode(&first))
	require.NoError(t, dec.Decode(&second))
	require.Equal(t, []any{"audit", nil, "audit", "identity-service"}, []any{first["mode"], first["suppressed"], second["mode"], second["suppressed"]})
}
