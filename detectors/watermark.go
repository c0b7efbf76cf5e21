package detectors

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"cordon/internal/record"
)

// watermarks tell, by tenant and category, the event time up to which all is expected to have been seen: the least
// over the partitions of every source that carries the category for the tenant of what they have seen, less the
// category's expected lateness. Another tenant's silent hub holds nobody back.
type watermarks struct {
	lateness record.Lateness
	seen     map[string]map[string]time.Time // by source and partition
	carries  map[carried]map[string]bool     // the sources
}

type carried struct{ tenant, category string }

func newWatermarks(l record.Lateness) *watermarks {
	return &watermarks{lateness: l, seen: map[string]map[string]time.Time{}, carries: map[carried]map[string]bool{}}
}

// take moves the watermarks to where a checkpoint stands.
func (w *watermarks) take(cp record.Checkpoint) {
	if w.seen[cp.Source] == nil {
		w.seen[cp.Source] = map[string]time.Time{}
	}
	w.seen[cp.Source][cp.Partition] = cp.Seen
	for _, c := range cp.Carried {
		key := carried{strings.ToLower(c.Tenant), c.Category}
		if w.carries[key] == nil {
			w.carries[key] = map[string]bool{}
		}
		w.carries[key][cp.Source] = true
	}
}

// save puts into a snapshot's head what the watermarks stand on.
func (w *watermarks) save(h *head) {
	h.Seen = w.seen
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
	for _, c := range h.Carries {
		sources := map[string]bool{}
		for _, s := range c.Sources {
			sources[s] = true
		}
		w.carries[carried{c.Tenant, c.Category}] = sources
	}
}

// of is a category's watermark in a tenant; where no source is known to carry it, it has not begun.
func (w *watermarks) of(tenant, category string) time.Time {
	least := time.Time{}
	for source := range w.carries[carried{strings.ToLower(tenant), category}] {
		for _, seen := range w.seen[source] {
			if least.IsZero() || seen.Before(least) {
				least = seen
			}
		}
	}
	if least.IsZero() {
		return time.Unix(0, 0)
	}
	return least.Add(-w.lateness.Of(category))
}

// behind is the least that any partition has seen: what lies well before it comes no more.
func (w *watermarks) behind() time.Time {
	least := time.Time{}
	for _, partitions := range w.seen {
		for _, seen := range partitions {
			if least.IsZero() || seen.Before(least) {
				least = seen
			}
		}
	}
	return least
}
