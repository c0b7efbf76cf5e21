package sigma

import (
	"math"
	"slices"
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

// PassTo tells how far the watermark of a tenant has come: only then do windows count whose condition more records could
// take away. The zero time is the end of all input. What has been passed stays so.
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

// Passed are the tenants' watermarks as PassTo has moved them.
func (c *Correlator) Passed() map[string]time.Time { return c.passed }

var endOfTime = time.Unix(1<<40, 0)

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
