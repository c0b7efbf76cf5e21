package sigma

import (
	"cmp"
	"math"
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
	Of          any      // what the caller keeps of it
	Unconfirmed bool     // it matched for want of a field
	told        closing  // as what correlations above know it
	order       int16    // of its rule in the correlation
	Size        int32    // a revision that says less replaces nothing

	number int32   // what it counts as (tally.go); 0 while nobody has asked
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

// closing says whether a window that meets the condition closes with an item.
type closing uint8

const (
	closesNone closing = iota
	closesUnconfirmed
	closes
)

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
	Closings    []Item    // for correlations above: those that are new, or whose windows hold something else now
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
	places  map[itemKey]*Item    // of what was added by its id
	dirty   map[*group]*touched  // since they were looked at
	crowds  map[*group]*crowd    // of large groups
	waiting map[*group][]*Item   // that the watermark has not passed
	passed  map[string]time.Time // by tenant: windows that close later wait for the watermark
	gone    map[*group][]*Item   // that had closed a window when they were taken away

	reach     time.Duration
	forgotten time.Time

	large          int // how many items of a group are looked at whenever one is added
	few            numbers
	all, confirmed tally // used for one slot after another
}

// touched is what came to a group, or went, since it was looked at.
type touched struct {
	slots []int64
	since int64 // the earliest of it: windows that closed before hold what they held
}

// crowd is what is known of a group that has many items.
type crowd struct {
	looked  int // how many they were when they were looked at
	numbers numbers
}

// large is how many items of a group are looked at whenever one is added.
const large = 64

// NewCorrelator returns an empty one for the correlation of this name; above says that another refers to it.
func NewCorrelator(name string, c *Correlation, above bool) *Correlator {
	return &Correlator{c: c, name: name, above: above, groups: map[Group]*group{}, places: map[itemKey]*Item{}, dirty: map[*group]*touched{}, crowds: map[*group]*crowd{},
		waiting: map[*group][]*Item{}, passed: map[string]time.Time{}, gone: map[*group][]*Item{}, reach: c.Timespan, large: large, all: newTally(c), confirmed: newTally(c)}
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
	it.group, it.order, it.told, it.number = g, int16(slices.Index(c.c.Rules, it.Rule)), closesNone, 0
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
	if it.told != closesNone {
		c.gone[it.group], it.told = append(c.gone[it.group], it), closesNone
	}
	it.group.untidy = true
	it.group = nil
}

// touch marks the slots in which a window closes that holds an item of this time.
func (c *Correlator) touch(g *group, t time.Time) {
	c.mark(g, c.c.Slot(t))
	c.mark(g, c.c.Slot(t.Add(c.c.Timespan-1)))
	d := c.dirty[g]
	d.since = min(d.since, t.UnixNano())
}

func (c *Correlator) mark(g *group, slot int64) {
	d := c.dirty[g]
	if d == nil {
		d = &touched{slots: make([]int64, 0, 2), since: math.MaxInt64}
		c.dirty[g] = d
	}
	if !slices.Contains(d.slots[max(0, len(d.slots)-4):], slot) { // most come beside each other; Changed makes them one
		d.slots = append(d.slots, slot)
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

// Dirty says that Changed has something to look at.
func (c *Correlator) Dirty() bool { return len(c.dirty) > 0 }

func (c *Correlator) changed(due func(*group) bool) []Slot {
	var out []Slot
	for g, d := range c.dirty {
		if !due(g) {
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
		delete(c.dirty, g)
		delete(c.gone, g)
		if len(g.items) == 0 {
			delete(c.groups, g.key)
			delete(c.waiting, g)
			delete(c.crowds, g)
		}
	}
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

// look sweeps over one slot: windows end with each of its items, in turn. since is the earliest time of what has
// changed.
func (c *Correlator) look(g *group, number, since int64, n *numbers) Slot {
	s := Slot{Group: g.key, Number: number, Unconfirmed: true}
	begin := time.Unix(0, number*int64(c.c.Timespan)).UTC()
	at := g.after(begin.Add(-1))
	end := g.after(begin.Add(c.c.Timespan - 1))
	from := at
	if at < end {
		from = g.after(begin.Add(-c.c.Timespan))
	}
	all, confirmed := &c.all, &c.confirmed
	all.begin(n)
	confirmed.begin(n)
	passed := c.passed[g.key.Tenant]
	touched := time.Unix(0, since)
	told, next := from, from // items before told are in s.Items; items before next are counted
	for at < end {
		now := g.items[at].Time
		batch := at + 1 // items of the same time belong to the window, whatever their id
		for batch < len(g.items) && g.items[batch].Time.Equal(now) {
			batch++
		}
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
		holds := c.c.Range.Holds(all.count(opens)) && !(c.c.Waits() && now.After(passed))
		if holds {
			if s.Time.IsZero() {
				s.Time = now
			}
			told = max(told, from)
			s.Items = append(s.Items, g.items[told:batch]...)
			told = batch
		}
		proven := holds && c.c.Range.Holds(confirmed.count(opens))
		anew := !now.Before(touched)
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
				s.Closings = append(s.Closings, Item{ID: closer.ID, Time: now, Rule: c.name, Of: closer.Of, Unconfirmed: closer.told == closesUnconfirmed, Fields: closer.Fields, window: w, closer: closer})
			}
		}
		at = batch
	}
	for _, it := range c.gone[g] {
		if c.above && c.c.Slot(it.Time) == number && it.told == closesNone {
			s.Gone = append(s.Gone, Item{ID: it.ID, Rule: c.name, closer: it})
		}
	}
	return s
}

// Records are the records that items stand for, those below closings included, each once for each rule.
func Records(items []*Item) []*Item {
	var out []*Item
	var windows map[*group][]*window
	var last *group
	var ofLast []*window // closings of one group stand beside each other
	put := func() {
		if last != nil {
			windows[last] = ofLast
		}
	}
	for _, it := range items {
		w := it.window
		switch {
		case w == nil:
			out = append(out, it)
			continue
		case w.of != last:
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
		slices.SortFunc(ws, func(a, b *window) int { return a.from.Compare(b.from) }) // all of one length
		var below []*Item
		first, end := 0, 0
		for _, w := range ws {
			if first < len(g.items) && !g.items[first].Time.After(w.from) {
				first = g.after(w.from)
			}
			first = max(first, end)
			for end = max(end, first); end < len(g.items) && !g.items[end].Time.After(w.to); end++ {
			}
			below = append(below, g.items[first:end]...)
			first = end
		}
		out = append(out, Records(below)...)
	}
	return out
}

// Touch has a slot looked at, whether or not anything stands in it.
func (c *Correlator) Touch(key Group, slot int64) {
	g := c.groups[key]
	if g == nil {
		g = &group{key: key}
		c.groups[key] = g
	}
	c.mark(g, slot)
}

// frozen says that some of a slot's windows reach behind what was forgotten: what is said of it stays.
func (c *Correlator) frozen(number int64) bool {
	return !c.forgotten.IsZero() && time.Unix(0, number*int64(c.c.Timespan)).Add(-c.reach).Before(c.forgotten)
}

// Reach is how far back windows go, where those of correlations below go further than the own timespan.
func (c *Correlator) Reach(d time.Duration) { c.reach = d }

// Forget drops what is older than t. Slots whose windows reach behind it are not looked at any more.
func (c *Correlator) Forget(t time.Time) {
	if t.After(c.forgotten) {
		c.forgotten = t
	}
	for key, g := range c.groups {
		g.tidy()
		keep := g.after(t.Add(-1))
		if keep == len(g.items) {
			c.forget(g.items)
			delete(c.groups, key)
			delete(c.dirty, g)
			delete(c.waiting, g)
			delete(c.gone, g)
			delete(c.crowds, g)
			continue
		}
		if keep > 0 {
			c.forget(g.items[:keep])
			delete(c.crowds, g)
			g.items = append([]*Item(nil), g.items[keep:]...)
		}
		if waiting := c.waiting[g]; len(waiting) > 0 {
			c.waiting[g] = slices.DeleteFunc(waiting, func(it *Item) bool { return it.Time.Before(t) })
		}
	}
}

func (c *Correlator) forget(items []*Item) {
	for _, it := range items {
		it.group = nil
		if len(c.places) > 0 {
			delete(c.places, it.key())
		}
	}
}
