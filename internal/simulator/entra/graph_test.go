package entra

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestErrorsAreGraphs(t *testing.T) {
	w := newWorld(t)
	w.user("ann@contoso.example")
	w.graph.Allow("reader", w.tenant, App{AppID: "a", ServicePrincipalID: NewGUID(), Permissions: []string{"User.Read.All"}})
	stranger := NewTenant(NewGUID(), "Elsewhere", w.clock, nil)
	w.graph.Allow("stranger", stranger, App{AppID: "a", Permissions: []string{"User.Read.All"}})
	for _, c := range []struct {
		name, token, method, path string
		body                      any
		status                    int
		code                      string
	}{
		{"no token", "", "GET", "/users", nil, 401, "InvalidAuthenticationToken"},
		{"wrong token", "x", "GET", "/users", nil, 401, "InvalidAuthenticationToken"},
		{"a tenant not served", "stranger", "GET", "/users", nil, 401, "InvalidAuthenticationToken"},
		{"no permission", "reader", "PATCH", "/users/ann@contoso.example", object{"accountEnabled": false}, 403, "Authorization_RequestDenied"},
		{"no such user", token, "GET", "/users/nobody@contoso.example", nil, 404, "Request_ResourceNotFound"},
		{"no such grant", token, "DELETE", "/oauth2PermissionGrants/none", nil, 404, "Request_ResourceNotFound"},
		{"method only in beta", token, "PUT", "/users/ann@contoso.example", object{}, 405, "Request_BadRequest"},
		{"no such segment", token, "GET", "/nothing/here", nil, 400, "BadRequest"},
		{"unknown property", token, "PATCH", "/users/ann@contoso.example", object{"shoeSize": 44}, 400, "Request_BadRequest"},
		{"wrong type", token, "PATCH", "/users/ann@contoso.example", object{"accountEnabled": "no"}, 400, "Request_BadRequest"},
		{"short password", token, "PATCH", "/users/ann@contoso.example", object{"passwordProfile": object{"password": "x"}}, 400, "Request_BadRequest"},
		{"misspelt select", token, "GET", "/users?$select=acountEnabled", nil, 400, "BadRequest"},
		{"misspelt filter", token, "GET", "/servicePrincipals?$filter=apId eq 'x'", nil, 400, "BadRequest"},
		{"broken filter", token, "GET", "/users?$filter=displayName eq", nil, 400, "BadRequest"},
		{"page size", token, "GET", "/users?$top=0", nil, 400, "Request_BadRequest"},
		{"page token", token, "GET", "/users?$skiptoken=zzz", nil, 400, "Directory_ExpiredPageToken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, header, body := w.callAs(c.token, c.method, c.path, c.body)
			assert.Equal(t, c.status, status, body)
			assert.Equal(t, c.code, code(body))
			assert.NotEmpty(t, header.Get("request-id"))
			if c.status >= 400 {
				e := body["error"].(map[string]any)
				assert.NotEmpty(t, e["message"])
				assert.Contains(t, e["innerError"], "request-id")
			}
		})
	}
	assert.Empty(t, w.tenant.Calls(), "refused requests change nothing")
	assert.Empty(t, w.taken(), "and write no record")
	assert.NotEmpty(t, w.tenant.Refusals())
}

func TestRoleHierarchy(t *testing.T) {
	w := newWorld(t)
	w.graph.Allow("weak", w.tenant, App{AppID: "weak", ServicePrincipalID: NewGUID(), Permissions: everyPermission()})
	w.graph.Allow("users", w.tenant, App{AppID: "users", ServicePrincipalID: NewGUID(), Permissions: everyPermission(),
		Roles: []string{UserAdministrator}})
	admin := w.user("ga@contoso.example", GlobalAdministrator)
	helpdesk := w.user("help@contoso.example", "729827e3-9c14-49f7-bb1b-9608f156bbb8")
	plain := w.user("ann@contoso.example")
	for _, u := range []User{admin, helpdesk, plain} {
		w.tenant.AddMethod(u.ID, Method{ID: "m-" + u.ID, Kind: MicrosoftAuthenticator})
	}
	disable := func(token string, u User) int {
		status, _, body := w.callAs(token, "PATCH", "/users/"+u.ID, object{"accountEnabled": false})
		if status == 403 {
			assert.Equal(t, "Authorization_RequestDenied", code(body))
			got, _ := w.tenant.User(u.ID)
			assert.True(t, got.AccountEnabled)
		}
		return status
	}
	drop := func(token string, u User) int {
		status, _, _ := w.callAs(token, "DELETE", "/users/"+u.ID+"/authentication/microsoftAuthenticatorMethods/m-"+u.ID, nil)
		return status
	}
	assert.Equal(t, 403, disable("weak", admin))
	assert.Equal(t, 403, drop("weak", admin))
	assert.Equal(t, 403, disable("weak", helpdesk))
	assert.Equal(t, 403, disable("users", admin))
	assert.Equal(t, 403, drop("users", admin))
	assert.Equal(t, 204, disable("weak", plain))
	assert.Equal(t, 204, drop("weak", plain))
	assert.Equal(t, 204, disable("users", helpdesk))
	assert.Equal(t, 204, disable(token, admin))
	assert.Equal(t, 204, drop(token, admin))

	status, body := w.call("POST", "/users/"+admin.ID+"/revokeSignInSessions", nil)
	assert.Equal(t, 200, status)
	assert.Equal(t, true, body["value"])
}

func TestPagesSelectAndFilter(t *testing.T) {
	w := newWorld(t)
	want := map[string]bool{}
	for _, c := range "abcdefghijk" {
		want[w.user(string(c)+"@contoso.example").ID] = true
	}
	w.graph.SetPageSize(4)
	got := map[string]bool{}
	pages := 0
	for next := "/users?$select=id,accountEnabled&$count=true"; next != ""; pages++ {
		status, body := w.call("GET", next, nil)
		require.Equal(t, 200, status, body)
		assert.EqualValues(t, 11, body["@odata.count"])
		for _, v := range body["value"].([]any) {
			row := v.(map[string]any)
			assert.Len(t, row, 2)
			assert.Equal(t, true, row["accountEnabled"])
			got[row["id"].(string)] = true
		}
		next, _ = body["@odata.nextLink"].(string)
	}
	assert.Equal(t, want, got)
	assert.Equal(t, 3, pages)

	_, body := w.call("GET", "/users/a@contoso.example", nil)
	assert.NotContains(t, body, "accountEnabled", "not shown unless selected, as in Graph")

	_, body = w.call("GET", "/users?$filter=startswith(userPrincipalName,'b') or (displayName eq 'C' and userType ne 'Guest')&$select=displayName", nil)
	assert.Equal(t, []any{map[string]any{"displayName": "b"}, map[string]any{"displayName": "c"}}, body["value"])

	_, body = w.call("GET", "/roleManagement/directory/roleAssignments?$filter=principalId eq '"+spID+"'&$expand=roleDefinition", nil)
	rows := body["value"].([]any)
	require.Len(t, rows, 1)
	definition := rows[0].(map[string]any)["roleDefinition"].(map[string]any)
	assert.Equal(t, "Privileged Authentication Administrator", definition["displayName"])
}

func TestServicePrincipalsAreFoundByApplicationID(t *testing.T) {
	w := newWorld(t)
	status, body := w.call("GET", "/servicePrincipals(appId='"+appID+"')", nil)
	require.Equal(t, 200, status, body)
	assert.Equal(t, spID, body["id"])
	status, _ = w.call("GET", "/servicePrincipals/"+appID, nil)
	assert.Equal(t, 404, status, "the plain path takes object ids only")

	_, body = w.call("GET", "/servicePrincipals/"+spID+"/appRoleAssignments", nil)
	assert.Len(t, body["value"], len(everyPermission()))
	first := body["value"].([]any)[0].(map[string]any)
	_, graph := w.call("GET", "/servicePrincipals/"+first["resourceId"].(string), nil)
	names := map[any]any{}
	for _, r := range graph["appRoles"].([]any) {
		names[r.(map[string]any)["id"]] = r.(map[string]any)["value"]
	}
	assert.Equal(t, everyPermission()[0], names[first["appRoleId"]], "an assignment's id leads to the permission's name")
}

func TestCallsAreLoggedBeforeTheAnswer(t *testing.T) {
	w := newWorld(t)
	u := w.user("ann@contoso.example")
	var seen []Call
	w.tenant.OnCall(func(c Call) {
		got, _ := w.tenant.User(u.ID)
		assert.Equal(t, "a new password", got.Password, "the change is made before the hook runs")
		seen = append(seen, c)
	})
	status, _ := w.call("PATCH", "/users/"+u.ID, object{"passwordProfile": object{"password": "a new password", "forceChangePasswordNextSignIn": true}})
	require.Equal(t, 204, status)
	require.Len(t, seen, 1)
	assert.Equal(t, seen, w.tenant.Calls())
	assert.Equal(t, "PATCH", seen[0].Method)
	assert.Equal(t, "/v1.0/users/"+u.ID, seen[0].Path)
	assert.Equal(t, appID, seen[0].AppID)
	assert.Equal(t, w.clock.Now(), seen[0].Scenario)
	assert.NotContains(t, seen[0].Body, "a new password")
	assert.Contains(t, seen[0].Body, "(redacted)")
}

func TestAnAnswerCanBeLost(t *testing.T) {
	w := newWorld(t)
	u := w.user("ann@contoso.example")
	w.tenant.OnCall(func(Call) { panic(http.ErrAbortHandler) })
	req, err := http.NewRequest("PATCH", w.url+"/users/"+u.ID, strings.NewReader(`{"accountEnabled":false}`))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err == nil {
		_ = res.Body.Close()
	}
	require.Error(t, err)
	got, _ := w.tenant.User(u.ID)
	assert.False(t, got.AccountEnabled, "the change was made, its answer lost")
}

func TestFaultsAreInjected(t *testing.T) {
	w := newWorld(t)
	u := w.user("ann@contoso.example")
	w.graph.Fail(func(r *http.Request) (int, string, string, bool) {
		return 429, "TooManyRequests", "2.128", r.Method == "PATCH"
	})
	status, header, body := w.callAs(token, "PATCH", "/users/"+u.ID, object{"accountEnabled": false})
	assert.Equal(t, 429, status)
	assert.Equal(t, "2.128", header.Get("Retry-After"))
	assert.Equal(t, "TooManyRequests", code(body))
	got, _ := w.tenant.User(u.ID)
	assert.True(t, got.AccountEnabled)
	w.graph.Fail(nil)
	status, _ = w.call("PATCH", "/users/"+u.ID, object{"accountEnabled": false})
	assert.Equal(t, 204, status)
}

func TestBodiesAreBounded(t *testing.T) {
	w := newWorld(t)
	u := w.user("ann@contoso.example")
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	_, _ = zip.Write(bytes.Repeat([]byte(" "), 8<<20))
	require.NoError(t, zip.Close())
	for name, c := range map[string]struct {
		body     []byte
		encoding string
		status   int
	}{
		"a gzip bomb":   {bomb.Bytes(), "gzip", 413},
		"plain, large":  {bytes.Repeat([]byte(" "), 2<<20), "", 400},
		"no gzip":       {[]byte("{}"), "gzip", 400},
		"binary noise":  {[]byte{0, 1, 2, 255}, "", 400},
		"a JSON string": {[]byte(`"x"`), "", 400},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequest("PATCH", w.url+"/users/"+u.ID, bytes.NewReader(c.body))
			require.NoError(t, err)
			req.Header.Set("Authorization", "Bearer "+token)
			if c.encoding != "" {
				req.Header.Set("Content-Encoding", c.encoding)
			}
			res, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			assert.Equal(t, c.status, res.StatusCode)
		})
	}
}

func TestGDAPEndsAsTheClockMoves(t *testing.T) {
	w := newWorld(t)
	customer := NewGUID()
	rel := w.tenant.AddRelationship(Relationship{DisplayName: "Contoso support", CustomerTenantID: customer,
		CustomerDisplayName: "Contoso", RoleDefinitionIDs: []string{UserAdministrator}})
	const path = "/tenantRelationships/delegatedAdminRelationships"
	_, body := w.call("GET", path+"?$filter=(status eq 'active') AND (customer/tenantId eq '"+customer+"')", nil)
	require.Len(t, body["value"], 1)
	etag := body["value"].([]any)[0].(map[string]any)["@odata.etag"]
	assert.NotEmpty(t, etag)

	status, request := w.call("POST", path+"/"+rel.ID+"/requests", object{"action": "terminate"})
	require.Equal(t, 201, status, request)
	assert.Equal(t, "created", request["status"])
	for _, step := range []struct {
		after           time.Duration
		status, request string
	}{{0, "terminationRequested", "created"}, {30 * time.Second, "terminating", "succeeded"}, {time.Minute, "terminated", "succeeded"}} {
		w.clock.add(step.after)
		_, body = w.call("GET", path+"/"+rel.ID, nil)
		assert.Equal(t, step.status, body["status"])
		_, body = w.call("GET", path+"/"+rel.ID+"/requests/"+request["id"].(string), nil)
		assert.Equal(t, step.request, body["status"])
	}
	assert.Equal(t, "terminated", w.tenant.Relationships()[0].Status)
	status, _ = w.call("POST", path+"/"+rel.ID+"/requests", object{"action": "terminate"})
	assert.Equal(t, 409, status, "what has ended cannot be ended again")
}

func TestLicencesDecide(t *testing.T) {
	w := newWorld(t)
	u := w.user("ann@contoso.example")
	body := object{"userIds": []string{u.ID}}
	status, _ := w.call("POST", "/identityProtection/riskyUsers/confirmCompromised", body)
	require.Equal(t, 204, status)
	assert.Equal(t, "high", w.tenant.Risk(u.ID).RiskLevel)
	_, risky := w.call("GET", "/identityProtection/riskyUsers/"+u.ID, nil)
	assert.Equal(t, "confirmedCompromised", risky["riskState"])
	_, skus := w.call("GET", "/subscribedSkus", nil)
	assert.Contains(t, toJSON(t, skus), "AAD_PREMIUM_P2")

	w.tenant.SetP2(false)
	status, refused := w.call("POST", "/identityProtection/riskyUsers/confirmCompromised", body)
	assert.Equal(t, 403, status, refused)
	status, _ = w.call("GET", "/roleManagement/directory/roleEligibilityScheduleInstances", nil)
	assert.Equal(t, 400, status)
	_, skus = w.call("GET", "/subscribedSkus", nil)
	assert.NotContains(t, toJSON(t, skus), "AAD_PREMIUM_P2")
}

func TestAnApplicationMayWriteNotesOfItsOwnAlone(t *testing.T) {
	w := newWorld(t)
	const narrow = "token-of-narrow"
	w.graph.Allow(narrow, w.tenant, App{AppID: NewGUID(), ServicePrincipalID: "own", Permissions: []string{"Application.ReadWrite.OwnedBy"}})
	other := w.tenant.AddServicePrincipal(ServicePrincipal{AppID: NewGUID()})
	patch := func(id, notes string) int {
		status, _, _ := w.callAs(narrow, "PATCH", "/servicePrincipals/"+id, object{"notes": notes})
		return status
	}
	require.Equal(t, 204, patch("own", "a note"))
	require.Equal(t, 403, patch(other.ID, "a note"))
	require.Equal(t, 400, patch("own", strings.Repeat("x", 1025)))
	logs := w.taken()
	require.Len(t, logs, 1)
	require.Equal(t, "Update service principal", logs[0].operation())
	require.Equal(t, []any{"a note"}, logs[0].modified(t, "Notes", "newValue"))
	require.Equal(t, 204, patch("own", "a note"))
	require.Empty(t, w.taken(), "what changes nothing writes nothing")
}
