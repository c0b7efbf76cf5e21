package graphlogs

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/ingest"
	"cordon/internal/clock"
	"cordon/internal/record"
	"cordon/internal/simulator/entra"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

const (
	patience = 20 * time.Second
	tick     = 10 * time.Millisecond
)

// people makes a tenant where somebody signs in, in every way, and changes something.
func people(s *site) {
	s.Helper()
	u := s.tenant.AddUser(entra.User{UserPrincipalName: "avery@contoso.example", DisplayName: "Avery", AccountEnabled: true, Password: "p"})
	for i := range 8 {
		at := s.clock.Now().Add(-time.Duration(i) * time.Hour)
		session, err := s.tenant.SignIn(entra.SignIn{UserPrincipalName: u.UserPrincipalName, Password: "p", MFA: true, Interactive: i%2 == 0, IP: "192.0.2.7", At: at})
		require.NoError(s, err)
		_, err = session.RegisterAuthenticator(fmt.Sprint("phone ", i))
		require.NoError(s, err)
		_, err = s.tenant.AppSignIn(entra.AppSignIn{AppID: "unknown", At: at})
		require.Error(s, err)
	}
}

// What the tenant writes reaches LOGS through the poller as it would through the stream, with the same record ids.
func TestWhatTheStreamWouldCarryIsPolled(t *testing.T) {
	s := newSite(t, clock.NewScenario(noon))
	people(s)
	s.graph.SetPageSize(3)
	want := map[string]int{}
	for _, e := range s.stream {
		r, err := record.Decode(e.raw, record.Defaults{})
		require.NoError(t, err)
		if e.category != record.ServicePrincipalSignInLogs { // known by its bytes alone, which differ
			want[r.ID] = 1
		}
	}
	require.Greater(t, len(want), 14)
	run(t, s.poller(zap.NewNop()))
	require.Eventually(t, func() bool {
		got := s.ids()
		maps.DeleteFunc(got, func(id string, _ int) bool { return strings.Contains(id, record.ServicePrincipalSignInLogs) })
		return maps.Equal(want, got)
	}, patience, tick)
	require.Empty(t, s.letters())
	carried := map[string]int{}
	for _, r := range s.stored() {
		carried[r.Category]++
		require.Equal(t, tenantID, r.Tenant)
		require.True(t, r.Operation != "" || !r.Decoded(), r.Category)
	}
	require.Equal(t, 4, carried[record.SignInLogs])
	require.Equal(t, 4, carried[record.NonInteractiveUserSignInLogs])
	require.Equal(t, 8, carried[record.ServicePrincipalSignInLogs])
}

// The same record from the stream and from the poller has one id, one time, one actor, one outcome.
func TestStreamAndPollerTellTheSameOfARecord(t *testing.T) {
	s := newSite(t, clock.NewScenario(noon))
	people(s)
	hub, _, err := ingest.Open(t.Context(), s.bus, ingest.Source{Name: "hub", Clock: s.clock}, "0")
	require.NoError(t, err)
	records := 0
	for i, e := range s.stream {
		if e.category != record.ServicePrincipalSignInLogs {
			records++
			require.NoError(t, hub.Store(t.Context(), []ingest.Message{{Sequence: int64(i), Enqueued: s.clock.Now(), Body: []byte(`{"records":[` + string(e.raw) + `]}`)}}))
		}
	}
	run(t, s.poller(zap.NewNop(), "directory-audits", "sign-ins", "non-interactive-sign-ins"))
	require.Eventually(t, func() bool { return len(s.stored()) == 2*records }, patience, tick)
	by := map[string][]*record.Record{}
	for _, r := range s.stored() {
		by[r.ID] = append(by[r.ID], r)
	}
	require.Len(t, by, records)
	for id, two := range by {
		require.Len(t, two, 2, id)
		require.Equal(t, two[0].Time, two[1].Time, id)
		require.Equal(t, two[0].Operation, two[1].Operation, id)
		require.Equal(t, two[0].Result(), two[1].Result(), id)
		require.Equal(t, two[0].SignIn(), two[1].SignIn(), id)
		require.Equal(t, two[0].Targets(), two[1].Targets(), id)
		require.Equal(t, two[0].Actor.Key(), two[1].Actor.Key(), id)
	}
}

// Records that appear late, while pages are being read and afterwards, are stored, and each one once.
func TestLateRecordsAreStoredOnce(t *testing.T) {
	s := newSite(t, clock.NewScenario(noon))
	s.graph.SetPageSize(3)
	want := s.audits("early", 20, noon)
	late := 0
	s.meanwhile(func(_ http.ResponseWriter, r *http.Request) bool {
		if behind(r) && late < 6 { // before and behind what has been read already
			want[s.audit(fmt.Sprint("meanwhile", late), noon.Add(-time.Duration(late)*3*time.Minute-time.Second))] = 1
			late++
		}
		return false
	})
	run(t, s.poller(zap.NewNop(), "directory-audits"))
	require.Eventually(t, func() bool { return len(s.ids()) == 26 }, patience, tick)
	s.meanwhile(nil)
	maps.Copy(want, s.audits("late", 10, noon.Add(-15*time.Minute)))
	require.Eventually(t, func() bool { return len(s.ids()) == 36 }, patience, tick)
	asked := s.requests()
	require.Eventually(t, func() bool { return s.requests() > asked+30 }, patience, tick, "and asked for again and again")
	require.Equal(t, want, s.ids())
}

// Killed between two pages, and started again on the same folder: everything is there, once.
func TestARestartBetweenPages(t *testing.T) {
	s := newSite(t, clock.NewScenario(noon))
	s.graph.SetPageSize(4)
	want := s.audits("a", 18, noon)
	s.meanwhile(func(w http.ResponseWriter, r *http.Request) bool {
		if behind(r) && len(s.requestsBehind()) > 2 {
			w.WriteHeader(http.StatusBadRequest) // nothing heals that
			return true
		}
		return false
	})
	p := s.poller(zap.NewNop(), "directory-audits")
	p.cfg.Since = time.Hour // one span
	stop := run(t, p)
	require.Eventually(t, func() bool { return len(s.ids()) == 12 }, patience, tick)
	stop()
	partition, err := s.poller(zap.NewNop()).partition(t.Context(), tenantID+"/graph", "directory-audits")
	require.NoError(t, err)
	var at cursor
	require.NoError(t, partition.Cursor(&at))
	require.Zero(t, at, "the cursor has not moved")
	require.Equal(t, noon.Add(-time.Hour), partition.At().Seen, "nothing is asked for that came before")
	s.bus.Close()

	s.open()
	s.meanwhile(nil)
	want[s.audit("new", noon.Add(-time.Second))] = 1
	stop = run(t, s.poller(zap.NewNop(), "directory-audits"))
	require.Eventually(t, func() bool {
		partition, err = s.poller(zap.NewNop()).partition(t.Context(), tenantID+"/graph", "directory-audits")
		require.NoError(t, err)
		return partition.At().CaughtUp // before the next span begins, which reads the same pages again
	}, patience, tick)
	require.NoError(t, partition.Cursor(&at))
	require.WithinDuration(t, s.clock.Now().Add(-30*time.Minute), at.Until, time.Minute)
	stop()
	require.Equal(t, want, s.ids())
	require.WithinDuration(t, s.clock.Now(), partition.At().Seen, time.Minute)
}

func (s *site) requestsBehind() (all []*http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.asked {
		if behind(r) {
			all = append(all, r)
		}
	}
	return all
}

// A long absence is made good slice by slice, and the cursor keeps what has been read.
func TestALongAbsenceIsReadInSlices(t *testing.T) {
	m := &manual{now: noon}
	s := newSite(t, m)
	want := s.audits("a", 30, noon.Add(-10*time.Hour))
	p := s.poller(zap.NewNop(), "directory-audits").still(m)
	for {
		require.NoError(t, s.once(p, "directory-audits"))
		partition, err := p.partition(t.Context(), p.cfg.Name(), "directory-audits")
		require.NoError(t, err)
		if partition.At().CaughtUp {
			break
		}
		require.Less(t, s.requests(), 20)
	}
	require.Equal(t, 10, s.requests(), "24 h in slices of 2.5 h")
	require.Equal(t, want, s.ids())
	first := s.asked[0].URL.Query()
	require.Equal(t, "activityDateTime ge 2026-03-03T12:00:00Z and activityDateTime le 2026-03-03T14:30:00Z", first.Get("$filter"))
	require.Equal(t, "activityDateTime asc", first.Get("$orderby"))
	require.Equal(t, "500", first.Get("$top"))
}

// Five requests in ten seconds, never two in one second, over all logs together.
func TestTheBudgetIsKept(t *testing.T) {
	m := &manual{now: noon}
	s := newSite(t, m)
	s.graph.SetPageSize(2)
	s.audits("a", 30, noon)
	p := s.poller(zap.NewNop(), "directory-audits", "sign-ins").still(m)
	for range 12 {
		require.NoError(t, s.once(p, "directory-audits"))
		require.NoError(t, s.once(p, "sign-ins"))
	}
	require.Greater(t, len(s.askedAt), 30)
	for i, at := range s.askedAt {
		if i > 0 {
			require.GreaterOrEqual(t, at.Sub(s.askedAt[i-1]), time.Second)
		}
		if i >= 5 {
			require.GreaterOrEqual(t, at.Sub(s.askedAt[i-5]), 10*time.Second, "request %d", i)
		}
	}
}

// On a socket and the machine's clock, with all logs at once.
func TestTheBudgetIsSharedByAllLogs(t *testing.T) {
	s := newSite(t, clock.Wall{})
	p := s.poller(zap.NewNop())
	at := quick()
	at.span = 250 * time.Millisecond
	p.setPace(at)
	stop := run(t, p)
	require.Eventually(t, func() bool { return s.requests() >= 25 }, patience, tick)
	stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	paths := map[string]bool{}
	for i, r := range s.asked {
		paths[r.URL.Path] = true
		if i >= 10 { // a request may be under way for a while: two spans, so that one late arrival is no failure
			require.GreaterOrEqual(t, s.askedAt[i].Sub(s.askedAt[i-10]), 400*time.Millisecond)
		}
	}
	require.Len(t, paths, 6)
}

func TestThrottlingIsObeyed(t *testing.T) {
	m := &manual{now: noon}
	s := newSite(t, m)
	want := s.audits("a", 3, noon)
	p := s.poller(zap.NewNop(), "directory-audits").still(m)
	p.cfg.Since = 2 * time.Hour
	for _, c := range []struct {
		status int
		after  string
		waits  []time.Duration
	}{
		{429, "2.128", []time.Duration{2128 * time.Millisecond}},
		{503, "7", []time.Duration{7 * time.Second}},
		{429, "", []time.Duration{2 * time.Second}},
		{500, "nonsense", []time.Duration{2 * time.Second}},
	} {
		refused := false
		s.graph.Fail(func(*http.Request) (int, string, string, bool) {
			defer func() { refused = true }()
			return c.status, "TooManyRequests", c.after, !refused
		})
		m.now, m.slept = m.now.Add(time.Hour), nil
		require.NoError(t, s.once(p, "directory-audits"), "the page is asked for again")
		require.Equal(t, c.waits, m.slept, c.after)
	}
	require.Equal(t, want, s.ids())

	s.graph.Fail(func(*http.Request) (int, string, string, bool) { return 429, "TooManyRequests", "", true })
	m.now, m.slept = m.now.Add(time.Hour), nil
	asked := s.requests()
	require.ErrorContains(t, s.once(p, "directory-audits"), "TooManyRequests")
	require.Equal(t, []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second}, m.slept, "growing")
	require.Equal(t, asked+5, s.requests())
}

// A log that may not be read says what is missing, once, and holds up no other.
func TestAMissingPermissionIsNamed(t *testing.T) {
	s := newSite(t, clock.NewScenario(noon))
	s.audits("a", 3, noon)
	s.graph.Allow("token", s.tenant, entra.App{AppID: "poor", Permissions: []string{"AuditLog.Read.All"}})
	core, seen := observer.New(zap.WarnLevel)
	p := s.poller(zap.New(core), "directory-audits", "risk-detections")
	run(t, p)
	require.Eventually(t, func() bool { return len(s.ids()) == 3 && seen.Len() > 0 }, patience, tick)
	asked := s.requests()
	require.Eventually(t, func() bool { return s.requests() > asked+20 }, patience, tick)
	require.Equal(t, 1, seen.Len(), "once")
	said := seen.All()[0].ContextMap()
	require.Equal(t, "IdentityRiskEvent.Read.All", said["permission"])
	require.Equal(t, "risk-detections", said["log"])
	require.Contains(t, said["error"], "403")
	// When it has been given, the log is read.
	s.add(entra.RiskDetections, map[string]any{"id": "d", "detectedDateTime": noon.Format(time.RFC3339), "riskEventType": "anonymizedIPAddress"})
	s.graph.Allow("token", s.tenant, entra.App{AppID: "poor", Permissions: []string{"IdentityRiskEvent.Read.All"}})
	require.Eventually(t, func() bool { return len(s.ids()) == 4 }, patience, tick)
}

func TestConfigurationIsChecked(t *testing.T) {
	good := Config{Tenant: tenantID, URL: PublicURL, Credential: bearer("t")}
	p, err := New(good, nil, clock.Wall{}, zap.NewNop())
	require.NoError(t, err)
	require.Len(t, p.logs, 9)
	require.Equal(t, "https://graph.microsoft.com/.default", p.client.scope)
	for said, change := range map[string]func(*Config){
		"there is no log":      func(c *Config) { c.Logs = []string{"sign-in"} },
		"named twice":          func(c *Config) { c.Logs = []string{"sign-ins", "sign-ins"} },
		"needs Partner Center": func(c *Config) { c.Logs = Partner() },
		"a tenant":             func(c *Config) { c.Tenant = "" },
		"Graph's URL":          func(c *Config) { c.URL = "graph.microsoft.com" },
	} {
		bad := good
		change(&bad)
		_, err := New(bad, nil, clock.Wall{}, zap.NewNop())
		require.ErrorContains(t, err, said)
	}
	for _, l := range Catalogue() {
		require.NotEqual(t, record.KindUnknown, record.KindOf(l.Category), l.Name)
		require.NotEmpty(t, l.Permission, l.Name)
		require.Positive(t, l.Every, l.Name)
		require.Positive(t, l.Slice, l.Name)
	}
	require.False(t, slices.Contains(Default(), "sign-ins-v1"))
}
