package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/directory"
	"cordon/internal/record"
)

// Desk is where people decide: it checks what a person may, and appends what he said. Page, terminal and chat all
// come here.
type Desk struct {
	Store *Store
	Clock clock.Clock
}

// Person is an analyst as the door knows him.
type Person struct {
	Name string
	May  []string // one, two
	IDs  []string // his own accounts: nobody decides about himself
}

// Refusal is a decision that a person may not take, or that no longer is one to take. It is safe to show.
type Refusal struct{ Reason string }

func (r *Refusal) Error() string { return r.Reason }

func refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// ErrSecondProof says that the decision returns access, so the person must be asked again.
var ErrSecondProof = errors.New("this gives access back: a second proof of the person is needed")

// Approve records a yes. digest is that of the step as the person saw it; secondProof says how he was asked again,
// "" if he was not.
func (d *Desk) Approve(ctx context.Context, number uint64, place, digest string, p Person, secondProof string) error {
	return d.decide(ctx, number, place, p, func(i *Incident, s *Step) (string, any, error) {
		if err := d.may(i, s, p, digest); err != nil {
			return "", nil, err
		}
		if s.Returns && secondProof == "" {
			return "", nil, ErrSecondProof
		}
		return StepApproved, DecisionData{Ref: s.Ref, Digest: s.Digest, SecondProof: secondProof}, nil
	})
}

// Refuse records a no.
func (d *Desk) Refuse(ctx context.Context, number uint64, place, digest, why string, p Person) error {
	return d.decide(ctx, number, place, p, func(i *Incident, s *Step) (string, any, error) {
		if err := d.may(i, s, p, digest); err != nil {
			return "", nil, err
		}
		return StepRefused, DecisionData{Ref: s.Ref, Digest: s.Digest, Why: why}, nil
	})
}

func (d *Desk) may(i *Incident, s *Step, p Person, digest string) error {
	switch {
	case s.Kind == KindTask:
		return refuse("%s is a task: do it, and say that it is done", s.Place)
	case s.State != Waiting:
		return refuse("%s is %s: there is nothing to decide", s.Place, s.State)
	case digest != "" && digest != s.Digest:
		return refuse("%s has changed since you saw it: look again", s.Place)
	case !slices.Contains(p.May, need(s)):
		return refuse("%s may not approve steps that need %s", p.Name, need(s))
	case slices.ContainsFunc(s.Approvals, func(a Decision) bool { return a.By == p.Name }):
		return refuse("%s has approved %s already; it needs another person", p.Name, s.Place)
	}
	return accused(i, p)
}

// need is what a person must be allowed to: an automatic step that waits for its verdict runs without it once it is
// approved, which is one person's decision.
func need(s *Step) string {
	if s.Need == Auto {
		return One
	}
	return s.Need
}

// accused refuses a decision about the person's own account.
func accused(i *Incident, p Person) error {
	about := []string{i.Principal.ID, i.Principal.UPN}
	for _, s := range i.Steps { // the accounts that he made, or that were changed with his
		about = append(about, s.Target.ID, s.Target.Label, s.Params["user"])
	}
	for _, id := range p.IDs {
		if slices.ContainsFunc(about, func(a string) bool { return sameID(id, a) }) {
			return refuse("%s cannot decide about his own account", p.Name)
		}
	}
	return nil
}

// privileged says whether giving access back to the step's target needs two people: where it is, or may be, an
// administrator's.
func privileged(i *Incident, s *Step) bool {
	if i.Principal.Type == record.ServicePrincipal && strings.EqualFold(s.Target.ID, i.Principal.ID) {
		return i.Principal.Privileged == directory.Yes
	}
	for _, f := range i.Findings {
		if sameID(f.Principal.ID, i.Principal.ID) && f.Principal.Privileged == directory.Yes {
			return true
		}
	}
	return i.Principal.Privileged != directory.No || len(i.Principal.Roles) > 0 || s.Need == Two || strings.HasPrefix(s.Action, "role.")
}

// Done records that a person has done a task.
func (d *Desk) Done(ctx context.Context, number uint64, place, note string, p Person) error {
	return d.decide(ctx, number, place, p, func(i *Incident, s *Step) (string, any, error) {
		if s.Kind != KindTask || s.State != Waiting {
			return "", nil, refuse("%s is no task that waits", place)
		}
		if err := accused(i, p); err != nil {
			return "", nil, err
		}
		return TaskDone, NoteData{Place: s.Place, Text: note}, nil
	})
}

// Ask proposes a step that the playbook only offers, such as enabling the account again.
func (d *Desk) Ask(ctx context.Context, number uint64, place string, p Person) error {
	return d.decide(ctx, number, place, p, func(i *Incident, s *Step) (string, any, error) {
		if s.State != Offering {
			return "", nil, refuse("%s is not offered: it is %s", place, s.State)
		}
		if err := accused(i, p); err != nil {
			return "", nil, err
		}
		spec := s.Spec
		spec.Offered = false
		spec.Seal()
		return StepProposed, spec, nil
	})
}

// Undo proposes to take a step back to the state before it, and counts as the first approval of it. Access returns:
// the person must have been asked again, and for a privileged principal two people are needed.
func (d *Desk) Undo(ctx context.Context, number uint64, place string, p Person, secondProof string) error {
	h, i, err := d.Store.Find(ctx, number)
	if err != nil {
		return err
	}
	s := i.Step(place)
	switch {
	case s == nil:
		return refuse("incident %d has no step %s", number, place)
	case s.Final != "":
		return refuse("%s cannot be undone: %s", s.Place, s.Final)
	case s.State != Done && s.State != Verified:
		return refuse("%s is %s: there is nothing to undo", s.Place, s.State)
	case secondProof == "":
		return ErrSecondProof
	case i != h.Current():
		return refuse("incident %d is not the principal's latest: undo there", number)
	}
	if err := accused(i, p); err != nil {
		return err
	}
	spec := s.Spec
	spec.Place, spec.Undo, spec.Returns, spec.Need, spec.Again, spec.Final, spec.Why = "undo/"+s.Place, s.Place, true, One, 0, "an undo is not undone: do the step again", ""
	spec.Round = s.Round
	if privileged(i, s) {
		spec.Need = Two
	}
	if before := i.Step(spec.Place); before != nil {
		if !before.Settled() {
			return refuse("the undo of %s is already under way: it is %s", s.Place, before.State)
		}
		spec.Round = before.Round + 1
	}
	if !slices.Contains(p.May, spec.Need) {
		return refuse("%s may not approve steps that need %s", p.Name, spec.Need)
	}
	spec.Says = "Undo: " + s.Says
	spec.Seal()
	now := d.Clock.Now()
	proposed, err := New(StepProposed, p.Name, "undo", now, spec)
	if err != nil {
		return err
	}
	approved, err := New(StepApproved, p.Name, "undo", now, DecisionData{Ref: spec.Ref, Digest: spec.Digest, SecondProof: secondProof})
	if err != nil {
		return err
	}
	if err := d.Store.Append(ctx, h, proposed, approved); errors.Is(err, bus.ErrConflict) {
		return d.Undo(ctx, number, place, p, secondProof) // somebody wrote meanwhile: look again
	} else if err != nil {
		return err
	}
	return nil
}

// Close ends the incident. What still waits must be decided first.
func (d *Desk) Close(ctx context.Context, number uint64, why string, p Person) error {
	return d.write(ctx, number, p, func(i *Incident) (Event, error) {
		if i.Closed != nil {
			return Event{}, refuse("incident %d is closed", number)
		}
		if waiting := i.Waiting(); len(waiting) > 0 {
			return Event{}, refuse("%d steps wait: decide %s first", len(waiting), waiting[0].Place)
		}
		for _, s := range i.Steps {
			if s.State == Approved || s.State == Running || s.State == Retrying || s.State == Waiting && i.Permitted(s) {
				return Event{}, refuse("%s is under way (%s): it would be left undone", s.Place, s.State)
			}
		}
		if err := accused(i, p); err != nil {
			return Event{}, err
		}
		return New(Closed, p.Name, "", d.Clock.Now(), NoteData{Text: why})
	})
}

// Note adds a person's remark.
func (d *Desk) Note(ctx context.Context, number uint64, text string, p Person) error {
	return d.write(ctx, number, p, func(*Incident) (Event, error) {
		return New(Noted, p.Name, "", d.Clock.Now(), NoteData{Text: text})
	})
}

func (d *Desk) decide(ctx context.Context, number uint64, place string, p Person, with func(*Incident, *Step) (kind string, data any, err error)) error {
	if len(p.May) == 0 {
		return refuse("%s may look, and decide nothing", p.Name)
	}
	for {
		h, i, err := d.Store.Find(ctx, number)
		if err != nil {
			return err
		}
		s := i.Step(place)
		if s == nil {
			return refuse("incident %d has no step %s", number, place)
		}
		if i != h.Current() {
			return refuse("incident %d is over: its principal has a later one", number)
		}
		kind, data, err := with(i, s)
		if err != nil {
			return err
		}
		e, err := New(kind, p.Name, "", d.Clock.Now(), data)
		if err != nil {
			return err
		}
		if err := d.Store.Append(ctx, h, e); !errors.Is(err, bus.ErrConflict) {
			return err
		}
	}
}

func (d *Desk) write(ctx context.Context, number uint64, p Person, with func(*Incident) (Event, error)) error {
	if len(p.May) == 0 {
		return refuse("%s may look, and decide nothing", p.Name)
	}
	for {
		h, i, err := d.Store.Find(ctx, number)
		if err != nil {
			return err
		}
		if i != h.Current() {
			return refuse("incident %d is over: its principal has a later one", number)
		}
		e, err := with(i)
		if err != nil {
			return err
		}
		if err := d.Store.Append(ctx, h, e); !errors.Is(err, bus.ErrConflict) {
			return err
		}
	}
}
