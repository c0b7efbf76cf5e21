package detectors

import (
	"encoding/binary"
	"strings"
	"time"

	"cordon/detectors/packed"
	"cordon/detectors/sigma"
)

// kept is what the engine keeps of a record: that a window holds it, that it proves a finding, or that a fuller
// revision of it was seen. There are a million of them: they are small.
type kept struct {
	text    string  // its key, and what findings will tell of it (saying.go) once a correlation has held it
	origin  *origin // what its id begins with
	time    int64   // nanoseconds since 1970
	singles *single
	held    *sigma.Entry // the record as an item of correlations, one after the other
	bucket  *bucket
	// fullest are the bytes of the fullest revision of a privileged principal's record: revisions come in any order, above
	// all after a restart, and the poorer one must not raise what the fuller one has contradicted. Those of privileged
	// principals are kept alone: they are few, and theirs are the absences that prove something.
	fullest    int32
	mark       uint32 // the round of gathering that took it
	key        uint32 // how long its key is
	sum        uint64 // its part of a set, 0 while no correlation holds it
	suppressed *suppression
}

// origin is what the ids of many records begin with: the tenant and the category, as ids spell them.
type origin struct {
	text             string // with the slashes
	number           uint64
	tenant, category string
}

// origins of the records that an engine has known.
type origins struct {
	by     map[string]*origin
	recent [8]*origin // that were asked for: the next is one of them, as a rule
}

// guess is where among the recent ones that of an id stands: two letters tell categories apart, where the tenant is a GUID.
func guess(id string) int {
	const category = len("00000000-0000-0000-0000-000000000000/")
	if len(id) < category+6 {
		return 0
	}
	return int(id[category]+id[category+5]) % len(origins{}.recent)
}

// split finds the origin of an id, nil where no record of it was known, and how long it is.
func (o *origins) split(id string) (*origin, int) {
	recent := &o.recent[guess(id)]
	if was := *recent; was != nil && was.category != "" && strings.HasPrefix(id, was.text) {
		return was, len(was.text)
	}
	at := strings.IndexByte(id, '/') + 1
	at += strings.IndexByte(id[at:], '/') + 1
	if is := o.by[id[:at]]; is != nil {
		*recent = is
		return is, at
	}
	return nil, at
}

func (o *origins) of(id string) (*origin, int) {
	is, at := o.split(id)
	if is == nil {
		text := strings.Clone(id[:at])
		tenant, category, _ := strings.Cut(strings.TrimSuffix(text, "/"), "/")
		is = &origin{text, uint64(len(o.by)), tenant, category}
		o.by[text] = is
	}
	return is, at
}

// appendKey is what the engine knows a record by: its id in few bytes.
func (o *origin) appendKey(to []byte, rest string) []byte {
	return packed.Text(binary.AppendUvarint(to, o.number), rest)
}

// known is what is kept of the record of this id, nil if nothing is.
func (e *Engine) known(id string) *kept {
	if e.records.Len() == 0 {
		return nil
	}
	from, at := e.origins.split(id)
	if from == nil {
		return nil
	}
	e.packed = from.appendKey(e.packed[:0], id[at:])
	return e.records.Get(e.packed)
}

// keep begins to keep something of the record of this id.
func (e *Engine) keep(id string, time int64) *kept {
	from, at := e.origins.of(id)
	e.packed = from.appendKey(e.packed[:0], id[at:])
	k := e.kepts.One()
	*k = kept{text: e.texts.Keep(e.packed), key: uint32(len(e.packed)), origin: from, time: time}
	e.records.Put(k)
	return k
}

// know is what is kept of the event's record, from now on if nothing was.
func (e *Engine) know(k *kept, v *event) *kept {
	if k == nil {
		k = e.keep(v.ID, v.Time.UnixNano())
		e.buckets.put(k)
	}
	return k
}

// Key tells records of one engine apart.
func (k *kept) Key() string { return k.text[:k.key] }

// said is what findings will tell of the record, packed; "" while no correlation holds it.
func (k *kept) said() string { return k.text[k.key:] }

// rest is what follows the origin in the record's id.
func (k *kept) rest() string {
	_, text, _ := packed.CutNumber(k.text)
	rest, _, _ := packed.CutText(text)
	return rest
}

func (k *kept) id() string { return k.origin.text + k.rest() }

// Compare orders records by their ids.
func (k *kept) Compare(other sigma.Record) int {
	o, _ := other.(*kept)
	if k.origin != o.origin {
		return strings.Compare(k.id(), o.id())
	}
	_, a, _ := packed.CutNumber(k.text)
	_, b, _ := packed.CutNumber(o.text)
	return packed.Compare(a, b)
}

// suspects names the rules that hold the record for want of a field: a revision may contradict them. Where it is looked at
// again, they are all that hold it.
func (e *Engine) suspects(k *kept, visit func(rule int)) {
	for s := k.singles; s != nil; s = s.next {
		if s.unconfirmed || e.again {
			visit(s.rule)
		}
	}
	for it := k.held; it != nil; it = it.Next {
		if it.Unconfirmed || e.again {
			visit(e.ways[it.By].rule)
		}
	}
}

// item is the record as it stands in a correlation under a rule.
func (k *kept) item(by *inlet) *sigma.Entry {
	if k == nil {
		return nil
	}
	for it := k.held; it != nil; it = it.Next {
		if it.By == by.number {
			return it
		}
	}
	return nil
}

// hold has the record of this id be an item.
func (k *kept) hold(it *sigma.Entry, id string) {
	if k.sum == 0 {
		k.sum = hash(id)
	}
	at := &k.held
	for *at != nil && (*at).By != it.By {
		at = &(*at).Next
	}
	if *at != nil {
		it.Next = (*at).Next
	}
	*at = it
}

// packItems puts into a snapshot how correlations hold a record.
func (e *Engine) packItems(w *writer, k *kept) {
	n := 0
	for it := k.held; it != nil; it = it.Next {
		if _, there := it.Group(); there {
			n++
		}
	}
	w.number(uint64(n))
	for it := k.held; it != nil; it = it.Next {
		group, there := it.Group()
		if !there {
			continue
		}
		by := e.ways[it.By]
		w.name(by.to.rule.Name)
		w.name(e.rules[by.rule].Name)
		w.name(group.Tenant)
		w.text(group.Key)
		w.texts(it.Values())
		w.texts(it.Fields())
		w.flag(it.Unconfirmed)
		w.number(uint64(it.Size))
	}
}

// loadItems takes over what packItems put there, but for what rests on rules that have changed.
func (e *Engine) loadItems(r *reader, k *kept, unchanged func(name string) bool) {
	for range r.count() {
		correlation, rule, tenant, key := r.name(), r.name(), r.name(), r.text()
		it := sigma.Item{Of: k, Time: time.Unix(0, k.time).UTC(), Rule: rule, Values: r.texts(), Fields: r.texts(), Unconfirmed: r.flag(), Size: int32(r.number())}
		place, ok := e.places[rule]
		if r.err != nil || !ok || !unchanged(rule) || !unchanged(correlation) {
			continue
		}
		for _, f := range e.inlets[place] {
			if f.to.rule.Name == correlation {
				it.By = f.number
				now, _ := e.windows[f.to.at].Put(nil, sigma.Group{Tenant: e.tenant(tenant), Key: key}, it)
				k.hold(now, k.id())
			}
		}
	}
}
