package entra

import (
	"fmt"
	"slices"
	"strings"
)

func (c *change) setPrincipalEnabled(s *ServicePrincipal, enabled bool) {
	if s.AccountEnabled == enabled {
		return
	}
	old := s.AccountEnabled
	s.AccountEnabled = enabled
	c.audit(updateServicePrincipal(), "", servicePrincipalTarget(s,
		modified{"AccountEnabled", []bool{old}, []bool{enabled}},
		included("AccountEnabled"),
		modified{"TargetId.ServicePrincipalNames", nil, s.AppID}))
}

// maxNotes is Graph's limit: the reference of servicePrincipal says 1,024 characters.
const maxNotes = 1024

// setPrincipalNotes writes a free text. How Entra calls it in the record is taken from how it calls other properties,
// and is unconfirmed.
func (c *change) setPrincipalNotes(s *ServicePrincipal, notes string) error {
	if len([]rune(notes)) > maxNotes {
		return Refused{400, "Request_BadRequest", "The value of property 'notes' is longer than 1024 characters."}
	}
	if s.Notes == notes {
		return nil
	}
	old := s.Notes
	s.Notes = notes
	c.audit(updateServicePrincipal(), "", servicePrincipalTarget(s,
		modified{"Notes", []string{old}, []string{notes}},
		included("Notes"),
		modified{"TargetId.ServicePrincipalNames", nil, s.AppID}))
	return nil
}

// keyDescription lists credentials as Entra's records do: a JSON array of one text a credential.
func keyDescription(passwords, keys []Credential) []string {
	out := []string{}
	for _, k := range passwords {
		out = append(out, fmt.Sprintf("[KeyIdentifier=%s,KeyType=Password,KeyUsage=Verify,DisplayName=%s]", k.KeyID, k.DisplayName))
	}
	for _, k := range keys {
		out = append(out, fmt.Sprintf("[KeyIdentifier=%s,KeyType=AsymmetricX509Cert,KeyUsage=Verify,DisplayName=%s]", k.KeyID, k.DisplayName))
	}
	return out
}

func (c *change) principalKeys(s *ServicePrincipal, a activity, set func()) {
	old := keyDescription(s.PasswordCredentials, s.KeyCredentials)
	set()
	c.audit(a, "", servicePrincipalTarget(s,
		modified{"KeyDescription", old, keyDescription(s.PasswordCredentials, s.KeyCredentials)},
		included("KeyDescription"),
		modified{"TargetId.ServicePrincipalNames", nil, s.AppID}))
}

func (c *change) applicationKeys(a *Application, set func()) {
	old := keyDescription(a.PasswordCredentials, a.KeyCredentials)
	set()
	c.audit(updateApplicationSecrets(), "", applicationTarget(a,
		modified{"KeyDescription", old, keyDescription(a.PasswordCredentials, a.KeyCredentials)},
		included("KeyDescription")))
}

func (c *change) addPrincipalPassword(s *ServicePrincipal, name string) Credential {
	k := Credential{KeyID: NewGUID(), DisplayName: name, StartDateTime: c.by.at, EndDateTime: c.by.at.AddDate(2, 0, 0),
		Secret: opaqueID()}
	c.principalKeys(s, addPrincipalCredentials(), func() { s.PasswordCredentials = append(clone(s.PasswordCredentials), k) })
	return k
}

func (c *change) removePrincipalPassword(s *ServicePrincipal, keyID string) error {
	rest, ok := without(s.PasswordCredentials, keyID)
	if !ok {
		return noCredential(keyID)
	}
	c.principalKeys(s, removePrincipalCredentials(), func() { s.PasswordCredentials = rest })
	return nil
}

func (c *change) removeApplicationPassword(a *Application, keyID string) error {
	rest, ok := without(a.PasswordCredentials, keyID)
	if !ok {
		return noCredential(keyID)
	}
	c.applicationKeys(a, func() { a.PasswordCredentials = rest })
	return nil
}

func without(list []Credential, keyID string) ([]Credential, bool) {
	i := slices.IndexFunc(list, func(k Credential) bool { return strings.EqualFold(k.KeyID, keyID) })
	if i < 0 {
		return nil, false
	}
	return slices.Delete(slices.Clone(list), i, i+1), true
}

func noCredential(keyID string) error {
	return Refused{400, "Request_BadRequest", "No password credential found with keyId " + keyID + "."}
}

// setKeys replaces certificates by survivors. It adds none: a new certificate needs its bytes, which nobody sends here.
func setKeys(current []Credential, survivors []string) ([]Credential, error) {
	for _, id := range survivors {
		if _, ok := without(current, id); !ok {
			return nil, Refused{400, "Request_BadRequest", "The key credential " + id + " has no key value."}
		}
	}
	return slices.DeleteFunc(slices.Clone(current), func(k Credential) bool {
		return !slices.ContainsFunc(survivors, func(id string) bool { return strings.EqualFold(id, k.KeyID) })
	}), nil
}

func (c *change) setPrincipalKeys(s *ServicePrincipal, survivors []string) error {
	rest, err := setKeys(s.KeyCredentials, survivors)
	if err != nil || len(rest) == len(s.KeyCredentials) {
		return err
	}
	c.principalKeys(s, removePrincipalCredentials(), func() { s.KeyCredentials = rest })
	return nil
}

func (c *change) setApplicationKeys(a *Application, survivors []string) error {
	rest, err := setKeys(a.KeyCredentials, survivors)
	if err != nil || len(rest) == len(a.KeyCredentials) {
		return err
	}
	c.applicationKeys(a, func() { a.KeyCredentials = rest })
	return nil
}

// ensurePrincipal creates the service principal of a foreign application where it is absent.
func (c *change) ensurePrincipal(appID, displayName string) *ServicePrincipal {
	if s := c.t.servicePrincipal(appID); s != nil {
		return s
	}
	owner := NewGUID()
	if f, ok := c.t.foreign[strings.ToLower(appID)]; ok && f.OwnerTenantID != "" {
		owner = f.OwnerTenantID
	}
	s := c.t.addServicePrincipal(ServicePrincipal{
		AppID: appID, DisplayName: displayName, AccountEnabled: true, CreatedDateTime: c.by.at, AppOwnerOrganizationID: owner,
	})
	c.audit(addServicePrincipal(), "", servicePrincipalTarget(s,
		modified{"AccountEnabled", []bool{}, []bool{true}},
		modified{"AppPrincipalId", []string{}, []string{appID}},
		modified{"DisplayName", []string{}, []string{displayName}},
		modified{"ServicePrincipalName", []string{}, []string{appID}},
		included("AccountEnabled, AppPrincipalId, DisplayName, ServicePrincipalName"),
		modified{"TargetId.ServicePrincipalNames", nil, appID}))
	return s
}

// grantTargets describes a grant: the record is about the resource, and names the client beside it.
func (c *change) grantTargets(g Grant, oldScope, newScope any) []target {
	client, resource := c.t.principals.get(g.ClientID), c.t.principals.get(g.ResourceID)
	if client == nil {
		client = &ServicePrincipal{ID: g.ClientID}
	}
	if resource == nil {
		resource = &ServicePrincipal{ID: g.ResourceID}
	}
	value := func(v string) modified {
		if newScope == nil {
			return modified{old: v}
		}
		return modified{new: v}
	}
	named := func(name, v string) modified { m := value(v); m.name = name; return m }
	targets := []target{
		servicePrincipalTarget(resource,
			modified{"DelegatedPermissionGrant.Scope", oldScope, newScope},
			named("DelegatedPermissionGrant.ConsentType", g.ConsentType),
			named("ServicePrincipal.ObjectID", client.ID),
			named("ServicePrincipal.DisplayName", client.DisplayName),
			named("ServicePrincipal.AppId", client.AppID),
			named("ServicePrincipal.Name", client.AppID),
			modified{"TargetId.ServicePrincipalNames", nil, resource.AppID}),
		servicePrincipalTarget(client),
	}
	if u := c.t.users.get(g.PrincipalID); u != nil {
		targets = append(targets, userTarget(u))
	}
	return targets
}

func (c *change) createGrant(g Grant) (*Grant, error) {
	if c.t.principals.get(g.ClientID) == nil {
		return nil, notFound(g.ClientID)
	}
	if g.ResourceID != "" && c.t.principals.get(g.ResourceID) == nil {
		return nil, notFound(g.ResourceID)
	}
	made := c.t.addGrant(g)
	c.audit(addDelegatedGrant(), "", c.grantTargets(*made, nil, made.Scope)...)
	return made, nil
}

func (c *change) removeGrant(g Grant) {
	c.t.grants.remove(g.ID)
	c.audit(removeDelegatedGrant(), "", c.grantTargets(g, g.Scope, nil)...)
}

// setScope writes what was added and what was removed, as two records when it was both.
func (c *change) setScope(g *Grant, scope string) {
	old := *g
	g.Scope = scope
	if lacks(g.Scopes(), old.Scopes()) {
		c.audit(addDelegatedGrant(), "", c.grantTargets(*g, old.Scope, g.Scope)...)
	}
	if lacks(old.Scopes(), g.Scopes()) {
		c.audit(removeDelegatedGrant(), "", c.grantTargets(*g, old.Scope, g.Scope)...)
	}
}

// lacks says whether some of these is not among those.
func lacks(these, those []string) bool {
	return slices.ContainsFunc(these, func(s string) bool { return !slices.Contains(those, s) })
}

// consent writes the three records of a consent: the principal if it is new, the grant, the consent itself.
func (c *change) consent(appID, displayName string, scopes []string) (*ServicePrincipal, *Grant, error) {
	s := c.ensurePrincipal(appID, displayName)
	g, err := c.createGrant(Grant{ClientID: s.ID, ConsentType: "AllPrincipals", Scope: strings.Join(scopes, " ")})
	if err != nil {
		return nil, nil, err
	}
	permissions := fmt.Sprintf("[] => [[Id: %s, ClientId: %s, PrincipalId: , ResourceId: %s, ConsentType: %s, Scope: %s, CreatedDateTime: , ExpirationDateTime ]]; ",
		g.ID, g.ClientID, g.ResourceID, g.ConsentType, g.Scope)
	c.audit(consentToApplication(), "", servicePrincipalTarget(s,
		modified{"ConsentContext.IsAdminConsent", nil, "True"},
		modified{"ConsentContext.IsAppOnly", nil, "False"},
		modified{"ConsentContext.OnBehalfOfAll", nil, "True"},
		modified{"ConsentContext.Tags", nil, "WindowsAzureActiveDirectoryIntegratedApp"},
		modified{"ConsentAction.Permissions", nil, permissions},
		modified{"TargetId.ServicePrincipalNames", nil, appID}))
	return s, g, nil
}

func (c *change) setConsentPolicies(assigned []string) {
	old := c.t.policy.PermissionGrantPoliciesAssigned
	if slices.Equal(old, assigned) {
		return
	}
	c.t.policy.PermissionGrantPoliciesAssigned = clone(assigned)
	c.audit(updateAuthorizationPolicy(), "", target{
		id: "authorizationPolicy", name: "Authorization Policy", kind: "Policy", modified: []modified{
			{"PermissionGrantPolicyIdsAssignedToDefaultUserRole", clone(old), clone(assigned)},
			included("PermissionGrantPolicyIdsAssignedToDefaultUserRole"),
		}})
}

// PartnerRemoved writes what Entra writes in a customer's directory when a partner's delegated administration ends.
func (t *Tenant) PartnerRemoved(partnerTenantID, partnerName string) error {
	const appID = "fa3d9a0c-3fb0-42cc-9193-47c7ecd2edbd"
	by := cause{app: App{AppID: appID, DisplayName: "Microsoft Partner Center",
		ServicePrincipalID: StableGUID(t.id, "servicePrincipal", appID)}}
	return t.change(by, func(c *change) error {
		c.audit(removePartner(), "", target{id: partnerTenantID, name: partnerName, kind: "Other", modified: []modified{
			{"PartnerTenantId", partnerTenantID, nil}, included("PartnerTenantId"),
		}})
		return nil
	})
}
