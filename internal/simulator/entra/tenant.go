package entra

import (
	"errors"
	"sync"
	"time"

	"cordon/internal/clock"
)

// Emit receives each log record as Azure Monitor would ship it: its category, the record (one JSON object, the whole
// envelope) and the time at which it was written: the event's own time, or, for a revision, the time of re-emission.
// It is called outside the tenant's lock, and may be called by several goroutines at once.
type Emit func(category string, record []byte, at time.Time)

// Tenant is one Entra tenant: its directory, its sign-in service and the log records that both write. All methods
// may be called by several goroutines at once; what they return is a copy.
type Tenant struct {
	id, name string
	clock    clock.Clock
	emit     Emit

	mu              sync.Mutex
	users           table[User]
	methods         map[string][]Method // by user id
	assignments     table[RoleAssignment]
	eligible        table[RoleAssignment]
	groups          table[Group]
	principals      table[ServicePrincipal]
	applications    table[Application]
	grants          table[Grant]
	appRoles        table[AppRoleAssignment]
	policy          AuthorizationPolicy
	risks           map[string]Risk
	p2              bool
	relationships   table[Relationship]
	requests        table[RelationshipRequest]
	foreign         map[string]ForeignApplication // by application id, folded
	sparse          map[string]attempt            // sign-ins that may be sent again with more detail
	asksForMFA      MFAPolicy
	written         int // records so far: varies the spellings that vary in real logs
	calls, refusals []Call
	onCall          []func(Call)
	logs            map[string]*table[logObject] // by list of Graph
	searches        table[search]
}

// NewTenant returns an empty tenant that licenses P2, asks everybody for a second factor as DefaultMFAPolicy says,
// and lets users consent to any application, as tenants did by default for years.
func NewTenant(id, name string, c clock.Clock, emit Emit) *Tenant {
	if emit == nil {
		emit = func(string, []byte, time.Time) {}
	}
	t := &Tenant{
		id: id, name: name, clock: c, emit: emit,
		users: newTable[User](), assignments: newTable[RoleAssignment](), eligible: newTable[RoleAssignment](), groups: newTable[Group](),
		principals: newTable[ServicePrincipal](), applications: newTable[Application](), grants: newTable[Grant](),
		appRoles: newTable[AppRoleAssignment](), relationships: newTable[Relationship](),
		requests: newTable[RelationshipRequest](),
		methods:  map[string][]Method{}, risks: map[string]Risk{}, foreign: map[string]ForeignApplication{},
		logs: map[string]*table[logObject]{}, searches: newTable[search](),
		sparse: map[string]attempt{}, p2: true, asksForMFA: DefaultMFAPolicy,
		policy: AuthorizationPolicy{PermissionGrantPoliciesAssigned: []string{
			"ManagePermissionGrantsForSelf.microsoft-user-default-legacy",
			"managePermissionGrantsForOwnedResource.microsoft-dynamically-managed-permissions-for-team",
		}},
	}
	t.AddServicePrincipal(ServicePrincipal{
		ID: t.graphPrincipalID(), AppID: graphAppID, DisplayName: "Microsoft Graph", AccountEnabled: true,
		AppOwnerOrganizationID: microsoftTenantID,
	})
	return t
}

// ID returns the tenant's id.
func (t *Tenant) ID() string { return t.id }

// Name returns the tenant's display name.
func (t *Tenant) Name() string { return t.name }

const (
	graphAppID        = "00000003-0000-0000-c000-000000000000"
	microsoftTenantID = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"
)

func (t *Tenant) graphPrincipalID() string { return StableGUID(t.id, "servicePrincipal", graphAppID) }

// cause is who makes a change, from where, and when: it becomes initiatedBy, callerIpAddress and the event time.
type cause struct {
	at        time.Time
	user      User // without an id: an application acts
	app       App
	ip, agent string
}

// change is one act in progress. Records are collected and handed out after the lock is released, so that a
// receiver may look at the tenant.
type change struct {
	t           *Tenant
	by          cause
	correlation string
	out         []emission
	err         error // a record that could not be written
}

type emission struct {
	category string
	record   []byte
	at       time.Time
}

// change runs f with the state locked, then emits what it wrote. f checks before it changes: an error means that
// nothing changed.
func (t *Tenant) change(by cause, f func(*change) error) error {
	if by.at.IsZero() {
		by.at = t.clock.Now()
	}
	by.at = by.at.UTC()
	c := &change{t: t, by: by, correlation: NewGUID()}
	err := func() error {
		t.mu.Lock()
		defer t.mu.Unlock()
		if err := f(c); err != nil {
			return err
		}
		return t.publish(c.out)
	}()
	for _, e := range c.out {
		t.emit(e.category, e.record, e.at)
	}
	return errors.Join(err, c.err)
}

// Call is one HTTP request that wrote to the tenant.
type Call struct {
	Wall     time.Time // the machine's time
	Scenario time.Time // the tenant's
	Method   string
	Path     string
	Body     string // passwords and secrets redacted
	Status   int
	Code     string // of a refusal: Graph's error code
	AppID    string
}

// Calls returns every HTTP request that changed something, in order.
func (t *Tenant) Calls() []Call {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Call(nil), t.calls...)
}

// Refusals returns every HTTP request that would have changed something and was refused, in order.
func (t *Tenant) Refusals() []Call {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Call(nil), t.refusals...)
}

// OnCall registers a hook that runs after a request has changed the tenant and before its answer is written: a test
// that kills the client there has a change whose answer was lost.
func (t *Tenant) OnCall(hook func(Call)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.onCall = append(t.onCall, hook)
}

func (t *Tenant) log(c Call) {
	t.mu.Lock()
	if c.Status >= 300 {
		t.refusals = append(t.refusals, c)
		t.mu.Unlock()
		return
	}
	t.calls = append(t.calls, c)
	hooks := append([]func(Call){}, t.onCall...)
	t.mu.Unlock()
	for _, hook := range hooks {
		hook(c)
	}
}
