package record

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// One record of each category, in the form of the stream as domain notes, logs 4.1 to 4.5, and the services' own
// documentation describe it.
func TestEveryCategoryIsDecoded(t *testing.T) {
	envelope := func(category, operation, properties string) string {
		return `{"time":"2026-03-02T08:10:05.1234567Z","resourceId":"/tenants/` + tenantID + `/providers/Microsoft.aadiam","operationName":"` + operation +
			`","category":"` + category + `","tenantId":"` + tenantID + `","properties":` + properties + `}`
	}
	type want struct {
		key       string
		operation string
		actor     Party
		result    string
		at        string // event time, where it is not that of the envelope
	}
	for category, c := range map[string]struct {
		record string
		want   want
	}{
		ServicePrincipalSignInLogs: {
			`{"Category":"ServicePrincipalSignInLogs","TenantId":"` + tenantID + `","CreatedDateTime":"8/22/2022 6:11:52 PM","Properties":{"Id":"s1","servicePrincipalId":"sp","servicePrincipalName":"Mail Helper","appId":"app",` +
				`"ipAddress":"198.51.100.7","status":{"errorCode":7000215},"resourceDisplayName":"Microsoft Graph","userId":null}}`,
			want{"s1", "Sign-in activity", Party{Type: ServicePrincipal, ID: "sp", AppID: "app", Name: "Mail Helper", Address: "198.51.100.7"}, "failure", "2022-08-22T18:11:52Z"}},
		ManagedIdentitySignInLogs: {envelope("ManagedIdentitySignInLogs", "Sign-in activity", `{"id":"m1","servicePrincipalId":"mi","ipAddress":"","status":{"errorCode":0}}`),
			want{"m1", "Sign-in activity", Party{Type: ServicePrincipal, ID: "mi"}, "success", ""}},
		MicrosoftServicePrincipalSignInLogs: {envelope("MicrosoftServicePrincipalSignInLogs", "Sign-in activity", `{"id":"m2","servicePrincipalId":"ms","appId":"a","status":{"errorCode":0}}`),
			want{"m2", "Sign-in activity", Party{Type: ServicePrincipal, ID: "ms", AppID: "a"}, "success", ""}},
		ADFSSignInLogs: {envelope("ADFSSignInLogs", "Sign-in activity", `{"id":"f1","userId":"u","userPrincipalName":"a@b.example","createdDateTime":"8/22/2022 6:11:52 PM","status":{"errorCode":300030}}`),
			want{"f1", "Sign-in activity", Party{Type: User, ID: "u", UPN: "a@b.example"}, "failure", "2022-08-22T18:11:52Z"}},
		ProvisioningLogs: {envelope("ProvisioningLogs", "Provisioning activity", `{"id":"p1","activityDateTime":"2026-03-02T08:00:00Z","provisioningAction":"create","jobId":"job",`+
			`"initiatedBy":{"id":"i","displayName":"Azure AD Provisioning Service","initiatorType":"system"},"provisioningStatusInfo":{"status":"success"},"targetIdentity":{"id":"t","displayName":"Avery","identityType":"User"}}`),
			want{"p1", "Provisioning activity", Party{Type: ServicePrincipal, ID: "i", Name: "Azure AD Provisioning Service"}, "success", "2026-03-02T08:00:00Z"}},
		RiskyUsers: {envelope("RiskyUsers", "Risky user", `{"id":"u1","userPrincipalName":"a@b.example","userDisplayName":"Avery","riskLastUpdatedDateTime":"2022-09-09T9:59:27.958Z","riskState":"atRisk"}`),
			want{"u1@2022-09-09T9:59:27.958Z", "Risky user", Party{Type: User, ID: "u1", UPN: "a@b.example", Name: "Avery"}, "atrisk", "2022-09-09T09:59:27.958Z"}},
		UserRiskEvents: {envelope("UserRiskEvents", "User Risk Detection", `{"id":"d1","userId":"u1","ipAddress":"198.51.100.7","activityDateTime":"2026-03-02T07:00:00Z","lastUpdatedDateTime":"2026-03-02T09:00:00Z","riskState":"atRisk"}`),
			want{"d1@2026-03-02T09:00:00Z", "User Risk Detection", Party{Type: User, ID: "u1", Address: "198.51.100.7"}, "atrisk", "2026-03-02T07:00:00Z"}},
		RiskyServicePrincipals: {envelope("RiskyServicePrincipals", "Risky service principal", `{"id":"sp","appId":"app","displayName":"Mail Helper","riskLastUpdatedDateTime":"2026-03-02T07:00:00Z","riskState":"atRisk"}`),
			want{"sp@2026-03-02T07:00:00Z", "Risky service principal", Party{Type: ServicePrincipal, ID: "sp", AppID: "app", Name: "Mail Helper"}, "atrisk", "2026-03-02T07:00:00Z"}},
		ServicePrincipalRiskEvents: {envelope("ServicePrincipalRiskEvents", "Service principal risk detection", `{"id":"e1","servicePrincipalId":"sp","appId":"app","detectedDateTime":"2026-03-02T07:00:00Z","riskState":"atRisk"}`),
			want{"e1", "Service principal risk detection", Party{Type: ServicePrincipal, ID: "sp", AppID: "app"}, "atrisk", "2026-03-02T07:00:00Z"}},
		MicrosoftGraphActivityLogs: {envelope("MicrosoftGraphActivityLogs", "Microsoft Graph Activity", `{"requestId":"r1","timeGenerated":"2026-03-02T08:09:00Z","requestMethod":"PATCH","responseStatusCode":204,"userId":"u1","appId":"app","ipAddress":"198.51.100.7","servicePrincipalId":null,"roles":null}`),
			want{"r1", "PATCH", Party{Type: User, ID: "u1", AppID: "app", Address: "198.51.100.7"}, "204", "2026-03-02T08:09:00Z"}},
		NetworkAccessTrafficLogs: {envelope("NetworkAccessTrafficLogs", "NetworkAccessTraffic", `{"transactionId":"n1","userId":"u1","userPrincipalName":"a@b.example","sourceIp":"198.51.100.7"}`),
			want{"n1", "NetworkAccessTraffic", Party{Type: User, ID: "u1", UPN: "a@b.example", Address: "198.51.100.7"}, "", ""}},
		CustomSecurityAttributeAuditLogs: {envelope("CustomSecurityAttributeAuditLogs", "Update attribute values for a user", `{"id":"c1","activityDateTime":"2026-03-02T08:00:00Z","result":"success","initiatedBy":{"user":{"id":"u1"}},"targetResources":[]}`),
			want{"c1", "Update attribute values for a user", Party{Type: User, ID: "u1"}, "success", "2026-03-02T08:00:00Z"}},
		IntuneAuditLogs: {`{"time":"2026-03-02T08:10:05.1234567Z","tenantId":"` + tenantID + `","category":"AuditLogs","operationName":"Create DeviceConfiguration","resultType":"Success","resourceId":"/TENANTS/` + tenantID + `/PROVIDERS/MICROSOFT.INTUNE",` +
			`"identity":"a@b.example","properties":{"AuditEventId":"i1","Actor":{"ObjectId":"u1","UPN":"a@b.example"},"TargetObjectIds":["t1"],"Targets":[{"Name":"Policy","ModifiedProperties":[{"Name":"Enabled","Old":"x","New":"y"}]}]}}`,
			want{"i1", "Create DeviceConfiguration", Party{Type: User, ID: "u1", UPN: "a@b.example"}, "success", ""}},
		AdvancedHunting + "AlertInfo": {envelope("AdvancedHunting-AlertInfo", "Publish", `{"AlertId":"a1","Timestamp":"2026-03-02T08:00:00Z","Title":"Suspicious inbox rule","Severity":"High"}`),
			want{"a1@2026-03-02T08:00:00Z", "Suspicious inbox rule", Party{Type: User}, "", "2026-03-02T08:00:00Z"}},
		AdvancedHunting + "CloudAppEvents": {envelope("AdvancedHunting-CloudAppEvents", "Publish", `{"ReportId":"x","Timestamp":"2026-03-02T08:00:00Z","ActionType":"New-InboxRule","AccountObjectId":"u1","AccountDisplayName":"Avery","IPAddress":"198.51.100.7"}`),
			want{"", "New-InboxRule", Party{Type: User, ID: "u1", Name: "Avery", Address: "198.51.100.7"}, "", "2026-03-02T08:00:00Z"}},
		PartnerSecurityAlerts: {envelope("PartnerSecurityAlerts", "Security alert", `{"id":"a1","alertType":"cryptoMining","status":"active","firstObservedDateTime":"2026-03-02T08:00:00Z","customerId":"c","isTest":false}`),
			want{"a1", "cryptoMining", Party{}, "active", "2026-03-02T08:00:00Z"}},
		PartnerFraudEvents: {envelope("PartnerFraudEvents", "Fraud event", `{"eventId":"e1","eventType":"NetworkConnectionsToCryptoMiningPools","eventStatus":"Active","eventTime":"2026-03-02T08:00:00Z","customerTenantId":"c"}`),
			want{"e1", "NetworkConnectionsToCryptoMiningPools", Party{}, "active", "2026-03-02T08:00:00Z"}},
		PartnerAuditRecords: {envelope("PartnerAuditRecords", "Audit record", `{"operationType":"dap_admin_relationship_approved","operationStatus":"Succeeded","operationDate":"2026-03-02T08:00:00Z","userPrincipalName":"a@b.example","customerId":"c"}`),
			want{"", "dap_admin_relationship_approved", Party{Type: User, UPN: "a@b.example"}, "succeeded", "2026-03-02T08:00:00Z"}},
	} {
		t.Run(category, func(t *testing.T) {
			r, err := Decode([]byte(c.record), Defaults{})
			require.NoError(t, err)
			require.Equal(t, category, r.Category)
			require.True(t, r.Decoded())
			if c.want.key == "" {
				c.want.key = digest(r)
			}
			require.Equal(t, tenantID+"/"+category+"/"+c.want.key, r.ID)
			require.Equal(t, c.want.operation, r.Operation)
			require.Equal(t, c.want.actor, r.Actor)
			require.Equal(t, c.want.result, r.Result())
			if c.want.at == "" {
				c.want.at = "2026-03-02T08:10:05.1234567Z"
			}
			require.Equal(t, c.want.at, r.Time.Format(time.RFC3339Nano))
		})
	}
}

func TestLatenessByKind(t *testing.T) {
	l := DefaultLateness()
	for category, want := range map[string]time.Duration{
		SignInLogs: 30 * time.Minute, AuditLogs: 30 * time.Minute, MicrosoftGraphActivityLogs: 3 * time.Hour, UnifiedExchange: 24 * time.Hour, RiskyUsers: 48 * time.Hour,
		AdvancedHunting + "AlertInfo": time.Hour, "FutureLogs": 30 * time.Minute,
	} {
		require.Equal(t, want, l.Of(category), category)
	}
}
