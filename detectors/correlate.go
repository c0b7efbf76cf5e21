package detectors

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cordon/detectors/sigma"
	"cordon/internal/finding"
	"cordon/internal/record"
)

// correlate hands a record that a rule matched to the correlations that ask for the rule, and takes away one whose
// fuller revision contradicts an unconfirmed match, or is suppressed by an exception.
func (e *Engine) correlate(rule *sigma.Rule, v event, truth sigma.Truth, by, position string) {
	if len(e.serves[rule.Name]) == 0 {
		return
	}
	size, tenant := v.Fullness(), strings.ToLower(v.Tenant)
	if truth == sigma.TrueAbsent && e.fullest[v.ID].size > size {
		return // the fuller revision has been looked at
	}
	for _, c := range e.serves[rule.Name] {
		if by != "" {
			c.uncount(rule, v, size)
			continue
		}
		if !truth.Holds() {
			if had, unconfirmed := c.Unconfirmed(v.ID, rule.Name); unconfirmed && size >= had {
				c.Remove(v.ID, rule.Name)
			}
			continue
		}
		read := func(field string) []string { return present(v.Field(field)) }
		key, ok := groupKey(c.over, rule.Name, read)
		if !ok {
			continue
		}
		it := sigma.Item{ID: v.ID, Time: v.Time, Rule: rule.Name, Unconfirmed: truth == sigma.TrueAbsent, Size: size, Values: counted(c.over.Fields, read)}
		if len(c.above) > 0 {
			it.Fields = fieldsFor(c, rule.Name, read)
		}
		if !c.Add(sigma.Group{Tenant: tenant, Key: key}, it) {
			continue
		}
		if e.tenants[tenant] == "" {
			e.tenants[tenant] = v.Tenant
		}
		e.proofs[v.ID] = proofOf(v, position)
		e.actors[v.ID] = e.principal(v, v.Actor)
		for _, word := range c.words {
			e.keepWord(c.rule, v, word)
		}
	}
}

// keepWord keeps what a record says for a sentence: which record speaks is known only when the window is looked at.
func (e *Engine) keepWord(rule *sigma.Rule, v event, word string) {
	switch word {
	case "principal", "actor", "users", "count":
		return
	}
	if e.words[v.ID] == nil {
		e.words[v.ID] = map[string]string{}
	}
	var f finding.Finding
	for _, t := range v.Targets {
		f.Targets = append(f.Targets, object(rule, v.Record, t))
	}
	e.words[v.ID][word] = e.word(word, v, f)
}

// present are a field's values but empty ones.
func present(values record.Values) []string {
	if values.Absent || values.Unknown {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(values.List), func(s string) bool { return s == "" })
}

// groupKey is what a correlation groups a record of a rule under; there is none where a field is missing.
func groupKey(c *sigma.Correlation, rule string, read func(field string) []string) (string, bool) {
	var parts []string
	for _, name := range c.GroupBy {
		values := read(c.Field(rule, name))
		if len(values) == 0 {
			return "", false
		}
		parts = append(parts, keyEscaper.Replace(strings.ToLower(values[0])))
	}
	return strings.Join(parts, "|"), true
}

// keyEscaper keeps what an attacker chose from making two groups one.
var keyEscaper = strings.NewReplacer("|", "%7c", "%", "%25")

// counted are the values that value_count counts: all of one field, or the first of each of several together.
func counted(fields []string, read func(field string) []string) []string {
	if len(fields) == 1 {
		return read(fields[0])
	}
	var tuple []string
	for _, f := range fields {
		values := read(f)
		if len(values) == 0 {
			return nil
		}
		tuple = append(tuple, values[0])
	}
	if len(tuple) == 0 {
		return nil
	}
	return []string{strings.Join(tuple, "\x00")}
}

// fieldsFor keeps of a record what correlations above will ask of the window that it closes: by the names of this
// one's own grouping, else the record's own fields.
func fieldsFor(c *correlator, rule string, read func(field string) []string) map[string]string {
	out := map[string]string{}
	for _, need := range c.needs {
		field := need
		if slices.Contains(c.over.GroupBy, need) {
			field = c.over.Field(rule, need)
		}
		if values := read(field); len(values) > 0 {
			out[need] = values[0]
		}
	}
	return out
}

// look has every correlation look at what was touched, from the bottom up.
func (e *Engine) look() {
	for _, c := range e.correlators {
		for _, s := range c.Changed() {
			e.slot(c, s)
			for _, up := range c.above {
				e.rise(c, up, s)
			}
		}
	}
}

// rise hands the closings of a slot to a correlation above.
func (e *Engine) rise(c, up *correlator, s sigma.Slot) {
	for _, id := range s.Gone {
		up.Remove(id, c.rule.Name)
	}
	for _, it := range s.Closings {
		fields := it.Fields
		read := func(field string) []string {
			if v := fields[field]; v != "" {
				return []string{v}
			}
			return nil
		}
		key, ok := groupKey(up.over, c.rule.Name, read)
		if !ok {
			up.Remove(it.ID, c.rule.Name)
			continue
		}
		it.Values = counted(up.over.Fields, read)
		if len(up.above) > 0 {
			it.Fields = fieldsFor(up, c.rule.Name, read)
		}
		up.Add(sigma.Group{Tenant: s.Group.Tenant, Key: key}, it)
	}
}

// slot brings the findings of a slot to what it holds now: one a group, or one a principal where the rule names the
// rule whose actors they are.
func (e *Engine) slot(c *correlator, s sigma.Slot) {
	if e.base[c.rule.Name] {
		return
	}
	base := fmt.Sprintf("%s/%s/%s", c.rule.Name, s.Group.Tenant, s.Group.Key)
	number := fmt.Sprintf("/%d", s.Number)
	had := e.made[base+number]
	var have []string
	switch {
	case len(s.Items) == 0:
	case c.principal == "":
		records := sigma.Records(s.Items)
		tenant := e.tenants[s.Group.Tenant]
		have = append(have, base+number)
		e.tell(c, base+number, base+number, s, records, finding.Principal{Type: record.Tenant, ID: tenant, Home: tenant})
	default:
		own, others := map[string][]*sigma.Item{}, []*sigma.Item(nil)
		for _, it := range s.Items {
			if it.Rule != c.principal {
				others = append(others, it)
				continue
			}
			key := strings.ToLower(e.actors[it.ID].ID)
			own[key] = append(own[key], it)
		}
		around := sigma.Records(others)
		for _, key := range slices.Sorted(maps.Keys(own)) {
			id := base + "|" + key + number
			have = append(have, id)
			e.tell(c, id, base+number, s, append(sigma.Records(own[key]), around...), e.actors[own[key][0].ID])
		}
	}
	for _, id := range had {
		if !slices.Contains(have, id) {
			e.withdraw(id)
		}
	}
	if delete(e.made, base+number); len(have) > 0 {
		e.made[base+number] = have
	}
}

const noWindow = "no window meets the condition any more"

func (e *Engine) withdraw(id string) {
	if s := e.slots[id]; s != nil && s.finding.Withdrawn == "" {
		s.finding.Withdrawn = noWindow
		s.records = map[string]bool{}
		s.revise(0)
	}
}

// revise counts a change: by the records, so that a restart counts the same, and further where they are not more.
func (s *slot) revise(count int) {
	want := count + s.extra
	if want <= s.finding.Revision {
		s.extra += s.finding.Revision + 1 - want
		want = s.finding.Revision + 1
	}
	s.finding.Revision, s.changed = want, true
}

// tell makes or revises a finding from all the records that it stands on.
func (e *Engine) tell(c *correlator, id, made string, in sigma.Slot, items []*sigma.Item, principal finding.Principal) {
	records := map[string]bool{}
	for _, it := range items {
		if _, kept := e.proofs[it.ID]; kept {
			records[it.ID] = true
		}
	}
	s := e.slots[id]
	if s == nil {
		s = &slot{made: made}
		e.slots[id] = s
	}
	unconfirmed := in.Unconfirmed && !s.settled && (s.finding.Revision == 0 || s.finding.Withdrawn != "" || s.finding.Unconfirmed)
	if s.finding.Revision > 0 && s.finding.Withdrawn == "" && s.finding.Unconfirmed == unconfirmed && maps.Equal(records, s.records) {
		return
	}
	rule := c.rule
	f := finding.Finding{ID: id, Rule: rule.Name, Title: rule.Title, Level: levelFor(rule, principal), Kind: rule.Custom.Kind,
		Techniques: rule.Techniques, Decisive: rule.Custom.Decisive, Playbook: rule.Custom.Playbook, Mode: e.quiet(rule.Name), Tenant: e.tenants[in.Group.Tenant],
		Time: in.Time, Principal: principal, Actor: principal, Unconfirmed: unconfirmed, Count: len(records), Revision: s.finding.Revision}
	users := map[string]bool{}
	for record := range records {
		users[strings.ToLower(e.proofs[record].Principal)] = true
	}
	f.Proof = e.firstProofs(records)
	f.Says = fill(sentence(rule), func(word string) string {
		switch word {
		case "users":
			return fmt.Sprint(len(users))
		case "count":
			return fmt.Sprint(len(records))
		case "principal", "actor":
			return spoken(principal.Label())
		}
		for _, p := range f.Proof {
			if said := e.words[p.Record][word]; said != "" && said != unknownWord {
				return said
			}
		}
		return unknownWord
	})
	s.finding, s.records = f, records
	s.revise(len(records))
}

// firstProofs are the first records by time and id.
func (e *Engine) firstProofs(records map[string]bool) []finding.Proof {
	ids := slices.SortedFunc(maps.Keys(records), func(a, b string) int {
		if d := e.proofs[a].Time.Compare(e.proofs[b].Time); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	var out []finding.Proof
	for _, id := range ids[:min(len(ids), finding.MaxProof)] {
		out = append(out, e.proofs[id])
	}
	return out
}

// watermarkOf is the least of a tenant's watermarks over the categories of a correlation that have begun: of others
// nobody is known to bring records.
func (c *correlator) watermarkOf(tenant string, watermark func(tenant, category string) time.Time) time.Time {
	least := time.Unix(0, 0)
	begun := false
	for _, category := range c.categories {
		w := watermark(tenant, category)
		if w.IsZero() {
			return w // the end of input
		}
		if w.Equal(time.Unix(0, 0)) {
			continue
		}
		if !begun || w.Before(least) {
			least, begun = w, true
		}
	}
	return least
}
