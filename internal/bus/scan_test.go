package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// fill stores records in LOGS, of so many bytes each.
func fill(t testing.TB, b *Bus, records, size int) {
	t.Helper()
	data := bytes.Repeat([]byte("x"), size)
	for n := 0; n < records; {
		var msgs []Message
		for ; n < records && len(msgs) < 900 && (len(msgs)+1)*size < MaxPayload; n++ {
			msgs = append(msgs, Message{Subject: LogSubject("t", "SignInLogs", fmt.Sprint(n)), Data: data})
		}
		_, err := b.PublishBatch(t.Context(), msgs)
		require.NoError(t, err)
	}
}

func BenchmarkScan(b *testing.B) {
	const records = 50000
	s, err := Open(b.Context(), Config{Dir: b.TempDir()})
	require.NoError(b, err)
	defer s.Close()
	fill(b, s, records, 3<<10)
	b.ResetTimer()
	for b.Loop() {
		n := 0
		require.NoError(b, s.Scan(b.Context(), Logs, "logs.>", time.Time{}, func(jetstream.Msg) error { n++; return nil }))
		require.Equal(b, records, n)
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkScanOfOne is what most of Cordon's questions are: a few messages of one subject.
func BenchmarkScanOfOne(b *testing.B) {
	s, err := Open(b.Context(), Config{Dir: b.TempDir()})
	require.NoError(b, err)
	defer s.Close()
	fill(b, s, 1, 3<<10)
	for b.Loop() {
		n := 0
		require.NoError(b, s.Scan(b.Context(), Logs, "logs.>", time.Time{}, func(jetstream.Msg) error { n++; return nil }))
		require.Equal(b, 1, n)
	}
}

func TestAScanShowsEachMessageOnce(t *testing.T) {
	b := open(t)
	const records = 1700 // more than three pulls
	fill(t, b, records, 100)
	next := uint64(1)
	require.NoError(t, b.Scan(t.Context(), Logs, "logs.>", time.Time{}, func(m jetstream.Msg) error {
		meta, err := m.Metadata()
		require.NoError(t, err)
		require.Equal(t, next, meta.Sequence.Stream)
		if next++; next == 10 {
			fill(t, b, 5, 100) // what comes while it runs is not its own
		}
		return nil
	}))
	require.EqualValues(t, records+1, next)

	within := func(s Span) (seen []uint64) {
		s.Stream, s.Filter = Logs, []string{"logs.>", "cp.>"}
		require.NoError(t, b.ScanSpan(t.Context(), s, func(m jetstream.Msg) error {
			meta, err := m.Metadata()
			require.NoError(t, err)
			seen = append(seen, meta.Sequence.Stream)
			return nil
		}))
		return seen
	}
	require.Equal(t, []uint64{4, 5, 6}, within(Span{After: 3, Last: 6}))
	require.Equal(t, []uint64{1, 2}, within(Span{Last: 2}))
	require.Empty(t, within(Span{After: 6, Last: 6}))
	require.Empty(t, within(Span{}))
	require.Len(t, within(Span{After: 1, Last: 1 << 60}), records+4, "a span may end behind the stream")

	bytes := 0
	require.NoError(t, b.ScanHeaders(t.Context(), Logs, "logs.>", time.Time{}, func(m jetstream.Msg) error { bytes += len(m.Data()); return nil }))
	require.Zero(t, bytes)
}

// The largest messages of all fit in a pull, beside others that do not.
func TestAScanOfLargeMessages(t *testing.T) {
	b := open(t)
	sizes := []int{10, MaxPayload - 4096, MaxPayload / 2, 10, MaxPayload - 4096, 3 << 20, 10}
	for _, size := range sizes {
		fill(t, b, 1, size)
	}
	var seen []int
	require.NoError(t, b.Scan(t.Context(), Logs, "logs.>", time.Time{}, func(m jetstream.Msg) error { seen = append(seen, len(m.Data())); return nil }))
	require.Equal(t, sizes, seen)
}

func TestAScanDoesNotWaitForWhatIsDeleted(t *testing.T) {
	b := open(t)
	fill(t, b, 3*pullMessages, 10)
	seen := 0
	require.NoError(t, b.Scan(t.Context(), Logs, "logs.>", time.Time{}, func(jetstream.Msg) error {
		if seen++; seen == 1 {
			require.NoError(t, b.Stream(Logs).Purge(t.Context()))
		}
		return nil
	}))
	require.Less(t, seen, 3*pullMessages)

	fill(t, b, 3, 10)
	for n := range 3 { // a checkpoint clears those before it away
		_, err := b.Publish(t.Context(), Message{Subject: CheckpointSubject("hub", "0"), Data: fmt.Append(nil, n), Header: nats.Header{"Nats-Rollup": {"sub"}}})
		require.NoError(t, err)
	}
	var checkpoints []string
	require.NoError(t, b.Scan(t.Context(), Logs, ">", time.Time{}, func(m jetstream.Msg) error {
		if len(m.Data()) == 1 {
			checkpoints = append(checkpoints, string(m.Data()))
		}
		return nil
	}))
	require.Equal(t, []string{"2"}, checkpoints)
}

func TestAScanEndsWhenItIsTold(t *testing.T) {
	b := open(t)
	fill(t, b, 2*pullMessages, 10)
	ctx, cancel := context.WithCancel(t.Context())
	seen := 0
	err := b.Scan(ctx, Logs, "logs.>", time.Time{}, func(jetstream.Msg) error {
		if seen++; seen == 5 {
			cancel()
		}
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, seen, 10)

	enough := errors.New("enough")
	require.ErrorIs(t, b.Scan(t.Context(), Logs, "logs.>", time.Time{}, func(jetstream.Msg) error { return enough }), enough)
	require.NoError(t, b.Scan(t.Context(), Audit, "audit.>", time.Time{}, func(jetstream.Msg) error { return enough }), "an empty stream")
}

// Servers keep so many consumers of a stream and no more: a scan, and whoever follows, leaves none behind.
func TestReadersLeaveNoConsumers(t *testing.T) {
	b := open(t)
	fill(t, b, 10, 100)
	consumers := func() int {
		info, err := b.Stream(Logs).Info(t.Context())
		require.NoError(t, err)
		return info.State.Consumers
	}
	none := func(jetstream.Msg) error { return nil }
	for range 10 {
		require.NoError(t, b.Scan(t.Context(), Logs, "logs.>", time.Time{}, none))
		require.NoError(t, b.Scan(t.Context(), Logs, "logs.of.nobody", time.Time{}, none))
		require.ErrorIs(t, b.Scan(t.Context(), Logs, "logs.>", time.Time{}, func(jetstream.Msg) error { return errEnough }), errEnough)
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, b.Follow(ctx, Logs, []string{"logs.>"}, 0, none, cancel))
	}
	require.Zero(t, consumers())
}

var errEnough = errors.New("enough")
