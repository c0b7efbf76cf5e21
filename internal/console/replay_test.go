package console_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/console"
	"cordon/internal/console/client"
	"cordon/internal/difference"
	"cordon/internal/incident"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// replayer is what the test says.
type replayer func(ctx context.Context, r difference.Request, told func(difference.Progress) error) (*difference.Report, error)

func (f replayer) Replay(ctx context.Context, r difference.Request, told func(difference.Progress) error) (*difference.Report, error) {
	return f(ctx, r, told)
}

// replays is a console that makes replays.
func replays(t *testing.T, by replayer) *house {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	h := &house{T: t, bus: b, store: incident.NewStore(b)}
	h.server, err = console.New(console.Config{Bus: b, Store: h.store, Clock: clock.Wall{}, Log: zap.NewNop(), Replay: by, Analysts: []console.Analyst{
		{Person: incident.Person{Name: "alex", May: []string{"one"}}, Token: "token-of-alex"}, {Person: incident.Person{Name: "reader"}, Token: "token-of-reader"}}})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	h.base = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	h.close = cancel
	done := make(chan error, 1)
	go func() { done <- h.server.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done); http.DefaultClient.CloseIdleConnections() })
	return h
}

const replayPath = "/api/v1/replay"

var sinceThen = difference.Request{Since: time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC), Files: map[string]string{"a.yml": "title: <x>\n"}}

func TestAReplayIsToldLineByLineAndOnTheRecord(t *testing.T) {
	h := replays(t, func(_ context.Context, r difference.Request, told func(difference.Progress) error) (*difference.Report, error) {
		require.Equal(t, sinceThen.Files, r.Files)
		require.NoError(t, told(difference.Progress{}))
		require.NoError(t, told(difference.Progress{Records: 7}))
		return &difference.Report{Records: 9, Rules: []difference.Rule{{Rule: "a", Added: 2, Removed: 1}}}, nil
	})
	_, err := client.New(h.base, "token-of-reader").ReplayRecords(t.Context(), sinceThen, nil)
	require.EqualError(t, err, "reader may look, and replay nothing")
	_, err = client.New(h.base, "nobody").ReplayRecords(t.Context(), sinceThen, nil)
	require.ErrorContains(t, err, "send an analyst's token")
	require.Empty(t, h.audit())

	var told []int64
	report, err := client.New(h.base, "token-of-alex").ReplayRecords(t.Context(), sinceThen, func(p difference.Progress) { told = append(told, p.Records) })
	require.NoError(t, err)
	require.EqualValues(t, 9, report.Records)
	require.Equal(t, []int64{0, 7}, told)
	require.Len(t, h.audit(), 2)
	require.Equal(t, []string{"records.replay", "records.replayed"}, []string{h.audit()[0].Type, h.audit()[1].Type})
	require.Equal(t, "alex", h.audit()[0].By)
	require.Regexp(t, `^\{"since":"2026-03-02T08:00:00Z","files":1,"rules":"[0-9a-f]{64}"\}$`, string(h.audit()[0].Data))
	require.JSONEq(t, `{"records":9,"added":2,"removed":1,"changed":0}`, string(h.audit()[1].Data))
}

func TestReplaysThatCannotBe(t *testing.T) {
	busy := &difference.Refusal{Reason: "another replay runs", Busy: true}
	var fails error
	begins := false
	h := replays(t, func(_ context.Context, r difference.Request, told func(difference.Progress) error) (*difference.Report, error) {
		if begins {
			require.NoError(t, told(difference.Progress{}))
		}
		return nil, fails
	})
	good, err := json.Marshal(sinceThen)
	require.NoError(t, err)
	with := func(name string) string { return `{"since":"2026-03-02T08:00:00Z","files":{"` + name + `":"x"}}` }
	for name, c := range map[string]struct {
		fails  error
		body   string
		status int
		says   string
	}{
		"broken rules":      {difference.Refuse("a.yml:6: unknown modifier"), string(good), 400, "a.yml:6: unknown modifier"},
		"busy":              {busy, string(good), 409, "another replay runs"},
		"inside":            {errors.New("disk on fire"), string(good), 500, "its log says why"},
		"no JSON":           {nil, `since`, 400, "no JSON of the known form"},
		"unknown":           {nil, `{"since":"2026-03-02T08:00:00Z","run":"x"}`, 400, "no JSON of the known form"},
		"no time":           {nil, `{}`, 400, "since: expected a time"},
		"out of the folder": {nil, with("../../etc/x.yml"), 400, "plain names"},
		"an absolute path":  {nil, with("/etc/x.yml"), 400, "plain names"},
		"a nul":             {nil, with(`x\u0000.yml`), 400, "plain names"},
		"large files":       {nil, with(`x.yml":"` + strings.Repeat("x", difference.MaxBytes+1) + `","y.yml`), 400, "bytes together"},
		"a very large body": {nil, with(`x.yml":"` + strings.Repeat("x", 4*difference.MaxBytes) + `","y.yml`), 400, "larger than 24 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			fails = c.fails
			status, _, body := h.ask("POST", replayPath, c.body, as("alex"))
			require.Equal(t, c.status, status)
			require.Contains(t, body, c.says)
			require.NotContains(t, body, "fire")
		})
	}
	begins, fails = true, errors.New("disk on fire")
	_, err = client.New(h.base, "token-of-alex").ReplayRecords(t.Context(), sinceThen, nil)
	require.EqualError(t, err, "Cordon could not do it; its log says why")
	audit := h.audit()
	require.Contains(t, string(audit[len(audit)-1].Data), "disk on fire", "AUDIT says what it was")
}

func TestAReplayEndsWhenItsClientGoes(t *testing.T) {
	ended := make(chan error, 1)
	h := replays(t, func(ctx context.Context, _ difference.Request, told func(difference.Progress) error) (*difference.Report, error) {
		if err := told(difference.Progress{Records: 1}); err != nil {
			return nil, err
		}
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	body, err := json.Marshal(sinceThen)
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.base+replayPath, strings.NewReader(string(body)))
	require.NoError(t, err)
	as("alex")(r)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	line, err := bufio.NewReader(answer.Body).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, `"records":1`, "it is told at once")
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.Eventually(t, func() bool { return len(h.audit()) == 2 }, 5*time.Second, 10*time.Millisecond)
	require.Contains(t, string(h.audit()[1].Data), "broken off")
}
