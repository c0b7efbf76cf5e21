package detectors

import (
	"slices"
	"strings"

	"cordon/internal/finding"
)

// published tells the engine of a finding that was published after the snapshot that it was loaded from: the same content
// says nothing new, and another one gets a higher revision than consumers have seen. It is called after load, before any
// record is looked at again. Findings of rules that are no more are passed over.
func (e *Engine) published(f finding.Finding) {
	if len(f.Proof) == 0 {
		return
	}
	if place, ok := e.places[f.Rule]; ok {
		e.publishedSingle(place, f)
	} else if c := e.correlation(f.Rule); c != nil {
		e.publishedSlot(c, f)
	}
}

func (e *Engine) publishedSingle(place int, f finding.Finding) {
	k := e.known(f.Proof[0].Record)
	if k == nil {
		k = e.keep(f.Proof[0].Record, f.Proof[0].Time.UnixNano())
		e.buckets.put(k)
	}
	s := k.single(place)
	switch {
	case s == nil:
		s = &single{of: k, next: k.singles, rule: place}
		k.singles = s
	case s.revision >= f.Revision:
		return
	}
	var known []string
	if s.packed != "" {
		known = e.finding(s).Proof[0].Positions
	}
	for _, position := range f.Proof[0].Positions {
		if !slices.Contains(known, position) {
			s.unread = append(without(s.unread, position), position)
		}
	}
	s.packed, s.revision, s.unconfirmed, s.withdrawn = e.pack(&f, []byte(f.Says)), f.Revision, f.Unconfirmed, f.Withdrawn
	s.size = max(s.size, int(k.fullest), e.fuller.of(f.Proof[0].Record))
	e.watch(s, &f)
	e.buckets.touch(k)
}

func (e *Engine) publishedSlot(c *correlation, f finding.Finding) {
	s := e.slots[f.ID]
	switch {
	case s == nil:
		made, ok := c.placeFrom(madeOf(c, f))
		if !ok {
			return
		}
		s = &slot{rule: c, made: made}
		e.slots[f.ID] = s
		e.buckets.putSlot(s)
		s.bucket.holds(f.Time.UnixNano())
	case s.finding.Revision > f.Revision:
		return
	case s.finding.Revision == f.Revision:
		delete(e.changed, s)
		return
	}
	s.finding, s.records = f, set{}
	e.made[s.made] = without(e.made[s.made], f.ID)
	delete(e.changed, s)
	if f.Withdrawn == "" {
		// Of more records than a finding carries the rest is not known: then it is told once more.
		s.records.count = f.Count
		for _, p := range f.Proof {
			s.records.sum += hash(p.Record)
		}
		e.made[s.made] = append(e.made[s.made], f.ID)
		e.heard = append(e.heard, s)
	}
	e.watchSlot(s)
	if len(e.made[s.made]) == 0 {
		delete(e.made, s.made)
	}
	e.buckets.mark(s.bucket)
}

// madeOf is the key of a slot's findings: their identity without the principal, where they are one a principal.
func madeOf(c *correlation, f finding.Finding) string {
	if c.principal == "" {
		return f.ID
	}
	at := strings.LastIndexByte(f.ID, '/')
	if at < 0 {
		return f.ID
	}
	return strings.TrimSuffix(f.ID[:at], "|"+strings.ToLower(f.Principal.ID)) + f.ID[at:]
}

func without(ids []string, id string) (out []string) {
	for _, other := range ids {
		if other != id {
			out = append(out, other)
		}
	}
	return out
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
