package playbooks

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/actions"
	"cordon/internal/bus"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/graph"
	"cordon/internal/incident"
	"cordon/internal/simulator/entra"
	"cordon/internal/simulator/scenario"
	"cordon/playbooks/library"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// hands is a clock that tests move. It is ahead of the machine's, on which JetStream's own timers run.
type hands struct {
	mu sync.Mutex
	at time.Time
}

func (h *hands) Now() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.at }

func (h *hands) add(d time.Duration) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
	return h.at
}

// bearer is a token as it is.
type bearer string

func (b bearer) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(b), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// site is the conductor and the worker over a real bus, and a simulated tenant on a real socket.
type site struct {
	*testing.T
	clock  *hands
	bus    *bus.Bus
	store  *incident.Store
	desk   *incident.Desk
	world  *scenario.World
	graph  *entra.Graph
	access *actions.Access
	found  int
}

func (s *site) Access(tenant string) (*actions.Access, error) {
	if tenant != s.access.Tenant {
		return nil, fmt.Errorf("tenant %s is not in the configuration", tenant)
	}
	return s.access, nil
}
func (s *site) Name(string) string { return s.access.Name }
func (s *site) Mode(string) string { return s.access.Mode }

// ready makes a site in mode automatic whose playbook knows no steps but these lines.
func ready(t *testing.T, lines string, change ...func(*site)) *site {
	t.Helper()
	s := &site{T: t, clock: &hands{at: time.Now().Add(48 * time.Hour).UTC().Truncate(time.Millisecond)}}
	var err error
	s.bus, err = bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(s.bus.Close)
	s.store = incident.NewStore(s.bus)
	s.desk = &incident.Desk{Store: s.store, Clock: s.clock}
	s.world = scenario.Build(s.clock, nil)
	s.graph = entra.NewGraph(s.world.Customer)
	web := httptest.NewServer(s.graph)
	t.Cleanup(web.Close)
	s.graph.Allow("strong", s.world.Customer, s.world.App(s.world.Customer))
	weak := s.world.App(s.world.Customer)
	weak.AppID, weak.ServicePrincipalID, weak.Roles = "weak", "weak", nil
	s.graph.Allow("weak", s.world.Customer, weak)
	s.access = &actions.Access{Tenant: s.world.Customer.ID(), Name: "Contoso", Mode: "automatic", Graph: s.client(web.URL, "strong")}
	for _, c := range change {
		c(s)
	}
	if s.access.Graph == nil {
		s.access.Graph = s.client(web.URL, "weak")
	}
	ctx, stop := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	silence, err := library.Shipped.Open("log-silence.yml")
	require.NoError(t, err)
	ofTenants, err := Parse("log-silence.yml", silence)
	require.NoError(t, err)
	books := []*Playbook{ofTenants, parseText(t, head+"confirm:\n  - verdict: compromised\n    when: independentProofs >= 2 or decisive\n"+lines)}
	for _, run := range []func(context.Context) error{
		New(s.bus, s.store, books, s, s.clock, zap.NewNop()).Run, actions.NewWorker(s.bus, s.store, s, s.clock, zap.NewNop()).Run} {
		parts.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { stop(); parts.Wait(); http.DefaultClient.CloseIdleConnections() })
	return s
}

func (s *site) client(url, token string) *graph.Client {
	c, err := graph.New(url+"/v1.0", bearer(token))
	require.NoError(s, err)
	return c
}

// join publishes a decisive finding about a user, or more about it, and returns the subject of his incident.
func (s *site) join(id string, change ...func(*finding.Finding)) string {
	s.found++
	p := finding.Principal{Home: s.access.Tenant, Type: "user", ID: id, Privileged: directory.No}
	if u, ok := s.world.Customer.User(id); ok {
		p.UPN = u.UserPrincipalName
	}
	f := finding.Finding{ID: fmt.Sprint("finding-", s.found), Rule: "r", Level: "high", Kind: "grant", Decisive: true, Says: "consent for everyone",
		Tenant: s.access.Tenant, Time: s.clock.Now(), Principal: p, Actor: p, Proof: []finding.Proof{{Record: fmt.Sprint(s.found), Time: s.clock.Now(), Principal: id}}, Count: 1}
	for _, c := range change {
		c(&f)
	}
	s.publish(f)
	return bus.IncidentSubject(p.Home, p.ID)
}

func (s *site) publish(f finding.Finding) {
	raw, err := json.Marshal(f)
	require.NoError(s, err)
	_, err = s.bus.Publish(s.Context(), bus.Message{Subject: bus.FindingSubject(f.Tenant), Data: raw})
	require.NoError(s, err)
}

func (s *site) job(j incident.Job) {
	s.Helper()
	raw, err := json.Marshal(j)
	require.NoError(s, err)
	_, err = s.bus.Publish(s.Context(), bus.Message{Subject: bus.StepSubject(s.access.Tenant), Data: raw})
	require.NoError(s, err)
}

func (s *site) current(subject string) *incident.Incident {
	h, err := s.store.Load(s.Context(), subject)
	require.NoError(s, err)
	return h.Current()
}

// step waits until a step stands in a state, and returns it.
func (s *site) step(subject, place, state string) *incident.Step {
	s.Helper()
	var last *incident.Step
	seen := func() bool {
		if i := s.current(subject); i != nil {
			last = i.Step(place)
		}
		return last != nil && last.State == state
	}
	for deadline := time.After(15 * time.Second); !seen(); {
		select {
		case <-deadline:
			require.FailNow(s, "waiting for a step", "%s to be %s; it is %s", place, state, describe(last))
		case <-time.After(5 * time.Millisecond):
		}
	}
	return last
}

func describe(s *incident.Step) string {
	if s == nil {
		return "not proposed"
	}
	return fmt.Sprintf("%s, needs %s: %s%s%s", s.State, s.Need, s.Why, s.Note, s.Error)
}

// quiet waits until every worker has handled all there is.
func (s *site) quiet() {
	s.Helper()
	last := ""
	require.Eventually(s, func() bool {
		for stream, worker := range map[string]string{bus.Findings: "playbooks-findings", bus.Incidents: "playbooks-incidents", bus.Steps: "actions"} {
			end, err := s.bus.LastSequence(s.Context(), stream)
			floor, floorErr := s.bus.AckFloor(s.Context(), stream, worker)
			if err != nil || floorErr != nil || floor != end {
				return false // it may not have begun
			}
		}
		idle, mark, err := s.bus.Idle(s.Context())
		same := idle && mark == last
		last = mark
		return err == nil && same
	}, 15*time.Second, 20*time.Millisecond)
}

// propose appends a step to an incident, as the playbook would.
func (s *site) propose(subject string, spec incident.Spec) incident.Spec {
	s.Helper()
	spec.Ref, spec.Kind, spec.Phase, spec.Tenant = ref(spec.Place), incident.KindDo, "contain", s.access.Tenant
	if spec.Need == "" {
		spec.Need = incident.Auto
	}
	a, ok := actions.Find(spec.Action)
	require.True(s, ok)
	spec.Verdict, spec.Returns, spec.Final = a.Verdict, a.Returns, a.Irrevocable
	spec.Seal()
	for {
		h, err := s.store.Load(s.Context(), subject)
		require.NoError(s, err)
		e, err := incident.New(incident.StepProposed, incident.Cordon, "", s.clock.Now(), spec)
		require.NoError(s, err)
		if s.store.Append(s.Context(), h, e) == nil {
			return spec
		}
	}
}

func target(kind, id, label string) incident.Target {
	return incident.Target{Type: kind, ID: id, Label: label}
}

func (s *site) enabled(id string) bool {
	u, ok := s.world.Customer.User(id)
	require.True(s, ok)
	return u.AccountEnabled
}

func (s *site) setEnabled(id string, enabled bool) {
	u, ok := s.world.Customer.User(id)
	require.True(s, ok)
	u.AccountEnabled = enabled
	s.world.Customer.AddUser(u)
}

func (s *site) ordinary(n int) string { return s.world.SprayedIDs[n] }

var alex = incident.Person{Name: "alex", May: []string{"one", "two"}}

const disableAndRevoke = "contain:\n  - do: user.disable\n    approve: auto\n  - do: user.revoke-sessions\n    approve: auto\n"

func TestWhatIsDeliveredAgainChangesNothing(t *testing.T) {
	s := ready(t, disableAndRevoke)
	id := s.ordinary(0)
	var first finding.Finding
	subject := s.join(id, func(f *finding.Finding) { first = *f })
	disable := s.step(subject, "contain.1", incident.Verified)
	s.step(subject, "contain.2", incident.Verified)
	s.quiet()
	require.False(t, s.enabled(id))
	require.Equal(t, []string{`PATCH /users/` + id + ` {"@odata.type":"#microsoft.graph.user","accountEnabled":false}`}, disable.Requests)
	h, err := s.store.Load(t.Context(), subject)
	require.NoError(t, err)
	calls := len(s.world.Customer.Calls())
	require.Equal(t, 2, calls)

	s.publish(first)
	for _, place := range []string{"contain.1", "contain.2"} {
		for _, attempt := range []int{0, 1} {
			s.job(incident.Job{Subject: subject, Number: h.Current().Number, Ref: ref(place), Attempt: attempt, Action: "user.disable"})
		}
	}
	s.quiet()
	again, err := s.store.Load(t.Context(), subject)
	require.NoError(t, err)
	require.Equal(t, h.Sequence, again.Sequence, "no event was added")
	require.Len(t, s.world.Customer.Calls(), calls, "no call was made again")

	first.Revision, first.Says = 1, "more proof"
	s.publish(first)
	s.quiet()
	require.Equal(t, "more proof", s.current(subject).Findings[0].Says)
	require.Len(t, s.current(subject).Findings, 1)
	require.Len(t, s.world.Customer.Calls(), calls)
}

func TestAForbiddenStepStaysFailedInGraphsOwnWords(t *testing.T) {
	s := ready(t, disableAndRevoke, func(s *site) { s.access.Graph = nil })
	subject := s.join(s.world.VictimID) // a Global Administrator: the weak application does not outrank him
	disable := s.step(subject, "contain.1", incident.Failed)
	require.Equal(t, "forbidden", disable.Class)
	require.Contains(t, disable.Error, "Graph answered 403: Authorization_RequestDenied: Insufficient privileges to complete the operation.")
	require.Contains(t, disable.Error, "(request ")
	require.Nil(t, disable.RetryAt, "time does not heal it")
	s.step(subject, "contain.2", incident.Verified) // it never waited
	s.quiet()
	require.True(t, s.enabled(s.world.VictimID))
	require.Equal(t, incident.Failed, s.current(subject).Step("contain.1").State)
}

func TestAThrottledStepIsTriedAgainWhenGraphSays(t *testing.T) {
	s := ready(t, disableAndRevoke)
	id := s.ordinary(0)
	s.graph.Fail(func(r *http.Request) (int, string, string, bool) {
		return 429, "TooManyRequests", "2.128", r.Method == http.MethodPatch
	})
	subject := s.join(id)
	disable := s.step(subject, "contain.1", incident.Retrying)
	require.Equal(t, "throttled", disable.Class)
	require.Equal(t, s.clock.Now().Add(2128*time.Millisecond), *disable.RetryAt, "the fraction counts")
	s.step(subject, "contain.2", incident.Verified) // it never waits for another's retry
	s.quiet()
	s.graph.Fail(nil)
	s.job(incident.Job{Subject: subject, Number: s.current(subject).Number, Ref: ref("contain.1"), Attempt: 0, Action: "user.disable"}) // delivered again
	s.quiet()
	require.Equal(t, incident.Retrying, s.current(subject).Step("contain.1").State, "that attempt was made")
	require.NoError(t, s.bus.FireTimers(t.Context(), s.clock.add(2100*time.Millisecond)))
	s.quiet()
	require.Equal(t, incident.Retrying, s.current(subject).Step("contain.1").State, "not before")
	require.NoError(t, s.bus.FireTimers(t.Context(), s.clock.add(28*time.Millisecond)))
	disable = s.step(subject, "contain.1", incident.Verified)
	require.Equal(t, 2, disable.Attempt)
	require.Empty(t, disable.Error)
	require.False(t, s.enabled(id))
	var before actions.User
	require.NoError(t, json.Unmarshal(disable.Before, &before))
	require.True(t, before.Enabled, "what undo goes back to is the state before the first attempt")
}

func TestAStepIsGivenUpAfterEightAttempts(t *testing.T) {
	s := ready(t, disableAndRevoke)
	s.graph.Fail(func(r *http.Request) (int, string, string, bool) {
		return 503, "ServiceUnavailable", "", r.Method == http.MethodPatch
	})
	subject := s.join(s.ordinary(0))
	for attempt := 1; attempt < 8; attempt++ {
		s.step(subject, "contain.1", incident.Retrying)
		s.quiet()
		step := s.current(subject).Step("contain.1")
		require.Equal(t, attempt, step.Attempt)
		require.NoError(t, s.bus.FireTimers(t.Context(), s.clock.add(step.RetryAt.Sub(s.clock.Now()))))
		s.quiet()
	}
	step := s.step(subject, "contain.1", incident.Failed)
	require.Equal(t, 8, step.Attempt)
	require.Contains(t, step.Error, "Graph answered 503: ServiceUnavailable")
}

func TestWhatIsGoneIsDeleted(t *testing.T) {
	s := ready(t, "")
	subject := s.join(s.ordinary(0))
	s.quiet()
	s.propose(subject, incident.Spec{Ref: ref("x.1"), Action: "grant.delete", Target: target("grant", "nothing", "Mail.Read"), Params: map[string]string{"application": s.world.BackupSP}})
	step := s.step(subject, "x.1", incident.Verified)
	require.Equal(t, "the grant is no longer listed", step.Note)
	require.Empty(t, s.world.Customer.Calls(), "nothing was changed")
}

func TestASyncedUserIsNotContainedOnPremises(t *testing.T) {
	s := ready(t, disableAndRevoke)
	users := s.world.Customer.Users()
	id := users[slices.IndexFunc(users, func(u entra.User) bool { return u.OnPremisesSyncEnabled })].ID
	subject := s.join(id)
	require.Equal(t, "disabled in the cloud; not contained on-premises: the next sync may enable it again", s.step(subject, "contain.1", incident.Verified).Note)
	s.propose(subject, incident.Spec{Ref: ref("x.1"), Action: "user.reset-password", Target: target("user", id, "x")})
	require.Contains(t, s.step(subject, "x.1", incident.Failed).Error, "the password of a synced user is set on-premises")
}

func TestGuardrails(t *testing.T) {
	s := ready(t, disableAndRevoke, func(s *site) {
		broken := s.world.BreakGlassIDs
		second, _ := s.world.Customer.User(broken[1])
		s.access.BreakGlass = []string{strings.ToUpper(broken[0]), second.UserPrincipalName}
		own := s.world.App(s.world.Customer)
		s.access.Own = []string{own.AppID, own.ServicePrincipalID}
	})
	guarded := func(subject, place, why string) {
		t.Helper()
		step := s.step(subject, place, incident.Failed)
		require.Equal(t, "guardrail", step.Class)
		require.Contains(t, step.Error, why)
	}
	calls := func() int { s.quiet(); return len(s.world.Customer.Calls()) }

	for _, id := range s.world.BreakGlassIDs { // one is listed by id, the other by name
		subject := s.join(id)
		guarded(subject, "contain.1", "is a break-glass account of Contoso")
		guarded(subject, "contain.2", "is a break-glass account of Contoso")
		s.propose(subject, incident.Spec{Ref: ref("x.1"), Action: "role.remove", Target: target("role", "r", "Global Administrator"),
			Params: map[string]string{"user": id, "role": directory.GlobalAdministrator}})
		guarded(subject, "x.1", "is a break-glass account of Contoso")
	}
	require.Zero(t, calls())

	victim := s.join(s.world.SecondAdminID)
	s.step(victim, "contain.2", incident.Verified)
	own := s.world.App(s.world.Customer)
	before := calls()
	s.propose(victim, incident.Spec{Ref: ref("x.1"), Action: "application.disable", Target: target("servicePrincipal", own.ServicePrincipalID, "Cordon")})
	guarded(victim, "x.1", "Cordon is Cordon's own identity")
	s.propose(victim, incident.Spec{Ref: ref("x.2"), Action: "application.remove-credential", Target: target("credential", "k", "a secret"), Params: map[string]string{"application": own.ServicePrincipalID}})
	guarded(victim, "x.2", "own identity")
	require.Equal(t, before, calls())
}

func TestTheLastAdministratorWhoCanSignInIsNotLockedOut(t *testing.T) {
	s := ready(t, disableAndRevoke)
	for _, id := range append(slices.Clone(s.world.BreakGlassIDs), s.world.SecondAdminID) {
		s.setEnabled(id, false)
	}
	child := s.world.Customer.AddUser(entra.User{UserPrincipalName: "svc@contoso.example", AccountEnabled: true})
	s.world.Customer.AddRoleAssignment(child.ID, directory.GlobalAdministrator)
	other := s.world.Customer.AddRoleAssignment(s.world.VictimID, entra.UserAdministrator)

	subject := s.join(s.world.VictimID, func(f *finding.Finding) {
		f.Targets = []finding.Object{{ID: child.ID, Child: true}} // what the attacker made does not count
	})
	step := s.step(subject, "contain.1", incident.Failed)
	require.Equal(t, "guardrail", step.Class)
	require.Contains(t, step.Error, "is the last Global Administrator of Contoso who can sign in")
	var global entra.RoleAssignment
	for _, r := range s.world.Customer.RoleAssignments(s.world.VictimID) {
		if r.RoleDefinitionID == directory.GlobalAdministrator {
			global = r
		}
	}
	s.propose(subject, incident.Spec{Ref: ref("x.1"), Action: "role.remove", Target: target("role", global.ID, "Global Administrator"),
		Params: map[string]string{"user": s.world.VictimID, "role": directory.GlobalAdministrator}})
	require.Contains(t, s.step(subject, "x.1", incident.Failed).Error, "last Global Administrator")
	s.propose(subject, incident.Spec{Ref: ref("x.2"), Action: "role.remove", Target: target("role", other.ID, "User Administrator"),
		Params: map[string]string{"user": s.world.VictimID, "role": entra.UserAdministrator}})
	s.step(subject, "x.2", incident.Verified) // another role locks nobody out
	require.True(t, s.enabled(s.world.VictimID))

	s.setEnabled(s.world.SecondAdminID, true)
	s.propose(subject, incident.Spec{Ref: ref("x.3"), Action: "user.disable", Target: target("user", s.world.VictimID, "avery")})
	s.step(subject, "x.3", incident.Verified)
}

func TestAboveTheCapAPersonDecides(t *testing.T) {
	s := ready(t, disableAndRevoke, func(s *site) {
		s.access.Caps = map[string]actions.Cap{"user.disable": {Per: time.Hour, AtMost: 1}}
	})
	first, second := s.join(s.ordinary(0)), s.join(s.ordinary(1))
	s.step(first, "contain.2", incident.Verified)
	s.step(second, "contain.2", incident.Verified)
	s.quiet()
	if s.enabled(s.ordinary(0)) {
		first, second = second, first // whichever came first
	}
	s.step(first, "contain.1", incident.Verified)
	asked := s.step(second, "contain.1", incident.Waiting)
	require.Equal(t, incident.One, asked.Need)
	require.Contains(t, asked.Why, "as often as the guardrails of Contoso allow")
	require.True(t, asked.WaitsForPerson())
	require.NoError(t, s.desk.Approve(t.Context(), s.current(second).Number, "contain.1", asked.Digest, alex, ""))
	s.step(second, "contain.1", incident.Verified) // at once: a person's decision is not capped
	require.False(t, s.enabled(s.ordinary(0)) || s.enabled(s.ordinary(1)))

	s.clock.add(2 * time.Hour)
	third := s.join(s.ordinary(2))
	s.step(third, "contain.1", incident.Verified) // the hour has passed
}

func TestALooserModeOfThePlaybookDoesNotBindTheTenant(t *testing.T) {
	s := ready(t, disableAndRevoke, func(s *site) { s.access.Mode = "approve" })
	subject := s.join(s.ordinary(0))
	s.quiet()
	require.Len(t, s.current(subject).Waiting(), 2)
	// A step that was proposed to run by itself, before the mode was tightened.
	s.propose(subject, incident.Spec{Ref: ref("x.1"), Action: "user.disable", Target: target("user", s.ordinary(0), "x")})
	s.quiet()
	asked := s.step(subject, "x.1", incident.Waiting)
	require.Equal(t, incident.One, asked.Need)
	require.Contains(t, asked.Why, "tenant Contoso is in mode approve")
	require.True(t, s.enabled(s.ordinary(0)))
}

func TestUndo(t *testing.T) {
	s := ready(t, disableAndRevoke)
	id := s.ordinary(0)
	subject := s.join(id)
	s.step(subject, "contain.1", incident.Verified)
	number := s.current(subject).Number
	require.NoError(t, s.desk.Undo(t.Context(), number, "contain.1", alex, "second confirmation"))
	s.step(subject, "undo/contain.1", incident.Verified)
	s.step(subject, "contain.1", incident.Undone)
	require.True(t, s.enabled(id))

	drifted := s.ordinary(1)
	subject = s.join(drifted)
	s.step(subject, "contain.1", incident.Verified)
	s.setEnabled(drifted, true) // somebody else, meanwhile
	require.NoError(t, s.desk.Undo(t.Context(), s.current(subject).Number, "contain.1", alex, "second confirmation"))
	step := s.step(subject, "undo/contain.1", incident.Failed)
	require.Equal(t, "drifted", step.Class)
	require.Contains(t, step.Error, "somebody has enabled the account meanwhile")
	require.Equal(t, incident.Verified, s.current(subject).Step("contain.1").State)

	off := s.ordinary(2)
	s.setEnabled(off, false) // it was disabled before Cordon disabled it
	subject = s.join(off)
	s.step(subject, "contain.1", incident.Verified)
	require.NoError(t, s.desk.Undo(t.Context(), s.current(subject).Number, "contain.1", alex, "second confirmation"))
	require.Contains(t, s.step(subject, "undo/contain.1", incident.Failed).Error, "was disabled before Cordon disabled it")
	require.False(t, s.enabled(off))
}

func TestTakingAnEnablingBackIsGuardedToo(t *testing.T) {
	s := ready(t, disableAndRevoke, func(s *site) { s.access.BreakGlass = s.world.BreakGlassIDs })
	id := s.world.BreakGlassIDs[0]
	subject := s.join(id)
	s.step(subject, "contain.2", incident.Failed)
	s.propose(subject, incident.Spec{Ref: ref("undo/x.1"), Action: "user.enable", Target: target("user", id, "emergency.one"), Undo: "contain.2"})
	step := s.step(subject, "undo/x.1", incident.Failed)
	require.Contains(t, step.Error, "break-glass")
	require.True(t, s.enabled(id))
}

func TestSessionsAreRevokedOnceMoreAfterAWhile(t *testing.T) {
	s := ready(t, "contain:\n  - do: user.revoke-sessions\n    approve: auto\n    again-after: 5m\n")
	subject := s.join(s.ordinary(0))
	s.step(subject, "contain.1", incident.Verified)
	s.quiet()
	require.NoError(t, s.bus.FireTimers(t.Context(), s.clock.add(4*time.Minute)))
	s.quiet()
	require.Equal(t, 1, s.current(subject).Step("contain.1").Round)
	require.NoError(t, s.bus.FireTimers(t.Context(), s.clock.add(time.Minute)))
	require.Eventually(t, func() bool { return s.current(subject).Step("contain.1").Round == 2 }, 10*time.Second, 5*time.Millisecond)
	s.step(subject, "contain.1", incident.Verified)
	s.quiet()
	require.Len(t, s.world.Customer.Calls(), 2)
	_, set, err := s.bus.NextTimer(t.Context())
	require.NoError(t, err)
	if set {
		require.NoError(t, s.bus.FireTimers(t.Context(), s.clock.add(time.Hour)))
		s.quiet()
	}
	require.Equal(t, 2, s.current(subject).Step("contain.1").Round, "once, not for ever")
}

func TestWhatOpensNothingJoinsLater(t *testing.T) {
	s := ready(t, disableAndRevoke)
	id := s.ordinary(0)
	subject := s.join(id, func(f *finding.Finding) { f.Level, f.Decisive = "medium", false })
	s.join(id, func(f *finding.Finding) { f.Unconfirmed, f.Decisive = true, false })
	s.quiet()
	require.Nil(t, s.current(subject))
	s.join(id, func(f *finding.Finding) { f.Principal.Type = "tenant" })
	s.quiet()
	require.Nil(t, s.current(subject), "nobody to contain")
	s.join(id, func(f *finding.Finding) { f.Kind = "method" })
	s.quiet()
	require.Len(t, s.current(subject).Findings, 4, "those of the last day come along")
}

func TestASilentLogOpensAnIncidentOfTheTenant(t *testing.T) {
	s := ready(t, disableAndRevoke)
	tenant := func(rule string) func(*finding.Finding) {
		return func(f *finding.Finding) {
			f.Rule, f.Decisive, f.Proof, f.Count = rule, false, []finding.Proof{}, 0
			f.Principal = finding.Principal{Home: s.access.Tenant, Type: "tenant", ID: s.access.Tenant, Name: "Contoso"}
			f.Actor = f.Principal
		}
	}
	subject := bus.IncidentSubject(s.access.Tenant, s.access.Tenant)
	s.join("x", tenant("password-spray"))
	s.quiet()
	require.Nil(t, s.current(subject), "a spray is nobody's incident")
	var silent finding.Finding
	s.join("x", tenant("source-silent"), func(f *finding.Finding) { silent = *f })
	for _, place := range []string{"confirm.1", "confirm.2", "confirm.3"} {
		task := s.step(subject, place, incident.Waiting)
		require.Equal(t, incident.KindTask, task.Kind)
		require.NotContains(t, task.Says, "…", "it can be read to its end")
	}
	i := s.current(subject)
	require.Equal(t, "log-silence", i.Playbook)
	require.Equal(t, silent.Time, i.T0)
	require.Equal(t, "high", i.Severity())
	require.Len(t, i.Findings, 1, "the spray does not come along")
	s.join("x", tenant("password-spray"))
	s.join("x", tenant("source-silent"), func(f *finding.Finding) {
		f.ID, f.Revision, f.Withdrawn = silent.ID, 2, "the source speaks again"
	})
	s.quiet()
	i = s.current(subject)
	require.Len(t, i.Findings, 1)
	require.NotEmpty(t, i.Findings[0].Withdrawn)
	require.Len(t, i.Steps, 3, "nothing is contained")
}
