package chaos

import (
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cordon/internal/bus"
	"github.com/stretchr/testify/require"
)

// TestChaosKill kills Cordon with its embedded NATS server again and again while records stream in. Meanwhile the hub
// cannot be reached for longer than any of the reader's windows, and strangers steal partitions.
func TestChaosKill(t *testing.T) {
	repeat(t, func(t *testing.T, r *rand.Rand) {
		f := figures{Kills: setting("KILLS", 6)}
		outage := 6 * time.Second // a reader asks its hub for a sign of life every 5 s
		if long() {
			outage = 35 * time.Second
		}
		h := openHub(t, 4)
		s := spec{Dir: t.TempDir(), Connection: h.connection(), Log: filepath.Join(t.TempDir(), "log")}
		var killed atomic.Int64
		records := setting("RECORDS", 20_000)
		pieces := chance(r.Int())
		var hands sync.WaitGroup
		defer hands.Wait()
		hands.Go(func() { h.stream(pieces, records, f.Kills+1, &killed) })
		for kill := range f.Kills {
			c := start(t, s)
			if kill == f.Kills/3 || long() && kill == 2*f.Kills/3 {
				time.Sleep(between(r, 0, time.Second))
				h.door.shut()
				time.Sleep(outage)
				h.door.open(t)
				f.Outages++
			}
			time.Sleep(between(r, 0, 1500*time.Millisecond))
			if kill%3 == 1 {
				if h.steal(t.Context(), r.IntN(4)) == nil {
					f.Steals++
				}
				time.Sleep(between(r, 0, 500*time.Millisecond))
			}
			c.kill()
			killed.Add(1)
		}
		hands.Wait()
		s.Until = h.last()
		last := start(t, s)
		last.wait(t, 2*time.Minute)
		f.Fenced = last.count(saysFenced)
		b, err := bus.Open(t.Context(), bus.Config{Dir: s.Dir})
		require.NoError(t, err)
		defer b.Close()
		f.tally = h.requireOnce(t, b)
		f.report(t)
	})
}

// TestChaosSteal runs two instances on one nats-server, each sure that every partition is its own: they steal them from
// each other all the time. Both are killed now and then, and so is the server.
func TestChaosSteal(t *testing.T) {
	repeat(t, func(t *testing.T, r *rand.Rand) {
		f := figures{Kills: setting("KILLS", 6)}
		h := openHub(t, 4)
		nats, url := startNATS(t)
		s := spec{URL: url, Connection: h.connection()}
		var killed atomic.Int64
		records := setting("RECORDS", 20_000)
		pieces := chance(r.Int())
		var hands sync.WaitGroup
		defer hands.Wait()
		hands.Go(func() { h.stream(pieces, records, f.Kills+1, &killed) })
		instances := []*child{start(t, s), start(t, s)}
		logs := instances[:len(instances):len(instances)]
		for kill := range f.Kills {
			time.Sleep(between(r, 300*time.Millisecond, 2500*time.Millisecond))
			if kill%4 == 3 {
				nats.kill()
				nats = start(t, nats.spec)
				awaitPort(t, nats.Server.Port)
			} else {
				i := r.IntN(2)
				instances[i].kill()
				instances[i] = start(t, instances[i].spec)
			}
			killed.Add(1)
		}
		hands.Wait()
		b, err := bus.Open(t.Context(), bus.Config{URL: url})
		require.NoError(t, err)
		defer b.Close()
		require.Eventually(t, func() bool { return stored(t.Context(), b, h.last()) }, 2*time.Minute, 20*time.Millisecond)
		for _, c := range instances {
			c.stop(t)
		}
		for _, c := range logs { // a child that was restarted has the same log
			f.Steals += c.count(saysStolen)
			f.Fenced += c.count(saysFenced)
			f.Unanswered += c.count(saysUnanswered)
		}
		require.NotZero(t, f.Steals)
		f.tally = h.requireOnce(t, b)
		f.report(t)
	})
}
