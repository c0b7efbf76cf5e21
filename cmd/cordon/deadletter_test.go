package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cordon/ingest"
	"cordon/internal/app"
	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/console"
	"cordon/internal/incident"
	"cordon/internal/letter"
	"cordon/internal/record"
	"cordon/internal/sources"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

const (
	goodRecord = `{"time":"2026-03-02T08:10:00Z","category":"SignInLogs","tenantId":"t","properties":{"id":"s","createdDateTime":"2026-03-02T08:10:00Z","userId":"u","status":{"errorCode":0}}}`
	badRecord  = "{\"note\":\"\xe2\x80\xae no category\"}"
)

// terminal is a console that runs, and a data folder that points at it.
func terminal(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	b, err := bus.Open(t.Context(), bus.Config{Dir: filepath.Join(folder, "bus")})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	p, _, err := ingest.Open(t.Context(), b, ingest.Source{Name: "ns/hub", Tenants: []string{"t"}, Clock: clock.Wall{}}, "0")
	require.NoError(t, err)
	at := time.Date(2026, 3, 2, 8, 15, 0, 0, time.UTC)
	other := strings.ReplaceAll(goodRecord, `"t"`, `"x"`)
	require.NoError(t, p.Store(t.Context(), []ingest.Message{{Sequence: 7, Enqueued: at, Body: []byte(`{"records":[` + goodRecord + `,` + badRecord + `,` + other + `,` + "\x1b[2J")}}))
	board := sources.New(b, clock.Wall{}, record.DefaultLateness(), zap.NewNop())
	s, err := console.New(console.Config{Bus: b, Store: incident.NewStore(b), Clock: clock.Wall{}, Log: zap.NewNop(), Sources: board,
		Analysts: []console.Analyst{{Person: incident.Person{Name: "operator"}, Token: "o"}, {Person: incident.Person{Name: "alex", May: []string{"one"}}, Token: "a"}},
		Letters: ingest.NewLetters(b, clock.Wall{}, func(name string) (ingest.Source, bool) {
			return ingest.Source{Name: name, Tenants: []string{"t", "x"}, Clock: clock.Wall{}}, true
		})})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- s.Serve(ctx, l) }()
	go func() { done <- board.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done); require.NoError(t, <-done) })
	<-board.Ready()
	run, err := json.Marshal(app.RunFile{Address: "http://" + l.Addr().String(), Tokens: map[string]string{"operator": "o"}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "run.json"), run, 0o600))
	return folder
}

// stamps are times of this moment, which no expected output can hold.
var stamps = regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

func TestDeadLettersAtTheTerminal(t *testing.T) {
	folder := terminal(t)
	t.Setenv("XDG_CACHE_HOME", folder)
	t.Setenv("CORDON_TOKEN", "")
	says := func(args ...string) (int, string, string) {
		t.Helper()
		status, out, errs := command(t, "", append([]string{"deadletter", "--data", folder}, args...)...)
		return status, stamps.ReplaceAllStringFunc(out, func(s string) string {
			if s == "2026-03-02T08:15:00Z" {
				return s
			}
			return "(now)"
		}), errs
	}
	_, out, errs := says("list", "--source", "ns/hub", "--since", "1h")
	require.Empty(t, errs)
	require.Equal(t, `POSITION        GIVEN UP              BYTES  REASON
ns%2Fhub/0/7/3  (now)  4      reading record 3: at byte 0: expected a value
ns%2Fhub/0/7/2  (now)  173    tenant "x" is not on this source's list
ns%2Fhub/0/7/1  (now)  26     no category, and not the shape of a sign-in or an audit record
`, out)
	_, out, _ = says("list", "--limit", "1")
	require.Contains(t, out, "1 of 3; --limit shows more")

	_, out, _ = says("show", "ns%2Fhub/0/7/1")
	require.Equal(t, `ns%2Fhub/0/7/1 · one record
reason    no category, and not the shape of a sign-in or an audit record
source    ns/hub, partition 0, message 7
enqueued  2026-03-02T08:15:00Z
given up  (now)
size      26 bytes

{"note":"\u202e no category"}
`, out)
	_, out, _ = says("show", "ns%2Fhub/0/7/3")
	require.Contains(t, out, "the end of a message, from record 3 on")
	require.Contains(t, out, "\n\\x1b[2J\n")
	_, out, _ = says("show", "--raw", "ns%2Fhub/0/7/3")
	require.Equal(t, "\x1b[2J", out)

	status, _, errs := says("replay", "ns%2Fhub/0/7/2")
	require.Equal(t, 1, status)
	require.Equal(t, "cordon: operator may look, and replay nothing\n", errs)
	t.Setenv("CORDON_TOKEN", "a")
	status, out, errs = says("replay", "--all")
	require.Equal(t, 1, status)
	require.Equal(t, "cordon: 2 of 3 letters stay\n", errs)
	require.Contains(t, out, "ns%2Fhub/0/7/2: 1 stored\n")
	require.Contains(t, out, "ns%2Fhub/0/7/1: stays: record 1 still cannot be stored: no category")
	require.Contains(t, out, "3 letters, 1 records stored, 2 letters stay\n")

	mended := filepath.Join(folder, "mended.json")
	require.NoError(t, os.WriteFile(mended, []byte(strings.Replace(goodRecord, `"s"`, `"mended"`, 1)), 0o600))
	status, out, _ = says("replay", "ns%2Fhub/0/7/1", "--with", mended)
	require.Zero(t, status)
	require.Equal(t, "ns%2Fhub/0/7/1: 1 stored\n", out)
	_, out, _ = says("replay", "ns%2Fhub/0/7/1")
	require.Equal(t, "ns%2Fhub/0/7/1: was replayed before\n", out)

	for want, args := range map[string][]string{
		"name the position of a dead letter, or --all":        {"replay"},
		"--all goes with neither a position nor --with":       {"replay", "--all", "x"},
		"--source and --since go with --all":                  {"replay", "x", "--since", "1h"},
		`--since "yesterday": expected a duration such as`:    {"list", "--since", "yesterday"},
		"--limit 0: expected a number from 1 on":              {"list", "--limit", "0"},
		"opening the mended bytes":                            {"replay", "x", "--with", filepath.Join(folder, "none")},
		"a dead letter is named by source/partition/sequence": {"show", "x"},
		"there is no such dead letter":                        {"show", "a/b/1/2"},
	} {
		status, _, errs := says(args...)
		require.Equal(t, 1, status, want)
		require.Contains(t, errs, want)
	}
}

func TestSourcesAtTheTerminal(t *testing.T) {
	folder := terminal(t)
	t.Setenv("XDG_CACHE_HOME", folder)
	t.Setenv("CORDON_TOKEN", "")
	status, out, errs := command(t, "", "sources", "--data", folder)
	require.Zero(t, status, errs)
	require.Regexp(t, `(?m)^ns/hub +2026-03-02T08:15:00Z +\d+h\d+m\d+s +0.0 +1 +3 +0 of 1 +20`, out)
	require.Regexp(t, `(?m)^  SignInLogs +2026-03-02T07:45:00Z +0.0 +1`, out)
	status, out, _ = command(t, "", "sources", "--json", "--data", folder)
	require.Zero(t, status)
	var r sources.Report
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.EqualValues(t, 3, r.Sources[0].Dead)
}

func TestTheTableOfSources(t *testing.T) {
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	require.NoError(t, printSources(&out, sources.Report{At: noon, Logs: sources.Logs{Bytes: 820, MaxBytes: 1000, Ratio: 0.82, Alarm: true}, Sources: []sources.Source{
		{Name: "ns/hub\x1b[2J", Seen: noon.Add(-5 * time.Minute), Lag: 300, Rate: 12.345, Records: 7, Dead: 1, Written: noon, CaughtUp: 1, Partitions: make([]sources.Partition, 3),
			Categories: []sources.Category{{Name: "SignInLogs", Watermark: noon.Add(-35 * time.Minute), Rate: 12.345, Records: 6}, {Records: 1}}},
		{Name: "silent", Written: noon, Partitions: make([]sources.Partition, 1)},
	}}))
	require.Equal(t, strings.Join([]string{
		`SOURCE         SEEN UP TO            LAG   RECORDS/S  RECORDS  DEAD  CAUGHT UP  WRITTEN`,
		`ns/hub\x1b[2J  2026-03-02T11:55:00Z  5m0s  12.3       7        1     1 of 3     2026-03-02T12:00:00Z`,
		`  SignInLogs   2026-03-02T11:25:00Z        12.3       6                         `,
		`  (others)     -                           0.0        1                         `,
		`silent         -                     -     0.0        0        0     0 of 1     2026-03-02T12:00:00Z`,
		`LOGS holds 820 bytes of 1000 (82 %): it is filling up; when it is full, ingest waits. Raise logs-max`, ``}, "\n"), out.String())
}

func TestWhatATerminalWouldObeyIsShown(t *testing.T) {
	for in, want := range map[string]string{
		"plain é 漢":           "plain é 漢",
		"a\x00\x1b\x7f\u0085": `a\x00\x1b\x7f\x85`,
		"\xff\xfe":            `\xff\xfe`,
		"\u202eabc\u200b":     `\u202eabc\u200b`,
		"a\tb\nc\r":           "a\tb\nc\\x0d",
	} {
		require.Equal(t, want, escape(in, true))
	}
	require.Equal(t, `a\x0ab`, escape("a\nb", false))
}

func TestOutcomes(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, printOutcomes(&out, []letter.Outcome{{ID: "a/0/1/0", Stored: 2, Left: []string{"a/0/1/2"}}}))
	require.Equal(t, "a/0/1/0: 2 stored\n  left over: a/0/1/2\n", out.String())
	out.Reset()
	require.NoError(t, printOutcomes(&out, nil))
	require.Equal(t, "0 letters, 0 records stored, 0 letters stay\n", out.String())
}
