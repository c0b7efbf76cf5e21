package entra

import (
	"strings"
	"time"
)

// User returns a user by object id or user principal name.
func (t *Tenant) User(id string) (User, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if u := t.user(id); u != nil {
		return *u, true
	}
	return User{}, false
}

func (t *Tenant) user(id string) *User {
	if u := t.users.get(id); u != nil {
		return u
	}
	return t.users.find(func(u *User) bool { return u.UserPrincipalName != "" && strings.EqualFold(u.UserPrincipalName, id) })
}

// Users returns all users.
func (t *Tenant) Users() []User {
	t.mu.Lock()
	defer t.mu.Unlock()
	return collect(&t.users, func(*User) bool { return true })
}

// Methods returns a user's authentication methods, without the password.
func (t *Tenant) Methods(userID string) []Method {
	t.mu.Lock()
	defer t.mu.Unlock()
	return clone(t.methods[strings.ToLower(userID)])
}

// RoleAssignments returns a principal's active roles; "" returns everybody's.
func (t *Tenant) RoleAssignments(principalID string) []RoleAssignment {
	t.mu.Lock()
	defer t.mu.Unlock()
	return collect(&t.assignments, of(principalID))
}

// EligibleRoles returns the roles that a principal may activate; "" returns everybody's.
func (t *Tenant) EligibleRoles(principalID string) []RoleAssignment {
	t.mu.Lock()
	defer t.mu.Unlock()
	return collect(&t.eligible, of(principalID))
}

func of(principalID string) func(*RoleAssignment) bool {
	return func(a *RoleAssignment) bool {
		return principalID == "" || strings.EqualFold(a.PrincipalID, principalID)
	}
}

// ServicePrincipal returns a service principal by object id or application id.
func (t *Tenant) ServicePrincipal(id string) (ServicePrincipal, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.servicePrincipal(id); s != nil {
		return s.copied(), true
	}
	return ServicePrincipal{}, false
}

func (t *Tenant) servicePrincipal(id string) *ServicePrincipal {
	if s := t.principals.get(id); s != nil {
		return s
	}
	return t.principals.find(func(s *ServicePrincipal) bool { return s.AppID != "" && strings.EqualFold(s.AppID, id) })
}

// Application returns an application by object id or application id.
func (t *Tenant) Application(id string) (Application, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a := t.application(id); a != nil {
		return a.copied(), true
	}
	return Application{}, false
}

func (t *Tenant) application(id string) *Application {
	if a := t.applications.get(id); a != nil {
		return a
	}
	return t.applications.find(func(a *Application) bool { return a.AppID != "" && strings.EqualFold(a.AppID, id) })
}

// Grants returns the delegated grants of a client, by its service principal's id; "" returns all.
func (t *Tenant) Grants(clientID string) []Grant {
	t.mu.Lock()
	defer t.mu.Unlock()
	return collect(&t.grants, func(g *Grant) bool { return clientID == "" || strings.EqualFold(g.ClientID, clientID) })
}

// AppPermissions returns the application permissions of a service principal.
func (t *Tenant) AppPermissions(principalID string) []AppRoleAssignment {
	t.mu.Lock()
	defer t.mu.Unlock()
	return collect(&t.appRoles, func(a *AppRoleAssignment) bool { return strings.EqualFold(a.PrincipalID, principalID) })
}

// AuthorizationPolicy returns what users may do by default.
func (t *Tenant) AuthorizationPolicy() AuthorizationPolicy {
	t.mu.Lock()
	defer t.mu.Unlock()
	return AuthorizationPolicy{clone(t.policy.PermissionGrantPoliciesAssigned)}
}

// Risk returns what Identity Protection says of a user; nothing said is no risk.
func (t *Tenant) Risk(userID string) Risk {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r, ok := t.risks[strings.ToLower(userID)]; ok {
		return r
	}
	return Risk{UserID: userID, RiskLevel: "none", RiskState: "none", RiskDetail: "none"}
}

// Relationships returns the partner's GDAP relationships as they stand at the tenant's time.
func (t *Tenant) Relationships() []Relationship {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settle(t.clock.Now())
	out := collect(&t.relationships, func(*Relationship) bool { return true })
	for i := range out {
		out[i].RoleDefinitionIDs = clone(out[i].RoleDefinitionIDs)
	}
	return out
}

// settle moves terminations on: asking for one is not yet having it.
func (t *Tenant) settle(now time.Time) {
	for r := range t.relationships.all() {
		if r.terminate.IsZero() || r.Status == "terminated" {
			continue
		}
		switch passed := now.Sub(r.terminate); {
		case passed >= 75*time.Second:
			r.Status, r.LastModified = "terminated", r.terminate.Add(75*time.Second)
		case passed >= 20*time.Second:
			r.Status, r.LastModified = "terminating", r.terminate.Add(20*time.Second)
		}
	}
	for q := range t.requests.all() {
		switch passed := now.Sub(q.CreatedDateTime); {
		case passed >= 20*time.Second:
			q.Status = "succeeded"
		case passed >= 5*time.Second:
			q.Status = "pending"
		}
	}
}

func collect[T any](in *table[T], keep func(*T) bool) []T {
	var out []T
	for row := range in.all() {
		if keep(row) {
			out = append(out, *row)
		}
	}
	return out
}
