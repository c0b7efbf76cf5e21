package detectors

import (
	"math"
	"slices"
	"time"

	"cordon/internal/directory"
)

// bucketSize is how many things a bucket of state holds: what is written to a snapshot is the buckets that changed.
const bucketSize = 256

// bucketBytes is how much of what it holds is packed before another is begun: each is one message of a snapshot.
const bucketBytes = 512 << 10

// bucket is a part of the engine's state, as snapshots keep it.
type bucket struct {
	number   int
	changed  bool
	left     int   // of what it holds, still there
	bytes    int   // of what has been packed of it, since it was begun
	earliest int64 // no record or finding of it is of an earlier time
	known    []*kept
	phrases  phrases // that what is kept of its records is written with
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
	if b.filling != nil && b.filling.weight() < bucketSize && b.filling.bytes < bucketBytes {
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
	for _, f := range facts {
		at := b.next()
		at.facts = append(at.facts, f)
		at.left++
		at.bytes += factBytes + len(f.Tenant) + len(f.Key) + len(f.Record)
		b.mark(at)
	}
}

// factBytes is what a fact takes in a snapshot beside its longer texts.
const factBytes = 200

// split halves a bucket that has become larger than a message should be: what was small when it came may have grown since. It
// has just been packed, so nothing of it is gone, and holds two things at least.
func (b *buckets) split(at *bucket) *bucket {
	filling := b.filling
	b.filling = nil
	out := b.next()
	b.filling = filling
	known, slots, facts := len(at.known)/2, len(at.slots)/2, len(at.facts)/2 // that stay
	switch {
	case known+slots+facts > 0:
	case len(at.known) > 0: // one of each kind at most: each part keeps something
		known = 1
	default:
		slots = 1
	}
	out.known, at.known = slices.Clone(at.known[known:]), at.known[:known:known]
	out.slots, at.slots = slices.Clone(at.slots[slots:]), at.slots[:slots:slots]
	out.facts, at.facts = slices.Clone(at.facts[facts:]), at.facts[:facts:facts]
	for _, k := range out.known {
		k.bucket = out
	}
	for _, s := range out.slots {
		s.bucket = out
	}
	out.phrases, out.earliest, out.bytes = slices.Clone(at.phrases), at.earliest, at.bytes
	for _, half := range []*bucket{at, out} {
		half.left = len(half.known) + len(half.slots) + len(half.facts)
		b.mark(half)
	}
	return out
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
	at.known, at.phrases, at.slots, at.facts, at.earliest, at.bytes = nil, nil, nil, nil, math.MaxInt64, 0
	b.free = append(b.free, at.number)
}
