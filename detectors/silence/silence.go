// Package silence is a detector that finds what is missing: an attacker deletes the diagnostic setting first. It reads
// the checkpoints that ingest writes beside the records and tells two silences apart. Unread: a source of which no
// checkpoint has come for minutes, for the hub cannot be reached, the credential has gone, or a reader is stuck.
// Silent: the source is read to its end, and a category of a tenant that used to come has brought nothing for longer
// than its rhythm allows (rhythm.go); or a canary, a change that Cordon makes in order to see it back in the audit log,
// has not come back (canaries.go), which decides in the smallest tenant and in the middle of the night.
package silence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/finding"
	"cordon/internal/incident"
	"cordon/internal/record"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

const (
	every     = 30 * time.Second // between two looks
	saveEvery = 5 * time.Minute
	saveIn    = 10 * time.Second // at the end, when the context has gone
)

// Source is one that is configured.
type Source struct {
	Name    string        // as its checkpoints call it
	Tenants []string      // whose records it brings; none: those that it has brought
	Unread  time.Duration // without a checkpoint for that long it is unread; 5 minutes where zero. A poller needs more than its interval
}

// Config says what is expected.
type Config struct {
	Sources  []Source // none: every source that ever wrote a checkpoint
	Own      []string // application and object ids of Cordon's own, whose changes may be canaries
	Lateness record.Lateness
	Name     func(tenant string) string // what people call a tenant; may be nil
}

// Room follows the checkpoints and publishes findings. What it has learnt it keeps in a bucket.
type Room struct {
	bus   *bus.Bus
	clock clock.Clock
	log   *zap.Logger

	mu    sync.Mutex // records, journal and looks share what follows
	watch *watch
	logs  uint64 // sequences that have been read
	audit uint64
	saved time.Time
	// telling is what is being published: a crash in between must not lose it
	telling []finding.Finding
	kept    map[string]string // what the bucket holds, by key
}

// New returns the room.
func New(cfg Config, b *bus.Bus, c clock.Clock, log *zap.Logger) *Room {
	if cfg.Lateness == nil {
		cfg.Lateness = record.DefaultLateness()
	}
	return &Room{bus: b, clock: c, log: log, watch: newWatch(cfg), kept: map[string]string{}}
}

// Run restores what was learnt, tells again what stood, and works until ctx ends.
func (r *Room) Run(ctx context.Context) error {
	err := r.run(ctx)
	if ctx.Err() != nil {
		err = nil // what the end broke off is done again after the next start
	}
	saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveIn)
	defer cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.saved.IsZero() {
		return err // it never got as far as to know anything
	}
	return errors.Join(err, r.save(saving))
}

func (r *Room) run(ctx context.Context) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel()
	errs := make(chan error, 2)
	follow := func(stream string, filter []string, from uint64, visit func(jetstream.Msg) error) <-chan struct{} {
		caughtUp := make(chan struct{})
		parts.Go(func() {
			defer cancel()
			errs <- r.bus.Follow(ctx, stream, filter, from, visit, func() { close(caughtUp) })
		})
		return caughtUp
	}
	wait := func(caughtUp <-chan struct{}) bool {
		select {
		case <-caughtUp:
			return true
		case <-ctx.Done():
			return false
		}
	}
	// The journal first: a canary must be known before it comes back.
	if !wait(follow(bus.Audit, []string{"audit.>"}, r.audit+1, r.journal)) {
		return <-errs
	}
	// Checkpoints and audit records in one order: what a checkpoint says has been seen is here before it.
	filter := []string{"cp.>", "logs.*.*." + bus.Token(record.AuditLogs) + ".*"}
	if wait(follow(bus.Logs, filter, r.logs+1, r.message)) {
		if err := r.keepLooking(ctx); err != nil {
			return err
		}
	}
	parts.Wait()
	return errors.Join(<-errs, <-errs)
}

// keepLooking looks every half minute until ctx ends.
func (r *Room) keepLooking(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := r.Look(ctx, r.clock.Now()); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// begin restores the bucket and reads the checkpoints as they stand.
func (r *Room) begin(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.restore(ctx); err != nil {
		return err
	}
	err := r.bus.Scan(ctx, bus.Logs, "cp.>", time.Time{}, func(m jetstream.Msg) error {
		if cp, ok := r.checkpoint(m); ok {
			r.watch.keep(cp)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading checkpoints: %w", err)
	}
	for source := range r.watch.partitions {
		r.watch.advance(source)
	}
	r.saved = r.clock.Now()
	return finding.Publish(ctx, r.bus, r.telling)
}

func (r *Room) checkpoint(m jetstream.Msg) (cp record.Checkpoint, ok bool) {
	if err := json.Unmarshal(m.Data(), &cp); err != nil || cp.Source == "" {
		// One that an older edition wrote names no source: its reader will write the next one in a moment.
		r.log.Debug("a checkpoint says nothing", zap.String("subject", m.Subject()), zap.Error(err))
		return cp, false
	}
	return cp, true
}

// message takes a checkpoint or an audit record.
func (r *Room) message(m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("reading a message: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logs = meta.Sequence.Stream
	if m.Headers().Get(record.HeaderRecord) == "" {
		if cp, ok := r.checkpoint(m); ok {
			r.watch.checkpoint(cp)
		}
		return nil
	}
	if !r.watch.own[strings.ToLower(record.PrincipalOf(m.Headers()))] {
		return nil
	}
	rec, position, err := record.FromLogs(m.Headers(), m.Data())
	if err != nil {
		r.log.Error("a stored record cannot be read; it is passed over", zap.String("subject", m.Subject()), zap.Error(err))
		return nil
	}
	r.watch.record(rec, position.Source)
	return nil
}

// journal takes an event of AUDIT.
func (r *Room) journal(m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("reading an event: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.audit = meta.Sequence.Stream
	var e incident.Event
	if err := json.Unmarshal(m.Data(), &e); err != nil {
		return fmt.Errorf("reading event %d: %w", r.audit, err)
	}
	var sent incident.StartedData
	var done incident.FinishedData
	switch e.Type {
	case incident.CanarySent:
		if err := json.Unmarshal(e.Data, &sent); err != nil {
			return fmt.Errorf("reading event %d: %w", r.audit, err)
		}
		r.watch.announced(e.At, sent)
	case incident.CanaryDone:
		if err := json.Unmarshal(e.Data, &done); err != nil {
			return fmt.Errorf("reading event %d: %w", r.audit, err)
		}
		r.watch.made(done)
	}
	return nil
}

// Look says what there is to say at a time: it is kept before it is published, so that what was told can be taken back
// after any crash.
func (r *Room) Look(ctx context.Context, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := r.watch.Look(now)
	if r.telling = found; len(found) > 0 || now.Sub(r.saved) >= saveEvery {
		if err := r.save(ctx); err != nil {
			return err
		}
		r.saved = now
	}
	return finding.Publish(ctx, r.bus, found)
}
