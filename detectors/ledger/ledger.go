// Package ledger counts what each rule has found and what each exception has suppressed, for page, API and metrics. It
// follows FINDINGS, where all of that is recorded, so its counts survive a restart.
package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"time"

	"cordon/detectors"
	"cordon/detectors/sigma"
	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/finding"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// How far back findings are counted, by their event time: a week where exceptions suppressed them, for some suppress a
// thing or two a week.
const (
	lately = 24 * time.Hour
	week   = 7 * 24 * time.Hour
)

// Suppressed is how a finding is counted that an exception suppressed, whatever the mode of its rule.
const Suppressed = "suppressed"

// Room is where the rules are at work.
type Room interface {
	Mode(rule string) string
	Serves(rule string) bool
	Suppressed() map[detectors.SuppressedBy]int
}

// Ledger counts findings.
type Ledger struct {
	bus   *bus.Bus
	room  Room
	clock clock.Clock
	log   *zap.Logger
	ready chan struct{}
	seed  maphash.Seed

	mu      sync.Mutex
	rules   []*sigma.Rule
	broken  string // what is wrong with the rules that should run instead
	began   uint64 // FINDINGS sequence when Run began: what comes later counts in the totals
	latest  map[uint64]entry
	totals  map[Total]int
	cleared time.Time
}

// entry is a finding's latest revision. Its identity is kept as a hash, for a week may hold many.
type entry struct {
	rule, how, by string
	title, level  string // of rules that are not among ours
	revision      int
	withdrawn     bool
	at            time.Time // event time
	stored        time.Time
}

// Total names findings that are counted together.
type Total struct {
	Rule string
	Mode string // audit, on or suppressed
}

// New returns a ledger that Run keeps, of the rules that a room works with.
func New(b *bus.Bus, rules []*sigma.Rule, r Room, c clock.Clock, log *zap.Logger) *Ledger {
	return &Ledger{bus: b, rules: rules, room: r, clock: c, log: log, ready: make(chan struct{}), seed: maphash.MakeSeed(), latest: map[uint64]entry{}, totals: map[Total]int{}}
}

// Use says that other rules are at work.
func (l *Ledger) Use(rules []*sigma.Rule) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rules, l.broken = rules, ""
}

// Broken says that there are other rules, that they cannot be used, and why; it tells whether that is news.
func (l *Ledger) Broken(why error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	news := l.broken != why.Error()
	l.broken = why.Error()
	return news
}

// IsBroken says that rules other than those that run should run and cannot.
func (l *Ledger) IsBroken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken != ""
}

// Run follows FINDINGS until ctx ends.
func (l *Ledger) Run(ctx context.Context) error {
	err := l.run(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (l *Ledger) run(ctx context.Context) error {
	last, err := l.bus.LastSequence(ctx, bus.Findings)
	if err != nil {
		return fmt.Errorf("asking how many findings there are: %w", err)
	}
	l.mu.Lock()
	l.began = last
	l.mu.Unlock()
	from, err := l.bus.Since(ctx, bus.Findings, time.Now().Add(-week)) // as the server stamped it
	if err != nil {
		return err
	}
	return l.bus.Follow(ctx, bus.Findings, []string{"findings.>"}, from, l.take, func() { close(l.ready) })
}

// Ready is closed once the ledger has seen every finding that was there when Run began.
func (l *Ledger) Ready() <-chan struct{} { return l.ready }

// take counts a finding. One that cannot be read is said and passed over: it must not hide the others.
func (l *Ledger) take(m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("reading a finding: %w", err)
	}
	var f finding.Finding
	if err := json.Unmarshal(m.Data(), &f); err != nil {
		l.log.Warn("reading a finding; it is not counted", zap.Uint64("sequence", meta.Sequence.Stream), zap.Error(err))
		return nil
	}
	now := entry{rule: f.Rule, how: cmp.Or(f.Mode, finding.On), by: f.Suppressed, title: f.Title, level: f.Level, revision: f.Revision,
		withdrawn: f.Withdrawn != "", at: f.Time, stored: meta.Timestamp}
	if f.Suppressed != "" {
		now.how = Suppressed
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	id := maphash.String(l.seed, f.ID)
	before, known := l.latest[id]
	if known && before.revision > now.revision {
		return nil
	}
	l.latest[id] = now
	if meta.Sequence.Stream > l.began && (!known || before.how != now.how) {
		l.totals[Total{now.rule, now.how}]++
	}
	if meta.Timestamp.Sub(l.cleared) > time.Hour {
		l.cleared = meta.Timestamp
		maps.DeleteFunc(l.latest, func(_ uint64, e entry) bool {
			age := meta.Timestamp.Sub(e.stored)
			return age > week || age > lately && e.how != Suppressed
		})
	}
	return nil
}

// Totals count the findings that came since Run began, each once for each way in which it stood.
func (l *Ledger) Totals() map[Total]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := maps.Clone(l.totals)
	for _, r := range l.rules {
		mode := l.room.Mode(r.Name)
		if mode == finding.Off || l.room.Serves(r.Name) {
			continue
		}
		out[Total{r.Name, mode}] += 0 // a count of none is told too
	}
	return out
}

// Suppressed counts the records that exceptions kept from rules; the count survives a restart.
func (l *Ledger) Suppressed() map[detectors.SuppressedBy]int {
	out := map[detectors.SuppressedBy]int{}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.rules {
		for _, x := range r.Exceptions {
			out[detectors.SuppressedBy{Rule: r.Name, Exception: x.Name}] = 0
		}
	}
	maps.Copy(out, l.room.Suppressed())
	return out
}

// Report is what the page shows.
type Report struct {
	At         time.Time   `json:"at"`
	Broken     string      `json:"broken,omitempty"` // the folder's rules have changed and cannot be read: those before go on
	Rules      []Rule      `json:"rules"`
	Exceptions []Exception `json:"exceptions"`
}

// Rule is one rule, and what it has found in the last 24 hours. What was withdrawn is not counted.
type Rule struct {
	Name       string   `json:"name"`
	Title      string   `json:"title"`
	Level      string   `json:"level"`
	Mode       string   `json:"mode,omitempty"`
	Serves     bool     `json:"serves,omitempty"`   // raises nothing of its own: only serves correlations
	Unlisted   bool     `json:"unlisted,omitempty"` // is no rule of the folder: built in, or gone
	Techniques []string `json:"techniques,omitempty"`
	Exceptions int      `json:"exceptions"`
	On         int      `json:"on"`
	Audit      int      `json:"audit"`
	Suppressed int      `json:"suppressed"`
}

// Exception is one exception, and what it has suppressed.
type Exception struct {
	Name     string    `json:"name"`
	Title    string    `json:"title"`
	Owner    string    `json:"owner"`
	Reason   string    `json:"reason"`
	Until    time.Time `json:"until"`
	Expired  bool      `json:"expired,omitempty"`
	Rules    []string  `json:"rules"`
	Findings int       `json:"findings"` // in the last seven days
	Records  int       `json:"records"`  // ever, by this instance's shards, those included that only correlations would have counted
}

// Report shows every rule in the order of the folder, then whatever else has found something.
func (l *Ledger) Report() Report {
	kept := l.room.Suppressed()
	now := l.clock.Now().UTC()
	l.mu.Lock()
	defer l.mu.Unlock()
	rows, suppressed := map[string]*Rule{}, map[string]int{}
	for _, e := range l.latest {
		if e.by != "" && !e.withdrawn && now.Sub(e.at) <= week {
			suppressed[e.by]++
		}
		if e.withdrawn || now.Sub(e.at) > lately {
			continue
		}
		row := rows[e.rule]
		if row == nil {
			row = &Rule{Name: e.rule, Title: e.title, Level: e.level, Unlisted: true}
			rows[e.rule] = row
		}
		switch e.how {
		case Suppressed:
			row.Suppressed++
		case finding.Audit:
			row.Audit++
		default:
			row.On++
		}
	}
	out := Report{At: now, Broken: l.broken, Rules: []Rule{}, Exceptions: []Exception{}}
	places := map[string]int{}
	for _, r := range l.rules {
		row := Rule{Name: r.Name, Title: r.Title, Level: r.Level, Mode: l.room.Mode(r.Name), Serves: l.room.Serves(r.Name), Techniques: r.Techniques, Exceptions: len(r.Exceptions)}
		if found := rows[r.Name]; found != nil {
			row.On, row.Audit, row.Suppressed = found.On, found.Audit, found.Suppressed
			delete(rows, r.Name)
		}
		out.Rules = append(out.Rules, row)
		for _, x := range r.Exceptions {
			n, listed := places[x.Name]
			if !listed {
				n = len(out.Exceptions)
				places[x.Name] = n
				out.Exceptions = append(out.Exceptions, Exception{Name: x.Name, Title: x.Title, Owner: x.Owner, Reason: x.Reason, Until: x.Until, Expired: !x.Holds(now), Findings: suppressed[x.Name]})
			}
			out.Exceptions[n].Rules = append(out.Exceptions[n].Rules, r.Name)
			out.Exceptions[n].Records += kept[detectors.SuppressedBy{Rule: r.Name, Exception: x.Name}]
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		out.Rules = append(out.Rules, *rows[name])
	}
	return out
}
