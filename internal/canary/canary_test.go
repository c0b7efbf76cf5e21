package canary

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/fault"
	"cordon/internal/graph"
	"cordon/internal/incident"
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

const (
	tenantID = "11111111-1111-4111-8111-111111111111"
	appID    = "22222222-2222-4222-8222-222222222222"
)

type bearer string

func (b bearer) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(b), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// site is a tenant on a real socket, a bus, and what was written where.
type site struct {
	*testing.T
	bus    *bus.Bus
	graph  *entra.Graph
	sender *Sender
	tenant Tenant

	mu   sync.Mutex
	logs [][]byte
}

func open(t *testing.T, permissions ...string) *site {
	s := &site{T: t}
	var err error
	s.bus, err = bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(s.bus.Close)
	tenant := entra.NewTenant(tenantID, "Contoso", clock.Wall{}, func(_ string, raw []byte, _ time.Time) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.logs = append(s.logs, raw)
	})
	s.graph = entra.NewGraph(tenant)
	s.graph.Allow("token", tenant, entra.App{AppID: appID, DisplayName: "Cordon", Permissions: permissions})
	web := httptest.NewServer(s.graph)
	t.Cleanup(func() {
		web.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	client, err := graph.New(web.URL+"/v1.0", bearer("token"))
	require.NoError(t, err)
	s.tenant = Tenant{ID: tenantID, Graph: client}
	s.sender = New(Config{AppID: appID, Tenants: []Tenant{s.tenant}}, s.bus, clock.Wall{}, zap.NewNop())
	return s
}

// journal is what AUDIT holds, checked as a chain.
func (s *site) journal() (types []string, events []incident.Event) {
	s.Helper()
	head := ""
	require.NoError(s, s.bus.After(s.Context(), bus.Audit, bus.AuditSubject(tenantID), 0, func(m *jetstream.RawStreamMsg) error {
		var e incident.Event
		require.NoError(s, json.Unmarshal(m.Data, &e))
		require.Equal(s, head, e.Prev)
		require.NotEmpty(s, e.ID)
		require.Equal(s, incident.Cordon, e.By)
		head = incident.Hash(m.Data)
		types, events = append(types, e.Type), append(events, e)
		return nil
	}))
	return types, events
}

func TestACanaryStandsInTheJournalAndComesBackInTheLog(t *testing.T) {
	s := open(t, "Application.ReadWrite.OwnedBy")
	require.NoError(t, s.sender.Send(t.Context(), s.tenant))
	require.NoError(t, s.sender.Send(t.Context(), s.tenant))
	types, events := s.journal()
	require.Equal(t, []string{incident.CanarySent, incident.CanaryDone, incident.CanarySent, incident.CanaryDone}, types)
	require.Len(t, s.logs, 2)
	for i, raw := range s.logs {
		var sent incident.StartedData
		require.NoError(t, json.Unmarshal(events[2*i].Data, &sent))
		nonce, ok := Nonce(sent.Ref)
		require.True(t, ok)
		require.Contains(t, sent.Requests[0], nonce, "the whole of the call stands in the journal")
		r, err := record.Decode(raw, record.Defaults{})
		require.NoError(t, err)
		require.Contains(t, sent.Footprint, r.Operation)
		require.Equal(t, sent.Objects, []string{r.Targets()[0].ID})
		require.Equal(t, appID, r.Actor.AppID)
		notes, ok := r.Change("Notes")
		require.True(t, ok)
		got, shown := NonceOf(notes.New)
		require.True(t, shown)
		require.Equal(t, nonce, got)
	}
}

func TestARefusalStandsInTheJournalToo(t *testing.T) {
	s := open(t, "Application.Read.All")
	err := s.sender.Send(t.Context(), s.tenant)
	require.Equal(t, fault.Forbidden, fault.Of(err))
	types, events := s.journal()
	require.Equal(t, []string{incident.CanarySent, incident.CanaryFailed}, types)
	var failed incident.FinishedData
	require.NoError(t, json.Unmarshal(events[1].Data, &failed))
	require.Equal(t, "forbidden", failed.Class)
	require.NotEmpty(t, failed.Error)
}

func TestWithoutAnObjectNothingIsAnnounced(t *testing.T) {
	s := open(t, "Application.ReadWrite.OwnedBy")
	s.sender.cfg.AppID = "it's another"
	require.ErrorContains(t, s.sender.Send(t.Context(), s.tenant), "there is none of application")
	types, _ := s.journal()
	require.Empty(t, types)
}

func TestRunSendsAgainAndEnds(t *testing.T) {
	s := open(t, "Application.ReadWrite.OwnedBy")
	s.sender.cfg.Every = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.sender.Run(ctx) }()
	require.Eventually(t, func() bool { types, _ := s.journal(); return len(types) >= 6 }, 10*time.Second, 10*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
}

func TestNoncesInNotes(t *testing.T) {
	for notes, want := range map[string]string{"cordon canary 2026-03-02T08:00:00Z n1": "n1", `["cordon canary 2026-03-02T08:00:00Z n1"]`: "n1",
		"": "", "cordon canary n1": "", "a cordon canary x n1": "", `["a","b"]`: "", "cordon canary 2026 n1 and more": ""} {
		got, shown := NonceOf(notes)
		require.Equal(t, want, got, notes)
		require.Equal(t, want != "", shown, notes)
	}
}
