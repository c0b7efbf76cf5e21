// Package sources knows how far each source has been read: it follows the checkpoints that ingest writes, and answers
// for page, terminal and metrics. What a checkpoint says is true whatever breaks, so nothing is counted twice here.
package sources

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/record"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// Board shows every source that has ever written a checkpoint.
type Board struct {
	bus      *bus.Bus
	clock    clock.Clock
	lateness record.Lateness
	log      *zap.Logger
	every    time.Duration // how often LOGS is looked at

	mu         sync.Mutex
	partitions map[string]*partition // by checkpoint subject
	ready      chan struct{}
}

// window is what a rate is measured over.
const window = time.Minute

// partition is one partition's checkpoint, and what it had carried in the seconds of the last minute.
type partition struct {
	at      record.Checkpoint
	samples []sample // the oldest is the last one that is older than the window, where there is one
}

type sample struct {
	at      time.Time
	carried []record.Carried
}

// New returns a board that Run keeps. lateness says how much later than its event a record of a category may come.
func New(b *bus.Bus, c clock.Clock, lateness record.Lateness, log *zap.Logger) *Board {
	return &Board{bus: b, clock: c, lateness: lateness, log: log, every: lookEvery, partitions: map[string]*partition{}, ready: make(chan struct{})}
}

// Run follows the checkpoints, and watches how full LOGS is, until ctx ends.
func (b *Board) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var parts sync.WaitGroup
	defer parts.Wait()
	defer cancel()
	parts.Go(func() { b.watch(ctx) })
	err := b.bus.Follow(ctx, bus.Logs, []string{"cp.>"}, 0, func(m jetstream.Msg) error {
		b.take(m.Subject(), m.Data())
		return nil
	}, func() { close(b.ready) })
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Ready is closed once the board has seen every checkpoint that was there when Run began.
func (b *Board) Ready() <-chan struct{} { return b.ready }

// take keeps a checkpoint. One that cannot be read is said and passed over: it must not hide the other sources.
func (b *Board) take(subject string, data []byte) {
	var at record.Checkpoint
	if err := json.Unmarshal(data, &at); err != nil {
		b.log.Warn("reading a checkpoint; its partition is not shown", zap.String("subject", subject), zap.Error(err))
		return
	}
	at.Cursor, at.Recent = nil, nil
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.partitions[subject]
	if p == nil {
		p = &partition{}
		b.partitions[subject] = p
	}
	p.at = at
	now := sample{at.Written, at.Carried}
	if n := len(p.samples); n > 1 && now.at.Truncate(time.Second).Equal(p.samples[n-1].at.Truncate(time.Second)) {
		p.samples[n-1] = now
	} else {
		p.samples = append(p.samples, now)
	}
	for len(p.samples) > 1 && !p.samples[1].at.After(now.at.Add(-window)) {
		p.samples = slices.Delete(p.samples, 0, 1)
	}
}

// before is what the partition had carried a minute ago, or when it was first seen here.
func (p *partition) before(now time.Time) []record.Carried {
	base := p.samples[0]
	for _, s := range p.samples[1:] {
		if s.at.After(now.Add(-window)) {
			break
		}
		base = s
	}
	return base.carried
}

// Report is what the board shows.
type Report struct {
	At      time.Time `json:"at"`
	Sources []Source  `json:"sources"`
	Logs    Logs      `json:"logs"`
}

// Source is one source: all of its partitions together.
type Source struct {
	Name string `json:"name"`
	// Seen is the source's time up to which all has been seen: the least over its partitions. Zero says that one of
	// them has not said so yet.
	Seen       time.Time   `json:"seen,omitzero"`
	Lag        float64     `json:"lag"`  // seconds between Seen and now; 0 where Seen is zero
	Rate       float64     `json:"rate"` // records a second, over the last minute
	Records    int64       `json:"records"`
	Dead       int64       `json:"dead"`    // dead letters that were ever written
	Written    time.Time   `json:"written"` // when a partition was last heard of
	CaughtUp   int         `json:"caughtUp"`
	Partitions []Partition `json:"partitions"`
	Categories []Category  `json:"categories"`
}

// Partition is one partition of a source.
type Partition struct {
	Name     string    `json:"name"`
	Seen     time.Time `json:"seen,omitzero"`
	CaughtUp bool      `json:"caughtUp"`
	Written  time.Time `json:"written"`
	Dead     int64     `json:"dead"`
}

// Category is what a source has brought of one category, for all tenants and for each.
type Category struct {
	Name string `json:"name"` // empty: of more categories than a checkpoint counts apart
	// Watermark is the event time up to which all records are expected to have come: Seen less the category's lateness.
	Watermark time.Time `json:"watermark,omitzero"`
	Newest    time.Time `json:"newest,omitzero"` // event time of the newest record
	Rate      float64   `json:"rate"`
	Records   int64     `json:"records"`
	Tenants   []Tenant  `json:"tenants"`
}

// Tenant counts the records of one tenant in a category.
type Tenant struct {
	ID      string `json:"id"`
	Records int64  `json:"records"`
}

// Report shows every source, by name, and how full LOGS is.
func (b *Board) Report(ctx context.Context) (Report, error) {
	logs, err := b.logs(ctx)
	if err != nil {
		return Report{}, err
	}
	now := b.clock.Now().UTC()
	return Report{At: now, Sources: b.sources(now), Logs: logs}, nil
}

func (b *Board) sources(now time.Time) []Source {
	b.mu.Lock()
	defer b.mu.Unlock()
	by := map[string][]*partition{}
	for _, p := range b.partitions {
		by[p.at.Source] = append(by[p.at.Source], p)
	}
	out := []Source{}
	for name, parts := range by {
		slices.SortFunc(parts, func(a, b *partition) int {
			return cmp.Or(cmp.Compare(len(a.at.Partition), len(b.at.Partition)), cmp.Compare(a.at.Partition, b.at.Partition)) // 2 before 10
		})
		out = append(out, b.source(name, parts, now))
	}
	slices.SortFunc(out, func(a, b Source) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func (b *Board) source(name string, parts []*partition, now time.Time) Source {
	s := Source{Name: name, Categories: []Category{}}
	tally := newTally()
	for i, p := range parts {
		s.Partitions = append(s.Partitions, Partition{Name: p.at.Partition, Seen: p.at.Seen, CaughtUp: p.at.CaughtUp, Written: p.at.Written, Dead: p.at.Dead})
		s.Dead += p.at.Dead
		if p.at.CaughtUp {
			s.CaughtUp++
		}
		if i == 0 || p.at.Seen.Before(s.Seen) {
			s.Seen = p.at.Seen
		}
		if p.at.Written.After(s.Written) {
			s.Written = p.at.Written
		}
		tally.add(p.at.Carried, p.before(now))
	}
	if !s.Seen.IsZero() {
		s.Lag = max(0, now.Sub(s.Seen).Seconds())
	}
	for _, c := range tally.categories() {
		if !s.Seen.IsZero() {
			c.Watermark = s.Seen.Add(-b.lateness.Of(c.Name))
		}
		s.Records += c.Records
		s.Rate += c.Rate
		s.Categories = append(s.Categories, c)
	}
	return s
}
