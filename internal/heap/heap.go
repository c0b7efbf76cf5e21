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
	// full is where it does so if more is in use than share leaves room for.
	full = 0.85
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
	for {
		debug.SetMemoryLimit(limitFor(most, measure()))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// use is what the heap holds, in bytes.
type use struct {
	live     uint64 // what the last collection found in use
	overhead uint64 // what the limit counts beside objects: unused parts of their spans, stacks, the collector's own
}

func measure() use {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
	}
	metrics.Read(samples)
	of := func(i int) uint64 { return samples[i].Value.Uint64() }
	return use{live: of(0), overhead: of(1) - of(2) - of(3) - of(4)}
}

// limitFor is below what the process may take, and leaves the collector room in any case: a quarter of what is in use where
// that fits, an eighth where it does not.
func limitFor(most int, now use) int64 {
	need := now.live + now.overhead + spare
	return int64(max(uint64(share*float64(most)), need+now.live/8, min(need+now.live/4, uint64(full*float64(most)))))
}
