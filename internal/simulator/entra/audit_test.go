package entra

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func toJSON(t *testing.T, v any) string {
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return string(raw)
}

// TestFootprints plays each change of the table over HTTP and compares the operations that it wrote.
func TestFootprints(t *testing.T) {
	w := newWorld(t)
	u := w.user("ann@contoso.example")
	w.user("ga@contoso.example", GlobalAdministrator)
	app := w.tenant.AddApplication(Application{AppID: NewGUID(), DisplayName: "Payroll",
		PasswordCredentials: []Credential{{KeyID: "k1", DisplayName: "old"}}})
	sp := w.tenant.AddServicePrincipal(ServicePrincipal{AppID: app.AppID, DisplayName: "Payroll", AccountEnabled: true,
		PasswordCredentials: []Credential{{KeyID: "k2", DisplayName: "new"}}, KeyCredentials: []Credential{{KeyID: "c1"}, {KeyID: "c2"}}})
	w.tenant.AddMethod(u.ID, Method{ID: "auth", Kind: MicrosoftAuthenticator, DisplayName: "Pixel"})
	w.tenant.AddMethod(u.ID, Method{ID: "key", Kind: FIDO2})
	grant := w.tenant.AddGrant(Grant{ClientID: sp.ID, Scope: "User.Read Mail.Read"})
	w.tenant.AddRoleAssignment(u.ID, UserAdministrator)
	assignment := w.tenant.AddRoleAssignment(u.ID, CloudApplicationAdministrator)
	rel := w.tenant.AddRelationship(Relationship{CustomerTenantID: NewGUID()})

	type step struct {
		change, method, path string
		body                 any
		target               string
	}
	const assignments = "/roleManagement/directory/roleAssignments"
	seen := map[string]bool{}
	for _, s := range []step{
		{"disable a user", "PATCH", "/users/" + u.ID, object{"accountEnabled": false}, u.ID},
		{"enable a user", "PATCH", "/users/" + u.ID, object{"accountEnabled": true}, u.ID},
		{"reset a password", "PATCH", "/users/" + u.ID, object{"passwordProfile": object{"password": "long enough"}}, u.ID},
		{"revoke sessions", "POST", "/users/" + u.ID + "/revokeSignInSessions", nil, u.ID},
		{"delete a phone or authenticator", "DELETE", "/users/" + u.ID + "/authentication/microsoftAuthenticatorMethods/auth", nil, u.ID},
		{"delete another method", "DELETE", "/users/" + u.ID + "/authentication/fido2Methods/key", nil, u.ID},
		{"add a phone", "POST", "/users/" + u.ID + "/authentication/phoneMethods", object{"phoneNumber": "+44 20", "phoneType": "mobile"}, u.ID},
		{"change a phone", "PATCH", "/users/" + u.ID + "/authentication/phoneMethods/" + MobilePhoneID, object{"phoneNumber": "+44 21"}, u.ID},
		{"delete a phone or authenticator", "DELETE", "/users/" + u.ID + "/authentication/phoneMethods/" + MobilePhoneID, nil, u.ID},
		{"give a role", "POST", assignments, object{"principalId": u.ID, "roleDefinitionId": GlobalAdministrator, "directoryScopeId": "/"}, u.ID},
		{"take a role", "DELETE", assignments + "/" + assignment.ID, nil, u.ID},
		{"take a role through PIM", "POST", "/roleManagement/directory/roleAssignmentScheduleRequests",
			object{"action": "adminRemove", "principalId": u.ID, "roleDefinitionId": GlobalAdministrator, "directoryScopeId": "/"}, u.ID},
		{"delete a grant, narrow one", "PATCH", "/oauth2PermissionGrants/" + grant.ID, object{"scope": "User.Read"}, sp.ID},
		{"add a grant, widen one", "PATCH", "/oauth2PermissionGrants/" + grant.ID, object{"scope": "User.Read Files.Read"}, sp.ID},
		{"delete a grant, narrow one", "DELETE", "/oauth2PermissionGrants/" + grant.ID, nil, sp.ID},
		{"add a grant, widen one", "POST", "/oauth2PermissionGrants", object{"clientId": sp.ID, "consentType": "AllPrincipals", "scope": "User.Read"}, sp.ID},
		{"disable or enable a service principal", "PATCH", "/servicePrincipals/" + sp.ID, object{"accountEnabled": false}, sp.ID},
		{"write a service principal's notes", "PATCH", "/servicePrincipals/" + sp.ID, object{"notes": "a note"}, sp.ID},
		{"remove a service principal's credential", "POST", "/servicePrincipals/" + sp.ID + "/removePassword", object{"keyId": "k2"}, sp.ID},
		{"remove a service principal's credential", "PATCH", "/servicePrincipals/" + sp.ID, object{"keyCredentials": []object{{"keyId": "c1"}}}, sp.ID},
		{"remove an application's credential", "POST", "/applications/" + app.ID + "/removePassword", object{"keyId": "k1"}, app.ID},
		{"confirm a user compromised", "POST", "/identityProtection/riskyUsers/confirmCompromised", object{"userIds": []string{u.ID}}, u.ID},
		{"dismiss a user's risk", "POST", "/identityProtection/riskyUsers/dismiss", object{"userIds": []string{u.ID}}, u.ID},
		{"restrict user consent", "PATCH", "/policies/authorizationPolicy", object{"defaultUserRolePermissions": object{
			"permissionGrantPoliciesAssigned": []string{"managePermissionGrantsForOwnedResource.x"}}}, "authorizationPolicy"},
		{"end GDAP", "POST", "/tenantRelationships/delegatedAdminRelationships/" + rel.ID + "/requests", object{"action": "terminate"}, ""},
	} {
		t.Run(s.method+" "+s.change, func(t *testing.T) {
			w.taken()
			status, body := w.call(s.method, s.path, s.body)
			require.Less(t, status, 300, body)
			i := slices.IndexFunc(Footprints(), func(f Footprint) bool { return f.Change == s.change })
			require.GreaterOrEqual(t, i, 0)
			seen[s.change] = true
			var wrote []string
			for _, l := range w.taken() {
				wrote = append(wrote, l.operation())
				checkEnvelope(t, w, l)
				assert.Contains(t, l.targets(), s.target)
			}
			assert.ElementsMatch(t, Footprints()[i].Operations, wrote)
		})
	}
	for _, f := range Footprints() {
		assert.True(t, seen[f.Change] || f.Change == "remove DAP", "%s is not played", f.Change)
	}
}

func checkEnvelope(t *testing.T, w *world, l logged) {
	p := l.properties()
	assert.Equal(t, "AuditLogs", l.category)
	assert.Equal(t, "AuditLogs", l.record["category"])
	assert.Equal(t, tenantID, l.record["tenantId"])
	assert.Equal(t, "/tenants/"+tenantID+"/providers/Microsoft.aadiam", l.record["resourceId"])
	assert.Equal(t, "None", l.record["resultSignature"])
	assert.Equal(t, l.operation(), p["activityDisplayName"])
	assert.Equal(t, "success", p["result"])
	assert.Equal(t, w.clock.Now(), l.at)
	at, err := time.Parse(auditTime, p["activityDateTime"].(string))
	require.NoError(t, err)
	assert.Equal(t, w.clock.Now(), at)
	assert.Contains(t, p["id"], "_"+l.record["correlationId"].(string)+"_")
	by := p["initiatedBy"].(map[string]any)["app"].(map[string]any)
	if by["displayName"] == "MS-PIM" {
		assert.Equal(t, "Remove member from role", l.operation())
		return
	}
	assert.Equal(t, appID, by["appId"])
	assert.Equal(t, spID, by["servicePrincipalId"])
}

// TestRecordsSayWhatChanged looks at the values inside, which are JSON text in strings.
func TestRecordsSayWhatChanged(t *testing.T) {
	w := newWorld(t)
	u := w.user("ann@contoso.example")
	other := w.user("ga@contoso.example", GlobalAdministrator)
	sp := w.tenant.AddServicePrincipal(ServicePrincipal{AppID: NewGUID(), DisplayName: "Backup", AccountEnabled: true,
		PasswordCredentials: []Credential{{KeyID: "old-key", DisplayName: "2021"}}})
	byName := func() map[string]logged {
		out := map[string]logged{}
		for _, l := range w.taken() {
			out[l.operation()] = l
		}
		return out
	}

	_, _ = w.call("PATCH", "/users/"+u.ID, object{"accountEnabled": false})
	update := byName()["Update user"]
	assert.Equal(t, []any{true}, update.modified(t, "AccountEnabled", "oldValue"))
	assert.Equal(t, []any{false}, update.modified(t, "AccountEnabled", "newValue"))
	_, _ = w.call("PATCH", "/users/"+u.ID, object{"accountEnabled": true})
	byName()

	_, _ = w.call("POST", "/roleManagement/directory/roleAssignments",
		object{"principalId": u.ID, "roleDefinitionId": GlobalAdministrator, "directoryScopeId": "/"})
	role := byName()["Add member to role"]
	assert.Equal(t, "Global Administrator", role.modified(t, "Role.DisplayName", "newValue"))
	assert.Equal(t, GlobalAdministrator, role.modified(t, "Role.TemplateId", "newValue"))
	assert.Equal(t, "TenantAdmins", role.modified(t, "Role.WellKnownObjectName", "newValue"))
	assert.NotEqual(t, GlobalAdministrator, role.modified(t, "Role.ObjectID", "newValue"))

	s, err := w.tenant.SignIn(SignIn{UserPrincipalName: other.UserPrincipalName, Password: "correct horse", IP: "198.51.100.23",
		UserAgent: "curl/8", ClientApp: "Other clients", Interactive: true})
	require.NoError(t, err)
	_, _, err = s.ConsentForEveryone("app-of-others", "Mail Helper", "Mail.Read", "offline_access")
	require.NoError(t, err)
	records := byName()
	consent := records["Consent to application"]
	assert.Equal(t, "True", consent.modified(t, "ConsentContext.IsAdminConsent", "newValue"))
	text := consent.modified(t, "ConsentAction.Permissions", "newValue").(string)
	assert.Contains(t, text, "[] => [[Id: ")
	assert.Contains(t, text, "ConsentType: AllPrincipals, Scope: Mail.Read offline_access, CreatedDateTime: , ExpirationDateTime ]]; ")
	assert.Contains(t, records, "Add service principal")
	assert.Equal(t, "Mail.Read offline_access", records["Add delegated permission grant"].modified(t, "DelegatedPermissionGrant.Scope", "newValue"))
	by := consent.properties()["initiatedBy"].(map[string]any)["user"].(map[string]any)
	assert.Equal(t, other.ID, by["id"])
	assert.Equal(t, "198.51.100.23", by["ipAddress"])
	assert.Contains(t, toJSON(t, consent.properties()["additionalDetails"]), "curl/8")

	k, err := s.AddServicePrincipalCredential(sp.ID, "sync")
	require.NoError(t, err)
	keys := byName()["Add service principal credentials"]
	assert.Equal(t, []any{"[KeyIdentifier=old-key,KeyType=Password,KeyUsage=Verify,DisplayName=2021]"}, keys.modified(t, "KeyDescription", "oldValue"))
	assert.Contains(t, keys.modified(t, "KeyDescription", "newValue"), "[KeyIdentifier="+k.KeyID+",KeyType=Password,KeyUsage=Verify,DisplayName=sync]")
	assert.NotContains(t, string(keys.raw), k.Secret)

	_, err = s.RegisterAuthenticator("Pixel 9")
	require.NoError(t, err)
	registered := byName()["User registered security info"]
	assert.Equal(t, "User registered Authenticator App with Notification and Code", registered.properties()["resultReason"])
	assert.Equal(t, "Authentication Methods", registered.properties()["loggedByService"])

	require.NoError(t, w.tenant.PartnerRemoved("partner-id", "Fabrikam"))
	assert.Contains(t, byName(), "Remove partner from company")
}

func TestLevelsVary(t *testing.T) {
	w := newWorld(t)
	u := w.user("ann@contoso.example")
	var levels []any
	for range 3 {
		_, _ = w.call("POST", "/users/"+u.ID+"/revokeSignInSessions", nil)
	}
	for _, l := range w.taken() {
		levels = append(levels, l.record["Level"])
	}
	assert.ElementsMatch(t, []any{float64(4), "4", "Informational"}, levels)
}

// TestThePackageComment keeps the table in doc.go true.
func TestThePackageComment(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	for _, f := range Footprints() {
		var names []string
		for _, name := range f.Operations {
			names = append(names, strings.TrimSpace(name))
		}
		what := strings.Join(names, "; ")
		if what == "" {
			what = "nothing in AuditLogs"
		}
		line := regexp.MustCompile(`(?m)^//\t` + regexp.QuoteMeta(f.Change) + ` +` + regexp.QuoteMeta(what))
		assert.Regexp(t, line, string(doc))
	}
}

func TestTheEnDashAndTheBlankAreMicrosofts(t *testing.T) {
	name := updateApplicationSecrets().name
	assert.True(t, strings.Contains(name, "\u2013") && strings.HasSuffix(name, " "))
}

func TestWhatChangesNothingWritesNothing(t *testing.T) {
	w := newWorld(t)
	u := w.user("ann@contoso.example")
	for range 2 {
		status, _ := w.call("PATCH", "/users/"+u.ID, object{"accountEnabled": false})
		require.Equal(t, 204, status)
	}
	assert.Len(t, w.taken(), 2, "one Disable account, one Update user")
	assert.Len(t, w.tenant.Calls(), 2, "but both calls count")
}
