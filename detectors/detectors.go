package detectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"cordon/detectors/sigma"
	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/record"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// Room runs the engine on the stream: it reads LOGS in order, publishes findings, and acknowledges a record only
// when its findings are stored. What it keeps in memory it rebuilds at start by reading back.
type Room struct {
	bus    *bus.Bus
	rules  []*sigma.Rule
	dir    *directory.Directory
	own    []string
	clock  clock.Clock
	log    *zap.Logger
	engine *Engine

	mu         sync.Mutex // guards what follows: records, announcements and the clock's tick share it
	footprints footprints
	watermarks *watermarks
	cleared    time.Time
	since      int                  // records since the last flush
	before     map[SuppressedBy]int // what exceptions had suppressed when it had read back
}

const (
	readBack = 24 * time.Hour // at least: longer than any window of the rules that ship
	burst    = 200            // records between two flushes of correlations

	journalBack = 2 * behind // how far AUDIT is read back: what was announced earlier explains nothing any more
	durable     = "detectors"
)

// New returns the room. own are the application ids under which Cordon itself changes tenants.
func New(b *bus.Bus, rules []*sigma.Rule, d *directory.Directory, own []string, lateness record.Lateness, c clock.Clock, log *zap.Logger, options ...Option) (*Room, error) {
	e, err := NewEngine(rules, d, options...)
	if err != nil {
		return nil, err
	}
	return &Room{bus: b, rules: rules, dir: d, own: own, clock: c, log: log, engine: e, footprints: footprints{own: own}, watermarks: newWatermarks(lateness)}, nil
}

// Run reads back, then works until ctx ends.
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
	from, err := r.bus.Since(ctx, bus.Audit, time.Now().Add(-journalBack)) // as the server stamped it
	if err != nil {
		return err
	}
	r.footprints.journal = from - 1
	errs := make(chan error, 3)
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
			errs <- r.bus.Follow(ctx, f.stream, []string{f.filter}, f.from, func(m jetstream.Msg) error { return r.announced(ctx, m, f.take) }, func() { close(caughtUp) })
		})
	}
	for _, caughtUp := range ready {
		select {
		case <-caughtUp:
		case <-ctx.Done():
			return errors.Join(<-errs, <-errs)
		}
	}
	if err := r.rebuild(ctx); err != nil {
		if ctx.Err() != nil {
			return errors.Join(<-errs, <-errs) // the announcements have ended and say why
		}
		return err
	}
	parts.Go(func() {
		defer cancel()
		errs <- r.bus.Run(ctx, bus.Worker{Stream: bus.Logs, Durable: durable, Filter: []string{"logs.>", "cp.>"}, Ahead: burst}, r.message)
	})
	parts.Wait()
	return errors.Join(<-errs, <-errs, <-errs)
}

// rebuild reads back what was delivered before, far enough for every open window, and publishes what stands: whatever
// a crash kept from being published is published now, and the rest is known downstream by its identity. It reads as
// far as anything was delivered, not acknowledged: what was not comes again after newer messages, and a checkpoint
// among those must not settle what a record before it contradicts. A record that is looked at twice says nothing new.
func (r *Room) rebuild(ctx context.Context) error {
	worker, err := r.bus.Stream(bus.Logs).Consumer(ctx, durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("asking how far was read: %w", err)
	}
	last := worker.CachedInfo().Delivered.Stream
	if last == 0 {
		return nil
	}
	err = r.bus.ScanTo(ctx, bus.Logs, []string{"logs.>", "cp.>"}, r.back(), last, func(m jetstream.Msg) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		_, err := r.look(m)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading back: %w", err)
	}
	r.before = maps.Clone(r.engine.Suppressed())
	return finding.Publish(ctx, r.bus, r.engine.Current())
}

// back is how far back windows may still need what was read: a slot's first window opens two timespans before the
// slot ends.
func (r *Room) back() time.Duration { return max(readBack, 2*r.engine.Reach()) }

// message takes one message of LOGS.
func (r *Room) message(ctx context.Context, m jetstream.Msg) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, err := r.look(m)
	if err != nil {
		// It was decoded when it was stored: an edition that can no longer do so must not stop the stream for ever.
		r.log.Error("a stored record cannot be read; it is passed over", zap.String("subject", m.Subject()), zap.Error(err))
		return nil
	}
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("reading a message: %w", err)
	}
	if r.since++; meta.NumPending == 0 || r.since >= burst {
		r.since = 0
		found = append(found, r.engine.Flush()...)
	}
	for i, w := range r.footprints.waiting {
		if w.asked { // else it came with this message: what had been announced by now may explain it
			continue
		}
		if w.until, err = r.bus.LastSequence(ctx, bus.Incidents); err != nil {
			return err
		}
		if w.journal, err = r.bus.LastSequence(ctx, bus.Audit); err != nil {
			return err
		}
		w.asked = true
		r.footprints.waiting[i] = w
	}
	return finding.Publish(ctx, r.bus, append(found, r.footprints.judge()...))
}

// look feeds a message to the engine: a record, or a checkpoint that moves the watermark.
func (r *Room) look(m jetstream.Msg) ([]finding.Finding, error) {
	if m.Headers().Get(record.HeaderRecord) == "" {
		var cp record.Checkpoint
		if err := json.Unmarshal(m.Data(), &cp); err != nil {
			return nil, fmt.Errorf("reading a checkpoint: %w", err)
		}
		r.watermarks.take(cp)
		return r.settle(), nil
	}
	rec, position, err := record.FromLogs(m.Headers(), m.Data())
	if err != nil {
		return nil, err
	}
	if r.footprints.isOwn(rec) {
		r.dir.Observe(rec)
		r.footprints.waiting = append(r.footprints.waiting, foreign{record: rec, position: position.String()})
		return nil, nil
	}
	return r.engine.Process(rec, position.String()), nil
}

// settle confirms what the watermarks have passed.
func (r *Room) settle() []finding.Finding {
	if behind := r.watermarks.behind(); behind.Sub(r.cleared) > time.Hour {
		r.engine.Forget(behind.Add(-r.back()))
		r.cleared = behind
	}
	return r.engine.SettleEach(r.watermarks.of)
}

// Suppressed counts the records that exceptions have kept from rules since the room began to work.
func (r *Room) Suppressed() map[SuppressedBy]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[SuppressedBy]int{}
	for by, n := range r.engine.Suppressed() {
		if n -= r.before[by]; n > 0 {
			out[by] = n
		}
	}
	return out
}

// Mode is a rule's mode: off, audit or on.
func (r *Room) Mode(rule string) string { return r.engine.Mode(rule) }

// Serves says that a rule raises no finding of its own.
func (r *Room) Serves(rule string) bool { return r.engine.Serves(rule) }

func (r *Room) announced(ctx context.Context, m jetstream.Msg, take func([]byte, uint64) error) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("reading an event: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := take(m.Data(), meta.Sequence.Stream); err != nil {
		return err
	}
	return finding.Publish(ctx, r.bus, r.footprints.judge())
}
