// Package chaos breaks what ingest stands on, while records stream in, and then counts: each record stands in LOGS once,
// in the order of its partition. What is killed (SIGKILL) is real: Cordon's reader is a child process, and so is each
// nats-server. It holds tests only.
//
// CI runs a short form. `make chaos-ingest RUNS=n` runs the long one and ends with one line of figures.
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
		fmt.Printf("runs %d, kills %d, leaders killed %d, outages %d, steals %d, fenced writes %d, unanswered writes %d, records %d, lost %d, doubled %d, out of order %d, seconds %.0f, seed %d\n",
			f.Runs, f.Kills, f.Leaders, f.Outages, f.Steals, f.Fenced, f.Unanswered, f.Records, f.Lost, f.Doubled, f.Disordered, time.Since(began).Seconds(), seed())
	}
	os.Exit(code)
}

// figures is what was done and what came of it.
type figures struct {
	Runs, Kills, Leaders, Outages, Steals, Fenced, Unanswered int
	tally
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
	total.Leaders += f.Leaders
	total.Outages += f.Outages
	total.Steals += f.Steals
	total.Fenced += f.Fenced
	total.Unanswered += f.Unanswered
	total.Records += f.Records
	total.Lost += f.Lost
	total.Doubled += f.Doubled
	total.Disordered += f.Disordered
}

// setting reads a number from the environment, which is how the long form is asked for.
func setting(name string, short int) int {
	if n, err := strconv.Atoi(os.Getenv("CORDON_CHAOS_" + name)); err == nil {
		return n
	}
	return short
}

// long says whether the long form was asked for.
func long() bool { return os.Getenv("CORDON_CHAOS_KILLS") != "" }

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
