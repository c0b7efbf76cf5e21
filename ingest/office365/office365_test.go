package office365

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cordon/internal/record"
	simulated "cordon/internal/simulator/office365"
	"github.com/stretchr/testify/require"
)

func TestEveryRecordOnce(t *testing.T) {
	f := newFeed(t)
	var want []string
	for _, ago := range []time.Duration{5 * time.Hour, 3 * time.Hour, 90 * time.Minute, time.Hour, time.Minute} {
		ids, _ := f.add(ago, 3)
		want = append(want, ids...)
	}
	s, _ := f.source(nil)
	stop := f.run(s)
	f.eventually("all records", func() bool { return len(f.stored()) == len(want) })
	require.Equal(t, want, f.stored(), "in the order in which the blobs were created")
	require.Equal(t, "enabled", f.api.Subscription(record.UnifiedExchange).Status)
	f.listedAgain()
	stop()

	// After a restart the overlap is listed again, and what is late in it is read.
	late, _ := f.add(80*time.Minute, 2)
	news, _ := f.add(time.Second, 1)
	want = append(want, append(late, news...)...)
	s, _ = f.source(nil)
	f.run(s)
	f.holds(want)
	later, _ := f.add(100*time.Minute, 2)
	f.holds(append(want, later...))
	require.Empty(t, f.letters())
	for _, c := range f.api.Calls("/") {
		require.Equal(t, publisher, c.Query["PublisherIdentifier"], c.Path)
	}
}

// Stopped in the middle, again and again, while pages of more than one batch are stored.
func TestEveryRecordOnceHoweverOftenItIsStopped(t *testing.T) {
	f := newFeed(t)
	var want []string
	for i := range 4 {
		ids, _ := f.add(time.Duration(10-i)*time.Hour, 1100)
		want = append(want, ids...)
	}
	for reached := 0; reached < len(want); {
		s, _ := f.source(nil)
		stop := f.run(s)
		f.eventually("more records", func() bool { n := f.count(); return n > reached || n >= len(want) })
		stop()
		reached = f.count()
	}
	s, _ := f.source(nil)
	f.run(s)
	f.listedAgain()
	require.Equal(t, want, f.stored())
}

func TestALongOutageIsCaughtUp(t *testing.T) {
	f := newFeed(t)
	want, _ := f.add(time.Minute, 1)
	s, _ := f.source(nil)
	stop := f.run(s)
	f.holds(want)
	stop()
	var during []string
	start := f.clock.Now()
	for range 12 {
		f.clock.JumpTo(f.clock.Now().Add(3 * time.Hour))
		ids, _ := f.add(0, 2)
		during = append(during, ids...)
	}
	require.GreaterOrEqual(t, f.clock.Now().Sub(start), 36*time.Hour)
	f.clock.JumpTo(f.clock.Now().Add(time.Minute))
	s, logs := f.source(nil)
	f.run(s)
	f.holds(append(want, during...))
	require.False(t, said(logs, "out of reach"))
}

func TestWhatIsOutOfReachIsSaid(t *testing.T) {
	f := newFeed(t)
	want, _ := f.add(time.Minute, 1)
	s, _ := f.source(nil)
	stop := f.run(s)
	f.holds(want)
	stop()
	f.add(0, 1) // will never be read
	f.clock.JumpTo(f.clock.Now().Add(8 * 24 * time.Hour))
	news, _ := f.add(time.Hour, 1)
	s, logs := f.source(nil)
	f.run(s)
	f.holds(append(want, news...))
	require.True(t, said(logs, "out of reach"))
}

func TestABusyServiceIsWaitedFor(t *testing.T) {
	f := newFeed(t)
	want, _ := f.add(time.Minute, 2)
	var refused atomic.Int32
	f.api.Fail(func(r *http.Request) (int, string, string, bool) {
		if refused.Add(1)%2 == 1 {
			return http.StatusTooManyRequests, simulated.Error("AF429", "Too many requests. Method=GET"), "0.05", true
		}
		return 0, "", "", false
	})
	s, _ := f.source(nil)
	f.run(s)
	f.holds(want)
}

// A blob that fails holds nothing up but the cursor.
func TestABlobThatFailsIsTriedAgain(t *testing.T) {
	f := newFeed(t)
	bad, blob := f.add(5*time.Hour, 2)
	want, _ := f.add(time.Hour, 2)
	var broken atomic.Bool
	broken.Store(true)
	f.api.Fail(func(r *http.Request) (int, string, string, bool) {
		return http.StatusServiceUnavailable, "<html>", "", broken.Load() && strings.HasSuffix(r.URL.Path, blob.ID)
	})
	s, _ := f.source(nil)
	stop := f.run(s)
	f.holds(want)
	stop()
	s, _ = f.source(nil) // the cursor has not passed it
	f.run(s)
	f.listedAgain()
	broken.Store(false)
	f.holds(append(want, bad...))
	require.Empty(t, f.letters())
}

func TestContentThatIsGoneIsADeadLetter(t *testing.T) {
	f := newFeed(t)
	_, gone := f.add(2*time.Hour, 1)
	f.api.Change(gone.ID, func(b *simulated.Blob) { b.Gone = true })
	want, _ := f.add(time.Hour, 1)
	s, logs := f.source(nil)
	f.run(s)
	f.holds(want)
	letters := f.letters()
	require.Len(t, letters, 1)
	require.Contains(t, letters[0], gone.ID)
	require.Contains(t, letters[0], "AF20051")
	require.True(t, said(logs, "content of the unified audit log is lost"))
}

func TestABrokenBlobIsKept(t *testing.T) {
	f := newFeed(t)
	id, raw := f.rule()
	f.api.AddBlob(simulated.Blob{ID: "cut", Type: record.UnifiedExchange, Created: f.clock.Now().Add(-time.Hour), Body: []byte("[" + raw + `,{"Operation":`)})
	f.api.AddBlob(simulated.Blob{ID: "noise", Type: record.UnifiedExchange, Created: f.clock.Now().Add(-time.Hour), Body: []byte(`<html>`)})
	f.api.AddBlob(simulated.Blob{ID: "numbers", Type: record.UnifiedExchange, Created: f.clock.Now().Add(-time.Hour), Body: []byte(`[7]`)})
	s, _ := f.source(nil)
	f.run(s)
	f.holds([]string{id})
	f.eventually("all letters", func() bool { return len(f.letters()) == 3 })
	all := strings.Join(f.letters(), "\n")
	require.Contains(t, all, `"contentId":"cut"`)
	require.Contains(t, all, `{\"Operation\":`)
	require.Contains(t, all, `"contentId":"noise"`)
	f.listedAgain()
	require.Len(t, f.letters(), 3)
}

// A token is sent to the configured host, and nowhere else.
func TestAForeignAddressIsRefused(t *testing.T) {
	var reached atomic.Int32
	foreign := newServer(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	for name, address := range map[string]string{
		"another host":    foreign + "/api/v1.0/" + tenantID + "/activity/feed/audit/x",
		"another tenant":  "/api/v1.0/00000000-0000-0000-0000-000000000001/activity/feed/audit/x",
		"another service": "/other/" + tenantID + "/activity/feed/audit/x",
		"with a user":     "user@",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFeed(t)
			_, blob := f.add(2*time.Hour, 1)
			switch {
			case address[0] == '/':
				address = f.url + address
			case strings.HasSuffix(address, "@"):
				address = strings.Replace(f.url, "://", "://"+address, 1) + "/api/v1.0/" + tenantID + "/activity/feed/audit/x"
			}
			f.api.Change(blob.ID, func(b *simulated.Blob) { b.URI = address })
			want, _ := f.add(time.Hour, 1)
			s, _ := f.source(nil)
			f.run(s)
			f.holds(want)
			require.Len(t, f.letters(), 1)
			require.Contains(t, f.letters()[0], "refusing contentUri")
			require.Empty(t, f.api.Calls("audit/x"))
		})
	}
	require.Zero(t, reached.Load())
}

func TestARedirectionIsNotFollowed(t *testing.T) {
	var reached atomic.Int32
	foreign := newServer(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	base := newServer(t, http.RedirectHandler(foreign, http.StatusFound))
	f := newFeed(t)
	s, logs := f.source(func(c *Config) { c.URL = base })
	f.run(s)
	f.eventually("a refusal", func() bool { return said(logs, "Office 365 answered 302") })
	require.Zero(t, reached.Load())
}

func TestAForeignNextPageIsRefused(t *testing.T) {
	base := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/content") {
			w.Header().Set("NextPageUri", "https://elsewhere.example/api/v1.0/"+tenantID+"/activity/feed/subscriptions/content")
		}
		_, _ = w.Write([]byte(`[]`))
	}))
	f := newFeed(t)
	s, logs := f.source(func(c *Config) { c.URL = base })
	f.run(s)
	f.eventually("a refusal", func() bool { return said(logs, "following NextPageUri") })
}

func TestADisabledSubscriptionIsStartedAgain(t *testing.T) {
	f := newFeed(t)
	s, logs := f.source(func(c *Config) { c.Content = nil })
	f.run(s)
	f.eventually("subscriptions", func() bool { return f.api.Subscription(record.UnifiedGeneral).Status == "enabled" })
	f.listedAgain()
	f.api.Disable(record.UnifiedExchange)
	f.eventually("a start", func() bool { return f.api.Subscription(record.UnifiedExchange).Status == "enabled" })
	require.True(t, said(logs, "cannot be had any more"))
	want, _ := f.add(time.Second, 1)
	f.clock.JumpTo(f.clock.Now().Add(2 * time.Second))
	f.holds(want)
	require.Empty(t, f.api.Subscription(record.UnifiedDLP).Status, "nobody asked for it")
}

func TestAMissingPermissionIsNamed(t *testing.T) {
	f := newFeed(t)
	want, _ := f.add(time.Minute, 1)
	var refusing atomic.Bool
	refusing.Store(true)
	f.api.Fail(func(*http.Request) (int, string, string, bool) {
		return http.StatusUnauthorized, simulated.Error("AF10001", "The permission set () sent in the request did not include the expected permission ActivityFeed.Read."), "", refusing.Load()
	})
	s, logs := f.source(nil)
	f.run(s)
	f.eventually("words", func() bool { return said(logs, "needs the permission ActivityFeed.Read") })
	refusing.Store(false)
	f.holds(want)
	require.False(t, said(logs, "Bearer"))
}

func TestConfigurations(t *testing.T) {
	f := newFeed(t)
	for name, change := range map[string]func(*Config){
		"http":           func(c *Config) { c.URL = "http://manage.office.example" },
		"a path":         func(c *Config) { c.URL = "https://manage.office.com/api" },
		"no host":        func(c *Config) { c.URL = "manage.office.com" },
		"no tenant":      func(c *Config) { c.Tenant = "contoso.example" },
		"no credential":  func(c *Config) { c.Credential = nil },
		"unknown type":   func(c *Config) { c.Content = []string{"Audit.Everything"} },
		"twice":          func(c *Config) { c.Content = []string{record.UnifiedEntra, record.UnifiedEntra} },
		"a weak secret":  func(c *Config) { c.Webhook = &Webhook{Address: "https://cordon.example/o365", AuthID: "short"} },
		"a http webhook": func(c *Config) { c.Webhook = &Webhook{Address: "http://cordon.example/o365", AuthID: secret} },
	} {
		cfg := Config{Tenant: tenantID, Credential: f.cred}
		_, err := New(cfg, f.bus, f.clock, nopLog)
		require.NoError(t, err)
		change(&cfg)
		_, err = New(cfg, f.bus, f.clock, nopLog)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "short")
	}
	s, err := New(Config{Tenant: tenantID, Credential: f.cred, URL: "https://manage.office365.us/"}, f.bus, f.clock, nopLog)
	require.NoError(t, err)
	require.Equal(t, "https://manage.office365.us/.default", s.cfg.Scope)
	require.Equal(t, tenantID+"/office365", s.cfg.Name())
}
