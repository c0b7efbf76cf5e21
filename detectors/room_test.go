package detectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"cordon/detectors/rules"
	"cordon/detectors/sigma"
	"cordon/internal/bus"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/record"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a bus with what the room reads from.
type world struct {
	*testing.T
	bus  *bus.Bus
	next int64
}

func newWorld(t *testing.T) *world {
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return &world{T: t, bus: b}
}

func (w *world) publish(m bus.Message) {
	w.Helper()
	_, err := w.bus.Publish(w.Context(), m)
	require.NoError(w, err)
}

// store puts a record into LOGS as ingest does.
func (w *world) store(f fields) { w.storeRecord(decode(w, f)) }

func (w *world) storeRecord(r *record.Record) {
	w.next++
	at := record.Position{Source: "hub", Partition: "0", Sequence: w.next}
	w.publish(bus.Message{Subject: bus.LogSubject(r.Tenant, r.Category, r.Actor.Key()), Header: nats.Header(r.Headers(at, r.Time.Add(time.Minute))), Data: r.Raw})
}

// seen is a checkpoint: all up to this time has been read.
func (w *world) seen(at time.Time) {
	data, err := json.Marshal(record.Checkpoint{Source: "hub", Partition: "0", Sequence: w.next, Done: true, Seen: at,
		Carried: []record.Carried{{Tenant: tenantID, Category: record.SignInLogs}, {Tenant: tenantID, Category: record.AuditLogs}}})
	require.NoError(w, err)
	w.publish(bus.Message{Subject: bus.CheckpointSubject("hub", "0"), Data: data, Header: nats.Header{"Nats-Rollup": {"sub"}}})
}

func (w *world) announce(target string, at time.Time) {
	w.publish(bus.Message{Subject: bus.IncidentSubject(tenantID, adminID), Data: started(w, tenantID, target, at, "Disable account")})
}

// run runs a new room until it has handled everything up to a sequence of LOGS; 0 is all there is.
func (w *world) run(until uint64) {
	w.Helper()
	if until == 0 {
		var err error
		until, err = w.bus.LastSequence(w.Context(), bus.Logs)
		require.NoError(w, err)
	}
	w.runUntil(func() bool {
		handled, err := Handled(w.Context(), w.bus)
		return err == nil && handled >= until
	})
}

func (w *world) runUntil(done func() bool) {
	w.Helper()
	all, err := Load(rules.Shipped)
	require.NoError(w, err)
	w.runThis(w.room(all, admins()), done)
}

func (w *world) room(all []*sigma.Rule, d *directory.Directory) *Room {
	w.Helper()
	plan, err := NewPlan(all)
	require.NoError(w, err)
	return New(Config{Bus: w.bus, Plan: plan, Directory: d, Own: []string{ownApp}, Lateness: record.DefaultLateness(), Log: zaptest.NewLogger(w, zaptest.Level(zap.WarnLevel))})
}

func (w *world) runThis(room *Room, done func() bool) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	ended := make(chan error, 1)
	go func() { ended <- room.Run(ctx) }()
	require.Eventually(w, done, 20*time.Second, 20*time.Millisecond)
	cancel()
	require.NoError(w, <-ended)
}

// shard is the shard of the tenant whose records LOGS holds.
func (w *world) shard() (number int) {
	w.Helper()
	require.NoError(w, w.bus.Scan(w.Context(), bus.Logs, "logs.>", time.Time{}, func(m jetstream.Msg) (err error) {
		number, err = strconv.Atoi(strings.Split(m.Subject(), ".")[1])
		return err
	}))
	return number
}

// handOut gives LOGS to a reader that acknowledges this many messages and dies with others in hand: those are given to
// nobody else for long.
func (w *world) handOut(acknowledged int) {
	w.Helper()
	n := w.shard()
	p := bus.Pinned{Stream: bus.Logs, Durable: durable(n), Filter: bus.ShardSubjects(n), Ahead: burst}
	consumer, _, err := w.bus.Pin(w.Context(), p)
	require.NoError(w, err)
	ctx, cancel := context.WithCancel(w.Context())
	defer cancel()
	died := errors.New("died")
	require.ErrorIs(w, w.bus.RunPinned(ctx, p, consumer, func(_ context.Context, batch []bus.Delivery) error {
		require.Greater(w, len(batch), acknowledged+3)
		for _, d := range batch[:acknowledged] {
			require.NoError(w, d.Ack())
		}
		return died
	}), died)
}

// findings are what FINDINGS holds: of each identity the last revision, as JSON.
func (w *world) findings() map[string]string {
	w.Helper()
	out, revisions := map[string]string{}, map[string]int{}
	require.NoError(w, w.bus.After(w.Context(), bus.Findings, "findings.>", 0, func(m *jetstream.RawStreamMsg) error {
		var f finding.Finding
		require.NoError(w, json.Unmarshal(m.Data, &f))
		if f.Revision >= revisions[f.ID] {
			revisions[f.ID], out[f.ID] = f.Revision, string(m.Data)
		}
		return nil
	}))
	return out
}

// day is a day's input, one part a step: a spray and its hit, an administrator without details whose revision comes
// late, another whom the watermark settles, a role given, changes of Cordon's own and one that is not.
func day(w *world) (steps []func()) {
	record := func(f fields) { steps = append(steps, func() { w.store(f) }) }
	steps = append(steps, func() { w.announce("u1", morning) })
	for _, f := range attack(6, 150*time.Second, time.Minute) {
		record(f)
	}
	record(signIn("a1", adminID, "198.51.100.23", 0, morning, noDetails))
	record(ownChange("o1", "Disable account", "u1", morning.Add(time.Minute)))
	record(ownChange("o2", "Disable account", "u-other", morning.Add(time.Minute)))
	record(signIn("a2", adminID, "198.51.100.23", 0, morning.Add(time.Minute), noDetails))
	record(roleChanged("r1", "Add member to role", "u9", morning.Add(2*time.Minute)))
	record(signIn("a1", adminID, "198.51.100.23", 0, morning, twoFactor))
	record(signIn("a3", "u9", "198.51.100.23", 0, morning.Add(3*time.Minute), oneFactor))
	record(signIn("late", "user9", "203.0.113.7", 50126, morning.Add(30*time.Second), noDetails))
	steps = append(steps, func() { w.seen(morning.Add(time.Hour)) })
	return steps
}

func TestARestartPublishesTheSameFindings(t *testing.T) {
	w := newWorld(t)
	for _, step := range day(w) {
		step()
	}
	w.run(0)
	want := w.findings()
	prefix := tenantID + "/"
	for id, check := range map[string]func(finding.Finding){
		noMFA + "/" + prefix + "SignInLogs/a1":                func(f finding.Finding) { require.NotEmpty(t, f.Withdrawn) },
		noMFA + "/" + prefix + "SignInLogs/a2":                func(f finding.Finding) { require.False(t, f.Unconfirmed) },
		noMFA + "/" + prefix + "SignInLogs/a3":                func(f finding.Finding) { require.Equal(t, "u9", f.Principal.ID) },
		unexplainedRule + "/" + prefix + "AuditLogs/o2":       func(f finding.Finding) { require.Equal(t, "critical", f.Level) },
		"privileged-role-assigned/" + prefix + "AuditLogs/r1": func(f finding.Finding) {},
	} {
		require.Contains(t, want, id)
		var f finding.Finding
		require.NoError(t, json.Unmarshal([]byte(want[id]), &f))
		check(f)
	}
	require.NotContains(t, want, unexplainedRule+"/"+prefix+"AuditLogs/o1")
	require.Len(t, want, 7, "and the spray and its hit")

	for cut := 2; cut < len(day(w)); cut += 3 {
		t.Run(fmt.Sprintf("stopped after %d", cut), func(t *testing.T) {
			w := newWorld(t)
			for i, step := range day(w) {
				if i == cut {
					w.run(0)
				}
				step()
			}
			w.run(0)
			require.Equal(t, want, w.findings())
		})
	}
	t.Run("stopped in the midst of work", func(t *testing.T) {
		w := newWorld(t)
		for _, step := range day(w) {
			step()
		}
		w.handOut(8)
		// What the stopped worker held comes again after newer records and checkpoints; a hub goes on to write
		// checkpoints.
		w.runUntil(func() bool {
			w.seen(morning.Add(time.Hour))
			return maps.Equal(want, w.findings())
		})
	})
}

// The last message that a shard was given is a checkpoint, as a rule, and another has taken its place soon after.
func TestWhenARolledUpCheckpointWasStored(t *testing.T) {
	w := newWorld(t)
	w.store(signIn("a", adminID, "198.51.100.23", 0, morning, oneFactor))
	w.seen(morning)
	gone, err := w.bus.LastSequence(t.Context(), bus.Logs)
	require.NoError(t, err)
	w.seen(morning.Add(time.Minute))
	_, err = w.bus.Stream(bus.Logs).GetMsg(t.Context(), gone)
	require.ErrorIs(t, err, jetstream.ErrMsgNotFound)
	s := w.room(nil, admins()).shards[0]
	require.WithinDuration(t, time.Now(), s.storedAt(t.Context(), gone), time.Minute)
	require.Zero(t, s.storedAt(t.Context(), gone+10))
}

func TestTheWatermarkIsTheLeastOverAllPartitions(t *testing.T) {
	r := shard{engine: shipped(t, admins()), watermarks: newWatermarks(record.Lateness{record.KindSignIn: 20 * time.Minute, record.KindRisk: 48 * time.Hour})}
	seen := func(source, partition string, at time.Time, categories ...string) {
		cp := record.Checkpoint{Source: source, Partition: partition, Seen: at}
		for _, c := range categories {
			cp.Carried = append(cp.Carried, record.Carried{Tenant: strings.ToUpper(tenantID), Category: c})
		}
		r.watermarks.take(cp)
	}
	r.engine.Process(decode(t, signIn("a", adminID, "198.51.100.23", 0, morning, noDetails)), "1")
	require.Empty(t, r.settle(), "nothing has been seen")
	late := morning.Add(settles + 20*time.Minute)
	seen("hub", "0", late.Add(time.Hour), record.SignInLogs)
	seen("hub", "1", late.Add(-time.Nanosecond)) // it may bring some yet
	require.Empty(t, r.settle())
	seen("hub", "1", late)
	seen("other", "0", morning, record.AuditLogs, record.RiskyUsers)
	require.Len(t, r.settle(), 1, "what carries other categories holds nobody back")
	require.Equal(t, morning.Add(-48*time.Hour), r.watermarks.of(tenantID, record.RiskyUsers))
}

func TestARecordThatCannotBeReadStopsNothing(t *testing.T) {
	w := newWorld(t)
	w.publish(bus.Message{Subject: bus.LogSubject(tenantID, "SignInLogs", "x"), Header: nats.Header{record.HeaderRecord: {"x"}}, Data: []byte("{")})
	w.store(signIn("a", adminID, "198.51.100.23", 0, morning, oneFactor))
	w.run(0)
	require.Len(t, w.findings(), 1)
}

func TestTheRoomKnowsItsCanaries(t *testing.T) {
	w := newWorld(t)
	w.publish(bus.Message{Subject: bus.AuditSubject(tenantID), Data: sent(t, "n1", morning)})
	w.store(ownChange("o1", "Update service principal", "sp-own", morning.Add(time.Second)))
	w.store(ownChange("o2", "Update application - Certificates and secrets management", "sp-own", morning.Add(time.Second)))
	w.run(0)
	require.Len(t, w.findings(), 1)
	require.Contains(t, w.findings(), unexplainedRule+"/"+tenantID+"/AuditLogs/o2")
}

// Other rules go on from what the shard keeps, and look at what LOGS holds as far back as windows go.
func TestOtherRulesTakeOver(t *testing.T) {
	w := newWorld(t)
	parse := func(text string) *Plan {
		all, err := sigma.Parse("r.yml", strings.NewReader(text), nil)
		require.NoError(t, err)
		plan, err := NewPlan(all)
		require.NoError(t, err)
		return plan
	}
	thrice := func(n int) string {
		return over("thrice", fmt.Sprintf("type: event_count, rules: [entered], group-by: [actor.id], generate: true, condition: {gte: %d}", n))
	}
	for n := range 3 {
		w.store(signIn(fmt.Sprint("s", n), "u", "192.0.2.1", 0, morning.Add(time.Duration(n)*time.Second), oneFactor))
	}
	room := New(Config{Bus: w.bus, Plan: parse(entering("entered", "on") + thrice(4)), Directory: known(), Lateness: record.DefaultLateness(), Log: zap.NewNop()})
	has := func(n int, rules ...string) func() bool {
		return func() bool {
			found := map[string]int{}
			for id := range w.findings() {
				rule, _, _ := strings.Cut(id, "/")
				found[rule]++
			}
			ok := len(w.findings()) == n
			for _, rule := range rules {
				ok = ok && found[rule] > 0
			}
			return ok
		}
	}
	step := 0
	w.runThis(room, func() bool {
		switch step {
		case 0:
			if has(3, "entered")() {
				room.Reload(parse(entering("entered", "on") + entering("second", "audit") + thrice(3)))
				step++
			}
		case 1: // the new rule and the changed one have looked at what was there
			if has(7, "entered", "second", "thrice")() {
				w.store(signIn("s3", "u", "192.0.2.1", 0, morning.Add(time.Minute), oneFactor))
				step++
			}
		case 2:
			return has(9, "entered", "second", "thrice")()
		}
		return false
	})
	for id, text := range w.findings() {
		if strings.HasPrefix(id, "entered/") {
			require.Contains(t, text, `"revision":1,`, "what the rule had found is not told again")
		}
	}
}

// A snapshot that cannot be read is read back instead, and nothing of it comes back later.
func TestASnapshotThatCannotBeRead(t *testing.T) {
	w := newWorld(t)
	for _, step := range day(w) {
		step()
	}
	w.run(0)
	want := w.findings()
	n := w.shard()
	w.publish(bus.Message{Subject: bus.SnapshotSubject(n, bucketPart+"7"), Data: []byte("of another edition")})
	for _, broken := range []string{"{", "{}"} {
		w.publish(bus.Message{Subject: bus.SnapshotSubject(n, headPart), Data: []byte(broken)})
		w.seen(morning.Add(2 * time.Hour))
		w.run(0)
		require.Equal(t, want, w.findings(), "what was published is told by FINDINGS itself")
		msg, err := w.bus.Last(t.Context(), bus.SnapshotsStream, bus.SnapshotSubject(n, bucketPart+"7"))
		require.NoError(t, err)
		require.NotEqual(t, "of another edition", string(msg.Data))
	}
}
