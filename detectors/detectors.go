package detectors

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"cordon/internal/bus"
	"cordon/internal/crew"
	"cordon/internal/directory"
	"cordon/internal/record"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// Room runs engines on the stream, one for each shard of tenants that is this instance's. A shard reads its records in
// order, publishes findings, and acknowledges a record only when its findings are stored. What its engine keeps is
// written to a snapshot every few seconds; whoever takes the shard over goes on from there.
type Room struct {
	Config
	plan   atomic.Pointer[Plan]
	shards []*shard

	footprints footprints

	mu       sync.Mutex
	reloaded chan struct{} // closed when another plan has taken the place of the one that shards run
}

// Config is what a room works with.
type Config struct {
	Bus       *bus.Bus
	Plan      *Plan // the rules; Reload changes them
	Directory *directory.Directory
	Own       []string // application ids under which Cordon itself changes tenants
	Lateness  record.Lateness
	Crew      *crew.Crew // who shares the shards; nobody where nil
	Log       *zap.Logger
}

const (
	readBack = 24 * time.Hour // at least: longer than any window of the rules that ship
	burst    = 200            // records between two flushes of correlations

	journalBack = 2 * behind // how far AUDIT is read back: what was announced earlier explains nothing any more
)

// durable is a shard's consumer of LOGS.
func durable(shard int) string { return "detectors-" + strconv.Itoa(shard) }

// New returns the room.
func New(c Config) *Room {
	if c.Crew == nil {
		c.Crew = crew.Alone()
	}
	r := &Room{Config: c, footprints: footprints{own: c.Own}, reloaded: make(chan struct{})}
	r.plan.Store(c.Plan)
	for n := range bus.Shards {
		r.shards = append(r.shards, &shard{room: r, number: n, log: c.Log.With(zap.Int("shard", n)), risen: map[holder]bool{}, unsaved: map[holder]bool{}})
	}
	return r
}

// Reload has every shard go on with other rules, from what it keeps under the present ones. New rules look at what LOGS
// holds as far back as windows go.
func (r *Room) Reload(p *Plan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plan.Store(p)
	close(r.reloaded)
	r.reloaded = make(chan struct{})
}

// current is the plan, and a channel that is closed when there is another.
func (r *Room) current() (*Plan, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.plan.Load(), r.reloaded
}

// Run works until ctx ends.
func (r *Room) Run(ctx context.Context) error {
	err := r.run(ctx)
	if ctx.Err() != nil {
		return nil // what the end broke off is done again after the next start
	}
	return err
}

func (r *Room) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel()

	// Announcements first: without them every change of Cordon's own would wait.
	from, err := r.Bus.Since(ctx, bus.Audit, time.Now().Add(-journalBack)) // as the server stamped it
	if err != nil {
		return err
	}
	r.footprints.startAt(from - 1)
	errs := make(chan error, 2)
	var ready []chan struct{}
	for _, f := range []struct {
		stream, filter string
		from           uint64
		take           func([]byte, uint64) error
	}{
		{bus.Incidents, "incidents.>", 0, r.footprints.announce},
		{bus.Audit, "audit.>", from, r.footprints.journalled},
	} {
		caughtUp := make(chan struct{})
		ready = append(ready, caughtUp)
		parts.Go(func() {
			defer cancel()
			errs <- r.Bus.Follow(ctx, f.stream, []string{f.filter}, f.from, func(m jetstream.Msg) error { return r.announced(ctx, m, f.take) }, func() { close(caughtUp) })
		})
	}
	for _, caughtUp := range ready {
		select {
		case <-caughtUp:
		case <-ctx.Done():
			return errors.Join(<-errs, <-errs)
		}
	}
	names := make([]string, len(r.shards))
	for n := range names {
		names[n] = durable(n)
	}
	for n, s := range r.shards {
		parts.Go(func() { r.Crew.Keep(ctx, names, n, s.run) })
	}
	parts.Wait()
	return errors.Join(<-errs, <-errs)
}

// announced takes an announcement, and asks every shard whether it explains what waits there.
func (r *Room) announced(ctx context.Context, m jetstream.Msg, take func([]byte, uint64) error) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("reading an event: %w", err)
	}
	if err := take(m.Data(), meta.Sequence.Stream); err != nil {
		return err
	}
	for _, s := range r.shards {
		if s.waits.Load() == 0 {
			continue
		}
		if err := s.judge(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Suppressed counts the records that exceptions have kept from rules in the shards that this instance holds.
func (r *Room) Suppressed() map[SuppressedBy]int {
	out := map[SuppressedBy]int{}
	for _, s := range r.shards {
		s.mu.Lock()
		if s.engine != nil {
			for by, n := range s.engine.Suppressed() {
				out[by] += n
			}
		}
		s.mu.Unlock()
	}
	return out
}

// Shards are the numbers of those that this instance works on.
func (r *Room) Shards() (held []int) {
	for n, s := range r.shards {
		s.mu.Lock()
		if s.engine != nil {
			held = append(held, n)
		}
		s.mu.Unlock()
	}
	return held
}

// Mode is a rule's mode: off, audit or on.
func (r *Room) Mode(rule string) string { return r.plan.Load().Mode(rule) }

// Serves says that a rule raises no finding of its own.
func (r *Room) Serves(rule string) bool { return r.plan.Load().Serves(rule) }

// Handled is the sequence of LOGS up to which the rooms of all instances have published what they found.
func Handled(ctx context.Context, b *bus.Bus) (uint64, error) {
	handled, err := b.LastSequence(ctx, bus.Logs) // asked first: what comes meanwhile is not handled
	for n := 0; n < bus.Shards && err == nil; n++ {
		var p bus.Progress
		if p, err = b.ProgressOf(ctx, bus.Logs, durable(n)); !p.Begun || p.Waiting > 0 {
			handled = min(handled, p.Floor)
		}
	}
	return handled, err
}

// Behind is how many messages of LOGS wait for the rooms. A checkpoint waits for each shard.
func Behind(ctx context.Context, b *bus.Bus) (behind uint64, err error) {
	for n := 0; n < bus.Shards && err == nil; n++ {
		var p bus.Progress
		p, err = b.ProgressOf(ctx, bus.Logs, durable(n))
		behind += p.Waiting
	}
	return behind, err
}
