package incident

import (
	"errors"
	"testing"

	"cordon/internal/clock"
	"cordon/internal/directory"
	"github.com/stretchr/testify/require"
)

var (
	alex   = Person{Name: "alex", May: []string{One, Two}}
	sam    = Person{Name: "sam", May: []string{One, Two}}
	junior = Person{Name: "junior", May: []string{One}}
	guest  = Person{Name: "guest"}
	avers  = Person{Name: "avery", May: []string{One, Two}, IDs: []string{"AVERY@contoso.example"}} // the accused
)

// office is a desk over one open incident.
type office struct {
	*testing.T
	*Desk
	h *History
}

func newOffice(t *testing.T, change ...func(*OpenedData)) *office {
	t.Helper()
	o := &office{T: t, Desk: &Desk{Store: NewStore(openBus(t)), Clock: clock.Wall{}}}
	data := opened()
	data.Principal.Privileged = directory.No
	for _, c := range change {
		c(&data)
	}
	var err error
	o.h, err = o.Store.Load(t.Context(), subject1)
	require.NoError(t, err)
	o.append(event(t, Opened, Cordon, data))
	return o
}

func (o *office) append(events ...Event) {
	o.Helper()
	h, err := o.Store.Load(o.Context(), subject1)
	require.NoError(o, err)
	require.NoError(o, o.Store.Append(o.Context(), h, events...))
}

func (o *office) propose(s Spec) Spec {
	o.Helper()
	s.Seal()
	o.append(event(o, StepProposed, Cordon, s))
	return s
}

// done makes a step that has run.
func (o *office) done(place, action string, change ...func(*Spec)) {
	o.Helper()
	s := step(place, action, Auto, Suspicious)
	for _, c := range change {
		c(&s)
	}
	s = o.propose(s)
	o.append(event(o, StepStarted, Cordon, StartedData{Ref: s.Ref, Attempt: 1}), event(o, StepDone, Cordon, FinishedData{Ref: s.Ref, Attempt: 1}))
}

func (o *office) step(place string) *Step {
	o.Helper()
	_, i, err := o.Store.Find(o.Context(), 1)
	require.NoError(o, err)
	s := i.Step(place)
	require.NotNil(o, s, place)
	return s
}

func (o *office) refused(err error, reason string) {
	o.Helper()
	var r *Refusal
	require.True(o, errors.As(err, &r), "%v", err)
	require.Contains(o, r.Reason, reason)
}

func TestDeskApprove(t *testing.T) {
	o := newOffice(t)
	one := o.propose(step("contain.1", "grant.delete", One, Compromised))
	two := o.propose(step("contain.2", "partner.remove-dap", Two, Compromised))
	auto := o.propose(step("contain.3", "user.disable", Auto, Compromised))
	ctx := t.Context()
	o.refused(o.Approve(ctx, 1, "contain.1", "another digest", alex, ""), "has changed since you saw it")
	o.refused(o.Approve(ctx, 1, "contain.1", one.Digest, guest, ""), "guest may look, and decide nothing")
	o.refused(o.Approve(ctx, 1, "contain.2", two.Digest, junior, ""), "junior may not approve steps that need two")
	o.refused(o.Approve(ctx, 1, "contain.1", one.Digest, avers, ""), "cannot decide about his own account")
	o.refused(o.Refuse(ctx, 1, "contain.1", one.Digest, "no", avers), "cannot decide about his own account")
	o.refused(o.Refuse(ctx, 1, "contain.1", one.Digest, "no", guest), "guest may look")
	o.refused(o.Approve(ctx, 1, "contain.9", one.Digest, alex, ""), "incident 1 has no step contain.9")
	// What runs by itself still waits for its verdict: to press it earlier is a decision like any other.
	o.refused(o.Approve(ctx, 1, "contain.3", auto.Digest, guest, ""), "guest may look")
	o.refused(o.Refuse(ctx, 1, "contain.3", auto.Digest, "", guest), "guest may look")
	require.Equal(t, Waiting, o.step("contain.3").State)

	require.NoError(t, o.Approve(ctx, 1, "contain.1", one.Digest, junior, ""))
	require.Equal(t, Approved, o.step("contain.1").State)
	o.refused(o.Approve(ctx, 1, "contain.1", one.Digest, alex, ""), "there is nothing to decide")

	require.NoError(t, o.Approve(ctx, 1, "contain.2", two.Digest, alex, ""))
	o.refused(o.Approve(ctx, 1, "contain.2", two.Digest, alex, ""), "alex has approved contain.2 already; it needs another person")
	require.Equal(t, 1, o.step("contain.2").Missing())
	require.NoError(t, o.Approve(ctx, 1, "contain.2", two.Digest, sam, ""))
	require.Equal(t, Approved, o.step("contain.2").State)
}

func TestDeskRefuse(t *testing.T) {
	o := newOffice(t)
	s := o.propose(step("contain.1", "grant.delete", One, Compromised))
	require.NoError(t, o.Refuse(t.Context(), 1, "contain.1", s.Digest, "it is ours", alex))
	got := o.step("contain.1")
	require.Equal(t, Refused, got.State)
	require.Equal(t, "it is ours", got.Note)
	require.Equal(t, "alex", got.Approvals[0].By)
}

func TestDeskAsk(t *testing.T) {
	o := newOffice(t)
	s := step("secure.recover.1", "user.enable", One, "")
	s.Offered, s.Returns = true, true
	o.propose(s)
	ctx := t.Context()
	require.Equal(t, Offering, o.step("secure.recover.1").State)
	o.refused(o.Approve(ctx, 1, s.Place, s.Digest, alex, "asked again"), "there is nothing to decide")
	o.refused(o.Ask(ctx, 1, s.Place, avers), "cannot decide about his own account")
	require.NoError(t, o.Ask(ctx, 1, s.Place, alex))
	asked := o.step("secure.recover.1")
	require.Equal(t, Waiting, asked.State)
	require.Equal(t, "alex", asked.ProposedBy)
	o.refused(o.Ask(ctx, 1, s.Place, alex), "is not offered")
	require.ErrorIs(t, o.Approve(ctx, 1, s.Place, asked.Digest, sam, ""), ErrSecondProof)
	require.NoError(t, o.Approve(ctx, 1, s.Place, asked.Digest, sam, "second confirmation"))
	require.Equal(t, "second confirmation", o.step(s.Place).Approvals[0].SecondProof)
}

func TestDeskUndo(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	o.propose(step("contain.8", "user.disable", One, Compromised))
	o.done("contain.1", "user.disable")
	o.done("contain.2", "user.revoke-sessions", func(s *Spec) { s.Final = "the user simply signs in again" })
	o.refused(o.Undo(ctx, 1, "contain.2", alex, "p"), "contain.2 cannot be undone: the user simply signs in again")
	o.refused(o.Undo(ctx, 1, "contain.8", alex, "p"), "contain.8 is waiting: there is nothing to undo")
	o.refused(o.Undo(ctx, 1, "contain.9", alex, "p"), "has no step")
	o.refused(o.Undo(ctx, 1, "contain.1", guest, "p"), "guest may not")
	o.refused(o.Undo(ctx, 1, "contain.1", avers, "p"), "cannot decide about his own account")
	require.ErrorIs(t, o.Undo(ctx, 1, "contain.1", junior, ""), ErrSecondProof)

	require.NoError(t, o.Undo(ctx, 1, "contain.1", junior, "second confirmation"))
	undo := o.step("undo/contain.1")
	require.Equal(t, Approved, undo.State, "one person is enough for one who holds no role")
	require.Equal(t, "contain.1", undo.Undo)
	require.NotEmpty(t, undo.Final)
	o.refused(o.Undo(ctx, 1, "contain.1", alex, "p"), "already under way")
	o.append(event(t, StepFailed, Cordon, FinishedData{Ref: undo.Ref, Attempt: 1, Error: "drifted"}))
	require.NoError(t, o.Undo(ctx, 1, "contain.1", alex, "p"), "what has failed may be tried again")
	require.Equal(t, undo.Round+1, o.step("undo/contain.1").Round)
}

func TestDeskUndoOfThePrivilegedNeedsTwoPeople(t *testing.T) {
	for name, change := range map[string]func(*OpenedData){
		"holds roles":          func(d *OpenedData) { d.Principal.Roles = []string{"Global Administrator"} },
		"is known to hold one": func(d *OpenedData) { d.Principal.Privileged = directory.Yes },
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, change)
			ctx := t.Context()
			o.done("contain.1", "user.disable")
			o.refused(o.Undo(ctx, 1, "contain.1", junior, "p"), "junior may not approve steps that need two")
			require.NoError(t, o.Undo(ctx, 1, "contain.1", alex, "p"))
			undo := o.step("undo/contain.1")
			require.Equal(t, Waiting, undo.State)
			require.Equal(t, 1, undo.Missing(), "who asked for it has approved it")
			o.refused(o.Approve(ctx, 1, "undo/contain.1", undo.Digest, alex, "p"), "needs another person")
			require.ErrorIs(t, o.Approve(ctx, 1, "undo/contain.1", undo.Digest, sam, ""), ErrSecondProof)
			require.NoError(t, o.Approve(ctx, 1, "undo/contain.1", undo.Digest, sam, "p"))
			require.Equal(t, Approved, o.step("undo/contain.1").State)
		})
	}
	t.Run("a role", func(t *testing.T) {
		o := newOffice(t)
		o.done("contain.6/x", "role.remove")
		require.NoError(t, o.Undo(t.Context(), 1, "contain.6/x", alex, "p"))
		require.Equal(t, Two, o.step("undo/contain.6/x").Need)
	})
}

func TestDeskDoneAndClose(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	task := step("contain.1", "", One, "")
	task.Kind = KindTask
	o.propose(task)
	s := o.propose(step("contain.2", "grant.delete", One, Compromised))
	o.refused(o.Approve(ctx, 1, "contain.1", "", alex, ""), "do it, and say that it is done")
	o.refused(o.Done(ctx, 1, "contain.2", "", alex), "is no task that waits")
	o.refused(o.Close(ctx, 1, "over", alex), "2 steps wait: decide contain.1 first")
	o.refused(o.Done(ctx, 1, "contain.1", "called", avers), "cannot decide about his own account")
	require.NoError(t, o.Done(ctx, 1, "contain.1", "called", sam))
	o.refused(o.Done(ctx, 1, "contain.1", "called", sam), "is no task that waits")
	o.refused(o.Close(ctx, 1, "over", alex), "1 steps wait: decide contain.2 first")
	require.NoError(t, o.Refuse(ctx, 1, "contain.2", s.Digest, "", alex))
	o.refused(o.Close(ctx, 1, "over", avers), "cannot decide about his own account")
	o.refused(o.Note(ctx, 1, "all quiet", guest), "may look, and decide nothing")
	require.NoError(t, o.Note(ctx, 1, "all quiet", alex))
	require.NoError(t, o.Close(ctx, 1, "over", alex))
	o.refused(o.Close(ctx, 1, "over", alex), "incident 1 is closed")

	o.append(event(t, Opened, Cordon, opened()))
	o.refused(o.Note(ctx, 1, "late", alex), "incident 1 is over")
	o.refused(o.Approve(ctx, 1, "contain.2", s.Digest, alex, ""), "incident 1 is over")
}
