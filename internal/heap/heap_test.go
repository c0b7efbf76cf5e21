package heap

import (
	"context"
	"math"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheLimitLeavesRoomToWork(t *testing.T) {
	const most = 256 << 20
	limit := limitFor(most, 0)
	require.Greater(t, limit, int64(160<<20))
	require.Less(t, limit, int64(most)*3/4)
	require.Equal(t, limit, limitFor(most, 100<<20))
	for _, live := range []uint64{200 << 20, 1 << 30} {
		require.Greater(t, limitFor(most, live), int64(live+live/8), "the collector is not chased")
	}
}

func TestKeepSetsTheLimitAndTakesItBack(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "")
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { Keep(ctx, 256<<20); close(done) }()
	require.Eventually(t, func() bool { return debug.SetMemoryLimit(-1) < math.MaxInt64 }, 5*time.Second, time.Millisecond)
	require.Equal(t, percent, debug.SetGCPercent(percent))
	cancel()
	<-done
	require.EqualValues(t, math.MaxInt64, debug.SetMemoryLimit(-1))
	require.Equal(t, 100, debug.SetGCPercent(100))
}
