package difference

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"cordon/internal/finding"
)

// maxKept is how many findings are kept of one side. Where there are more, the rule that has most is left out: it is too
// wide to be compared one by one, and says so.
const maxKept = 100_000

// Side is what one look found in a period: of each finding the last revision.
type Side struct {
	since, until time.Time
	most         int
	findings     map[string]Finding
	rules        map[string]int
	flooded      map[string]bool
}

// NewSide returns an empty side of the findings whose time is at or after since and before until.
func NewSide(since, until time.Time) *Side {
	return &Side{since: since, until: until, most: maxKept, findings: map[string]Finding{}, rules: map[string]int{}, flooded: map[string]bool{}}
}

// Add takes findings as they are raised, revised and withdrawn.
func (s *Side) Add(found []finding.Finding) {
	for _, f := range found {
		if s.flooded[f.Rule] {
			continue
		}
		had, known := s.findings[f.ID]
		if f.Time.Before(s.since) || !f.Time.Before(s.until) {
			if known && f.Revision >= had.revision { // a late record has moved it out of the period
				delete(s.findings, f.ID)
				s.rules[f.Rule]--
			}
			continue
		}
		if known && f.Revision < had.revision {
			continue
		}
		s.findings[f.ID] = of(f)
		if !known {
			s.rules[f.Rule]++
		}
		if len(s.findings) > s.most {
			s.drop()
		}
	}
}

// drop leaves the rule with most findings out.
func (s *Side) drop() {
	widest := ""
	for rule, n := range s.rules {
		if widest == "" || n > s.rules[widest] || n == s.rules[widest] && rule < widest {
			widest = rule
		}
	}
	s.flooded[widest] = true
	delete(s.rules, widest)
	for id, f := range s.findings {
		if f.Rule == widest {
			delete(s.findings, id)
		}
	}
}

// Compare says in what two sides differ: by rule, and as many of the findings themselves as limit allows, by time. The
// gravest are listed where there are more; left counts the others. The answer depends on nothing but the findings.
func Compare(before, after *Side, limit int) (rules []Rule, changes []Change, left int) {
	counts := map[string]*Rule{}
	count := func(name string) *Rule {
		r := counts[name]
		if r == nil {
			r = &Rule{Rule: name, TooMany: before.flooded[name] || after.flooded[name]}
			counts[name] = r
		}
		return r
	}
	for _, s := range []*Side{before, after} {
		for name := range s.flooded {
			count(name)
		}
	}
	for id, b := range before.findings {
		if !b.stands() {
			continue
		}
		r := count(b.Rule)
		r.Before++
		a := after.findings[id]
		switch in := b.differs(a); {
		case r.TooMany:
		case a.ID == "" || !a.stands():
			r.Removed++
			changes = append(changes, Change{Sign: Removed, Finding: b})
		case len(in) > 0:
			r.Changed++
			changes = append(changes, Change{Sign: Changed, Finding: a, Before: &b, Differs: in})
		}
	}
	for id, a := range after.findings {
		if !a.stands() {
			continue
		}
		r := count(a.Rule)
		r.After++
		if b := before.findings[id]; !r.TooMany && (b.ID == "" || !b.stands()) {
			r.Added++
			changes = append(changes, Change{Sign: Added, Finding: a})
		}
	}
	rules = []Rule{}
	for _, r := range counts {
		rules = append(rules, *r)
	}
	slices.SortFunc(rules, compareRules)
	slices.SortFunc(changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(grave(b.Finding), grave(a.Finding)), byTime(a, b))
	})
	if left = max(0, len(changes)-limit); left > 0 {
		changes = changes[:limit]
	}
	slices.SortFunc(changes, byTime)
	return rules, append([]Change{}, changes...), left
}

func grave(f Finding) int { return slices.Index(finding.Levels, f.Level) }

func byTime(a, b Change) int {
	return cmp.Or(a.Finding.Time.Compare(b.Finding.Time), strings.Compare(a.Finding.ID, b.Finding.ID))
}
