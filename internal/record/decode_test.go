package record

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const tenantID = "7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11"

// fields is a JSON object of a test record.
type fields = map[string]any

// auditRecord is an audit record in an envelope, as diagnostic settings write it.
func auditRecord() fields {
	return fields{
		"time": "2026-03-02T08:10:05.1234567Z", "category": "AuditLogs", "operationName": "Add user", "tenantId": tenantID,
		"resourceId": "/tenants/" + tenantID + "/providers/Microsoft.aadiam", "Level": 4, "durationMs": 0,
		"properties": fields{
			"id": "Directory_1", "category": "UserManagement", "result": "success", "correlationId": "c1",
			"activityDisplayName": "Add user", "activityDateTime": "2026-03-02T08:10:04.1234567Z", "loggedByService": "Core Directory",
			"initiatedBy":     fields{"user": fields{"id": "u1", "userPrincipalName": "avery@contoso.example", "ipAddress": "198.51.100.23"}},
			"targetResources": []any{fields{"id": "u2", "type": "User", "userPrincipalName": "svc@contoso.example"}},
		},
	}
}

// signInRecord is a sign-in in an envelope.
func signInRecord() fields {
	return fields{
		"time": "2026-03-02T08:02:05Z", "category": "SignInLogs", "operationName": "Sign-in activity", "tenantId": tenantID,
		"resultType": "0", "callerIpAddress": "198.51.100.23",
		"properties": fields{
			"id": "s1", "createdDateTime": "2026-03-02T08:00:01Z", "userId": "u1", "userPrincipalName": "avery@contoso.example",
			"ipAddress": "198.51.100.23", "status": fields{"errorCode": 0}, "correlationId": "c1", "sessionId": "x1",
			"location": fields{"countryOrRegion": "RO"}, "deviceDetail": fields{"deviceId": "d1"}, "userAgent": "UA", "appDisplayName": "Portal",
		},
	}
}

func properties(f fields) fields { return f["properties"].(fields) }

func encode(t require.TestingT, v any) []byte {
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return raw
}

// digest is what the ID of a record without a key of its own ends in.
func digest(r *Record) string {
	sum := sha256.Sum256(r.Raw)
	return hex.EncodeToString(sum[:])
}

func decode(t require.TestingT, v any, d Defaults) *Record {
	r, err := Decode(encode(t, v), d)
	require.NoError(t, err)
	return r
}

func TestAuditRecordIsDecoded(t *testing.T) {
	r := decode(t, auditRecord(), Defaults{})
	require.Equal(t, tenantID+"/AuditLogs/Directory_1", r.ID)
	require.Equal(t, "2026-03-02T08:10:04.1234567Z", r.Time.Format(time.RFC3339Nano), "the activity's time, not that of the envelope")
	require.Equal(t, "Add user", r.Operation)
	require.Equal(t, "success", r.Result())
	require.Equal(t, Party{Type: User, ID: "u1", UPN: "avery@contoso.example", Address: "198.51.100.23"}, r.Actor)
	require.Equal(t, []Target{{Type: "User", ID: "u2", UPN: "svc@contoso.example"}}, r.Targets())
	require.Nil(t, r.SignIn())
}

func TestSignInIsDecoded(t *testing.T) {
	r := decode(t, signInRecord(), Defaults{})
	require.Equal(t, tenantID+"/SignInLogs/s1", r.ID)
	require.Equal(t, "2026-03-02T08:00:01Z", r.Time.Format(time.RFC3339))
	require.Equal(t, "success", r.Result())
	require.Equal(t, &SignIn{HasError: true, Address: "198.51.100.23", Country: "RO", Agent: "UA", Device: "d1", Session: "x1", App: "Portal"}, r.SignIn())
	require.True(t, r.SignIn().PasswordKnown())
}

func TestTimes(t *testing.T) {
	for in, want := range map[string]string{
		"2022-01-22T18:15:02.3875429Z":         "2022-01-22T18:15:02.3875429Z",
		"2022-01-22T18:15:02.346468+00:00":     "2022-01-22T18:15:02.346468Z",
		"2022-01-22T18:15:02.123456789Z":       "2022-01-22T18:15:02.123456789Z",
		"2022-01-22T18:15:02.38Z":              "2022-01-22T18:15:02.38Z",
		"2022-01-22T18:15:02":                  "2022-01-22T18:15:02Z",
		"2022-01-22T18:15:02.5":                "2022-01-22T18:15:02.5Z",
		"2022-01-22T18:15:02+02:00":            "2022-01-22T16:15:02Z",
		"2022-01-22T18:15:02-05:00":            "2022-01-22T23:15:02Z",
		"2022-01-22 18:15:02.123":              "2022-01-22T18:15:02.123Z",
		"2022-01-22 18:15:02Z":                 "2022-01-22T18:15:02Z",
		"11/14/2025 1:48:53 AM":                "2025-11-14T01:48:53Z",
		"8/22/2022 6:11:52 PM":                 "2022-08-22T18:11:52Z",
		"01/09/2007 09:41:00":                  "2007-01-09T09:41:00Z",
		"1/9/2007 10:41:00 AM +01:00":          "2007-01-09T09:41:00Z",
		"2022-09-09T9:59:27.958Z":              "2022-09-09T09:59:27.958Z",
		" 2022-01-22T18:15:02Z ":               "2022-01-22T18:15:02Z",
		"":                                     "",
		"yesterday":                            "",
		"0001-01-01T00:00:00Z":                 "",
		"9999-12-31T23:59:59Z":                 "",
		"2022-13-01T00:00:00Z":                 "",
		"2022-01-22T18:15:02.3875429Z trailer": "",
	} {
		got, ok := ParseTime(in)
		require.Equal(t, want != "", ok, in)
		if ok {
			require.Equal(t, want, got.Format(time.RFC3339Nano), in)
			require.Equal(t, time.UTC, got.Location())
		}
	}
}

// quirks changes one thing of a record as some tenant, relay or export does, and says what must come of it.
func TestQuirks(t *testing.T) {
	sign := func(change func(fields, fields)) fields {
		f := signInRecord()
		change(f, properties(f))
		return f
	}
	audit := func(change func(fields, fields)) fields {
		f := auditRecord()
		change(f, properties(f))
		return f
	}
	for name, c := range map[string]struct {
		record any
		check  func(*testing.T, *Record)
	}{
		"tenant from the resource, capitals folded": {
			audit(func(f, _ fields) {
				delete(f, "tenantId")
				f["resourceId"] = "/TENANTS/7C2F0C1E-52A7-4F1E-9A0B-3A5F5F0E7A11/PROVIDERS/MICROSOFT.AADIAM"
			}),
			func(t *testing.T, r *Record) { require.Equal(t, tenantID+"/AuditLogs/Directory_1", r.ID) },
		},
		"empty tenant": {
			audit(func(f, _ fields) { f["tenantId"] = "" }),
			func(t *testing.T, r *Record) { require.Equal(t, tenantID, r.Tenant) },
		},
		"en dash and trailing blank": {
			audit(func(f, p fields) {
				f["operationName"] = "Update application \u2013 Certificates and secrets management "
			}),
			func(t *testing.T, r *Record) {
				require.Equal(t, "Update application - Certificates and secrets management", r.Operation)
			},
		},
		"final full stop": {
			audit(func(f, _ fields) { f["operationName"] = "Add member to role." }),
			func(t *testing.T, r *Record) { require.Equal(t, "Add member to role", r.Operation) },
		},
		"the activity's name is normalised for rules too": {
			audit(func(_, p fields) { p["activityDisplayName"] = "Add user. " }),
			func(t *testing.T, r *Record) {
				require.Equal(t, []string{"Add user"}, r.Field("ActivityDisplayName").List)
			},
		},
		"category in another case": {
			sign(func(f, _ fields) { f["category"] = "NonInteractiveUserSIgnInLogs" }),
			func(t *testing.T, r *Record) { require.Equal(t, NonInteractiveUserSignInLogs, r.Category) },
		},
		"custom security attributes are a log of their own": {
			audit(func(f, _ fields) { f["category"] = "customsecurityattributeauditlogs" }),
			func(t *testing.T, r *Record) {
				require.Equal(t, CustomSecurityAttributeAuditLogs, r.Category)
			},
		},
		"all keys in lower case": {
			func() any {
				var lower func(any) any
				lower = func(v any) any {
					switch v := v.(type) {
					case fields:
						out := fields{}
						for k, m := range v {
							out[strings.ToLower(k)] = lower(m)
						}
						return out
					case []any:
						out := make([]any, len(v))
						for i := range v {
							out[i] = lower(v[i])
						}
						return out
					}
					return v
				}
				return lower(signInRecord())
			}(),
			func(t *testing.T, r *Record) {
				want := decode(t, signInRecord(), Defaults{})
				require.Equal(t, want.SignIn(), r.SignIn())
				require.Equal(t, want.ID, r.ID)
				require.Equal(t, want.Actor, r.Actor)
			},
		},
		"resultType decides where there is no status": {
			sign(func(f, p fields) { delete(p, "status"); f["resultType"] = "50126" }),
			func(t *testing.T, r *Record) { require.Equal(t, 50126, r.SignIn().Error) },
		},
		"resultType as a number": {
			sign(func(f, p fields) { delete(p, "status"); f["resultType"] = 50126 }),
			func(t *testing.T, r *Record) { require.Equal(t, "failure", r.Result()) },
		},
		"the status wins over resultType and resultSignature": {
			sign(func(f, _ fields) { f["resultType"] = "50140"; f["resultSignature"] = "FAILURE" }),
			func(t *testing.T, r *Record) { require.Equal(t, "success", r.Result()) },
		},
		"error code as a text": {
			sign(func(_, p fields) { p["status"] = fields{"errorCode": "50126"} }),
			func(t *testing.T, r *Record) { require.Equal(t, 50126, r.SignIn().Error) },
		},
		"no result at all is neither success nor failure": {
			sign(func(f, p fields) { delete(p, "status"); delete(f, "resultType") }),
			func(t *testing.T, r *Record) {
				require.Empty(t, r.Result())
				require.False(t, r.SignIn().PasswordKnown())
				require.True(t, r.Field("signIn.errorCode").Absent)
			},
		},
		"JSON in strings": {
			sign(func(_, p fields) {
				p["status"] = `{"errorCode":50076}`
				p["location"] = `{"countryOrRegion":"DE"}`
				p["deviceDetail"] = `{"deviceId":"d9"}`
			}),
			func(t *testing.T, r *Record) {
				require.Equal(t, 50076, r.SignIn().Error)
				require.Equal(t, "DE", r.SignIn().Country)
				require.Equal(t, "d9", r.SignIn().Device)
			},
		},
		"properties as JSON in a string": {
			sign(func(f, p fields) { f["properties"] = string(must(json.Marshal(p))) }),
			func(t *testing.T, r *Record) { require.Equal(t, "u1", r.Actor.ID) },
		},
		"location as a country": {
			sign(func(f, p fields) { delete(p, "location"); f["location"] = "FR" }),
			func(t *testing.T, r *Record) { require.Equal(t, "FR", r.SignIn().Country) },
		},
		"address from the envelope": {
			sign(func(f, p fields) { delete(p, "ipAddress"); f["callerIpAddress"] = "192.0.2.1:4711" }),
			func(t *testing.T, r *Record) { require.Equal(t, "192.0.2.1", r.SignIn().Address) },
		},
		"nulls": {
			sign(func(f, p fields) {
				p["userId"], p["status"], p["location"], p["deviceDetail"], p["authenticationDetails"] = nil, nil, nil, nil, nil
				f["identity"] = nil
			}),
			func(t *testing.T, r *Record) {
				require.Equal(t, "avery@contoso.example", r.Actor.Key())
				require.True(t, r.SignIn().HasError, "resultType is left")
			},
		},
		"Level and duration in any form": {
			audit(func(f, _ fields) { delete(f, "Level"); f["level"], f["durationMs"] = "Informational", "0" }),
			func(t *testing.T, r *Record) { require.Equal(t, []string{"Informational"}, r.Field("Level").List) },
		},
		"initiated by an application": {
			audit(func(_, p fields) {
				p["initiatedBy"] = fields{"user": nil, "app": fields{"appId": "a1", "displayName": "Sync", "servicePrincipalId": "sp1"}}
			}),
			func(t *testing.T, r *Record) {
				require.Equal(t, Party{Type: ServicePrincipal, ID: "sp1", AppID: "a1", Name: "Sync"}, r.Actor)
			},
		},
		"initiated by nobody": {
			audit(func(_, p fields) { delete(p, "initiatedBy") }),
			func(t *testing.T, r *Record) { require.Empty(t, r.Actor.Key()) },
		},
		"roles as a string, address <null>": {
			audit(func(_, p fields) {
				u := p["initiatedBy"].(fields)["user"].(fields)
				u["roles"], u["ipAddress"] = "Global Administrator", "<null>"
			}),
			func(t *testing.T, r *Record) {
				require.Equal(t, "u1", r.Actor.ID)
				require.Empty(t, r.Actor.Address)
			},
		},
		"one target as an object instead of a list": {
			audit(func(_, p fields) { p["targetResources"] = fields{"id": "u2", "type": "User"} }),
			func(t *testing.T, r *Record) { require.Equal(t, []Target{{Type: "User", ID: "u2"}}, r.Targets()) },
		},
		"targets that are no objects": {
			audit(func(_, p fields) { p["targetResources"] = []any{nil, 1, "x", []any{}, fields{"id": "u2"}} }),
			func(t *testing.T, r *Record) { require.Equal(t, []Target{{ID: "u2"}}, r.Targets()) },
		},
		"the time of the envelope is the last resort": {
			audit(func(_, p fields) { delete(p, "activityDateTime") }),
			func(t *testing.T, r *Record) { require.Equal(t, 5, r.Time.Second()) },
		},
		"no id": {
			audit(func(_, p fields) { delete(p, "id") }),
			func(t *testing.T, r *Record) { require.Equal(t, tenantID+"/AuditLogs/"+digest(r), r.ID) },
		},
		"an unknown category in an envelope is kept raw": {
			fields{"time": "2026-03-02T08:02:05Z", "category": "BrandNewLogs", "tenantId": tenantID, "properties": fields{"id": "x"}},
			func(t *testing.T, r *Record) {
				require.Equal(t, tenantID+"/BrandNewLogs/"+digest(r), r.ID)
				require.False(t, r.Decoded())
			},
		},
		"Azure Activity without a tenant": {
			fields{"time": "2026-03-02T08:02:05Z", "category": "Administrative", "resourceId": "/SUBSCRIPTIONS/X"},
			func(t *testing.T, r *Record) { require.Equal(t, "Administrative", r.Category) },
		},
	} {
		t.Run(name, func(t *testing.T) { c.check(t, decode(t, c.record, Defaults{})) })
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestLogAnalyticsRows(t *testing.T) {
	row := fields{
		"TimeGenerated": "2026-03-02T08:02:05Z", "Type": "SigninLogs", "Category": "SignInLogs", "TenantId": "the-workspace", "AADTenantId": tenantID,
		"CreatedDateTime": "2026-03-02T08:00:01Z", "Id": "s1", "UserId": "u1", "UserPrincipalName": "avery@contoso.example", "IPAddress": "198.51.100.23",
		"ResultType": "0", "Status": `{"errorCode":0}`, "LocationDetails": `{"countryOrRegion":"RO"}`, "Location": "RO", "DeviceDetail": `{"deviceId":"d1"}`,
		"CorrelationId": "c1", "SessionId": "x1", "UserAgent": "UA", "AppDisplayName": "Portal", "AuthenticationDetails": "[]",
	}
	r := decode(t, row, Defaults{})
	want := decode(t, signInRecord(), Defaults{})
	require.Equal(t, want.ID, r.ID, "the same record by whatever way it comes")
	require.Equal(t, want.SignIn(), r.SignIn())

	row = fields{
		"TimeGenerated": "2026-03-02T08:10:05Z", "Type": "AuditLogs", "Category": "UserManagement", "TenantId": "the-workspace",
		"ResourceId": "/tenants/" + tenantID + "/providers/Microsoft.aadiam", "OperationName": "Add user", "Result": "success", "Id": "Directory_1",
		"ActivityDateTime": "2026-03-02T08:10:04.1234567Z", "InitiatedBy": `{"user":{"id":"u1","userPrincipalName":"avery@contoso.example"}}`,
		"TargetResources": `[{"id":"u2","type":"User"}]`, "LoggedByService": "Core Directory",
	}
	r = decode(t, row, Defaults{})
	require.Equal(t, tenantID+"/AuditLogs/Directory_1", r.ID)
	require.Equal(t, "u1", r.Actor.ID)
	require.Equal(t, "u2", r.Targets()[0].ID)

	delete(row, "ResourceId")
	require.Equal(t, "given", decode(t, row, Defaults{Tenant: "given"}).Tenant, "the workspace is no tenant")
}

func TestBareRecordsAreToldByTheirShape(t *testing.T) {
	d := Defaults{Tenant: tenantID}
	sign := properties(signInRecord())
	require.Equal(t, SignInLogs, decode(t, sign, d).Category)
	sign["isInteractive"] = false
	require.Equal(t, NonInteractiveUserSignInLogs, decode(t, sign, d).Category)
	audit := properties(auditRecord())
	require.Equal(t, AuditLogs, decode(t, audit, d).Category)
	audit["category"] = "Policy" // also the name of a category of Azure Activity
	require.Equal(t, tenantID+"/AuditLogs/Directory_1", decode(t, audit, d).ID)
}

func TestEventTimeFarAheadIsClamped(t *testing.T) {
	at := time.Date(2026, 3, 2, 8, 0, 1, 0, time.UTC)
	for ahead, clamped := range map[time.Duration]bool{0: false, 5 * time.Minute: false, 5*time.Minute + time.Nanosecond: true, time.Hour: true} {
		r := decode(t, signInRecord(), Defaults{Enqueued: at.Add(-ahead)})
		require.Equal(t, clamped, r.Clamped, ahead)
		if clamped {
			require.Equal(t, at.Add(-ahead), r.Time)
		} else {
			require.Equal(t, at, r.Time)
		}
	}
	f := signInRecord()
	delete(properties(f), "createdDateTime")
	delete(f, "time")
	require.Equal(t, at, decode(t, f, Defaults{Enqueued: at}).Time, "the time of enqueueing is better than none")
	require.Equal(t, at, decode(t, f, Defaults{Assume: at}).Time)

	f = signInRecord()
	properties(f)["createdDateTime"] = "2262-04-11T23:47:16Z"
	require.Equal(t, 2262, decode(t, f, Defaults{Assume: at}).Time.Year())
	properties(f)["createdDateTime"] = "2262-04-11T23:47:17Z" // an int64 of nanoseconds has no such time
	r := decode(t, f, Defaults{Assume: at})
	require.Equal(t, at, r.Time)
	require.True(t, r.Clamped)
	_, err := Decode(encode(t, f), Defaults{})
	require.ErrorContains(t, err, "event time 2262-04-11T23:47:17Z lies after 2262-04-11T23:47:16Z")
}

func TestWhatIsNoRecord(t *testing.T) {
	without := func(f fields, keys ...string) string {
		for _, k := range keys {
			delete(f, k)
			if p, ok := f["properties"].(fields); ok {
				delete(p, k)
			}
		}
		return string(must(json.Marshal(f)))
	}
	long := signInRecord()
	long["tenantId"] = strings.Repeat("t", 300)
	for name, c := range map[string]struct{ raw, want string }{
		"nothing":       {``, "parsing JSON"},
		"noise":         {"\x00\xff\x01", "parsing JSON"},
		"a number":      {`7`, "a record is a JSON object, this is a number"},
		"an array":      {`[]`, "a record is a JSON object, this is an array"},
		"truncated":     {`{"category":"AuditLogs"`, "parsing JSON"},
		"nested":        {strings.Repeat(`{"a":`, 5000) + `1` + strings.Repeat(`}`, 5000), "parsing JSON"},
		"no category":   {`{"a":1}`, "no category, and not the shape of a sign-in or an audit record"},
		"unified audit": {`{"Workload":"AzureActiveDirectory","Operation":"UserLoggedIn","RecordType":15}`, "no tenant"},
		"no tenant":     {without(auditRecord(), "tenantId", "resourceId"), "no tenant: neither tenantId nor a resourceId"},
		"no time":       {without(auditRecord(), "time", "activityDateTime"), "no event time"},
		"a wrong time":  {strings.Replace(without(auditRecord(), "activityDateTime"), "2026-03-02T08:10:05", "then", 1), `event time "then`},
		"too large":     {`{"a":"` + strings.Repeat("x", 2<<20) + `"}`, "at most 1048576 are stored"},
		"long tenant":   {string(must(json.Marshal(long))), "tenant has 300 bytes"},
		"long category": {`{"time":"2026-03-02T08:10:05Z","tenantId":"t","category":"` + strings.Repeat("c", 300) + `"}`, "category 300"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Decode([]byte(c.raw), Defaults{})
			require.Nil(t, r)
			require.ErrorContains(t, err, c.want)
			require.Less(t, len(err.Error()), 400)
		})
	}
}

func TestAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"198.51.100.23":                            "198.51.100.23",
		" 198.51.100.23 ":                          "198.51.100.23",
		"198.51.100.23:5678":                       "198.51.100.23",
		"2001:DB8:0:0:0:0:0:1":                     "2001:db8::1",
		"[2001:db8::1]:443":                        "2001:db8::1",
		"::ffff:198.51.100.23":                     "198.51.100.23",
		"fe80::1%eth0":                             "fe80::1",
		"::2a02:cf40:add:4002:91f2:a9b2:e09a:6fc6": "::2a02:cf40:add:4002:91f2:a9b2:e09a:6fc6", // nine groups: kept as it came
		"<null>": "", "": "", "office": "office",
	} {
		require.Equal(t, want, Address(in), in)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "address")
		require.Equal(t, Address(s), Address(Address(s)), "writing in one way is stable")
	})
}

func TestNormalOperationIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.SampledFrom([]rune("ab .-\u2013\u2014\u00a0\n"))).Draw(t, "name")
		require.Equal(t, NormalOperation(s), NormalOperation(strings.ReplaceAll(s, "-", "\u2013")))
		require.Equal(t, strings.TrimSpace(NormalOperation(s)), NormalOperation(s))
	})
}
