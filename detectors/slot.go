package detectors

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"cordon/detectors/sigma"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/record"
)

// slot is a finding of a correlation.
type slot struct {
	rule    *correlation
	finding finding.Finding
	made    place // that it stands under in Engine.made
	records set
	own     set // those of them that are not told to others as well; a snapshot does not know them
	extra   int // revisions beyond the count of records
	settled bool
	opened
	bucket *bucket
}

// place is a slot of a group of a correlation.
type place struct {
	of     *correlation
	group  sigma.Group
	number int64
}

// String is the identity of a finding that is the only one there.
func (p place) String() string { return p.id("") }

func (p place) id(whose string) string {
	if whose != "" {
		whose = "|" + whose
	}
	return p.of.rule.Name + "/" + p.group.Tenant + "/" + p.group.Key + whose + "/" + strconv.FormatInt(p.number, 10)
}

// values are what the group's records have in common.
func (p place) values() (out []string) {
	if len(p.of.over.GroupBy) == 0 {
		return nil
	}
	for _, part := range strings.Split(p.group.Key, "|") {
		out = append(out, record.Clean(keyUnescaper.Replace(part)))
	}
	return out
}

// placeFrom is what String made a text of.
func (c *correlation) placeFrom(text string) (place, bool) {
	text, named := strings.CutPrefix(text, c.rule.Name+"/")
	tenant, rest, cut := strings.Cut(text, "/")
	at := strings.LastIndexByte(rest, '/')
	if !named || !cut || at < 0 {
		return place{}, false
	}
	number, err := strconv.ParseInt(rest[at+1:], 10, 64)
	return place{c, sigma.Group{Tenant: tenant, Key: rest[:at]}, number}, err == nil
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
	made := place{c, s.Group, s.Number}
	had := e.made[made]
	if len(s.Items) == 0 && len(had) == 0 {
		return // as almost always
	}
	var have []string
	switch {
	case len(s.Items) == 0:
	case c.principal == "":
		tenant := e.tenants[s.Group.Tenant]
		have = append(have, made.String())
		e.tell(have[0], made, s, e.gather(sigma.Records(s.Items)), nil, finding.Principal{Type: record.Tenant, ID: tenant, Home: tenant})
	default:
		own, others := map[string][]*sigma.Entry{}, []*sigma.Entry(nil)
		for _, it := range s.Items {
			if c.over.Rules[it.Rule()] != c.principal {
				others = append(others, it)
				continue
			}
			key := actorOf(keptOf(it))
			own[key] = append(own[key], it)
		}
		around := e.gather(sigma.Records(others))
		around.wait = !e.crowds.due(made, len(own), len(s.Items))
		for _, key := range slices.Sorted(maps.Keys(own)) {
			actor := e.whoActs(own[key])
			id := made.id(strings.ToLower(actor.ID))
			have = append(have, id)
			e.tell(id, made, s, around, sigma.Records(own[key]), actor)
		}
	}
	stand := make(map[string]struct{}, len(have)) // they may be thousands
	for _, id := range have {
		stand[id] = struct{}{}
	}
	for _, id := range had {
		if !has(stand, id) {
			e.withdraw(id)
		}
	}
	if delete(e.made, made); len(have) > 0 {
		e.made[made] = have
	} else {
		e.crowds.forget(made)
	}
}

// whoActs is who acted in items that one actor has, as he stood at the first of them at which he was privileged: a role that
// he got in their midst makes the finding as grave as one that he always had.
func (e *Engine) whoActs(items []*sigma.Entry) finding.Principal {
	at := max(slices.IndexFunc(items, func(it *sigma.Entry) bool { return standingOf(keptOf(it)) == directory.Yes }), 0)
	return e.saidBy(keptOf(items[at])).actor
}

const noWindow = "no window meets the condition any more"

func (e *Engine) withdraw(id string) {
	if s := e.slots[id]; s != nil && s.finding.Withdrawn == "" {
		s.finding.Withdrawn = noWindow
		s.records = set{}
		e.watchSlot(s)
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
	s.finding.Revision, s.finding.Mode = want, e.quiet(s.rule.rule.Name)
	e.changed[s] = true
	e.buckets.mark(s.bucket)
	s.bucket.holds(s.finding.Time.UnixNano())
}

// tell makes or revises a finding from all the records that it stands on: those around, and its own.
func (e *Engine) tell(id string, made place, in sigma.Slot, around *gathered, own []*sigma.Entry, principal finding.Principal) {
	all := around.with(e, own)
	s := e.slots[id]
	if s == nil {
		s = &slot{rule: made.of, made: made}
		e.slots[id] = s
		e.buckets.putSlot(s)
	}
	unconfirmed := in.Unconfirmed && !s.settled
	alone := set{all.count - around.count, all.sum - around.sum}
	if was := &s.finding; was.Revision > 0 && was.Withdrawn == "" && was.Principal.Privileged == principal.Privileged && was.Unconfirmed == unconfirmed && was.Time.Equal(in.Time) {
		switch {
		case s.records == all.set:
			e.watchSlot(s) // of one that was loaded under a changed rule nobody has
			return
		case around.wait && s.own == alone:
			e.crowds.postpone(made)
			return
		}
	}
	rule := made.of.rule
	f := finding.Finding{ID: id, Rule: rule.Name, Title: rule.Title, Level: levelFor(rule, principal), Kind: rule.Custom.Kind,
		Techniques: rule.Techniques, Decisive: rule.Custom.Decisive, Playbook: rule.Custom.Playbook, Mode: e.quiet(rule.Name), Tenant: e.tenants[in.Group.Tenant],
		Time: in.Time, Principal: principal, Actor: principal, Unconfirmed: unconfirmed, Count: all.count, Revision: s.finding.Revision,
		Why: []finding.Reason{{Clause: made.of.says, Values: made.values()}}}
	first, proof := all.tell(e)
	f.Proof = proof
	f.Says = string(fill(nil, sentence(rule), func(word string) string {
		switch word {
		case "users":
			return strconv.Itoa(all.users())
		case "count":
			return strconv.Itoa(all.count)
		case "principal", "actor":
			return spoken(principal.Label())
		}
		for _, w := range first {
			if said := w.words[word]; said != "" && said != unknownWord {
				return said
			}
		}
		return unknownWord
	}))
	s.finding, s.records, s.own = f, all.set, alone
	e.watchSlot(s)
	e.revise(s, all.count)
}
