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
	Values      []string // of the field that is counted
	Fields      []string // what correlations above group by and count, in the order of their caller
	Unconfirmed bool     // it matched for want of a field
	Size        int32    // a revision that says less replaces nothing

	order  int16   // of its rule in the correlation
	window *window // of a closing
	closer *Item   // of a closing: one record may close windows of several groups, and under several rules
	group  *group  // that it stands in; nil once it is gone
}

// Group is where the item is counted; ok is false once it has been replaced or removed.
func (it *Item) Group() (key Group, ok bool) {
	if it.group == nil {
		return Group{}, false
	}
	return it.group.key, true
}

// Group is where items are counted apart from others.
type Group struct{ Tenant, Key string }

type itemKey struct {
	id, rule string
	closer   *Item
}

func (it *Item) key() itemKey { return itemKey{it.ID, it.Rule, it.closer} }

// window is (from, to] of the items of a group.
type window struct {
	of       *group
	from, to time.Time
}

// group are the items of one group. There are as many as principals: what few of them need stands in the Correlator.
type group struct {
	key    Group
	items  []*Item // by time, rule and id once tidy
	untidy bool
}

// Slot is what one slot of a group holds: no closings where no window in it meets the condition.
type Slot struct {
	Group       Group
	Number      int64
	Time        time.Time // when the first of its windows closes
	Unconfirmed bool      // no window meets the condition by confirmed items alone
	Items       []*Item   // of all its windows, each once
	Closings    []Item    // for correlations above
	Gone        []Item    // closings that were told before and are none any more
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
	c       *Correlation
	name    string
	above   bool // closings are asked for
	groups  map[Group]*group
	places  map[itemKey]*Item                       // of what was added by its id
	dirty   map[*group][]int64                      // slots that were touched since they were looked at
	looked  map[*group]int                          // items of large groups when they were looked at
	waiting map[*group][]*Item                      // that the watermark has not passed
	passed  map[string]time.Time                    // by tenant: windows that close later wait for the watermark
	closed  map[*group]map[int64]map[*Item]struct{} // the closing items by slot, where a correlation above asks
}

// NewCorrelator returns an empty one for the correlation of this name; above says that another refers to it.
func NewCorrelator(name string, c *Correlation, above bool) *Correlator {
	return &Correlator{c: c, name: name, above: above, groups: map[Group]*group{}, places: map[itemKey]*Item{}, dirty: map[*group][]int64{}, looked: map[*group]int{},
		waiting: map[*group][]*Item{}, passed: map[string]time.Time{}, closed: map[*group]map[int64]map[*Item]struct{}{}}
}

// Add takes an item of a group, and says whether it is the fullest of its id.
func (c *Correlator) Add(key Group, it Item) bool {
	place := it.key()
	now, ok := c.Put(c.places[place], key, it)
	c.places[place] = now
	return ok
}

// Put takes an item of a group in place of the one that it is a revision of, nil where there is none. It returns the
// one that stands now, and whether that is the new one: not where it says less, or the same.
func (c *Correlator) Put(old *Item, key Group, it Item) (*Item, bool) {
	if old != nil && old.group != nil {
		if old.Size > it.Size || old.same(key, it) {
			return old, false
		}
		c.Take(old)
	}
	g := c.groups[key]
	if g == nil {
		g = &group{key: key}
		c.groups[key] = g
	}
	it.group, it.order = g, int16(slices.Index(c.c.Rules, it.Rule))
	if n := len(g.items); n > 0 && compareItems(g.items[n-1], &it) > 0 {
		g.untidy = true
	}
	g.items = append(g.items, &it)
	c.touch(g, it.Time)
	if c.c.Waits() && it.Time.After(c.passed[key.Tenant]) {
		c.waiting[g] = append(c.waiting[g], &it)
	}
	return &it, true
}

// same says that an item is there already, word for word.
func (it *Item) same(key Group, other Item) bool {
	return it.group.key == key && it.Time.Equal(other.Time) && it.Size == other.Size && it.Unconfirmed == other.Unconfirmed && it.window == nil && other.window == nil &&
		slices.Equal(it.Values, other.Values) && slices.Equal(it.Fields, other.Fields)
}

// Remove takes away an item that was added.
func (c *Correlator) Remove(it Item) {
	if old := c.places[it.key()]; old != nil {
		c.Take(old)
		delete(c.places, it.key())
	}
}

// Take takes away an item that a revision contradicts.
func (c *Correlator) Take(it *Item) {
	if it.group == nil {
		return
	}
	c.touch(it.group, it.Time)
	it.group.untidy = true
	it.group = nil
}

// touch marks the slots in which a window closes that holds an item of this time.
func (c *Correlator) touch(g *group, t time.Time) {
	c.mark(g, c.c.Slot(t))
	c.mark(g, c.c.Slot(t.Add(c.c.Timespan-1)))
}

func (c *Correlator) mark(g *group, slot int64) {
	marked := c.dirty[g]
	if !slices.Contains(marked[max(0, len(marked)-4):], slot) { // most come beside each other; Changed makes them one
		c.dirty[g] = append(marked, slot)
	}
}

// Pass tells how far the watermark of each tenant has come: only then do windows count whose condition more records
// could take away. The zero time is the end of all input. What has been passed stays so.
func (c *Correlator) Pass(watermark func(tenant string) time.Time) {
	tenants := map[string]bool{}
	for g := range c.waiting {
		tenants[g.key.Tenant] = true
	}
	for tenant := range tenants {
		c.PassTo(tenant, watermark(tenant))
	}
}

// PassTo moves one tenant's watermark.
func (c *Correlator) PassTo(tenant string, mark time.Time) {
	if mark.IsZero() {
		mark = endOfTime
	}
	if !mark.After(c.passed[tenant]) {
		return
	}
	c.passed[tenant] = mark
	for g, waiting := range c.waiting {
		if g.key.Tenant != tenant {
			continue
		}
		waiting = slices.DeleteFunc(waiting, func(it *Item) bool {
			if it.Time.After(mark) {
				return it.group == nil
			}
			c.mark(g, c.c.Slot(it.Time))
			return true
		})
		if c.waiting[g] = waiting; len(waiting) == 0 {
			delete(c.waiting, g)
		}
	}
}

// Passed are the tenants' watermarks as Pass has moved them.
func (c *Correlator) Passed() map[string]time.Time { return c.passed }

var endOfTime = time.Unix(1<<40, 0)

// Changed looks at the slots that were touched since they were looked at.
func (c *Correlator) Changed() []Slot { return c.changed(func(*group) bool { return true }) }

// Grown is Changed but for large groups that have hardly grown: those wait until a sixteenth has come in, or for
// Changed. So a flood in one group costs each of its records the same, however long the window.
func (c *Correlator) Grown() []Slot {
	return c.changed(func(g *group) bool { return len(g.items) < large || len(g.items)-c.looked[g] >= len(g.items)/16 })
}

// large is how many items of a group are looked at whenever one is added.
const large = 512

// Dirty says that Changed has something to look at.
func (c *Correlator) Dirty() bool { return len(c.dirty) > 0 }

func (c *Correlator) changed(due func(*group) bool) []Slot {
	var out []Slot
	for g, marked := range c.dirty {
		if !due(g) {
			continue
		}
		g.tidy()
		if len(g.items) >= large {
			c.looked[g] = len(g.items)
		}
		slices.Sort(marked)
		for _, number := range slices.Compact(marked) {
			out = append(out, c.look(g, number))
		}
		delete(c.dirty, g)
	}
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
	if d := int(a.order) - int(b.order); d != 0 {
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
	passed := c.passed[g.key.Tenant]
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
		if c.c.Range.Holds(all.count(opens)) && !(c.c.Waits() && now.After(passed)) {
			if s.Time.IsZero() {
				s.Time = now
			}
			proven := c.c.Range.Holds(confirmed.count(opens))
			for _, closer := range g.items[at:batch] {
				unconfirmed := closer.Unconfirmed || !proven
				s.Unconfirmed = s.Unconfirmed && unconfirmed
				if c.above {
					s.Closings = append(s.Closings, Item{ID: closer.ID, Time: now, Rule: c.name, Unconfirmed: unconfirmed, Fields: closer.Fields, window: &window{g, opens, now}, closer: closer})
				}
			}
			told = max(told, from)
			s.Items = append(s.Items, g.items[told:batch]...)
			told = batch
		}
		at = batch
	}
	if c.above {
		s.Gone = c.closings(g, number, s.Closings)
	}
	return s
}

// closings remembers those of a slot, and returns those that were there before and are no more.
func (c *Correlator) closings(g *group, number int64, closings []Item) (gone []Item) {
	have := map[*Item]struct{}{}
	for _, it := range closings {
		have[it.closer] = struct{}{}
	}
	closed := c.closed[g]
	for closer := range closed[number] {
		if _, still := have[closer]; !still {
			gone = append(gone, Item{ID: closer.ID, Rule: c.name, closer: closer})
		}
	}
	switch {
	case len(have) == 0:
		delete(closed, number)
	case closed == nil:
		c.closed[g] = map[int64]map[*Item]struct{}{number: have}
	default:
		closed[number] = have
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
			it.group = nil
			delete(c.places, it.key())
		}
		for number := range c.closed[g] {
			if number < c.c.Slot(t) {
				delete(c.closed[g], number)
			}
		}
		if keep == len(g.items) {
			delete(c.groups, key)
			delete(c.dirty, g)
			delete(c.waiting, g)
			delete(c.closed, g)
			delete(c.looked, g)
			continue
		}
		if keep > 0 {
			delete(c.looked, g)
			g.items = append([]*Item(nil), g.items[keep:]...)
		}
		if waiting := c.waiting[g]; len(waiting) > 0 {
			c.waiting[g] = slices.DeleteFunc(waiting, func(it *Item) bool { return it.Time.Before(t) })
		}
	}
}
