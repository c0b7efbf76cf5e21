package entra

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func refusal(t *testing.T, err error) string {
	t.Helper()
	var r Refused
	require.True(t, errors.As(err, &r), "%v", err)
	return r.Code
}

func attemptBy(u User) SignIn {
	return SignIn{UserPrincipalName: u.UserPrincipalName, Password: "correct horse", IP: "192.0.2.10", Country: "GB", City: "London",
		UserAgent: "Mozilla/5.0", AppID: "app", AppDisplayName: "Portal", ClientApp: "Browser", MFA: true, Interactive: true}
}

func TestSignInsAndTheirRecords(t *testing.T) {
	w := newWorld(t)
	u := w.user("ann@contoso.example")
	off := w.tenant.AddUser(User{UserPrincipalName: "off@contoso.example", Password: "correct horse"})
	for _, c := range []struct {
		name        string
		change      func(*SignIn)
		code        float64
		requirement string
		steps       int
		category    string
	}{
		{"success with a second factor", func(*SignIn) {}, 0, "multiFactorAuthentication", 2, "SignInLogs"},
		{"non-interactive", func(s *SignIn) { s.Interactive = false }, 0, "multiFactorAuthentication", 2, "NonInteractiveUserSignInLogs"},
		{"wrong password", func(s *SignIn) { s.Password = "x" }, 50126, "singleFactorAuthentication", 1, "SignInLogs"},
		{"no second factor", func(s *SignIn) { s.MFA = false }, 50076, "multiFactorAuthentication", 2, "SignInLogs"},
		{"a client that is not covered", func(s *SignIn) { s.MFA, s.Protocol = false, "ropc" }, 0, "singleFactorAuthentication", 1, "SignInLogs"},
		{"an old client", func(s *SignIn) { s.MFA, s.ClientApp = false, "Authenticated SMTP" }, 0, "singleFactorAuthentication", 1, "SignInLogs"},
		{"sparse", func(s *SignIn) { s.Sparse, s.Protocol = true, "ropc" }, 0, "singleFactorAuthentication", 0, "SignInLogs"},
		{"unknown", func(s *SignIn) { s.UserPrincipalName = "who@contoso.example" }, 50034, "singleFactorAuthentication", 0, "SignInLogs"},
		{"disabled", func(s *SignIn) { s.UserPrincipalName = off.UserPrincipalName }, 50057, "singleFactorAuthentication", 0, "SignInLogs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := attemptBy(u)
			s.At = w.clock.Now().Add(-time.Hour)
			c.change(&s)
			session, err := w.tenant.SignIn(s)
			logs := w.taken()
			require.Len(t, logs, 1)
			l, p := logs[0], logs[0].properties()
			assert.Equal(t, c.category, l.category)
			assert.Equal(t, s.At, l.at)
			assert.Equal(t, c.code, p["status"].(map[string]any)["errorCode"])
			assert.IsType(t, "", l.record["resultType"])
			assert.Equal(t, c.requirement, p["authenticationRequirement"])
			assert.Len(t, p["authenticationDetails"], c.steps)
			assert.Equal(t, s.UserPrincipalName, p["userPrincipalName"])
			if c.code != 0 {
				assert.Nil(t, session)
				assert.Equal(t, l.record["resultType"], refusal(t, err))
				return
			}
			require.NoError(t, err)
			assert.Equal(t, session.RecordID, p["id"])
			assert.Equal(t, session.ID, p["sessionId"])
		})
	}
}

func TestAFullerRevisionFollows(t *testing.T) {
	w := newWorld(t)
	s := attemptBy(w.user("ann@contoso.example"))
	s.Protocol, s.Sparse = "ropc", true
	session, err := w.tenant.SignIn(s)
	require.NoError(t, err)
	first := w.taken()[0]
	later := w.clock.Now().Add(4 * time.Minute)
	require.NoError(t, w.tenant.Reemit(session.RecordID, later))
	again := w.taken()[0]
	assert.Equal(t, later, again.at)
	assert.Equal(t, first.properties()["id"], again.properties()["id"])
	assert.Equal(t, first.properties()["createdDateTime"], again.properties()["createdDateTime"])
	assert.NotEqual(t, first.record["time"], again.record["time"])
	assert.Empty(t, first.properties()["authenticationDetails"])
	assert.Len(t, again.properties()["authenticationDetails"], 1)
	assert.Equal(t, "Request_ResourceNotFound", refusal(t, w.tenant.Reemit("unknown", time.Time{})))
}

func TestContainmentRefusesTheAttacker(t *testing.T) {
	w := newWorld(t)
	victim := w.user("avery@contoso.example", GlobalAdministrator)
	w.user("second@contoso.example", GlobalAdministrator)
	in := func() *Session {
		s, err := w.tenant.SignIn(attemptBy(victim))
		require.NoError(t, err)
		return s
	}
	old := in()
	w.clock.add(time.Second)
	_, _ = w.call("POST", "/users/"+victim.ID+"/revokeSignInSessions", nil)
	_, err := old.RegisterAuthenticator("his")
	assert.Equal(t, "50173", refusal(t, err), "a revoked session is over")
	w.clock.add(time.Second)
	fresh := in()
	require.NoError(t, fresh.ReadMail(), "revoking alone does not stop who knows the password")

	_, _ = w.call("PATCH", "/users/"+victim.ID, object{"accountEnabled": false})
	_, err = fresh.CreateUser("new@contoso.example", "new", "long enough")
	assert.Equal(t, "50057", refusal(t, err))
	_, err = w.tenant.SignIn(attemptBy(victim))
	assert.Equal(t, "50057", refusal(t, err))

	_, _ = w.call("PATCH", "/users/"+victim.ID, object{"accountEnabled": true, "passwordProfile": object{"password": "another one"}})
	_, err = w.tenant.SignIn(attemptBy(victim))
	assert.Equal(t, "50126", refusal(t, err), "the old password is known to him, and over")
}

func TestRolesLimitWhatASessionMayDo(t *testing.T) {
	w := newWorld(t)
	s, err := w.tenant.SignIn(attemptBy(w.user("ann@contoso.example")))
	require.NoError(t, err)
	_, err = s.AddRoleMember(s.UserID, GlobalAdministrator)
	assert.Equal(t, "Authorization_RequestDenied", refusal(t, err))
	_, _, err = s.ConsentForEveryone("a", "b", "Mail.Read")
	assert.Equal(t, "Authorization_RequestDenied", refusal(t, err))
	_, err = s.AddServicePrincipalCredential(spID, "x")
	assert.Equal(t, "Authorization_RequestDenied", refusal(t, err))
}

func TestApplicationsAreRefusedWhenContained(t *testing.T) {
	w := newWorld(t)
	admin, err := w.tenant.SignIn(attemptBy(w.user("ga@contoso.example", GlobalAdministrator)))
	require.NoError(t, err)
	reader := w.user("ann@contoso.example")

	backup := w.tenant.AddServicePrincipal(ServicePrincipal{AppID: NewGUID(), DisplayName: "Backup", AccountEnabled: true})
	w.tenant.AddAppPermission(backup.ID, "Directory.Read.All")
	k, err := admin.AddServicePrincipalCredential(backup.ID, "sync")
	require.NoError(t, err)
	app, err := w.tenant.AppSignIn(AppSignIn{AppID: backup.AppID, Secret: k.Secret, IP: "198.51.100.23"})
	require.NoError(t, err)
	require.NoError(t, app.ReadDirectory())
	status, _ := w.call("POST", "/servicePrincipals/"+backup.ID+"/removePassword", object{"keyId": k.KeyID})
	require.Equal(t, 204, status)
	_, err = w.tenant.AppSignIn(AppSignIn{AppID: backup.AppID, Secret: k.Secret})
	assert.Equal(t, "7000215", refusal(t, err))

	helper := ForeignApplication{AppID: NewGUID(), DisplayName: "Mail Helper", OwnerTenantID: NewGUID(), Secret: "his own"}
	w.tenant.AddForeignApplication(helper)
	_, err = w.tenant.AppSignIn(AppSignIn{AppID: helper.AppID, Secret: helper.Secret})
	assert.Equal(t, "700016", refusal(t, err), "nobody has consented yet")
	principal, grant, err := admin.ConsentForEveryone(helper.AppID, helper.DisplayName, "Mail.Read")
	require.NoError(t, err)
	mail, err := w.tenant.AppSignIn(AppSignIn{AppID: helper.AppID, Secret: helper.Secret})
	require.NoError(t, err)
	require.NoError(t, mail.ReadMail(reader.ID))
	_, _ = w.call("DELETE", "/oauth2PermissionGrants/"+grant, nil)
	assert.Equal(t, "ErrorAccessDenied", refusal(t, mail.ReadMail(reader.ID)))
	_, _ = w.call("PATCH", "/servicePrincipals/"+principal, object{"accountEnabled": false})
	assert.Equal(t, "7000112", refusal(t, mail.ReadMail(reader.ID)))
	_, err = w.tenant.AppSignIn(AppSignIn{AppID: helper.AppID, Secret: helper.Secret})
	assert.Equal(t, "7000112", refusal(t, err))
	got, ok := w.tenant.ServicePrincipal(principal)
	require.True(t, ok)
	assert.Equal(t, helper.OwnerTenantID, got.AppOwnerOrganizationID)
	assert.Empty(t, w.tenant.Grants(principal))
}

func TestTheLastGlobalAdministratorStays(t *testing.T) {
	w := newWorld(t)
	only := w.user("ga@contoso.example", GlobalAdministrator)
	status, body := w.call("DELETE", "/roleManagement/directory/roleAssignments/"+w.tenant.RoleAssignments(only.ID)[0].ID, nil)
	assert.Equal(t, 400, status, body)
	assert.Len(t, w.tenant.RoleAssignments(only.ID), 1)
}
