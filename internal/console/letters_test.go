package console_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"cordon/ingest"
	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/console/client"
	"cordon/internal/incident"
	"cordon/internal/letter"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

const (
	signIn  = `{"time":"2026-03-02T08:10:00Z","category":"SignInLogs","tenantId":"t","properties":{"id":"s","createdDateTime":"2026-03-02T08:10:00Z","userId":"u","status":{"errorCode":0}}}`
	foreign = `{"time":"2026-03-02T08:10:00Z","category":"SignInLogs","tenantId":"x","properties":{"id":"f","createdDateTime":"2026-03-02T08:10:00Z","userId":"u","status":{"errorCode":0}}}`
	bad     = "ns%2Fhub/0/7/1"
	outside = "ns%2Fhub/0/7/0" // of a tenant that the source did not carry then, and carries now
)

// given stores a message of which two records cannot be stored: one of another tenant, one that is broken.
func (h *house) given() {
	h.Helper()
	p, _, err := ingest.Open(h.Context(), h.bus, ingest.Source{Name: "ns/hub", Tenants: []string{"t"}, Clock: clock.Wall{}}, "0")
	require.NoError(h, err)
	body := `{"records":[` + foreign + `,{"note":"` + strings.Repeat("<", 3) + `"},` + signIn + `]}`
	require.NoError(h, p.Store(h.Context(), []ingest.Message{{Sequence: 7, Enqueued: time.Now(), Body: []byte(body)}}))
}

func (h *house) records() (n int) {
	h.Helper()
	require.NoError(h, h.bus.Scan(h.Context(), bus.Logs, "logs.>", time.Time{}, func(jetstream.Msg) error { n++; return nil }))
	return n
}

// audit are the events outside any incident; their chain is checked.
func (h *house) audit() (all []incident.Event) {
	h.Helper()
	prev := ""
	require.NoError(h, h.bus.Scan(h.Context(), bus.Audit, bus.AuditSubject("cordon"), time.Time{}, func(m jetstream.Msg) error {
		var e incident.Event
		require.NoError(h, json.Unmarshal(m.Data(), &e))
		require.Equal(h, prev, e.Prev)
		prev = incident.Hash(m.Data())
		all = append(all, e)
		return nil
	}))
	return all
}

func TestDeadLettersAreShownAndReplayed(t *testing.T) {
	h := open(t)
	h.given()
	reader, alex := client.New(h.base, "token-of-reader"), client.New(h.base, "token-of-alex")
	page, err := reader.Letters(t.Context(), letter.Filter{Source: "ns/hub", Since: time.Now().Add(-time.Hour)})
	require.NoError(t, err)
	require.Equal(t, 2, page.Total)
	require.Equal(t, []string{bad, outside}, []string{page.Letters[0].ID, page.Letters[1].ID})
	l, err := reader.Letter(t.Context(), bad)
	require.NoError(t, err)
	require.Equal(t, `{"note":"<<<"}`, string(l.Body))
	_, err = reader.Letter(t.Context(), "ns%2Fhub/0/7/2")
	require.EqualError(t, err, "there is no such dead letter")

	// Who may only look replays nothing, and leaves no trace of having done so.
	_, err = reader.Replay(t.Context(), outside, nil)
	require.EqualError(t, err, "reader may look, and replay nothing")
	_, err = reader.ReplayAll(t.Context(), letter.Filter{})
	require.EqualError(t, err, "reader may look, and replay nothing")
	require.Equal(t, 1, h.records())
	require.Empty(t, h.audit())

	out, err := alex.Replay(t.Context(), outside, nil)
	require.NoError(t, err)
	require.Equal(t, letter.Outcome{ID: outside, Stored: 1}, out)
	_, err = alex.Replay(t.Context(), bad, nil)
	require.ErrorContains(t, err, "record 1 still cannot be stored")
	all, err := alex.ReplayAll(t.Context(), letter.Filter{Source: "ns/hub"})
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Contains(t, all[0].Error, "record 1 still cannot be stored")
	out, err = alex.Replay(t.Context(), bad, []byte(strings.Replace(signIn, `"id":"s"`, `"id":"mended"`, 1)))
	require.NoError(t, err)
	require.Equal(t, 1, out.Stored)
	out, err = alex.Replay(t.Context(), bad, nil)
	require.NoError(t, err)
	require.True(t, out.Before)
	require.Equal(t, 3, h.records())
	page, err = reader.Letters(t.Context(), letter.Filter{})
	require.NoError(t, err)
	require.Zero(t, page.Total)

	var told []string
	for _, e := range h.audit() {
		require.Equal(t, "alex", e.By)
		told = append(told, e.Type)
	}
	require.Equal(t, strings.Fields(strings.Repeat("deadletter.replay deadletter.replayed ", 5)), told)
	require.JSONEq(t, `{"letter":"`+outside+`"}`, string(h.audit()[0].Data))
	require.JSONEq(t, `{"outcomes":[{"id":"`+outside+`","stored":1}]}`, string(h.audit()[1].Data))
	require.Contains(t, string(h.audit()[3].Data), "still cannot be stored")
	require.Regexp(t, `"mended":"[0-9a-f]{64}"`, string(h.audit()[6].Data))
}

func TestBadRequestsForDeadLetters(t *testing.T) {
	h := open(t)
	h.given()
	path := "/api/v1/deadletters/" + url.PathEscape(bad) + "/replay"
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		says               string
	}{
		"no JSON":          {"POST", path, "x", 400, "no JSON of the known form"},
		"an unknown field": {"POST", path, `{"bites":""}`, 400, "no JSON of the known form"},
		"no base64":        {"POST", path, `{"bytes":"!"}`, 400, "no JSON of the known form"},
		"two of them":      {"POST", path, `{}{}`, 400, "more than one request"},
		"no position":      {"POST", "/api/v1/deadletters/x/replay", `{}`, 400, "source/partition/sequence/index"},
		"no such letter":   {"POST", strings.Replace(path, "7%2F1", "7%2F2", 1), `{}`, 404, "there is no such dead letter"},
		"all, unknown":     {"POST", "/api/v1/deadletters/replay", `{"everything":true}`, 400, "no JSON of the known form"},
		"all, too large":   {"POST", "/api/v1/deadletters/replay", `{"source":"` + strings.Repeat("x", 70<<10) + `"}`, 400, "no JSON"},
		"a limit":          {"GET", "/api/v1/deadletters?limit=0", "", 400, "limit is a number from 1 on"},
		"a time":           {"GET", "/api/v1/deadletters?since=yesterday", "", 400, "since is a time such as"},
	} {
		status, _, body := h.ask(c.method, c.path, c.body, as("alex"))
		require.Equal(t, c.status, status, "%s: %s", name, body)
		require.Contains(t, body, c.says, name)
	}
	for _, p := range []string{path, "/api/v1/deadletters/replay"} {
		status, _, _ := h.ask("POST", p, `{}`, func(*http.Request) {})
		require.Equal(t, 401, status)
		status, _, _ = h.ask("POST", p, `{}`, as("alex"), func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
		require.Equal(t, 403, status)
	}
	require.Equal(t, 1, h.records())
}

func TestMendedBytesMayBeLarge(t *testing.T) {
	h := open(t)
	p, _, err := ingest.Open(t.Context(), h.bus, ingest.Source{Name: "ns/hub", Clock: clock.Wall{}}, "0")
	require.NoError(t, err)
	require.NoError(t, p.Store(t.Context(), []ingest.Message{{Sequence: 0, Enqueued: time.Now(), Body: []byte("noise")}}))
	pad := strings.Replace(signIn, `"userId"`, `"pad":"`+strings.Repeat("x", 1000_000)+`","userId"`, 1)
	out, err := client.New(h.base, "token-of-alex").Replay(t.Context(), "ns%2Fhub/0/0/0", []byte(`[`+pad+strings.Repeat(`,`+pad, 9)+`]`))
	require.NoError(t, err)
	require.Equal(t, 10, out.Stored)
}

func TestSourcesAndMetrics(t *testing.T) {
	h := open(t)
	h.given()
	p, _, err := ingest.Open(t.Context(), h.bus, ingest.Source{Name: hostile, Clock: clock.Wall{}}, "0")
	require.NoError(t, err)
	require.NoError(t, p.Idle(t.Context(), time.Now().Add(-time.Minute)))
	reader := client.New(h.base, "token-of-reader")
	require.Eventually(t, func() bool {
		r, err := reader.Sources(context.Background())
		return err == nil && len(r.Sources) == 2 && r.Sources[1].Dead == 2
	}, 10*time.Second, 5*time.Millisecond)
	for _, name := range []string{"reader", "alex"} {
		status, header, body := h.ask("GET", "/metrics", "", as(name))
		require.Equal(t, 200, status)
		require.Contains(t, header.Get("Content-Type"), "text/plain; version=0.0.4")
		require.Contains(t, body, `cordon_source_dead_letters_total{source="ns/hub"} 2`)
	}
	status, _, page := h.ask("GET", "/sources", "", as("reader"))
	require.Equal(t, 200, status)
	require.Contains(t, page, "ns/hub")
	require.Contains(t, page, "SignInLogs")
	require.Contains(t, page, "1 of 1")
	require.NotContains(t, page, "<script>", "names are escaped")
	require.NotContains(t, page, " style=")
	_, _, list := h.ask("GET", "/", "", as("reader"))
	require.Contains(t, list, `<a href="/sources">`)
}
