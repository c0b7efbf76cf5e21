package detectors

import (
	"slices"

	"cordon/detectors/sigma"
	"cordon/internal/finding"
)

// single is a finding about one record.
type single struct {
	of      *kept
	next    *single // about the same record
	rule    int
	finding finding.Finding
	sums    []uint64 // of the revisions that were looked at
	size    int      // of the fullest revision that was looked at
	settled bool
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

const contradicted = "a fuller revision of the record contradicts it"

// single raises, revises or withdraws the finding that a rule makes of one record; by is the exception that suppresses
// it.
func (e *Engine) single(k *kept, v *event, truth sigma.Truth, by, position string) (*kept, []finding.Finding) {
	s := k.single(v.rule)
	if !truth.Holds() {
		if s == nil || !s.finding.Unconfirmed || s.settled || s.finding.Withdrawn != "" || v.Fullness() < s.size {
			return k, nil
		}
		s.finding.Withdrawn = contradicted
		s.finding.Revision++
		s.size = v.Fullness()
		delete(e.open, s)
		e.buckets.touch(k)
		return k, []finding.Finding{s.finding}
	}
	if s != nil && slices.Contains(s.sums, v.Sum()) {
		return k, nil // the same record from another source, or read again
	}
	if s != nil && slices.Contains(s.finding.Proof[0].Positions, position) { // read again: of what was published one knows no more
		s.sums, s.size = append(s.sums, v.Sum()), max(s.size, v.Fullness())
		e.buckets.touch(k)
		return k, nil
	}
	proof := proofOf(v, position)
	if s == nil {
		k = e.know(k, v)
		f := e.describe(v)
		f.ID, f.Revision, f.Unconfirmed = e.rules[v.rule].Name+"/"+v.ID, 1, truth == sigma.TrueAbsent
		f.Proof, f.Count, f.Suppressed = []finding.Proof{proof}, 1, by
		size := v.Fullness()
		if full := int(k.fullest); f.Unconfirmed && full > size {
			f.Revision, f.Withdrawn, size = 2, contradicted, full // as if they had come in the other order
		}
		s = &single{of: k, next: k.singles, rule: v.rule, finding: f, sums: []uint64{v.Sum()}, size: size}
		k.singles = s
	} else {
		s.sums = append(s.sums, v.Sum())
		proof.Positions = append(slices.Clone(s.finding.Proof[0].Positions), position)
		if v.Fullness() >= s.size { // the fuller revision is what the finding tells
			f := e.describe(v)
			f.ID, f.Revision, f.Count, f.Suppressed = s.finding.ID, s.finding.Revision, 1, by
			f.Unconfirmed = s.finding.Unconfirmed && truth == sigma.TrueAbsent && !s.settled
			f.Proof = []finding.Proof{proof}
			s.finding, s.size = f, v.Fullness()
		} else {
			kept := s.finding.Proof[0]
			kept.Positions = proof.Positions
			s.finding.Proof = []finding.Proof{kept}
		}
		s.finding.Revision++
	}
	e.watch(s)
	e.buckets.touch(k)
	return k, []finding.Finding{s.finding}
}

// watch keeps in mind what the watermark may confirm.
func (e *Engine) watch(s *single) {
	if s.finding.Unconfirmed && !s.settled && s.finding.Withdrawn == "" {
		e.open[s] = true
	} else {
		delete(e.open, s)
	}
}
