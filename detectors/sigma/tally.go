package sigma

import (
	"strings"
	"time"
)

// tally counts what a window holds while it slides.
type tally struct {
	c    *Correlation
	seen map[string]int // how many items have a value, an id or a rule

	// Of temporal_ordered: the latest time at which a chain began that has so many links (less one) and ends with a
	// rule. A later beginning serves every later window better, so nothing need be taken back.
	chains [][]time.Time
}

func newTally(c *Correlation) *tally {
	t := &tally{c: c, seen: map[string]int{}}
	if c.Type == "temporal_ordered" {
		for range c.Rules {
			t.chains = append(t.chains, make([]time.Time, len(c.Rules)))
		}
	}
	return t
}

// keys are what an item counts as.
func (t *tally) keys(it *Item, visit func(string)) {
	switch t.c.Type {
	case "event_count":
		if it.window != nil {
			visit(it.Rule + "\x00" + it.ID) // a closing is no record: it counts beside the one that closed it
		} else {
			visit(it.ID)
		}
	case "value_count":
		for _, v := range it.Values {
			if v != "" {
				visit(strings.ToLower(v))
			}
		}
	case "temporal":
		visit(it.Rule)
	}
}

// add takes items in the order of time and, within a time, of their rules.
func (t *tally) add(it *Item) {
	if t.chains != nil {
		t.link(it)
		return
	}
	t.keys(it, func(k string) { t.seen[k]++ })
}

func (t *tally) link(it *Item) {
	rule := it.order
	if rule < 0 {
		return
	}
	t.chains[rule][0] = it.Time
	for before := range rule {
		for links, began := range t.chains[before][:len(t.chains)-1] {
			if began.After(t.chains[rule][links+1]) {
				t.chains[rule][links+1] = began
			}
		}
	}
}

func (t *tally) drop(it *Item) {
	if t.chains != nil {
		return // it began before the window opens, which count knows
	}
	t.keys(it, func(k string) {
		if t.seen[k]--; t.seen[k] == 0 {
			delete(t.seen, k)
		}
	})
}

// count is what the condition is about, of a window that opens after a time.
func (t *tally) count(opens time.Time) int {
	if t.chains == nil {
		return len(t.seen)
	}
	most := 0
	for _, of := range t.chains {
		for links, began := range of {
			if began.After(opens) {
				most = max(most, links+1)
			}
		}
	}
	return most
}
