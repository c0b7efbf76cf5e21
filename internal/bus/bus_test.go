package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T) *Bus {
	t.Helper()
	b, err := Open(t.Context(), Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return b
}

func TestOneOwnerOfTheDataFolder(t *testing.T) {
	dir := t.TempDir()
	first, err := Open(t.Context(), Config{Dir: dir})
	require.NoError(t, err)
	_, err = Open(t.Context(), Config{Dir: dir})
	require.ErrorIs(t, err, ErrDataFolderInUse)
	first.Close()
	again, err := Open(t.Context(), Config{Dir: dir})
	require.NoError(t, err)
	again.Close()
}

func TestBatchLandsWholeOrNotAtAll(t *testing.T) {
	b := open(t)
	cp := CheckpointSubject("hub", "0")
	batch := func(expect uint64) []Message {
		var msgs []Message
		for i := range 20 {
			msgs = append(msgs, Message{Subject: LogSubject("Tenant.With.Dots", "AuditLogs", fmt.Sprint(i)), Data: []byte("{}")})
		}
		return append(msgs, Message{Subject: cp, Data: []byte("1"), ExpectLast: &expect,
			Header: nats.Header{"Nats-Rollup": {"sub"}, "Nats-TTL": {"never"}}})
	}
	last, err := b.PublishBatch(t.Context(), batch(0))
	require.NoError(t, err)
	require.EqualValues(t, 21, last)

	_, err = b.PublishBatch(t.Context(), batch(0)) // a reader that lost its partition
	require.ErrorIs(t, err, ErrConflict)
	seq, err := b.LastSequence(t.Context(), Logs)
	require.NoError(t, err)
	require.EqualValues(t, 21, seq, "the refused batch left nothing behind")

	_, err = b.PublishBatch(t.Context(), batch(21))
	require.NoError(t, err)
	msg, err := b.Last(t.Context(), Logs, cp)
	require.NoError(t, err)
	require.EqualValues(t, 42, msg.Sequence)
}

// late sends a batch with its fence, all but the last message, and returns what sends that one: a commit whose writer has
// given up on it, and which the server gets to see later.
func late(t *testing.T, b *Bus, msgs []Message) (commit func() error) {
	t.Helper()
	last := len(msgs) - 1
	for i, m := range msgs {
		msg := m.toNATS()
		msg.Header.Set("Nats-Batch-Id", "late")
		msg.Header.Set("Nats-Batch-Sequence", strconv.Itoa(i+1))
		if i == last {
			msg.Header.Set("Nats-Batch-Commit", "1")
			return func() error {
				_, err := b.commit(t.Context(), msg)
				return err
			}
		}
		require.NoError(t, b.open(t.Context(), msg))
	}
	return nil
}

// A writer that got no answer cannot know whether its batch was stored, or will be: it reads the checkpoint, and goes on
// from there. Of the two batches the one that lands first counts, and the other leaves nothing behind.
func TestABatchThatLandsLate(t *testing.T) {
	batch := func(name string, expect uint64) []Message {
		return []Message{
			{Subject: LogSubject("t", "AuditLogs", "a"), Data: []byte(name)},
			{Subject: LogSubject("t", "AuditLogs", "b"), Data: []byte(name)},
			{Subject: CheckpointSubject("hub", "0"), Data: []byte(name), ExpectLast: &expect, Header: nats.Header{"Nats-Rollup": {"sub"}, "Nats-TTL": {"never"}}},
		}
	}
	require.False(t, streams(Config{})[0].AllowDirect, "the checkpoint is read from the leader, which has seen all that was stored")
	for name, afterwards := range map[string]bool{"after the next": true, "between reading the checkpoint and the next": false} {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			commit := late(t, b, batch("first", 0))
			msg, err := b.Last(t.Context(), Logs, CheckpointSubject("hub", "0"))
			require.NoError(t, err)
			require.Nil(t, msg)
			if !afterwards {
				require.NoError(t, commit())
			}
			_, err = b.PublishBatch(t.Context(), batch("second", 0))
			want := "first"
			if afterwards {
				require.NoError(t, err)
				err, want = commit(), "second"
			}
			require.ErrorIs(t, err, ErrConflict)
			seq, err := b.LastSequence(t.Context(), Logs)
			require.NoError(t, err)
			require.EqualValues(t, 3, seq)
			for n := uint64(1); n <= seq; n++ {
				msg, err := b.Stream(Logs).GetMsg(t.Context(), n)
				require.NoError(t, err)
				require.Equal(t, want, string(msg.Data))
			}
		})
	}
}

func TestTenantShardIsAddedToRecords(t *testing.T) {
	b := open(t)
	_, err := b.Publish(t.Context(), Message{Subject: LogSubject("8d4121ed-0008-406d-bff9-0d5bb312183c", "AuditLogs", "*.>"), Data: []byte("{}")})
	require.NoError(t, err)
	msg, err := b.Stream(Logs).GetMsg(t.Context(), 1)
	require.NoError(t, err)
	require.Regexp(t, `^logs\.\d+\.8d4121ed-0008-406d-bff9-0d5bb312183c\.auditlogs\.\d+$`, msg.Subject)
}

func TestWorkerGetsAFailedMessageAgain(t *testing.T) {
	b := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := b.Publish(ctx, Message{Subject: FindingSubject("t"), Data: []byte("x")})
	require.NoError(t, err)
	tries := 0
	err = b.Run(ctx, Worker{Stream: Findings, Durable: "test"}, func(context.Context, jetstream.Msg) error {
		tries++
		if tries < 3 {
			return &RetryAfter{Wait: time.Millisecond, Err: fmt.Errorf("try %d", tries)}
		}
		cancel()
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 3, tries)
}

func TestTimersFireWhenTheClockJumps(t *testing.T) {
	b := open(t)
	far := time.Now().Add(time.Hour)
	require.NoError(t, b.Schedule(t.Context(), Timer{ID: "a.b", Incident: "incidents.t.p", Kind: "again", Step: "contain.1", At: far}))
	require.NoError(t, b.Schedule(t.Context(), Timer{ID: "a.c", Incident: "incidents.t.p", Kind: "due", At: far.Add(time.Hour)}))
	at, ok, err := b.NextTimer(t.Context())
	require.NoError(t, err)
	require.True(t, ok)
	require.WithinDuration(t, far, at, 0)

	require.NoError(t, b.FireTimers(t.Context(), far))
	msg, err := b.Last(t.Context(), Timers, "due.a.b")
	require.NoError(t, err)
	var got Timer
	require.NoError(t, json.Unmarshal(msg.Data, &got))
	require.Equal(t, "contain.1", got.Step)
	msg, err = b.Last(t.Context(), Timers, "due.a.c")
	require.NoError(t, err)
	require.Nil(t, msg, "not due yet")
}

func TestJetStreamFiresATimerByItself(t *testing.T) {
	b := open(t)
	require.NoError(t, b.Schedule(t.Context(), Timer{ID: "soon", Kind: "again", At: time.Now().Add(time.Second)}))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := b.Run(ctx, Worker{Stream: Timers, Durable: "due", Filter: []string{"due.>"}}, func(_ context.Context, m jetstream.Msg) error {
		cancel()
		return nil
	})
	require.NoError(t, err)
	require.ErrorIs(t, ctx.Err(), context.Canceled, "the timer fired before the test's deadline")
}

func TestTokensAreSafeAndStable(t *testing.T) {
	require.Equal(t, "8d4121ed-0008", Token("8D4121ED-0008"))
	for _, name := range []string{"*.>", "a.b", "", ">", "avery@contoso.example", strings.Repeat("a", 100), "h--forged", "é"} {
		require.Regexp(t, `^h--[0-9a-f]{32}$`, Token(name), name)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "name")
		require.Regexp(t, `^[a-z0-9-]{1,64}$`, Token(s))
		require.Equal(t, Token(s), Token(strings.ToLower(s)))
		require.Regexp(t, `^[0-9]{1,2}$`, Bucket(s))
		slow := fnv.New32a()
		_, _ = slow.Write([]byte(strings.ToLower(s)))
		require.Equal(t, strconv.Itoa(int(slow.Sum32()%Buckets)), Bucket(s))
	})
}

func TestSinceFindsTheFirstMessageOfATime(t *testing.T) {
	b := open(t)
	seq, err := b.Since(t.Context(), Audit, time.Now())
	require.NoError(t, err)
	require.EqualValues(t, 1, seq, "an empty stream begins at one")
	var stored []time.Time
	for i := range 5 {
		n, err := b.Publish(t.Context(), Message{Subject: AuditSubject(fmt.Sprint(i)), Data: []byte("{}")})
		require.NoError(t, err)
		msg, err := b.Stream(Audit).GetMsg(t.Context(), n)
		require.NoError(t, err)
		stored = append(stored, msg.Time)
	}
	for i, at := range stored {
		seq, err := b.Since(t.Context(), Audit, at)
		require.NoError(t, err)
		require.EqualValues(t, i+1, seq)
	}
	seq, err = b.Since(t.Context(), Audit, stored[4].Add(time.Nanosecond))
	require.NoError(t, err)
	require.EqualValues(t, 6, seq)
}

// Many writers of their own partitions commit together; one of them has lost its partition. Each hears its own outcome,
// and the sequence of its own checkpoint.
func TestWritersCommitTogether(t *testing.T) {
	b := open(t)
	_, err := b.Publish(t.Context(), Message{Subject: CheckpointSubject("hub", "lost"), Data: []byte("another reader's")})
	require.NoError(t, err)
	var writers sync.WaitGroup
	for w := range 12 {
		writers.Go(func() {
			partition := strconv.Itoa(w)
			if w == 5 {
				partition = "lost"
			}
			last := uint64(0)
			for round := range 20 {
				expect := last
				msgs := []Message{{Subject: CheckpointSubject("hub", partition), Data: []byte(strconv.Itoa(round)), ExpectLast: &expect, Header: nats.Header{"Nats-Rollup": {"sub"}}}}
				for range w % 4 {
					msgs = append([]Message{{Subject: LogSubject("t", "AuditLogs", partition), Data: fmt.Appendf(nil, "%s/%d", partition, round)}}, msgs...)
				}
				seq, err := b.PublishTogether(t.Context(), msgs)
				if w == 5 {
					require.ErrorIs(t, err, ErrConflict)
					continue
				}
				require.NoError(t, err)
				msg, err := b.Last(t.Context(), Logs, CheckpointSubject("hub", partition))
				require.NoError(t, err)
				require.Equal(t, seq, msg.Sequence)
				last = seq
			}
		})
	}
	writers.Wait()
	stored := map[string]int{}
	require.NoError(t, b.Scan(t.Context(), Logs, "logs.>", time.Time{}, func(m jetstream.Msg) error { stored[string(m.Data())]++; return nil }))
	for w := range 12 {
		for round := range 20 {
			want := w % 4
			if w == 5 {
				want = 0
			}
			require.Equal(t, want, stored[fmt.Sprintf("%d/%d", w, round)])
		}
	}
}
