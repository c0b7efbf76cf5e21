// Package heap keeps the process within what it may take: the embedded server's blocks are large, and Go's collector by
// itself knows of no bound. Below the bound it collects more rarely than by itself: detecting makes much garbage and
// keeps little.
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
	// percent is how far the heap may grow beyond what is in use, as long as it stays below the limit. Go's own is 100.
	percent = 400
)

// Keep holds the process's memory below most bytes, or near what it needs where that is more, until ctx ends. Where the
// environment says GOMEMLIMIT or GOGC, those hold.
func Keep(ctx context.Context, most int) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if os.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(percent))
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
