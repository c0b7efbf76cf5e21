package chaos

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"cordon/ingest/eventhubs"
	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/crew"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

const partitions = 32

// TestThirtyTwoPartitions: one instance owns all partitions of a hub within 5 s, and has stored a record of each.
func TestThirtyTwoPartitions(t *testing.T) {
	h := openHub(t, partitions)
	for i := range partitions {
		h.put(i, 1)
	}
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	defer b.Close()
	s := eventhubs.New(eventhubs.Config{Namespace: "simulated", Hub: hubName, ConnectionString: h.connection()}, b, crew.Alone(), clock.Wall{}, zap.NewNop())
	ctx, cancel := context.WithCancel(t.Context())
	var hands sync.WaitGroup
	began := time.Now()
	hands.Go(func() { _ = s.Run(ctx) })
	require.Eventually(t, func() bool { return stored(t.Context(), b, h.last()) }, 5*time.Second, 5*time.Millisecond)
	t.Logf("%d partitions after %s", partitions, time.Since(began).Round(time.Millisecond))
	h.requireOnce(t, b)
	cancel()
	hands.Wait()
}

// shares counts the partitions of each instance, as the hub sees them.
func (h *hub) shares() []int {
	by := map[string]int{}
	for _, owner := range h.Owners() {
		by[owner]++
	}
	if by[""] > 0 {
		return nil // somebody has yet to come
	}
	var out []int
	for _, n := range by {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// TestInstancesShareAHub: two and three instances share the partitions evenly; when one is killed the others have its
// partitions within 20 s.
func TestInstancesShareAHub(t *testing.T) {
	t.Parallel()
	h := openHub(t, partitions)
	_, url := startNATS(t)
	b, err := bus.Open(t.Context(), bus.Config{URL: url})
	require.NoError(t, err)
	defer b.Close()
	feed := func() {
		for i := range partitions {
			h.put(i, 1+i%5)
		}
	}
	all := func() bool { return stored(t.Context(), b, h.last()) }
	until := func(ok func() bool, within time.Duration, what string) {
		t.Helper()
		began := time.Now()
		require.Eventually(t, ok, within, 20*time.Millisecond, what)
		t.Logf("%s: %s", what, time.Since(began).Round(time.Millisecond))
	}
	shared := func(want ...int) func() bool {
		return func() bool { return slices.Equal(h.shares(), want) }
	}

	s := spec{URL: url, Connection: h.connection()}
	s.Crew = "a"
	feed()
	start(t, s)
	until(all, 10*time.Second, "one instance has stored a message of each partition")
	s.Crew = "b"
	start(t, s)
	until(shared(16, 16), 20*time.Second, "two share evenly")
	s.Crew = "c"
	third := start(t, s)
	until(shared(10, 11, 11), 20*time.Second, "three share evenly")
	feed()
	until(all, 20*time.Second, "three have stored another message of each partition")

	third.kill()
	feed()
	until(all, 20*time.Second, "one of three was killed, and every partition flows again")
	until(shared(16, 16), 20*time.Second, "two share evenly again")
	h.requireOnce(t, b)
}
