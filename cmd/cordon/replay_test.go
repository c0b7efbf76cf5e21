package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cordon/detectors"
	"cordon/detectors/fields"
	"cordon/detectors/rules"
	"cordon/ingest"
	"cordon/internal/app"
	"cordon/internal/app/replay"
	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/console"
	"cordon/internal/difference"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/incident"
	"cordon/internal/record"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// replaying is a running console with three failed sign-ins from one address, and a data folder that points at it.
func replaying(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	b, err := bus.Open(t.Context(), bus.Config{Dir: filepath.Join(folder, "bus")})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	p, _, err := ingest.Open(t.Context(), b, ingest.Source{Name: "ns/hub", Tenants: []string{"t"}, Clock: clock.Wall{}}, "0")
	require.NoError(t, err)
	var records []string
	for n := range 3 {
		records = append(records, fmt.Sprintf(`{"time":"2026-03-02T08:1%d:00Z","category":"SignInLogs","tenantId":"t","properties":{"id":"s%d","createdDateTime":"2026-03-02T08:1%d:00Z","userId":"u%d","userPrincipalName":"u%d\u202e@contoso.example","ipAddress":"203.0.113.7","status":{"errorCode":50126}}}`, n, n, n, n, n))
	}
	require.NoError(t, p.Store(t.Context(), []ingest.Message{{Sequence: 7, Enqueued: time.Date(2026, 3, 2, 8, 15, 0, 0, time.UTC), Body: []byte(`{"records":[` + strings.Join(records, ",") + `]}`)}}))
	set, err := detectors.Load(rules.Shipped)
	require.NoError(t, err)
	table, err := fields.Load(rules.Shipped)
	require.NoError(t, err)
	r := replay.New(replay.Config{Bus: b, Directory: directory.New(), Lateness: record.DefaultLateness(), Running: func() replay.Set { return replay.Set{Rules: set, Table: table} }, Clock: clock.Wall{}, Log: zap.NewNop()})
	s, err := console.New(console.Config{Bus: b, Store: incident.NewStore(b), Clock: clock.Wall{}, Log: zap.NewNop(), Replay: r,
		Analysts: []console.Analyst{{Person: incident.Person{Name: "alex", May: []string{"one"}}, Token: "a"}}})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	run, err := json.Marshal(app.RunFile{Address: "http://" + l.Addr().String(), Tokens: map[string]string{"alex": "a"}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "run.json"), run, 0o600))
	return folder
}

// times are those of this moment and of this machine.
var times = regexp.MustCompile(`20[0-9T:-]+Z: what began|in [0-9.]+m?s:`)

func TestReplayAtTheTerminal(t *testing.T) {
	folder := replaying(t)
	t.Setenv("XDG_CACHE_HOME", folder)
	t.Setenv("CORDON_TOKEN", "")
	says := func(args ...string) (int, string, string) {
		t.Helper()
		status, out, errs := command(t, "", append([]string{"replay", "--data", folder}, args...)...)
		return status, times.ReplaceAllStringFunc(out, func(s string) string {
			if strings.HasPrefix(s, "in") {
				return "in (so long):"
			}
			return "(now): what began"
		}), errs
	}
	file := func(name, text string) {
		path := filepath.Join(folder, "rules", name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	given := filepath.Join(folder, "rules")
	file("signin/one.yml", "title: One\nname: one\nlogsource: {product: azure, service: signinlogs}\ndetection:\n  a:\n    signIn.errorCode: 50126\n  condition: a\nlevel: low\ncustom:\n  says: \"{actor} failed\"\n")
	file("signin/one.test.yml", "no rule")
	file("notes.txt", "no rule")

	status, out, errs := says("--since", "2026-03-02", "--until", "2026-03-02T08:12:00Z", "--rules", given)
	require.Equal(t, 2, status, errs)
	require.Empty(t, errs)
	require.Equal(t, `2026-03-02T00:00:00Z to 2026-03-02T08:12:00Z, 3 records in (so long): the rules that run (-) against the rules given (+)
nothing is stored from before (now): what began earlier is not seen whole

one  0 → 2  +2  -0  ~0

+ 2026-03-02T08:10:00Z  low  t  u0 @contoso.example  u0 @contoso.example failed (in audit)
    one/t/SignInLogs/s0
+ 2026-03-02T08:11:00Z  low  t  u1 @contoso.example  u1 @contoso.example failed (in audit)
    one/t/SignInLogs/s1
`, out)
	status, out, _ = says("--since", "2026-03-02", "--rules", given, "--json", "--limit", "1", "--tenant", "T")
	require.Equal(t, 2, status)
	var r difference.Report
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Len(t, r.Changes, 1)
	require.Equal(t, 2, r.Left)
	status, out, _ = says("--since", "2026-03-02", "--rules", given, "--tenant", "another")
	require.Zero(t, status)
	require.Contains(t, out, "no difference: 0 findings are the same\n")
	status, out, _ = says("--since", "24h")
	require.Zero(t, status)
	require.Contains(t, out, "what was recorded (-) against the rules that run (+)")

	file("bad.yml", "title: x\nname: x\nlogsource: {product: azure, service: auditlogs}\ndetection:\n  a:\n    operationName|sounds-like: y\n  condition: a\n")
	require.NoError(t, os.Mkdir(filepath.Join(folder, "none"), 0o700))
	for want, args := range map[string][]string{
		`bad.yml:6: unknown modifier "sounds-like"`:    {"--since", "24h", "--rules", given},
		`--since "yesterday": expected a time such as`: {"--since", "yesterday"},
		`--until "-1h": expected a time such as`:       {"--since", "24h", "--until", "-1h"},
		"since lies at or after until":                 {"--since", "1h", "--until", "2h"},
		`required flag(s) "since" not set`:             {},
		"--limit 0: expected a number from 1 to 10000": {"--since", "24h", "--limit", "0"},
		"opening the rules":                            {"--since", "24h", "--rules", filepath.Join(folder, "nowhere")},
		"is no folder":                                 {"--since", "24h", "--rules", filepath.Join(folder, "run.json")},
		"there are no rules in the folder":             {"--since", "24h", "--rules", filepath.Join(folder, "none")},
		`there is no analyst "sam" here`:               {"--since", "24h", "--as", "sam"},
	} {
		status, _, errs := says(args...)
		require.Equal(t, 1, status, want)
		require.Contains(t, errs, want)
	}
}

func TestTheReportOfAReplay(t *testing.T) {
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	was := difference.Finding{ID: "a/1", Rule: "a", Says: "so", Level: "low", Tenant: "t", Time: at, Count: 3, Unconfirmed: true, Principal: finding.Principal{UPN: "p"}}
	is := was
	is.Level, is.Count, is.Unconfirmed, is.Principal, is.Says = "high", 4, false, finding.Principal{UPN: "q"}, "so\x1b[2J"
	var out bytes.Buffer
	require.NoError(t, printReport(&out, &difference.Report{Since: at, Until: at.Add(time.Hour), Before: difference.Running, After: difference.Given, Records: 5, Unread: 1, Took: time.Second, Left: 3,
		Rules:    []difference.Rule{{Rule: "a", Before: 2, After: 1, Removed: 1, Changed: 1}, {Rule: "b", TooMany: true}, {Rule: "c", Before: 4, After: 4}},
		Silenced: map[string]int{"a": 2, "c": 3},
		Changes:  []difference.Change{{Sign: "~", Finding: is, Before: &was, Differs: []string{"level", "count", "unconfirmed", "principal"}}, {Sign: "-", Finding: was}}}))
	require.Equal(t, `2026-03-02T08:00:00Z to 2026-03-02T09:00:00Z, 5 records in 1s: the rules that run (-) against the rules given (+)
1 records could not be decoded and were passed over

a  2 → 1  +0  -1  ~1
b  too many findings to compare
other rules: 4 findings are the same

~ 2026-03-02T08:00:00Z  high  t  q  so\x1b[2J (level low → high, 3 → 4 records, unconfirmed → confirmed, principal p → q)
    a/1
- 2026-03-02T08:00:00Z  low  t  p  so (unconfirmed)
    a/1
3 more differ, none of them graver; --limit shows more
2 rules could not judge 5 records: who was privileged then is not known
`, out.String())
	out.Reset()
	printProgress(&out, difference.Progress{})
	printProgress(&out, difference.Progress{Records: 5, Total: 10, Rate: 2.5, At: at, Waits: true})
	require.Equal(t, "5 of 10 records, 2/s, at 2026-03-02T08:00:00Z, waiting for the running detectors\n", out.String())
}
