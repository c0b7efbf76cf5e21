package silence

import (
	"maps"
	"slices"
	"strings"
	"time"

	"cordon/internal/finding"
	"cordon/internal/record"
)

const (
	unreadAfter = 5 * time.Minute // readers write a checkpoint at least every few seconds
	graveAfter  = 12              // times that long, and it is grave
	pause       = 2 * time.Minute // between two looks: longer, and nobody can say what the readers did meanwhile
	anySource   = "*"             // of what no source has ever brought
)

// watch is all that is known of the sources, and what follows from it: no clock, no I/O. Room feeds it.
type watch struct {
	cfg        Config
	partitions map[string]map[string]*partition // by source and partition
	series     map[key]*series                  // by tenant, source and category
	unread     map[key]*finding.Finding         // by tenant and source: as last told
	expected   map[string]time.Time             // sources that were never read: since when
	canaries   map[string]*canaries             // by tenant
	own        map[string]bool                  // Cordon's own ids, folded
	looked     time.Time
	grace      time.Time // readers have not had a chance to write before it
}

// partition is what its last checkpoint said.
type partition struct {
	written  time.Time
	seen     time.Time
	caughtUp bool
	carried  map[key]record.Carried // source left out
}

// key names a series; the tenant is folded.
type key struct{ tenant, source, category string }

func (k key) compare(o key) int {
	return strings.Compare(k.tenant+"|"+k.source+"|"+k.category, o.tenant+"|"+o.source+"|"+o.category)
}

// series is one category of one tenant in one source.
type series struct {
	Tenant   string           `json:"tenant"` // as records write it
	Category string           `json:"category"`
	Rhythm   Rhythm           `json:"rhythm"`
	Event    time.Time        `json:"event"`            // the newest event time
	Told     *finding.Finding `json:"told,omitempty"`   // the last finding
	Proven   bool             `json:"proven,omitempty"` // a canary has come back here once
	Missed   bool             `json:"missed,omitempty"` // what was told is that one has not
	canary   bool             // canaries speak for it now
}

func newWatch(cfg Config) *watch {
	w := &watch{cfg: cfg, partitions: map[string]map[string]*partition{}, series: map[key]*series{}, unread: map[key]*finding.Finding{},
		expected: map[string]time.Time{}, canaries: map[string]*canaries{}, own: map[string]bool{}}
	w.owns(cfg.Own)
	return w
}

func (w *watch) owns(ids []string) {
	for _, id := range ids {
		if id != "" {
			w.own[strings.ToLower(id)] = true
		}
	}
}

// checkpoint takes what a reader wrote. One that is older than what is known changes nothing.
func (w *watch) checkpoint(cp record.Checkpoint) {
	if w.keep(cp) {
		w.advance(cp.Source)
	}
}

// keep remembers a checkpoint without drawing anything from it: at the start the other partitions are not known yet.
func (w *watch) keep(cp record.Checkpoint) bool {
	if w.partitions[cp.Source] == nil {
		w.partitions[cp.Source] = map[string]*partition{}
	}
	if have := w.partitions[cp.Source][cp.Partition]; have != nil && cp.Written.Before(have.written) {
		return false
	}
	p := &partition{written: cp.Written, seen: cp.Seen, caughtUp: cp.CaughtUp, carried: map[key]record.Carried{}}
	for _, c := range cp.Carried {
		if c.Category != "" { // more categories than a checkpoint counts
			p.carried[key{tenant: strings.ToLower(c.Tenant), category: c.Category}] = c
		}
	}
	w.partitions[cp.Source][cp.Partition] = p
	return true
}

// advance lets each series of a source know what its partitions know together.
func (w *watch) advance(source string) {
	seen := w.seen(source)
	newest := map[key]record.Carried{}
	for _, p := range w.partitions[source] {
		for k, c := range p.carried {
			have := newest[k]
			if c.Enqueued.Before(have.Enqueued) {
				c.Enqueued = have.Enqueued
			}
			if c.Event.Before(have.Event) {
				c.Event = have.Event
			}
			newest[k] = c
		}
	}
	for k, c := range newest {
		k.source = source
		s := w.series[k]
		if s == nil {
			s = &series{Tenant: c.Tenant, Category: c.Category}
			w.series[k] = s
		}
		s.Rhythm.Look(c.Enqueued, seen)
		if c.Event.After(s.Event) {
			s.Event = c.Event
		}
	}
}

// seen is the source's time up to which every partition has been read.
func (w *watch) seen(source string) (least time.Time) {
	for _, p := range w.partitions[source] {
		if least.IsZero() || p.seen.Before(least) {
			least = p.seen
		}
	}
	return least
}

// caughtUp says that nothing of the source lies unread, but for what has just come.
func (w *watch) caughtUp(source string, now time.Time) bool {
	for _, p := range w.partitions[source] {
		if !p.caughtUp && now.Sub(p.seen) > w.limit(source) {
			return false
		}
	}
	return len(w.partitions[source]) > 0
}

// Look says what is to be told at a time: findings that are new, graver, or withdrawn.
func (w *watch) Look(now time.Time) []finding.Finding {
	if w.looked.IsZero() || now.Sub(w.looked) > pause {
		w.grace = now
	}
	w.looked = now
	var out []finding.Finding
	read := map[string]bool{}
	for _, source := range w.sources() {
		r := w.reading(source, now)
		read[source] = r.fresh
		for _, tenant := range w.tenants(source) {
			out = append(out, w.tellUnread(source, tenant, r, now)...)
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(w.series), key.compare) {
		s := w.series[k]
		w.follow(k, s, now)
		if w.judged(k) && read[k.source] && w.caughtUp(k.source, now) { // else nobody can say how quiet it is
			out = append(out, w.tellSilent(k, s)...)
		}
	}
	out = append(out, w.neverBack(read)...)
	return append(out, w.noLongerWatched()...)
}

// sources are those that are configured, else all that ever wrote a checkpoint.
func (w *watch) sources() []string {
	var names []string
	for _, s := range w.cfg.Sources {
		names = append(names, s.Name)
	}
	if len(names) == 0 {
		names = slices.Collect(maps.Keys(w.partitions))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (w *watch) source(name string) (Source, bool) {
	i := slices.IndexFunc(w.cfg.Sources, func(s Source) bool { return s.Name == name })
	if i < 0 {
		return Source{Name: name}, len(w.cfg.Sources) == 0
	}
	return w.cfg.Sources[i], true
}

// tenants are those that a source is configured for, else those that it has carried.
func (w *watch) tenants(name string) []string {
	s, _ := w.source(name)
	if len(s.Tenants) > 0 {
		return s.Tenants
	}
	var out []string
	for _, k := range slices.SortedFunc(maps.Keys(w.series), key.compare) {
		tenant := w.series[k].Tenant
		if k.source == name && !slices.ContainsFunc(out, func(t string) bool { return strings.EqualFold(t, tenant) }) {
			out = append(out, tenant)
		}
	}
	return out
}

// judged says whether a series belongs to a source and a tenant that are configured.
func (w *watch) judged(k key) bool {
	if k.source == anySource {
		return true
	}
	s, ok := w.source(k.source)
	return ok && (len(s.Tenants) == 0 || slices.ContainsFunc(s.Tenants, func(t string) bool { return strings.EqualFold(t, k.tenant) }))
}

func (w *watch) limit(source string) time.Duration {
	if s, _ := w.source(source); s.Unread > 0 {
		return s.Unread
	}
	return unreadAfter
}

// reading is how a source is being read. Where it is neither fresh nor stale, its readers have not had the time to say.
type reading struct {
	fresh      bool
	since      time.Time // stale: when it was last read
	partitions []string  // that are stale; none where it was never read
}

func (r reading) stale() bool { return !r.since.IsZero() }

func (w *watch) reading(source string, now time.Time) (r reading) {
	if len(w.partitions[source]) == 0 {
		if w.expected[source].IsZero() {
			w.expected[source] = now
		}
		if begun := w.expected[source]; now.Sub(latest(begun, w.grace)) >= w.limit(source) {
			r.since = begun
		}
		return r
	}
	delete(w.expected, source)
	r.fresh = true
	for _, id := range slices.Sorted(maps.Keys(w.partitions[source])) {
		written := w.partitions[source][id].written
		if now.Sub(written) < w.limit(source) {
			continue
		}
		r.fresh = false
		if now.Sub(latest(written, w.grace)) < w.limit(source) {
			continue
		}
		r.partitions = append(r.partitions, id)
		if r.since.IsZero() || written.Before(r.since) {
			r.since = written
		}
	}
	return r
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// noLongerWatched takes back what was told of sources that the configuration no longer names.
func (w *watch) noLongerWatched() (out []finding.Finding) {
	const why = "the configuration no longer names the source"
	for _, k := range slices.SortedFunc(maps.Keys(w.unread), key.compare) {
		if !w.judged(key{tenant: k.tenant, source: k.source}) {
			out = append(out, withdraw(w.unread[k], why)...)
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(w.series), key.compare) {
		if !w.judged(k) {
			out = append(out, withdraw(w.series[k].Told, why)...)
		}
	}
	return out
}
