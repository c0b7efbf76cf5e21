// Package actions is what Cordon can read and change in a tenant: from STEPS to the tenant. Each action has a file
// of its own and describes itself; the catalogue lists them in reading order; guardrails stand between them and
// the tenant; the worker (worker.go) runs the steps.
package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"cordon/internal/clock"
	"cordon/internal/graph"
	"cordon/internal/incident"
	"cordon/internal/partnercenter"
	"cordon/internal/record"
)

// Spec is what an action says about itself: its row in the reference, the check of a playbook, the permission list
// and the words on the button all come from here.
type Spec struct {
	Name        string
	Phase       string
	Summary     string
	Says        string // on the button: {target} stands for whom it changes
	Target      string // user, servicePrincipal, tenant, method, role, grant, credential, relationship
	Params      []Param
	Permissions []string // the least that Graph asks for
	Role        string   // directory role that Cordon's own service principal needs
	Licence     string
	Blast       string // who is disturbed
	Verdict     string // an automatic run needs at least this one
	Returns     bool   // gives access back
	Tier0       bool   // two people, always
	Irrevocable string // why there is no undo; empty where Undo is set
	Footprint   []string
	Example     string
}

// Param is a parameter of an action.
type Param struct {
	Name     string
	Summary  string
	Required bool
}

// Request is one call as planned: what is shown is what is sent.
type Request interface {
	String() string
	Send(ctx context.Context) error
}

// Action is code that reads or changes one thing in a tenant. A reading action has Read alone; what Read returns
// is the evidence. A changing one plans requests from the state before; sending them twice does no harm.
type Action struct {
	Spec
	Read   func(ctx context.Context, c *Call) (any, error)
	Plan   func(ctx context.Context, c *Call, before json.RawMessage) ([]Request, error)
	Verify func(ctx context.Context, c *Call, before json.RawMessage) (note string, err error)
	Undo   func(ctx context.Context, c *Call, before json.RawMessage) ([]Request, error)
}

// Changes says whether the action changes anything.
func (a Action) Changes() bool { return a.Plan != nil }

// Do sends the planned requests in order.
func (a Action) Do(ctx context.Context, requests []Request) error {
	for _, r := range requests {
		if err := r.Send(ctx); err != nil {
			return fmt.Errorf("%s: %w", a.Name, err)
		}
	}
	return nil
}

// Find returns an action of the catalogue by name.
func Find(name string) (Action, bool) {
	i := slices.IndexFunc(Catalogue, func(a Action) bool { return a.Name == name })
	if i < 0 {
		return Action{}, false
	}
	return Catalogue[i], true
}

// Call is one use of an action.
type Call struct {
	Access   *Access
	Incident *incident.Incident
	Step     incident.Spec
	Records  Records
	Clock    clock.Clock
}

// Target is what the call changes.
func (c *Call) Target() incident.Target { return c.Step.Target }

// Param returns a parameter, "" where it was not given.
func (c *Call) Param(name string) string { return c.Step.Params[name] }

// Since is where reading back begins: that long before the attack, which may lie in the past itself.
func (c *Call) Since(back time.Duration) time.Time {
	from := c.Clock.Now()
	if t0 := c.Incident.T0; !t0.IsZero() && t0.Before(from) {
		from = t0
	}
	return from.Add(-back)
}

// Access is Cordon's way into one tenant.
type Access struct {
	Tenant     string
	Name       string
	Graph      *graph.Client
	Partner    *Partner // nil where the tenant has no partner of ours
	BreakGlass []string // object ids or names of accounts that are never contained
	Own        []string // Cordon's own application and object ids
	Mode       string   // observe, approve, automatic
	Caps       map[string]Cap
}

// Partner is Cordon's way into the partner's own tenant.
type Partner struct {
	Tenant string
	Graph  *graph.Client
	Center *partnercenter.Client
}

// Cap is how often an action may run by itself in a tenant.
type Cap struct {
	Per    time.Duration
	AtMost int
}

// Tenants finds the way into a tenant.
type Tenants interface {
	Access(tenant string) (*Access, error)
}

// Records reads Cordon's own store of the log stream: what a principal did, and what was done in a tenant.
type Records interface {
	Of(ctx context.Context, tenant, principal string, since time.Time, visit func(*record.Record)) error
	Audit(ctx context.Context, tenant string, since time.Time, visit func(*record.Record)) error
}

// Object is one thing in a list of evidence: a method, a role assignment, a grant, a credential, a relationship.
type Object struct {
	ID      string    `json:"id"`
	Type    string    `json:"type"`
	Label   string    `json:"label"`
	On      string    `json:"on,omitempty"`      // what it stands on: the user, the application
	Changed time.Time `json:"changed,omitzero"`  // when it appeared or was changed last, as far as anybody says
	Detail  string    `json:"detail,omitempty"`  // scopes, a role's template id
	Scope   string    `json:"scope,omitempty"`   // of a role assignment: the whole tenant is /
	Undated bool      `json:"undated,omitempty"` // nobody says when: a person must look
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func when(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func isTrue(b *bool) bool { return b != nil && *b }

// restore reads the state before from the incident's record of it.
func restore[T any](before json.RawMessage) (T, error) {
	var state T
	if err := json.Unmarshal(before, &state); err != nil {
		return state, fmt.Errorf("reading the state before: %w", err)
	}
	return state, nil
}
