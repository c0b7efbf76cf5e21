package detectors

import (
	"maps"
	"time"

	fieldtable "cordon/detectors/fields"
	"cordon/detectors/sigma"
	"cordon/internal/record"
)

// SuppressedBy names a rule and the exception that suppressed a match of it.
type SuppressedBy struct {
	Rule      string `json:"rule"`
	Exception string `json:"exception"`
}

// exceptions are what an engine knows of its rules' exceptions, and how often each suppressed a record.
type exceptions struct {
	views map[*sigma.Filter]map[*sigma.Rule]fieldtable.View // how each sees the records of a rule
	seen  map[matched]suppression                           // a record counts once, however often it comes
	count map[SuppressedBy]int
}

// matched is one record that a rule matched.
type matched struct{ rule, record string }

// suppression is what became of the fullest revision of a record that an exception has once suppressed: a poorer one
// that comes after it, or is read again, says nothing else.
type suppression struct {
	by   string
	size int
	time time.Time
}

// except resolves what the exceptions of the rules ask of a record: by the names of the rule's log source, for their
// condition is joined to the rule's.
func (e *Engine) except(rules []*sigma.Rule) {
	e.exceptions = exceptions{views: map[*sigma.Filter]map[*sigma.Rule]fieldtable.View{}, seen: map[matched]suppression{}, count: map[SuppressedBy]int{}}
	if e.untuned {
		return
	}
	for _, r := range rules {
		for _, f := range r.Exceptions {
			if e.exceptions.views[f] == nil {
				e.exceptions.views[f] = map[*sigma.Rule]fieldtable.View{}
			}
			e.exceptions.views[f][r] = e.table.View(fieldtable.Name(r.LogSource().Product, r.LogSource().Service), fieldsOf(f.Clauses()))
		}
	}
}

// suppressor is the name of the exception that suppresses a rule's match of a record; "" where none does, or where there
// is no match to suppress.
func (e *Engine) suppressor(rule *sigma.Rule, v event, truth sigma.Truth) string {
	if len(rule.Exceptions) == 0 || !truth.Holds() {
		return ""
	}
	key, now := matched{rule.Name, v.ID}, suppression{size: v.Fullness(), time: v.Time}
	before, again := e.exceptions.seen[key]
	if again && before.size > now.size {
		return before.by
	}
	now.by = e.firstException(rule, v)
	if again || now.by != "" {
		e.exceptions.seen[key] = now
	}
	if now.by != "" && now.by != before.by {
		e.exceptions.count[SuppressedBy{rule.Name, now.by}]++
	}
	return now.by
}

func (e *Engine) firstException(rule *sigma.Rule, v event) string {
	for _, f := range rule.Exceptions {
		view, ours := e.exceptions.views[f][rule]
		if v.view = view; ours && f.Suppresses(v, v.Time) {
			return f.Name
		}
	}
	return ""
}

// Suppressor is the name of the exception that suppresses a rule's match of a record; "" where none does, or where the
// rule does not match. Nothing is counted.
func (e *Engine) Suppressor(rule *sigma.Rule, rec *record.Record) string {
	v := e.event(rec, e.viewOf(rule))
	if !rule.Match(v).Holds() {
		return ""
	}
	return e.firstException(rule, v)
}

// uncount takes from a correlation a record that it has counted, where this revision says as much or more.
func (c *correlator) uncount(rule *sigma.Rule, v event, size int) {
	if had, _ := c.Unconfirmed(v.ID, rule.Name); size >= had {
		c.Remove(v.ID, rule.Name)
	}
}

// Suppressed counts the records that exceptions have kept from rules, also from those that only serve correlations.
func (e *Engine) Suppressed() map[SuppressedBy]int { return e.exceptions.count }

// forget drops what lies before t; the counts stay.
func (x *exceptions) forget(t time.Time) {
	for key, s := range x.seen {
		if s.time.Before(t) {
			delete(x.seen, key)
		}
	}
}

func fieldsOf(clauses []sigma.Clause) (names []string) {
	for _, c := range clauses {
		if !c.Keywords && c.Field != "" {
			names = append(names, c.Field)
		}
	}
	return names
}

// counted begins to count what is suppressed from here on: what was read back at the start was counted before it.
func (r *Room) counted() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before = maps.Clone(r.engine.Suppressed())
}

// Suppressed counts the records that exceptions have kept from rules since the room began to work.
func (r *Room) Suppressed() map[SuppressedBy]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[SuppressedBy]int{}
	for by, n := range r.engine.Suppressed() {
		if n -= r.before[by]; n > 0 {
			out[by] = n
		}
	}
	return out
}
