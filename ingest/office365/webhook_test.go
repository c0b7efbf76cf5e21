package office365

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cordon/internal/record"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

var nopLog = zap.NewNop()

func newServer(t *testing.T, h http.Handler) string {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// hooked runs a source with a webhook, which hardly polls.
func hooked(t *testing.T, f *feed) (address string) {
	server := httptest.NewUnstartedServer(nil)
	address = "http://" + server.Listener.Addr().String()
	s, _ := f.source(func(c *Config) {
		c.Webhook, c.Every = &Webhook{Address: address + "/o365", AuthID: secret}, time.Hour
	})
	server.Config.Handler = s.Webhook()
	server.Start()
	t.Cleanup(server.Close)
	f.run(s)
	f.eventually("a webhook", func() bool {
		hook := f.api.Subscription(record.UnifiedExchange).Webhook
		return hook != nil && hook.Status == "enabled" && hook.AuthID == secret
	})
	f.eventually("the first listing, and that after the start", func() bool { return f.listings() == 2 })
	return address
}

func TestANotificationMakesAListingEarly(t *testing.T) {
	f := newFeed(t)
	hooked(t, f)
	want, blob := f.add(time.Minute, 2)
	require.NoError(t, f.api.Notify(t.Context(), f.url, blob))
	f.eventually("the records", func() bool { return len(f.stored()) == 2 })
	require.Equal(t, want, f.stored())
}

func TestAForgedNotificationDoesNothing(t *testing.T) {
	f := newFeed(t)
	address := hooked(t, f)
	own := f.url + "/api/v1.0/" + tenantID + "/activity/feed/audit/x"
	note := func(tenant, uri string) string {
		return `[{"tenantId":"` + tenant + `","contentType":"Audit.Exchange","contentId":"x","contentUri":"` + uri + `"}]`
	}
	post := func(auth, validation, body string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Webhook-AuthID", auth)
		if validation != "" {
			r.Header.Set("Webhook-ValidationCode", validation)
		}
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode
	}
	defer http.DefaultClient.CloseIdleConnections()
	before := f.listings()
	for name, c := range map[string]struct {
		auth, validation, body string
		status                 int
	}{
		"no secret":        {"", "", note(tenantID, own), 403},
		"a wrong secret":   {"another secret of this", "", note(tenantID, own), 403},
		"another tenant":   {secret, "", note("00000000-0000-0000-0000-000000000001", own), 400},
		"a foreign uri":    {secret, "", note(tenantID, "https://elsewhere.example/api/v1.0/"+tenantID+"/activity/feed/audit/x"), 400},
		"no uri":           {secret, "", note(tenantID, ""), 400},
		"noise":            {secret, "", "<html>", 400},
		"too long":         {secret, "", "[" + strings.Repeat(" ", 2<<20) + "]", 413},
		"a code of no use": {secret, "a", `{"validationCode":"b"}`, 400},
		"no code":          {secret, "", `{"validationCode":"b"}`, 400},
		"unasked code":     {"", "a", `{"validationCode":"a"}`, 403},
		"a validation":     {secret, "a", `{"validationCode":"a"}`, 200},
		"nothing new":      {secret, "", `[]`, 200},
	} {
		require.Equal(t, c.status, post(c.auth, c.validation, c.body), name)
	}
	require.Equal(t, before, f.listings())
	// One that knows the secret makes one early listing, and what it named is never fetched.
	for range 5 {
		require.Equal(t, 200, post(secret, "", note(tenantID, own)))
	}
	f.eventually("a listing", func() bool { return f.listings() > before })
	require.Empty(t, f.api.Calls("audit/x"))
	answer, err := http.Get(address)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, 405, answer.StatusCode)

	plain, _ := f.source(nil)
	w := httptest.NewRecorder()
	plain.Webhook().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	require.Equal(t, 404, w.Code)
}

// However many notifications come, listings keep their distance.
func TestNotificationsAreRateLimited(t *testing.T) {
	f := newFeed(t)
	s, _ := f.source(func(c *Config) {
		c.Every = time.Hour
		c.Webhook = &Webhook{Address: "http://127.0.0.1:1/", AuthID: secret}
	})
	s.pace.wake = time.Hour
	f.run(s)
	f.eventually("the first listing", func() bool { return f.listings() >= 1 })
	require.NotEmpty(t, f.api.Subscription(record.UnifiedExchange).Status, "started without a webhook that cannot be reached")
	for range 50 {
		signal(s.readers[0].woken)
	}
	require.Never(t, func() bool { return f.listings() > 1 }, 200*time.Millisecond, 20*time.Millisecond)
}

func FuzzNotified(f *testing.F) {
	f.Add([]byte(`[{"tenantId":"`+tenantID+`","contentUri":"http://127.0.0.1/api/v1/x"}]`), "")
	f.Add([]byte(`{"validationCode":"a"}`), "a")
	s, err := New(Config{Tenant: tenantID, Credential: &credential{}}, nil, nil, nopLog)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, body []byte, validation string) {
		content, err := s.notified(body, validation)
		if err != nil && (err.Error() == "" || content != nil) {
			t.Fatal("an error that says nothing")
		}
	})
}
