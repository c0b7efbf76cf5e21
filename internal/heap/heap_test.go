package heap

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheLimitLeavesRoomToWork(t *testing.T) {
	const most = 256 << 20
	limit := limitFor(most, use{})
	require.Greater(t, limit, int64(160<<20))
	require.Less(t, limit, int64(most)*3/4)
	require.Equal(t, limit, limitFor(most, use{live: 100 << 20, overhead: 10 << 20}))
	require.LessOrEqual(t, limitFor(most, use{live: 150 << 20, overhead: 10 << 20}), int64(most)*9/10)
	for _, now := range []use{{live: 200 << 20}, {live: 1 << 30}, {live: 150 << 20, overhead: 80 << 20}} {
		require.Greater(t, limitFor(most, now), int64(now.live+now.live/8+now.overhead), "the collector is not chased")
	}
}

// What the limit counts beside objects is no room: a heap of many small pieces, most of them dropped, keeps their spans.
func TestUnusedPartsOfSpansAreNoRoom(t *testing.T) {
	const pieces = 1 << 20
	held := make([]*[64]byte, pieces)
	for i := range held {
		held[i] = new([64]byte)
	}
	for i := range held {
		if i%4 != 0 {
			held[i] = nil
		}
	}
	runtime.GC()
	runtime.GC()
	now := measure()
	require.Greater(t, now.overhead, uint64(pieces*64/2))
	require.Greater(t, now.live, uint64(pieces*64/4))
	require.Less(t, now.live, uint64(pieces*64))
	runtime.KeepAlive(held)
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
