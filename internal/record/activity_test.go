package record

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

const settingID = "/PROVIDERS/MICROSOFT.AADIAM/DIAGNOSTICSETTINGS/CORDON"

// activityRecord is a record of Azure Activity as it comes over Event Hub: names in capitals, bodies as JSON in text.
func activityRecord() fields {
	return fields{"time": "2026-03-02T08:02:05.1234567Z", "category": "Administrative", "tenantId": tenantID, "resourceId": settingID,
		"operationName": "MICROSOFT.AADIAM/DIAGNOSTICSETTINGS/WRITE", "resultType": "Success", "resultSignature": "Succeeded.", "callerIpAddress": "198.51.100.23:4711",
		"correlationId": "c1",
		"identity": fields{
			"authorization": fields{"scope": settingID, "action": "microsoft.aadiam/diagnosticSettings/write", "evidence": fields{"role": "Owner", "principalType": "User"}},
			"claims":        fields{claimUPN: "avery@contoso.example", claimObjectID: "u1", claimTenant: tenantID, "name": "Avery", "appid": "c44b4083-3bb0-49c1-b47d-974e53cbdf3c"}},
		"properties": fields{"eventDataId": "e1", "requestbody": `{"properties":{"eventHubAuthorizationRuleId":"/x","logs":[{"category":"AuditLogs","enabled":true},{"category":"SignInLogs","enabled":false}]}}`}}
}

func activityOf(t *testing.T, set func(f, properties, claims fields)) *Record {
	f := activityRecord()
	if set != nil {
		set(f, f["properties"].(fields), f["identity"].(fields)["claims"].(fields))
	}
	return decode(t, f, Defaults{})
}

func TestAzureActivity(t *testing.T) {
	r := activityOf(t, nil)
	require.True(t, r.Decoded())
	require.Equal(t, tenantID+"/Administrative/e1", r.ID)
	require.Equal(t, "MICROSOFT.AADIAM/DIAGNOSTICSETTINGS/WRITE", r.Operation)
	require.Equal(t, "success", r.Result())
	require.Equal(t, "c1", r.Correlation())
	require.Equal(t, Party{Type: User, ID: "u1", UPN: "avery@contoso.example", Name: "Avery", Home: tenantID, Address: "198.51.100.23"}, r.Actor)
	require.Equal(t, []Target{{Type: "Resource", ID: settingID, Name: "CORDON"}}, r.Targets())
	require.Equal(t, Diagnostic{Known: true, Disabled: []string{"SignInLogs"}, Hub: true}, r.Diagnostic())
	require.Equal(t, []string{"SignInLogs"}, r.Field("diagnostic.disabled").List)
	require.Equal(t, []string{"true"}, r.Field("diagnostic.eventHub").List)
}

func TestAzureActivitysLayouts(t *testing.T) {
	for name, c := range map[string]struct {
		set   func(f, properties, claims fields)
		check func(*testing.T, *Record)
	}{
		"an operation as the REST API writes it": {func(f, _, _ fields) {
			f["operationName"] = fields{"value": "microsoft.insights/diagnosticSettings/delete", "localizedValue": "Delete"}
			f["resultType"], f["status"] = nil, fields{"value": "Succeeded"}
		}, func(t *testing.T, r *Record) {
			require.Equal(t, "microsoft.insights/diagnosticSettings/delete", r.Operation)
			require.Equal(t, "success", r.Result())
		}},
		"an application": {func(_, _, claims fields) {
			delete(claims, claimUPN)
			claims["idtyp"] = "app"
		}, func(t *testing.T, r *Record) {
			require.Equal(t, ServicePrincipal, r.Actor.Type)
			require.Equal(t, "u1", r.Actor.ID)
			require.Equal(t, "c44b4083-3bb0-49c1-b47d-974e53cbdf3c", r.Actor.AppID)
		}},
		"the caller alone": {func(f, p, _ fields) {
			delete(f, "identity")
			p["caller"] = "avery@contoso.example"
		}, func(t *testing.T, r *Record) {
			require.Equal(t, "avery@contoso.example", r.Actor.Key())
			require.Equal(t, User, r.Actor.Type)
		}},
		"nobody": {func(f, _, _ fields) { f["identity"] = "x" }, func(t *testing.T, r *Record) { require.Empty(t, r.Actor.Key()) }},
		"identity in a text": {func(f, _, _ fields) {
			text, err := json.Marshal(f["identity"])
			require.NoError(t, err)
			f["identity"] = string(text)
		}, func(t *testing.T, r *Record) { require.Equal(t, "u1", r.Actor.ID) }},
		"no id of its own": {func(_, p, _ fields) { delete(p, "eventDataId") }, func(t *testing.T, r *Record) {
			require.Equal(t, tenantID+"/Administrative/c1/microsoft.aadiam/diagnosticsettings/write/success/20260302T080205.1234567Z", r.ID)
		}},
		"no correlation either": {func(f, p, _ fields) { delete(p, "eventDataId"); delete(f, "correlationId") }, func(t *testing.T, r *Record) {
			require.Equal(t, tenantID+"/Administrative/"+digest(r), r.ID)
		}},
		"a body that is an object, without a hub": {func(_, p, _ fields) {
			p["requestbody"] = fields{"properties": fields{"workspaceId": "/w", "logs": []any{fields{"category": "AuditLogs", "enabled": "false"}, fields{"categoryGroup": "audit", "enabled": false}}}}
		}, func(t *testing.T, r *Record) {
			require.Equal(t, Diagnostic{Known: true, Disabled: []string{"AuditLogs", "audit"}}, r.Diagnostic())
			require.Equal(t, []string{"false"}, r.Field("diagnostic.eventHub").List)
		}},
		"the answer, where the request is missing": {func(_, p, _ fields) {
			p["responseBody"], p["requestbody"] = p["requestbody"], nil
		}, func(t *testing.T, r *Record) { require.True(t, r.Diagnostic().Hub) }},
		"no body says nothing": {func(_, p, _ fields) { delete(p, "requestbody") }, func(t *testing.T, r *Record) {
			require.True(t, r.Field("diagnostic.disabled").Absent)
			require.True(t, r.Field("diagnostic.eventHub").Absent)
		}},
		"failed": {func(f, _, _ fields) { f["resultType"] = "Failed" }, func(t *testing.T, r *Record) { require.Equal(t, "failure", r.Result()) }},
	} {
		t.Run(name, func(t *testing.T) { c.check(t, activityOf(t, c.set)) })
	}
}
