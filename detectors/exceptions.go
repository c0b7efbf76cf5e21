package detectors

import (
	"cordon/detectors/sigma"
	"cordon/internal/record"
)

// SuppressedBy names a rule and the exception that suppressed a match of it.
type SuppressedBy struct {
	Rule      string `json:"rule"`
	Exception string `json:"exception"`
}

// exception is one of a rule's, with what it reads: by the names of the rule's log source, for its condition is joined
// to the rule's.
type exception struct {
	*sigma.Filter
	slots []int
}

// suppression is what became of the fullest revision of a record that an exception has once suppressed: a poorer one
// that comes after it, or is read again, says nothing else.
type suppression struct {
	rule int
	by   string
	size int32
	next *suppression // under another rule
}

func (p *Plan) except(r *sigma.Rule) (all []exception) {
	if p.untuned {
		return nil
	}
	for _, f := range r.Exceptions {
		x := exception{Filter: f}
		for _, name := range f.Fields() {
			x.slots = append(x.slots, p.slot(r, name))
		}
		all = append(all, x)
	}
	return all
}

// suppressor is the name of the exception that suppresses the looking rule's match of a record, "" where none does. A
// record counts once, however often it comes.
func (e *Engine) suppressor(k *kept, v *event) (*kept, string) {
	now := suppression{rule: v.rule, size: int32(v.Fullness())}
	var before *suppression
	if k != nil {
		for before = k.suppressed; before != nil && before.rule != v.rule; before = before.next {
		}
	}
	if before != nil && before.size > now.size {
		return k, before.by
	}
	now.by = e.firstException(v)
	if before == nil && now.by == "" {
		return k, ""
	}
	k = e.know(k, v)
	if now.by != "" && (before == nil || now.by != before.by) {
		e.suppressed[SuppressedBy{e.rules[v.rule].Name, now.by}]++
	}
	if before == nil {
		now.next, k.suppressed = k.suppressed, &now
	} else {
		before.by, before.size = now.by, now.size
	}
	e.buckets.touch(k)
	return k, now.by
}

func (e *Engine) firstException(v *event) string {
	defer v.lookAs(v.rule)
	for _, x := range e.exceptions[v.rule] {
		if v.fields = x.slots; x.Suppresses(v, v.Time) {
			return x.Name
		}
	}
	return ""
}

// Suppressor is the name of the exception that suppresses a rule's match of a record; "" where none does, or where the
// rule does not match. Nothing is counted.
func (e *Engine) Suppressor(rule *sigma.Rule, rec *record.Record) string {
	v := e.event
	v.take(rec)
	v.lookAs(e.places[rule.Name])
	if !rule.Match(v).Holds() {
		return ""
	}
	return e.firstException(v)
}

// Suppressed counts the records that exceptions have kept from rules, also from those that only serve correlations.
func (e *Engine) Suppressed() map[SuppressedBy]int { return e.suppressed }
