package offline

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const tenantID = "7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11"

// created is the record of a user created; the audit record that gives him a role; his sign-in with one factor.
const (
	created = `{"time":"2026-03-02T08:10:05Z","category":"AuditLogs","operationName":"Add user","tenantId":"` + tenantID + `","properties":{"id":"c1","result":"success","initiatedBy":{"user":{"id":"u1","userPrincipalName":"avery@contoso.example"}},"targetResources":[{"id":"u9","type":"User","userPrincipalName":"svc@contoso.example"}]}}`
	signIn  = `{"time":"2026-03-02T08:20:05Z","category":"SignInLogs","tenantId":"` + tenantID + `","properties":{"id":"s1","createdDateTime":"2026-03-02T08:20:00Z","userId":"u9","userPrincipalName":"svc@contoso.example","ipAddress":"198.51.100.23","status":{"errorCode":0},"authenticationRequirement":"singleFactorAuthentication","authenticationDetails":[]}}`
	given   = `{"time":"2026-03-02T08:15:00Z","category":"AuditLogs","operationName":"Add member to role","tenantId":"` + tenantID + `","properties":{"id":"g1","result":"success","initiatedBy":{"user":{"id":"u1","userPrincipalName":"avery@contoso.example"}},"targetResources":[{"id":"u9","type":"User","modifiedProperties":[{"displayName":"Role.DisplayName","newValue":"\"Global Administrator\""}]}]}}`
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func detect(t *testing.T, o Options) *Result {
	t.Helper()
	r, err := Detect(t.Context(), o)
	require.NoError(t, err)
	return r
}

// lines says which lines each rule names.
func lines(r *Result) map[string][]int {
	out := map[string][]int{}
	for _, f := range r.Findings {
		for _, p := range f.Records {
			out[f.Rule] = append(out[f.Rule], p.Line)
		}
	}
	return out
}

func TestStandardInputAndCompression(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte(created + "\n"))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	file := write(t, "audit.json.gz", packed.String())

	r := detect(t, Options{Files: []string{file}})
	require.Equal(t, map[string][]int{"user-created": {0}}, lines(r))
	for _, in := range []string{created, packed.String()} {
		r = detect(t, Options{Files: []string{"-"}, In: strings.NewReader(in)})
		require.Equal(t, map[string][]int{"user-created": {0}}, lines(r))
		require.Equal(t, "-", r.Findings[0].Records[0].File)
		require.Equal(t, "-", r.Counts[0].File)
	}
	_, err = Detect(t.Context(), Options{Files: []string{"-", "-"}, In: strings.NewReader(created)})
	require.ErrorContains(t, err, "more than once")
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "cordon-detect-*"))
	require.NoError(t, err)
	require.Empty(t, left, "what was kept of standard input is removed")

	// Somebody who waits for more than comes, and is told to end: the file is gone at once.
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		_, err := Detect(ctx, Options{Files: []string{"-"}, In: in})
		ended <- err
	}()
	_, err = out.Write([]byte(created + "\n"))
	require.NoError(t, err)
	cancel()
	require.Eventually(t, func() bool {
		left, err := filepath.Glob(filepath.Join(os.TempDir(), "cordon-detect-*"))
		return err == nil && len(left) == 0
	}, 5*time.Second, time.Millisecond)
	require.NoError(t, out.Close())
	require.Error(t, <-ended)
}

func TestTenantOfRecordsThatNameNone(t *testing.T) {
	file := write(t, "bare.json", strings.Replace(created, `"tenantId":"`+tenantID+`",`, "", 1))
	r := detect(t, Options{Files: []string{file}})
	require.Len(t, r.Counts[0].Rejected, 1)
	require.Contains(t, r.Counts[0].Rejected[0].Reason, "no tenant")
	require.Empty(t, r.Findings)

	r = detect(t, Options{Files: []string{file}, Tenant: "given"})
	require.Len(t, r.Findings, 1)
	require.Equal(t, "given", r.Findings[0].Tenant)
	require.Equal(t, tenantID, detect(t, Options{Files: []string{write(t, "a", created)}, Tenant: "given"}).Findings[0].Tenant, "what the record says goes first")
}

func TestAssumedTime(t *testing.T) {
	file := write(t, "timeless.json", strings.Replace(created, `"time":"2026-03-02T08:10:05Z",`, "", 1))
	require.Contains(t, detect(t, Options{Files: []string{file}}).Counts[0].Rejected[0].Reason, "no event time")
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := detect(t, Options{Files: []string{file}, Assume: at})
	require.Len(t, r.Findings, 1)
	require.Equal(t, at, r.Findings[0].Time)
}

func TestWhoIsPrivileged(t *testing.T) {
	const rule = "admin-without-mfa"
	file := write(t, "signin.ndjson", signIn)
	r := detect(t, Options{Files: []string{file}})
	require.Empty(t, r.Findings, "nobody knows")
	require.Equal(t, map[string]int{rule: 1}, r.Silenced)

	directory := write(t, "directory.yaml", "tenant: "+tenantID+"\nread: 2026-03-01T00:00:00Z\nprincipals:\n- {id: u9, roles: [{name: Global Administrator}]}\n")
	r = detect(t, Options{Files: []string{file}, Directory: directory})
	require.Equal(t, map[string][]int{rule: {0}}, lines(r), "unconfirmed, and settled by the end of input")
	require.Empty(t, r.Silenced)

	// The file's own audit records say it too, wherever they stand in it.
	r = detect(t, Options{Files: []string{write(t, "both.ndjson", signIn+"\n"+given+"\n")}})
	require.Equal(t, map[string][]int{rule: {0}, "privileged-role-assigned": {1}}, lines(r))
	// Or another file.
	r = detect(t, Options{Files: []string{file, write(t, "audit.ndjson", given)}})
	require.Equal(t, map[string][]int{rule: {0}, "privileged-role-assigned": {0}}, lines(r))

	for text, want := range map[string]string{
		"tenant: t\nrole: x\n": "field role not found",
		"tenant: t\n":          "a directory needs tenant, read (a time) and principals",
		"tenant: [":            "did not find",
	} {
		bad := write(t, "bad.yaml", text)
		_, err := Detect(t.Context(), Options{Files: []string{file}, Directory: bad})
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, bad)
	}
}

func TestOwnRules(t *testing.T) {
	dir := t.TempDir()
	rule := "title: Mine\nname: mine\nlogsource: {product: azure, service: auditlogs}\ndetection: {s: {notThere|exists: false}, condition: s}\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mine.yml"), []byte(rule), 0o600))
	file := write(t, "a.ndjson", created)
	require.Equal(t, map[string][]int{"mine": {0}}, lines(detect(t, Options{Files: []string{file}, Rules: dir})))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bad.yml"), []byte(strings.Replace(rule, "exists", "near", 1)), 0o600))
	_, err := Detect(t.Context(), Options{Files: []string{file}, Rules: dir})
	require.ErrorContains(t, err, `bad.yml:4: unknown modifier "near"`)
}

func TestBadFiles(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.ndjson")
	_, err := Detect(t.Context(), Options{Files: []string{missing}})
	require.ErrorContains(t, err, missing)

	var out, errs bytes.Buffer
	file := write(t, "mixed.ndjson", created+"\n\x00noise\n{\"truncated\":\n"+`{"time":"2026-03-02T08:10:05Z","category":"FutureLogs","tenantId":"t"}`+"\n"+strings.Replace(created, "c1", "c2", 1)+"\n")
	require.NoError(t, Run(t.Context(), Options{Files: []string{file}, Out: &out, Errs: &errs}))
	require.Equal(t, file+`: 2 records read, 1 taken without a decoder (FutureLogs 1), 2 not read:
  line 1: a record is a JSON object
  line 2: parsing JSON: unexpected end of JSON input
`, errs.String())
}

func TestOutput(t *testing.T) {
	file := write(t, "a.ndjson", created+"\n"+signIn+"\n"+given+"\n")
	var out, errs bytes.Buffer
	require.NoError(t, Run(t.Context(), Options{Files: []string{file}, JSON: true, Out: &out, Errs: &errs}))
	dec := json.NewDecoder(&out)
	var first map[string]any
	require.NoError(t, dec.Decode(&first))
	require.Equal(t, map[string]any{
		"time": "2026-03-02T08:10:05Z", "tenant": tenantID, "rule": "user-created", "title": "User created", "level": "low", "actor": "avery@contoso.example",
		"technique": []any{"T1136.003"}, "records": []any{map[string]any{"file": file, "line": 0.0, "id": tenantID + "/AuditLogs/c1"}},
	}, first)
	n := 1
	for ; dec.More(); n++ {
		require.NoError(t, dec.Decode(&map[string]any{}))
	}
	require.Equal(t, 3, n)
	require.Equal(t, file+": 3 records read\n", errs.String())

	out.Reset()
	require.NoError(t, Run(t.Context(), Options{Files: []string{file}, Out: &out, Errs: &errs}))
	rows := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, rows, 4)
	require.Regexp(t, `^TIME +TENANT +RULE +LEVEL +TECHNIQUE +RECORDS +WHAT$`, rows[0])
	require.Regexp(t, `^2026-03-02T08:10:05Z +7c2f0c1e… +user-created +low +T1136\.003 +0 +avery@contoso\.example created svc@contoso\.example$`, rows[1])

	errs.Reset()
	require.NoError(t, Run(t.Context(), Options{Files: []string{write(t, "s", signIn)}, Out: &out, Errs: &errs}))
	require.Contains(t, errs.String(), "rule admin-without-mfa could not be decided for 1 records: who is privileged is not known; give --directory")
}

func TestManyRejectedLinesAreSummedUp(t *testing.T) {
	var out, errs bytes.Buffer
	file := write(t, "noise.ndjson", strings.Repeat("x\n", 50))
	require.ErrorContains(t, Run(t.Context(), Options{Files: []string{file}, Out: &out, Errs: &errs}), "nothing could be read")
	require.Equal(t, told+2, strings.Count(errs.String(), "\n"))
	require.Contains(t, errs.String(), fmt.Sprintf("… and %d more", 50-told))
}

// The CSV of the portals names no tenant in audit records; the rows that cannot be read are told by their lines.
func TestCSVOfThePortals(t *testing.T) {
	data := filepath.Join("..", "..", "..", "ingest", "export", "testdata")
	audit, signIns := filepath.Join(data, "AuditLogs.csv"), filepath.Join(data, "InteractiveSignIns.csv")
	r := detect(t, Options{Files: []string{audit, signIns}, Tenant: tenantID})
	require.Equal(t, map[string][]int{"privileged-role-assigned": {1}, "credential-added": {2}}, lines(r))
	require.Equal(t, []int{3, 4}, []int{r.Counts[0].Decoded, r.Counts[1].Decoded})

	text, err := os.ReadFile(audit)
	require.NoError(t, err)
	r = detect(t, Options{Files: []string{"-"}, In: bytes.NewReader(text), Tenant: tenantID})
	require.Len(t, r.Findings, 2)
	r = detect(t, Options{Files: []string{audit}})
	require.Len(t, r.Counts[0].Rejected, 3)
	require.Contains(t, r.Counts[0].Rejected[0].Reason, "no tenant")

	other := write(t, "people.csv", "name,age\nKim,33\n")
	_, err = Detect(t.Context(), Options{Files: []string{other}})
	require.ErrorContains(t, err, other+": line 1: the columns")
}
