package fields

import (
	"strings"
	"testing"
	"testing/fstest"

	"cordon/detectors/vocabulary"
	"cordon/internal/record"
	"github.com/stretchr/testify/require"
)

const (
	audit = `{"time":"2026-03-02T08:10:05Z","category":"AuditLogs","tenantId":"t","operationName":"Update application – Certificates and secrets management ",
 "properties":{"id":"1","category":"ApplicationManagement","result":"success","resultReason":"Admin registered temporary access pass method for user","loggedByService":"Core Directory","activityDateTime":"2026-03-02T08:10:05Z",
 "initiatedBy":{"user":{"id":"u1","userPrincipalName":"avery@contoso.example"}},
 "targetResources":[{"type":"Application","displayName":"Payroll","modifiedProperties":[{"displayName":"KeyDescription","oldValue":"[]","newValue":"[{\"State\":0}]"}]}],
 "additionalDetails":[{"key":"User-Agent","value":"curl"}]}}`
	signIn = `{"time":"2026-03-02T08:10:05Z","category":"SignInLogs","tenantId":"t","resultType":"500121","resultDescription":"Authentication failed during strong authentication request.","location":"FR",
 "properties":{"id":"1","createdDateTime":"2026-03-02T08:10:05Z","userPrincipalName":"avery@contoso.example","userId":"u","ipAddress":"198.51.100.23","clientAppUsed":"Browser","authenticationProtocol":"deviceCode",
 "status":{"errorCode":500121,"additionalDetails":"MFA denied; user declined the authentication"},"location":{"countryOrRegion":"FR"},"networkLocationDetails":[],"deviceDetail":{"deviceId":""},"authenticationRequirement":"multiFactorAuthentication"}}`
	activity = `{"time":"2026-03-02T08:10:05Z","category":"Administrative","tenantId":"t","operationName":"MICROSOFT.ADHYBRIDHEALTHSERVICE/SERVICES/SERVICEMEMBERS/ACTION","resultType":"Success","resourceId":"/SUBSCRIPTIONS/1/X",
 "identity":{"claims":{"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn":"avery@contoso.example"}},"properties":{"message":"Microsoft.ADHybridHealthService/services/servicemembers/action"}}`
	risk    = `{"time":"2026-03-02T08:10:05Z","category":"UserRiskEvents","tenantId":"t","operationName":"User Risk Detection","properties":{"id":"1","riskType":"passwordSpray","activityDateTime":"2026-03-02T08:10:05Z"}}`
	unified = `{"CreationTime":"2026-03-02T08:10:05","Id":"1","Operation":"Add member to role.","Workload":"AzureActiveDirectory","RecordType":8,"OrganizationId":"t","ResultStatus":"Success","UserId":"avery@contoso.example","ClientIP":"198.51.100.23"}`
)

func TestWhatNamesMean(t *testing.T) {
	table, err := Standard()
	require.NoError(t, err)
	for _, c := range []struct {
		source, record, field string
		want                  []string
	}{
		{"auditlogs", audit, "properties.message", []string{"Update application - Certificates and secrets management", "Update application – Certificates and secrets management", "Update application – Certificates and secrets management "}},
		{"auditlogs", audit, "OPERATIONNAME", []string{"Update application - Certificates and secrets management", "Update application – Certificates and secrets management", "Update application – Certificates and secrets management "}},
		{"auditlogs", audit, "Status", []string{"success", "Admin registered temporary access pass method for user"}},
		{"auditlogs", audit, "Category", []string{"ApplicationManagement", "AuditLogs"}},
		{"auditlogs", audit, "loggedbyservice", []string{"Core Directory"}},
		{"auditlogs", audit, "Initiatedby", []string{"avery@contoso.example", "u1"}},
		{"auditlogs", audit, "TargetResources.ModifiedProperties.NewValue", []string{`[{"State":0}]`}},
		{"auditlogs", audit, "properties.initiatedBy", []string{`{"user":{"id":"u1","userPrincipalName":"avery@contoso.example"}}`}},
		{"auditlogs", audit, "actor.upn", []string{"avery@contoso.example"}},
		{"pim", audit, "properties.category", []string{"ApplicationManagement", "AuditLogs"}},
		{"signinlogs", signIn, "ResultType", []string{"500121"}},
		{"signinlogs", signIn, "Status", []string{"failure", "MFA denied; user declined the authentication"}},
		{"signinlogs", signIn, "ResultDescription", []string{"Authentication failed during strong authentication request.", "MFA denied; user declined the authentication"}},
		{"signinlogs", signIn, "properties.message", []string{"deviceCode", "Device Code"}},
		{"signinlogs", signIn, "location", []string{"FR"}},
		{"signinlogs", signIn, "callerIpAddress", []string{"198.51.100.23"}},
		{"signinlogs", signIn, "NetworkLocationDetails", []string{"[]"}},
		{"signinlogs", signIn, "DeviceDetail.deviceId", []string{""}},
		{"signinlogs", signIn, "ClientApp", []string{"Browser"}},
		{"activitylogs", activity, "ResourceProviderValue", []string{"MICROSOFT.ADHYBRIDHEALTHSERVICE"}},
		{"activitylogs", activity, "OperationNameValue", []string{"MICROSOFT.ADHYBRIDHEALTHSERVICE/SERVICES/SERVICEMEMBERS/ACTION"}},
		{"activitylogs", activity, "CategoryValue", []string{"Administrative"}},
		{"activitylogs", activity, "Caller", []string{"avery@contoso.example"}},
		{"activitylogs", activity, "properties.message", []string{"Microsoft.ADHybridHealthService/services/servicemembers/action"}},
		{"riskdetection", risk, "riskEventType", []string{"passwordSpray"}},
		{"m365", unified, "Operation", []string{"Add member to role", "Add member to role."}},
		{"m365", unified, "status", []string{"Success"}},
	} {
		t.Run(c.source+" "+c.field, func(t *testing.T) {
			r, err := record.Decode([]byte(c.record), record.Defaults{})
			require.NoError(t, err)
			meaning := table.Resolve(c.source, c.field)
			require.True(t, meaning.Known)
			require.Equal(t, c.want, meaning.Read.Values(r).List)
		})
	}
}

func TestAbsence(t *testing.T) {
	table, err := Standard()
	require.NoError(t, err)
	r, err := record.Decode([]byte(signIn), record.Defaults{})
	require.NoError(t, err)
	for _, name := range []string{"DeviceDetail.deviceId", "nothing.of.that", "riskEventType"} {
		require.True(t, table.Resolve("signinlogs", name).Read.Values(r).Absent, name)
	}
	require.False(t, table.Resolve("signinlogs", "nothing.of.that").Known)
}

// A member bears its name whatever stands in it; a fact has no name of its own in a record.
func TestWhatARecordBears(t *testing.T) {
	table, err := Standard()
	require.NoError(t, err)
	r, err := record.Decode([]byte(signIn), record.Defaults{})
	require.NoError(t, err)
	for field, want := range map[string]bool{"DeviceDetail.deviceId": true, "properties.DeviceDetail.deviceId": true, "networkLocationDetails": true, "deviceDetail.trustType": false, "callerIpAddress": true} {
		meaning := table.Resolve("signinlogs", field)
		require.Equal(t, want, meaning.Bears(r), field)
	}
	require.Nil(t, table.Resolve("signinlogs", "actor.id").Bears)
}

func TestKeys(t *testing.T) {
	table, err := With("x.yml", strings.NewReader(`auditlogs: {rows: [{field: one, path: "a b", why: w}, {field: two, path: [a, b], why: w}, {field: three, path: 'a" "b', why: w}]}`))
	require.NoError(t, err)
	key := func(source, name string) string { return table.Resolve(source, name).Key }
	for _, same := range [][4]string{
		{"auditlogs", "Service", "pim", "loggedByService"}, {"auditlogs", "properties.message", "auditlogs", "ACTIVITY"}, {"signinlogs", "ClientApp", "auditlogs", "CLIENTAPPUSED"},
		{"signinlogs", "operationName", "activitylogs", "OPERATIONNAME"}, {"signinlogs", "CategoryValue", "windows", "category"}, {"windows", "A.b", "m365", "a.B"}, {"auditlogs", "Initiatedby", "m365", "UserId"},
	} {
		require.Equal(t, key(same[0], same[1]), key(same[2], same[3]), same)
		require.NotEmpty(t, key(same[0], same[1]))
	}
	for _, other := range [][4]string{
		{"auditlogs", "operationName", "signinlogs", "operationName"}, {"windows", "a", "windows", "properties.a"}, {"signinlogs", "riskEventType", "signinlogs", "riskEventTypes"}, {"riskdetection", "ipAddress", "windows", "ipAddress"},
		{"windows", "é", "windows", "É"}, {"auditlogs", "one", "auditlogs", "two"}, {"auditlogs", "two", "auditlogs", "three"}, {"windows", "operation", "m365", "operation"},
	} {
		require.NotEqual(t, key(other[0], other[1]), key(other[2], other[3]), other)
	}
}

// Names of one key are read alike; what a reader is given stays.
func TestReadersAddAndDoNotAllocate(t *testing.T) {
	table, err := Standard()
	require.NoError(t, err)
	for _, text := range []string{audit, signIn, activity, risk, unified} {
		r, err := record.Decode([]byte(text), record.Defaults{})
		require.NoError(t, err)
		said := map[string][]string{}
		for _, source := range table.Sources() {
			for _, name := range table.Names(source) {
				m := table.Resolve(source, name)
				list := m.Read.Values(r).List
				require.Equal(t, append([]string{"success", ""}, list...), m.Read(r, []string{"success", ""}), "%s %s", source, name)
				if have, ok := said[m.Key]; ok {
					require.Equal(t, have, list, m.Key)
				}
				said[m.Key] = list
			}
		}
	}
	r, err := record.Decode([]byte(signIn), record.Defaults{})
	require.NoError(t, err)
	room := make([]string, 0, 16)
	for _, name := range []string{"operationName", "Status", "ResultType", "ResultDescription", "location", "callerIpAddress", "ipAddress", "User", "riskEventType", "deviceDetail.deviceId", "nothing"} {
		read := table.Resolve("signinlogs", name).Read
		require.Zero(t, testing.AllocsPerRun(20, func() { room = read(r, room[:0]) }), name)
	}
}

// Every row says why, and holds a kind that the vocabulary knows.
func TestTheTable(t *testing.T) {
	table, err := Standard()
	require.NoError(t, err)
	known, err := vocabulary.Standard()
	require.NoError(t, err)
	require.Equal(t, []string{"activitylogs", "auditlogs", "m365", "pim", "riskdetection", "signinlogs"}, table.Sources())
	for _, source := range table.Sources() {
		require.NotEmpty(t, table.Rows(source))
		for _, row := range table.Rows(source) {
			require.NotEmpty(t, row.Why, row.Field)
			if row.Holds != "" {
				require.NotNil(t, known.Kind(row.Holds), "%s:%d: %s", row.File, row.Line, row.Holds)
			}
		}
	}
}

func TestAFolderAddsRows(t *testing.T) {
	table, err := Load(fstest.MapFS{File: {Data: []byte("signinlogs:\n  rows:\n    - {field: Ort, path: [a.b, location.city], why: ours}\n    - {field: STATUS, fact: signIn.code, why: ours}\n  documented: [c]\n")}})
	require.NoError(t, err)
	r, err := record.Decode([]byte(strings.Replace(signIn, `"countryOrRegion":"FR"`, `"city":"Lyon"`, 1)), record.Defaults{})
	require.NoError(t, err)
	require.Equal(t, []string{"Lyon"}, table.Resolve("signinlogs", "ort").Read.Values(r).List)
	require.Equal(t, []string{"500121"}, table.Resolve("signinlogs", "Status").Read.Values(r).List)
	require.True(t, table.Resolve("signinlogs", "properties.c").Known)
	standard, err := Standard()
	require.NoError(t, err)
	require.False(t, standard.Resolve("signinlogs", "Ort").Known, "the table that ships stays as it is")
	_, err = Load(fstest.MapFS{})
	require.NoError(t, err)
}

func TestMalformedRows(t *testing.T) {
	for text, want := range map[string]string{
		"[a]":                                "x.yml:1: expected log sources",
		"windows: {}":                        `x.yml:1: unknown log source "windows"`,
		"pim: 1":                             "x.yml:1: a log source has rows",
		"pim: {rwos: []}":                    `x.yml:1: unknown key "rwos"`,
		"pim:\n  rows: {a: b}":               "x.yml:2: rows are a list",
		"pim:\n  rows:\n  - a":               "x.yml:3: a row has field",
		"pim:\n  documented: {}":             "x.yml:2: documented is a list",
		"pim: {like: windows}":               `x.yml:1: like "windows"`,
		"pim:\n  rows:\n  - {}":              "x.yml:3: a row needs a field",
		"pim:\n  rows: [{f: a}]":             `x.yml:2: unknown key "f"`,
		"a: [":                               "x.yml: yaml",
		"pim: {rows: [{field: []}]}":         "x.yml:1: field is a text",
		"pim: {rows: [{field: a, path: b}]}": "x.yml:1: field a needs a why",
		"pim: {rows: [{field: a, why: b}]}":  "x.yml:1: field a needs either a path or a fact",
		"pim: {rows: [{field: a, path: b, fact: target, why: b}]}": "x.yml:1: field a needs either a path or a fact",
		"pim: {rows: [{field: a, path: '', why: b}]}":              "x.yml:1: field a has an empty path",
		"pim: {rows: [{field: a, path: {b: c}, why: b}]}":          "x.yml:1: a path is a name",
		"pim: {rows: [{field: a, fact: nobody, why: b}]}":          `x.yml:1: field a: there is no fact "nobody"; expected one of activity.category`,
	} {
		_, err := With("x.yml", strings.NewReader(text))
		require.ErrorContains(t, err, want, text)
	}
	_, err := With("x.yml", strings.NewReader(""))
	require.NoError(t, err)
	_, err = With("x.yml", strings.NewReader(strings.Repeat("#", maxFile+1)))
	require.ErrorContains(t, err, "more than")
}

// Whatever a user's file says: a table or an error with its name.
func FuzzTable(f *testing.F) {
	f.Add("signinlogs:\n  rows:\n    - {field: Ort, path: [a.b], why: ours}\n")
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := With("f.yml", strings.NewReader(text)); err != nil && !strings.HasPrefix(err.Error(), "f.yml") {
			t.Fatalf("an error without its place: %v", err)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	table, err := Standard()
	require.NoError(b, err)
	r, err := record.Decode([]byte(audit), record.Defaults{})
	require.NoError(b, err)
	for _, name := range []string{"operationName", "properties.message", "Status", "targetResources.modifiedProperties.displayName"} {
		b.Run(name, func(b *testing.B) {
			read, room := table.Resolve("auditlogs", name).Read, make([]string, 0, 8)
			b.ReportAllocs()
			for b.Loop() {
				read(r, room)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for source, want := range map[[3]string]string{
		{"azure", "SignInLogs", ""}: "signinlogs", {"azure", "", "signinlogs"}: "signinlogs", {"azure", "noninteractiveusersigninlogs", ""}: "signinlogs",
		{"azure", "", "RiskyUsers"}: "riskdetection", {"azure", "policy", ""}: "activitylogs", {"azure", "provisioninglogs", ""}: "provisioninglogs", {"azure", "", ""}: "",
		{"m365", "exchange", ""}: "m365", {"azure", "enrichedoffice365auditlogs", ""}: "m365",
	} {
		require.Equal(t, want, Name(source[0], source[1], source[2]), source)
	}
}
