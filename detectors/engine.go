// Package detectors turns records into findings: from LOGS to FINDINGS. The engine here is the same for the
// stream, for files and for tests; the room around it (detectors.go) reads and writes the streams.
package detectors

import (
	"slices"
	"strings"
	"time"

	fieldtable "cordon/detectors/fields"
	"cordon/detectors/sigma"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/record"
)

// settles is how far the watermark must have passed an unconfirmed finding before it counts by itself.
const settles = 10 * time.Minute

// Engine matches records against rules and keeps what open windows and unconfirmed findings need. It is not safe
// for concurrent use: one goroutine owns it.
type Engine struct {
	rules       []*sigma.Rule     // that match single records
	views       []fieldtable.View // how each of them sees a record
	table       *fieldtable.Table
	byName      map[string]*sigma.Rule
	correlators []*correlator            // each after those it refers to
	serves      map[string][]*correlator // by the rules that they refer to
	directory   *directory.Directory
	base        map[string]bool // rules that only serve correlations

	singles  map[string]*single
	slots    map[string]*slot
	made     map[string][]string          // findings by correlation, group and slot
	tenants  map[string]string            // as records spell them, by their small letters
	words    map[string]map[string]string // what the same records say for the sentences of correlations
	proofs   map[string]finding.Proof     // of records in open windows, by record id
	actors   map[string]finding.Principal // of the same records
	fullest  map[string]fullest           // revisions of privileged principals' records, by record id
	silenced map[string]int               // rules that an unknown fact kept from firing

	tuning
	exceptions exceptions
}

// fullest is the fullest revision of a record that was looked at: revisions come in any order, above all after a
// restart, and the poorer one must not raise what the fuller one has contradicted. Those of privileged principals are
// kept alone: they are few, and theirs are the absences that prove something.
type fullest struct {
	size int
	time time.Time
}

// single is a finding about one record.
type single struct {
	finding finding.Finding
	digests map[string]bool
	size    int // of the fullest revision that was looked at
	settled bool
}

// slot is a finding of a correlation.
type slot struct {
	finding finding.Finding
	made    string // the key of Engine.made that it stands under
	records map[string]bool
	extra   int // revisions beyond the count of records
	settled bool
	changed bool
}

// Option is what an engine may be given beside its rules.
type Option func(*Engine)

// WithFields gives an engine another table of fields than the one that ships.
func WithFields(t *fieldtable.Table) Option { return func(e *Engine) { e.table = t } }

// NewEngine takes rules that come parsed and looks up what their fields mean. It refuses correlations over rules that are
// not there.
func NewEngine(rules []*sigma.Rule, d *directory.Directory, options ...Option) (*Engine, error) {
	e := &Engine{byName: map[string]*sigma.Rule{}, serves: map[string][]*correlator{}, directory: d, base: map[string]bool{}, singles: map[string]*single{},
		slots: map[string]*slot{}, made: map[string][]string{}, tenants: map[string]string{}, words: map[string]map[string]string{},
		proofs: map[string]finding.Proof{}, actors: map[string]finding.Principal{}, fullest: map[string]fullest{}, silenced: map[string]int{}}
	for _, o := range options {
		o(e)
	}
	if e.table == nil {
		table, err := fieldtable.Standard()
		if err != nil {
			return nil, err
		}
		e.table = table
	}
	rules, err := sigma.Except(rules)
	if err != nil {
		return nil, err
	}
	if err := e.link(rules); err != nil {
		return nil, err
	}
	if err := e.tune(rules); err != nil {
		return nil, err
	}
	e.except(rules)
	for _, r := range rules {
		if r.Correlation == nil && !e.idle(r.Name) {
			e.rules = append(e.rules, r)
			e.views = append(e.views, e.viewOf(r))
		}
	}
	for _, c := range e.correlators {
		for _, name := range c.over.Rules {
			e.serves[name] = append(e.serves[name], c)
		}
	}
	return e, nil
}

// viewOf resolves the names that a rule uses, once for all records.
func (e *Engine) viewOf(r *sigma.Rule) fieldtable.View {
	return e.table.View(fieldtable.Name(r.LogSource().Product, r.LogSource().Service), fieldsOf(r.Clauses()))
}

// Explain says why a rule that is no correlation holds for a record or does not, whatever the record's category.
func (e *Engine) Explain(r *sigma.Rule, rec *record.Record) sigma.Explanation {
	return r.Explain(e.event(rec, e.viewOf(r)))
}

func (e *Engine) event(r *record.Record, view fieldtable.View) event {
	v := event{Record: r, view: view}
	v.privileged, v.roles = e.directory.Privileged(r.Tenant, r.Actor, r.Time)
	return v
}

// Serves says that a rule raises no finding of its own: it only serves correlations.
func (e *Engine) Serves(name string) bool { return e.base[name] }

// privilegedField is the one fact that the directory knows and no record says.
const privilegedField = "actor.privileged"

// event is a record as rules see it: with what the directory knew about its actor at its time.
type event struct {
	*record.Record
	privileged directory.Known
	roles      []string
	view       fieldtable.View // of the rule that looks
}

func (v event) Field(name string) record.Values {
	if !strings.EqualFold(name, privilegedField) {
		return v.view.Field(v.Record, name)
	}
	switch v.privileged {
	case directory.Yes:
		return record.Values{List: []string{"true"}}
	case directory.No:
		return record.Values{List: []string{"false"}}
	}
	return record.Values{Unknown: true}
}

// Process looks at one record and returns the findings that it raises, adds to or withdraws. Findings of
// correlations gather until Flush, so that a burst of records makes one revision.
func (e *Engine) Process(r *record.Record, position string) []finding.Finding {
	e.directory.Observe(r)
	if !r.Decoded() {
		return nil
	}
	v := e.event(r, fieldtable.View{})
	if v.privileged == directory.Yes && r.Fullness() > e.fullest[r.ID].size {
		e.fullest[r.ID] = fullest{r.Fullness(), r.Time}
	}
	var out []finding.Finding
	for i, rule := range e.rules {
		if !slices.Contains(rule.Categories, r.Category) {
			continue
		}
		v.view = e.views[i]
		truth := rule.Match(v)
		if truth == sigma.Unknown {
			e.silenced[rule.Name]++
		}
		by := e.suppressor(rule, v, truth)
		if !e.base[rule.Name] {
			out = append(out, e.single(rule, v, truth, by, position)...)
		}
		e.correlate(rule, v, truth, by, position)
	}
	return out
}

const contradicted = "a fuller revision of the record contradicts it"

// single raises, revises or withdraws the finding that a rule makes of one record; by is the exception that suppresses it.
func (e *Engine) single(rule *sigma.Rule, v event, truth sigma.Truth, by, position string) []finding.Finding {
	id := rule.Name + "/" + v.ID
	s := e.singles[id]
	if !truth.Holds() {
		if s == nil || !s.finding.Unconfirmed || s.settled || s.finding.Withdrawn != "" || v.Fullness() < s.size {
			return nil
		}
		s.finding.Withdrawn = contradicted
		s.finding.Revision++
		s.size = v.Fullness()
		return []finding.Finding{s.finding}
	}
	proof := proofOf(v, position)
	if s == nil {
		f := e.describe(rule, v)
		f.Suppressed = by
		f.ID, f.Revision, f.Unconfirmed = id, 1, truth == sigma.TrueAbsent
		f.Proof, f.Count = []finding.Proof{proof}, 1
		size := v.Fullness()
		if full := e.fullest[v.ID].size; f.Unconfirmed && full > size {
			f.Revision, f.Withdrawn, size = 2, contradicted, full // as if they had come in the other order
		}
		e.singles[id] = &single{finding: f, digests: map[string]bool{v.Digest(): true}, size: size}
		return []finding.Finding{f}
	}
	if s.digests[v.Digest()] {
		return nil // the same record from another source, or read again
	}
	s.digests[v.Digest()] = true
	proof.Positions = append(slices.Clone(s.finding.Proof[0].Positions), position)
	if v.Fullness() >= s.size { // the fuller revision is what the finding tells
		f := e.describe(rule, v)
		f.ID, f.Revision, f.Count, f.Suppressed = id, s.finding.Revision, 1, by
		f.Unconfirmed = s.finding.Unconfirmed && truth == sigma.TrueAbsent && !s.settled
		f.Proof = []finding.Proof{proof}
		s.finding, s.size = f, v.Fullness()
	} else {
		kept := s.finding.Proof[0]
		kept.Positions = proof.Positions
		s.finding.Proof = []finding.Proof{kept}
	}
	s.finding.Revision++
	return []finding.Finding{s.finding}
}

// Flush returns the findings of correlations that have changed since.
func (e *Engine) Flush() []finding.Finding {
	e.look()
	var out []finding.Finding
	for _, s := range e.slots {
		if s.changed {
			s.changed = false
			out = append(out, s.finding)
		}
	}
	slices.SortFunc(out, byTime)
	return out
}

func byTime(a, b finding.Finding) int {
	if c := a.Time.Compare(b.Time); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

// Settle confirms every unconfirmed finding that one watermark has passed by ten minutes; a zero watermark is the end
// of input, which confirms all.
func (e *Engine) Settle(watermark time.Time) []finding.Finding {
	return e.SettleEach(func(string, string) time.Time { return watermark })
}

// SettleEach does so by the watermark of the tenant and the record's category. Windows whose condition more records
// could have taken away are looked at as far as the watermark has come; Flush returns what they raise.
func (e *Engine) SettleEach(watermark func(tenant, category string) time.Time) []finding.Finding {
	var out []finding.Finding
	for _, s := range e.singles {
		if !s.finding.Unconfirmed || s.settled || s.finding.Withdrawn != "" {
			continue
		}
		if w := watermark(s.finding.Tenant, s.finding.Proof[0].Category); !w.IsZero() && s.finding.Time.Add(settles).After(w) {
			continue
		}
		s.settled, s.finding.Unconfirmed = true, false
		s.finding.Revision++
		out = append(out, s.finding)
	}
	for _, c := range e.correlators {
		c.Pass(func(g sigma.Group) time.Time { return c.watermarkOf(g.Tenant, watermark) })
	}
	e.look()
	for _, s := range e.slots {
		if !s.finding.Unconfirmed || s.finding.Withdrawn != "" || len(s.finding.Proof) == 0 {
			continue
		}
		if w := watermark(s.finding.Tenant, s.finding.Proof[0].Category); !w.IsZero() && s.finding.Time.Add(settles).After(w) {
			continue
		}
		s.settled, s.finding.Unconfirmed = true, false
		s.revise(len(s.records))
		s.changed = false
		out = append(out, s.finding)
	}
	slices.SortFunc(out, byTime)
	return out
}

// Current are all findings that the engine holds, as they stand.
func (e *Engine) Current() []finding.Finding {
	e.look()
	var out []finding.Finding
	for _, s := range e.singles {
		out = append(out, s.finding)
	}
	for _, s := range e.slots {
		s.changed = false
		out = append(out, s.finding)
	}
	slices.SortFunc(out, byTime)
	return out
}

// Silenced counts, by rule, the records that an unknown fact kept from matching.
func (e *Engine) Silenced() map[string]int { return e.silenced }

// Forget drops state about event times before t.
func (e *Engine) Forget(t time.Time) {
	e.exceptions.forget(t)
	for _, c := range e.correlators {
		c.Correlator.Forget(t)
	}
	for id, s := range e.singles {
		if s.finding.Time.Before(t) {
			delete(e.singles, id)
		}
	}
	for id, s := range e.slots {
		if s.finding.Time.Before(t) {
			delete(e.slots, id)
			delete(e.made, s.made)
		}
	}
	for id, f := range e.fullest {
		if f.time.Before(t) {
			delete(e.fullest, id)
		}
	}
	for id, p := range e.proofs {
		if p.Time.Before(t) {
			delete(e.proofs, id)
			delete(e.actors, id)
			delete(e.words, id)
		}
	}
}
