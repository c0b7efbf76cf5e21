package sigma

import (
	"math"
	"slices"
	"time"

	"cordon/detectors/keyed"
	"cordon/detectors/pieces"
)

// Slot is the number of the timespan in which a window closes: a part of the finding's identity.
func (c *Correlation) Slot(t time.Time) int64 { return c.slot(t.UnixNano()) }

func (c *Correlation) slot(t int64) int64 { return floorDiv(t, int64(c.Timespan)) }

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
	groups  *keyed.Set[*group]
	tenants map[string]*tenant
	places  map[itemKey]*Entry   // of what was added by its id
	dirty   []*group             // that were touched since they were looked at
	crowds  map[*group]*crowd    // of large groups
	waiting map[*group][]*Entry  // that the watermark has not passed
	passed  map[string]time.Time // by tenant: windows that close later wait for the watermark
	gone    map[*group][]*Entry  // that had closed a window when they were taken away

	reach     time.Duration
	forgotten time.Time

	entries pieces.Of[Entry]
	kept    pieces.Texts
	spare   []*touched // to be used again

	large          int // how many items of a group are looked at whenever one is added
	few            numbers
	texts, key     []byte // used for one item after another
	all, confirmed tally  // used for one slot after another
}

// touched is what came to a group, or went, since it was looked at.
type touched struct {
	slots []int64
	since int64 // the earliest of it: windows that closed before hold what they held
}

// looked has a group be as if nothing had touched it. It stays among the dirty ones until those are gone through.
func (c *Correlator) looked(g *group) {
	if d := g.touched; d != nil {
		g.touched, d.slots = nil, d.slots[:0]
		if cap(d.slots) <= manySlots && len(c.spare) < spares {
			c.spare = append(c.spare, d)
		}
	}
}

// What is kept to be used again.
const (
	manySlots = 64
	spares    = 1024
)

// crowd is what is known of a group that has many items.
type crowd struct {
	looked  int // how many they were when they were looked at
	numbers numbers
}

// large is how many items of a group are looked at whenever one is added.
const large = 64

// NewCorrelator returns an empty one for the correlation of this name; above says that another refers to it.
func NewCorrelator(name string, c *Correlation, above bool) *Correlator {
	return &Correlator{c: c, name: name, above: above, groups: keyed.New[*group](), tenants: map[string]*tenant{}, places: map[itemKey]*Entry{}, crowds: map[*group]*crowd{},
		waiting: map[*group][]*Entry{}, passed: map[string]time.Time{}, gone: map[*group][]*Entry{}, reach: c.Timespan, large: large, all: newTally(c), confirmed: newTally(c)}
}

// order is the place of an item's rule in the correlation.
func (c *Correlator) order(it *Item) int16 { return int16(slices.Index(c.c.Rules, it.Rule)) }

// Add takes an item of a group, and says whether it is the fullest of its record.
func (c *Correlator) Add(key Group, it Item) bool {
	place := keyOf(it.Of, c.order(&it), it.closing)
	now, ok := c.Put(c.places[place], key, it)
	c.places[place] = now
	return ok
}

// Put takes an item of a group in place of the one that it is a revision of, nil where there is none. It returns the
// one that stands now, and whether that is the new one: not where it says less, or the same. Texts are copied.
func (c *Correlator) Put(old *Entry, key Group, it Item) (*Entry, bool) {
	c.texts = it.pack(c.texts[:0], key.Key)
	if old != nil && old.group != nil {
		if old.Size > it.Size || old.same(key, &it, c.texts) {
			return old, false
		}
		c.Take(old)
	}
	g := c.group(key)
	now := c.entries.One()
	*now = Entry{Of: it.Of, By: it.By, Size: it.Size, time: it.Time.UnixNano(), packed: c.kept.Keep(c.texts), group: g, closing: it.closing,
		order: c.order(&it), Unconfirmed: it.Unconfirmed}
	if n := len(g.items); n > 0 && compareItems(g.items[n-1], now) > 0 {
		g.untidy = true
	}
	g.items = append(g.items, now)
	c.touch(g, now.time)
	if c.c.Waits() && it.Time.After(c.passed[key.Tenant]) {
		c.waiting[g] = append(c.waiting[g], now)
	}
	return now, true
}

// Remove takes away an item that was added.
func (c *Correlator) Remove(it Item) {
	place := keyOf(it.Of, c.order(&it), it.closing)
	if old := c.places[place]; old != nil {
		c.Take(old)
		delete(c.places, place)
	}
}

// Take takes away an item that a revision contradicts.
func (c *Correlator) Take(it *Entry) {
	if it.group == nil {
		return
	}
	c.touch(it.group, it.time)
	if it.told != closesNone {
		c.gone[it.group], it.told = append(c.gone[it.group], it), closesNone
	}
	it.group.untidy = true
	it.group = nil
}

// Again has the windows that hold an item be looked at again: what its record says is not what it was.
func (c *Correlator) Again(it *Entry) {
	if it.group != nil {
		c.touch(it.group, it.time)
	}
}

// touch marks the slots in which a window closes that holds an item of this time.
func (c *Correlator) touch(g *group, t int64) {
	c.mark(g, c.c.slot(t))
	c.mark(g, c.c.slot(t+int64(c.c.Timespan)-1))
	g.touched.since = min(g.touched.since, t)
}

func (c *Correlator) mark(g *group, slot int64) {
	d := g.touched
	if d == nil {
		if n := len(c.spare); n > 0 {
			d, c.spare = c.spare[n-1], c.spare[:n-1]
		} else {
			d = &touched{slots: make([]int64, 0, 2)}
		}
		d.since, g.touched = math.MaxInt64, d
		c.dirty = append(c.dirty, g)
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
		if g.tenant.name != tenant {
			continue
		}
		waiting = slices.DeleteFunc(waiting, func(it *Entry) bool {
			if time.Unix(0, it.time).After(mark) {
				return it.group == nil
			}
			c.mark(g, c.c.slot(it.time))
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
	c.mark(c.group(key), slot)
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
	before := t.UnixNano()
	var empty []*group
	for g := range c.groups.All() {
		g.tidy()
		keep := g.after(before - 1)
		if keep == len(g.items) {
			empty = append(empty, g)
			continue
		}
		if keep > 0 {
			c.forget(g.items[:keep])
			delete(c.crowds, g)
			g.only = [1]*Entry{}
			g.items = append(g.only[:0], g.items[keep:]...)
		}
		if waiting := c.waiting[g]; len(waiting) > 0 {
			c.waiting[g] = slices.DeleteFunc(waiting, func(it *Entry) bool { return it.time < before })
		}
	}
	for _, g := range empty {
		c.forget(g.items)
		c.leave(g)
	}
}

func (c *Correlator) forget(items []*Entry) {
	for _, it := range items {
		it.group = nil
		if len(c.places) > 0 {
			delete(c.places, keyOf(it.Of, it.order, it.closing))
		}
	}
}
