package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/letter"
	"cordon/internal/record"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

const other = "22222222-0000-4000-8000-000000000000"

// lettersOf are the letters of a bus, where the source hub may carry these tenants today.
func lettersOf(b *bus.Bus, tenants ...string) *Letters {
	return NewLetters(b, clock.Wall{}, func(name string) (Source, bool) {
		return Source{Name: name, Tenants: tenants, Clock: clock.Wall{}}, name == "hub"
	})
}

// positions are those of the records in LOGS, by id.
func positions(t *testing.T, b *bus.Bus) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, b.Scan(t.Context(), bus.Logs, "logs.>", time.Time{}, func(m jetstream.Msg) error {
		r, p, err := record.FromLogs(m.Headers(), m.Data())
		require.NoError(t, err)
		id := r.ID[strings.LastIndex(r.ID, "/")+1:]
		require.Empty(t, all[id], "%s is stored twice", id)
		all[id] = p.String()
		require.Equal(t, enqueued.Format(time.RFC3339Nano), m.Headers().Get(record.HeaderEnqueued))
		return nil
	}))
	return all
}

func waiting(t *testing.T, l *Letters) []letter.Letter {
	t.Helper()
	page, err := l.List(t.Context(), letter.Filter{})
	require.NoError(t, err)
	require.Len(t, page.Letters, page.Total)
	return page.Letters
}

func TestALetterSaysWhereItCameFrom(t *testing.T) {
	b := openBus(t, t.TempDir(), 0)
	p, _, err := Open(t.Context(), b, Source{Name: "ns.example/hub", Tenants: []string{tenantID}, Clock: clock.Wall{}}, "0")
	require.NoError(t, err)
	foreign := signIn(other, "foreign", 0)
	require.NoError(t, p.Store(t.Context(), []Message{message(4, envelope(signIn(tenantID, "good", 0), foreign)), message(5, []byte(`noise`))}))
	l := lettersOf(b)
	all := waiting(t, l)
	require.Len(t, all, 2)
	require.True(t, all[0].Rest)
	want := letter.Letter{ID: "ns.example%2Fhub/0/4/1", Source: "ns.example/hub", Partition: "0", Sequence: 4, Index: 1, Tenant: tenantID,
		Reason: `tenant "` + other + `" is not on this source's list`, Enqueued: enqueued, Stored: all[1].Stored, Size: int64(len(foreign))}
	require.Equal(t, want, all[1])
	require.WithinDuration(t, time.Now(), all[1].Stored, time.Minute)

	got, err := l.Show(t.Context(), want.ID)
	require.NoError(t, err)
	want.Body = []byte(foreign)
	require.Equal(t, want, got)
	_, err = l.Show(t.Context(), "ns.example%2Fhub/0/4/0")
	require.ErrorIs(t, err, letter.ErrNone)
	_, err = l.Show(t.Context(), "nothing")
	require.ErrorContains(t, err, "source/partition/sequence/index")

	for name, c := range map[string]struct {
		filter letter.Filter
		ids    int
		total  int
	}{
		"a source":        {letter.Filter{Source: "ns.example/hub"}, 2, 2},
		"another source":  {letter.Filter{Source: "hub"}, 0, 0},
		"one at most":     {letter.Filter{Limit: 1}, 1, 2},
		"since long ago":  {letter.Filter{Since: time.Now().Add(-time.Hour)}, 2, 2},
		"since right now": {letter.Filter{Since: all[0].Stored.Add(time.Nanosecond)}, 0, 0},
	} {
		page, err := l.List(t.Context(), c.filter)
		require.NoError(t, err, name)
		require.Len(t, page.Letters, c.ids, name)
		require.Equal(t, c.total, page.Total, name)
	}
	_, err = l.Replay(t.Context(), want.ID, nil)
	require.EqualError(t, err, `source "ns.example/hub" is not configured any more: which tenants it may carry is not known`)
}

// leaveRest leaves the end of a message behind its first record, as an edition did that could not read on.
func leaveRest(t *testing.T, b *bus.Bus, sequence int64, rest []byte) {
	t.Helper()
	_, err := putLetter(t.Context(), b, record.Position{Source: "hub", Partition: "0", Sequence: sequence, Index: 1}, enqueued, tenantID, rest, true, errors.New("it could not be read"))
	require.NoError(t, err)
}

func TestAReplayStoresExactlyWhatWasMissing(t *testing.T) {
	good := signIn(tenantID, "good", 0)
	nameless := strings.Replace(signIn(tenantID, "nameless", 0), `"tenantId":"`+tenantID+`",`, "", 1)
	for name, c := range map[string]struct {
		body   []byte
		rest   []byte // the end of the message that an older edition left
		id     string
		then   []string // the tenants that the source carries when it is replayed
		fixed  []byte
		stored map[string]string // beside good
		left   []string
		refuse string
	}{
		"a tenant is allowed now": {body: envelope(signIn(other, "foreign", 0), good), id: "hub/0/7/0", then: []string{tenantID, other},
			stored: map[string]string{"foreign": "hub/0/7/0"}},
		"a tenant is not allowed still": {body: envelope(signIn(other, "foreign", 0), good), id: "hub/0/7/0", then: []string{tenantID},
			refuse: `record 0 still cannot be stored: tenant "` + other + `" is not on this source's list`},
		"bytes that were mended": {body: envelope(good, `{"a":1}`), id: "hub/0/7/1", then: []string{tenantID}, fixed: []byte(signIn(tenantID, "mended", 0)),
			stored: map[string]string{"mended": "hub/0/7/1"}},
		"mended badly": {body: envelope(good, `{"a":1}`), id: "hub/0/7/1", then: []string{tenantID}, fixed: []byte(`{"a":`),
			refuse: "record 1 still cannot be stored: parsing JSON"},
		"mended to nothing": {body: envelope(good, `{"a":1}`), id: "hub/0/7/1", then: []string{tenantID}, fixed: []byte{}, refuse: "record 1 still cannot be stored"},
		"the rest of a message, mended": {body: []byte(`{"records":[` + good + `,{"time":"2026`), id: "hub/0/7/1", then: []string{tenantID},
			fixed:  []byte(`,` + signIn(tenantID, "two", 0) + `,` + nameless + `]}`),
			stored: map[string]string{"two": "hub/0/7/1", "nameless": "hub/0/7/2"}},
		"a rest that is a message of its own": {body: envelope(good), rest: envelope(signIn(tenantID, "two", 0), signIn(tenantID, "three", 0)), id: "hub/0/7/1",
			then: []string{tenantID}, stored: map[string]string{"two": "hub/0/7/1", "three": "hub/0/7/2"}},
		"one that stays bad takes no other with it": {body: envelope(good), rest: envelope(`7`, signIn(tenantID, "two", 0), signIn(other, "x", 0)), id: "hub/0/7/1",
			then: []string{tenantID}, stored: map[string]string{"two": "hub/0/7/2"}, left: []string{"hub/0/7/1/" + digestOf([]byte(`7`))[:16], "hub/0/7/3"}},
		"mended, and one stays bad": {body: []byte(`{"records":[` + good + `,{`), id: "hub/0/7/1", then: []string{tenantID},
			fixed: []byte(signIn(tenantID, "two", 0) + `,` + signIn(other, "x", 0) + `]}`), refuse: `record 2 still cannot be stored: tenant`},
		"a rest that is broken still": {body: []byte(`{"records":[` + good + `,{"time":"2026`), id: "hub/0/7/1", then: []string{tenantID},
			refuse: "record 1 still cannot be stored: reading record 0: at byte 13: expected the end of a string"},
		"a rest without a record": {body: []byte(`{"records":[` + good + `,{`), id: "hub/0/7/1", then: []string{tenantID}, fixed: []byte(`[]`), refuse: "there is no record in it"},
		"the source's only tenant of then": {body: envelope(good), rest: envelope(nameless), id: "hub/0/7/1", then: []string{tenantID, other},
			stored: map[string]string{"nameless": "hub/0/7/1"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := openBus(t, t.TempDir(), 0)
			require.NoError(t, open(t, b, tenantID).Store(t.Context(), []Message{message(7, c.body), message(8, []byte(`{"records":[]}`))}))
			if c.rest != nil {
				leaveRest(t, b, 7, c.rest)
			}
			l := lettersOf(b, c.then...)
			before := waiting(t, l)
			require.Len(t, before, 1)
			want := map[string]string{"good": positions(t, b)["good"]}
			out, err := l.Replay(t.Context(), c.id, c.fixed)
			if c.refuse != "" {
				var refusal *letter.Refusal
				require.ErrorAs(t, err, &refusal)
				require.Contains(t, err.Error(), c.refuse)
				require.Equal(t, want, positions(t, b))
				require.Equal(t, before, waiting(t, l), "it stays")
				return
			}
			require.NoError(t, err)
			require.Equal(t, letter.Outcome{ID: c.id, Stored: len(c.stored), Left: c.left}, out)
			for id, p := range c.stored {
				want[id] = p
			}
			require.Equal(t, want, positions(t, b))
			var left []string
			for _, still := range waiting(t, l) {
				left = append([]string{still.ID}, left...)
				_, err := l.Replay(t.Context(), still.ID, nil)
				require.ErrorContains(t, err, "still cannot be stored")
			}
			require.Equal(t, c.left, left)

			out, err = l.Replay(t.Context(), c.id, nil)
			require.NoError(t, err)
			require.Equal(t, letter.Outcome{ID: c.id, Stored: len(c.stored), Before: true}, out, "twice")
			require.Equal(t, want, positions(t, b))
			// Checkpoint and reader know nothing of it.
			require.EqualValues(t, 8, open(t, b, tenantID).At().Sequence)
		})
	}
}

func TestWhatWasMendedSaysSo(t *testing.T) {
	b := openBus(t, t.TempDir(), 0)
	require.NoError(t, open(t, b).Store(t.Context(), []Message{message(0, envelope(`{"a":1}`))}))
	_, err := lettersOf(b).Replay(t.Context(), "hub/0/0/0", []byte(signIn(tenantID, "mended", 0)))
	require.NoError(t, err)
	require.NoError(t, b.Scan(t.Context(), bus.Logs, "logs.>", time.Time{}, func(m jetstream.Msg) error {
		require.Equal(t, digestOf([]byte(`{"a":1}`)), m.Headers().Get(headerMended))
		return nil
	}))
}

// prepared is a letter as Replay has it before it stores anything.
func prepared(t *testing.T, l *Letters, id string) *replay {
	t.Helper()
	whole, err := l.Show(t.Context(), id)
	require.NoError(t, err)
	r, err := l.prepare(t.Context(), whole, nil)
	require.NoError(t, err)
	parsed, err := letter.ParseID(id)
	require.NoError(t, err)
	r.subject = subjectOf(parsed)
	r.state, r.last, err = l.mark(t.Context(), r.subject)
	require.NoError(t, err)
	return r
}

func TestAReplayThatIsKilledBehindItsBatchDoublesNothing(t *testing.T) {
	b := openBus(t, t.TempDir(), 0)
	require.NoError(t, open(t, b, tenantID).Store(t.Context(), []Message{message(0, envelope(signIn(other, "foreign", 0), signIn(tenantID, "good", 0)))}))
	l := lettersOf(b)
	late := prepared(t, l, "hub/0/0/0")
	_, err := l.store(t.Context(), prepared(t, l, "hub/0/0/0")) // and then it is killed: the letter is there still
	require.NoError(t, err)
	require.Len(t, positions(t, b), 2)
	require.Empty(t, waiting(t, l), "the mark hides it")
	require.Len(t, letters(t, b), 1)

	_, err = l.store(t.Context(), late)
	require.EqualError(t, err, "somebody else replays this letter at the moment")
	out, err := l.Replay(t.Context(), "hub/0/0/0", nil)
	require.NoError(t, err)
	require.True(t, out.Before)
	require.Len(t, positions(t, b), 2)
	require.Empty(t, letters(t, b), "it is removed now")
}

// A long rest takes several batches. Killed between two of them, and between the last and the letters of what is left,
// the next replay goes on where the mark stands.
func TestALongReplayGoesOnWhereItWasKilled(t *testing.T) {
	dir := t.TempDir()
	b := openBus(t, dir, 1_000_000)
	records, ids := many(2500, 0)
	records[500] = `7`
	require.NoError(t, open(t, b).Store(t.Context(), []Message{message(0, envelope(signIn(tenantID, "good", 0)))}))
	leaveRest(t, b, 0, envelope(records...))
	l := lettersOf(b)
	_, err := l.Replay(t.Context(), "hub/0/0/1", nil)
	require.ErrorContains(t, err, "storing", "LOGS is full behind the first batch")
	require.Equal(t, 1000, len(positions(t, b)))
	require.Len(t, waiting(t, l), 1)
	b.Close()

	b = openBus(t, dir, 0)
	l = lettersOf(b)
	_, err = l.Replay(t.Context(), "hub/0/0/1", envelope(signIn(tenantID, "something else", 0)))
	require.ErrorContains(t, err, "replayed already from other bytes")

	killed := prepared(t, l, "hub/0/0/1")
	state := killed.state
	require.Equal(t, 999, state.Records)
	require.Equal(t, []int{501}, state.Left)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = l.store(ctx, killed)
	require.Error(t, err)
	require.Equal(t, 1000, len(positions(t, b)))

	out, err := l.Replay(t.Context(), "hub/0/0/1", nil)
	require.NoError(t, err)
	require.Equal(t, letter.Outcome{ID: "hub/0/0/1", Stored: 2499, Left: []string{"hub/0/0/501"}}, out)
	all := positions(t, b)
	require.Equal(t, 2500, len(all))
	for i, id := range ids {
		if i != 500 {
			require.Equal(t, fmt.Sprintf("hub/0/0/%d", i+1), all[id])
		}
	}
	require.Len(t, waiting(t, l), 1)
	require.Equal(t, "7", letters(t, b)[0].body)
}

func TestALargeLetterIsReplayedFromItsObject(t *testing.T) {
	b := openBus(t, t.TempDir(), 0)
	records, _ := many(10, 1<<20*9/10)
	require.NoError(t, open(t, b).Store(t.Context(), []Message{message(0, envelope(signIn(tenantID, "good", 0)))}))
	leaveRest(t, b, 0, envelope(records...))
	require.Len(t, letters(t, b)[0].object, 64)
	out, err := lettersOf(b).Replay(t.Context(), "hub/0/0/1", nil)
	require.NoError(t, err)
	require.Equal(t, 10, out.Stored)
	require.Len(t, positions(t, b), 11)
}

// The reader died between a letter and its batch, and comes back as an edition that can decode the record.
func TestWhatTheReaderStoresAfterAllIsNotReplayed(t *testing.T) {
	b := openBus(t, t.TempDir(), 0)
	m := message(0, envelope(signIn(other, "foreign", 0), signIn(tenantID, "good", 0), `{`))
	lost := open(t, b, tenantID)
	require.NoError(t, open(t, b).Idle(t.Context(), enqueued))
	require.ErrorIs(t, lost.Store(t.Context(), []Message{m}), bus.ErrConflict)
	l := lettersOf(b)
	require.Len(t, waiting(t, l), 2)
	_, err := l.Replay(t.Context(), "hub/0/0/0", nil)
	require.ErrorContains(t, err, "ingest has not passed this position")

	require.NoError(t, open(t, b, tenantID, other).Store(t.Context(), []Message{m}))
	require.Len(t, positions(t, b), 2)
	all := waiting(t, l)
	require.Len(t, all, 1, "what is broken still")
	require.Equal(t, "hub/0/0/2", all[0].ID)
	out, err := l.Replay(t.Context(), "hub/0/0/0", nil)
	require.NoError(t, err)
	require.True(t, out.Before)
	require.Len(t, positions(t, b), 2)
}

// Behind a crash a polled source may bring something else at the same position: neither letter is lost.
func TestTwoLettersAtOnePositionOfAPolledSource(t *testing.T) {
	b := openBus(t, t.TempDir(), 0)
	page := func(records ...string) Page {
		out := Page{Keep: enqueued.Add(-time.Hour)}
		for _, r := range records {
			out.Records = append(out.Records, []byte(r))
		}
		return out
	}
	lost := open(t, b, tenantID)
	require.NoError(t, open(t, b).Idle(t.Context(), enqueued))
	require.ErrorIs(t, lost.StorePage(t.Context(), page(signIn(other, "a", 0), signIn(other, "b", 0))), bus.ErrConflict)
	require.NoError(t, open(t, b, tenantID).StorePage(t.Context(), page(signIn(other, "c", 0), signIn(other, "b", 0))))
	l := lettersOf(b)
	require.Len(t, waiting(t, l), 3)
	outcomes, err := l.ReplayAll(t.Context(), letter.Filter{})
	require.NoError(t, err)
	require.Len(t, outcomes, 3)
	require.ElementsMatch(t, []string{"a", "b", "c"}, stored(t, b))
	require.Empty(t, waiting(t, l))
}

func TestAllIsReplayedThatCanBe(t *testing.T) {
	b := openBus(t, t.TempDir(), 0)
	p := open(t, b, tenantID)
	require.NoError(t, p.Store(t.Context(), []Message{message(0, envelope(signIn(other, "one", 0), `7`)), message(1, envelope(signIn(other, "two", 0)))}))
	l := lettersOf(b)
	outcomes, err := l.ReplayAll(t.Context(), letter.Filter{Source: "elsewhere"})
	require.NoError(t, err)
	require.Empty(t, outcomes)
	outcomes, err = l.ReplayAll(t.Context(), letter.Filter{Source: "hub"})
	require.NoError(t, err)
	require.Equal(t, []letter.Outcome{{ID: "hub/0/0/0", Stored: 1}, {ID: "hub/0/0/1", Error: "record 1 still cannot be stored: a record is a JSON object, this is a number"}, {ID: "hub/0/1/0", Stored: 1}}, outcomes)
	require.Equal(t, map[string]string{"one": "hub/0/0/0", "two": "hub/0/1/0"}, positions(t, b))
}

// A letter that an older edition has stored says neither position nor digest.
func TestALetterOfAnOlderEdition(t *testing.T) {
	b := openBus(t, t.TempDir(), 0)
	require.NoError(t, open(t, b).Store(t.Context(), []Message{message(3, []byte(`{"records":[]}`))}))
	body := signIn(tenantID, "old", 0)
	_, err := b.Publish(t.Context(), bus.Message{Subject: bus.DeadLetterSubject("hub", "0", "2-1"), Data: []byte(body),
		Header: map[string][]string{headerReason: {"why"}, record.HeaderEnqueued: {enqueued.Format(time.RFC3339Nano)}}})
	require.NoError(t, err)
	l := lettersOf(b)
	all := waiting(t, l)
	require.Equal(t, "hub/0/2/1", all[0].ID)
	require.EqualValues(t, len(body), all[0].Size)
	out, err := l.Replay(t.Context(), all[0].ID, nil)
	require.NoError(t, err)
	require.Equal(t, 1, out.Stored)
}

// Marks are no checkpoints: whoever follows those does not see them.
func TestMarksAreSeenByNobodyElse(t *testing.T) {
	b := openBus(t, t.TempDir(), 0)
	require.NoError(t, open(t, b).Store(t.Context(), []Message{message(0, envelope(signIn(tenantID, "good", 0)))}))
	leaveRest(t, b, 0, envelope(signIn(tenantID, "s", 0)))
	_, err := lettersOf(b).Replay(t.Context(), "hub/0/0/1", nil)
	require.NoError(t, err)
	require.NoError(t, b.Scan(t.Context(), bus.Logs, "cp.>", time.Time{}, func(m jetstream.Msg) error {
		require.Equal(t, bus.CheckpointSubject("hub", "0"), m.Subject())
		return nil
	}))
	mark, err := b.Last(t.Context(), bus.Logs, "replayed.hub.0.0-1")
	require.NoError(t, err)
	require.Equal(t, markTTL, mark.Header.Get("Nats-TTL"))
	require.True(t, bytes.Contains(mark.Data, []byte(`"done":true`)))
}
