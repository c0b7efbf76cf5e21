package app

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTurnsOfTheDirectory(t *testing.T) {
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	turns := newTurns(now)
	step := func(silent bool, want time.Duration, wantAll bool) {
		t.Helper()
		wait, all := turns.next(now, silent)
		require.Equal(t, want, wait)
		require.Equal(t, wantAll, all)
		now = now.Add(wait)
	}
	step(true, time.Minute, false)
	step(true, 2*time.Minute, false)
	step(true, 4*time.Minute, false)
	step(false, 53*time.Minute, true) // all have answered: the hour
	step(true, time.Minute, false)    // it begins anew
	for _, minutes := range []time.Duration{2, 4, 8, 16} {
		step(true, minutes*time.Minute, false)
	}
	step(true, 29*time.Minute, true)
	now = now.Add(3 * time.Hour) // an answer took that long
	step(false, 0, true)
	step(false, time.Hour, true)
}
