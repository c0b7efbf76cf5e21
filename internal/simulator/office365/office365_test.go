package office365

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cordon/internal/clock"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What the reference says of requests that are refused, and of the listing.
func TestTheServiceKeepsItsRules(t *testing.T) {
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	s := New(clock.NewScenario(now), "t1", 1)
	defer s.Close()
	ask := func(method, path, token string) (int, string, http.Header) {
		r := httptest.NewRequest(method, "http://feed.example/api/v1.0/"+path, nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		body, err := io.ReadAll(w.Body)
		require.NoError(t, err)
		return w.Code, string(body), w.Header()
	}
	const exchange = "t1/activity/feed/subscriptions/content?contentType=Audit.Exchange&startTime="
	old := s.Add("Audit.Exchange", now.Add(-8*24*time.Hour), "{}")
	for _, c := range []struct{ method, path, token, want string }{
		{"GET", "t1/activity/feed/subscriptions/list", "", "denied"},
		{"GET", "t2/activity/feed/subscriptions/list", "x", "AF20010"},
		{"GET", "t1/activity/feed/subscriptions/list", "x", "[]"},
		{"POST", "t1/activity/feed/subscriptions/start?contentType=Audit.All", "x", "AF20020"},
		{"GET", exchange + "2026-03-01T08:00:00&endTime=2026-03-02T08:00:00", "x", "AF20022"},
		{"POST", "t1/activity/feed/subscriptions/start?contentType=Audit.Exchange", "x", `"status":"enabled"`},
		{"POST", "t1/activity/feed/subscriptions/start?contentType=Audit.Exchange", "x", "AF20024"},
		{"GET", exchange + "2026-03-01T08:00:00&endTime=2026-03-02T08:00:00", "x", "[]"},
		{"GET", exchange + "2026-03-01T07:59:59&endTime=2026-03-02T08:00:00", "x", "AF20030"},
		{"GET", exchange + "2026-02-20T08:00:00&endTime=2026-02-21T08:00:00", "x", "AF20030"},
		{"GET", exchange + "2026-03-01T08:00:00&endTime=2026-03-02T08:00:00&nextPage=7", "x", "AF20031"},
		{"GET", "t1/activity/feed/audit/" + old.ID, "x", "AF20051"},
		{"GET", "t1/activity/feed/audit/none", "x", "AF20050"},
	} {
		_, body, _ := ask(c.method, c.path, c.token)
		require.Contains(t, body, c.want, c.path)
	}
	s.Add("Audit.Exchange", now.Add(-time.Hour), `{"a":1}`)
	s.Add("Audit.Exchange", now.Add(-2*time.Hour), `{"a":2}`)
	_, body, header := ask("GET", exchange+"2026-03-01T08:00:00&endTime=2026-03-02T08:00:00", "x")
	require.Contains(t, body, "2026-03-02T06:00:00.000Z")
	next, ok := strings.CutPrefix(header.Get("NextPageUri"), "http://feed.example/api/v1.0/")
	require.True(t, ok)
	_, body, header = ask("GET", next, "x")
	require.Contains(t, body, "2026-03-02T07:00:00.000Z")
	require.Empty(t, header.Get("NextPageUri"))
	s.Disable("Audit.Exchange")
	_, body, _ = ask("GET", next, "x")
	require.Contains(t, body, "AF20023")
}
