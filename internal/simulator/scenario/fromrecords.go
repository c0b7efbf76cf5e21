package scenario

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"cordon/internal/clock"
	"cordon/internal/simulator/entra"
)

// FromRecords makes the world that a log file tells of: a tenant for each that is named, and in it the users, service
// principals, applications, roles, credentials, methods and grants that the records name or add. What they take away
// again stays, so that there is something to act on. What a file does not say is filled in so that Cordon can work:
// accounts are enabled, and every tenant has Cordon's application and an emergency administrator. The records are JSON
// objects in the envelope of Azure Monitor.
func FromRecords(c clock.Clock, emit func(tenant *entra.Tenant, category string, record []byte, at time.Time), records []map[string]any) (*World, error) {
	w := &World{clock: c, sessions: map[string]*entra.Session{}}
	readers := map[string]*reader{}
	counts := map[string]int{}
	for _, raw := range records {
		record := fields(raw)
		id := tenantOf(record)
		if id == "" {
			continue
		}
		r, ok := readers[id]
		if !ok {
			r = &reader{tenant: w.tenant(id, id, emit), users: map[string]bool{}}
			readers[id] = r
			w.addCordon(r.tenant, r.tenant.ID())
			r.emergency()
		}
		counts[id]++
		r.read(record)
	}
	if len(w.Tenants) == 0 {
		return nil, errors.New("reading records: none of them names a tenant")
	}
	for _, r := range readers {
		for _, g := range r.later {
			r.addGrant(g)
		}
	}
	w.Customer = slices.MaxFunc(w.Tenants, func(a, b *entra.Tenant) int { return counts[a.ID()] - counts[b.ID()] })
	return w, nil
}

// reader fills one tenant.
type reader struct {
	tenant *entra.Tenant
	users  map[string]bool
	later  []entra.Grant // from records that do not say the grant's id: a consent beside them does
}

func (r *reader) emergency() {
	u := r.tenant.AddUser(entra.User{ID: entra.StableGUID(r.tenant.ID(), "emergency"), UserPrincipalName: "emergency@" + r.tenant.ID() + ".example",
		DisplayName: "Emergency administrator", AccountEnabled: true, Password: password("emergency")})
	r.tenant.AddRoleAssignment(u.ID, entra.GlobalAdministrator)
	r.users[u.ID] = true
}

func (r *reader) read(f fields) {
	if p := f.object("properties"); p != nil {
		r.signIn(p)
		r.initiator(p)
	}
	r.change(f)
}

func (r *reader) signIn(p fields) {
	if upn := p.text("userPrincipalName"); upn != "" || p.text("userId") != "" {
		r.user(p.text("userId"), upn, p.text("userDisplayName"), time.Time{})
	}
	if id := p.text("servicePrincipalId"); id != "" {
		r.principal(id, p.text("appId"), first(p.text("servicePrincipalName"), p.text("appDisplayName")))
	}
}

func (r *reader) initiator(p fields) {
	if u := p.object("initiatedBy", "user"); u != nil {
		r.user(u.text("id"), u.text("userPrincipalName"), u.text("displayName"), time.Time{})
	}
	if a := p.object("initiatedBy", "app"); a != nil {
		r.principal(a.text("servicePrincipalId"), a.text("appId"), a.text("displayName"))
	}
}

func first(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

// user adds a user once. Who is known by name alone gets an id made of it.
func (r *reader) user(id, upn, name string, created time.Time) string {
	if id == "" && upn == "" {
		return ""
	}
	if id == "" {
		if u, ok := r.tenant.User(upn); ok {
			return u.ID
		}
		id = entra.StableGUID(r.tenant.ID(), "user", upn)
	}
	key := strings.ToLower(id)
	if r.users[key] {
		r.complete(id, upn, name, created)
		return id
	}
	r.users[key] = true
	r.tenant.AddUser(entra.User{ID: id, UserPrincipalName: upn, DisplayName: first(name, upn), AccountEnabled: true,
		Password: password(id), CreatedDateTime: created})
	r.tenant.AddMethod(id, entra.Method{Kind: entra.Phone, PhoneType: "mobile", PhoneNumber: "+44 20 7946 0000"})
	return id
}

// complete takes from a later record what an earlier one left out.
func (r *reader) complete(id, upn, name string, created time.Time) {
	u, _ := r.tenant.User(id)
	before := u
	if u.UserPrincipalName == "" {
		u.UserPrincipalName, u.DisplayName = upn, first(name, upn)
	}
	if !created.IsZero() {
		u.CreatedDateTime, u.SignInSessionsValidFromDateTime, u.LastPasswordChangeDateTime = created, created, created
	}
	if u != before {
		r.tenant.AddUser(u)
	}
}

func (r *reader) principal(id, appID, name string) string {
	if id == "" && appID == "" && name == "" {
		return ""
	}
	id = first(id, entra.StableGUID(r.tenant.ID(), "servicePrincipal", first(appID, name)))
	if s, ok := r.tenant.ServicePrincipal(id); ok {
		return s.ID
	}
	if s, ok := r.tenant.ServicePrincipal(appID); ok && appID != "" {
		return s.ID
	}
	r.tenant.AddServicePrincipal(entra.ServicePrincipal{ID: id, AppID: first(appID, entra.StableGUID(r.tenant.ID(), "app", id)),
		DisplayName: first(name, id), AccountEnabled: true})
	return id
}

func (r *reader) application(id, name, appID string) string {
	if a, ok := r.tenant.Application(id); ok {
		return a.ID
	}
	appID = first(appID, entra.StableGUID(r.tenant.ID(), "app", id))
	r.tenant.AddApplication(entra.Application{ID: id, AppID: appID, DisplayName: first(name, id)})
	r.principal("", appID, name)
	return id
}

// change adds the targets of an audit record, and what the record says of them.
func (r *reader) change(f fields) {
	op, at := operation(f), timeOf(f)
	targets := f.list("properties", "targetResources")
	for _, t := range targets {
		id, name := t.text("id"), t.text("displayName")
		switch strings.ToLower(t.text("type")) {
		case "user":
			created := time.Time{}
			if op == "add user" {
				created = at
			}
			id = r.user(id, t.text("userPrincipalName"), name, created)
			r.roles(op, id, t, targets)
			r.method(op, id, f.text("properties", "resultReason"), at)
		case "serviceprincipal":
			appID, _, _ := strings.Cut(modified(t, "TargetId.ServicePrincipalNames", "newValue"), ";")
			id = r.principal(id, appID, name)
			r.roles(op, id, t, targets)
			r.principalKeys(id, t, at)
			r.grant(op, id, t)
		case "application":
			if id != "" {
				r.applicationKeys(r.application(id, name, modified(t, "AppId", "newValue")), t, at)
			}
		}
		if assigned, ok := modifiedList(t, "PermissionGrantPolicyIdsAssignedToDefaultUserRole", "newValue"); ok {
			r.tenant.SetAuthorizationPolicy(entra.AuthorizationPolicy{PermissionGrantPoliciesAssigned: assigned})
		}
	}
}

// roles gives the role that a record gives. Requests are not yet roles.
func (r *reader) roles(op, principalID string, t fields, all []fields) {
	if principalID == "" || !strings.HasPrefix(op, "add ") || !strings.Contains(op, "member to role") || strings.Contains(op, "requested") {
		return
	}
	names := []string{modified(t, "Role.TemplateId", "newValue"), modified(t, "Role.DisplayName", "newValue"),
		modified(t, "Role.ObjectID", "newValue")}
	for _, other := range all {
		if strings.EqualFold(other.text("type"), "Role") {
			names = append(names, other.text("displayName"), other.text("id"))
		}
	}
	for _, name := range names {
		role, ok := entra.RoleByName(name)
		if !ok {
			continue
		}
		held, add := r.tenant.RoleAssignments(principalID), r.tenant.AddRoleAssignment
		if strings.Contains(op, "eligible") {
			held, add = r.tenant.EligibleRoles(principalID), r.tenant.AddEligibleRole
		}
		if !slices.ContainsFunc(held, func(a entra.RoleAssignment) bool { return a.RoleDefinitionID == role.TemplateID }) {
			add(principalID, role.TemplateID)
		}
		return
	}
}

func (r *reader) method(op, userID, reason string, at time.Time) {
	if userID == "" || op != "user registered security info" && op != "admin registered security info" {
		return
	}
	m := entra.Method{Kind: entra.MicrosoftAuthenticator, DisplayName: "registered device", CreatedDateTime: at}
	switch reason = strings.ToLower(reason); {
	case strings.Contains(reason, "phone"), strings.Contains(reason, "sms"):
		m = entra.Method{Kind: entra.Phone, PhoneType: "alternateMobile", PhoneNumber: "+44 20 7946 0001"}
	case strings.Contains(reason, "temporary access pass"):
		m.Kind = entra.TemporaryAccessPass
	case strings.Contains(reason, "fido"), strings.Contains(reason, "passkey"):
		m.Kind = entra.FIDO2
	}
	r.tenant.AddMethod(userID, m)
}

var keyText = regexp.MustCompile(`KeyIdentifier=([^,\]]+),KeyType=(\w+)(?:[^\]]*?DisplayName=([^\]]*))?`)

// newKeys are the credentials that a record lists among its new values.
func newKeys(t fields, at time.Time) (passwords, certificates []entra.Credential) {
	for _, name := range []string{"KeyDescription", "Credential"} {
		list, _ := modifiedList(t, name, "newValue")
		for _, text := range list {
			m := keyText.FindStringSubmatch(text)
			if m == nil {
				continue
			}
			k := entra.Credential{KeyID: m[1], DisplayName: m[3], StartDateTime: at, EndDateTime: at.AddDate(2, 0, 0), Secret: password(m[1])}
			if m[2] == "Password" {
				passwords = append(passwords, k)
			} else {
				k.Secret = ""
				certificates = append(certificates, k)
			}
		}
	}
	return passwords, certificates
}

func (r *reader) principalKeys(id string, t fields, at time.Time) {
	s, ok := r.tenant.ServicePrincipal(id)
	passwords, certificates := newKeys(t, at)
	if !ok || len(passwords)+len(certificates) == 0 {
		return
	}
	s.PasswordCredentials, s.KeyCredentials = keep(s.PasswordCredentials, passwords), keep(s.KeyCredentials, certificates)
	r.tenant.AddServicePrincipal(s)
}

func (r *reader) applicationKeys(id string, t fields, at time.Time) {
	a, ok := r.tenant.Application(id)
	passwords, certificates := newKeys(t, at)
	if !ok || len(passwords)+len(certificates) == 0 {
		return
	}
	a.PasswordCredentials, a.KeyCredentials = keep(a.PasswordCredentials, passwords), keep(a.KeyCredentials, certificates)
	r.tenant.AddApplication(a)
}

// keep takes the new list over the old one: a credential that was known already keeps its first date.
func keep(old, now []entra.Credential) []entra.Credential {
	for i, k := range now {
		for _, known := range old {
			if strings.EqualFold(known.KeyID, k.KeyID) {
				now[i] = known
			}
		}
	}
	return now
}

var grantText = regexp.MustCompile(`Id: ([^,\]]*), ClientId: [^,\]]*, PrincipalId: ([^,\]]*), ResourceId: [^,\]]*, ConsentType: (\w+), Scope: ([^,\]]*)`)

// grant adds the grants of a consent, or of the grant's own record where the file has no consent.
func (r *reader) grant(op, id string, t fields) {
	switch op {
	case "consent to application":
		text := modified(t, "ConsentAction.Permissions", "newValue")
		if _, after, ok := strings.Cut(text, "=>"); ok {
			text = after
		}
		for _, m := range grantText.FindAllStringSubmatch(text, -1) {
			r.addGrant(entra.Grant{ID: m[1], ClientID: id, PrincipalID: m[2], ConsentType: m[3], Scope: strings.TrimSpace(m[4])})
		}
	case "add delegated permission grant", "add oauth2permissiongrant":
		client := modified(t, "ServicePrincipal.ObjectID", "newValue")
		scope := modified(t, "DelegatedPermissionGrant.Scope", "newValue")
		if client == "" || scope == "" {
			return
		}
		r.principal(client, modified(t, "ServicePrincipal.AppId", "newValue"), modified(t, "ServicePrincipal.DisplayName", "newValue"))
		r.later = append(r.later, entra.Grant{ClientID: client, ResourceID: id, Scope: strings.TrimSpace(scope),
			ConsentType: modified(t, "DelegatedPermissionGrant.ConsentType", "newValue")})
	}
}

func (r *reader) addGrant(g entra.Grant) {
	for _, known := range r.tenant.Grants(g.ClientID) {
		if known.Scope == g.Scope && (known.PrincipalID == g.PrincipalID || g.PrincipalID == "") {
			return
		}
	}
	r.tenant.AddGrant(g)
}
