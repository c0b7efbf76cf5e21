package record

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	actorID  = "3f0c8b52-6d0e-4a53-9d3c-0c8e2f1b7a10"
	targetID = "9a5b1c77-2f40-4d11-8e6a-5d3b0f2c4e21"
	appID    = "5e1d9f30-7b2a-4c68-a1f4-6c0d8e3b9a32"
)

// unifiedRecord is what the schema says that every unified audit record has.
func unifiedRecord(workload, operation string, more fields) fields {
	f := fields{
		"CreationTime": "2026-03-02T08:10:04", "Id": "0d7d6a8e-1111-4222-8333-0123456789ab", "Operation": operation, "OrganizationId": tenantID,
		"RecordType": 1, "ResultStatus": "Succeeded", "UserKey": "10032001AABBCCDD", "UserType": 0, "Version": 1, "Workload": workload,
		"UserId": "avery@contoso.example", "ObjectId": "",
	}
	for name, v := range more {
		f[name] = v
	}
	return f
}

func pairs(list ...string) (all []any) {
	for i := 0; i < len(list); i += 2 {
		all = append(all, fields{"Name": list[i], "Value": list[i+1]})
	}
	return all
}

func entry(id string, kind int) fields { return fields{"ID": id, "Type": kind} }

func unifiedSignIn(operation string, more fields) fields {
	f := unifiedRecord("AzureActiveDirectory", operation, fields{
		"RecordType": 15, "ResultStatus": "Success", "UserKey": actorID, "ClientIP": "198.51.100.23", "ActorIpAddress": "198.51.100.23",
		"ObjectId": "00000003-0000-0000-c000-000000000000", "ErrorNumber": "0", "ApplicationId": appID, "InterSystemsId": "c1", "ActorContextId": tenantID,
		"ExtendedProperties": pairs("ResultStatusDetail", "Success", "UserAgent", "UA/1.0", "RequestType", "OAuth2:Authorize"),
		"DeviceProperties":   pairs("OS", "Windows 10", "Id", "d1", "SessionId", "x1"),
		"Actor":              []any{entry(actorID, 0), entry("avery@contoso.example", 5)},
		"Target":             []any{entry("00000003-0000-0000-c000-000000000000", 0)},
	})
	for name, v := range more {
		f[name] = v
	}
	return f
}

func roleGiven() fields {
	return unifiedRecord("AzureActiveDirectory", "Add member to role.", fields{
		"RecordType": 8, "ResultStatus": "Success", "UserKey": "10032001AABBCCDD@contoso.example", "InterSystemsId": "c2", "ActorContextId": tenantID,
		"Actor": []any{entry("avery@contoso.example", 5), entry("10032001AABBCCDD", 3), entry("User_"+actorID, 2), entry(actorID, 2), entry("User", 2)},
		"Target": []any{entry("User_"+targetID, 2), entry(targetID, 2), entry("User", 2), entry("svc@contoso.example", 5),
			entry("10032001EEFF0011", 3)},
		"ModifiedProperties": []any{
			fields{"Name": "Role.DisplayName", "NewValue": "Global Administrator", "OldValue": ""},
			fields{"Name": "Role.TemplateId", "NewValue": `"62e90394-69f5-4237-9190-012177145e10"`, "OldValue": ""}},
	})
}

// enveloped is a record as the source writes it.
func enveloped(category string, properties fields) fields {
	return fields{"time": "2026-03-02T08:10:04Z", "category": category, "tenantId": tenantID, "operationName": properties["Operation"], "properties": properties}
}

func TestUnifiedAuditRecords(t *testing.T) {
	for name, c := range map[string]struct {
		record fields
		check  func(*testing.T, *Record)
	}{
		"a sign-in": {unifiedSignIn("UserLoggedIn", nil), func(t *testing.T, r *Record) {
			require.Equal(t, UnifiedEntra, r.Category)
			require.Equal(t, Party{Type: User, ID: actorID, UPN: "avery@contoso.example", Home: tenantID, Address: "198.51.100.23"}, r.Actor)
			require.Equal(t, &SignIn{HasError: true, Address: "198.51.100.23", Agent: "UA/1.0", Device: "d1", Session: "x1", App: appID}, r.SignIn())
			require.Equal(t, "success", r.Result())
			require.Equal(t, "c1", r.Correlation())
			require.Empty(t, r.Targets())
			require.True(t, r.SignIn().PasswordKnown())
			require.Equal(t, []string{"0"}, r.Field("signIn.errorCode").List)
			require.True(t, r.Field("signIn.mfa").Absent)
		}},
		"a sign-in that failed": {unifiedSignIn("UserLoginFailed", fields{"ErrorNumber": "50126", "ResultStatus": "Success"}), func(t *testing.T, r *Record) {
			require.Equal(t, "failure", r.Result())
			require.Equal(t, 50126, r.SignIn().Error)
			require.False(t, r.SignIn().PasswordKnown())
		}},
		"a sign-in that failed and does not say why": {unifiedSignIn("UserLoginFailed", fields{"ErrorNumber": "0"}), func(t *testing.T, r *Record) {
			require.False(t, r.SignIn().HasError)
			require.False(t, r.SignIn().PasswordKnown())
		}},
		"a sign-in of nobody known": {unifiedSignIn("UserLoginFailed", fields{"ErrorNumber": "50034", "UserId": "Not Available", "UserKey": "Not Available",
			"Actor": []any{entry("Not Available", 0), entry("Not Available", 5)}}), func(t *testing.T, r *Record) {
			require.Empty(t, r.Actor.Key())
			require.Empty(t, r.Actor.Type)
		}},
		"a sign-in without a number": {unifiedSignIn("UserLoggedIn", fields{"ErrorNumber": nil, "ClientIP": "[2001:db8::5]:4711"}), func(t *testing.T, r *Record) {
			require.True(t, r.SignIn().PasswordKnown())
			require.Equal(t, "2001:db8::5", r.SignIn().Address)
		}},
		"a role": {roleGiven(), func(t *testing.T, r *Record) {
			require.Equal(t, "Add member to role", r.Operation)
			require.Equal(t, "success", r.Result())
			require.Equal(t, Party{Type: User, ID: actorID, UPN: "avery@contoso.example", Home: tenantID}, r.Actor)
			require.Len(t, r.Targets(), 1)
			require.Equal(t, Target{Type: "User", ID: targetID, UPN: "svc@contoso.example", Changes: r.Targets()[0].Changes}, r.Targets()[0])
			ids, names := r.Roles()
			require.Equal(t, []string{"62e90394-69f5-4237-9190-012177145e10"}, ids)
			require.Equal(t, []string{"Global Administrator"}, names)
			require.Nil(t, r.SignIn())
		}},
		"a service principal acts": {unifiedRecord("AzureActiveDirectory", "Add app role assignment to service principal.", fields{
			"RecordType": 8, "UserKey": "Not Available", "UserId": "ServicePrincipal_" + actorID,
			"Actor":  []any{entry("Deployer", 1), entry(appID, 4), entry("ServicePrincipal_"+actorID, 2), entry(actorID, 2), entry("ServicePrincipal", 2)},
			"Target": []any{entry("ServicePrincipal_"+targetID, 2), entry(targetID, 2), entry("ServicePrincipal", 2), entry("Graph", 1), entry("ServicePrincipal_"+actorID, 2), entry("Deployer", 1)},
		}), func(t *testing.T, r *Record) {
			require.Equal(t, Party{Type: ServicePrincipal, ID: actorID, AppID: appID, Name: "Deployer"}, r.Actor)
			require.Equal(t, []Target{{Type: "ServicePrincipal", ID: targetID, Name: "Graph"}, {Type: "ServicePrincipal", ID: actorID, Name: "Deployer"}}, r.Targets())
		}},
		"a policy": {unifiedRecord("AzureActiveDirectory", "Update authorization policy.", fields{
			"Target":             []any{entry("AuthorizationPolicy_"+targetID, 2), entry(targetID, 2), entry("Other", 2), entry("Authorization Policy", 1)},
			"ModifiedProperties": []any{fields{"Name": "PermissionGrantPolicyIdsAssignedToDefaultUserRole", "NewValue": "[\r\n  \"ManagePermissionGrantsForSelf.legacy\"\r\n]", "OldValue": "[]"}},
		}), func(t *testing.T, r *Record) {
			require.Equal(t, "Other", r.Targets()[0].Type)
			require.Equal(t, targetID, r.Targets()[0].ID)
			added, ok := r.ConsentPolicyLoosened()
			require.True(t, ok)
			require.Equal(t, []string{"ManagePermissionGrantsForSelf.legacy"}, added)
		}},
		"an inbox rule": {unifiedRecord("Exchange", "New-InboxRule", fields{"ResultStatus": "True", "ClientIP": "198.51.100.23:29812", "UserType": 2, "AppId": appID,
			"ObjectId": "EURPR01/Hosted/contoso.example/avery\\Direct", "Parameters": pairs("Mailbox", "avery@contoso.example", "Name", "Direct", "DeleteMessage", "True")}),
			func(t *testing.T, r *Record) {
				require.Equal(t, UnifiedExchange, r.Category)
				require.Equal(t, "New-InboxRule", r.Operation)
				require.Equal(t, "success", r.Result())
				require.Equal(t, Party{Type: User, UPN: "avery@contoso.example", Address: "198.51.100.23"}, r.Actor)
				require.Equal(t, "InboxRule", r.Targets()[0].Type)
				require.Equal(t, "avery@contoso.example", r.Targets()[0].UPN)
				c, ok := r.Change("DeleteMessage")
				require.True(t, ok)
				require.Equal(t, "True", c.New)
			}},
		"a rule set from Outlook": {unifiedRecord("Exchange", "UpdateInboxRules", fields{"RecordType": 2, "MailboxOwnerUPN": "kim@contoso.example", "MailboxGuid": targetID,
			"ClientIPAddress": "::1", "ModifiedProperties": []any{"RuleActions"}, "OperationProperties": pairs("RuleOperation", "AddMailboxRule", "Actions", `[{"ActionType":"Forward"}]`)}),
			func(t *testing.T, r *Record) {
				require.Equal(t, "::1", r.Actor.Address)
				require.Equal(t, Target{Type: "Mailbox", ID: targetID, UPN: "kim@contoso.example", Changes: []Change{{Name: "RuleActions"},
					{Name: "RuleOperation", New: "AddMailboxRule"}, {Name: "Actions", New: `[{"ActionType":"Forward"}]`}}}, r.Targets()[0])
			}},
		"an application reads mail": {unifiedRecord("Exchange", "MailItemsAccessed", fields{"RecordType": 50, "UserType": 5, "UserId": actorID, "UserKey": actorID, "AppId": appID, "MailboxOwnerUPN": "kim@contoso.example"}),
			func(t *testing.T, r *Record) {
				require.Equal(t, Party{Type: ServicePrincipal, ID: actorID, AppID: appID}, r.Actor)
			}},
		"the service itself": {unifiedRecord("Exchange", "Add-MailboxPermission", fields{"UserType": 3, "UserId": `NT AUTHORITY\SYSTEM (Host)`, "UserKey": `NT AUTHORITY\SYSTEM (Host)`}),
			func(t *testing.T, r *Record) {
				require.Empty(t, r.Actor.Key())
				require.Equal(t, `NT AUTHORITY\SYSTEM (Host)`, r.Actor.Label())
			}},
		"sharing": {unifiedRecord("OneDrive", "SharingSet", fields{"RecordType": 14, "ItemType": "File", "ObjectId": "https://contoso.example/a.docx", "SiteUrl": "https://contoso.example/",
			"SourceFileName": "a.docx", "TargetUserOrGroupName": "someone@elsewhere.example", "TargetUserOrGroupType": "Guest", "CorrelationId": "x"}),
			func(t *testing.T, r *Record) {
				require.Equal(t, UnifiedSharePoint, r.Category)
				require.Equal(t, []Target{{Type: "File", Name: "https://contoso.example/a.docx"}, {Type: "Guest", UPN: "someone@elsewhere.example", Name: "someone@elsewhere.example"}}, r.Targets())
			}},
		"Teams": {unifiedRecord("MicrosoftTeams", "MemberAdded", nil), func(t *testing.T, r *Record) {
			require.Equal(t, UnifiedGeneral, r.Category)
			require.Empty(t, r.Targets())
		}},
		"data loss prevention": {unifiedRecord("Exchange", "DlpRuleMatch", fields{"RecordType": 13}), func(t *testing.T, r *Record) { require.Equal(t, UnifiedDLP, r.Category) }},
		"a category of its own": {unifiedRecord("SecurityComplianceCenter", "AlertTriggered", fields{"Category": "Policy", "Parameters": "-Identity x"}),
			func(t *testing.T, r *Record) { require.Equal(t, UnifiedGeneral, r.Category) }},
	} {
		t.Run(name, func(t *testing.T) {
			bare := decode(t, c.record, Defaults{})
			wrapped := decode(t, enveloped("Audit.General", c.record), Defaults{Enqueued: enqueued})
			for form, r := range map[string]*Record{"bare": bare, "enveloped": wrapped} {
				t.Run(form, func(t *testing.T) {
					require.True(t, r.Decoded())
					require.Equal(t, KindUnifiedAudit, KindOf(r.Category))
					require.Equal(t, tenantID, r.Tenant)
					require.Equal(t, time.Date(2026, 3, 2, 8, 10, 4, 0, time.UTC), r.Time)
					c.check(t, r)
				})
			}
			require.Equal(t, tenantID+"/"+bare.Category+"/0d7d6a8e-1111-4222-8333-0123456789ab", bare.ID)
			require.Equal(t, bare.ID, wrapped.ID)
		})
	}
}

func TestWhatAUnifiedRecordLeavesOut(t *testing.T) {
	f := unifiedRecord("Exchange", "Set-Mailbox", fields{"OrganizationId": "00000000-0000-0000-0000-000000000000", "CreationTime": nil})
	r := decode(t, enveloped("audit.exchange", f), Defaults{Enqueued: enqueued})
	require.Equal(t, tenantID, r.Tenant, "the envelope's")
	require.Equal(t, 4, r.Time.Second(), "the envelope's")
	r = decode(t, enveloped("Audit.Exchange", fields{}), Defaults{Enqueued: enqueued})
	require.Equal(t, UnifiedExchange, r.Category)
	require.Equal(t, tenantID+"/Audit.Exchange/"+digest(r), r.ID)
}

// The columns of Log Analytics' table OfficeActivity.
func TestOfficeActivity(t *testing.T) {
	r := decode(t, fields{"TimeGenerated": "2026-03-02T08:10:04Z", "Type": "OfficeActivity", "TenantId": "workspace", "OfficeId": "o1", "OfficeWorkload": "Exchange",
		"Operation": "New-InboxRule", "OrganizationId": tenantID, "OfficeObjectId": "x", "UserId": "avery@contoso.example", "UserType": "Admin", "ResultStatus": "True",
		"Client_IPAddress": "198.51.100.23", "Parameters": `[{"Name":"MoveToFolder","Value":"RSS"}]`}, Defaults{})
	require.Equal(t, tenantID+"/Audit.Exchange/o1", r.ID)
	require.Equal(t, "198.51.100.23", r.Actor.Address)
	c, ok := r.Change("MoveToFolder")
	require.True(t, ok)
	require.Equal(t, "RSS", c.New)
}

// A record of another log that speaks of a workload is none of ours.
func TestOtherRecordsStayWhatTheyAre(t *testing.T) {
	f := signInRecord()
	properties(f)["Workload"], properties(f)["Operation"], properties(f)["RecordType"] = "Exchange", "x", 1
	require.Equal(t, SignInLogs, decode(t, f, Defaults{}).Category)
}

// sharedFolder is where the public records are that stand beside the project.
func sharedFolder() string {
	if dir := os.Getenv("CORDON_SHARED"); dir != "" {
		return dir
	}
	return filepath.Join("..", "..", "..", "shared")
}

func TestSharedUnifiedRecords(t *testing.T) {
	file, err := os.Open(filepath.Join(sharedFolder(), "data", "blueteam0ps", "ual_all.ndjson"))
	if err != nil {
		t.Skipf("no shared records: %v (CORDON_SHARED names their folder)", err)
	}
	defer file.Close()
	signIns, roles := 0, 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		r, err := Decode(slices.Clone(lines.Bytes()), Defaults{})
		require.NoError(t, err)
		require.True(t, r.Decoded())
		require.Contains(t, []string{"success", "failure"}, r.Result())
		if strings.HasPrefix(r.Operation, "UserLog") {
			signIns++
			require.NotNil(t, r.SignIn())
			require.True(t, r.SignIn().HasError)
			require.Equal(t, r.SignIn().Error == 0, r.Result() == "success")
			require.NotEmpty(t, r.Actor.ID)
			require.NotEmpty(t, r.SignIn().Address)
			continue
		}
		if ids, _ := r.Roles(); len(ids) > 0 {
			roles++
			require.Equal(t, "User", r.Targets()[0].Type)
			require.NotEmpty(t, r.Targets()[0].ID)
		}
		if r.Category != UnifiedGeneral {
			require.NotEmpty(t, r.Targets())
		}
		require.False(t, strings.HasSuffix(r.Operation, "."))
	}
	require.Equal(t, 37, signIns)
	require.Equal(t, 3, roles)
}

func FuzzUnified(f *testing.F) {
	for _, seed := range []any{unifiedSignIn("UserLoggedIn", nil), roleGiven(), enveloped(UnifiedExchange, roleGiven()),
		unifiedRecord("Exchange", "X", fields{"Actor": []any{nil, 7, "x", entry("_", 2)}, "Target": `[{"ID":{},"Type":[]}]`, "ModifiedProperties": "x", "Parameters": []any{nil, []any{}}})} {
		f.Add(encode(f, seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d := Defaults{Tenant: "t", Enqueued: enqueued}
		r, err := Decode(raw, d)
		if err != nil {
			return
		}
		r.Roles()
		again, err := Decode(raw, d)
		if err != nil || again.ID != r.ID || again.Actor != r.Actor || r.Tenant == "" && r.Decoded() {
			t.Fatalf("decoded again: %v", err)
		}
	})
}
