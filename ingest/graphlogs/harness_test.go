package graphlogs

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/record"
	"cordon/internal/simulator/entra"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const tenantID = "11111111-1111-4111-8111-111111111111"

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// bearer is a token as it is.
type bearer string

func (b bearer) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if len(o.Scopes) != 1 || o.Scopes[0] != "https://graph.microsoft.com/.default" {
		return azcore.AccessToken{}, fmt.Errorf("asked for %+v", o)
	}
	return azcore.AccessToken{Token: string(b), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// emitted is a record of the stream.
type emitted struct {
	category string
	raw      []byte
}

// site is a simulated tenant behind a socket, and a bus.
type site struct {
	*testing.T
	tenant *entra.Tenant
	graph  *entra.Graph
	url    string
	dir    string
	bus    *bus.Bus
	clock  clock.Clock

	mu      sync.Mutex
	stream  []emitted
	before  func(http.ResponseWriter, *http.Request) bool // answers itself where it says so
	asked   []*http.Request
	askedAt []time.Time
}

func newSite(t *testing.T, c clock.Clock) *site {
	t.Helper()
	s := &site{T: t, dir: t.TempDir(), clock: c}
	s.tenant = entra.NewTenant(tenantID, "Contoso", c, func(category string, raw []byte, _ time.Time) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.stream = append(s.stream, emitted{category, raw})
	})
	s.graph = entra.NewGraph(s.tenant)
	s.graph.Allow("token", s.tenant, entra.App{AppID: "app", DisplayName: "Cordon", Permissions: []string{"AuditLog.Read.All", "IdentityRiskEvent.Read.All",
		"IdentityRiskyUser.Read.All", "IdentityRiskyServicePrincipal.Read.All", "PartnerSecurity.Read.All", "AuditLogsQuery.Read.All"}})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked, s.askedAt = append(s.asked, r.Clone(context.Background())), append(s.askedAt, c.Now())
		before := s.before
		s.mu.Unlock()
		if before == nil || !before(w, r) {
			s.graph.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(web.Close)
	s.url = web.URL
	s.open()
	return s
}

func (s *site) open() {
	s.Helper()
	b, err := bus.Open(s.Context(), bus.Config{Dir: s.dir})
	require.NoError(s, err)
	s.bus = b
	s.Cleanup(b.Close)
}

// meanwhile sets what is done before Graph answers.
func (s *site) meanwhile(f func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

func (s *site) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

// quick is a pace at which a test need not wait.
func quick() pace {
	return pace{retryFirst: 2 * time.Millisecond, retryMost: 20 * time.Millisecond, forbidden: 30 * time.Millisecond, search: time.Millisecond, searches: 5 * time.Millisecond,
		span: 5 * time.Millisecond}
}

func (s *site) poller(log *zap.Logger, logs ...string) *Poller {
	s.Helper()
	p, err := New(Config{Tenant: tenantID, URL: s.url, Credential: bearer("token"), Logs: logs, Every: 10 * time.Millisecond}, s.bus, s.clock, log)
	require.NoError(s, err)
	p.setPace(quick())
	s.Cleanup(p.client.web.CloseIdleConnections)
	return p
}

// run lets a poller run until the function that is returned has been called.
func run(t *testing.T, p *Poller) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			require.NoError(t, <-ended)
		})
	}
	t.Cleanup(stop)
	return stop
}

// once reads one span of one log.
func (s *site) once(p *Poller, name string) error {
	s.Helper()
	l, ok := find(name)
	require.True(s, ok)
	partition, err := p.partition(s.Context(), p.cfg.Name(), name)
	require.NoError(s, err)
	_, err = (&reader{Poller: p, Log: l, top: l.Top}).span(s.Context(), partition)
	return err
}

// stored are the records in LOGS.
func (s *site) stored() (all []*record.Record) {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	require.NoError(s, s.bus.Follow(ctx, bus.Logs, []string{"logs.>"}, 0, func(m jetstream.Msg) error {
		r, _, err := record.FromLogs(m.Headers(), m.Data())
		require.NoError(s, err)
		all = append(all, r)
		return nil
	}, cancel))
	return all
}

// ids are the records' ids, with how often each is stored.
func (s *site) ids() map[string]int {
	s.Helper()
	out := map[string]int{}
	for _, r := range s.stored() {
		out[r.ID]++
	}
	return out
}

// letters are the reasons of the dead letters.
func (s *site) letters() (reasons []string) {
	s.Helper()
	require.NoError(s, s.bus.Scan(s.Context(), bus.DeadLetters, "deadletter.>", time.Time{}, func(m jetstream.Msg) error {
		reasons = append(reasons, m.Headers().Get("Cordon-Reason"))
		return nil
	}))
	return reasons
}

// add puts an object into one of Graph's lists.
func (s *site) add(list string, fields map[string]any) {
	s.Helper()
	raw, err := json.Marshal(fields)
	require.NoError(s, err)
	require.NoError(s, s.tenant.AddLog(list, "", raw))
}

// audit puts an audit object into Graph, and returns the id that its record has.
func (s *site) audit(id string, at time.Time) string {
	s.Helper()
	s.add(entra.DirectoryAudits, map[string]any{"id": id, "category": "UserManagement", "activityDisplayName": "Update user", "result": "success",
		"activityDateTime": at.Format("2006-01-02T15:04:05.0000000Z"), "initiatedBy": map[string]any{"user": map[string]any{"id": "u"}}, "targetResources": []any{}})
	return tenantID + "/AuditLogs/" + id
}

// audits puts many in, a minute apart, the last one at a time.
func (s *site) audits(prefix string, n int, last time.Time) map[string]int {
	s.Helper()
	want := map[string]int{}
	for i := range n {
		want[s.audit(fmt.Sprintf("%s%03d", prefix, i), last.Add(-time.Duration(n-1-i)*time.Minute))] = 1
	}
	return want
}

func behind(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "skiptoken") }

// manual is a clock that sleeping moves, so that waiting takes no time and is exact.
type manual struct {
	mu    sync.Mutex
	now   time.Time
	slept []time.Duration
}

func (m *manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *manual) sleep(ctx context.Context, d time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now, m.slept = m.now.Add(d), append(m.slept, d)
	return ctx.Err()
}

// still makes a poller live in a manual clock's time, at the usual pace.
func (p *Poller) still(m *manual) *Poller {
	p.sleep = m.sleep
	p.setPace(usualPace())
	return p
}
