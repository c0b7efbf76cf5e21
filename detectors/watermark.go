package detectors

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"cordon/internal/record"
)

const (
	// goneAfter is how long a partition may be without a reader, which writes a checkpoint every few seconds, before nobody
	// waits for it any more: its source was taken out of the configuration, or its tenant has withdrawn a permission.
	goneAfter = 3 * 24 * time.Hour
	// hushed is as long as no reader at all may write anything: what is longer is an outage of Cordon's own, and counts as this.
	hushed = time.Hour
)

// watermarks tell, by tenant and category, the event time up to which all is expected to have been seen: the least
// over the partitions of every source that carries the category for the tenant of what they have seen, less the
// category's expected lateness. Another tenant's silent hub holds nobody back, and none that has no reader any more.
type watermarks struct {
	lateness record.Lateness
	seen     map[string]map[string]time.Time     // by source and partition
	heardAt  map[string]map[string]time.Duration // likewise, how long readers had been at work when its own last wrote something
	atWork   time.Duration
	newest   time.Time                   // when any reader last did
	carries  map[carried]map[string]bool // the sources
	names    map[string]string           // of sources, as positions write them
}

type carried struct{ tenant, category string }

func newWatermarks(l record.Lateness) *watermarks {
	return &watermarks{lateness: l, seen: map[string]map[string]time.Time{}, heardAt: map[string]map[string]time.Duration{}, carries: map[carried]map[string]bool{}, names: map[string]string{}}
}

// take moves the watermarks to where a checkpoint stands.
func (w *watermarks) take(cp record.Checkpoint) {
	if cp.Aside {
		return
	}
	if w.seen[cp.Source] == nil {
		w.seen[cp.Source] = map[string]time.Time{}
	}
	w.seen[cp.Source][cp.Partition] = cp.Seen
	w.heard(cp.Source, cp.Partition, cp.Written)
	for _, c := range cp.Carried {
		w.carry(c.Tenant, c.Category, cp.Source)
	}
}

// heard takes note of when a partition's reader wrote something.
func (w *watermarks) heard(source, partition string, written time.Time) {
	since := written.Sub(w.newest)
	if since > 0 {
		if !w.newest.IsZero() {
			w.atWork += min(since, hushed)
		}
		w.newest = written
	}
	if w.heardAt[source] == nil {
		w.heardAt[source] = map[string]time.Duration{}
	}
	w.heardAt[source][partition] = max(w.heardAt[source][partition], w.atWork+min(since, 0)) // LOGS may be read again
}

func (w *watermarks) carry(tenant, category, source string) {
	key := carried{strings.ToLower(tenant), category}
	if w.carries[key] == nil {
		w.carries[key] = map[string]bool{}
	}
	w.carries[key][source] = true
}

// brought takes note of the source that a record came through: a checkpoint has room for some hundred tenants' categories
// alone. The texts may be written over.
func (w *watermarks) brought(tenant, category, position string) {
	escaped, _, _ := strings.Cut(position, "/")
	source, known := w.names[escaped]
	if !known {
		p, err := record.ParsePosition(position)
		if err != nil {
			return
		}
		source = strings.Clone(p.Source)
		w.names[strings.Clone(escaped)] = source
	}
	if w.carries[carried{strings.ToLower(tenant), category}][source] {
		return
	}
	if _, known := w.seen[source]; known { // else it stands aside, or its checkpoint is to come with what it brought
		w.carry(strings.Clone(tenant), strings.Clone(category), source)
	}
}

// gone says that nobody reads a partition any more.
func (w *watermarks) gone(source, partition string) bool {
	return w.atWork-w.heardAt[source][partition] > goneAfter
}

// save puts into a snapshot's head what the watermarks stand on.
func (w *watermarks) save(h *head) {
	h.Seen, h.Heard = w.seen, heard{w.heardAt, w.atWork, w.newest}
	for _, key := range slices.SortedFunc(maps.Keys(w.carries), func(a, b carried) int {
		return cmp.Or(strings.Compare(a.tenant, b.tenant), strings.Compare(a.category, b.category))
	}) {
		h.Carries = append(h.Carries, carriedBy{key.tenant, key.category, slices.Sorted(maps.Keys(w.carries[key]))})
	}
}

// load takes over what save put there.
func (w *watermarks) load(h head) {
	if h.Seen != nil {
		w.seen = h.Seen
	}
	if h.Heard.At != nil {
		w.heardAt, w.atWork, w.newest = h.Heard.At, h.Heard.AtWork, h.Heard.Newest
	}
	for _, c := range h.Carries {
		sources := map[string]bool{}
		for _, s := range c.Sources {
			sources[s] = true
		}
		w.carries[carried{c.Tenant, c.Category}] = sources
	}
}

// forget drops the partitions that have been gone for twice as long as it takes. That a source has carried a category is
// remembered as that.
func (w *watermarks) forget() {
	for source, partitions := range w.seen {
		maps.DeleteFunc(partitions, func(partition string, _ time.Time) bool { return w.atWork-w.heardAt[source][partition] > 2*goneAfter })
		maps.DeleteFunc(w.heardAt[source], func(partition string, _ time.Duration) bool { _, there := partitions[partition]; return !there })
		if len(partitions) > 0 {
			continue
		}
		delete(w.seen, source)
		delete(w.heardAt, source)
		for _, sources := range w.carries {
			delete(sources, source)
		}
		maps.DeleteFunc(w.names, func(_, name string) bool { return name == source })
	}
}

// of is a category's watermark in a tenant. It has not begun where no source was ever known to carry the category, or where a
// partition of one that does has not. Where all are gone it is as if the others carried it.
func (w *watermarks) of(tenant, category string) time.Time {
	var all least
	sources, known := w.carries[carried{strings.ToLower(tenant), category}]
	for source := range sources {
		for partition, seen := range w.seen[source] {
			if !w.gone(source, partition) {
				all.take(seen)
			}
		}
	}
	if known && !all.begun {
		all.time = w.behind()
	}
	if all.time.IsZero() {
		return time.Unix(0, 0)
	}
	return all.time.Add(-w.lateness.Of(category))
}

// behind is the least that any partition has seen: what lies well before it comes no more.
func (w *watermarks) behind() time.Time {
	var all least
	for source, partitions := range w.seen {
		for partition, seen := range partitions {
			if !w.gone(source, partition) && !seen.IsZero() {
				all.take(seen)
			}
		}
	}
	return all.time
}

// least is the least of the times that it takes; zero of none.
type least struct {
	time  time.Time
	begun bool
}

func (l *least) take(t time.Time) {
	if !l.begun || t.Before(l.time) {
		l.time, l.begun = t, true
	}
}
