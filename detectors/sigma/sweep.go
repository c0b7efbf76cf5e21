package sigma

import (
	"cmp"
	"slices"
	"sort"
	"strings"
	"time"
)

// Slot is what one slot of a group holds: no closings where no window in it meets the condition.
type Slot struct {
	Group       Group
	Number      int64
	Time        time.Time // when the first of its windows closes
	Unconfirmed bool      // no window meets the condition by confirmed items alone
	Items       []*Entry  // of all its windows, each once
	Closings    []Item    // for correlations above: those that are new, or whose windows hold something else now
	Gone        []Item    // closings that were told before and are none any more
}

// Changed looks at the slots that were touched since they were looked at.
func (c *Correlator) Changed() []Slot { return c.changed(func(*group) bool { return true }) }

// Grown is Changed but for large groups that have hardly grown: those wait until they are half as many again, or for
// Changed. So a flood in one group costs each of its records the same, however many they are: a look is linear in
// them, and the looks at n of them together cost what three at all of them do.
func (c *Correlator) Grown() []Slot {
	return c.changed(func(g *group) bool {
		if len(g.items) < c.large {
			return true
		}
		had := c.crowds[g]
		return had == nil || len(g.items)-had.looked >= had.looked/2
	})
}

func (c *Correlator) changed(due func(*group) bool) []Slot {
	var out []Slot
	later := c.dirty[:0]
	for _, g := range c.dirty {
		d := g.touched
		if d == nil {
			continue // it is no more
		}
		if !due(g) {
			later = append(later, g)
			continue
		}
		g.tidy()
		n := c.numbersOf(g)
		slices.Sort(d.slots)
		for _, number := range slices.Compact(d.slots) {
			if !c.frozen(number) {
				out = append(out, c.look(g, number, d.since, n))
			}
		}
		c.looked(g)
		delete(c.gone, g)
		if len(g.items) == 0 {
			c.leave(g)
		}
	}
	clear(c.dirty[len(later):])
	c.dirty = later
	slices.SortFunc(out, func(a, b Slot) int {
		return cmp.Or(strings.Compare(a.Group.Tenant, b.Group.Tenant), strings.Compare(a.Group.Key, b.Group.Key), cmp.Compare(a.Number, b.Number))
	})
	return out
}

// numbersOf are the numbers of what a group's items count as: kept for a large one, made anew for a small one.
func (c *Correlator) numbersOf(g *group) *numbers {
	if len(g.items) >= c.large {
		had := c.crowds[g]
		if had == nil {
			had = &crowd{}
			c.crowds[g] = had
			unnumber(g.items)
		}
		had.looked = len(g.items)
		return &had.numbers
	}
	delete(c.crowds, g)
	c.few.clear()
	unnumber(g.items)
	return &c.few
}

func compareItems(a, b *Entry) int {
	if d := cmp.Compare(a.time, b.time); d != 0 {
		return d
	}
	if d := cmp.Compare(a.order, b.order); d != 0 {
		return d
	}
	return a.Of.Compare(b.Of)
}

// after is the place of the first item later than t.
func (g *group) after(t int64) int {
	return sort.Search(len(g.items), func(i int) bool { return g.items[i].time > t })
}

// look sweeps over one slot: windows end with each of its items, in turn. since is the earliest time of what has
// changed.
func (c *Correlator) look(g *group, number, since int64, n *numbers) Slot {
	s := Slot{Group: g.name(), Number: number, Unconfirmed: true}
	span := int64(c.c.Timespan)
	begin := number * span
	at := g.after(begin - 1)
	end := g.after(begin + span - 1)
	from := at
	if at < end {
		from = g.after(begin - span)
	}
	all, confirmed := &c.all, &c.confirmed
	all.begin(n)
	confirmed.begin(n)
	passed := c.passed[g.tenant.name]
	told, next := from, from // items before told are in s.Items; items before next are counted
	for at < end {
		now := g.items[at].time
		batch := at + 1 // items of the same time belong to the window, whatever their id
		for batch < len(g.items) && g.items[batch].time == now {
			batch++
		}
		for ; next < batch; next++ {
			all.add(g.items[next])
			if !g.items[next].Unconfirmed {
				confirmed.add(g.items[next])
			}
		}
		opens := now - span
		for ; g.items[from].time <= opens; from++ {
			all.drop(g.items[from])
			if !g.items[from].Unconfirmed {
				confirmed.drop(g.items[from])
			}
		}
		holds := all.meets(opens) && !(c.c.Waits() && time.Unix(0, now).After(passed))
		if holds {
			if s.Time.IsZero() {
				s.Time = time.Unix(0, now).UTC()
			}
			told = max(told, from)
			if s.Items == nil {
				s.Items = make([]*Entry, 0, end-told)
			}
			s.Items = append(s.Items, g.items[told:batch]...)
			told = batch
		}
		proven := holds && confirmed.meets(opens)
		anew := now >= since
		for _, closer := range g.items[at:batch] {
			is := closesNone
			switch {
			case !holds:
			case closer.Unconfirmed || !proven:
				is = closesUnconfirmed
			default:
				is, s.Unconfirmed = closes, false
			}
			if is != closer.told {
				anew = true
				if is == closesNone {
					c.gone[g] = append(c.gone[g], closer)
				}
				closer.told = is
			}
		}
		if c.above && holds && anew {
			w := &window{g, opens, now}
			for _, closer := range g.items[at:batch] {
				_, fields := closer.texts(s.Group.Key)
				s.Closings = append(s.Closings, Item{Of: closer.Of, Time: time.Unix(0, now).UTC(), Rule: c.name, Unconfirmed: closer.told == closesUnconfirmed, Fields: fields, closing: &closing{w, closer}})
			}
		}
		at = batch
	}
	for _, it := range c.gone[g] {
		if c.above && c.c.slot(it.time) == number && it.told == closesNone {
			s.Gone = append(s.Gone, Item{Of: it.Of, Rule: c.name, closing: &closing{by: it}})
		}
	}
	return s
}

// Records are the records that items stand for, those below closings included, each once for each rule.
func Records(items []*Entry) []*Entry {
	out := make([]*Entry, 0, len(items))
	var windows map[*group][]*window
	var last *group
	var ofLast []*window // closings of one group stand beside each other
	put := func() {
		if last != nil {
			windows[last] = ofLast
		}
	}
	for _, it := range items {
		if it.closing == nil {
			out = append(out, it)
			continue
		}
		w := it.closing.window
		if w.of != last {
			if put(); windows == nil {
				windows = map[*group][]*window{}
			}
			last, ofLast = w.of, windows[w.of]
		}
		if n := len(ofLast); n == 0 || ofLast[n-1] != w {
			ofLast = append(ofLast, w)
		}
	}
	put()
	for g, ws := range windows {
		g.tidy()
		slices.SortFunc(ws, func(a, b *window) int { return cmp.Compare(a.from, b.from) }) // all of one length
		var below []*Entry
		first, end := 0, 0
		for _, w := range ws {
			if first < len(g.items) && g.items[first].time <= w.from {
				first = g.after(w.from)
			}
			first = max(first, end)
			for end = max(end, first); end < len(g.items) && g.items[end].time <= w.to; end++ {
			}
			below = append(below, g.items[first:end]...)
			first = end
		}
		out = append(out, Records(below)...)
	}
	return out
}
