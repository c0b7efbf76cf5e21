// Package heap keeps the process small: Go's collector lets the heap grow to twice what is in use, and the embedded
// server's blocks are large.
package heap

import (
	"context"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// share of what the process may take is where the collector begins to run as often as it must. What is not Go's (the
	// program itself, above all) comes on top.
	share = 0.66
	// spare is what the collector is left above what is in use. Without it a process that needs more than limit would
	// do little else than collect.
	spare = 24 << 20
)

// Keep holds the process's memory near what it needs, below most bytes where that is enough, until ctx ends. Where the
// environment says GOMEMLIMIT, that holds.
func Keep(ctx context.Context, most int) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	defer debug.SetMemoryLimit(math.MaxInt64)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for {
		metrics.Read(live)
		debug.SetMemoryLimit(limitFor(most, live[0].Value.Uint64()))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func limitFor(most int, live uint64) int64 {
	return max(int64(share*float64(most)), int64(live+live/8)+spare)
}
