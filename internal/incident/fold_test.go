package incident

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"cordon/internal/finding"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 3, 4, 3, 0, 0, 0, time.UTC)

const (
	avery = "11111111-1111-4111-8111-111111111111"
	home  = "c0170500-0000-4000-8000-00000000c001"
)

// link is one stored event: its envelope, place and bytes.
type link struct {
	event Event
	seq   uint64
	bytes []byte
}

// chain stores events one after the other, as Append would.
type chain struct {
	t     require.TestingT
	links []link
	head  string
}

func (c *chain) add(kind, by string, at time.Time, data any) {
	e, err := New(kind, by, "", at, data)
	require.NoError(c.t, err)
	e.ID, e.Prev = fmt.Sprint(len(c.links)), c.head
	raw, err := json.Marshal(e)
	require.NoError(c.t, err)
	c.head = Hash(raw)
	c.links = append(c.links, link{e, uint64(10 + 3*len(c.links)), raw}) // other subjects stand in between
}

func (c *chain) fold(h *History, from, to int) *History {
	for _, l := range c.links[from:to] {
		require.NoError(c.t, h.Apply(l.event, l.seq, l.bytes))
	}
	return h
}

func (c *chain) history() *History { return c.fold(&History{Subject: "s"}, 0, len(c.links)) }

func text(t require.TestingT, v any) string {
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return string(data)
}

func principal() finding.Principal {
	return finding.Principal{Home: home, Type: "user", ID: avery, UPN: "avery@contoso.example"}
}

func opened() OpenedData {
	return OpenedData{Playbook: "compromised-user", Tenant: home, Principal: principal()}
}

// step is a proposed step of the contain phase, sealed.
func step(place, action, need, verdict string) Spec {
	s := Spec{Ref: Ref{Place: place, Round: 1}, Phase: "contain", Kind: KindDo, Action: action, Tenant: home,
		Target: Target{Type: "user", ID: avery, Label: "avery@contoso.example"}, Need: need, Verdict: verdict, Says: action}
	s.Seal()
	return s
}

// story draws a history of events that could follow each other, and some that could not.
func story(t *rapid.T) *chain {
	c := &chain{t: t}
	c.add(Opened, Cordon, start, opened())
	places := []string{"contain.1", "contain.2", "contain.3/a"}
	digests := map[string]string{}
	for n := range rapid.IntRange(0, 30).Draw(t, "events") {
		at := start.Add(time.Duration(rapid.IntRange(0, 3600).Draw(t, "second")) * time.Second)
		place := rapid.SampledFrom(places).Draw(t, "place")
		ref := Ref{Place: place, Round: rapid.IntRange(1, 2).Draw(t, "round")}
		by := rapid.SampledFrom([]string{"alex", "sam"}).Draw(t, "by")
		switch rapid.IntRange(0, 16).Draw(t, "kind") {
		case 0:
			c.add(Opened, Cordon, at, opened())
		case 1:
			c.add(FindingJoined, Cordon, at, finding.Finding{ID: rapid.SampledFrom([]string{"f", "g"}).Draw(t, "finding"), Level: "high", Kind: fmt.Sprint(n % 3),
				Revision: rapid.IntRange(0, 2).Draw(t, "revision"), Time: at, Proof: []finding.Proof{{Record: fmt.Sprint(n), Time: at, Principal: avery}}})
		case 2:
			c.add(EvidenceRead, Cordon, at, EvidenceData{Step: ref, Name: "user.profile", Value: json.RawMessage(`{"t0":"2026-03-01T00:00:00Z"}`)})
		case 3:
			c.add(VerdictGiven, Cordon, at, VerdictData{Verdict: rapid.SampledFrom([]string{Suspicious, Compromised}).Draw(t, "verdict"), Why: "w"})
		case 4, 5:
			s := step(place, "user.disable", rapid.SampledFrom([]string{Auto, One, Two}).Draw(t, "need"), Compromised)
			s.Round = ref.Round
			s.Seal()
			digests[place] = s.Digest
			c.add(StepProposed, Cordon, at, s)
		case 6, 7:
			c.add(StepApproved, by, at, DecisionData{Ref: ref, Digest: digests[place]})
		case 8:
			c.add(StepRefused, by, at, DecisionData{Ref: ref, Digest: digests[place]})
		case 9:
			c.add(StepWithdrawn, Cordon, at, WithdrawnData{Ref: ref, Why: "w"})
		case 10:
			c.add(StepStarted, Cordon, at, StartedData{Ref: ref, Attempt: 1 + n%3, Before: json.RawMessage(fmt.Sprint(n))})
		case 11:
			retry := at.Add(time.Minute)
			c.add(StepFailed, Cordon, at, FinishedData{Ref: ref, Attempt: 1, Error: "e", RetryAt: &retry})
		case 12:
			c.add(StepDone, Cordon, at, FinishedData{Ref: ref, Attempt: 1})
		case 13:
			c.add(StepUndone, Cordon, at, WithdrawnData{Ref: ref})
		case 14:
			c.add(Linked, Cordon, at, LinkedData{Subject: "incidents.x.y"})
		case 15:
			c.add(Closed, by, at, NoteData{Text: "over"})
		default:
			c.add("from.a.later.edition", Cordon, at, map[string]any{"anything": []int{n}})
		}
	}
	return c
}

func TestFoldingAPrefixAndThenTheRestIsFoldingAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := story(t)
		cut := rapid.IntRange(0, len(c.links)).Draw(t, "cut")
		whole := c.history()
		half := c.fold(&History{Subject: "s"}, 0, cut)
		require.Equal(t, text(t, whole), text(t, c.fold(half, cut, len(c.links))))
		require.Equal(t, c.head, whole.Head)
		require.Equal(t, c.links[len(c.links)-1].seq, whole.Sequence)
	})
}

func TestACloneSharesNothingThatAFoldChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := story(t)
		cut := rapid.IntRange(1, len(c.links)).Draw(t, "cut")
		h := c.fold(&History{Subject: "s"}, 0, cut)
		before := text(t, h)
		clone := h.Clone()
		require.Equal(t, before, text(t, clone))
		c.fold(clone, cut, len(c.links))
		require.Equal(t, before, text(t, h), "folding into the clone changed what it was made of")
		after := text(t, clone)
		c.fold(h, cut, len(c.links))
		require.Equal(t, after, text(t, clone))
	})
}

func TestAChangedByteBreaksTheChain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := story(t)
		c.add(Noted, "alex", start, NoteData{Text: "last"})
		n := rapid.IntRange(0, len(c.links)-2).Draw(t, "event")
		bytes := append([]byte(nil), c.links[n].bytes...)
		bytes[rapid.IntRange(0, len(bytes)-1).Draw(t, "byte")] ^= 1
		h := c.fold(&History{Subject: "incidents.t.p"}, 0, n)
		require.NoError(t, h.Apply(c.links[n].event, c.links[n].seq, bytes), "its own bytes are the next event's business")
		next := c.links[n+1]
		err := h.Apply(next.event, next.seq, next.bytes)
		require.ErrorContains(t, err, fmt.Sprintf("event %d on incidents.t.p: the chain is broken", next.seq))
		require.Equal(t, c.links[n].seq, h.Sequence, "nothing beyond the break is taken")
	})
}

func TestUnknownTypesAreKeptAndSkipped(t *testing.T) {
	c := &chain{t: t}
	c.add(Opened, Cordon, start, opened())
	c.add("lease.set", Cordon, start, map[string]any{"until": "tomorrow"})
	c.add(Noted, "alex", start, NoteData{Text: "hello"})
	h := c.history()
	require.Equal(t, 1, h.Skipped)
	require.Equal(t, "hello", h.Current().Notes[0].Text)
	require.Equal(t, c.head, h.Head, "it stays a part of the chain")
}

func TestWhatCannotBeReadStopsTheFold(t *testing.T) {
	c := &chain{t: t}
	c.add(Opened, Cordon, start, opened())
	c.add(VerdictGiven, Cordon, start, "not an object")
	h := c.fold(&History{Subject: "s"}, 0, 1)
	bad := c.links[1]
	for range 2 { // a reader that keeps the history and asks again must not come past it
		require.ErrorContains(t, h.Apply(bad.event, bad.seq, bad.bytes), "event 13 on s: reading verdict.given")
		require.Equal(t, c.links[0].seq, h.Sequence)
	}

	c = &chain{t: t}
	c.add(Noted, "alex", start, NoteData{Text: "hello"})
	require.ErrorContains(t, (&History{Subject: "s"}).Apply(c.links[0].event, 10, c.links[0].bytes), "note before any opened")
}

func TestApprovals(t *testing.T) {
	one, two := step("contain.1", "grant.delete", One, Compromised), step("contain.1", "partner.remove-dap", Two, Compromised)
	yes := func(s Spec, digest string) DecisionData { return DecisionData{Ref: s.Ref, Digest: digest} }
	type said struct {
		by, kind string
		data     DecisionData
	}
	other := two
	other.Round = 2
	for name, c := range map[string]struct {
		step      Spec
		decisions []said
		state     string
		missing   int
	}{
		"one is enough for one":      {one, []said{{"alex", StepApproved, yes(one, one.Digest)}}, Approved, 0},
		"one is not enough for two":  {two, []said{{"alex", StepApproved, yes(two, two.Digest)}}, Waiting, 1},
		"two are two people":         {two, []said{{"alex", StepApproved, yes(two, two.Digest)}, {"sam", StepApproved, yes(two, two.Digest)}}, Approved, 0},
		"the same person twice":      {two, []said{{"alex", StepApproved, yes(two, two.Digest)}, {"alex", StepApproved, yes(two, two.Digest)}}, Waiting, 1},
		"upon something else":        {one, []said{{"alex", StepApproved, yes(one, two.Digest)}}, Waiting, 1},
		"without a digest":           {one, []said{{"alex", StepApproved, yes(one, "")}}, Waiting, 1},
		"of another round":           {two, []said{{"alex", StepApproved, yes(other, two.Digest)}}, Waiting, 2},
		"a no":                       {two, []said{{"alex", StepApproved, yes(two, two.Digest)}, {"sam", StepRefused, yes(two, two.Digest)}}, Refused, 0},
		"a no upon something else":   {one, []said{{"alex", StepRefused, yes(one, "x")}}, Waiting, 1},
		"a yes after the no":         {one, []said{{"alex", StepRefused, yes(one, one.Digest)}, {"sam", StepApproved, yes(one, one.Digest)}}, Refused, 0},
		"a no after it was approved": {one, []said{{"alex", StepApproved, yes(one, one.Digest)}, {"sam", StepRefused, yes(one, one.Digest)}}, Approved, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := &chain{t: t}
			h.add(Opened, Cordon, start, opened())
			h.add(StepProposed, Cordon, start, c.step)
			for _, d := range c.decisions {
				h.add(d.kind, d.by, start, d.data)
			}
			s := h.history().Current().Step("contain.1")
			require.Equal(t, c.state, s.State)
			require.Equal(t, c.missing, s.Missing())
		})
	}
}

func TestProposingAgainVoidsApprovals(t *testing.T) {
	c := &chain{t: t}
	c.add(Opened, Cordon, start, opened())
	s := step("contain.1", "grant.delete", Two, Compromised)
	c.add(StepProposed, Cordon, start, s)
	c.add(StepApproved, "alex", start, DecisionData{Ref: s.Ref, Digest: s.Digest})
	s.Params = map[string]string{"application": "another"}
	s.Seal()
	c.add(StepProposed, Cordon, start, s)
	got := c.history().Current().Step("contain.1")
	require.Equal(t, Waiting, got.State)
	require.Equal(t, 2, got.Missing())
}

func TestSeal(t *testing.T) {
	base := step("contain.1", "grant.delete", One, Compromised)
	base.Params, base.Facts = map[string]string{"application": "a"}, map[string]string{"actor.synced": "false"}
	base.Seal()
	for name, change := range map[string]func(*Spec){
		"target":    func(s *Spec) { s.Target.ID = "x" },
		"label":     func(s *Spec) { s.Target.Label = "x" },
		"parameter": func(s *Spec) { s.Params = map[string]string{"application": "b"} },
		"fact":      func(s *Spec) { s.Facts = map[string]string{"actor.synced": "true"} },
		"action":    func(s *Spec) { s.Action = "x" },
		"tenant":    func(s *Spec) { s.Tenant = "x" },
		"place":     func(s *Spec) { s.Place = "x" },
		"round":     func(s *Spec) { s.Round = 2 },
		"undo":      func(s *Spec) { s.Undo = "contain.1" },
	} {
		other := base
		change(&other)
		other.Seal()
		require.NotEqual(t, base.Digest, other.Digest, name)
	}
	due := start
	for name, change := range map[string]func(*Spec){
		"words": func(s *Spec) { s.Says = "x" }, "reason": func(s *Spec) { s.Why = "x" }, "due": func(s *Spec) { s.Due = &due },
	} {
		other := base
		change(&other)
		other.Seal()
		require.Equal(t, base.Digest, other.Digest, "%s is no part of what is approved", name)
	}

	c := &chain{t: t} // evidence beside it does not void an approval
	c.add(Opened, Cordon, start, opened())
	c.add(StepProposed, Cordon, start, base)
	c.add(EvidenceRead, Cordon, start, EvidenceData{Step: Ref{Place: "confirm.1", Round: 1}, Name: "user.profile", Value: json.RawMessage(`{}`)})
	c.add(StepApproved, "alex", start, DecisionData{Ref: base.Ref, Digest: base.Digest})
	require.Equal(t, Approved, c.history().Current().Step("contain.1").State)
}

func TestTurn(t *testing.T) {
	disable, revoke := step("contain.1", "user.disable", Auto, Compromised), step("contain.2", "user.revoke-sessions", Auto, Suspicious)
	manual := disable
	manual.Need = One
	retry := start.Add(time.Minute)
	tried := StartedData{Ref: disable.Ref, Attempt: 1}
	for name, c := range map[string]struct {
		first    Spec
		verdict  string
		after    func(*chain)
		disables bool
		revokes  bool
	}{
		"the first goes first":                 {disable, Compromised, nil, true, false},
		"under suspicion revoking alone runs":  {disable, Suspicious, nil, false, true},
		"exposed is not enough to disable":     {disable, Exposed, nil, false, true},
		"nothing runs by itself under benign":  {disable, Benign, nil, false, false},
		"revoking never waits for an approval": {manual, Compromised, nil, false, true},
		"an approved one goes first": {manual, Suspicious, func(c *chain) {
			c.add(StepApproved, "alex", start, DecisionData{Ref: manual.Ref, Digest: manual.Digest})
		}, true, false},
		"tried once is enough": {disable, Compromised, func(c *chain) { c.add(StepStarted, Cordon, start, tried) }, true, true},
		"nor for a retry": {disable, Compromised, func(c *chain) {
			c.add(StepFailed, Cordon, start, FinishedData{Ref: disable.Ref, Attempt: 1, RetryAt: &retry})
		}, true, true},
		"nor for one that failed for good": {disable, Compromised, func(c *chain) { c.add(StepFailed, Cordon, start, FinishedData{Ref: disable.Ref, Attempt: 1}) }, false, true},
		"nor for one that was refused": {disable, Compromised, func(c *chain) {
			c.add(StepRefused, "alex", start, DecisionData{Ref: disable.Ref, Digest: disable.Digest})
		}, false, true},
		"nor for one that is no longer called for":  {disable, Compromised, func(c *chain) { c.add(StepWithdrawn, Cordon, start, WithdrawnData{Ref: disable.Ref}) }, false, true},
		"nothing runs in a closed incident":         {disable, Compromised, func(c *chain) { c.add(Closed, "alex", start, NoteData{}) }, false, false},
		"a step of another phase is not in the way": {Spec{Ref: Ref{Place: "contain.1", Round: 1}, Phase: "improve", Kind: KindDo, Need: Auto}, Suspicious, nil, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := &chain{t: t}
			h.add(Opened, Cordon, start, opened())
			h.add(VerdictGiven, Cordon, start, VerdictData{Verdict: c.verdict})
			h.add(StepProposed, Cordon, start, c.first)
			h.add(StepProposed, Cordon, start, revoke)
			if c.after != nil {
				c.after(h)
			}
			i := h.history().Current()
			require.Equal(t, c.disables, i.Runnable(i.Step("contain.1")), "disabling")
			require.Equal(t, c.revokes, i.Runnable(i.Step("contain.2")), "revoking")
		})
	}
}

func TestAnUndoRunsInAClosedIncident(t *testing.T) {
	c := &chain{t: t}
	c.add(Opened, Cordon, start, opened())
	c.add(Closed, "alex", start, NoteData{})
	undo := step("undo/contain.1", "user.disable", One, Compromised)
	undo.Undo = "contain.1"
	undo.Seal()
	c.add(StepProposed, "alex", start, undo)
	c.add(StepApproved, "alex", start, DecisionData{Ref: undo.Ref, Digest: undo.Digest})
	i := c.history().Current()
	require.True(t, i.Runnable(i.Step("undo/contain.1")))
}

func TestT0MovesBackUntilItIsFrozen(t *testing.T) {
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	seen := func(id string, minutes int, withdrawn string) finding.Finding {
		return finding.Finding{ID: id, Level: "high", Time: at(minutes), Withdrawn: withdrawn,
			Proof: []finding.Proof{{Record: id, Time: at(minutes), Principal: avery, Session: "the attacker's"}, {Record: id + "-other", Time: at(-9999), Principal: "somebody else"}}}
	}
	c := &chain{t: t}
	c.add(Opened, Cordon, start, opened())
	c.add(FindingWithdrawn, Cordon, start, seen("w", -500, "a revision contradicts it"))
	require.Zero(t, c.history().Current().T0, "what was withdrawn dates nothing")
	c.add(FindingJoined, Cordon, start, seen("a", 0, ""))
	require.Equal(t, at(0), c.history().Current().T0)
	c.add(FindingJoined, Cordon, start, seen("b", 5, ""))
	require.Equal(t, at(0), c.history().Current().T0, "a later record moves nothing")
	own := seen("own", -300, "")
	own.Proof[0].Session = "his own"
	c.add(FindingJoined, Cordon, start, own)
	require.Equal(t, at(0), c.history().Current().T0, "what he did himself that day is not the attacker's")
	c.add(FindingJoined, Cordon, start, seen("c", -10, ""))
	require.Equal(t, at(-10), c.history().Current().T0)
	c.add(StepProposed, Cordon, start, step("contain.9", "grant.delete", One, Compromised))
	c.add(FindingJoined, Cordon, start, seen("d", -20, ""))
	require.Equal(t, at(-20), c.history().Current().T0, "a step for a person freezes nothing")

	c.add(StepProposed, Cordon, start, step("contain.1", "user.disable", Auto, Compromised))
	require.True(t, c.history().Current().Frozen)
	c.add(FindingJoined, Cordon, start, seen("e", -30, ""))
	c.add(FindingJoined, Cordon, start, seen("f", -25, ""))
	c.add(EvidenceRead, Cordon, start, EvidenceData{Step: Ref{Place: "confirm.5", Round: 1}, Name: "user.sign-ins",
		Value: json.RawMessage(text(t, map[string]any{"t0": at(-40)}))})
	i := c.history().Current()
	require.Equal(t, at(-20), i.T0)
	require.Equal(t, at(-40), i.Earlier)
}

func TestT0OfAnApplicationIsTheActUponIt(t *testing.T) {
	c := &chain{t: t}
	c.add(Opened, Cordon, start, opened())
	c.add(FindingJoined, Cordon, start, finding.Finding{ID: "a", Level: "high", Time: start, Proof: []finding.Proof{{Record: "r", Time: start.Add(-time.Hour), Principal: "the actor"}}})
	require.Equal(t, start, c.history().Current().T0)
}

func TestTheStateBeforeIsThatOfTheFirstAttempt(t *testing.T) {
	c := &chain{t: t}
	c.add(Opened, Cordon, start, opened())
	s := step("contain.1", "user.disable", Auto, Suspicious)
	c.add(StepProposed, Cordon, start, s)
	c.add(StepStarted, Cordon, start, StartedData{Ref: s.Ref, Attempt: 1, Before: json.RawMessage(`{"enabled":true}`)})
	c.add(StepStarted, Cordon, start, StartedData{Ref: s.Ref, Attempt: 2, Before: json.RawMessage(`{"enabled":false}`)})
	got := c.history().Current().Step("contain.1")
	require.JSONEq(t, `{"enabled":true}`, string(got.Before))
	require.Equal(t, 2, got.Attempt)
}
