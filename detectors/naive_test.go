package detectors

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cordon/detectors/sigma"
	"cordon/internal/finding"
	"cordon/internal/record"
)

// happened is something that records tell of: a sign-in or a change, with all that its fullest revision says.
type happened struct {
	id, tenant, category         string
	user, address, country, oper string
	code                         int
	at                           time.Time
	admin                        bool
	revisions                    []fields // each says all that the one before it says, and more
	full                         *record.Record
}

func (h *happened) value(field string) string {
	if field == "signIn.errorCode" && h.category == record.SignInLogs {
		return strconv.Itoa(h.code)
	}
	return map[string]string{"actor.id": h.user, "signIn.address": h.address, "location.countryOrRegion": h.country, "operation": h.oper}[field]
}

// told is what a finding says, but for its wording and where its records came from.
type told struct {
	Rule, Tenant, Principal, Level, Mode, Suppressed string
	Time                                             string
	Unconfirmed, Withdrawn                           bool
	Count                                            int
	Proof                                            string
}

func tell(f finding.Finding) told {
	var ids []string
	for _, p := range f.Proof {
		ids = append(ids, p.Record)
	}
	if f.Withdrawn != "" {
		f.Suppressed = "" // which of the contradicted revisions it tells depends on their order, and counts for nothing
	}
	return told{f.Rule, strings.ToLower(f.Tenant), f.Principal.Type + " " + f.Principal.ID + " " + string(f.Principal.Privileged), f.Level, f.Mode, f.Suppressed,
		f.Time.UTC().Format(time.RFC3339Nano), f.Unconfirmed, f.Withdrawn != "", f.Count, strings.Join(ids, " ")}
}

// naive evaluates rules by their definition (rule 2 of the architecture, and its word "unconfirmed"): slowly, over all that
// happened, by the fullest revision of each record, with no order in which anything came.
type naive struct {
	plan  *Engine // for what is proved elsewhere: whether a rule, or an exception, holds for one record
	all   []*happened
	mark  func(tenant, category string) time.Time // where the watermarks stand in the end; zero is the end of input
	items map[string][]*nItem                     // of what a rule or a correlation hands to those above, by its name
	found map[string]told
}

// nItem is a record under a rule, or the closing of a window of a correlation below.
type nItem struct {
	what        *happened
	rule        string
	below       *nItem   // of a closing: the item that closed the window
	window      []*nItem // of a closing
	unconfirmed bool
}

func (n *naive) evaluate() map[string]told {
	n.items, n.found = map[string][]*nItem{}, map[string]told{}
	for i, rule := range n.plan.rules {
		for _, h := range n.all {
			if slices.Contains(rule.Categories, h.category) {
				n.single(i, rule, h)
			}
		}
	}
	for _, c := range n.plan.correlations { // from the bottom up
		n.correlation(c)
	}
	return n.found
}

func (n *naive) passed(tenant, category string, t time.Time) bool {
	mark := n.mark(tenant, category)
	return mark.IsZero() || !t.After(mark)
}

func (n *naive) single(place int, rule *sigma.Rule, h *happened) {
	truth := func(f fields) sigma.Truth {
		r, err := record.Decode(mustEncode(f), record.Defaults{})
		if err != nil {
			panic(err)
		}
		n.plan.event.take(r)
		n.plan.event.lookAs(place)
		return rule.Match(n.plan.event)
	}
	raised, suppressed := -1, ""
	for i, f := range h.revisions {
		if truth(f).Holds() {
			raised = i // and the fullest of those is what the finding tells
		}
	}
	if raised < 0 {
		return
	}
	final := truth(h.revisions[len(h.revisions)-1])
	r, err := record.Decode(mustEncode(h.revisions[raised]), record.Defaults{})
	if err != nil {
		panic(err)
	}
	suppressed = n.plan.Suppressor(rule, r)
	if final.Holds() && suppressed == "" {
		n.items[rule.Name] = append(n.items[rule.Name], &nItem{what: h, rule: rule.Name, unconfirmed: final == sigma.TrueAbsent})
	}
	if n.plan.Serves(rule.Name) {
		return
	}
	level, privileged := rule.Level, "no"
	if h.admin {
		privileged = "yes"
		if l := rule.Custom.PrivilegedLevel; l != "" {
			level = l
		}
	}
	if !final.Holds() {
		suppressed = ""
	}
	n.found[rule.Name+"/"+h.id] = told{Rule: rule.Name, Tenant: h.tenant, Principal: record.User + " " + h.user + " " + privileged, Level: level, Mode: n.mode(rule),
		Suppressed: suppressed, Time: h.at.Format(time.RFC3339Nano), Withdrawn: !final.Holds(), Count: 1, Proof: h.id,
		Unconfirmed: !final.Holds() || final == sigma.TrueAbsent && !n.passed(h.tenant, h.category, h.at.Add(10*time.Minute))}
}

func (n *naive) mode(rule *sigma.Rule) string {
	if rule.Custom.Mode == finding.Audit {
		return finding.Audit
	}
	return ""
}

// value is what a correlation reads of a field in an item of a rule or correlation.
func (n *naive) value(it *nItem, field string) string {
	if it.below == nil {
		return it.what.value(field)
	}
	over := n.plan.correlation(it.rule).over
	if slices.Contains(over.GroupBy, field) {
		field = over.Field(it.below.rule, field)
	}
	return n.value(it.below, field)
}

func (n *naive) correlation(c *correlation) {
	groups := map[string][]*nItem{}
	for _, name := range c.over.Rules {
		for _, it := range n.items[name] {
			key := it.what.tenant + "/"
			for i, field := range c.over.GroupBy {
				part := strings.ReplaceAll(strings.ToLower(n.value(it, c.over.Field(name, field))), "|", "%7c")
				if part == "" {
					key = ""
					break
				}
				if i > 0 {
					key += "|"
				}
				key += part
			}
			if key != "" {
				groups[key] = append(groups[key], it)
			}
		}
	}
	for key, items := range groups {
		type slotted struct {
			at     time.Time
			proven bool
			items  []*nItem
		}
		slots := map[int64]*slotted{}
		for _, closer := range items {
			t := closer.what.at
			var window, sure []*nItem
			for _, it := range items {
				if it.what.at.After(t.Add(-c.over.Timespan)) && !it.what.at.After(t) {
					window = append(window, it)
					if !it.unconfirmed {
						sure = append(sure, it)
					}
				}
			}
			waits := c.over.Waits() && !n.over(c, closer.what.tenant, t)
			if waits || !n.holds(c.over, window) {
				continue
			}
			number := t.UnixNano() / int64(c.over.Timespan)
			s := slots[number]
			if s == nil {
				s = &slotted{at: t}
				slots[number] = s
			}
			if t.Before(s.at) {
				s.at = t
			}
			proven := !closer.unconfirmed && n.holds(c.over, sure)
			s.proven = s.proven || proven
			s.items = append(s.items, window...)
			n.items[c.rule.Name] = append(n.items[c.rule.Name], &nItem{what: closer.what, rule: c.rule.Name, below: closer, window: window, unconfirmed: !proven})
		}
		for number, s := range slots {
			unconfirmed := !s.proven && !n.over(c, strings.Split(key, "/")[0], s.at.Add(10*time.Minute))
			n.tell(c, key, number, s.at, unconfirmed, s.items)
		}
	}
}

// over says that the watermark of all that a correlation rests on has passed a time.
func (n *naive) over(c *correlation, tenant string, t time.Time) bool {
	for _, category := range c.categories {
		if mark := n.mark(tenant, category); mark.IsZero() || !mark.Equal(time.Unix(0, 0)) && t.After(mark) {
			return mark.IsZero()
		}
	}
	return true
}

func (n *naive) tell(c *correlation, key string, number int64, at time.Time, unconfirmed bool, items []*nItem) {
	if n.plan.Serves(c.rule.Name) {
		return
	}
	write := func(id, principal string, items []*nItem) {
		records := map[string]*happened{}
		var collect func(items []*nItem)
		collect = func(items []*nItem) {
			for _, it := range items {
				if it.below != nil {
					collect(it.window)
				} else {
					records[it.what.id] = it.what
				}
			}
		}
		collect(items)
		var proof []*happened
		for _, h := range records {
			proof = append(proof, h)
		}
		slices.SortFunc(proof, func(a, b *happened) int {
			if d := a.at.Compare(b.at); d != 0 {
				return d
			}
			return strings.Compare(a.id, b.id)
		})
		var ids []string
		for _, h := range proof[:min(len(proof), finding.MaxProof)] {
			ids = append(ids, h.id)
		}
		level := c.rule.Level
		if strings.HasSuffix(principal, " yes") && c.rule.Custom.PrivilegedLevel != "" {
			level = c.rule.Custom.PrivilegedLevel
		}
		n.found[id] = told{Rule: c.rule.Name, Tenant: strings.Split(key, "/")[0], Principal: principal, Level: level, Mode: n.mode(c.rule),
			Time: at.Format(time.RFC3339Nano), Unconfirmed: unconfirmed, Count: len(records), Proof: strings.Join(ids, " ")}
	}
	if c.principal == "" {
		write(fmt.Sprintf("%s/%s/%d", c.rule.Name, key, number), record.Tenant+" "+strings.Split(key, "/")[0]+" ", items)
		return
	}
	own, others := map[string][]*nItem{}, []*nItem(nil)
	privileged := map[string]string{}
	for _, it := range items {
		if it.rule != c.principal {
			others = append(others, it)
			continue
		}
		own[it.what.user] = append(own[it.what.user], it)
		if privileged[it.what.user] != "yes" {
			privileged[it.what.user] = "no"
		}
		if it.what.admin {
			privileged[it.what.user] = "yes"
		}
	}
	for user, mine := range own {
		write(fmt.Sprintf("%s/%s|%s/%d", c.rule.Name, key, user, number), record.User+" "+user+" "+privileged[user], append(mine, others...))
	}
}

// holds says whether a window meets the condition. Those about sums are about error codes here, which are whole.
func (n *naive) holds(c *sigma.Correlation, window []*nItem) bool {
	if c.Bounds == nil {
		return c.Range.Holds(n.count(c, window))
	}
	sum, count := 0.0, 0.0
	for _, it := range window {
		if said, err := strconv.ParseFloat(n.value(it, c.Fields[0]), 64); err == nil {
			sum, count = sum+said, count+1
		}
	}
	for _, b := range c.Bounds {
		than, _ := b.Than.Float64()
		if c.Type == "value_avg" {
			than *= count
		}
		if b.How == "gte" && sum < than || b.How == "lt" && sum >= than {
			return false
		}
	}
	return count > 0
}

func (n *naive) count(c *sigma.Correlation, window []*nItem) int {
	seen := map[string]bool{}
	for _, it := range window {
		switch c.Type {
		case "event_count":
			key := it.what.id
			if it.below != nil {
				key = it.rule + " " + key // a window that closes is no record
			}
			seen[key] = true
		case "value_count":
			value := ""
			for _, field := range c.Fields {
				part := strings.ToLower(n.value(it, field))
				if part == "" {
					value = ""
					break
				}
				value += part + "\x00"
			}
			seen[value] = true
		case "temporal":
			seen[it.rule] = true
		}
	}
	delete(seen, "")
	if c.Type != "temporal_ordered" {
		return len(seen)
	}
	most := 0 // of the rules, in their order, that have items none of which is earlier than the one before
	for subset := range 1 << len(c.Rules) {
		last, links := time.Time{}, 0
		for i, rule := range c.Rules {
			if subset>>i&1 == 0 {
				continue
			}
			best := time.Time{}
			for _, it := range window {
				if it.rule == rule && !it.what.at.Before(last) && (best.IsZero() || it.what.at.Before(best)) {
					best = it.what.at
				}
			}
			if best.IsZero() {
				links = -1
				break
			}
			last, links = best, links+1
		}
		most = max(most, links)
	}
	return most
}
