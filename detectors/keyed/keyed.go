// Package keyed finds things by a text that they hold themselves. A map would hold the text a second time, and keep its
// size when a wave of things has passed.
package keyed

import (
	"hash/maphash"
	"iter"
)

// Thing is what a Set holds: a pointer, as a rule. Its key stays the same as long as a Set holds it.
type Thing interface {
	comparable
	Key() string
}

// Set holds things, one of a key. Who chooses keys cannot make it slow: where they stand is this process's secret.
type Set[T Thing] struct {
	seed  maphash.Seed
	parts [1 << partBits]part[T] // each grows for itself, so that no one growth takes long
	held  int
}

const partBits = 4

// part has its things at the place that their hash says, or at the next free ones.
type part[T Thing] struct {
	tags   []uint32 // half of the hash, so that others need not be looked at; 0 where nothing is
	things []T
	held   int
}

// New returns an empty set.
func New[T Thing]() *Set[T] { return &Set[T]{seed: maphash.MakeSeed()} }

// Len is how many things there are.
func (s *Set[T]) Len() int { return s.held }

// Get is the thing of a key, nil where there is none.
func (s *Set[T]) Get(key []byte) (none T) {
	p, tag := s.part(maphash.Bytes(s.seed, key))
	if at, ok := find(p, tag, key); ok {
		return p.things[at]
	}
	return none
}

// Has says that this very thing is held.
func (s *Set[T]) Has(x T) bool {
	p, tag := s.part(maphash.String(s.seed, x.Key()))
	at, ok := find(p, tag, x.Key())
	return ok && p.things[at] == x
}

// Put takes a thing, in place of one that has its key.
func (s *Set[T]) Put(x T) {
	p, tag := s.part(maphash.String(s.seed, x.Key()))
	at, ok := find(p, tag, x.Key())
	if ok {
		p.things[at] = x
		return
	}
	if 4*(p.held+1) > 3*len(p.tags) {
		p.resize(len(p.tags) + len(p.tags)/2 + 4)
		at, _ = find(p, tag, x.Key())
	}
	p.tags[at], p.things[at] = tag, x
	p.held++
	s.held++
}

// Delete lets the thing of a key go, if there is one.
func (s *Set[T]) Delete(key string) {
	p, tag := s.part(maphash.String(s.seed, key))
	free, ok := find(p, tag, key)
	if !ok {
		return
	}
	for at := p.next(free); p.tags[at] != 0; at = p.next(at) { // those behind come forward, but not before their places
		home := p.home(p.tags[at])
		if free < at && free < home && home <= at || at < free && (free < home || home <= at) {
			continue
		}
		p.tags[free], p.things[free] = p.tags[at], p.things[at]
		free = at
	}
	var none T
	p.tags[free], p.things[free] = 0, none
	p.held--
	s.held--
	if 4*p.held < len(p.tags) {
		p.resize(2 * p.held)
	}
}

// All are the things, in no order. None may be put or deleted meanwhile.
func (s *Set[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		for i := range s.parts {
			for at, tag := range s.parts[i].tags {
				if tag != 0 && !yield(s.parts[i].things[at]) {
					return
				}
			}
		}
	}
}

// part is where a key of this hash belongs, and its tag there.
func (s *Set[T]) part(h uint64) (p *part[T], tag uint32) {
	return &s.parts[h>>(64-partBits)], uint32(h>>(32-partBits)) | 1
}

func (p *part[T]) home(tag uint32) int { return int(uint64(tag) * uint64(len(p.tags)) >> 32) }

func (p *part[T]) next(at int) int {
	if at++; at == len(p.tags) {
		return 0
	}
	return at
}

// find is the place of a key, or the one where its thing would stand.
func find[T Thing, K string | []byte](p *part[T], tag uint32, key K) (at int, ok bool) {
	if len(p.tags) == 0 {
		return 0, false
	}
	for at = p.home(tag); p.tags[at] != 0; at = p.next(at) {
		if p.tags[at] == tag && p.things[at].Key() == string(key) {
			return at, true
		}
	}
	return at, false
}

func (p *part[T]) resize(size int) {
	old := *p
	p.tags, p.things = make([]uint32, size), make([]T, size)
	for i, tag := range old.tags {
		if tag == 0 {
			continue
		}
		at := p.home(tag)
		for p.tags[at] != 0 {
			at = p.next(at)
		}
		p.tags[at], p.things[at] = tag, old.things[i]
	}
}
