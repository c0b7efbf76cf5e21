package chaos

import (
	"context"
	"testing"
	"time"

	"cordon/ingest/eventhubs"
	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/crew"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// TestAFullStoreSlowsTheReaders fills LOGS to its last byte. The hub keeps what does not fit, and when LOGS may grow it
// all arrives, once.
func TestAFullStoreSlowsTheReaders(t *testing.T) {
	t.Parallel()
	h := openHub(t, 4)
	h.heap(24 << 20)
	dir := t.TempDir()
	reading := func(most int64) (b *bus.Bus, stop func()) {
		b, err := bus.Open(t.Context(), bus.Config{Dir: dir, LogsMaxBytes: most})
		require.NoError(t, err)
		s := eventhubs.New(eventhubs.Config{Namespace: "simulated", Hub: hubName, ConnectionString: h.connection()}, b, crew.Alone(), clock.Wall{}, zap.NewNop())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		return b, func() {
			cancel()
			require.NoError(t, <-done)
			b.Close()
		}
	}
	state := func(b *bus.Bus) jetstream.StreamState {
		info, err := b.Stream(bus.Logs).Info(t.Context())
		require.NoError(t, err)
		return info.State
	}

	const most = 10 << 20
	b, stop := reading(most)
	var full jetstream.StreamState
	require.Eventually(t, func() bool { // nothing more fits, for longer than a reader waits before it tries again at first
		before := full
		full = state(b)
		return full.Msgs > 0 && full.LastSeq == before.LastSeq && full.Bytes > most*6/10
	}, 30*time.Second, time.Second)
	require.LessOrEqual(t, full.Bytes, uint64(most))
	require.Less(t, full.Msgs, uint64(h.records))
	stop()

	b, stop = reading(0)
	defer stop()
	require.Eventually(t, func() bool { return stored(t.Context(), b, h.last()) }, 30*time.Second, 20*time.Millisecond)
	h.requireOnce(t, b)
}
