package detectors

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"cordon/detectors/sigma"
	"cordon/internal/finding"
	"cordon/internal/record"
)

// level is how many correlations stand one below the other under a rule. It refuses those that stand below themselves.
func (e *Engine) level(r *sigma.Rule, levels map[string]int) (int, error) {
	const open = -1 // on the way down to it
	if r.Correlation == nil {
		return 0, nil
	}
	if l, seen := levels[r.Name]; seen && l != open {
		return l, nil
	}
	levels[r.Name] = open
	most := 0
	for _, name := range r.Correlation.Rules {
		if levels[name] == open {
			return 0, fmt.Errorf("%s:%d: correlations %s and %s refer to each other", r.File, r.Line, r.Name, name)
		}
		l, err := e.level(e.byName[name], levels)
		if err != nil {
			return 0, err
		}
		most = max(most, l)
	}
	levels[r.Name] = most + 1
	return most + 1, nil
}

// within says whether fields are all among those of others, whatever their case.
func within(fields, others []string) bool {
	return !slices.ContainsFunc(fields, func(f string) bool {
		return !slices.ContainsFunc(others, func(o string) bool { return strings.EqualFold(f, o) })
	})
}

// correlate hands a matching record to the correlations that ask for its rule, and their windows to those above.
func (e *Engine) correlate(rule *sigma.Rule, v event, position string) {
	items := []sigma.Item{{ID: v.ID, Time: v.Time, Rule: rule.Name}}
	for i := range e.correlators {
		c := e.correlators[i]
		for _, it := range items {
			if !slices.Contains(c.rule.Correlation.Rules, it.Rule) {
				continue
			}
			key, ok := groupKey(c.rule.Correlation.GroupBy, v)
			if !ok {
				continue
			}
			if it.Rule == rule.Name {
				e.proofs[v.ID] = proofOf(v, position)
				e.actors[v.ID] = e.principal(v, v.Actor)
				if f := c.rule.Correlation.Field; f != "" {
					if values := v.Field(f); !values.Absent && !values.Unknown {
						it.Value = values.List[0]
					}
				}
			}
			for _, closed := range c.Add(strings.ToLower(v.Tenant)+"|"+key, it) {
				e.close(c.rule, v, key, closed)
				items = append(items, sigma.Item{ID: closed.ID, Time: closed.Time, Rule: c.rule.Name, Proof: recordsOf(closed.Items)})
			}
		}
	}
}

func groupKey(fields []string, v event) (string, bool) {
	var parts []string
	for _, f := range fields {
		values := v.Field(f)
		if values.Absent || values.Unknown {
			return "", false
		}
		parts = append(parts, strings.ToLower(values.List[0]))
	}
	return strings.Join(parts, "|"), true
}

func recordsOf(items []sigma.Item) []string {
	var ids []string
	for _, it := range items {
		if len(it.Proof) == 0 {
			ids = append(ids, it.ID)
		}
		ids = append(ids, it.Proof...)
	}
	return ids
}

// close adds a window to the findings of its slot: one a group, or one a principal where the rule names the
// correlated rule whose actors they are.
func (e *Engine) close(rule *sigma.Rule, v event, group string, closed sigma.Closed) {
	of, each := strings.CutPrefix(rule.Custom.Principal, "actor of ")
	if !each {
		e.add(rule, v, group, closed, closed.Items, finding.Principal{Type: record.Tenant, ID: v.Tenant, Home: v.Tenant})
		return
	}
	var others []sigma.Item
	own := map[string][]sigma.Item{}
	for _, it := range closed.Items {
		if it.Rule != of {
			others = append(others, it)
			continue
		}
		key := e.actors[it.ID].ID
		own[key] = append(own[key], it)
	}
	for key, items := range own {
		e.add(rule, v, group+"|"+strings.ToLower(key), closed, append(items, others...), e.actors[items[0].ID])
	}
}

func (e *Engine) add(rule *sigma.Rule, v event, group string, closed sigma.Closed, items []sigma.Item, principal finding.Principal) {
	id := fmt.Sprintf("%s/%s/%s/%d", rule.Name, strings.ToLower(v.Tenant), group, rule.Correlation.Slot(closed.Time))
	s := e.slots[id]
	if s == nil {
		s = &slot{records: map[string]bool{}, users: map[string]bool{}}
		s.finding = finding.Finding{ID: id, Rule: rule.Name, Title: rule.Title, Level: levelFor(rule, principal), Kind: rule.Custom.Kind,
			Techniques: rule.Techniques, Decisive: rule.Custom.Decisive, Playbook: rule.Custom.Playbook,
			Tenant: v.Tenant, Time: closed.Time, Principal: principal, Actor: principal}
		e.slots[id] = s
	}
	if closed.Time.Before(s.finding.Time) {
		s.finding.Time = closed.Time
	}
	for _, record := range recordsOf(items) {
		p, kept := e.proofs[record]
		if !kept || s.records[record] {
			continue
		}
		s.records[record], s.changed = true, true
		s.users[strings.ToLower(p.Principal)] = true
		s.finding.Proof = insertProof(s.finding.Proof, p)
	}
	s.finding.Count = len(s.records)
	s.finding.Revision = len(s.records)
	s.finding.Says = e.says(rule, v, s.finding, map[string]string{"users": fmt.Sprint(len(s.users)), "count": fmt.Sprint(len(s.records))})
}

// insertProof keeps the first records by time and id.
func insertProof(proof []finding.Proof, p finding.Proof) []finding.Proof {
	i := sort.Search(len(proof), func(i int) bool {
		if !proof[i].Time.Equal(p.Time) {
			return proof[i].Time.After(p.Time)
		}
		return proof[i].Record > p.Record
	})
	proof = slices.Insert(slices.Clone(proof), i, p)
	if len(proof) > finding.MaxProof {
		proof = proof[:finding.MaxProof]
	}
	return proof
}
