package sigma

import (
	"slices"
	"sort"
	"strings"
	"time"
)

// Item is a record that a rule of a correlation matched, or the closing of a window of a correlation that another
// one refers to.
type Item struct {
	ID          string // the record's id; the same id again replaces the item
	Time        time.Time
	Rule        string
	Values      []string          // of the field that is counted
	Unconfirmed bool              // it matched for want of a field
	Size        int               // a revision that says less replaces nothing
	Fields      map[string]string // what correlations above group by and count

	window *window // of a closing
	group  *group  // that it stands in; nil once it is gone
	order  int     // of its rule in the correlation
}

// Group is where items are counted apart from others.
type Group struct{ Tenant, Key string }

type itemKey struct{ id, rule string }

// window is (from, to] of the items of a group.
type window struct {
	of       *group
	from, to time.Time
}

// group are the items of one group, and which slots they have touched since they were looked at.
type group struct {
	key     Group
	items   []*Item // by time, rule and id once tidy
	untidy  bool
	dirty   map[int64]bool
	waiting []*Item                       // not passed by the watermark
	passed  time.Time                     // windows that close later wait for the watermark
	closed  map[int64]map[string]struct{} // the closing items by slot, where a correlation above asks
}

// Slot is what one slot of a group holds: no closings where no window in it meets the condition.
type Slot struct {
	Group       Group
	Number      int64
	Time        time.Time // when the first of its windows closes
	Unconfirmed bool      // no window meets the condition by confirmed items alone
	Items       []*Item   // of all its windows, each once
	Closings    []Item    // for correlations above
	Gone        []string  // ids of closings that were told before and are none any more
}

// Slot is the number of the timespan in which a window closes: a part of the finding's identity.
func (c *Correlation) Slot(t time.Time) int64 {
	return floorDiv(t.UnixNano(), int64(c.Timespan))
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && a < 0 {
		q--
	}
	return q
}

// Correlator holds the items of one correlation, by group, and finds the slots in which a record closes a window
// (t − timespan, t] that meets its condition, whatever the order in which items come. Windows are looked at when
// Changed is called: once for a burst of items, in time linear in the window. It is not safe for concurrent use.
type Correlator struct {
	c      *Correlation
	name   string
	above  bool // closings are asked for
	groups map[Group]*group
	places map[itemKey]*Item
	dirty  map[*group]bool
	waits  map[*group]bool // have items that the watermark has not passed
}

// NewCorrelator returns an empty one for the correlation of this name; above says that another refers to it.
func NewCorrelator(name string, c *Correlation, above bool) *Correlator {
	return &Correlator{c: c, name: name, above: above, groups: map[Group]*group{}, places: map[itemKey]*Item{}, dirty: map[*group]bool{}, waits: map[*group]bool{}}
}

// Add takes an item of a group, and says whether it is the fullest of its id.
func (c *Correlator) Add(key Group, it Item) bool {
	place := itemKey{it.ID, it.Rule}
	if old := c.places[place]; old != nil {
		if old.Size > it.Size {
			return false
		}
		c.drop(old)
	}
	g := c.groups[key]
	if g == nil {
		g = &group{key: key, dirty: map[int64]bool{}, closed: map[int64]map[string]struct{}{}}
		c.groups[key] = g
	}
	it.group, it.order = g, slices.Index(c.c.Rules, it.Rule)
	if n := len(g.items); n > 0 && compareItems(g.items[n-1], &it) > 0 {
		g.untidy = true
	}
	g.items = append(g.items, &it)
	c.places[place] = &it
	c.touch(g, it.Time)
	if c.c.Waits() && it.Time.After(g.passed) {
		g.waiting = append(g.waiting, &it)
		c.waits[g] = true
	}
	return true
}

// Remove takes an item away that a revision contradicts.
func (c *Correlator) Remove(id, rule string) {
	if old := c.places[itemKey{id, rule}]; old != nil {
		c.drop(old)
		delete(c.places, itemKey{id, rule})
	}
}

// Unconfirmed says whether an item stands for want of a field, and how much its record says.
func (c *Correlator) Unconfirmed(id, rule string) (size int, unconfirmed bool) {
	old := c.places[itemKey{id, rule}]
	if old == nil {
		return 0, false
	}
	return old.Size, old.Unconfirmed
}

func (c *Correlator) drop(it *Item) {
	c.touch(it.group, it.Time)
	it.group.untidy = true
	it.group = nil
}

// touch marks the slots in which a window closes that holds an item of this time.
func (c *Correlator) touch(g *group, t time.Time) {
	g.dirty[c.c.Slot(t)] = true
	g.dirty[c.c.Slot(t.Add(c.c.Timespan-1))] = true
	c.dirty[g] = true
}

// Pass tells how far the watermark of each group has come: only then do windows count whose condition more records
// could take away. The zero time is the end of all input.
func (c *Correlator) Pass(watermark func(Group) time.Time) {
	for g := range c.waits {
		mark := watermark(g.key)
		if mark.IsZero() {
			mark = endOfTime
		}
		if !mark.After(g.passed) {
			continue
		}
		g.passed = mark
		g.waiting = slices.DeleteFunc(g.waiting, func(it *Item) bool {
			if it.Time.After(mark) {
				return it.group == nil
			}
			g.dirty[c.c.Slot(it.Time)] = true
			c.dirty[g] = true
			return true
		})
		if len(g.waiting) == 0 {
			delete(c.waits, g)
		}
	}
}

var endOfTime = time.Unix(1<<40, 0)

// Changed looks at the slots that were touched since it was last called.
func (c *Correlator) Changed() []Slot {
	var out []Slot
	for g := range c.dirty {
		g.tidy()
		for number := range g.dirty {
			out = append(out, c.look(g, number))
		}
		clear(g.dirty)
	}
	clear(c.dirty)
	slices.SortFunc(out, func(a, b Slot) int {
		if d := strings.Compare(a.Group.Tenant+"|"+a.Group.Key, b.Group.Tenant+"|"+b.Group.Key); d != 0 {
			return d
		}
		return int(max(-1, min(1, a.Number-b.Number)))
	})
	return out
}

func compareItems(a, b *Item) int {
	if d := a.Time.Compare(b.Time); d != 0 {
		return d
	}
	if d := a.order - b.order; d != 0 {
		return d
	}
	return strings.Compare(a.ID, b.ID)
}

func (g *group) tidy() {
	if !g.untidy {
		return
	}
	g.items = slices.DeleteFunc(g.items, func(it *Item) bool { return it.group == nil })
	slices.SortFunc(g.items, compareItems)
	g.untidy = false
}

// after is the place of the first item later than t.
func (g *group) after(t time.Time) int {
	return sort.Search(len(g.items), func(i int) bool { return g.items[i].Time.After(t) })
}

// look sweeps over one slot: windows end with each of its items, in turn.
func (c *Correlator) look(g *group, number int64) Slot {
	s := Slot{Group: g.key, Number: number, Unconfirmed: true}
	begin := time.Unix(0, number*int64(c.c.Timespan)).UTC()
	from := g.after(begin.Add(-c.c.Timespan))
	at := g.after(begin.Add(-1))
	end := g.after(begin.Add(c.c.Timespan - 1))
	all, confirmed := newTally(c.c), newTally(c.c)
	told, next := from, from // items before told are in s.Items; items before next are counted
	for at < end {
		now := g.items[at].Time
		batch := g.after(now) // items of the same time belong to the window, whatever their id
		for ; next < batch; next++ {
			all.add(g.items[next])
			if !g.items[next].Unconfirmed {
				confirmed.add(g.items[next])
			}
		}
		opens := now.Add(-c.c.Timespan)
		for ; !g.items[from].Time.After(opens); from++ {
			all.drop(g.items[from])
			if !g.items[from].Unconfirmed {
				confirmed.drop(g.items[from])
			}
		}
		if c.c.Range.Holds(all.count(opens)) && !(c.c.Waits() && now.After(g.passed)) {
			if s.Time.IsZero() {
				s.Time = now
			}
			proven := c.c.Range.Holds(confirmed.count(opens))
			for _, closer := range g.items[at:batch] {
				unconfirmed := closer.Unconfirmed || !proven
				s.Unconfirmed = s.Unconfirmed && unconfirmed
				if c.above {
					s.Closings = append(s.Closings, Item{ID: closer.ID, Time: now, Rule: c.name, Unconfirmed: unconfirmed, Fields: closer.Fields, window: &window{g, opens, now}})
				}
			}
			told = max(told, from)
			s.Items = append(s.Items, g.items[told:batch]...)
			told = batch
		}
		at = batch
	}
	if c.above {
		s.Gone = g.closings(number, s.Closings)
	}
	return s
}

// closings remembers those of a slot, and returns those that were there before and are no more.
func (g *group) closings(number int64, closings []Item) (gone []string) {
	have := map[string]struct{}{}
	for _, it := range closings {
		have[it.ID] = struct{}{}
	}
	for id := range g.closed[number] {
		if _, still := have[id]; !still {
			gone = append(gone, id)
		}
	}
	if delete(g.closed, number); len(have) > 0 {
		g.closed[number] = have
	}
	return gone
}

// Records are the records that items stand for, those below closings included, each once for each rule.
func Records(items []*Item) []*Item {
	var out []*Item
	windows := map[*group][]*window{}
	for _, it := range items {
		if it.window == nil {
			out = append(out, it)
		} else {
			windows[it.window.of] = append(windows[it.window.of], it.window)
		}
	}
	for g, ws := range windows {
		g.tidy()
		slices.SortFunc(ws, func(a, b *window) int { return a.from.Compare(b.from) }) // all of one length
		var below []*Item
		told := 0
		for _, w := range ws {
			first, end := max(told, g.after(w.from)), g.after(w.to)
			if first < end {
				below = append(below, g.items[first:end]...)
				told = end
			}
		}
		out = append(out, Records(below)...)
	}
	return out
}

// Forget drops what is older than t: no window that still opens can hold it.
func (c *Correlator) Forget(t time.Time) {
	for key, g := range c.groups {
		g.tidy()
		keep := g.after(t.Add(-1))
		for _, it := range g.items[:keep] {
			delete(c.places, itemKey{it.ID, it.Rule})
		}
		for number := range g.closed {
			if number < c.c.Slot(t) {
				delete(g.closed, number)
			}
		}
		if keep == len(g.items) {
			delete(c.groups, key)
			delete(c.dirty, g)
			delete(c.waits, g)
			continue
		}
		g.items = append([]*Item(nil), g.items[keep:]...)
		g.waiting = slices.DeleteFunc(g.waiting, func(it *Item) bool { return it.Time.Before(t) })
	}
}
