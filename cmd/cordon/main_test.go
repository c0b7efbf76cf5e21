package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// command runs a command line as the user would.
func command(t *testing.T, in string, args ...string) (status int, out, errs string) {
	var o, e bytes.Buffer
	status = run(t.Context(), args, strings.NewReader(in), &o, &e)
	return status, o.String(), e.String()
}

func TestBadInputIsNamed(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	log := file("log.ndjson", `{"category":"AuditLogs"}`)
	file("rules/bad.yml", "title: x\nname: x\nlogsource: {product: azure, service: auditlogs}\ndetection:\n  a:\n    operationName|sounds-like: y\n  condition: a\n")
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no such file":          {[]string{"detect", filepath.Join(dir, "none")}, "no such file"},
		"unknown modifier":      {[]string{"detect", "--rules", filepath.Join(dir, "rules"), log}, `bad.yml:6: unknown modifier "sounds-like" of field operationName`},
		"no time":               {[]string{"detect", "--assume-time", "yesterday", log}, `--assume-time "yesterday": expected a time such as`},
		"config with a typo":    {[]string{"config", "check", file("typo.yaml", "data: x\ntennants: []\n")}, `typo.yaml: line 2: unknown key tennants`},
		"config with bad rules": {[]string{"config", "check", file("rules.yaml", "data: x\ngraph: http://127.0.0.1:1\nlisten: 127.0.0.1:0\ntenants: [{id: t, credential: {token: {env: X}}}]\nrules: "+filepath.Join(dir, "rules")+"\n")}, `bad.yml:6: unknown modifier "sounds-like"`},
		"config without rules":  {[]string{"config", "check", file("nowhere.yaml", "data: x\ngraph: http://127.0.0.1:1\nlisten: 127.0.0.1:0\ntenants: [{id: t, credential: {token: {env: X}}}]\nrules: "+filepath.Join(dir, "nowhere")+"\n")}, "nowhere: no such file"},
		"no folder of rules":    {[]string{"detect", "--rules", filepath.Join(dir, "nowhere"), log}, "nowhere: no such file"},
		"config with a secret":  {[]string{"config", "check", file("secret.yaml", "data: x\nchat: {slack: {channel: c, token: hunter2}}\n")}, "a secret is named by {env: NAME} or {file: PATH}, never written here"},
		"no Cordon runs":        {[]string{"incidents", "list", "--data", dir}, "no Cordon is running here"},
		"no configuration":      {[]string{"serve", "--config", filepath.Join(dir, "none.yaml")}, "opening the configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("XDG_CACHE_HOME", dir)
			status, _, errs := command(t, "", c.args...)
			require.Equal(t, 1, status)
			require.Contains(t, errs, c.says)
			require.NotContains(t, errs, "hunter2")
		})
	}
}

func TestDetectReadsStandardInput(t *testing.T) {
	status, out, errs := command(t, `{"records":[{"time":"2026-03-02T08:10:05Z","category":"AuditLogs","tenantId":"t","operationName":"Delete conditional access policy","properties":{"id":"1","result":"success","activityDateTime":"2026-03-02T08:10:05Z","initiatedBy":{"user":{"id":"u","userPrincipalName":"u@contoso.example"}},"targetResources":[{"type":"Policy","displayName":"MFA"}]}}]}
not json
`, "detect", "--json", "-")
	require.Zero(t, status)
	require.Contains(t, out, `"rule":"conditional-access-deleted"`)
	require.Contains(t, out, `"technique":["T1556.009"]`)
	require.Contains(t, errs, "-: 1 records read, 1 not read:\n  line 1: a record is a JSON object")
}
