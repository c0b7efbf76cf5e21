package sigma

import (
	"math"
	"math/big"
)

// numbers are those of what items count as: values, ids or rules. A sweep over a window counts by numbers, each of which
// is looked up once for an item and not once for a sweep.
type numbers struct {
	of      map[string]int32
	many    [][]int32  // of items that count as more than one thing, or as none
	amounts []*big.Rat // of what has a number, where sums are asked for
}

func (n *numbers) clear() {
	if len(n.of) > 32 { // clearing costs as much as the most it ever held
		n.of = nil
	}
	clear(n.of)
	n.many, n.amounts = n.many[:0], n.amounts[:0]
}

func unnumber(items []*Entry) {
	for _, it := range items {
		it.number = 0
	}
}

// number makes sure that an item has one: above zero it is that of what it counts as, below zero the place of several.
func (n *numbers) number(c *Correlation, it *Entry) {
	if it.number != 0 {
		return
	}
	if n.of == nil {
		n.of = map[string]int32{}
	}
	count := 0
	var several []int32
	keys(c, it, func(key string) {
		at, known := n.of[key]
		if !known {
			if c.sums() {
				is, ok := amount(key)
				if !ok {
					return
				}
				n.amounts = append(n.amounts, is)
			}
			at = int32(len(n.of) + 1)
			n.of[key] = at
		}
		if count++; count == 1 {
			it.number = at
			return
		}
		if several == nil {
			several = append(several, it.number)
		}
		several = append(several, at)
	})
	if count != 1 {
		n.many = append(n.many, several)
		it.number = -int32(len(n.many))
	}
}

// keys are what an item counts as.
func keys(c *Correlation, it *Entry, visit func(string)) {
	switch c.Type {
	case "event_count":
		if it.closing != nil {
			visit(c.Rules[it.order] + "\x00" + it.Of.Key()) // a closing is no record: it counts beside the one that closed it
		} else {
			visit(it.Of.Key())
		}
	case "value_count":
		it.counted(visit)
	case "value_sum", "value_avg":
		for _, value := range it.Values() {
			visit(value)
		}
	case "temporal":
		visit(c.Rules[it.order])
	}
}

// tally counts what a window holds while it slides.
type tally struct {
	c        *Correlation
	numbers  *numbers
	held     []int32 // how many items have a number
	distinct int
	amounts  amounts

	// Of temporal_ordered: the latest time at which a chain began that has so many links (less one) and ends with a
	// rule. A later beginning serves every later window better, so nothing need be taken back.
	chains [][]int64 // never where there is none
}

const never = math.MinInt64

func newTally(c *Correlation) tally {
	t := tally{c: c}
	if c.Type == "temporal_ordered" {
		for range c.Rules {
			t.chains = append(t.chains, make([]int64, len(c.Rules)))
		}
	}
	return t
}

// begin makes it the tally of an empty window.
func (t *tally) begin(n *numbers) {
	t.numbers, t.distinct, t.amounts = n, 0, amounts{}
	clear(t.held)
	t.held = t.held[:0]
	for _, of := range t.chains {
		for links := range of {
			of[links] = never
		}
	}
}

// add takes items in the order of time and, within a time, of their rules.
func (t *tally) add(it *Entry) {
	if t.chains != nil {
		t.link(it)
		return
	}
	if t.numbers.number(t.c, it); it.number > 0 {
		t.one(it.number)
		return
	}
	for _, n := range t.numbers.many[-it.number-1] {
		t.one(n)
	}
}

func (t *tally) one(n int32) {
	if t.c.sums() {
		t.amounts.add(t.numbers.amounts[n-1])
		return
	}
	for int(n) >= len(t.held) {
		t.held = append(t.held, 0)
	}
	if t.held[n]++; t.held[n] == 1 {
		t.distinct++
	}
}

func (t *tally) link(it *Entry) {
	rule := it.order
	t.chains[rule][0] = it.time
	for before := range rule {
		for links, began := range t.chains[before][:len(t.chains)-1] {
			if began > t.chains[rule][links+1] {
				t.chains[rule][links+1] = began
			}
		}
	}
}

func (t *tally) drop(it *Entry) {
	switch {
	case t.chains != nil: // it began before the window opens, which count knows
	case it.number > 0:
		t.less(it.number)
	default:
		for _, n := range t.numbers.many[-it.number-1] {
			t.less(n)
		}
	}
}

func (t *tally) less(n int32) {
	if t.c.sums() {
		t.amounts.less(t.numbers.amounts[n-1])
		return
	}
	if t.held[n]--; t.held[n] == 0 {
		t.distinct--
	}
}

// meets says whether a window that opens after a time meets the condition.
func (t *tally) meets(opens int64) bool {
	if t.c.sums() {
		return t.amounts.meets(t.c)
	}
	return t.c.Range.Holds(t.count(opens))
}

// count is what the condition is about, but of sums.
func (t *tally) count(opens int64) int {
	if t.chains == nil {
		return t.distinct
	}
	most := 0
	for _, of := range t.chains {
		for links, began := range of {
			if began > opens {
				most = max(most, links+1)
			}
		}
	}
	return most
}
