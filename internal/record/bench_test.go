package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// benchRecords are sign-ins and audits as they come from the stream, about 3 KB each.
func benchRecords(b *testing.B) [][]byte {
	var out [][]byte
	for i := range 64 {
		sign := signInRecord()
		p := properties(sign)
		p["id"], p["userId"] = fmt.Sprintf("sign-in-%d", i), fmt.Sprintf("user-%d", i%17)
		var policies []fields
		for n := range 6 {
			policies = append(policies, fields{"id": fmt.Sprintf("policy-%d", n), "displayName": "Require multifactor authentication for everybody", "result": "notApplied",
				"enforcedGrantControls": []string{"Mfa"}, "enforcedSessionControls": []string{}, "conditionsSatisfied": 3, "conditionsNotSatisfied": 8})
		}
		p["appliedConditionalAccessPolicies"] = policies
		p["authenticationProcessingDetails"] = []fields{{"key": "Login Hint Present", "value": "True"}, {"key": "Oauth Scope Info", "value": `["AuditLog.Read.All","Mail.Read"]`}}
		out = append(out, encodeFor(b, sign))
		if i%8 == 0 {
			audit := auditRecord()
			properties(audit)["id"] = fmt.Sprintf("audit-%d", i)
			out = append(out, encodeFor(b, audit))
		}
	}
	return out
}

func encodeFor(b *testing.B, v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		b.Fatal(err)
	}
	return raw
}

// The structs that the standard library decodes into hold what Decode reads, no more.
type stdRecord struct {
	Time              string        `json:"time"`
	ResourceID        string        `json:"resourceId"`
	Category          string        `json:"category"`
	TenantID          string        `json:"tenantId"`
	OperationName     string        `json:"operationName"`
	ResultType        any           `json:"resultType"`
	CallerIPAddress   string        `json:"callerIpAddress"`
	CorrelationID     string        `json:"correlationId"`
	PropertiesDecoded stdProperties `json:"properties"`
}

type stdProperties struct {
	ID                  string `json:"id"`
	CreatedDateTime     string `json:"createdDateTime"`
	ActivityDateTime    string `json:"activityDateTime"`
	ActivityDisplayName string `json:"activityDisplayName"`
	Result              string `json:"result"`
	CorrelationID       string `json:"correlationId"`
	UserID              string `json:"userId"`
	UserPrincipalName   string `json:"userPrincipalName"`
	UserDisplayName     string `json:"userDisplayName"`
	HomeTenantID        string `json:"homeTenantId"`
	IPAddress           string `json:"ipAddress"`
	UserAgent           string `json:"userAgent"`
	SessionID           string `json:"sessionId"`
	AppDisplayName      string `json:"appDisplayName"`
	AppID               string `json:"appId"`
	Location            struct{ CountryOrRegion string }
	DeviceDetail        struct{ DeviceID string }
	Status              struct {
		ErrorCode         int
		AdditionalDetails string
	}
	AuthenticationDetails []struct {
		AuthenticationMethod          string
		AuthenticationStepRequirement string
		Succeeded                     any
	}
	InitiatedBy struct {
		User struct{ ID, DisplayName, UserPrincipalName, IPAddress string }
		App  struct{ AppID, DisplayName, ServicePrincipalID string }
	}
	TargetResources []struct {
		Type, ID, UserPrincipalName, DisplayName string
		ModifiedProperties                       []struct{ DisplayName, OldValue, NewValue string }
	}
}

// BenchmarkDecode decodes records one after another, as ingest and detectors do; x-std is how many times as many as
// encoding/json into structs of the same members, in the same run.
func BenchmarkDecode(b *testing.B) {
	records := benchRecords(b)
	size := 0
	for _, r := range records {
		size += len(r)
	}
	b.SetBytes(int64(size / len(records)))
	b.ReportAllocs()
	var dec Decoder
	d := Defaults{Enqueued: enqueued}
	copies := make([][]byte, len(records))
	for i, r := range records {
		copies[i] = bytes.Clone(r)
	}
	n := 0
	for b.Loop() {
		if _, err := dec.Decode(copies[n%len(copies)], d); err != nil {
			b.Fatal(err)
		}
		n++
	}
	ours := float64(n) / b.Elapsed().Seconds()
	b.StopTimer()
	began := time.Now()
	std := 0
	for ; std < 2000 || time.Since(began) < b.Elapsed()/2; std++ {
		var r stdRecord
		if err := json.Unmarshal(copies[std%len(copies)], &r); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(ours, "records/s")
	b.ReportMetric(ours/(float64(std)/time.Since(began).Seconds()), "x-std")
}

// BenchmarkShared decodes records that somebody's tenant wrote, file by file: exports have other shapes than the stream.
func BenchmarkShared(b *testing.B) {
	dir := os.Getenv("CORDON_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared") // beside the repository
	}
	for _, name := range []string{"msticpy/aad_logons_eventhub_derived", "msticpy/aad_logons_loganalytics", "blueteam0ps/ual_all", "blueteam0ps/eventhub_derived", "panther/azure_signin_rules", "panther/azure_activity_rules",
		"otrf-security-datasets/AADAuditEvents"} {
		b.Run(filepath.Base(name), func(b *testing.B) {
			data, err := os.ReadFile(filepath.Join(dir, "data", filepath.FromSlash(name)+".ndjson"))
			if err != nil {
				b.Skipf("no shared records: %v (CORDON_SHARED names their folder)", err)
			}
			records := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
			b.SetBytes(int64(len(data) / len(records)))
			b.ReportAllocs()
			var dec Decoder
			d := Defaults{Tenant: tenantID, Enqueued: enqueued}
			for n := 0; b.Loop(); n++ {
				if _, err := dec.Decode(records[n%len(records)], d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFields(b *testing.B) {
	var dec Decoder
	r, err := dec.Decode(encodeFor(b, manyChanges()), Defaults{Enqueued: enqueued})
	if err != nil {
		b.Fatal(err)
	}
	room := make([]string, 0, 16)
	for _, name := range []string{"initiatedBy.user.userPrincipalName", "targetResources.modifiedProperties.newValue", "nothing.of.that"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			read := Path(name)
			for b.Loop() {
				room = read(r, room[:0])
			}
		})
	}
}
