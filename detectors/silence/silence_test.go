package silence

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"cordon/internal/bus"
	"cordon/internal/finding"
	"cordon/internal/incident"
	"cordon/internal/record"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tenantID = "7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11"
	hub      = "ns.example/insights-logs"
	ownApp   = "c0ffee00-0000-4000-8000-000000000001"
	ownSP    = "5e1f0000-0000-4000-8000-000000000002"
)

// hand is a clock that is set.
type hand struct {
	mu sync.Mutex
	at time.Time
}

func (h *hand) Now() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.at }
func (h *hand) set(t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = t
}

// world is a bus, a reader of one hub with two partitions, and the room.
type world struct {
	*testing.T
	bus   *bus.Bus
	clock *hand
	cp    [2]record.Checkpoint
	room  *Room
	stop  func()
	next  int64
}

func newWorld(t *testing.T) *world {
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	w := &world{T: t, bus: b, clock: &hand{at: monday}, stop: func() {}}
	for i := range w.cp {
		w.cp[i] = record.Checkpoint{Source: hub, Partition: fmt.Sprint(i)}
	}
	t.Cleanup(func() { w.stop() })
	return w
}

var oneTenant = Config{Sources: []Source{{Name: hub, Tenants: []string{tenantID}}}, Own: []string{ownApp}, Name: func(string) string { return "Contoso" }}

// start runs a new room, as after a restart.
func (w *world) start(cfg Config) {
	w.stop()
	w.room = New(cfg, w.bus, w.clock, zap.NewNop())
	ctx, cancel := context.WithCancel(w.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.room.Run(ctx) }()
	once := sync.OnceFunc(func() {
		cancel()
		require.NoError(w, <-ended)
	})
	w.stop = once
	w.settled()
}

// settled waits until the room has read all there is.
func (w *world) settled() {
	w.Helper()
	logs, err := w.bus.LastSequence(w.Context(), bus.Logs)
	require.NoError(w, err)
	audit, err := w.bus.LastSequence(w.Context(), bus.Audit)
	require.NoError(w, err)
	require.Eventually(w, func() bool {
		w.room.mu.Lock()
		defer w.room.mu.Unlock()
		return w.room.logs >= logs && w.room.audit >= audit && !w.room.watch.looked.IsZero()
	}, 20*time.Second, time.Millisecond)
}

func (w *world) publish(m bus.Message) {
	w.Helper()
	_, err := w.bus.Publish(w.Context(), m)
	require.NoError(w, err)
}

// reads writes both partitions' checkpoints: all up to a time has been seen.
func (w *world) reads(at time.Time) {
	w.Helper()
	for i := range w.cp {
		w.reads1(i, at)
	}
}

func (w *world) reads1(i int, at time.Time) {
	w.Helper()
	w.cp[i].Seen, w.cp[i].Written, w.cp[i].CaughtUp = at, at, true
	data, err := json.Marshal(w.cp[i])
	require.NoError(w, err)
	w.publish(bus.Message{Subject: bus.CheckpointSubject(hub, w.cp[i].Partition), Data: data, Header: nats.Header{"Nats-Rollup": {"sub"}}})
}

// comes lets a record of a category reach the first partition.
func (w *world) comes(category string, at time.Time) {
	w.cp[0] = w.cp[0].Clone()
	w.cp[0].Carry(tenantID, category, at, at)
}

// live goes from one time to another, an hour a step: a record in each hour of the day in which comes says so.
func (w *world) live(from, to time.Time, category string, comes func(time.Time) bool) {
	w.Helper()
	for at := from; at.Before(to); at = at.Add(time.Hour) {
		if comes(at) {
			w.comes(category, at)
		}
		w.reads(at)
	}
	w.settled()
}

// look jumps to a time at which the reader has read everything, and looks.
func (w *world) look(at time.Time) {
	w.Helper()
	w.reads(at)
	w.silently(at)
}

// silently looks without a sign of the reader.
func (w *world) silently(at time.Time) {
	w.Helper()
	w.settled()
	w.clock.set(at)
	require.NoError(w, w.room.Look(w.Context(), at))
}

// findings are the last revisions, by identity.
func (w *world) findings() map[string]finding.Finding {
	w.Helper()
	out := map[string]finding.Finding{}
	require.NoError(w, w.bus.After(w.Context(), bus.Findings, "findings.>", 0, func(m *jetstream.RawStreamMsg) error {
		var f finding.Finding
		require.NoError(w, json.Unmarshal(m.Data, &f))
		if have, ok := out[f.ID]; !ok || f.Revision > have.Revision {
			out[f.ID] = f
		}
		return nil
	}))
	return out
}

// one is the only finding there is.
func (w *world) one() finding.Finding {
	w.Helper()
	all := w.findings()
	require.Len(w, all, 1)
	for _, f := range all {
		return f
	}
	return finding.Finding{}
}

func hourly(at time.Time) bool { return at.Hour() >= 8 && at.Hour() < 18 }

func TestALogThatStopsIsFoundAndTakenBackWhenItComesAgain(t *testing.T) {
	w := newWorld(t)
	w.start(oneTenant)
	w.live(monday, monday.Add(4*day+12*time.Hour), record.SignInLogs, hourly)
	last := monday.Add(4*day + 11*time.Hour)
	// The night is its own: it was quiet for fifteen hours each night.
	w.look(last.Add(15 * time.Hour))
	w.look(last.Add(22 * time.Hour))
	require.Empty(t, w.findings())
	w.look(last.Add(23 * time.Hour))
	f := w.one()
	require.Equal(t, SilentRule, f.Rule)
	require.Equal(t, "high", f.Level)
	require.Equal(t, []string{"T1562.008"}, f.Techniques)
	require.Equal(t, finding.Principal{Home: tenantID, Type: record.Tenant, ID: tenantID, Name: "Contoso"}, f.Principal)
	require.Equal(t, last, f.Time)
	require.Contains(t, f.Says, "no SignInLogs of Contoso have come by "+hub+" since 2026-03-06 11:00 UTC")
	require.Contains(t, f.Says, "never quiet for more than 15h0m0s")
	require.Contains(t, f.Says, "diagnostic setting")

	w.look(last.Add(30 * time.Hour))
	require.Equal(t, 1, w.one().Revision, "it is told once")

	// The same finding after a restart, and after one that has lost what was told last.
	w.start(oneTenant)
	w.look(last.Add(31 * time.Hour))
	require.Equal(t, f, w.one())

	w.comes(record.SignInLogs, last.Add(32*time.Hour))
	w.look(last.Add(32 * time.Hour))
	again := w.one()
	require.Equal(t, 2, again.Revision)
	require.Equal(t, "SignInLogs have come again at 2026-03-07 19:00 UTC", again.Withdrawn)
}

func TestAFindingIsTheSameWithoutWhatWasKept(t *testing.T) {
	w := newWorld(t)
	w.start(oneTenant)
	w.live(monday, monday.Add(4*day), record.SignInLogs, hourly)
	w.room.mu.Lock()
	require.NoError(t, w.room.save(t.Context()))
	w.room.mu.Unlock()
	kv, err := w.bus.KeyValue(t.Context(), bus.SnapshotsBucket)
	require.NoError(t, err)
	key := keySource + bus.Token(hub)
	was, err := kv.Get(t.Context(), key)
	require.NoError(t, err)
	w.look(monday.Add(5 * day))
	f := w.one()
	// A crash that came before it was kept: everything is as it was, but the finding has been told.
	w.stop()
	_, err = kv.Put(t.Context(), key, was.Value())
	require.NoError(t, err)
	w.start(oneTenant)
	w.look(monday.Add(5*day + time.Minute))
	require.Equal(t, f, w.one())
}

func TestASourceThatIsNotReadIsAnotherMatter(t *testing.T) {
	w := newWorld(t)
	w.start(oneTenant)
	w.live(monday, monday.Add(4*day), record.SignInLogs, func(time.Time) bool { return true })
	begin := monday.Add(4 * day)
	w.look(begin)
	minutes := func(from, to int, each func(time.Time)) {
		for m := from; m <= to; m++ {
			each(begin.Add(time.Duration(m) * time.Minute))
		}
	}
	// One of two partitions is stuck.
	minutes(1, 4, func(at time.Time) { w.reads1(1, at); w.silently(at) })
	require.Empty(t, w.findings())
	minutes(5, 10, func(at time.Time) { w.reads1(1, at); w.silently(at) })
	f := w.one()
	require.Equal(t, UnreadRule, f.Rule)
	require.Equal(t, "medium", f.Level)
	require.Equal(t, begin, f.Time)
	require.Contains(t, f.Says, "(1 of its 2 partitions) has not been read since 2026-03-06 00:00 UTC")
	minutes(11, 70, func(at time.Time) { w.silently(at) })
	require.Equal(t, "high", w.one().Level)
	require.Equal(t, 2, w.one().Revision)

	// A restart neither tells it anew nor takes it back, until the reader writes.
	w.start(oneTenant)
	minutes(71, 72, func(at time.Time) { w.silently(at) })
	require.Equal(t, 2, w.one().Revision)
	w.comes(record.SignInLogs, begin.Add(73*time.Minute))
	w.look(begin.Add(73 * time.Minute))
	require.Contains(t, w.one().Withdrawn, "read again since 2026-03-06 01:13 UTC")
}

func TestACordonThatWasDownAccusesNobody(t *testing.T) {
	w := newWorld(t)
	w.start(oneTenant)
	w.live(monday, monday.Add(4*day), record.SignInLogs, func(time.Time) bool { return true })
	w.stop()
	w.clock.set(monday.Add(6 * day))
	w.start(oneTenant)
	for m := range 4 {
		w.silently(monday.Add(6*day + time.Duration(m)*time.Minute))
	}
	require.Empty(t, w.findings(), "readers have a few minutes to begin")
	w.comes(record.SignInLogs, monday.Add(6*day+4*time.Minute))
	w.look(monday.Add(6*day + 4*time.Minute))
	require.Empty(t, w.findings())
}

func TestASourceThatWasNeverRead(t *testing.T) {
	w := newWorld(t)
	w.start(Config{Sources: []Source{{Name: "poller", Tenants: []string{tenantID}, Unread: 30 * time.Minute}}})
	for m := range 30 {
		w.silently(monday.Add(time.Duration(m) * time.Minute))
	}
	require.Empty(t, w.findings())
	w.silently(monday.Add(31 * time.Minute))
	require.Contains(t, w.one().Says, "poller has never been read")
	w.start(Config{Sources: []Source{{Name: "other"}}})
	w.silently(monday.Add(32 * time.Minute))
	require.Contains(t, w.one().Withdrawn, "no longer names")
}

// canaries are sent on the record, and come back.
func (w *world) canary(nonce string, at time.Time, kinds ...string) {
	w.Helper()
	ref := incident.Ref{Place: "canary/" + nonce, Round: 1}
	for _, kind := range kinds {
		var data any = incident.FinishedData{Ref: ref, Attempt: 1}
		if kind == incident.CanarySent {
			data = incident.StartedData{Ref: ref, Attempt: 1, Action: "canary", Tenant: tenantID, Objects: []string{ownSP}, Footprint: []string{"Update service principal"}}
		}
		e, err := incident.New(kind, incident.Cordon, "canary", at, data)
		require.NoError(w, err)
		require.NoError(w, incident.Journal(w.Context(), w.bus, bus.AuditSubject(tenantID), e))
	}
	w.settled()
}

func (w *world) sends(nonce string, at time.Time) {
	w.Helper()
	w.canary(nonce, at, incident.CanarySent, incident.CanaryDone)
}

// returns stores the record of a canary, as ingest does, five minutes later.
func (w *world) returns(nonce string, at time.Time, shown bool) {
	w.Helper()
	modified := []any{}
	if shown {
		modified = append(modified, map[string]any{"displayName": "Notes", "newValue": `["cordon canary ` + at.Format(time.RFC3339) + " " + nonce + `"]`})
	}
	raw, err := json.Marshal(map[string]any{"time": at, "category": "AuditLogs", "tenantId": tenantID, "operationName": "Update service principal", "properties": map[string]any{
		"id": "audit-" + nonce, "activityDateTime": at, "result": "success", "initiatedBy": map[string]any{"app": map[string]any{"appId": ownApp, "servicePrincipalId": ownSP}},
		"targetResources": []any{map[string]any{"id": ownSP, "type": "ServicePrincipal", "modifiedProperties": modified}}}})
	require.NoError(w, err)
	come := at.Add(5 * time.Minute)
	r, err := record.Decode(raw, record.Defaults{Enqueued: come})
	require.NoError(w, err)
	w.next++
	p := record.Position{Source: hub, Partition: "0", Sequence: w.next}
	w.publish(bus.Message{Subject: bus.LogSubject(r.Tenant, r.Category, r.Actor.Key()), Header: nats.Header(r.Headers(p, come)), Data: r.Raw})
	w.cp[0] = w.cp[0].Clone()
	w.cp[0].Carry(tenantID, record.AuditLogs, come, at)
	w.reads(come)
}

func TestACanaryDecides(t *testing.T) {
	for name, shown := range map[string]bool{"known by its notes": true, "known by its time": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.start(oneTenant)
			// Nothing else happens in a small tenant: that they come back is proof of life.
			at := monday
			for n := range 6 {
				at = monday.Add(time.Duration(n) * time.Hour)
				w.sends(fmt.Sprint(n), at)
				w.returns(fmt.Sprint(n), at, shown)
				w.look(at.Add(31 * time.Minute))
			}
			require.Empty(t, w.findings())
			// The next one does not come back.
			lost := at.Add(time.Hour)
			w.sends("lost", lost)
			w.look(lost.Add(30 * time.Minute))
			require.Empty(t, w.findings())
			w.look(lost.Add(31 * time.Minute))
			f := w.one()
			require.Equal(t, SilentRule, f.Rule)
			require.Equal(t, lost, f.Time)
			require.Contains(t, f.Says, "a change that Cordon made in Contoso at 2026-03-02 06:00 UTC to be seen has not come back by "+hub)
			w.sends("lost too", lost.Add(15*time.Minute))
			w.start(oneTenant)
			w.look(lost.Add(50 * time.Minute))
			require.Equal(t, f, w.one(), "a restart tells the same")
			// One comes back: the log speaks.
			w.sends("found", lost.Add(time.Hour))
			w.returns("found", lost.Add(time.Hour), shown)
			w.look(lost.Add(66 * time.Minute))
			require.Contains(t, w.one().Withdrawn, "AuditLogs have come again")
		})
	}
}

func TestWhatIsNoCanarysSilence(t *testing.T) {
	sent := monday.Add(time.Hour)
	for name, after := range map[string]func(*world){
		"the call was refused": func(w *world) { w.canary("c", sent, incident.CanarySent, incident.CanaryFailed) },
		"the call broke off":   func(w *world) { w.canary("c", sent, incident.CanarySent) },
		"the log flows without it": func(w *world) {
			w.sends("c", sent)
			w.comes(record.AuditLogs, sent.Add(20*time.Minute))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.start(oneTenant)
			w.sends("first", monday)
			w.returns("first", monday, true)
			w.look(monday.Add(10 * time.Minute))
			after(w)
			w.look(sent.Add(40 * time.Minute))
			require.Empty(t, w.findings())
		})
	}
	t.Run("a source that is not read", func(t *testing.T) {
		w := newWorld(t)
		w.start(oneTenant)
		w.sends("first", monday)
		w.returns("first", monday, true)
		w.look(monday.Add(10 * time.Minute))
		w.sends("c", monday.Add(11*time.Minute))
		w.silently(monday.Add(50 * time.Minute))
		require.Empty(t, w.findings())
	})
	t.Run("one whose canaries never came back, while others do", func(t *testing.T) {
		w := newWorld(t)
		w.start(oneTenant)
		w.comes(record.AuditLogs, monday)
		w.look(monday.Add(time.Minute))
		w.sends("c", monday.Add(2*time.Minute))
		w.look(monday.Add(50 * time.Minute))
		require.Empty(t, w.findings(), "nobody knows yet that they ever do")
	})
}

func TestAnAuditLogThatNeverCame(t *testing.T) {
	w := newWorld(t)
	w.start(oneTenant)
	w.look(monday)
	w.sends("c", monday)
	w.look(monday.Add(29 * time.Minute))
	require.Empty(t, w.findings())
	w.look(monday.Add(31 * time.Minute))
	f := w.one()
	require.Contains(t, f.Says, "has not come back by any source")
	w.comes(record.AuditLogs, monday.Add(40*time.Minute))
	w.look(monday.Add(40 * time.Minute))
	require.Equal(t, "the audit log has come", w.one().Withdrawn)
}

func TestCanariesThatStopLeaveNoRhythmBehind(t *testing.T) {
	w := newWorld(t)
	w.start(oneTenant)
	for n := range 4 * 6 {
		at := monday.Add(time.Duration(n) * 4 * time.Hour)
		w.sends(fmt.Sprint(n), at)
		w.returns(fmt.Sprint(n), at, true)
		w.look(at.Add(10 * time.Minute))
	}
	w.look(monday.Add(4*day + 20*time.Hour))
	require.Empty(t, w.findings(), "its own rhythm is learnt anew")
}
