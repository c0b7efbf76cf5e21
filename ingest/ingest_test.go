package ingest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/record"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const tenantID = "7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11"

var enqueued = time.Date(2026, 3, 2, 8, 15, 0, 0, time.UTC)

func openBus(t *testing.T, dir string, most int64) *bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Dir: dir, LogsMaxBytes: most})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return b
}

func open(t *testing.T, b *bus.Bus, tenants ...string) *Partition {
	t.Helper()
	p, _, err := Open(t.Context(), b, Source{Name: "hub", Tenants: tenants, Clock: clock.Wall{}}, "0")
	require.NoError(t, err)
	return p
}

// signIn is a sign-in record with this id; padding makes it larger.
func signIn(tenant, id string, padding int) string {
	return fmt.Sprintf(`{"time":"2026-03-02T08:10:00Z","category":"SignInLogs","tenantId":%q,"properties":{"id":%q,"createdDateTime":"2026-03-02T08:09:00Z","userId":"u","status":{"errorCode":0},"pad":"%s"}}`,
		tenant, id, strings.Repeat("x", padding))
}

func envelope(records ...string) []byte {
	return []byte(`{"records":[` + strings.Join(records, ",") + `]}`)
}

func many(n, padding int) (records, ids []string) {
	for i := range n {
		id := fmt.Sprintf("s%05d", i)
		records, ids = append(records, signIn(tenantID, id, padding)), append(ids, id)
	}
	return records, ids
}

func message(sequence int64, body []byte) Message {
	return Message{Sequence: sequence, Enqueued: enqueued, Body: body}
}

// stored are the ids of the records in LOGS, in order.
func stored(t *testing.T, b *bus.Bus) (ids []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.NoError(t, b.Follow(ctx, bus.Logs, []string{"logs.>"}, 0, func(m jetstream.Msg) error {
		r, _, err := record.FromLogs(m.Headers(), m.Data())
		require.NoError(t, err)
		ids = append(ids, r.ID[strings.LastIndex(r.ID, "/")+1:])
		return nil
	}, cancel))
	return ids
}

type dead struct{ reason, object, body string }

func letters(t *testing.T, b *bus.Bus) (all []dead) {
	t.Helper()
	require.NoError(t, b.Scan(t.Context(), bus.DeadLetters, "deadletter.>", time.Time{}, func(m jetstream.Msg) error {
		all = append(all, dead{m.Headers().Get(headerReason), m.Headers().Get(headerObject), string(m.Data())})
		return nil
	}))
	return all
}

// place is the part of a checkpoint that says how far a partition has been stored.
func place(c record.Checkpoint) record.Checkpoint {
	return record.Checkpoint{Sequence: c.Sequence, Next: c.Next, Done: c.Done, Seen: c.Seen, CaughtUp: c.CaughtUp}
}

func TestRecordsAndCheckpointLandTogether(t *testing.T) {
	b := openBus(t, t.TempDir(), 0)
	p, started, err := Open(t.Context(), b, Source{Name: "hub", Clock: clock.Wall{}}, "0")
	require.NoError(t, err)
	require.False(t, started)
	records, ids := many(3, 0)
	require.NoError(t, p.Store(t.Context(), []Message{message(7, envelope(records[:2]...)), message(9, envelope(records[2]))}))
	require.Equal(t, ids, stored(t, b))

	again, started, err := Open(t.Context(), b, Source{Name: "hub", Clock: clock.Wall{}}, "0")
	require.NoError(t, err)
	require.True(t, started)
	require.Equal(t, record.Checkpoint{Sequence: 9, Done: true, Seen: enqueued}, place(again.At()))

	// Read again after a restart, or twice by mistake: nothing is stored twice, and what is new is.
	require.NoError(t, again.Store(t.Context(), []Message{message(7, envelope(records[:2]...)), message(9, envelope(records[2]))}))
	require.NoError(t, again.Store(t.Context(), []Message{message(9, envelope(records[2])), message(10, envelope(signIn(tenantID, "new", 0)))}))
	require.Equal(t, append(ids, "new"), stored(t, b))
	require.Empty(t, letters(t, b))
}

func TestStoredRecordsSayWhereTheyCameFrom(t *testing.T) {
	b := openBus(t, t.TempDir(), 0)
	hostile := strings.Replace(signIn(tenantID, "s1", 0), `"userId":"u"`, `"userId":"*.>\nCordon-Tenant: x"`, 1)
	require.NoError(t, open(t, b).Store(t.Context(), []Message{message(4, envelope(signIn(tenantID, "s0", 0), hostile))}))
	var positions []record.Position
	require.NoError(t, b.Scan(t.Context(), bus.Logs, "logs.>", time.Time{}, func(m jetstream.Msg) error {
		require.Regexp(t, `^logs\.\d+\.`+tenantID+`\.signinlogs\.\d+$`, m.Subject())
		r, p, err := record.FromLogs(m.Headers(), m.Data())
		require.NoError(t, err)
		require.Equal(t, tenantID, r.Tenant)
		positions = append(positions, p)
		return nil
	}))
	require.Equal(t, []record.Position{{Source: "hub", Partition: "0", Sequence: 4, Index: 0}, {Source: "hub", Partition: "0", Sequence: 4, Index: 1}}, positions)
}

func TestALargeMessageIsSplit(t *testing.T) {
	for name, c := range map[string]struct{ records, padding int }{
		"more records than a batch holds": {2500, 0},
		"more bytes than a batch holds":   {12, 1 << 20 * 9 / 10},
	} {
		t.Run(name, func(t *testing.T) {
			b := openBus(t, t.TempDir(), 0)
			records, ids := many(c.records, c.padding)
			p := open(t, b)
			require.NoError(t, p.Store(t.Context(), []Message{message(0, envelope(records...)), message(1, envelope(signIn(tenantID, "last", 0)))}))
			require.Equal(t, append(ids, "last"), stored(t, b))
			require.Equal(t, record.Checkpoint{Sequence: 1, Done: true, Seen: enqueued}, place(p.At()))
			require.Empty(t, letters(t, b))
		})
	}
}

// LOGS is full after the first batch: what was stored ends with its checkpoint, and the next reader goes on behind it.
func TestALargeMessageResumesInTheMiddle(t *testing.T) {
	for name, c := range map[string]struct {
		records, padding int
		most             int64
		next             int
	}{
		"by count": {2500, 0, 1_000_000, 999},
		"by size":  {12, 1 << 20 * 9 / 10, 10 << 20, 9}, // three batches of three
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			records, ids := many(c.records, c.padding)
			batch := []Message{message(0, envelope(signIn(tenantID, "before", 0))), message(1, envelope(records...))}

			b := openBus(t, dir, c.most)
			p := open(t, b)
			require.NoError(t, p.Store(t.Context(), batch[:1]))
			require.ErrorContains(t, p.Store(t.Context(), batch), "storing")
			require.Equal(t, record.Checkpoint{Sequence: 1, Next: c.next, Seen: enqueued}, place(open(t, b).At()))
			require.Equal(t, append([]string{"before"}, ids[:c.next]...), stored(t, b))
			b.Close()

			b = openBus(t, dir, 0)
			p = open(t, b)
			require.Equal(t, c.next, p.At().Next)
			require.NoError(t, p.Store(t.Context(), batch))
			require.Equal(t, append([]string{"before"}, ids...), stored(t, b))
			require.True(t, open(t, b).At().Done)
		})
	}
}

func TestASecondReaderIsRefused(t *testing.T) {
	b := openBus(t, t.TempDir(), 0)
	first, second := open(t, b), open(t, b)
	require.NoError(t, first.Store(t.Context(), []Message{message(0, envelope(signIn(tenantID, "mine", 0)))}))
	require.ErrorIs(t, second.Store(t.Context(), []Message{message(0, envelope(signIn(tenantID, "mine", 0)))}), bus.ErrConflict)
	require.ErrorIs(t, second.Idle(t.Context(), enqueued), bus.ErrConflict)
	require.NoError(t, first.Store(t.Context(), []Message{message(1, envelope(signIn(tenantID, "more", 0)))}))
	require.Equal(t, []string{"mine", "more"}, stored(t, b))
	// Another partition, and another source, are nobody's business.
	other, started, err := Open(t.Context(), b, Source{Name: "hub", Clock: clock.Wall{}}, "1")
	require.NoError(t, err)
	require.False(t, started)
	require.NoError(t, other.Idle(t.Context(), enqueued))
}

func TestAnIdleReaderSaysHowFarItHasSeen(t *testing.T) {
	b := openBus(t, t.TempDir(), 0)
	p := open(t, b)
	require.NoError(t, p.Idle(t.Context(), enqueued))
	require.Equal(t, record.Checkpoint{Sequence: -1, Seen: enqueued, CaughtUp: true}, place(open(t, b).At()))
	require.NoError(t, p.Store(t.Context(), []Message{message(0, envelope(signIn(tenantID, "s", 0)))}))
	require.False(t, open(t, b).At().CaughtUp)
	require.NoError(t, p.Idle(t.Context(), enqueued.Add(time.Minute)))
	require.Equal(t, record.Checkpoint{Done: true, Seen: enqueued.Add(time.Minute), CaughtUp: true}, place(open(t, b).At()))
	require.Equal(t, []string{"s"}, stored(t, b))
}

func TestWhatCannotBeStoredIsADeadLetter(t *testing.T) {
	good, noise := signIn(tenantID, "good", 0), "\x00\x01\xff\xfe noise \n\r\n"
	large := signIn(tenantID, "large", 2<<20)
	foreign := signIn("11111111-0000-4000-8000-000000000000", "foreign", 0)
	endless := strings.Replace(good, tenantID, strings.Repeat("t", 100_000), 1)
	for name, c := range map[string]struct {
		body    []byte
		stored  []string
		letters []dead
	}{
		"truncated envelope": {
			[]byte(`{"records":[` + good + `,{"time":"2026`), []string{"good"},
			[]dead{{reason: "reading record 1: at byte 13: expected the end of a string, the document ends", body: `{"time":"2026`}},
		},
		"a record of 2 MiB amid others": {
			envelope(good, large, good), []string{"good", "good"},
			[]dead{{reason: fmt.Sprintf("record has %d bytes, at most %d are stored", len(large), record.MaxBytes), body: large}},
		},
		"a record with a quote too few amid others": {
			envelope(good, `{"time":"2026-03-02T08:10:05Z","category":"SignInLogs","properties":{"id":"bad}}`, good, good), []string{"good", "good", "good"},
			[]dead{{reason: "reading record 1: at byte 83: expected , or }", body: `{"time":"2026-03-02T08:10:05Z","category":"SignInLogs","properties":{"id":"bad}}`}},
		},
		"binary noise": {
			[]byte(noise), nil,
			[]dead{{reason: "expected an object with records", body: noise}},
		},
		"a record of a tenant that is not on the list": {
			envelope(foreign, good), []string{"good"},
			[]dead{{reason: `tenant "11111111-0000-4000-8000-000000000000" is not on this source's list`, body: foreign}},
		},
		"a tenant that no header can hold": {
			envelope(endless, good), []string{"good"},
			[]dead{{reason: "tenant has 100000 bytes, category 10: at most 256 are expected", body: endless}},
		},
		"no record at all": {
			envelope(`7`, `null`, good), []string{"good"},
			[]dead{{reason: "a record is a JSON object, this is a number", body: `7`}, {reason: "a record is a JSON object, this is null", body: `null`}},
		},
		"nothing": {nil, nil, []dead{{reason: "the message is empty"}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := openBus(t, t.TempDir(), 0)
			p := open(t, b, strings.ToUpper(tenantID), "22222222-0000-4000-8000-000000000000")
			after := message(1, envelope(signIn(tenantID, "after", 0)))
			require.NoError(t, p.Store(t.Context(), []Message{message(0, c.body), after}))
			require.Equal(t, c.letters, letters(t, b))
			require.Equal(t, append(c.stored, "after"), stored(t, b), "everything else is stored")
		})
	}
}

func TestADeadLetterLargerThanAMessageIsAnObject(t *testing.T) {
	b := openBus(t, t.TempDir(), 0)
	body := bytes.Repeat([]byte("noise "), 2<<20)
	require.NoError(t, open(t, b).Store(t.Context(), []Message{message(0, body)}))
	all := letters(t, b)
	require.Len(t, all, 1)
	require.Len(t, all[0].object, 64)
	require.Empty(t, all[0].body)
	require.True(t, open(t, b).At().Done)
}

func TestADeadLetterStoredBeforeACrashIsNotStoredTwice(t *testing.T) {
	b := openBus(t, t.TempDir(), 0)
	m := message(0, envelope(`{"a":1}`, signIn(tenantID, "good", 0), `{"a":2}`))
	lost := open(t, b)
	require.NoError(t, open(t, b).Idle(t.Context(), enqueued))
	require.ErrorIs(t, lost.Store(t.Context(), []Message{m}), bus.ErrConflict, "it dies between dead letters and batch")
	require.Len(t, letters(t, b), 2)
	require.Empty(t, stored(t, b))

	require.NoError(t, open(t, b).Store(t.Context(), []Message{m}))
	require.Len(t, letters(t, b), 2)
	require.Equal(t, []string{"good"}, stored(t, b))
}

func TestRecordsWithoutATenant(t *testing.T) {
	body := envelope(strings.Replace(signIn(tenantID, "s", 0), `"tenantId":"`+tenantID+`",`, "", 1))
	b := openBus(t, t.TempDir(), 0)
	require.NoError(t, open(t, b, "only-one").Store(t.Context(), []Message{message(0, body)}))
	require.Equal(t, []string{"s"}, stored(t, b), "the source carries a single tenant: it is his")
	require.NoError(t, open(t, b, "one", "two").Store(t.Context(), []Message{message(1, body)}))
	require.Contains(t, letters(t, b)[0].reason, "no tenant")
}

func TestABrokenCheckpointIsAnError(t *testing.T) {
	b := openBus(t, t.TempDir(), 0)
	_, err := b.Publish(t.Context(), bus.Message{Subject: bus.CheckpointSubject("hub", "0"), Data: []byte("{")})
	require.NoError(t, err)
	_, _, err = Open(t.Context(), b, Source{Name: "hub", Clock: clock.Wall{}}, "0")
	require.ErrorContains(t, err, "reading checkpoint of hub/0")
}

// A header that the server refuses would hold up its partition for ever.
func TestNamesWithoutEndHoldUpNothing(t *testing.T) {
	b := openBus(t, t.TempDir(), 0)
	good := signIn(tenantID, "good", 0)
	p := open(t, b)
	require.NoError(t, p.Store(t.Context(), []Message{message(0, envelope(
		strings.Replace(good, tenantID, strings.Repeat("t", 100_000), 1),
		fmt.Sprintf(`{"time":"2026-03-02T08:10:00Z","tenantId":%q,"category":%q}`, tenantID, strings.Repeat("c", 100_000)),
		strings.Replace(good, `"userId":"u"`, `"userId":"`+strings.Repeat("é", 100_000)+`"`, 1),
		strings.Replace(good, `"id":"good"`, `"id":"`+strings.Repeat("%", 100_000)+`"`, 1), good))}))
	require.Len(t, letters(t, b), 2)
	require.Len(t, stored(t, b), 3)
}
