// Package detectors turns records into findings: from LOGS to FINDINGS. The engine here is the same for the
// stream, for files and for tests; the room around it (detectors.go) reads and writes the streams.
package detectors

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"cordon/detectors/keyed"
	"cordon/detectors/pieces"
	"cordon/detectors/sigma"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/record"
)

// manyTurned is how many findings that settle together leave their memory to the next.
const manyTurned = 4096

// settles is how far the watermark must have passed an unconfirmed finding before it counts by itself.
const settles = 10 * time.Minute

// Engine matches records against a plan's rules and keeps what open windows and unconfirmed findings need. It is not
// safe for concurrent use: one goroutine owns it.
type Engine struct {
	*Plan
	directory *directory.Directory
	event     *event
	found     *sigma.Candidates
	sight     *sight // of the record before

	records *keyed.Set[*kept]
	origins origins
	windows []*sigma.Correlator // by correlation of the plan
	slots   map[string]*slot
	made    map[place][]string // findings
	heard   []*slot            // that FINDINGS has and the snapshot had not, until LOGS has been read again
	edited  map[place][]*slot  // unconfirmed, and found by another edition of their rule, until LOGS has been read again
	tenants map[string]string  // as records spell them, by their small letters

	lastTenant spelt // that was asked for: the next is the same, as a rule

	open      waits // unconfirmed, and may still be confirmed
	openSlots waits
	forgotten time.Time      // what happened before is
	passed    int            // records that came from before it, since anybody asked: correlations count them no more
	changed   map[*slot]bool // since the last Flush
	round     uint32         // of gathering

	buckets    buckets
	facts      facts
	crowds     crowds
	fuller     fuller
	learnt     func(learnt)   // is told what records say of roles that was new; nil where nobody asks
	again      bool           // records are looked at again because of that
	silenced   map[string]int // rules that an unknown fact kept from firing
	suppressed map[SuppressedBy]int

	// What is made of one record, in memory that is used for the next.
	says     []byte
	packed   []byte
	packer   packer
	because  []sigma.Reason
	position [1]string
	out      []finding.Finding
	turned   []finding.Finding
	// What stays.
	texts   pieces.Texts
	lists   pieces.Of[string]
	sums    pieces.Of[uint64]
	singles pieces.Of[single]
	kepts   pieces.Of[kept]
	targets pieces.Of[finding.Object]
	reasons pieces.Of[finding.Reason]
	proofs  pieces.Of[finding.Proof]
}

// NewEngine plans rules and returns an engine for them.
func NewEngine(rules []*sigma.Rule, d *directory.Directory, options ...Option) (*Engine, error) {
	p, err := NewPlan(rules, options...)
	if err != nil {
		return nil, err
	}
	return p.Engine(d), nil
}

// Engine returns an engine that has seen nothing yet.
func (p *Plan) Engine(d *directory.Directory) *Engine {
	e := &Engine{Plan: p, directory: d, event: newEvent(p, d), found: sigma.NewCandidates(), records: keyed.New[*kept](), origins: origins{by: map[string]*origin{}}, slots: map[string]*slot{},
		made: map[place][]string{}, facts: facts{}, fuller: newFuller(), tenants: map[string]string{}, changed: map[*slot]bool{}, silenced: map[string]int{}, suppressed: map[SuppressedBy]int{}}
	for _, c := range p.correlations {
		e.windows = append(e.windows, sigma.NewCorrelator(c.rule.Name, c.over, len(c.above) > 0))
		e.windows[len(e.windows)-1].Reach(c.reach)
	}
	return e
}

// Explain says why a rule that is no correlation holds for a record or does not, whatever the record's category.
func (e *Engine) Explain(r *sigma.Rule, rec *record.Record) sigma.Explanation {
	e.event.take(rec)
	e.event.lookAs(e.places[r.Name])
	return r.Explain(e.event)
}

// Process looks at one record and returns the findings that it raises, adds to or withdraws. Findings of
// correlations gather until Flush, so that a burst of records makes one revision. What the engine keeps of a record it
// copies: the record may be one that a Decoder writes over. The list that it returns is written over by the next call, the
// findings in it are not.
func (e *Engine) Process(r *record.Record, position string) []finding.Finding {
	e.out = e.out[:0]
	e.observe(r)
	if !r.Decoded() {
		return nil
	}
	s := e.sight // of the record before: this one's, as a rule
	if s == nil || s.category != r.Category {
		if s = e.sights[r.Category]; s == nil {
			return nil
		}
		e.sight = s
	}
	if r.Time.Before(e.forgotten) {
		e.passed++
	}
	v := e.event
	v.take(r)
	s.index.Find(v, e.found)
	v.most = e.fuller.see(r.ID, r.Fullness())
	k := e.known(r.ID)
	if k != nil {
		e.suspects(k, func(rule int) {
			if place, here := s.place[rule]; here {
				e.found.Also(place)
			}
		})
	}
	if standing, _ := v.standing(); standing == directory.Yes && (k == nil || r.Fullness() > int(k.fullest)) {
		k = e.know(k, v)
		k.fullest = int32(r.Fullness())
		e.buckets.touch(k)
	}
	for place := e.found.Next(0); place >= 0; place = e.found.Next(place + 1) {
		v.lookAs(s.rules[place])
		rule := e.rules[v.rule]
		truth := rule.Match(v)
		if truth == sigma.Unknown {
			e.silenced[rule.Name]++
		}
		if !truth.Holds() && k == nil {
			continue
		}
		by := ""
		if truth.Holds() && len(e.exceptions[v.rule]) > 0 {
			k, by = e.suppressor(k, v)
		}
		if e.tells[v.rule] {
			k = e.single(k, v, truth, by, position)
		}
		k = e.correlate(k, v, truth, by, position, s.words)
	}
	return e.out
}

// observe learns from a record what it says of roles. Who else has learnt it before does not matter: the engine's snapshot
// must say it, and what it makes grave must be looked at.
func (e *Engine) observe(r *record.Record) {
	said := e.directory.Observe(r)
	fresh := said[:0]
	for _, f := range said {
		is, first := e.facts.add(f)
		if !is {
			continue
		}
		fresh = append(fresh, f)
		if e.learnt != nil {
			e.learnt(learnt{f, first})
		}
	}
	if len(fresh) > 0 {
		e.buckets.learnt(fresh)
	}
}

// Flush returns the findings of correlations that have changed since. A window that holds many records is not looked at
// for each that comes, but when it has grown by a part; FlushAll looks at every one.
func (e *Engine) Flush() []finding.Finding {
	e.look((*sigma.Correlator).Grown)
	return e.flush()
}

// FlushAll returns the findings of correlations that have changed since, of whatever size. It is called once a second, as a
// rule.
func (e *Engine) FlushAll() []finding.Finding {
	e.crowds.seconds++
	e.awake(func(due int) bool { return due <= e.crowds.seconds })
	e.look((*sigma.Correlator).Changed)
	return e.flush()
}

// lookAtAll brings all findings of correlations to what the windows hold.
func (e *Engine) lookAtAll() {
	patient := e.crowds.patient
	e.crowds.patient = false
	e.awake(func(int) bool { return true })
	e.look((*sigma.Correlator).Changed)
	e.crowds.patient = patient
}

func (e *Engine) flush() []finding.Finding {
	if len(e.changed) == 0 {
		return nil
	}
	all := make([]*finding.Finding, 0, len(e.changed))
	for s := range e.changed {
		all = append(all, &s.finding)
	}
	clear(e.changed)
	return ordered(all)
}

// ordered are findings by time and ID. They are large: each is copied once.
func ordered(all []*finding.Finding) []finding.Finding {
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b *finding.Finding) int {
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.ID, b.ID))
	})
	out := make([]finding.Finding, len(all))
	for i, f := range all {
		out[i] = *f
	}
	return out
}

// Settle confirms every unconfirmed finding that one watermark has passed by ten minutes; a zero watermark is the end
// of input, which confirms all.
func (e *Engine) Settle(watermark time.Time) []finding.Finding {
	if watermark.IsZero() {
		e.lookAtAll()
	}
	return e.SettleEach(func(string, string) time.Time { return watermark })
}

// SettleEach does so by the watermark of the tenant and the record's category. Windows whose condition more records
// could have taken away are looked at as far as the watermark has come; Flush returns what they raise.
func (e *Engine) SettleEach(watermark func(tenant, category string) time.Time) []finding.Finding {
	turned := e.turned[:0]
	e.open.due(watermark, func(t turn) {
		s := t.single
		if !e.tells[s.rule] {
			return // the rule has been turned off since
		}
		s.settled, s.unconfirmed = true, false
		s.revision++
		e.buckets.touch(s.of)
		turned = append(turned, finding.Finding{})
		e.retell(s, &turned[len(turned)-1])
	})
	all := make([]*finding.Finding, 0, len(turned))
	for i := range turned {
		all = append(all, &turned[i])
	}
	for i, c := range e.correlations {
		if !c.over.Waits() {
			continue
		}
		for tenant := range e.tenants { // also where nothing waits yet: what comes to it from below has been passed too
			e.windows[i].PassTo(tenant, c.watermarkOf(tenant, watermark))
		}
	}
	e.look((*sigma.Correlator).Grown)
	e.openSlots.due(func(tenant, name string) time.Time { return e.correlation(name).watermarkOf(tenant, watermark) }, func(t turn) {
		s := t.slot
		if e.base[s.rule.rule.Name] {
			return
		}
		s.settled, s.finding.Unconfirmed = true, false
		e.revise(s, s.records.count)
		delete(e.changed, s)
		all = append(all, &s.finding)
	})
	out := ordered(all)
	clear(turned)
	if e.turned = turned; cap(turned) > manyTurned {
		e.turned = nil
	}
	return out
}

// Current are all findings that the engine holds, as they stand.
func (e *Engine) Current() []finding.Finding {
	e.lookAtAll()
	clear(e.changed)
	var all []*finding.Finding
	for k := range e.records.All() {
		for s := k.singles; s != nil; s = s.next {
			f := e.finding(s)
			all = append(all, &f)
		}
	}
	for _, s := range e.slots {
		all = append(all, &s.finding)
	}
	return ordered(all)
}

// Silenced counts, by rule, the records that an unknown fact kept from matching.
func (e *Engine) Silenced() map[string]int { return e.silenced }

// pass forgets what can matter no more when all partitions have been read up to a time.
func (e *Engine) pass(behind time.Time, l record.Lateness) {
	e.Forget(behind.Add(-e.back(l)))
	e.fuller.passed(behind, e.late(l))
}

// Forget drops state about event times before t. It walks over the buckets that hold any, and no others.
func (e *Engine) Forget(t time.Time) {
	if t.After(e.forgotten) {
		e.forgotten = t
	}
	for _, w := range e.windows {
		w.Forget(t)
	}
	e.open.forget(t)
	e.openSlots.forget(t)
	before := t.UnixNano()
	for _, b := range e.buckets.all {
		if b.earliest >= before {
			continue
		}
		b.earliest = math.MaxInt64
		known, slots := b.known, b.slots
		b.known, b.slots = nil, nil
		for _, k := range known {
			switch {
			case !e.records.Has(k):
			case k.time < before:
				for s := k.singles; s != nil; s = s.next {
					s.queue = nil
				}
				k.text = k.Key()
				e.records.Delete(k.text)
				e.buckets.gone(b)
			default:
				b.known = append(b.known, k)
				b.holds(k.time)
			}
		}
		for _, s := range slots {
			switch {
			case e.slots[s.finding.ID] != s:
			case s.finding.Time.UnixNano() < before:
				delete(e.slots, s.finding.ID)
				delete(e.changed, s)
				delete(e.made, s.made)
				e.crowds.forget(s.made)
				s.queue = nil
				e.buckets.gone(b)
			default:
				b.slots = append(b.slots, s)
				b.holds(s.finding.Time.UnixNano())
			}
		}
	}
}
