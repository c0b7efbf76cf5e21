package detectors

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cordon/detectors/sigma"
	"cordon/internal/finding"
	"cordon/internal/record"
)

// slot is a finding of a correlation.
type slot struct {
	rule    *correlation
	finding finding.Finding
	made    string // the key of Engine.made that it stands under
	records set
	extra   int // revisions beyond the count of records
	settled bool
	bucket  *bucket
}

// set tells whether two sets of records are the same one, without keeping them.
type set struct {
	count int
	sum   uint64
}

// hash is FNV-1a's, the same after a restart.
func hash(id string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	return h ^ h>>29
}

// slot brings the findings of a slot to what it holds now: one a group, or one a principal where the rule names the
// rule whose actors they are.
func (e *Engine) slot(c *correlation, s sigma.Slot) {
	if e.base[c.rule.Name] {
		return
	}
	made := fmt.Sprintf("%s/%s/%s/%d", c.rule.Name, s.Group.Tenant, s.Group.Key, s.Number)
	had := e.made[made]
	if len(s.Items) == 0 && len(had) == 0 {
		return // as almost always
	}
	var have []string
	switch {
	case len(s.Items) == 0:
	case c.principal == "":
		tenant := e.tenants[s.Group.Tenant]
		have = append(have, made)
		e.tell(c, made, made, s, sigma.Records(s.Items), finding.Principal{Type: record.Tenant, ID: tenant, Home: tenant})
	default:
		own, others := map[string][]*sigma.Item{}, []*sigma.Item(nil)
		whose := map[string]finding.Principal{}
		for _, it := range s.Items {
			if it.Rule != c.principal {
				others = append(others, it)
				continue
			}
			actor := e.saidBy(it.ID).actor
			key := strings.ToLower(actor.ID)
			own[key] = append(own[key], it)
			if _, told := whose[key]; !told {
				whose[key] = actor
			}
		}
		around := sigma.Records(others)
		for _, key := range slices.Sorted(maps.Keys(own)) {
			id := fmt.Sprintf("%s/%s/%s|%s/%d", c.rule.Name, s.Group.Tenant, s.Group.Key, key, s.Number)
			have = append(have, id)
			e.tell(c, id, made, s, append(sigma.Records(own[key]), around...), whose[key])
		}
	}
	for _, id := range had {
		if !slices.Contains(have, id) {
			e.withdraw(id)
		}
	}
	if delete(e.made, made); len(have) > 0 {
		e.made[made] = have
	}
}

const noWindow = "no window meets the condition any more"

func (e *Engine) withdraw(id string) {
	if s := e.slots[id]; s != nil && s.finding.Withdrawn == "" {
		s.finding.Withdrawn = noWindow
		s.records = set{}
		delete(e.openSlot, s)
		e.revise(s, 0)
	}
}

// revise counts a change: by the records, so that a restart counts the same, and further where they are not more.
func (e *Engine) revise(s *slot, count int) {
	want := count + s.extra
	if want <= s.finding.Revision {
		s.extra += s.finding.Revision + 1 - want
		want = s.finding.Revision + 1
	}
	s.finding.Revision = want
	e.changed[s] = true
	e.buckets.mark(s.bucket)
}

// tell makes or revises a finding from all the records that it stands on.
func (e *Engine) tell(c *correlation, id, made string, in sigma.Slot, items []*sigma.Item, principal finding.Principal) {
	records := map[*kept]bool{}
	of := set{}
	for _, it := range items {
		if k := e.records[it.ID]; k != nil && k.said != "" && !records[k] {
			records[k] = true
			of.count++
			of.sum += hash(k.id)
		}
	}
	s := e.slots[id]
	if s == nil {
		s = &slot{rule: c, made: made}
		e.slots[id] = s
		e.buckets.putSlot(s)
	}
	unconfirmed := in.Unconfirmed && !s.settled && (s.finding.Revision == 0 || s.finding.Withdrawn != "" || s.finding.Unconfirmed)
	if s.finding.Revision > 0 && s.finding.Withdrawn == "" && s.finding.Unconfirmed == unconfirmed && s.records == of && s.finding.Time.Equal(in.Time) {
		return
	}
	rule := c.rule
	f := finding.Finding{ID: id, Rule: rule.Name, Title: rule.Title, Level: levelFor(rule, principal), Kind: rule.Custom.Kind,
		Techniques: rule.Techniques, Decisive: rule.Custom.Decisive, Playbook: rule.Custom.Playbook, Mode: e.quiet(rule.Name), Tenant: e.tenants[in.Group.Tenant],
		Time: in.Time, Principal: principal, Actor: principal, Unconfirmed: unconfirmed, Count: of.count, Revision: s.finding.Revision}
	first := e.first(records)
	for _, w := range first {
		f.Proof = append(f.Proof, w.proof)
	}
	f.Says = fill(sentence(rule), func(word string) string {
		switch word {
		case "users":
			users := map[string]bool{}
			for k := range records {
				users[strings.ToLower(e.saidBy(k.id).proof.Principal)] = true
			}
			return fmt.Sprint(len(users))
		case "count":
			return fmt.Sprint(of.count)
		case "principal", "actor":
			return spoken(principal.Label())
		}
		for _, w := range first {
			if said := w.words[word]; said != "" && said != unknownWord {
				return said
			}
		}
		return unknownWord
	})
	s.finding, s.records = f, of
	if delete(e.openSlot, s); unconfirmed {
		e.openSlot[s] = true
	}
	e.revise(s, of.count)
}

// first are the first records by time and id.
func (e *Engine) first(records map[*kept]bool) (out []said) {
	compare := func(a, b *kept) int {
		if a.time != b.time {
			return int(max(-1, min(1, a.time-b.time)))
		}
		return strings.Compare(a.id, b.id)
	}
	var best []*kept // those that may be among them
	var bar *kept    // what comes later than it is not
	for k := range records {
		if bar != nil && compare(bar, k) < 0 {
			continue
		}
		if best = append(best, k); len(best) == 4*finding.MaxProof {
			slices.SortFunc(best, compare)
			best = best[:finding.MaxProof]
			bar = best[finding.MaxProof-1]
		}
	}
	slices.SortFunc(best, compare)
	for _, k := range best[:min(len(best), finding.MaxProof)] {
		out = append(out, e.saidBy(k.id))
	}
	return out
}
