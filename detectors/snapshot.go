package detectors

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cordon/internal/directory"
	"cordon/internal/finding"
)

// edition is that of the form in which state is kept; another one's is not read.
const edition = 3

// factsFor is how long a role that an audit record gave or took is remembered: as long as LOGS keeps the record.
const factsFor = 35 * 24 * time.Hour

// save packs what has changed since it was last called: the head, and the buckets by number. A bucket that is empty
// has no bytes.
func (e *Engine) save() (head []byte, changed map[int][]byte) {
	w := &writer{}
	w.number(edition)
	w.signed(e.forgotten.Unix())
	digests := e.digests()
	w.number(uint64(len(digests)))
	for _, name := range slices.Sorted(maps.Keys(digests)) {
		w.text(name)
		w.text(digests[name])
	}
	w.number(uint64(len(e.tenants)))
	for _, lower := range slices.Sorted(maps.Keys(e.tenants)) {
		w.text(lower)
		w.text(e.tenants[lower])
	}
	w.number(uint64(len(e.correlations)))
	for i, c := range e.correlations {
		w.text(c.rule.Name)
		passed := e.windows[i].Passed()
		w.number(uint64(len(passed)))
		for _, tenant := range slices.Sorted(maps.Keys(passed)) {
			w.text(tenant)
			w.signed(passed[tenant].Unix())
			w.number(uint64(passed[tenant].Nanosecond()))
		}
	}
	w.number(uint64(len(e.suppressed)))
	for _, by := range slices.SortedFunc(maps.Keys(e.suppressed), func(a, b SuppressedBy) int {
		return cmp.Or(strings.Compare(a.Rule, b.Rule), strings.Compare(a.Exception, b.Exception))
	}) {
		w.text(by.Rule)
		w.text(by.Exception)
		w.number(uint64(e.suppressed[by]))
	}
	w.number(uint64(len(e.silenced)))
	for _, name := range slices.Sorted(maps.Keys(e.silenced)) {
		w.text(name)
		w.number(uint64(e.silenced[name]))
	}
	changed = map[int][]byte{}
	var todo []*bucket
	for _, b := range e.buckets.all {
		if b.changed {
			todo = append(todo, b)
		}
	}
	for len(todo) > 0 {
		b := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if bytes := e.packBucket(b); len(bytes) > largestBucket && b.left > 1 {
			todo = append(todo, b, e.buckets.split(b))
		} else {
			changed[b.number], b.changed = bytes, false
		}
	}
	e.buckets.changed = 0
	return w.bytes, changed
}

func (e *Engine) packBucket(b *bucket) []byte {
	w := &writer{}
	b.known = slices.DeleteFunc(b.known, func(k *kept) bool { return !e.records.Has(k) })
	b.slots = slices.DeleteFunc(b.slots, func(s *slot) bool { return e.slots[s.finding.ID] != s })
	old := len(b.facts)
	b.facts = slices.DeleteFunc(b.facts, func(f directory.Fact) bool { return e.buckets.newest.Sub(f.At) > factsFor })
	b.left -= old - len(b.facts)
	if len(b.known)+len(b.slots)+len(b.facts) == 0 {
		return nil
	}
	w.texts(b.phrases)
	w.number(uint64(len(b.known)))
	for _, k := range b.known {
		e.packKnown(w, k)
	}
	w.number(uint64(len(b.slots)))
	for _, s := range b.slots {
		w.name(s.rule.rule.Name)
		w.text(s.made.String())
		w.text(packJSON(s.finding))
		w.number(uint64(s.records.count))
		w.number(s.records.sum)
		w.number(uint64(s.extra))
		w.flag(s.settled)
		w.flag(e.changed[s]) // looked at, and not flushed: nobody has published it yet
	}
	w.text(packJSON(b.facts))
	return w.bytes
}

// packJSON is for what is rare and has many parts. Findings and facts are texts, numbers and times: they can be encoded.
func packJSON(v any) string {
	data, _ := json.Marshal(v)
	return string(data)
}

func (e *Engine) packKnown(w *writer, k *kept) {
	w.name(k.origin.text)
	w.text(k.rest())
	w.signed(k.time)
	w.text(k.said())
	w.number(uint64(k.fullest))
	e.packItems(w, k)
	n := 0
	for s := k.singles; s != nil; s = s.next {
		n++
	}
	w.number(uint64(n))
	for s := k.singles; s != nil; s = s.next {
		w.name(e.rules[s.rule].Name)
		w.text(s.packed)
		w.number(uint64(s.revision))
		w.flag(s.unconfirmed)
		w.text(s.withdrawn, "", contradicted)
		w.number(uint64(len(s.sums)))
		for _, sum := range s.sums {
			w.number(sum)
		}
		w.number(uint64(s.size))
		w.flag(s.settled)
		w.texts(s.unread)
	}
	n = 0
	for s := k.suppressed; s != nil; s = s.next {
		n++
	}
	w.number(uint64(n))
	for s := k.suppressed; s != nil; s = s.next {
		w.name(e.rules[s.rule].Name)
		w.name(s.by)
		w.number(uint64(s.size))
	}
}

// load takes over what save packed, in an engine that has seen nothing yet. same is false where other rules packed it:
// what rests on a rule that says something else now is left out, and records must be looked at again as far back as
// windows go.
func (e *Engine) load(head []byte, buckets map[int][]byte) (same bool, err error) {
	r := &reader{bytes: string(head)}
	if is := r.number(); r.err == nil && is != edition {
		return false, fmt.Errorf("reading the state: it is edition %d, this Cordon reads %d", is, edition)
	}
	forgotten := time.Unix(r.signed(), 0).UTC()
	before, now := map[string]string{}, e.digests()
	for range r.count() {
		name := r.text()
		before[name] = r.text()
	}
	if forgotten.Year() > 1 && maps.Equal(before, now) { // other rules may reach further back, and are told it again
		e.Forget(forgotten)
	}
	for range r.count() {
		lower := r.text()
		e.tenants[lower] = r.text()
	}
	for range r.count() {
		name := r.text()
		passed := map[string]time.Time{}
		for range r.count() {
			tenant := r.text()
			passed[tenant] = time.Unix(r.signed(), int64(r.number())).UTC()
		}
		if c := e.correlation(name); c != nil && before[name] == now[name] {
			for tenant, mark := range passed {
				e.windows[c.at].PassTo(tenant, mark)
			}
		}
	}
	for range r.count() {
		by := SuppressedBy{r.text(), r.text()}
		e.suppressed[by] = int(r.number())
	}
	for range r.count() {
		name := r.text()
		e.silenced[name] = int(r.number())
	}
	e.edited = map[place][]*slot{}
	unchanged := func(name string) bool { d, ok := now[name]; return ok && before[name] == d }
	for _, number := range slices.Sorted(maps.Keys(buckets)) {
		if r.err != nil {
			break
		}
		e.buckets.upTo(number)
		if len(buckets[number]) > 0 {
			r.bytes, r.names = string(buckets[number]), nil
			e.buckets.all[number].bytes = len(r.bytes)
			e.loadBucket(r, e.buckets.all[number], unchanged)
		}
	}
	if r.err != nil {
		return false, fmt.Errorf("reading the state: %w", r.err)
	}
	e.buckets.loaded()
	for made := range e.made { // also where nothing stands any more, which nobody has been told
		if len(e.edited[made]) == 0 {
			e.windows[made.of.at].Touch(made.group, made.number)
		}
	}
	return maps.Equal(before, now), nil
}

func (p *Plan) correlation(name string) *correlation {
	for _, c := range p.correlations {
		if c.rule.Name == name {
			return c
		}
	}
	return nil
}

func (e *Engine) loadBucket(r *reader, b *bucket, unchanged func(name string) bool) {
	for range r.count() {
		b.phrases = append(b.phrases, strings.Clone(r.text()))
	}
	for range r.count() {
		k := e.loadKnown(r, unchanged)
		if r.err != nil {
			return
		}
		k.bucket = b
		b.known = append(b.known, k)
		b.holds(k.time)
	}
	for range r.count() {
		s := &slot{rule: e.correlation(r.name()), bucket: b}
		made := r.text()
		unpackJSON(r, &s.finding)
		s.records = set{int(r.number()), r.number()}
		s.extra, s.settled = int(r.number()), r.flag()
		changed := r.flag()
		if r.err != nil || s.rule == nil {
			continue
		}
		var ok bool
		if s.made, ok = s.rule.placeFrom(made); !ok {
			r.fail()
			return
		}
		b.slots = append(b.slots, s)
		b.holds(s.finding.Time.UnixNano())
		e.slots[s.finding.ID] = s
		if changed {
			e.changed[s] = true
		}
		same := unchanged(s.rule.rule.Name)
		if s.finding.Withdrawn != "" || !same && !s.finding.Unconfirmed {
			continue
		}
		if e.made[s.made] = append(e.made[s.made], s.finding.ID); same {
			e.watchSlot(s)
		} else {
			e.edited[s.made] = append(e.edited[s.made], s)
		}
	}
	unpackJSON(r, &b.facts)
	b.left = len(b.known) + len(b.slots) + len(b.facts)
	for _, f := range b.facts {
		e.facts.add(f)
		if f.At.After(e.buckets.newest) {
			e.buckets.newest = f.At
		}
	}
	e.directory.Learn(b.facts)
}

func unpackJSON(r *reader, into any) {
	text := r.text()
	if r.err == nil {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			r.err = err
		}
	}
}

func (e *Engine) loadKnown(r *reader, unchanged func(name string) bool) *kept {
	k := e.keep(r.name()+r.text(), r.signed())
	k.text += r.text()
	k.fullest = int32(r.number())
	e.loadItems(r, k, unchanged)
	for range r.count() {
		name := r.name()
		s := &single{of: k}
		s.packed, s.revision, s.unconfirmed, s.withdrawn = r.text(), int(r.number()), r.flag(), r.text("", contradicted)
		for range r.count() {
			s.sums = append(s.sums, r.number())
		}
		s.size, s.settled, s.unread = int(r.number()), r.flag(), r.texts()
		place, ok := e.places[name]
		if r.err != nil || !ok {
			continue
		}
		s.rule, s.next, k.singles = place, k.singles, s
		f := finding.Finding{Rule: name, Unconfirmed: s.unconfirmed, Withdrawn: s.withdrawn}
		inner := &reader{bytes: s.packed}
		if e.unpack(inner, &f); inner.err != nil {
			r.fail()
			continue
		}
		e.watch(s, &f)
	}
	for range r.count() {
		rule, by, size := r.name(), r.name(), int32(r.number())
		if place, ok := e.places[rule]; ok {
			if !unchanged(rule) {
				size = 0 // it is asked again, and not counted again
			}
			k.suppressed = &suppression{place, by, size, k.suppressed}
		}
	}
	return k
}

// upTo makes room for a bucket of this number.
func (b *buckets) upTo(number int) {
	for len(b.all) <= number {
		b.all = append(b.all, newBucket(len(b.all)))
	}
}

// loaded makes the empty buckets free and fills the last that is not full.
func (b *buckets) loaded() {
	for _, at := range b.all {
		switch {
		case at.left == 0:
			b.free = append(b.free, at.number)
		case at.left < bucketSize:
			b.filling = at
		}
	}
}
