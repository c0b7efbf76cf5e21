package main

import (
	"os"
	"runtime/debug"

	"cordon/detectors"
	"github.com/KimMachineGun/automemlimit/memlimit"
	"go.uber.org/zap"
)

// memoryShare is how much of the machine's memory, or of the container's, Cordon takes before it collects garbage sooner.
const memoryShare = 0.6

// spareCollector lets more garbage gather than Go does by itself, and no more than the machine has room for. GOGC and
// GOMEMLIMIT are obeyed where they are set.
func spareCollector(log *zap.Logger) {
	if os.Getenv("GOGC") != "" {
		return
	}
	_, err := memlimit.SetGoMemLimitWithOpts(memlimit.WithRatio(memoryShare), memlimit.WithProvider(memlimit.ApplyFallback(memlimit.FromCgroup, memlimit.FromSystem)))
	if err != nil { // without a limit it stays as Go has it
		log.Debug("finding out how much memory there is", zap.Error(err))
		return
	}
	debug.SetGCPercent(detectors.GCPercent)
}
