package incident

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"cordon/internal/finding"
)

// Apply folds one event into the history: no clock, no I/O, no map order. seq is the event's stream sequence and
// stored its bytes. An error means that the event's data is not what its type promises, or that the chain is
// broken: the history cannot be trusted beyond it.
func (h *History) Apply(e Event, seq uint64, stored []byte) error {
	if e.Prev != h.Head {
		return fmt.Errorf("event %d on %s: the chain is broken: it continues %.8s, the event before it is %.8s", seq, h.Subject, e.Prev, h.Head)
	}
	if err := h.apply(e, seq); err != nil {
		return fmt.Errorf("event %d on %s: %w", seq, h.Subject, err) // the history stays before it: asked again, it says so again
	}
	h.Sequence, h.Head = seq, Hash(stored)
	return nil
}

func (h *History) apply(e Event, seq uint64) error {
	if e.Type == Opened {
		var d OpenedData
		if err := e.into(&d); err != nil {
			return err
		}
		h.Incidents = append(h.Incidents, &Incident{Number: seq, Subject: h.Subject, Playbook: d.Playbook, Tenant: d.Tenant,
			Principal: d.Principal, OpenedAt: e.At, Verdict: Suspicious})
		return nil
	}
	i := h.Current()
	if i == nil {
		return fmt.Errorf("%s before any opened", e.Type)
	}
	known, err := i.apply(e)
	if !known {
		h.Skipped++
	}
	return err
}

func (e Event) into(data any) error {
	if err := json.Unmarshal(e.Data, data); err != nil {
		return fmt.Errorf("reading %s: %w", e.Type, err)
	}
	return nil
}

func (i *Incident) apply(e Event) (known bool, err error) {
	switch e.Type {
	case FindingJoined, FindingWithdrawn:
		var f finding.Finding
		if err := e.into(&f); err != nil {
			return true, err
		}
		i.join(f)
	case EvidenceRead:
		var d EvidenceData
		if err := e.into(&d); err != nil {
			return true, err
		}
		i.read(d, e.At)
	case VerdictGiven:
		var d VerdictData
		if err := e.into(&d); err != nil {
			return true, err
		}
		i.Verdict, i.Why, i.JudgedAt = d.Verdict, d.Why, e.At
	case StepProposed:
		var s Spec
		if err := e.into(&s); err != nil {
			return true, err
		}
		i.propose(s, e)
	case StepApproved, StepRefused:
		var d DecisionData
		if err := e.into(&d); err != nil {
			return true, err
		}
		i.decide(d, e)
	case StepWithdrawn:
		var d WithdrawnData
		if err := e.into(&d); err != nil {
			return true, err
		}
		if s := i.round(d.Ref); s != nil {
			s.State, s.Note = Withdrawn, d.Why
		}
	case StepStarted:
		var d StartedData
		if err := e.into(&d); err != nil {
			return true, err
		}
		if s := i.round(d.Ref); s != nil {
			s.State, s.Attempt, s.StartedAt, s.Requests = Running, d.Attempt, e.At, d.Requests
			if s.Before == nil { // a second attempt would read the first one's work as the state before
				s.Before = d.Before
			}
		}
	case StepDone, StepFailed, StepVerified:
		var d FinishedData
		if err := e.into(&d); err != nil {
			return true, err
		}
		i.finish(d, e)
	case StepUndone:
		var d WithdrawnData
		if err := e.into(&d); err != nil {
			return true, err
		}
		if s := i.Step(d.Place); s != nil {
			s.State, s.Note = Undone, d.Why
		}
	case TaskDone:
		var d NoteData
		if err := e.into(&d); err != nil {
			return true, err
		}
		if s := i.Step(d.Place); s != nil {
			s.State, s.DoneAt, s.Note = Done, e.At, d.Text
			s.Approvals = append(s.Approvals, Decision{By: e.By, At: e.At})
		}
	case Linked:
		var d LinkedData
		if err := e.into(&d); err != nil {
			return true, err
		}
		i.Links = append(i.Links, d)
	case Noted:
		var d NoteData
		if err := e.into(&d); err != nil {
			return true, err
		}
		i.Notes = append(i.Notes, Note{NoteData: d, By: e.By, At: e.At})
	case Closed:
		var d NoteData
		if err := e.into(&d); err != nil {
			return true, err
		}
		at := e.At
		i.Closed = &at
		i.Notes = append(i.Notes, Note{NoteData: d, By: e.By, At: e.At})
	default:
		return false, nil
	}
	return true, nil
}

func (i *Incident) join(f finding.Finding) {
	at := slices.IndexFunc(i.Findings, func(have finding.Finding) bool { return have.ID == f.ID })
	switch {
	case at < 0:
		i.Findings = append(i.Findings, f)
	case i.Findings[at].Revision <= f.Revision:
		i.Findings[at] = f
	}
	for _, p := range f.Proof {
		if f.Withdrawn == "" && sameID(p.Principal, i.Principal.ID) && i.attributed(f, p) {
			i.reach(p.Time)
		}
	}
	if i.T0.IsZero() && f.Withdrawn == "" { // an application: the act upon it
		i.T0 = f.Time
	}
}

// reach moves t0 back, or, where it is frozen, remembers that it reaches further back.
func (i *Incident) reach(t time.Time) {
	switch {
	case !i.Frozen && (i.T0.IsZero() || t.Before(i.T0)):
		i.T0 = t
	case i.Frozen && t.Before(i.T0) && (i.Earlier.IsZero() || t.Before(i.Earlier)):
		i.Earlier = t
	}
}

func (i *Incident) read(d EvidenceData, at time.Time) {
	if s := i.round(d.Step); s != nil {
		s.State, s.DoneAt = Done, at
		s.Error = d.Unknown
	}
	e := Evidence{EvidenceData: d, At: at}
	if n := slices.IndexFunc(i.Evidence, func(have Evidence) bool { return have.Name == d.Name }); n >= 0 {
		i.Evidence[n] = e
	} else {
		i.Evidence = append(i.Evidence, e)
	}
	var attributed struct {
		T0 time.Time `json:"t0"`
	}
	if json.Unmarshal(d.Value, &attributed) == nil && !attributed.T0.IsZero() { // other evidence has another shape
		i.reach(attributed.T0)
	}
}

func (i *Incident) propose(s Spec, e Event) {
	step := &Step{Spec: s, State: Waiting, ProposedAt: e.At, ProposedBy: e.By}
	switch {
	case s.Offered:
		step.State = Offering
	case s.Kind == KindWatch:
		step.State = Watching
	}
	if s.Kind == KindDo && s.Need == Auto {
		i.Frozen = true
	}
	if n := slices.IndexFunc(i.Steps, func(have *Step) bool { return have.Place == s.Place }); n >= 0 {
		i.Steps[n] = step
		return
	}
	i.Steps = append(i.Steps, step)
}

// round finds a step if it still is in the round that an event speaks of.
func (i *Incident) round(r Ref) *Step {
	if s := i.Step(r.Place); s != nil && s.Round == r.Round {
		return s
	}
	return nil
}

func (i *Incident) decide(d DecisionData, e Event) {
	s := i.round(d.Ref)
	if s == nil || s.State != Waiting || d.Digest != s.Digest {
		return // decided upon something else: it never counts
	}
	if e.Type == StepRefused {
		s.State, s.Note = Refused, d.Why
		s.Approvals = append(s.Approvals, Decision{By: e.By, At: e.At})
		return
	}
	if slices.ContainsFunc(s.Approvals, func(a Decision) bool { return a.By == e.By }) {
		return // two approvals are two people
	}
	s.Approvals = append(s.Approvals, Decision{By: e.By, At: e.At, SecondProof: d.SecondProof})
	if s.Missing() == 0 {
		s.State = Approved
	}
}

func (i *Incident) finish(d FinishedData, e Event) {
	s := i.round(d.Ref)
	if s == nil {
		return
	}
	switch e.Type {
	case StepDone:
		s.State, s.DoneAt, s.Result, s.Note = Done, e.At, d.Result, d.Note
		s.Class, s.Error, s.RetryAt = "", "", nil
	case StepVerified:
		s.State, s.Note = Verified, d.Note
	case StepFailed:
		s.State, s.Attempt, s.Class, s.Error, s.RetryAt = Failed, d.Attempt, d.Class, d.Error, d.RetryAt
		if d.RetryAt != nil {
			s.State = Retrying
		}
	}
}

func sameID(a, b string) bool { return a != "" && len(a) == len(b) && equalFold(a, b) }
