// Package crew shares work among several instances of Cordon on one NATS cluster: who reads which partition, who
// polls which tenant. Each instance keeps a lease on being alive; who does what follows from who is alive, by
// arithmetic, so nothing is claimed and nothing can stay claimed. It is a matter of balance only: what must not
// happen twice is refused by the checkpoint's expected sequence.
package crew

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"cordon/internal/bus"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

const (
	renewEvery = 2 * time.Second
	lapsesIn   = 7 * time.Second // three renewals missed
	member     = "member."
	meetsIn    = 5 * time.Second // else it goes on alone
)

// Crew are the instances that are alive, as one of them sees it.
type Crew struct {
	bus  *bus.Bus
	name string
	log  *zap.Logger

	mu      sync.Mutex
	alive   []string      // sorted; always with the instance itself
	changed chan struct{} // closed when alive changes
	met     chan struct{} // closed once the others are known
	meet    sync.Once
}

// Alone is a crew of one: on embedded NATS there can be no other.
func Alone() *Crew {
	c := &Crew{name: "alone", alive: []string{"alone"}, changed: make(chan struct{}), met: make(chan struct{})}
	close(c.met)
	return c
}

// New returns a crew that name, unique among the instances and the same after a restart, belongs to. Until Run has met
// the others it is alone.
func New(b *bus.Bus, name string, log *zap.Logger) *Crew {
	return &Crew{bus: b, name: bus.Token(name), log: log, alive: []string{bus.Token(name)}, changed: make(chan struct{}), met: make(chan struct{})}
}

// Name is what the instance is called among the others.
func (c *Crew) Name() string { return c.name }

// Run renews the instance's lease and watches those of the others until ctx ends; then it gives its own back.
func (c *Crew) Run(ctx context.Context) error {
	if c.bus == nil {
		<-ctx.Done()
		return nil
	}
	for {
		if err := c.serve(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("keeping the lease; trying again", zap.Error(err))
		}
		select {
		case <-time.After(renewEvery / 4):
		case <-ctx.Done():
			return nil
		}
	}
}

// lease is what is known of a member.
type lease struct {
	written time.Time // by the server's clock
	heard   time.Time // by this machine's clock: whose hands differ between machines
}

func (c *Crew) serve(ctx context.Context) error {
	kv, err := c.bus.KeyValue(ctx, bus.LeasesBucket)
	if err != nil {
		return err
	}
	// The own lease is renewed before the others' are listed, so that the list says what time it is by the server's clock.
	// A read of its own might ask a server that has not heard of it yet.
	if _, err := kv.PutString(ctx, member+c.name, c.name); err != nil {
		return fmt.Errorf("renewing the lease: %w", err)
	}
	defer c.leave(kv)
	watch, err := kv.Watch(ctx, member+"*")
	if err != nil {
		return fmt.Errorf("watching leases: %w", err)
	}
	defer func() { _ = watch.Stop() }() // it ends with the connection in any case
	leases := map[string]lease{}
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	met := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, open := <-watch.Updates():
			switch {
			case !open:
				return errors.New("watching leases: the server closed the subscription")
			case e == nil: // all that were there have been shown
				met = true
				for name, l := range leases {
					if leases[c.name].written.Sub(l.written) > lapsesIn {
						delete(leases, name) // it lapsed before this instance began
					}
				}
			case e.Operation() != jetstream.KeyValuePut:
				delete(leases, strings.TrimPrefix(e.Key(), member))
			default:
				leases[strings.TrimPrefix(e.Key(), member)] = lease{e.Created(), time.Now()}
			}
		case <-tick.C:
			if _, err := kv.PutString(ctx, member+c.name, c.name); err != nil {
				return fmt.Errorf("renewing the lease: %w", err)
			}
		}
		if met {
			c.set(leases)
			c.meet.Do(func() { close(c.met) })
		}
	}
}

// leave gives the lease back, so that the others need not wait for it to lapse.
func (c *Crew) leave(kv jetstream.KeyValue) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := kv.Delete(ctx, member+c.name); err != nil {
		c.log.Debug("giving the lease back", zap.Error(err))
	}
}

func (c *Crew) set(leases map[string]lease) {
	alive := []string{c.name}
	for name, l := range leases {
		if name != c.name && time.Since(l.heard) < lapsesIn {
			alive = append(alive, name)
		}
	}
	slices.Sort(alive)
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Equal(alive, c.alive) {
		return
	}
	c.log.Info("instances that share the work", zap.Strings("alive", alive))
	c.alive = alive
	close(c.changed)
	c.changed = make(chan struct{})
}

// Alive are the instances that share the work now, and a channel that is closed when that changes.
func (c *Crew) Alive() ([]string, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.alive, c.changed
}

// Keep calls work while item i of items is this instance's; work's ctx ends when it no longer is. It returns when ctx
// ends.
//
// An instance that has just begun waits until it knows the others: it would take all that there is, and give most back.
func (c *Crew) Keep(ctx context.Context, items []string, i int, work func(context.Context)) {
	select {
	case <-c.met:
	case <-time.After(meetsIn):
	case <-ctx.Done():
	}
	for ctx.Err() == nil {
		alive, changed := c.Alive()
		if Share(alive, items)[i] != c.name {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		working, cancel := context.WithCancel(ctx)
		var hands sync.WaitGroup
		hands.Go(func() {
			defer cancel()
			work(working)
		})
		for mine := true; mine && working.Err() == nil; {
			select {
			case <-changed:
				alive, changed = c.Alive()
				mine = Share(alive, items)[i] == c.name
			case <-working.Done():
			}
		}
		cancel()
		hands.Wait()
	}
}

// Share gives each item to a member: none has more than one item above another's, and when a member comes or goes
// few items move. Every member computes the same.
func Share(members, items []string) []string {
	out := make([]string, len(items))
	if len(members) == 0 {
		return out
	}
	most := (len(items) + len(members) - 1) / len(members)
	full := len(items) - (most-1)*len(members) // so many may have `most`, the others one less
	load := map[string]int{}
	for i, item := range items {
		best, weight := "", uint64(0)
		for _, m := range members {
			if load[m] >= most || load[m] == most-1 && full == 0 {
				continue
			}
			if w := weigh(m, item); best == "" || w > weight {
				best, weight = m, w
			}
		}
		if load[best]++; load[best] == most {
			full--
		}
		out[i] = best
	}
	return out
}

func weigh(member, item string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(member + "\x00" + item)) // a hash never fails
	x := h.Sum64()
	x ^= x >> 33 // FNV's high bits hardly differ between short names
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}
