package office365

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"cordon/ingest"
	"cordon/internal/fault"
	"go.uber.org/zap"
)

const (
	concurrent = 4 // blobs on their way at once
	// mostFailed is after how many failed blobs in one round the service is left alone for a while.
	mostFailed = 8
	// marked is how long a record that came in one blob is known should it come in another.
	marked = 24 * time.Hour
)

// reader reads one content type.
type reader struct {
	source  *Source
	content string
	log     *zap.Logger
	woken   chan struct{} // a notification has come

	partition *ingest.Partition // nil: to be opened again
	cursor    cursor
	warned    time.Time // the beginning of the gap that was told of

	mu       sync.Mutex     // guards what the fetching of blobs reads
	failures map[string]int // rounds in which a blob failed, by contentId
}

func (r *reader) now() time.Time { return r.source.clock.Now().UTC().Truncate(time.Second) }

// run reads round after round until ctx ends.
func (r *reader) run(ctx context.Context) {
	wait := time.Duration(0)
	for ctx.Err() == nil {
		began := time.Now()
		err := r.round(ctx)
		if ctx.Err() != nil {
			return
		}
		next := r.source.cfg.Every
		switch class := fault.Of(err); {
		case err == nil:
			wait = 0
		case code(err) == codeNoneStarted, code(err) == codeDisabled:
			r.log.Warn("there is no subscription: asking for one", zap.Error(err))
			r.partition = nil
			signal(r.source.check)
		case class == fault.Forbidden:
			r.partition, next = nil, r.source.pace.refused
			r.log.Error("reading the unified audit log", zap.Duration("again in", next), zap.Error(err))
		default:
			wait = r.source.pace.grow(wait)
			r.partition, next = nil, max(wait, fault.Wait(err))
			r.log.Warn("reading the unified audit log", zap.Duration("again in", next), zap.Error(err))
		}
		if !r.pause(ctx, next, began) {
			return
		}
	}
}

// pause waits for the next round: a notification makes it early, and not ever earlier.
func (r *reader) pause(ctx context.Context, wait time.Duration, began time.Time) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.woken:
		return sleep(ctx, time.Until(began.Add(r.source.pace.wake))) == nil
	case <-ctx.Done():
		return false
	}
}

// round lists everything from the cursor until now and stores what is new. Windows follow each other without
// overlap; the next round begins a little before the end of this one.
func (r *reader) round(ctx context.Context) error {
	now := r.now()
	if err := r.resume(ctx, now); err != nil {
		return err
	}
	var held time.Time // when the oldest blob was created that could not be had
	failed, last := 0, error(nil)
	for from := r.begin(now); from.Before(now); {
		to := from.Add(longest)
		if to.After(now) {
			to = now
		}
		items, err := r.source.api.list(ctx, r.content, from, to)
		if err != nil {
			return err
		}
		err = r.take(ctx, items, func(it item, err error) bool {
			if held.IsZero() || it.created.Before(held) {
				held = it.created
			}
			failed, last = failed+1, err
			return failed < mostFailed && fault.Of(err) != fault.Throttled && fault.Of(err) != fault.Forbidden
		})
		if err != nil {
			return err
		}
		r.cursor.advance(to, held)
		page := ingest.Page{CaughtUp: held.IsZero() && to.Equal(now), Keep: to.Add(-marked)}
		if r.cursor.Read.After(r.partition.At().Seen) {
			page.Seen = r.cursor.Read
		}
		if err := r.store(ctx, page); err != nil {
			return err
		}
		from = to
	}
	if failed > 0 {
		return fmt.Errorf("fetching %d blobs, from %s on: %w", failed, held.Format(time.RFC3339), last)
	}
	return nil
}

// resume opens the partition where it is not open, and reads its cursor.
func (r *reader) resume(ctx context.Context, now time.Time) error {
	if r.partition != nil {
		return nil
	}
	source := ingest.Source{Name: r.source.cfg.Name(), Tenants: []string{r.source.cfg.Tenant}, Clock: r.source.clock}
	p, _, err := ingest.Open(ctx, r.source.bus, source, r.content)
	if err != nil {
		return err
	}
	start := now.Add(-min(r.source.cfg.Backfill, reach))
	at := cursor{Read: start, From: start, taken: map[uint64]time.Time{}}
	if err := p.Cursor(&at); err != nil {
		return err
	}
	r.partition, r.cursor = p, at
	return nil
}

// begin is where this round's first listing begins. What lies out of reach is gone, and said so, once.
func (r *reader) begin(now time.Time) time.Time {
	edge := now.Add(-reach)
	if !r.cursor.From.Before(edge) {
		return r.cursor.From
	}
	if r.cursor.Read.Before(edge) && !r.warned.Equal(r.cursor.Read) {
		r.warned = r.cursor.Read
		r.log.Error("a part of the unified audit log is out of reach: Microsoft keeps content for seven days, and this was not read in time",
			zap.Time("from", r.cursor.Read), zap.Time("to", edge))
	}
	return edge
}

// take fetches blobs, a few at once, and stores them in order. failed is told of each that could not be had, and says
// whether to go on. An error is that of storing, or the last blob's where failed wants no more.
func (r *reader) take(ctx context.Context, items []item, failed func(item, error) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	var fetching sync.WaitGroup
	defer fetching.Wait()
	defer cancel()
	queue := make(chan chan blob, concurrent-2) // beside one that is waited for, and one that waits for its place
	fetching.Go(func() {
		defer close(queue)
		for _, it := range items {
			if r.taken(it) {
				continue
			}
			got := make(chan blob, 1)
			fetching.Go(func() { got <- r.fetch(ctx, it) })
			select {
			case queue <- got:
			case <-ctx.Done():
				return
			}
		}
	})
	for got := range queue {
		b := <-got
		if b.failed != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r.log.Debug("fetching a blob", zap.String("contentId", clip(b.item.id)), zap.Error(b.failed))
			if !failed(b.item, b.failed) {
				return fmt.Errorf("fetching a blob: %w", b.failed)
			}
			continue
		}
		r.mark(b.item)
		// What a crash in the middle of storing would bring again must still be known by its mark.
		keep := b.item.created.Add(-marked)
		if b.oldest.Before(keep) {
			keep = b.oldest
		}
		if err := r.store(ctx, ingest.Page{Records: b.records, Keep: keep}); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (r *reader) taken(it item) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cursor.has(it)
}

func (r *reader) mark(it item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cursor.take(it)
}

// store stores a page, with the cursor as it stands.
func (r *reader) store(ctx context.Context, page ingest.Page) error {
	at, err := json.Marshal(&r.cursor)
	if err != nil {
		return fmt.Errorf("encoding the cursor: %w", err)
	}
	page.Cursor = at
	if page.Seen.IsZero() && r.partition.At().Seen.IsZero() {
		page.Seen = r.cursor.Read // what came before nobody asks for
	}
	return r.partition.StorePage(ctx, page)
}
