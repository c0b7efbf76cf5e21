package evidence

import (
	"context"
	"fmt"
	"testing"
	"time"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/finding"
	"cordon/internal/incident"
	"cordon/internal/record"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	contoso = "c0170500-0000-4000-8000-00000000c001"
	avery   = "11111111-1111-4111-8111-111111111111"
	other   = "22222222-2222-4222-8222-222222222222"
)

// office keeps the evidence of one principal over a real bus.
type office struct {
	*testing.T
	bus    *bus.Bus
	store  *incident.Store
	number uint64
	seq    int64
}

func open(t *testing.T) *office {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return &office{T: t, bus: b, store: incident.NewStore(b)}
}

// keep runs a keeper until the test, or the caller, stops it.
func (o *office) keep() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- (&Keeper{Bus: o.bus, Store: o.store, Clock: clock.Wall{}}).Run(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(o, <-done)
		}
	}
	o.Cleanup(stop)
	return stop
}

// log stores a record of a principal, as ingest does.
func (o *office) log(principal, id, body string) {
	o.Helper()
	o.seq++
	r := record.Record{ID: id, Tenant: contoso, Time: time.Now().UTC(), Actor: record.Party{Type: record.User, ID: principal}}
	_, err := o.bus.Publish(o.Context(), bus.Message{Subject: bus.LogSubject(contoso, record.SignInLogs, principal), Data: []byte(body),
		Header: nats.Header(r.Headers(record.Position{Source: "hub", Partition: "0", Sequence: o.seq}, time.Now()))})
	require.NoError(o, err)
}

func (o *office) tell(kind string, data any) {
	o.Helper()
	h, err := o.store.Load(o.Context(), bus.IncidentSubject(contoso, avery))
	require.NoError(o, err)
	e, err := incident.New(kind, incident.Cordon, "", time.Now(), data)
	require.NoError(o, err)
	require.NoError(o, o.store.Append(o.Context(), h, e))
	o.number = h.Current().Number
}

func (o *office) opened() {
	o.Helper()
	o.tell(incident.Opened, incident.OpenedData{Playbook: "p", Tenant: contoso, Principal: finding.Principal{Home: contoso, Type: "user", ID: avery}})
}

func (o *office) kept() []string {
	var out []string
	require.NoError(o, o.bus.Scan(o.Context(), bus.Evidence, bus.EvidenceSubject(o.number), time.Time{}, func(m jetstream.Msg) error {
		out = append(out, string(m.Data()))
		return nil
	}))
	return out
}

func (o *office) idle() {
	o.Helper()
	require.Eventually(o, func() bool {
		last, err := o.bus.LastSequence(o.Context(), bus.Incidents)
		floor, floorErr := o.bus.AckFloor(o.Context(), bus.Incidents, "evidence")
		return err == nil && floorErr == nil && floor == last
	}, 10*time.Second, 5*time.Millisecond)
}

func TestThePrincipalsRecordsAreCopiedOnce(t *testing.T) {
	o := open(t)
	o.log(avery, "a", `{"n":1}`)
	o.log(other, "b", `{"n":"another's"}`)
	o.log(avery, "a", `{"n":"a revision"}`)
	o.opened()
	o.keep()
	o.idle()
	require.Equal(t, []string{`{"n":1}`, `{"n":"a revision"}`}, o.kept(), "whole, byte by byte, and nobody else's")

	o.log(avery, "c", `{"n":3}`)
	o.tell(incident.FindingJoined, finding.Finding{ID: "f"})
	o.idle()
	require.Equal(t, []string{`{"n":1}`, `{"n":"a revision"}`, `{"n":3}`}, o.kept(), "what came since, and nothing twice")
	o.log(avery, "d", `{"n":4}`)
	o.tell(incident.Noted, incident.NoteData{Text: "hello"})
	o.idle()
	require.Len(t, o.kept(), 3, "a remark brings no record")

	var from nats.Header
	require.NoError(t, o.bus.Scan(t.Context(), bus.Evidence, bus.EvidenceSubject(o.number), time.Time{}, func(m jetstream.Msg) error {
		if from == nil {
			from = nats.Header(m.Headers())
		}
		return nil
	}))
	require.Contains(t, from.Get(record.HeaderRecord), " hub/0/1/0 ", "it says where it came from")
	require.Equal(t, avery, from.Get(record.HeaderPrincipal))
}

func TestAKeeperThatStartsAgainCopiesNothingTwice(t *testing.T) {
	o := open(t)
	for n := range 20 {
		o.log(avery, fmt.Sprint(n), fmt.Sprint(n))
	}
	o.opened()
	stop := o.keep()
	o.idle()
	stop()
	o.tell(incident.FindingJoined, finding.Finding{ID: "f"})
	o.log(avery, "20", "20")
	o.keep()
	o.idle()
	kept := o.kept()
	require.Len(t, kept, 21)
	require.Equal(t, "20", kept[20])
}

func TestAnotherIncidentOfThePrincipalHasItsOwnCopy(t *testing.T) {
	o := open(t)
	o.log(avery, "a", "1")
	o.opened()
	o.keep()
	o.idle()
	first := o.number
	o.tell(incident.Closed, incident.NoteData{})
	o.opened()
	o.idle()
	require.NotEqual(t, first, o.number)
	require.Len(t, o.kept(), 1)
}
