package graphlogs

import (
	"context"
	"sync"
	"time"

	"cordon/internal/clock"
)

// Graph lets an application make 5 requests in 10 s to a tenant's auditLogs, and all applications together one a
// second to identityProtection (domain notes, limits 5.1).
const (
	budgetRequests = 5
	budgetSpan     = 10 * time.Second
	budgetGap      = time.Second
)

// budget lets a few requests through in any span of time, and never two close upon each other. Those who wait are
// served one after the other.
type budget struct {
	clock clock.Clock
	sleep func(context.Context, time.Duration) error
	span  time.Duration
	gap   time.Duration

	turn chan struct{} // held by the one who waits for his place in time

	mu   sync.Mutex
	last [budgetRequests]time.Time // when the latest were let through, the oldest first
	held time.Time                 // until then the service has asked for silence
}

func newBudget(c clock.Clock, sleep func(context.Context, time.Duration) error, span, gap time.Duration) *budget {
	return &budget{clock: c, sleep: sleep, span: span, gap: gap, turn: make(chan struct{}, 1)}
}

// take waits until a request may be made.
func (b *budget) take(ctx context.Context) error {
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		wait := b.wait()
		if wait <= 0 {
			return ctx.Err()
		}
		if err := b.sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// wait is how long the next request must wait; where it need not, it is let through.
func (b *budget) wait() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Now()
	due := b.held
	for _, at := range []time.Time{later(b.last[0], b.span), later(b.last[len(b.last)-1], b.gap)} {
		if at.After(due) {
			due = at
		}
	}
	if due.After(now) {
		return due.Sub(now)
	}
	copy(b.last[:], b.last[1:])
	b.last[len(b.last)-1] = now
	return 0
}

func later(t time.Time, d time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(d)
}

// hold lets nothing through for a while: refused requests count against the limit too.
func (b *budget) hold(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if until := b.clock.Now().Add(d); until.After(b.held) {
		b.held = until
	}
}

// sleep waits on the machine's time.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
