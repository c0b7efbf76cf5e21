package entra

import (
	"slices"
	"strings"
	"time"
)

// What is added here was there before the story begins: it writes no record.

// AddUser adds a user and returns it with what was left out filled in: an id, Member, a creation a year ago.
func (t *Tenant) AddUser(u User) User {
	t.mu.Lock()
	defer t.mu.Unlock()
	return *t.addUser(u)
}

func (t *Tenant) addUser(u User) *User {
	if u.ID == "" {
		u.ID = NewGUID()
	}
	if u.UserType == "" {
		u.UserType = "Member"
	}
	if u.CreatedDateTime.IsZero() {
		u.CreatedDateTime = t.clock.Now().Add(-365 * 24 * time.Hour)
	}
	if u.SignInSessionsValidFromDateTime.IsZero() {
		u.SignInSessionsValidFromDateTime = u.CreatedDateTime
	}
	if u.LastPasswordChangeDateTime.IsZero() {
		u.LastPasswordChangeDateTime = u.CreatedDateTime
	}
	return t.users.put(u.ID, u)
}

// AddMethod adds an authentication method to a user; every user has a password method already.
func (t *Tenant) AddMethod(userID string, m Method) Method {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.addMethod(userID, m)
}

func (t *Tenant) addMethod(userID string, m Method) Method {
	if m.Kind == Phone && m.PhoneType == "" {
		m.PhoneType = "mobile"
	}
	if m.ID == "" {
		m.ID = phoneID(m.PhoneType)
		if m.Kind != Phone {
			m.ID = NewGUID()
		}
	}
	key := strings.ToLower(userID)
	t.methods[key] = append(t.methods[key], m)
	return m
}

func phoneID(phoneType string) string {
	switch phoneType {
	case "alternateMobile":
		return AlternateMobilePhoneID
	case "office":
		return OfficePhoneID
	default:
		return MobilePhoneID
	}
}

// AddRoleAssignment gives a role, by template id, to a principal.
func (t *Tenant) AddRoleAssignment(principalID, templateID string) RoleAssignment {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.addRole(&t.assignments, principalID, templateID)
}

// AddGroup adds a group with its members.
func (t *Tenant) AddGroup(g Group) Group {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g.ID == "" {
		g.ID = NewGUID()
	}
	g.Members = slices.Clone(g.Members)
	return *t.groups.put(g.ID, g)
}

// AddEligibleRole makes a principal eligible for a role.
func (t *Tenant) AddEligibleRole(principalID, templateID string) RoleAssignment {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.addRole(&t.eligible, principalID, templateID)
}

func (t *Tenant) addRole(in *table[RoleAssignment], principalID, templateID string) RoleAssignment {
	a := RoleAssignment{ID: opaqueID() + "-1", PrincipalID: principalID, RoleDefinitionID: templateID, DirectoryScopeID: "/"}
	return *in.put(a.ID, a)
}

// AddServicePrincipal adds a service principal.
func (t *Tenant) AddServicePrincipal(s ServicePrincipal) ServicePrincipal {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.addServicePrincipal(s).copied()
}

func (t *Tenant) addServicePrincipal(s ServicePrincipal) *ServicePrincipal {
	if s.ID == "" {
		s.ID = NewGUID()
	}
	if s.AppOwnerOrganizationID == "" {
		s.AppOwnerOrganizationID = t.id
	}
	if s.CreatedDateTime.IsZero() {
		s.CreatedDateTime = t.clock.Now().Add(-365 * 24 * time.Hour)
	}
	return t.principals.put(s.ID, s.copied())
}

// AddApplication adds an application that the tenant registered.
func (t *Tenant) AddApplication(a Application) Application {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.ID == "" {
		a.ID = NewGUID()
	}
	if a.CreatedDateTime.IsZero() {
		a.CreatedDateTime = t.clock.Now().Add(-365 * 24 * time.Hour)
	}
	return t.applications.put(a.ID, a.copied()).copied()
}

// AddForeignApplication makes an application of another tenant known: it may be consented to here.
func (t *Tenant) AddForeignApplication(f ForeignApplication) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.foreign[strings.ToLower(f.AppID)] = f
}

// AddGrant adds a delegated permission grant; without a resource it is for Microsoft Graph.
func (t *Tenant) AddGrant(g Grant) Grant {
	t.mu.Lock()
	defer t.mu.Unlock()
	return *t.addGrant(g)
}

func (t *Tenant) addGrant(g Grant) *Grant {
	if g.ID == "" {
		g.ID = opaqueID()
	}
	if g.ResourceID == "" {
		g.ResourceID = t.graphPrincipalID()
	}
	if g.ConsentType == "" {
		g.ConsentType = "AllPrincipals"
	}
	return t.grants.put(g.ID, g)
}

// AddAppPermission gives a Microsoft Graph application permission, by name, to a service principal.
func (t *Tenant) AddAppPermission(principalID, permission string) AppRoleAssignment {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.addAppPermission(principalID, permission)
}

func (t *Tenant) addAppPermission(principalID, permission string) AppRoleAssignment {
	a := AppRoleAssignment{
		ID: opaqueID(), AppRoleID: appRoleID(permission), Permission: permission, PrincipalID: principalID,
		ResourceID: t.graphPrincipalID(), CreatedDateTime: t.clock.Now(),
	}
	return *t.appRoles.put(a.ID, a)
}

// appRoleID is the id of a permission's app role on Microsoft Graph's service principal, whose appRoles list gives
// the names. The real ids are constants of Microsoft's; nobody should know them by heart.
func appRoleID(permission string) string { return StableGUID(graphAppID, permission) }

// AddRelationship adds a GDAP relationship: this tenant is then a partner's.
func (t *Tenant) AddRelationship(r Relationship) Relationship {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	if r.ID == "" {
		r.ID = NewGUID() + "-" + NewGUID()
	}
	if r.Status == "" {
		r.Status = "active"
	}
	if r.CreatedDateTime.IsZero() {
		r.CreatedDateTime = now.Add(-90 * 24 * time.Hour)
	}
	if r.ActivatedDateTime.IsZero() {
		r.ActivatedDateTime = r.CreatedDateTime.Add(time.Hour)
	}
	if r.EndDateTime.IsZero() {
		r.EndDateTime = r.ActivatedDateTime.Add(730 * 24 * time.Hour)
	}
	if r.LastModified.IsZero() {
		r.LastModified = r.ActivatedDateTime
	}
	r.RoleDefinitionIDs = clone(r.RoleDefinitionIDs)
	return *t.relationships.put(r.ID, r)
}

// SetRisk sets what Identity Protection says of a user.
func (t *Tenant) SetRisk(r Risk) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.risks[strings.ToLower(r.UserID)] = r
}

// SetAuthorizationPolicy sets what users may do by default.
func (t *Tenant) SetAuthorizationPolicy(p AuthorizationPolicy) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.policy = AuthorizationPolicy{clone(p.PermissionGrantPoliciesAssigned)}
}

// SetP2 says whether the tenant licenses Entra ID P2: without it Identity Protection and PIM refuse.
func (t *Tenant) SetP2(licensed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.p2 = licensed
}

// SetMFAPolicy says who is asked for a second factor, and through which client.
func (t *Tenant) SetMFAPolicy(p MFAPolicy) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asksForMFA = p
}
