package entra

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// logIDs are the ids on a page, and where the next one is.
func logIDs(t *testing.T, body map[string]any) (ids []string, next string) {
	t.Helper()
	for _, v := range body["value"].([]any) {
		ids = append(ids, v.(map[string]any)["id"].(string))
	}
	next, _ = body["@odata.nextLink"].(string)
	return ids, next
}

func (w *world) allowLogs() {
	w.graph.Allow(token, w.tenant, App{AppID: appID, ServicePrincipalID: spID, Permissions: []string{"AuditLog.Read.All", "IdentityRiskEvent.Read.All", "AuditLogsQuery.Read.All", "PartnerSecurity.Read.All"}})
}

func TestLogsAreFilteredOrderedAndPaged(t *testing.T) {
	w := newWorld(t)
	status, body := w.call("GET", "/auditLogs/directoryAudits", nil)
	require.Equal(t, 403, status, code(body))
	w.allowLogs()
	at := func(minute int) string {
		return w.clock.Now().Add(time.Duration(minute) * time.Minute).Format(time.RFC3339)
	}
	add := func(minute int) {
		require.NoError(t, w.tenant.AddLog(RiskDetections, "", []byte(fmt.Sprintf(`{"id":"d%d","detectedDateTime":%q}`, minute, at(minute)))))
	}
	for minute := range 6 {
		add(minute)
	}
	ask := "/identityProtection/riskDetections?$top=2&$filter=" + url.QueryEscape("detectedDateTime ge "+at(1)+" and detectedDateTime le "+at(4))
	_, body = w.call("GET", ask, nil)
	ids, next := logIDs(t, body)
	require.Equal(t, []string{"d4", "d3"}, ids, "the newest first")
	add(2) // replaced, and not doubled
	_, body = w.call("GET", next, nil)
	ids, next = logIDs(t, body)
	require.Equal(t, []string{"d2", "d1"}, ids)
	require.Empty(t, next)
	_, body = w.call("GET", ask+"&$orderby=detectedDateTime%20asc", nil)
	ids, _ = logIDs(t, body)
	require.Equal(t, []string{"d1", "d2"}, ids)
	for _, bad := range []string{"$filter=userId%20eq%20'x'", "$filter=detectedDateTime%20ge%20yesterday", "$top=0", "$top=x", "$orderby=id", "$skiptoken=*"} {
		status, _ = w.call("GET", "/identityProtection/riskDetections?"+bad, nil)
		require.Equal(t, 400, status, bad)
	}
	w.tenant.SetP2(false)
	status, _ = w.call("GET", ask, nil)
	require.Equal(t, 403, status)
}

// What goes to the stream can be read in Graph: the same objects, sign-ins by their kind.
func TestTheStreamsRecordsAreInGraph(t *testing.T) {
	w := newWorld(t)
	w.allowLogs()
	w.user("avery@contoso.example")
	for _, interactive := range []bool{true, false} {
		_, err := w.tenant.SignIn(SignIn{UserPrincipalName: "avery@contoso.example", Password: "correct horse", MFA: true, Interactive: interactive, Sparse: interactive})
		require.NoError(t, err)
	}
	stream := w.taken()
	require.Len(t, stream, 2)
	sparse := stream[0].properties()["id"].(string)
	read := func(version, kind string) map[string]any {
		status, _, body := w.callAs(token, "GET", w.url[:len(w.url)-len("/v1.0")]+"/"+version+"/auditLogs/signIns?$filter="+url.QueryEscape("signInEventTypes/any(t: t eq '"+kind+"')"), nil)
		require.Equal(t, 200, status, body)
		require.Len(t, body["value"], 1)
		return body["value"].([]any)[0].(map[string]any)
	}
	require.Equal(t, stream[0].properties(), read("beta", "interactiveUser"))
	require.Equal(t, stream[1].properties(), read("beta", "nonInteractiveUser"))
	_, body := w.call("GET", "/auditLogs/signIns", nil)
	require.Len(t, body["value"], 1, "v1.0 shows interactive ones")
	require.NoError(t, w.tenant.Reemit(sparse, w.clock.Now().Add(time.Minute)))
	require.NotEmpty(t, read("beta", "interactiveUser")["authenticationDetails"], "a revision takes its place")
	status, _ := w.call("GET", "/security/partner/securityAlerts", nil)
	require.Equal(t, 400, status, "beta alone has them")
}

func TestASearchTakesItsTime(t *testing.T) {
	w := newWorld(t)
	w.allowLogs()
	for i, user := range []string{"avery@contoso.example", "blake@contoso.example"} {
		require.NoError(t, w.tenant.AddLog(UnifiedAudit, "", []byte(fmt.Sprintf(`{"Id":"u%d","UserId":%q,"Operation":"Send","CreationTime":"2026-03-04T02:00:00"}`, i, user))))
	}
	status, body := w.call("POST", "/security/auditLog/queries", map[string]any{"filterStartDateTime": "x"})
	require.Equal(t, 400, status, body)
	status, body = w.call("POST", "/security/auditLog/queries", map[string]any{"filterStartDateTime": "2026-03-04T00:00:00Z", "filterEndDateTime": "2026-03-04T03:00:00Z",
		"userPrincipalNameFilters": []string{"Avery@contoso.example"}})
	require.Equal(t, 201, status)
	require.Equal(t, "notStarted", body["status"])
	path := "/security/auditLog/queries/" + body["id"].(string)
	status, _ = w.call("GET", path+"/records", nil)
	require.Equal(t, 400, status)
	for _, want := range []string{"running", "running", "succeeded"} {
		_, body = w.call("GET", path, nil)
		require.Equal(t, want, body["status"])
	}
	_, body = w.call("GET", path+"/records", nil)
	ids, _ := logIDs(t, body)
	require.Equal(t, []string{"u0"}, ids)
	status, _ = w.call("GET", "/security/auditLog/queries/nobody", nil)
	require.Equal(t, 404, status)
}
