package detectors

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"cordon/internal/finding"
)

// published tells the engine of a finding that stands in FINDINGS. The engine holds it from then on, as far as it holds no
// later revision: what it looks at again revises the finding from there.
func (e *Engine) published(f finding.Finding) {
	if len(f.Proof) == 0 {
		return
	}
	if c := e.correlation(f.Rule); c != nil {
		e.publishedSlot(c, f)
	} else if place, ok := e.places[f.Rule]; ok {
		e.publishedSingle(place, f)
	}
}

func (e *Engine) publishedSingle(place int, f finding.Finding) {
	id := f.Proof[0].Record
	k := e.records[id]
	if k == nil {
		k = &kept{id: id, time: f.Time.UnixNano()}
		e.records[id] = k
		e.buckets.put(k)
	}
	s := k.single(place)
	if s == nil {
		s = &single{of: k, next: k.singles, rule: place}
		k.singles = s
	}
	if f.Revision <= s.finding.Revision {
		return
	}
	s.settled = s.settled || !f.Unconfirmed
	if s.finding = f; f.Withdrawn != "" {
		s.size = math.MaxInt32 // of what contradicted it: the record itself must not raise it again
	}
	e.watch(s)
	e.buckets.touch(k)
}

func (e *Engine) publishedSlot(c *correlation, f finding.Finding) {
	made := f.ID
	if c.principal != "" { // the principal stands between the group and the slot's number
		at := strings.LastIndexByte(made, '/')
		if _, err := strconv.ParseInt(made[at+1:], 10, 64); err != nil {
			return
		}
		made = strings.TrimSuffix(made[:at], "|"+strings.ToLower(f.Principal.ID)) + made[at:]
	}
	s := e.slots[f.ID]
	if s == nil {
		e.tenant(f.Tenant)
		s = &slot{rule: c, made: made}
		e.slots[f.ID] = s
		e.buckets.putSlot(s)
	}
	if f.Revision <= s.finding.Revision {
		return
	}
	s.finding, s.records, s.extra = f, set{}, f.Revision-f.Count
	if had := slices.Contains(e.made[made], f.ID); f.Withdrawn != "" {
		s.extra = f.Revision
		if had {
			e.made[made] = slices.DeleteFunc(e.made[made], func(id string) bool { return id == f.ID })
		}
	} else {
		if !had {
			e.made[made] = append(e.made[made], f.ID)
		}
		if len(f.Proof) == f.Count { // else it is told once more
			s.records.count = f.Count
			for _, p := range f.Proof {
				s.records.sum += hash(p.Record)
			}
		}
	}
	if delete(e.openSlot, s); f.Unconfirmed && f.Withdrawn == "" && !s.settled {
		e.openSlot[s] = true
	}
	e.buckets.mark(s.bucket)
}

// latest leaves of each finding its last revision: what was in between while records were looked at again is no news.
func latest(found []finding.Finding) []finding.Finding {
	last := map[string]int{}
	for i, f := range found {
		last[f.ID] = i
	}
	var out []finding.Finding
	for i, f := range found {
		if last[f.ID] == i {
			out = append(out, f)
		}
	}
	return out
}
