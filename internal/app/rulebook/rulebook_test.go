package rulebook

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// What the engine refuses to run no command takes for sound.
func TestABrokenFolderIsRefused(t *testing.T) {
	const single = "title: A\nname: a\nid: abc\nlogsource: {product: azure, service: auditlogs}\ndetection: {s: {operationName: Add user}, condition: s}\n"
	count := func(name, of string) string {
		return "---\ntitle: C\nname: " + name + "\ncorrelation: {type: event_count, rules: [" + of + "], timespan: 5m, condition: {gte: 2}}\n"
	}
	for what, c := range map[string]struct{ text, want string }{
		"a circle":          {count("c", "d") + count("d", "c"), "circle"},
		"of itself":         {count("c", "c"), "circle"},
		"of a missing rule": {single + count("c", "nobody"), "nobody"},
		"a name twice":      {single + "---\n" + single, "twice"},
	} {
		folder := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(folder, "broken.yml"), []byte(c.text), 0o600))
		_, err := Open(folder)
		require.ErrorContains(t, err, "broken.yml:", what)
		t.Log(err)
	}
}

func TestOutput(t *testing.T) {
	book, err := Open(filepath.Join("testdata", "rules"))
	require.NoError(t, err)
	explain := func(rule string, asJSON bool) func(out *bytes.Buffer) error {
		return func(out *bytes.Buffer) error {
			return book.Explain(t.Context(), Explain{Rule: rule, Files: []string{"testdata/records.ndjson"}, JSON: asJSON, Out: out, Errs: out})
		}
	}
	for name, c := range map[string]struct {
		run   func(out *bytes.Buffer) error
		wrong bool
	}{
		"list":             {run: func(out *bytes.Buffer) error { return book.List(out, false) }},
		"list-json":        {run: func(out *bytes.Buffer) error { return book.List(out, true) }},
		"show":             {run: func(out *bytes.Buffer) error { return book.Show(out, "pass-given", noon) }},
		"show-never":       {run: func(out *bytes.Buffer) error { return book.Show(out, "7b0d1f7a-0002-4c1e-8a53-111111111111", noon) }},
		"show-exceptions":  {run: func(out *bytes.Buffer) error { return book.Show(out, "too-wide", noon) }},
		"check":            {run: func(out *bytes.Buffer) error { return book.Check(out, false, false) }, wrong: true},
		"check-json":       {run: func(out *bytes.Buffer) error { return book.Check(out, true, false) }, wrong: true},
		"test":             {run: func(out *bytes.Buffer) error { return book.Test(out, true) }},
		"explain":          {run: explain("pass-given", false)},
		"explain-json":     {run: explain("pass-given", true)},
		"explain-inactive": {run: explain("not-set", false)},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := c.run(&out)
			if c.wrong {
				require.ErrorIs(t, err, ErrWrong)
			} else {
				require.NoError(t, err)
			}
			golden(t, name, out.String())
		})
	}
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func TestShippedRules(t *testing.T) {
	book, err := Open("")
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, book.Check(&out, false, false))
	require.Contains(t, out.String(), " 0 impossible, 0 doubtful, 0 inactive")
	out.Reset()
	require.NoError(t, book.Show(&out, "password-spray", noon))
	require.Contains(t, out.String(), "value_count of actor.id over wrong-password by signIn.address within 20m: 5 or more")
	out.Reset()
	require.NoError(t, book.Explain(t.Context(), Explain{Rule: "password-spray", Files: []string{"testdata/records.ndjson"}, Out: &out, Errs: &out}))
	require.Contains(t, out.String(), "testdata/records.ndjson line 2: wrong-password does not fire")
}

func TestAFailingTest(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"own.yml", "own.test.yml", "vocabulary.yml"} {
		text, err := os.ReadFile(filepath.Join("testdata", "rules", name))
		require.NoError(t, err)
		text = []byte(strings.ReplaceAll(string(text), "avery@contoso.example", "avery@helpdesk.example"))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	book, err := Open(dir)
	require.NoError(t, err)
	var out bytes.Buffer
	require.ErrorIs(t, book.Test(&out, false), ErrWrong)
	require.Contains(t, out.String(), "FAIL own.test.yml fires an administrator gives one: pass-given did not fire\n")
}

func TestWhatIsNotThere(t *testing.T) {
	_, err := Open(filepath.Join("testdata", "none"))
	require.ErrorContains(t, err, "opening the rules")
	_, err = Open(filepath.Join("testdata", "records.ndjson"))
	require.ErrorContains(t, err, "is no folder")
	book, err := Open(filepath.Join("testdata", "rules"))
	require.NoError(t, err)
	require.ErrorContains(t, book.Show(&bytes.Buffer{}, "pass-gven", noon), `there is no rule "pass-gven"; did you mean pass-given?`)
	require.ErrorContains(t, book.Show(&bytes.Buffer{}, "own.yml", noon), "holds 5 rules: name one of them")
	for file, text := range map[string]string{"fields.yml": "signinlogs: {rows: [{field: a}]}", "vocabulary.yml": "audit.oparation: [a]"} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "r.yml"), []byte(offRule), 0o600))
		_, err := Open(dir)
		require.ErrorContains(t, err, file+":1: ")
	}
}

const offRule = "title: Off\nname: is-off\nlogsource: {product: azure, service: auditlogs}\ndetection: {s: {Result: success}, condition: s}\ncustom: {mode: off}\n"

// A rule that is off is explained as any other, with its own fields.
func TestARuleThatIsOffIsExplained(t *testing.T) {
	dir := t.TempDir()
	other := "title: Other\nname: a\nlogsource: {product: azure, service: auditlogs}\ndetection: {s: {OperationName: x}, condition: s}\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "r.yml"), []byte(other+"---\n"+offRule), 0o600))
	book, err := Open(dir)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, book.Explain(t.Context(), Explain{Rule: "is-off", Files: []string{filepath.Join("testdata", "records.ndjson")}, Out: &out, Errs: &out}))
	require.Contains(t, out.String(), "line 0: is-off fires, but is off\n")
	require.Contains(t, out.String(), "✓ Result: success   is success\n")
}

// An export begins with the newest as often as not: a later line may say who was privileged.
func TestWhoIsPrivilegedALaterRecordSays(t *testing.T) {
	signIn := `{"time":"2026-03-02T10:00:00Z","category":"SignInLogs","tenantId":"t","properties":{"id":"s1","createdDateTime":"2026-03-02T10:00:00Z","userId":"u9","userPrincipalName":"u9@contoso.example","ipAddress":"192.0.2.1","status":{"errorCode":0},"authenticationRequirement":"singleFactorAuthentication","authenticationDetails":[{"authenticationMethod":"Password","succeeded":true}]}}`
	role := `{"time":"2026-03-02T09:00:00Z","category":"AuditLogs","tenantId":"t","operationName":"Add member to role","properties":{"id":"r1","activityDateTime":"2026-03-02T09:00:00Z","result":"success","initiatedBy":{"user":{"id":"u1"}},"targetResources":[{"id":"u9","type":"User","modifiedProperties":[{"displayName":"Role.TemplateId","newValue":"\"62e90394-69f5-4237-9190-012177145e10\""}]}]}}`
	book, err := Open("")
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, book.Explain(t.Context(), Explain{Rule: "admin-without-mfa", Files: []string{"-"}, In: strings.NewReader(signIn + "\n" + role + "\n"), Out: &out, Errs: &out}))
	require.Contains(t, out.String(), "- line 0: admin-without-mfa fires")
}
