package sigma

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"cordon/detectors/packed"
)

// Record is what a caller keeps of a record.
type Record interface {
	Key() string              // is another record's if and only if the two are the same
	Compare(other Record) int // is the order of their ids
}

// Item is a record that a rule of a correlation matched, or the closing of a window of a correlation that another
// one refers to.
type Item struct {
	Of          Record // the same again replaces the item
	By          int32  // the caller's: how the record came
	Time        time.Time
	Rule        string
	Values      []string // of the field that is counted
	Fields      []string // what correlations above group by and count, in the order of their caller
	Unconfirmed bool     // it matched for want of a field
	Size        int32    // a revision that says less replaces nothing
	closing     *closing
}

// Entry is an item as it stands in a group. There are a million of them: they are small.
type Entry struct {
	Of      Record
	Next    *Entry // the caller's: of the same record
	By      int32
	Size    int32
	time    int64    // nanoseconds since 1970
	packed  string   // values and fields
	group   *group   // that it stands in; nil once it is gone
	closing *closing // nil of a record
	number  int32    // what it counts as (tally.go); 0 while nobody has asked
	order   int16    // of its rule in the correlation

	Unconfirmed bool
	told        told // as what correlations above know it
}

// closing is the window that an item is the closing of.
type closing struct {
	window *window
	by     *Entry // one record may close windows of several groups, and under several rules
}

// window is (from, to] of the items of a group.
type window struct {
	of       *group
	from, to int64
}

// told says whether a window that meets the condition closes with an item.
type told uint8

const (
	closesNone told = iota
	closesUnconfirmed
	closes
)

// Group is where items are counted apart from others.
type Group struct{ Tenant, Key string }

// Group is where the item is counted; ok is false once it has been replaced or removed.
func (it *Entry) Group() (key Group, ok bool) {
	if it.group == nil {
		return Group{}, false
	}
	return it.group.name(), true
}

// Rule is the place of the item's rule among those of the correlation.
func (it *Entry) Rule() int { return int(it.order) }

// Values are those of the field that is counted. They and the fields are asked of an item that stands in a group.
func (it *Entry) Values() []string {
	values, _ := it.texts(it.key())
	return values
}

// Fields are what correlations above group by and count.
func (it *Entry) Fields() []string {
	_, fields := it.texts(it.key())
	return fields
}

// key is that of the group, which the texts are packed with.
func (it *Entry) key() string {
	group, _ := it.Group()
	return group.Key
}

// pack appends an item's values and fields. Most that is asked of a record above is what it is grouped by.
func (it *Item) pack(to []byte, key string) []byte {
	if len(it.Values)+len(it.Fields) == 0 {
		return to
	}
	to = binary.AppendUvarint(to, uint64(len(it.Values)))
	for _, s := range it.Values {
		to = packed.Text(to, s)
	}
	for _, s := range it.Fields {
		to = packed.Text(to, s, key)
	}
	return to
}

func (it *Entry) texts(key string) (values, fields []string) {
	var s string
	n, rest, _ := packed.CutNumber(it.packed)
	for range n {
		s, rest, _ = packed.CutText(rest)
		values = append(values, s)
	}
	for rest != "" {
		s, rest, _ = packed.CutText(rest, key)
		fields = append(fields, s)
	}
	return values, fields
}

// counted are the values, whatever their case.
func (it *Entry) counted(visit func(string)) {
	var key string
	n, rest, _ := packed.CutNumber(it.packed)
	for range n {
		if key, rest, _ = packed.CutKey(rest); key != "" {
			visit(key)
		}
	}
}

// itemKey tells items of a correlation apart.
type itemKey struct {
	of   string
	rule int16
	by   *Entry // what closes the window, of a closing
}

func keyOf(of Record, rule int16, closes *closing) itemKey {
	key := itemKey{of: of.Key(), rule: rule}
	if closes != nil {
		key.by = closes.by
	}
	return key
}

// same says that an item is there already, word for word.
func (it *Entry) same(key Group, other *Item, texts []byte) bool {
	return it.time == other.Time.UnixNano() && it.Size == other.Size && it.Unconfirmed == other.Unconfirmed &&
		it.closing == nil && other.closing == nil && it.packed == string(texts) && it.group.name() == key
}

// group are the items of one group. There are as many as principals: what few of them need stands in the Correlator.
type group struct {
	tenant  *tenant
	key     string   // packed, behind the tenant's number
	items   []*Entry // by time, rule and id once tidy
	only    [1]*Entry
	untidy  bool
	touched *touched // since it was looked at; nil if nothing was
}

// tenant is one whose records the correlator has seen.
type tenant struct {
	name   string
	number uint64
}

// Key tells groups of one correlation apart.
func (g *group) Key() string { return g.key }

func (g *group) name() Group {
	_, rest, _ := packed.CutNumber(g.key)
	key, _, _ := packed.CutText(rest)
	return Group{g.tenant.name, key}
}

// group is the one of this name, made if there is none.
func (c *Correlator) group(name Group) *group {
	t := c.tenants[name.Tenant]
	if t == nil {
		t = &tenant{strings.Clone(name.Tenant), uint64(len(c.tenants))}
		c.tenants[t.name] = t
	}
	c.key = packed.Text(binary.AppendUvarint(c.key[:0], t.number), name.Key)
	g := c.groups.Get(c.key)
	if g == nil {
		g = &group{tenant: t, key: string(c.key)}
		g.items = g.only[:0]
		c.groups.Put(g)
	}
	return g
}

// leave has a group be no more.
func (c *Correlator) leave(g *group) {
	c.groups.Delete(g.key)
	c.looked(g)
	delete(c.waiting, g)
	delete(c.gone, g)
	delete(c.crowds, g)
}

func (g *group) tidy() {
	if !g.untidy {
		return
	}
	g.items = slices.DeleteFunc(g.items, func(it *Entry) bool { return it.group == nil })
	slices.SortFunc(g.items, compareItems)
	g.untidy = false
}
