package playbooks

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/incident"
	"cordon/playbooks/library"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const (
	contoso = "c0170500-0000-4000-8000-00000000c001"
	avery   = "11111111-1111-4111-8111-111111111111"
)

var start = time.Date(2026, 3, 4, 3, 0, 0, 0, time.UTC)

// one is a tenant of a given mode.
type one string

func (one) Name(string) string   { return "Contoso" }
func (m one) Mode(string) string { return string(m) }
func user() finding.Principal {
	return finding.Principal{Home: contoso, Type: "user", ID: avery, UPN: "avery@contoso.example", Privileged: directory.No}
}
func ref(place string) incident.Ref { return incident.Ref{Place: place, Round: 1} }

// tale is an incident as its events tell it, and the playbook that looks at it.
type tale struct {
	require.TestingT
	h    *incident.History
	book *Playbook
	mode one
	now  time.Time
}

func begin(t require.TestingT, book *Playbook, p finding.Principal) *tale {
	s := &tale{TestingT: t, h: &incident.History{Subject: "s"}, book: book, mode: "automatic", now: start}
	s.tell(incident.Opened, incident.Cordon, incident.OpenedData{Playbook: book.Name, Tenant: contoso, Principal: p})
	return s
}

func (s *tale) apply(e incident.Event) {
	e.Prev = s.h.Head
	raw, err := json.Marshal(e)
	require.NoError(s, err)
	require.NoError(s, s.h.Apply(e, s.h.Sequence+1, raw))
}

func (s *tale) tell(kind, by string, data any) {
	e, err := incident.New(kind, by, "", s.now, data)
	require.NoError(s, err)
	s.apply(e)
}

func (s *tale) i() *incident.Incident { return s.h.Current() }

func (s *tale) decide() []incident.Event {
	events, err := s.book.decide(s.i(), s.mode, s.now)
	require.NoError(s, err)
	return events
}

// settle decides until there is nothing more to say, as the conductor does, and returns what was said.
func (s *tale) settle() []incident.Event {
	var all []incident.Event
	for range 20 {
		events := s.decide()
		if len(events) == 0 {
			return all
		}
		for _, e := range events {
			s.apply(e)
		}
		all = append(all, events...)
	}
	require.Fail(s, "the playbook never comes to rest")
	return nil
}

func (s *tale) read(name string, value any, unknown string) {
	d := incident.EvidenceData{Step: ref(name), Name: name, Unknown: unknown, Through: len(s.i().Findings)}
	for _, step := range s.i().Steps {
		if step.Action == name {
			d.Step = step.Ref
		}
	}
	if unknown == "" {
		raw, err := json.Marshal(value)
		require.NoError(s, err)
		d.Value = raw
	}
	s.tell(incident.EvidenceRead, incident.Cordon, d)
}

func (s *tale) found(id, kind string, change ...func(*finding.Finding)) {
	f := finding.Finding{ID: id, Rule: id, Kind: kind, Level: "high", Time: s.now, Principal: s.i().Principal, Actor: s.i().Principal,
		Proof: []finding.Proof{{Record: id, Time: s.now, Principal: s.i().Principal.ID}}}
	for _, c := range change {
		c(&f)
	}
	s.tell(incident.FindingJoined, incident.Cordon, f)
}

func (s *tale) done(place string) {
	step := s.i().Step(place)
	require.NotNil(s, step, place)
	s.tell(incident.StepStarted, incident.Cordon, incident.StartedData{Ref: step.Ref, Attempt: step.Attempt + 1})
	s.tell(incident.StepDone, incident.Cordon, incident.FinishedData{Ref: step.Ref, Attempt: step.Attempt})
	s.tell(incident.StepVerified, incident.Cordon, incident.FinishedData{Ref: step.Ref})
}

func (s *tale) approve(place string) {
	step := s.i().Step(place)
	require.NotNil(s, step, place)
	for _, by := range []string{"alex", "sam"}[:step.Missing()] {
		s.tell(incident.StepApproved, by, incident.DecisionData{Ref: step.Ref, Digest: step.Digest})
	}
}

// places are the steps that stand in a state.
func (s *tale) places(state string) []string {
	var out []string
	for _, step := range s.i().Steps {
		if step.State == state {
			out = append(out, step.Place)
		}
	}
	return out
}

func book(t testing.TB, lines string) *Playbook { return parseText(t, head+lines) }

func TestAFactThatIsBeingReadHoldsItsStepBack(t *testing.T) {
	s := begin(t, book(t, "confirm:\n  - read: user.profile\ncontain:\n  - do: user.reset-password\n    approve: auto\n    when: not actor.synced\n  - do: user.disable\n    approve: auto\n"), user())
	s.settle()
	require.Nil(t, s.i().Step("contain.1"), "nobody knows yet")
	require.NotNil(t, s.i().Step("contain.2"), "which does not hold up the next")
	s.read("user.profile", map[string]any{"synced": false}, "")
	s.settle()
	reset := s.i().Step("contain.1")
	require.Equal(t, incident.Auto, reset.Need)
	require.Equal(t, map[string]string{"actor.synced": "false"}, reset.Facts)

	s.read("user.profile", map[string]any{"synced": true}, "") // read again, and otherwise
	s.settle()
	require.Equal(t, []string{"contain.1"}, s.places(incident.Withdrawn))
}

func TestAFactThatCannotBeReadMakesItsStepWaitForAPerson(t *testing.T) {
	lines := "confirm:\n  - read: user.profile\n  - read: tenant.partners\ncontain:\n  - do: user.reset-password\n    approve: auto\n    when: not actor.synced\n" +
		"  - do: user.disable\n    approve: auto\n    when: not known(actor.synced) or actor.synced\n" +
		"  - do: user.revoke-sessions\n    approve: auto\n    when: known(tenant.dap) and actor.synced\n"
	s := begin(t, book(t, lines), user())
	s.read("user.profile", nil, "Graph answered 503: busy")
	s.settle()
	reset := s.i().Step("contain.1")
	require.Equal(t, incident.One, reset.Need)
	require.Equal(t, "the fact actor.synced could not be read", reset.Why)
	require.Equal(t, incident.Auto, s.i().Step("contain.2").Need, "it asked whether the fact is known")
	require.Nil(t, s.i().Step("contain.3"), "known() itself must wait until somebody has tried to read")
	s.read("tenant.partners", map[string]any{"dap": true}, "")
	s.settle()
	require.Equal(t, incident.One, s.i().Step("contain.3").Need, "it asked about another fact than the one it reads")
}

func TestPrivilegedUnknownOpensTheAdministratorsPlaybook(t *testing.T) {
	books, err := Load(library.Shipped)
	require.NoError(t, err)
	c := &Conductor{playbooks: books}
	for known, want := range map[directory.Known]string{directory.Yes: "compromised-administrator", directory.Unknown: "compromised-administrator", directory.No: "compromised-user"} {
		p := user()
		p.Privileged = known
		got, err := c.opens(finding.Finding{Level: "high", Principal: p})
		require.NoError(t, err)
		require.Equal(t, want, got.Name, "privileged: %q", known)
	}
	for name, f := range map[string]finding.Finding{
		"medium":                {Level: "medium", Principal: user()},
		"unconfirmed":           {Level: "high", Principal: user(), Unconfirmed: true},
		"withdrawn":             {Level: "high", Principal: user(), Withdrawn: "x"},
		"another kind of thing": {Level: "high", Principal: finding.Principal{Type: "servicePrincipal", ID: "x"}},
	} {
		got, err := c.opens(f)
		require.NoError(t, err)
		require.Nil(t, got, name)
	}
	app, err := c.opens(finding.Finding{Level: "medium", Rule: "risky-consent", Principal: finding.Principal{Type: "servicePrincipal", ID: "x"}})
	require.NoError(t, err)
	require.Equal(t, "malicious-application", app.Name)
	app, err = c.opens(finding.Finding{Level: "medium", Rule: "another", Playbook: "malicious-application", Principal: finding.Principal{Type: "servicePrincipal", ID: "x"}})
	require.NoError(t, err)
	require.Equal(t, "malicious-application", app.Name, "the rule asks for it")
}

func TestVerdicts(t *testing.T) {
	s := begin(t, book(t, `confirm:
  - read: user.sign-ins
  - verdict: exposed
    when: onlyFindings("password-spray-hit") and not successAfter(t0)
  - verdict: compromised
    when: independentProofs >= 2 or decisive
`), user())
	s.found("password-spray-hit", "sign-in")
	s.settle()
	require.Equal(t, incident.Suspicious, s.i().Verdict, "whether he got in is not known yet")
	s.read("user.sign-ins", map[string]any{"lastSuccess": start.Add(-time.Hour)}, "")
	s.settle()
	require.Equal(t, incident.Exposed, s.i().Verdict)
	require.Equal(t, "the password is known, the second factor held", s.i().Why)
	s.found("method-registered", "method")
	events := s.settle()
	require.Equal(t, incident.VerdictGiven, events[0].Type, "all else is decided upon the new verdict")
	require.Equal(t, incident.Compromised, s.i().Verdict)
	require.Equal(t, "2 independent proofs: sign-in, method", s.i().Why)

	withdrawn := s.i().Findings[1]
	withdrawn.Withdrawn, withdrawn.Revision = "contradicted", 1
	s.tell(incident.FindingWithdrawn, incident.Cordon, withdrawn)
	s.settle()
	require.Equal(t, incident.Compromised, s.i().Verdict, "it is never lowered by itself")

	d := begin(t, s.book, user())
	d.found("rule", "grant", func(f *finding.Finding) { f.Decisive, f.Says = true, "consent for everyone" })
	d.settle()
	require.Equal(t, incident.Compromised, d.i().Verdict, "one decisive rule is enough, whatever is being read")
	require.Equal(t, "decisive: consent for everyone", d.i().Why)

	b := begin(t, s.book, user())
	b.tell(incident.VerdictGiven, "alex", incident.VerdictData{Verdict: incident.Benign})
	b.found("a", "grant", func(f *finding.Finding) { f.Decisive = true })
	b.settle()
	require.Equal(t, incident.Benign, b.i().Verdict, "a person has said so")
}

func TestForEachProposesAndWithdraws(t *testing.T) {
	s := begin(t, book(t, "confirm:\n  - read: user.methods\ncontain:\n  - do: method.restore\n    for-each: changedAfter(evidence.methods, t0)\n    approve: auto\n"), user())
	s.found("a", "method")
	s.settle()
	method := func(id string, minutes int) Object {
		return Object{ID: id, Type: "fido2", Label: "key " + id, On: avery, Changed: start.Add(time.Duration(minutes) * time.Minute)}
	}
	methods := func(list ...Object) { s.read("user.methods", map[string]any{"objects": list}, "") }
	methods(method("old", -60), method("x", 1), method("y", 2), Object{ID: "undated", Type: "fido2"})
	s.settle()
	require.Equal(t, []string{"contain.1/x", "contain.1/y"}, s.places(incident.Waiting), "an undated method is a person's to judge")
	x := s.i().Step("contain.1/x")
	require.Equal(t, incident.Target{Type: "fido2", ID: "x", Label: "key x"}, x.Target)
	require.Equal(t, map[string]string{"user": avery, "type": "fido2"}, x.Params)
	require.Equal(t, "Remove key x", x.Says)
	require.Equal(t, incident.Auto, x.Need)

	methods(method("y", 2), method("z", 3))
	s.settle()
	require.Equal(t, []string{"contain.1/x"}, s.places(incident.Withdrawn))
	require.Equal(t, []string{"contain.1/y", "contain.1/z"}, s.places(incident.Waiting))
	methods(method("x", 1), method("y", 2), method("z", 3))
	s.settle()
	require.Equal(t, incident.Waiting, s.i().Step("contain.1/x").State)
	require.Equal(t, 2, s.i().Step("contain.1/x").Round, "called for again")

	s.done("contain.1/y")
	methods()
	s.settle()
	require.Equal(t, incident.Verified, s.i().Step("contain.1/y").State, "what is done stays done")

	s.read("user.methods", nil, "403") // nobody can say what changed: nothing is proposed, nothing withdrawn
	methods(method("x", 1))
	s.settle()
	s.read("user.methods", nil, "403")
	s.settle()
	require.Equal(t, incident.Waiting, s.i().Step("contain.1/x").State)
	require.Equal(t, incident.KindTask, s.i().Step("contain.1/unread").Kind, "somebody is asked to look")

	phone := method("p", 4)
	phone.Type = "phone"
	methods(phone)
	s.settle()
	require.Equal(t, incident.One, s.i().Step("contain.1/p").Need, "a replaced number keeps its id: it may be his own")
}

func TestWhatReachesBehindTheFrozenT0NeedsAPerson(t *testing.T) {
	s := begin(t, book(t, "confirm:\n  - read: user.methods\ncontain:\n  - do: user.disable\n    approve: auto\n  - do: method.restore\n    for-each: changedAfter(evidence.methods, t0)\n    approve: auto\n"), user())
	s.found("a", "method", func(f *finding.Finding) { f.Proof[0].Session = "his" })
	s.settle()
	require.True(t, s.i().Frozen)
	s.found("b", "sign-in", func(f *finding.Finding) { f.Proof[0].Time, f.Proof[0].Session = start.Add(-time.Hour), "his" })
	s.read("user.methods", map[string]any{"objects": []Object{
		{ID: "since", Type: "fido2", On: avery, Changed: start.Add(time.Minute)}, {ID: "earlier", Type: "fido2", On: avery, Changed: start.Add(-time.Minute)}}}, "")
	s.settle()
	require.Equal(t, incident.Auto, s.i().Step("contain.2/since").Need)
	require.Equal(t, incident.One, s.i().Step("contain.2/earlier").Need)
}

func TestAfterPreviousComesLast(t *testing.T) {
	s := begin(t, book(t, `confirm:
  - read: tenant.partners
  - verdict: compromised
    when: decisive
contain:
  - do: user.disable
    approve: auto
  - do: user.revoke-sessions
    approve: auto
    again-after: 5m
  - task: Call
  - do: partner.remove-dap
    approve: two
    when: tenant.dap
    after: previous
  - do: partner.terminate-gdap
    approve: two
    for-each: evidence.gdap
    after: previous
`), user())
	s.found("a", "grant")
	s.read("tenant.partners", map[string]any{"dap": true, "objects": []Object{{ID: "g", Type: "relationship"}}}, "")
	s.settle()
	for _, place := range []string{"contain.1", "contain.2"} {
		s.done(place)
	}
	s.tell(incident.TaskDone, "alex", incident.NoteData{Place: "contain.3"})
	s.settle()
	require.Nil(t, s.i().Step("contain.4"), "not on suspicion")

	s.now = s.now.Add(time.Minute)
	s.found("b", "grant", func(f *finding.Finding) { f.Decisive = true })
	s.settle()
	revoke := s.i().Step("contain.2")
	require.Equal(t, 2, revoke.Round, "it ran on suspicion alone: a session may have begun since")
	require.Equal(t, incident.Verified, s.i().Step("contain.1").State, "disabling holds")
	s.now = s.now.Add(time.Minute)
	s.done("contain.2")
	s.settle()
	require.Nil(t, s.i().Step("contain.4"), "revoking has another round to come")
	last := s.i().Step("contain.2").Spec
	require.Equal(t, 5*time.Minute, last.Again)
	last.Round, last.Again = 3, 0
	last.Seal()
	s.tell(incident.StepProposed, incident.Cordon, last)
	s.done("contain.2")
	s.settle()
	require.Equal(t, incident.Two, s.i().Step("contain.4").Need)
	require.Equal(t, "Contoso", s.i().Step("contain.4").Target.Label)
	require.Nil(t, s.i().Step("contain.5/g"), "one after the other")
	s.approve("contain.4")
	s.done("contain.4")
	s.settle()
	require.NotNil(t, s.i().Step("contain.5/g"))
}

func TestAWaitingStepHoldsTheLastOnesBack(t *testing.T) {
	s := begin(t, book(t, "confirm:\n  - verdict: compromised\n    when: decisive\ncontain:\n  - do: user.disable\n    approve: one\n  - do: partner.remove-dap\n    approve: two\n    after: previous\nimprove:\n  - do: report.write\n"), user())
	s.found("a", "grant", func(f *finding.Finding) { f.Decisive = true })
	s.settle()
	require.Equal(t, []string{"contain.1"}, s.places(incident.Waiting))
	step := s.i().Step("contain.1")
	s.tell(incident.StepRefused, "alex", incident.DecisionData{Ref: step.Ref, Digest: step.Digest})
	s.settle()
	require.Equal(t, []string{"contain.2"}, s.places(incident.Waiting), "what was refused is settled")
	s.approve("contain.2")
	s.done("contain.2")
	s.settle()
	require.NotNil(t, s.i().Step("improve.1"), "the report comes last")
}

func TestRecoveryIsOfferedAndHardeningProposed(t *testing.T) {
	s := begin(t, book(t, "confirm:\n  - read: tenant.consent-policy\n  - verdict: compromised\n    when: decisive\ncontain:\n  - do: user.disable\n    approve: auto\nsecure:\n  recover:\n    - do: user.enable\n      approve: one\n  harden:\n    - do: policy.disable-user-consent\n      when: tenant.userConsent\n      approve: one\n"), user())
	s.found("a", "grant", func(f *finding.Finding) { f.Decisive = true })
	s.read("tenant.consent-policy", map[string]any{"open": true}, "")
	s.settle()
	require.Nil(t, s.i().Step("secure.recover.1"), "there is nothing to recover from yet")
	require.Nil(t, s.i().Step("secure.harden.1"), "containing goes first")
	s.done("contain.1")
	s.settle()
	enable := s.i().Step("secure.recover.1")
	require.Equal(t, incident.Offering, enable.State)
	require.True(t, enable.Returns)
	require.Equal(t, []*incident.Step{s.i().Step("secure.harden.1")}, s.i().Waiting(), "what is offered waits for nobody")
}

func TestEvidenceIsReadAgainWhenFindingsJoin(t *testing.T) {
	s := begin(t, book(t, "confirm:\n  - read: user.profile\n"), user())
	s.found("a", "grant")
	s.settle()
	s.read("user.profile", map[string]any{}, "")
	require.Empty(t, s.settle())
	s.found("b", "method")
	s.settle()
	again := s.i().Step("confirm.1")
	require.Equal(t, incident.Waiting, again.State)
	require.Equal(t, 2, again.Round)
}

func TestModesTurnAutoIntoOne(t *testing.T) {
	for mode, need := range map[one]string{"automatic": incident.Auto, "approve": incident.One, "observe": incident.One, "": incident.One} {
		s := begin(t, book(t, "confirm:\n  - read: user.profile\n  - verdict: compromised\n    when: decisive\ncontain:\n  - do: user.disable\n    approve: auto\n  - do: partner.remove-dap\n    approve: two\nimprove:\n  - do: report.write\n  - watch: 30d\n"), user())
		s.mode = mode
		s.settle()
		require.Equal(t, incident.Auto, s.i().Step("confirm.1").Need, "reading changes nothing")
		require.Equal(t, need, s.i().Step("contain.1").Need, "mode %q", mode)
		require.Equal(t, incident.Two, s.i().Step("contain.2").Need)
		s.found("a", "grant", func(f *finding.Finding) { f.Decisive = true })
		s.settle()
		for _, place := range []string{"contain.1", "contain.2"} {
			s.approve(place)
			s.done(place)
		}
		s.settle()
		require.Equal(t, incident.Auto, s.i().Step("improve.1").Need)
		require.Equal(t, incident.Watching, s.i().Step("improve.2").State)
		require.Equal(t, start.Add(30*24*time.Hour), *s.i().Step("improve.2").Due)
	}
}

func TestWhatTheWorkerAskedAPersonForStaysAPersons(t *testing.T) {
	s := begin(t, book(t, "confirm:\n  - read: user.profile\n  - read: tenant.consent-policy\ncontain:\n  - do: user.reset-password\n    approve: auto\n    when: not actor.synced or tenant.userConsent\n"), user())
	s.settle()
	s.read("user.profile", map[string]any{"synced": false}, "")
	s.read("tenant.consent-policy", map[string]any{"open": false}, "")
	s.settle()
	asked := s.i().Step("contain.1").Spec
	asked.Need, asked.Why = incident.One, "as often as the guardrails allow"
	s.tell(incident.StepProposed, incident.Cordon, asked)
	require.Empty(t, s.settle())
	require.Equal(t, incident.One, s.i().Step("contain.1").Need)
	s.read("tenant.consent-policy", map[string]any{"open": true}, "") // another fact, another digest
	require.Len(t, s.settle(), 1)
	require.Equal(t, incident.One, s.i().Step("contain.1").Need)
	require.Equal(t, asked.Why, s.i().Step("contain.1").Why)
}

func TestNothingIsDecidedInAClosedIncident(t *testing.T) {
	s := begin(t, book(t, "contain:\n  - do: user.disable\n"), user())
	s.tell(incident.Closed, "alex", incident.NoteData{})
	require.Empty(t, s.decide())
}

func TestUndoneAndRefusedStepsAreNotProposedAgain(t *testing.T) {
	s := begin(t, book(t, "contain:\n  - do: user.disable\n    approve: auto\n  - do: user.revoke-sessions\n    approve: one\n"), user())
	s.settle()
	s.done("contain.1")
	s.tell(incident.StepUndone, incident.Cordon, incident.WithdrawnData{Ref: ref("contain.1")})
	revoke := s.i().Step("contain.2")
	s.tell(incident.StepRefused, "alex", incident.DecisionData{Ref: revoke.Ref, Digest: revoke.Digest})
	s.found("a", "grant", func(f *finding.Finding) { f.Decisive = true })
	for _, e := range s.settle() {
		require.NotEqual(t, incident.StepProposed, e.Type)
	}
}

// Whatever has happened, asking twice says the same, the answer can be folded, and in the end there is nothing to say.
func TestDecidingIsAPureFunctionThatComesToRest(t *testing.T) {
	books, err := Load(library.Shipped)
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SampledFrom(books).Draw(t, "playbook")
		p := user()
		p.Type = b.For
		s := begin(t, b, p)
		s.mode = one(rapid.SampledFrom([]string{"observe", "approve", "automatic"}).Draw(t, "mode"))
		for n := range rapid.IntRange(1, 12).Draw(t, "turns") {
			s.now = s.now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "seconds")) * time.Second)
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				s.found(fmt.Sprint("f", n), rapid.SampledFrom([]string{"sign-in", "method", "role"}).Draw(t, "kind"), func(f *finding.Finding) {
					f.Decisive = rapid.Bool().Draw(t, "decisive")
					f.Targets = []finding.Object{{ID: rapid.SampledFrom([]string{"u", "v"}).Draw(t, "child"), Child: true}, {ID: "app", KeyIDs: []string{"k"}}}
				})
			case 1:
				var reads []string
				for _, l := range b.Lines {
					if l.Kind == incident.KindRead {
						reads = append(reads, l.Action.Name)
					}
				}
				if len(reads) == 0 {
					continue
				}
				var list []Object
				for _, id := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "y", "z"}), 0, 3, rapid.ID).Draw(t, "objects") {
					list = append(list, Object{ID: id, Type: "phone", On: avery, Changed: s.now})
				}
				s.read(rapid.SampledFrom(reads).Draw(t, "reading"), map[string]any{"objects": list, "synced": rapid.Bool().Draw(t, "synced"), "dap": true, "open": true, "plans": []string{"AAD_PREMIUM_P2"}},
					rapid.SampledFrom([]string{"", "", "403"}).Draw(t, "unknown"))
			default:
				if len(s.i().Steps) == 0 {
					continue
				}
				step := rapid.SampledFrom(s.i().Steps).Draw(t, "step")
				if step.State == incident.Waiting && step.Kind == incident.KindDo {
					s.approve(step.Place)
					s.done(step.Place)
				}
			}
			first, err := json.Marshal(s.decide())
			require.NoError(t, err)
			before, err := json.Marshal(s.h)
			require.NoError(t, err)
			for range 3 {
				again, err := json.Marshal(s.decide())
				require.NoError(t, err)
				require.Equal(t, string(first), string(again))
			}
			after, err := json.Marshal(s.h)
			require.NoError(t, err)
			require.Equal(t, string(before), string(after), "deciding changes nothing")
			s.settle()
		}
		for _, step := range s.i().Steps {
			if step.Kind == incident.KindDo && strings.HasPrefix(step.Action, "partner.") {
				require.Equal(t, incident.Two, step.Need)
			}
			if s.mode != "automatic" && step.Kind == incident.KindDo && step.Action != "report.write" {
				require.NotEqual(t, incident.Auto, step.Need, step.Place)
			}
		}
	})
}
