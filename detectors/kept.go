package detectors

import (
	"math"
	"time"

	"cordon/detectors/sigma"
	"cordon/internal/directory"
)

// kept is what the engine keeps of a record: that a window holds it, that it proves a finding, or that a fuller
// revision of it was seen. There are a million of them: they are small.
type kept struct {
	id      string
	time    int64  // nanoseconds since 1970
	said    string // what findings will tell of it (saying.go); "" while no correlation holds it
	singles *single
	held    []held
	bucket  *bucket
	// fullest are the bytes of the fullest revision of a privileged principal's record: revisions come in any order, above
	// all after a restart, and the poorer one must not raise what the fuller one has contradicted. Those of privileged
	// principals are kept alone: they are few, and theirs are the absences that prove something.
	fullest    int32
	mark       uint32 // the round of gathering that took it
	sum        uint64 // its part of a set
	suppressed []suppression
}

// held is the record as an item of a correlation.
type held struct {
	by   *inlet
	item *sigma.Item
}

// know is what is kept of the event's record, from now on if nothing was.
func (e *Engine) know(k *kept, v *event) *kept {
	if k != nil {
		return k
	}
	k = &kept{id: v.ID, time: v.Time.UnixNano(), sum: hash(v.ID)}
	e.records[k.id] = k
	e.buckets.put(k)
	return k
}

// suspects names the rules that hold the record for want of a field: a revision may contradict them.
func (k *kept) suspects(visit func(rule int)) {
	for s := k.singles; s != nil; s = s.next {
		if s.unconfirmed {
			visit(s.rule)
		}
	}
	for _, h := range k.held {
		if h.item.Unconfirmed {
			visit(h.by.rule)
		}
	}
}

// item is the record as it stands in a correlation under a rule.
func (k *kept) item(by *inlet) *sigma.Item {
	if k == nil {
		return nil
	}
	for _, h := range k.held {
		if h.by == by {
			return h.item
		}
	}
	return nil
}

func (k *kept) hold(by *inlet, it *sigma.Item) {
	for i := range k.held {
		if k.held[i].by == by {
			k.held[i].item = it
			return
		}
	}
	k.held = append(k.held, held{by, it})
}

// bucketSize is how many things a bucket of state holds: what is written to a snapshot is the buckets that changed.
const bucketSize = 256

// bucket is a part of the engine's state, as snapshots keep it.
type bucket struct {
	number   int
	changed  bool
	left     int   // of what it holds, still there
	earliest int64 // no record or finding of it is of an earlier time
	known    []*kept
	slots    []*slot
	facts    []directory.Fact
}

// slotWeight is how many records a finding of a correlation counts as: it carries the proof of fifty.
const slotWeight = 16

func (b *bucket) weight() int { return len(b.known) + slotWeight*len(b.slots) + len(b.facts) }

// buckets fill one after the other.
type buckets struct {
	all     []*bucket // by number
	free    []int     // numbers that are empty
	filling *bucket
	changed int
	newest  time.Time // of the facts
}

func newBucket(number int) *bucket { return &bucket{number: number, earliest: math.MaxInt64} }

// discard has the next snapshot empty buckets of one that is not used.
func (b *buckets) discard(old map[int][]byte) {
	for number, bytes := range old {
		if b.upTo(number); len(bytes) > 0 {
			b.mark(b.all[number])
		}
	}
	for _, at := range b.all {
		b.free = append(b.free, at.number)
	}
}

func (b *buckets) next() *bucket {
	if b.filling != nil && b.filling.weight() < bucketSize {
		return b.filling
	}
	if n := len(b.free); n > 0 {
		b.filling, b.free = b.all[b.free[n-1]], b.free[:n-1]
		return b.filling
	}
	b.filling = newBucket(len(b.all))
	b.all = append(b.all, b.filling)
	return b.filling
}

func (b *buckets) put(k *kept) {
	k.bucket = b.next()
	k.bucket.known = append(k.bucket.known, k)
	k.bucket.left++
	k.bucket.holds(k.time)
	b.mark(k.bucket)
}

func (b *buckets) putSlot(s *slot) {
	s.bucket = b.next()
	s.bucket.slots = append(s.bucket.slots, s)
	s.bucket.left++
	b.mark(s.bucket)
}

func (b *bucket) holds(at int64) { b.earliest = min(b.earliest, at) }

func (b *buckets) learnt(facts []directory.Fact) {
	for _, f := range facts {
		if f.At.After(b.newest) {
			b.newest = f.At
		}
	}
	at := b.next()
	at.facts = append(at.facts, facts...)
	at.left += len(facts)
	b.mark(at)
}

func (b *buckets) mark(at *bucket) {
	if !at.changed {
		at.changed = true
		b.changed++
	}
}

func (b *buckets) touch(k *kept) { b.mark(k.bucket) }

// gone takes note that one thing in a bucket is no more; an empty bucket is used again.
func (b *buckets) gone(at *bucket) {
	b.mark(at)
	if at.left--; at.left > 0 || at == b.filling {
		return
	}
	at.known, at.slots, at.facts, at.earliest = nil, nil, nil, math.MaxInt64
	b.free = append(b.free, at.number)
}
