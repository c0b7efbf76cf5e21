package sigma

import (
	"math/bits"

	"cordon/internal/record"
)

// Index tells which of many rules a record may concern, by their triggers: the cost of a record hardly grows with the
// rules. It does not change once it is made.
type Index struct {
	words  int // of a set of rules
	always []uint64
	slots  []indexed
	record *scanner // for what may stand anywhere
}

// indexed are the triggers in one slot.
type indexed struct {
	slot   int
	wholes wholes
	parts  *scanner // nil where there is none
	rules  []int32
}

// Holder is a record as an Index looks at it.
type Holder interface {
	// Slot is what it holds in a slot, which is a field as several rules read it.
	Slot(i int) record.Values
	Each(visit func(value string) bool)
	// Plain is all of the record's text where every value stands in it as it is, in ASCII.
	Plain() (text []byte, plain bool)
}

// NewIndex indexes rules; slot tells where a field of one of them is read. Rules that are inactive are never named.
func NewIndex(rules []*Rule, slot func(rule, field int) int) *Index {
	x := &Index{words: (len(rules) + 63) / 64}
	x.always = make([]uint64, x.words)

	// A field in which rules ask for many different texts tells records apart better than one that has few.
	texts := map[int]map[string]bool{}
	for i, r := range rules {
		for _, t := range r.clauses {
			n, ok := t.need()
			if !ok || t.Keywords {
				continue
			}
			at := slot(i, n.field)
			if texts[at] == nil {
				texts[at] = map[string]bool{}
			}
			for _, text := range append(n.wholes, n.parts...) {
				texts[at][text] = true
			}
		}
	}
	at := map[int]*building{}
	anywhere := newBuilding()
	for i, r := range rules {
		if len(r.unset) > 0 || r.match == nil {
			continue
		}
		t, ok := triggerOf(r.match, func(n need) int {
			switch {
			case n.field == wholeRecord:
				return 0
			case len(n.parts) > 0: // all of the value is looked through for it
				return 1 + len(texts[slot(i, n.field)])/4
			}
			return 1 + len(texts[slot(i, n.field)])
		})
		if !ok {
			x.always[i/64] |= 1 << (i % 64)
			continue
		}
		for _, n := range t {
			b := anywhere
			if n.field != wholeRecord {
				s := slot(i, n.field)
				if at[s] == nil {
					at[s] = newBuilding()
				}
				b = at[s]
			}
			b.add(int32(i), n)
		}
	}
	for s, b := range at {
		x.slots = append(x.slots, b.indexed(s))
	}
	if len(anywhere.parts) > 0 {
		x.record = newScanner(anywhere.parts)
	}
	return x
}

type building struct {
	wholes, parts map[string][]int32
	rules         []int32
}

func newBuilding() *building {
	return &building{wholes: map[string][]int32{}, parts: map[string][]int32{}}
}

func (b *building) add(rule int32, n need) {
	put := func(to map[string][]int32, text string) {
		if have := to[text]; len(have) == 0 || have[len(have)-1] != rule {
			to[text] = append(have, rule)
		}
	}
	for _, text := range n.wholes {
		put(b.wholes, text)
	}
	for _, text := range n.parts {
		put(b.parts, text)
	}
	if len(b.rules) == 0 || b.rules[len(b.rules)-1] != rule {
		b.rules = append(b.rules, rule)
	}
}

func (b *building) indexed(slot int) indexed {
	out := indexed{slot: slot, rules: b.rules}
	for text, rules := range b.wholes {
		out.wholes.add(text, rules)
	}
	if len(b.parts) > 0 {
		out.parts = newScanner(b.parts)
	}
	return out
}

// wholes are texts by their length: of most lengths there are so few that they are compared one by one.
type wholes struct {
	few     [][]entire
	many    map[string][]int32 // those that are too many of a length, or too long
	longest int                // bytes of the longest of all
}

type entire struct {
	text  string
	rules []int32
}

const (
	fewOfALength = 8
	longWhole    = 256
)

func (w *wholes) add(text string, rules []int32) {
	n := len(text)
	w.longest = max(w.longest, n)
	if n < longWhole {
		for len(w.few) <= n {
			w.few = append(w.few, nil)
		}
		if len(w.few[n]) < fewOfALength {
			w.few[n] = append(w.few[n], entire{text, rules})
			return
		}
	}
	if w.many == nil {
		w.many = map[string][]int32{}
	}
	w.many[text] = rules
}

// has says that there may be texts of so many bytes.
func (w *wholes) has(n int) bool {
	if n < longWhole {
		return n < len(w.few) && w.few[n] != nil
	}
	return n <= w.longest
}

// rules are those that wait for a text.
func (w *wholes) rules(text []byte) []int32 {
	if n := len(text); n < len(w.few) {
		for i := range w.few[n] {
			if one := &w.few[n][i]; one.text == string(text) {
				return one.rules
			}
		}
	}
	return w.many[string(text)]
}

// Candidates is a set of rules, used for one record after another.
type Candidates struct {
	set  []uint64
	text []byte
	scan *scanner
	hit  func([]int32)
	each func(string) bool
}

// NewCandidates returns an empty set.
func NewCandidates() *Candidates {
	c := &Candidates{}
	c.hit = c.add // made once: a closure for each record would be an allocation for each
	c.each = c.look
	return c
}

func (c *Candidates) add(rules []int32) {
	for _, r := range rules {
		c.set[r/64] |= 1 << (r % 64)
	}
}

func (c *Candidates) look(value string) bool {
	if len(value) >= c.scan.least {
		c.text = fold(c.text[:0], value)
		c.scan.find(c.text, c.hit)
	}
	return true
}

// Find makes of c the rules that a record may concern.
func (x *Index) Find(h Holder, c *Candidates) {
	if cap(c.set) < x.words {
		c.set = make([]uint64, x.words)
	}
	c.set = c.set[:x.words]
	copy(c.set, x.always)
	for i := range x.slots {
		at := &x.slots[i]
		values := h.Slot(at.slot)
		if values.Unknown {
			c.add(at.rules)
			continue
		}
		for _, v := range values.List {
			if v == "" {
				continue
			}
			if at.parts == nil && (len(v) > widest*at.wholes.longest || !at.wholes.has(len(v)) && record.ASCII(v)) {
				continue // in small letters too it is longer or shorter than any
			}
			c.text = fold(c.text[:0], v)
			if at.wholes.has(len(c.text)) {
				c.add(at.wholes.rules(c.text))
			}
			if at.parts != nil {
				at.parts.find(c.text, c.hit)
			}
		}
	}
	if x.record == nil {
		return
	}
	c.scan = x.record
	if text, plain := h.Plain(); plain { // what it finds between two values is one rule looked at too many
		c.scan.find(text, c.hit)
		return
	}
	h.Each(c.each)
}

// Also adds a rule to the set.
func (c *Candidates) Also(rule int) { c.set[rule/64] |= 1 << (rule % 64) }

// Next is the first rule of the set that is not before i, -1 where there is none.
func (c *Candidates) Next(i int) int {
	for w := i / 64; w < len(c.set); w++ {
		word := c.set[w]
		if w == i/64 {
			word &= ^uint64(0) << (i % 64)
		}
		if word != 0 {
			return w*64 + bits.TrailingZeros64(word)
		}
	}
	return -1
}
