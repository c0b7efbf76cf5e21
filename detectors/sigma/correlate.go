package sigma

import (
	"sort"
	"strings"
	"time"
)

// Item is a record that a rule of a correlation matched, or the closing of a window of a correlation that another
// one refers to.
type Item struct {
	ID    string // the record's id; the same id again replaces the item
	Time  time.Time
	Rule  string
	Value string   // of the field that is counted
	Proof []string // ids of the records it stands for; the record's own id where empty
}

// Closed is a window (Time − timespan, Time] that a record closes and that meets the condition.
type Closed struct {
	ID    string // of the closing item
	Time  time.Time
	Items []Item // all of the window's, by time and id
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

// Correlator holds the items of one correlation, by group, and finds the windows that meet its condition whatever
// the order in which items come.
type Correlator struct {
	c      *Correlation
	groups map[string]*group
}

type group struct{ items []Item } // by time and id

// NewCorrelator returns an empty one.
func NewCorrelator(c *Correlation) *Correlator {
	return &Correlator{c: c, groups: map[string]*group{}}
}

// Add takes an item of a group and returns every window that it brings to meet the condition, or adds to: those
// closed by it and by later items less than a timespan away.
func (c *Correlator) Add(key string, it Item) []Closed {
	g := c.groups[key]
	if g == nil {
		g = &group{}
		c.groups[key] = g
	}
	at := g.put(it)
	var closed []Closed
	from := at // first item inside the window that is closed at position i
	for from > 0 && g.items[from-1].Time.After(it.Time.Add(-c.c.Timespan)) {
		from--
	}
	for i := at; i < len(g.items) && g.items[i].Time.Before(it.Time.Add(c.c.Timespan)); i++ {
		end := i + 1 // items of the same time belong to the window, whatever their id
		for end < len(g.items) && g.items[end].Time.Equal(g.items[i].Time) {
			end++
		}
		for !g.items[from].Time.After(g.items[i].Time.Add(-c.c.Timespan)) {
			from++
		}
		if window := g.items[from:end]; c.c.meets(window) {
			closed = append(closed, Closed{ID: g.items[i].ID, Time: g.items[i].Time, Items: append([]Item(nil), window...)})
		}
	}
	return closed
}

// put inserts or replaces an item and returns the place of the first one with its time.
func (g *group) put(it Item) int {
	for i, have := range g.items {
		if have.ID == it.ID && have.Rule == it.Rule {
			g.items = append(g.items[:i], g.items[i+1:]...)
			break
		}
	}
	less := func(a, b Item) bool {
		if !a.Time.Equal(b.Time) {
			return a.Time.Before(b.Time)
		}
		return a.ID+a.Rule < b.ID+b.Rule
	}
	i := sort.Search(len(g.items), func(i int) bool { return less(it, g.items[i]) })
	g.items = append(g.items, Item{})
	copy(g.items[i+1:], g.items[i:])
	g.items[i] = it
	for i > 0 && g.items[i-1].Time.Equal(it.Time) {
		i--
	}
	return i
}

func (c *Correlation) meets(window []Item) bool {
	seen := map[string]bool{}
	switch c.Type {
	case "value_count":
		for _, it := range window {
			if it.Value != "" {
				seen[strings.ToLower(it.Value)] = true
			}
		}
		return len(seen) >= c.AtLeast
	case "temporal":
		for _, it := range window {
			seen[it.Rule] = true
		}
		for _, r := range c.Rules {
			if !seen[r] {
				return false
			}
		}
		return true
	}
	return false
}

// Forget drops what is older than t: no window that still opens can hold it.
func (c *Correlator) Forget(t time.Time) {
	for key, g := range c.groups {
		keep := sort.Search(len(g.items), func(i int) bool { return !g.items[i].Time.Before(t) })
		if keep == len(g.items) {
			delete(c.groups, key)
			continue
		}
		g.items = append([]Item(nil), g.items[keep:]...)
	}
}
