package detectors

import (
	"container/heap"
	"strings"
	"time"

	"cordon/internal/finding"
)

// opened is where an unconfirmed finding waits for the watermark; it waits nowhere once its queue is nil.
type opened struct {
	queue *queue
	at    int64 // the time of the finding
}

// waits are unconfirmed findings, by the watermark that may confirm them. What is asked of them costs as much as what is
// due, however many wait.
type waits struct {
	by   map[carried]*queue // tenants in small letters
	last *queue             // that something was put into: the next is the same, as a rule
}

// queue has the earliest finding first. One that waits no longer, or waits elsewhere, is passed over when its turn comes.
type queue struct {
	carried
	written string // the tenant, as it first was
	turns   []turn
}

type turn struct {
	at     int64
	single *single
	slot   *slot
}

func (t turn) opened() *opened {
	if t.single != nil {
		return &t.single.opened
	}
	return &t.slot.opened
}

func (q *queue) Len() int           { return len(q.turns) }
func (q *queue) Less(i, j int) bool { return q.turns[i].at < q.turns[j].at }
func (q *queue) Swap(i, j int)      { q.turns[i], q.turns[j] = q.turns[j], q.turns[i] }
func (q *queue) Push(x any)         { q.turns = append(q.turns, x.(turn)) }
func (q *queue) Pop() any {
	last := q.turns[len(q.turns)-1]
	q.turns[len(q.turns)-1] = turn{}
	q.turns = q.turns[:len(q.turns)-1]
	return last
}

// put has a finding wait if it should: it is unconfirmed, neither settled nor withdrawn, and says of what. of is what the
// watermark is asked by, beside the tenant: a category of records, or a correlation.
func (w *waits) put(of string, t turn, f *finding.Finding, settled bool) {
	is := t.opened()
	if !f.Unconfirmed || settled || f.Withdrawn != "" || len(f.Proof) == 0 {
		is.queue = nil
		return
	}
	q := w.last
	if q == nil || q.category != of || q.written != f.Tenant {
		key := carried{strings.ToLower(f.Tenant), of}
		if q = w.by[key]; q == nil {
			if w.by == nil {
				w.by = map[carried]*queue{}
			}
			key = carried{strings.Clone(key.tenant), strings.Clone(of)} // a finding's texts are parts of a larger one
			q = &queue{carried: key, written: strings.Clone(f.Tenant)}
			w.by[key] = q
		}
		w.last = q
	}
	t.at = f.Time.UnixNano()
	if is.queue == q && is.at == t.at {
		return
	}
	is.queue, is.at = q, t.at
	heap.Push(q, t)
}

// due takes out those that the watermark has passed by as long as it takes to settle.
func (w *waits) due(watermark func(tenant, of string) time.Time, settle func(turn)) {
	for key, q := range w.by {
		mark := watermark(key.tenant, key.category)
		q.until(func(at int64) bool { return mark.IsZero() || !time.Unix(0, at).Add(settles).After(mark) }, settle)
	}
}

// forget drops those about times before t.
func (w *waits) forget(t time.Time) {
	for _, q := range w.by {
		q.until(func(at int64) bool { return at < t.UnixNano() }, func(turn) {})
	}
}

func (q *queue) until(due func(at int64) bool, take func(turn)) {
	for len(q.turns) > 0 && due(q.turns[0].at) {
		t := heap.Pop(q).(turn)
		if is := t.opened(); is.queue == q && is.at == t.at {
			is.queue = nil
			take(t)
		}
	}
}

// watch keeps in mind what the watermark may confirm.
func (e *Engine) watch(s *single, f *finding.Finding) {
	e.open.put(f.Proof[0].Category, turn{single: s}, f, s.settled)
}

func (e *Engine) watchSlot(s *slot) {
	e.openSlots.put(s.rule.rule.Name, turn{slot: s}, &s.finding, s.settled)
}
