package office365

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cordon/ingest"
	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/record"
	simulated "cordon/internal/simulator/office365"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tenantID  = "7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11"
	publisher = "0d2b6c9e-4f1a-4a57-8f0e-2b9d7c5e1a33"
	secret    = "a secret of some length"
)

// credential gives a token for the API's scope alone.
type credential struct{ refused atomic.Bool }

func (c *credential) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if c.refused.Load() || len(o.Scopes) != 1 || o.Scopes[0] != "https://manage.office.com/.default" {
		return azcore.AccessToken{}, errors.New("no token for " + strings.Join(o.Scopes, " "))
	}
	return azcore.AccessToken{Token: "token", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// feed is a simulated API, a bus and a clock.
type feed struct {
	t     *testing.T
	api   *simulated.Server
	url   string
	bus   *bus.Bus
	clock *clock.Scenario
	cred  *credential
	made  int
}

func newFeed(t *testing.T) *feed {
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	f := &feed{t: t, bus: b, clock: clock.NewScenario(time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)), cred: &credential{}}
	f.api = simulated.New(f.clock, tenantID, 2)
	t.Cleanup(f.api.Close)
	server := httptest.NewServer(f.api)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// source is a quick one, of Exchange alone unless said.
func (f *feed) source(change func(*Config)) (*Source, *observer.ObservedLogs) {
	f.t.Helper()
	cfg := Config{URL: f.url, Tenant: tenantID, Credential: f.cred, Publisher: publisher, Content: []string{record.UnifiedExchange}, Every: 20 * time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	core, logs := observer.New(zap.DebugLevel)
	s, err := New(cfg, f.bus, f.clock, zap.New(core))
	require.NoError(f.t, err)
	s.pace = pace{check: time.Hour, retry: 10 * time.Millisecond, retryMost: 40 * time.Millisecond, refused: 60 * time.Millisecond, wake: 10 * time.Millisecond}
	s.api.retry = 5 * time.Millisecond
	return s, logs
}

// run runs a source until stop, which is called at the end in any case.
func (f *feed) run(s *Source) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	stop = func() { cancel(); running.Wait() }
	f.t.Cleanup(stop)
	return stop
}

// rule is a record of its own id, an hour before now.
func (f *feed) rule() (id, raw string) {
	f.made++
	id = fmt.Sprintf("rule-%03d", f.made)
	return id, fmt.Sprintf(`{"CreationTime":%q,"Id":%q,"Operation":"New-InboxRule","OrganizationId":%q,"RecordType":1,"ResultStatus":"True","UserKey":"1003","UserType":2,"Workload":"Exchange","UserId":"avery@contoso.example","ObjectId":"x","Parameters":[{"Name":"DeleteMessage","Value":"True"}]}`,
		f.clock.Now().Add(-time.Hour).Format("2006-01-02T15:04:05"), id, tenantID)
}

// add puts n records into a blob that was created so long ago.
func (f *feed) add(ago time.Duration, n int) (ids []string, b simulated.Blob) {
	var raws []string
	for range n {
		id, raw := f.rule()
		ids, raws = append(ids, id), append(raws, raw)
	}
	return ids, f.api.Add(record.UnifiedExchange, f.clock.Now().Add(-ago), raws...)
}

// stored are the ids of the records in LOGS, in order.
func (f *feed) stored() (ids []string) {
	ctx, cancel := context.WithCancel(f.t.Context())
	defer cancel()
	require.NoError(f.t, f.bus.Follow(ctx, bus.Logs, []string{"logs.>"}, 0, func(m jetstream.Msg) error {
		r, _, err := record.FromLogs(m.Headers(), m.Data())
		require.NoError(f.t, err)
		require.True(f.t, r.Decoded())
		ids = append(ids, r.ID[strings.LastIndex(r.ID, "/")+1:])
		return nil
	}, cancel))
	return ids
}

// count is how many records the checkpoint says that there are in LOGS.
func (f *feed) count() (n int) {
	p, _, err := ingest.Open(context.Background(), f.bus, ingest.Source{Name: tenantID + "/office365", Clock: f.clock}, record.UnifiedExchange)
	require.NoError(f.t, err)
	for _, c := range p.At().Carried {
		n += int(c.Records)
	}
	return n
}

func (f *feed) letters() (all []string) {
	require.NoError(f.t, f.bus.Scan(f.t.Context(), bus.DeadLetters, "deadletter.>", time.Time{}, func(m jetstream.Msg) error {
		all = append(all, string(m.Data()))
		return nil
	}))
	return all
}

func (f *feed) eventually(what string, is func() bool) {
	f.t.Helper()
	require.Eventually(f.t, is, 20*time.Second, 10*time.Millisecond, what)
}

// holds waits until exactly these records are in LOGS, and for two more listings.
func (f *feed) holds(ids []string) {
	f.t.Helper()
	f.eventually("all records", func() bool { return len(f.stored()) >= len(ids) })
	f.listedAgain()
	require.ElementsMatch(f.t, ids, f.stored())
}

func (f *feed) listedAgain() {
	f.t.Helper()
	before := f.listings()
	f.eventually("another listing", func() bool { return f.listings() >= before+2 })
}

// listings counts those that were answered, but for their further pages.
func (f *feed) listings() (n int) {
	for _, c := range f.api.Calls("subscriptions/content") {
		if c.Status == 200 && c.Query["nextPage"] == "" {
			n++
		}
	}
	return n
}

func said(logs *observer.ObservedLogs, message string) bool {
	for _, e := range logs.All() {
		text := e.Message
		for _, v := range e.ContextMap() {
			text += fmt.Sprint(" ", v)
		}
		if strings.Contains(text, message) {
			return true
		}
	}
	return false
}
