package detectors

import (
	"slices"

	"cordon/detectors/sigma"
	"cordon/internal/finding"
)

// single is a finding about one record: what revisions of the record and the watermark ask of it.
type single struct {
	of          *kept
	next        *single // about the same record
	rule        int
	packed      string // the finding, but for what stands here
	withdrawn   string // why
	revision    int
	size        int      // of the fullest revision that was looked at
	sums        []uint64 // of the revisions that were looked at
	unread      []string // positions that were published after the snapshot, and have not been read again
	unconfirmed bool
	settled     bool
	opened
}

func (k *kept) single(rule int) *single {
	if k == nil {
		return nil
	}
	for s := k.singles; s != nil; s = s.next {
		if s.rule == rule {
			return s
		}
	}
	return nil
}

// Why findings are withdrawn.
const (
	contradicted    = "a fuller revision of the record contradicts it"
	learntOtherwise = "what has been learnt since of who held which role contradicts it"
)

// single raises, revises or withdraws the finding that a rule makes of one record; by is the exception that suppresses
// it. It adds what there is to tell to e.out.
func (e *Engine) single(k *kept, v *event, truth sigma.Truth, by, position string) *kept {
	s := k.single(v.rule)
	if !truth.Holds() {
		if s != nil && s.withdrawn == "" && v.Fullness() >= s.size && e.lost(v) {
			s.withdrawn, s.unread = learntOtherwise, without(s.unread, position)
			s.revision++
			return e.told(s)
		}
		if s == nil || !s.unconfirmed || s.settled || v.Fullness() < s.size {
			return k
		}
		s.size = v.Fullness() // also where it is withdrawn: nothing poorer brings it back
		e.buckets.touch(k)
		if s.withdrawn != "" || len(s.unread) > 0 {
			return k
		}
		s.withdrawn = contradicted
		s.revision++
		return e.told(s)
	}
	if s == nil {
		k = e.know(k, v)
		f, says := e.describe(v, position)
		f.Suppressed = by
		s = e.singles.One()
		*s = single{of: k, next: k.singles, rule: v.rule, packed: e.pack(f, says), revision: 1, size: v.Fullness(), sums: e.sums.Take(1), unconfirmed: truth == sigma.TrueAbsent}
		s.sums[0] = v.Sum()
		if full := max(int(k.fullest), v.most); s.unconfirmed && full > s.size {
			s.revision, s.withdrawn, s.size = 2, contradicted, full // as if they had come in the other order
		}
		k.singles = s
		k.bucket.bytes += len(s.packed)
		return e.publish(s, f)
	}
	if slices.Contains(s.sums, v.Sum()) {
		return e.reconsidered(s, v, by) // the same record from another source, or read again
	}
	s.sums = append(s.sums, v.Sum())
	was := e.finding(s)
	if slices.Contains(was.Proof[0].Positions, position) { // read again, and published before
		s.size, s.unread = max(s.size, v.Fullness()), without(s.unread, position)
		e.buckets.touch(k)
		return e.reconsidered(s, v, by)
	}
	positions := append(slices.Clone(was.Proof[0].Positions), position)
	if v.Fullness() >= s.size { // the fuller revision is what the finding tells
		f, says := e.describe(v, position)
		f.Suppressed, f.Proof[0].Positions = by, positions
		s.packed, s.size, s.withdrawn = e.pack(f, says), v.Fullness(), ""
		s.unconfirmed = s.unconfirmed && truth == sigma.TrueAbsent && !s.settled
		s.revision++
		return e.publish(s, f)
	}
	f := e.next()
	*f = was
	f.Proof[0].Positions = positions
	s.packed = e.pack(f, []byte(was.Says))
	s.revision++
	return e.publish(s, f)
}

// told has the finding be published as it stands.
func (e *Engine) told(s *single) *kept {
	f := e.next()
	e.retell(s, f)
	return e.publish(s, f)
}

// next is where the next finding to publish is made: they are large.
func (e *Engine) next() *finding.Finding {
	n := len(e.out)
	e.out = slices.Grow(e.out, 1)
	f := &e.out[:n+1][n]
	*f = finding.Finding{}
	return f
}

// publish has what is packed, and stands where next said, be published, and wait for the watermark if it should.
func (e *Engine) publish(s *single, f *finding.Finding) *kept {
	e.complete(s, f)
	e.out = e.out[:len(e.out)+1]
	e.watch(s, f)
	e.buckets.touch(s.of)
	return s.of
}
