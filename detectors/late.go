package detectors

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cordon/detectors/sigma"
	"cordon/internal/bus"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/record"
	"github.com/nats-io/nats.go/jetstream"
)

// Audit records are later than sign-ins, as a rule. What one says of a role holds for the sign-ins that came before it: a
// shard looks at those again, with engine.again set, so that the findings are those of the order in which it happened.

// facts are those that an engine has learnt.
type facts map[holding]*sayings

// holding is somebody's role in a tenant.
type holding struct {
	tenant, key string
	role        directory.Role
}

// sayings are what records have said of one.
type sayings struct {
	first   time.Time // the earliest of them
	records []string
	many    map[string]bool // the records, once they are
}

// fewSayings are looked through one by one.
const fewSayings = 8

func (s *sayings) by(record string) bool {
	if s.many != nil {
		return s.many[record]
	}
	return slices.Contains(s.records, record)
}

func (s *sayings) add(record string) {
	if s.many != nil {
		s.many[record] = true
		return
	}
	if s.records = append(s.records, record); len(s.records) <= fewSayings {
		return
	}
	s.many = map[string]bool{}
	for _, r := range s.records {
		s.many[r] = true
	}
	s.records = nil
}

// add says whether a fact was new, and whether it lies before all that was known of who held the role: then it says
// something about all that came before it, else about what follows it alone.
func (all facts) add(f directory.Fact) (fresh, first bool) {
	of := holding{f.Tenant, f.Key, f.Role}
	said := all[of]
	if said == nil {
		all[of] = &sayings{first: f.At, records: []string{f.Record}}
		return true, true
	}
	if said.by(f.Record) {
		return false, false
	}
	said.add(f.Record)
	if !f.At.Before(said.first) {
		return true, false
	}
	said.first = f.At
	return true, true
}

// learnt is a fact, and whether it was the first of its kind.
type learnt struct {
	directory.Fact
	first bool
}

// holder is one of whom a shard has learnt something.
type holder struct{ tenant, key string }

// Risen has what some principals of a tenant did looked at again: somebody has read of roles that the audit stream said nothing
// of, such as the first time that Graph answers. Where the tenant's shard is not this instance's it is done if it becomes so.
func (r *Room) Risen(tenant string, principals []string) {
	s := r.shards[bus.ShardOf(tenant)]
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range principals {
		s.risen[holder{tenant, key}] = true
	}
}

// lookAgain looks again at what it has read of those of whom it has learnt something since. What the engine has found
// already it finds no second time.
func (s *shard) lookAgain(ctx context.Context) (out []finding.Finding, err error) {
	if len(s.learnt)+len(s.risen) == 0 || s.through == 0 { // of what nobody has read there is nothing to look at
		return nil, nil
	}
	since := map[holder]time.Time{}
	for _, l := range s.learnt {
		from := l.At
		if l.first {
			from = from.Add(-s.back())
		}
		h := holder{l.Tenant, l.Key}
		if had, is := since[h]; !is || from.Before(had) {
			since[h] = from
		}
	}
	s.engine.again = true
	defer func() { s.engine.again = false }()
	look := func(h holder, from, stored time.Time) error {
		if from.Before(s.engine.forgotten) {
			from = s.engine.forgotten
		}
		span := bus.Span{Stream: bus.Logs, Filter: []string{bus.RecordsOf(h.tenant, h.key)}, Since: stored, Last: s.through}
		err := s.room.Bus.ScanSpan(ctx, span, func(m jetstream.Msg) error {
			if !strings.EqualFold(record.PrincipalOf(m.Headers()), h.key) {
				return nil
			}
			rec, position, err := s.decoder.FromLogs(m.Headers(), m.Data())
			if err != nil || rec.Time.Before(from) { // what cannot be read was reported when it came
				return nil
			}
			if !s.room.footprints.isOwn(rec) {
				out = append(out, s.engine.Process(rec, position)...)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("looking again at what %s did: %w", h.key, err)
		}
		return nil
	}
	for h, from := range since {
		if err := look(h, from, from.Add(-record.AheadAtMost)); err != nil {
			return nil, err
		}
	}
	for h := range s.risen {
		if err := look(h, time.Time{}, time.Now().Add(-s.back())); err != nil {
			return nil, err
		}
	}
	s.learnt = nil
	maps.Copy(s.unsaved, s.risen)
	clear(s.risen)
	return out, nil
}

// reconsidered tells a finding anew where what was learnt of its record's principal changes it, or where an exception has been
// made or taken away since.
func (e *Engine) reconsidered(s *single, v *event, by string) *kept {
	if v.Fullness() < s.size || s.withdrawn != "" && !(e.again && s.withdrawn == learntOtherwise) {
		return s.of
	}
	was := e.finding(s)
	standing, _ := v.standing()
	learnt := e.again && (s.withdrawn != "" || (standing == directory.Yes) != (was.Actor.Privileged == directory.Yes))
	if !learnt && by == was.Suppressed {
		return s.of
	}
	f, says := e.describe(v, was.Proof[0].Positions[0])
	f.Suppressed, f.Proof[0].Positions = by, was.Proof[0].Positions
	s.packed, s.withdrawn = e.pack(f, says), ""
	s.revision++
	return e.publish(s, f)
}

// lost says that the rule that looks held as long as the principal was thought to be privileged, which he was not.
func (e *Engine) lost(v *event) bool {
	if !e.again {
		return false
	}
	r := v.Record
	v.take(r)
	v.asked, v.privileged = true, directory.Yes
	held := e.rules[v.rule].Match(v).Holds()
	v.take(r)
	return held
}

// sayAgain says anew what the record of an item says, and has its windows be looked at: what was learnt of its principal may
// change what is told of them.
func (e *Engine) sayAgain(k *kept, v *event, position string, words []string, to *inlet, it *sigma.Entry) {
	if !e.again || int(it.Size) > v.Fullness() {
		return
	}
	e.say(k, v, position, words)
	e.windows[to.to.at].Again(it)
	e.buckets.touch(k)
}
