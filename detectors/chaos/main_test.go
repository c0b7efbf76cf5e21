// Package chaos kills detectors (SIGKILL) while records stream in, and then compares: what FINDINGS holds is what one
// engine finds that nobody ever disturbed. Each instance of Cordon's detectors is a child process, and so is the
// nats-server that they share. It holds tests only.
//
// CI runs a short form. `make chaos-detectors RUNS=n` runs the long one and ends with one line of figures.
package chaos

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain lets this test binary be the child.
func TestMain(m *testing.M) {
	if text := os.Getenv("CORDON_CHAOS_CHILD"); text != "" {
		var s spec
		err := json.Unmarshal([]byte(text), &s)
		if err == nil {
			err = s.run()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	began := time.Now()
	code := m.Run()
	if f := &total; f.Runs > 0 {
		fmt.Printf("runs %d, kills %d, slowest take-over %s, records %d, findings %d, published %d, lost %d, differing %d, fallen back %d, seconds %.0f, seed %d\n",
			f.Runs, f.Kills, f.TakeOver.Round(time.Millisecond), f.Records, f.Findings, f.Published, f.Lost, f.Differing, f.FellBack, time.Since(began).Seconds(), seed())
	}
	os.Exit(code)
}

// figures is what was done and what came of it.
type figures struct {
	Runs, Kills, Records int
	TakeOver             time.Duration
	tally
}

// tally is what FINDINGS holds, beside what it should.
type tally struct {
	Findings  int // identities
	Published int // messages
	Lost      int // identities that an undisturbed engine finds, and FINDINGS has not
	Differing int // identities that FINDINGS ends with in other words, or alone has
	FellBack  int // messages that say something else under a revision that was there before
}

var (
	total  figures
	totals sync.Mutex
)

func (f figures) report(t *testing.T) {
	totals.Lock()
	defer totals.Unlock()
	t.Logf("%+v, seed %d", f, seed())
	total.Runs++
	total.Kills += f.Kills
	total.Records += f.Records
	total.TakeOver = max(total.TakeOver, f.TakeOver)
	total.Findings += f.Findings
	total.Published += f.Published
	total.Lost += f.Lost
	total.Differing += f.Differing
	total.FellBack += f.FellBack
}

// setting reads a number from the environment, which is how the long form is asked for.
func setting(name string, short int) int {
	if n, err := strconv.Atoi(os.Getenv("CORDON_CHAOS_" + name)); err == nil {
		return n
	}
	return short
}

var seed = sync.OnceValue(func() int { return setting("SEED", int(time.Now().UnixNano()%1e9)) })

// chance makes the moments of a run repeatable, as far as they are ours.
func chance(run int) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed()), uint64(run))) }

func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)))
}

// repeat runs a test as often as was asked for.
func repeat(t *testing.T, run func(t *testing.T, r *rand.Rand)) {
	for i := range setting("RUNS", 1) {
		ok := t.Run(strconv.Itoa(i), func(t *testing.T) { run(t, chance(i)) })
		require.True(t, ok, "seed %d", seed())
	}
}

// poll asks again and again, in the test's own goroutine, until it is so or the time is over.
func poll(every, most time.Duration, so func() bool) bool {
	again := time.NewTicker(every)
	defer again.Stop()
	for over := time.After(most); !so(); {
		select {
		case <-again.C:
		case <-over:
			return false
		}
	}
	return true
}
