package incident

import (
	"encoding/json"
	"slices"
	"time"

	"cordon/internal/finding"
)

// History is all that happened to one principal: the fold of its subject. The last incident is the current one.
type History struct {
	Subject   string      `json:"subject"`
	Sequence  uint64      `json:"sequence"` // of the last event, in INCIDENTS
	Head      string      `json:"head"`     // hash of the last event
	Incidents []*Incident `json:"incidents"`
	Skipped   int         `json:"skipped,omitempty"` // events of types that this edition does not know
}

// Open returns the incident that is open, nil where none is.
func (h *History) Open() *Incident {
	if n := len(h.Incidents); n > 0 && h.Incidents[n-1].Closed == nil {
		return h.Incidents[n-1]
	}
	return nil
}

// Current returns the last incident, open or closed.
func (h *History) Current() *Incident {
	if n := len(h.Incidents); n > 0 {
		return h.Incidents[n-1]
	}
	return nil
}

// Clone returns a history that shares nothing which a fold changes.
func (h *History) Clone() *History {
	out := *h
	out.Incidents = make([]*Incident, len(h.Incidents))
	for n, i := range h.Incidents {
		c := *i
		c.Findings, c.Evidence = slices.Clone(i.Findings), slices.Clone(i.Evidence)
		c.Links, c.Notes = slices.Clone(i.Links), slices.Clone(i.Notes)
		c.Steps = make([]*Step, len(i.Steps))
		for m, s := range i.Steps {
			step := *s
			step.Approvals = slices.Clone(s.Approvals)
			c.Steps[m] = &step
		}
		out.Incidents[n] = &c
	}
	return &out
}

// Incident is its state as folded.
type Incident struct {
	Number    uint64            `json:"number"` // stream sequence of its `opened`
	Subject   string            `json:"subject"`
	Playbook  string            `json:"playbook"`
	Tenant    string            `json:"tenant"`
	Principal finding.Principal `json:"principal"`
	OpenedAt  time.Time         `json:"openedAt"`
	Closed    *time.Time        `json:"closed,omitempty"`

	Findings []finding.Finding `json:"findings"`
	Evidence []Evidence        `json:"evidence,omitempty"`
	Verdict  string            `json:"verdict"`
	Why      string            `json:"why,omitempty"` // of the verdict
	JudgedAt time.Time         `json:"judgedAt,omitzero"`
	Steps    []*Step           `json:"steps,omitempty"`
	Links    []LinkedData      `json:"links,omitempty"`
	Notes    []Note            `json:"notes,omitempty"`

	// T0 is the event time of the earliest record attributed to the attacker. An automatic step freezes it when it
	// is proposed; Earlier is what was learnt afterwards, and a cleanup that reaches back to it needs an approval.
	T0      time.Time `json:"t0"`
	Frozen  bool      `json:"frozen,omitempty"`
	Earlier time.Time `json:"earlier,omitzero"`
}

// Evidence is the latest reading of one kind.
type Evidence struct {
	EvidenceData
	At time.Time `json:"at"`
}

// Note is a remark with its author.
type Note struct {
	NoteData
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// The states of a step.
const (
	Offering  = "offered"   // a person may ask for it
	Waiting   = "waiting"   // for an approval, a verdict or its turn
	Approved  = "approved"  // may run
	Running   = "running"   // called, no answer stored yet
	Retrying  = "retrying"  // failed in a way that time may heal
	Done      = "done"      // the service said yes
	Verified  = "verified"  // read back
	Failed    = "failed"    // for good; the service's own error stands beside it
	Refused   = "refused"   // by a person
	Withdrawn = "withdrawn" // no longer called for
	Undone    = "undone"
	Watching  = "watching"
)

// Step is a proposal and what became of it.
type Step struct {
	Spec
	State      string          `json:"state"`
	ProposedAt time.Time       `json:"proposedAt"`
	ProposedBy string          `json:"proposedBy"`
	Approvals  []Decision      `json:"approvals,omitempty"`
	Attempt    int             `json:"attempt,omitempty"`
	StartedAt  time.Time       `json:"startedAt,omitzero"`
	DoneAt     time.Time       `json:"doneAt,omitzero"`
	Before     json.RawMessage `json:"before,omitempty"`
	Result     json.RawMessage `json:"result,omitempty"`
	Requests   []string        `json:"requests,omitempty"`
	Note       string          `json:"note,omitempty"`
	Class      string          `json:"class,omitempty"`
	Error      string          `json:"error,omitempty"`
	RetryAt    *time.Time      `json:"retryAt,omitempty"`
}

// Decision is a person's approval.
type Decision struct {
	By          string    `json:"by"`
	At          time.Time `json:"at"`
	SecondProof string    `json:"secondProof,omitempty"`
}

// Step returns a step by place, in its latest round; nil where it was never proposed.
func (i *Incident) Step(place string) *Step {
	for _, s := range i.Steps {
		if s.Place == place {
			return s
		}
	}
	return nil
}

// Reading returns the latest evidence of a kind.
func (i *Incident) Reading(name string) (Evidence, bool) {
	for _, e := range i.Evidence {
		if e.Name == name {
			return e, true
		}
	}
	return Evidence{}, false
}

// Tried says whether the step has been attempted in this round.
func (s *Step) Tried() bool { return s.Attempt > 0 }

// Settled says that nothing more happens to the step by itself.
func (s *Step) Settled() bool {
	return slices.Contains([]string{Done, Verified, Failed, Refused, Withdrawn, Undone, Watching, Offering}, s.State)
}

// WaitsForPerson says that somebody must approve the step or do the task.
func (s *Step) WaitsForPerson() bool {
	return s.State == Waiting && (s.Kind == KindTask || s.Need != Auto)
}

// Missing is how many more approvals the step needs.
func (s *Step) Missing() int {
	needed := map[string]int{One: 1, Two: 2}[s.Need]
	return max(needed-len(s.Approvals), 0)
}

// Runnable says whether the worker may begin with the step: it is approved, or automatic under a verdict that
// allows it, and the steps before it have been tried or wait for somebody.
func (i *Incident) Runnable(s *Step) bool {
	return i.Permitted(s) && i.turn(s)
}

// Permitted says whether the step may run, its turn apart: it is approved, or automatic under a verdict that allows it.
func (i *Incident) Permitted(s *Step) bool {
	if s.Kind != KindDo && s.Kind != KindRead || i.Closed != nil && s.Undo == "" && !s.Returns {
		return false
	}
	switch s.State {
	case Approved, Running, Retrying:
		return true
	case Waiting:
		return s.Need == Auto && Reached(i.Verdict, s.Verdict)
	}
	return false
}

// turn keeps the playbook's order: a step waits until each permitted one before it has been tried once, never for
// another's approval, verdict or retry.
func (i *Incident) turn(s *Step) bool {
	behind := false
	for _, other := range i.Steps {
		if other == s {
			behind = true
			continue
		}
		before := other.Order < s.Order || other.Order == s.Order && !behind
		if before && other.Phase == s.Phase && other.Kind == KindDo && !other.Tried() && i.Permitted(other) {
			return false
		}
	}
	return true
}

// Reached says whether a verdict is at least as grave as the one that is needed.
func Reached(verdict, needed string) bool {
	order := []string{"", Suspicious, Exposed, Compromised}
	return slices.Index(order, verdict) >= slices.Index(order, needed)
}

// Waiting lists the steps and tasks that wait for a person.
func (i *Incident) Waiting() []*Step {
	var out []*Step
	for _, s := range i.Steps {
		if s.WaitsForPerson() {
			out = append(out, s)
		}
	}
	return out
}
