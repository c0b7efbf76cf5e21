package record

import (
	"bytes"
	"fmt"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var enqueued = time.Date(2026, 3, 2, 8, 15, 0, 123456789, time.UTC)

// back stores a record as LOGS does and reads it again. Headers go through the text of a header block, where a
// newline in a value would begin another one.
func back(t require.TestingT, r *Record, p Position) (*Record, Position) {
	headers := map[string][]string{}
	for name, values := range r.Headers(p, enqueued) {
		require.Len(t, values, 1)
		require.NotContains(t, values[0], "\n")
		require.NotContains(t, values[0], "\r")
		require.Equal(t, textproto.TrimString(values[0]), values[0])
		require.Less(t, len(values[0]), 8<<10)
		headers[name] = values
	}
	got, at, err := FromLogs(headers, r.Raw)
	require.NoError(t, err)
	require.Equal(t, shorten(r.Actor.Key()), PrincipalOf(headers))
	return got, at
}

func TestStoredAndReadAgain(t *testing.T) {
	for name, user := range map[string]string{
		"plain": "u1", "wildcards": "*.>", "dots": "a.b.c", "newline": "a\r\nCordon-Tenant: other", "empty": "", "unicode": "ä\u202e", "long": strings.Repeat("é", 5000),
	} {
		t.Run(name, func(t *testing.T) {
			f := signInRecord()
			properties(f)["userId"], properties(f)["id"] = user, "s\n"+user
			r := decode(t, f, Defaults{Enqueued: enqueued})
			p := Position{Source: "ns.example/hub with / and %", Partition: "0", Sequence: 1 << 60, Index: 7}
			got, at := back(t, r, p)
			require.Equal(t, p, at)
			alike(t, r, got)
		})
	}
}

func TestAHugeIDBecomesItsHash(t *testing.T) {
	f := signInRecord()
	properties(f)["id"] = strings.Repeat("*.>\n", 50_000)
	r := decode(t, f, Defaults{})
	require.Len(t, r.ID, len(tenantID+"/SignInLogs/")+64)
	back(t, r, Position{})

	properties(f)["id"] = strings.Repeat("x", 2<<20)
	_, err := Decode(encode(t, f), Defaults{})
	require.ErrorContains(t, err, "at most")
}

func TestWhatTheRecordDoesNotSayIsKeptBeside(t *testing.T) {
	f := signInRecord()
	delete(f, "tenantId")
	properties(f)["createdDateTime"] = enqueued.Add(time.Hour).Format(time.RFC3339)
	r := decode(t, f, Defaults{Tenant: "given", Enqueued: enqueued})
	require.True(t, r.Clamped)
	got, _ := back(t, r, Position{})
	require.Equal(t, "given", got.Tenant)
	require.Equal(t, r.ID, got.ID)
	require.True(t, got.Clamped)
	require.Equal(t, enqueued, got.Time)
}

func TestBrokenHeadersAreErrors(t *testing.T) {
	r := decode(t, signInRecord(), Defaults{})
	for _, broken := range []string{"", "id", "id hub/0/1/0 then t c", "id hub/0/1/0 2026-01-02T03:04:05Z %zz c", "id hub/0/1/0 2026-01-02T03:04:05Z t %1", "% hub/0/1/0 2026-01-02T03:04:05Z t c", "id a/b 2026-01-02T03:04:05Z t c"} {
		h := r.Headers(Position{}, enqueued)
		h[HeaderRecord] = []string{broken}
		_, _, err := FromLogs(h, r.Raw)
		require.Error(t, err, broken)
	}
	_, _, err := FromLogs(nil, r.Raw)
	require.Error(t, err)
	require.Empty(t, PrincipalOf(nil))
}

func TestPositionsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Position{rapid.String().Draw(t, "source"), rapid.String().Draw(t, "partition"), rapid.Int64().Draw(t, "sequence"), rapid.Int().Draw(t, "index")}
		got, err := ParsePosition(p.String())
		require.NoError(t, err)
		require.Equal(t, p, got)
	})
}

// Whatever the bytes, decoding neither panics nor makes two records of one.
func FuzzDecode(f *testing.F) {
	odd := auditRecord()
	properties(odd)["initiatedBy"] = `{"app":null,"user":[]}`
	properties(odd)["targetResources"] = []any{nil, "x", fields{"modifiedProperties": `[1,{"newValue":{}}]`}}
	properties(odd)["additionalDetails"] = fields{"key": "TemplateId"}
	sign := signInRecord()
	properties(sign)["authenticationDetails"] = `[{"succeeded":null},[]]`
	sign["properties"] = string(encode(f, sign["properties"]))
	for _, seed := range []any{auditRecord(), signInRecord(), activityRecord(), odd, sign, properties(auditRecord()), fields{"category": 7, "time": nil},
		changed("Consent to application", [][3]any{{"ConsentAction.Permissions", 1, "Scope: , ]"}, {"KeyDescription", "[", "[[]]"}})} {
		f.Add(encode(f, seed))
	}
	f.Add([]byte(`{"category":"AuditLogs","tenantId":"t","time":"2026-03-02","properties":"{\"properties\":[]}"}`))
	f.Add([]byte(`[[[{`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d := Defaults{Tenant: "t", Enqueued: enqueued}
		r, err := Decode(raw, d)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error that says nothing")
			}
			return
		}
		// Every fact can be asked for.
		for _, field := range factFields {
			r.Field(field.name)
		}
		r.Field("properties.targetResources.modifiedProperties.newValue")
		if r.ID == "" || r.Time.IsZero() || r.Tenant == "" && r.Decoded() {
			t.Fatalf("decoded without id, time or tenant: %+v", r)
		}
		again, err := Decode(r.Raw, d)
		if err != nil || again.ID != r.ID || !again.Time.Equal(r.Time) || again.Sum() != r.Sum() {
			t.Fatalf("decoded again: %v, %s is not %s", err, fmt.Sprint(again), r.ID)
		}
		got, _, err := FromLogs(r.Headers(Position{Source: "s", Partition: "p"}, enqueued), r.Raw)
		if err != nil || got.ID != r.ID || got.Tenant != r.Tenant {
			t.Fatalf("read from LOGS: %v, %v", err, got)
		}
	})
}

func TestWhatIsOddAboutARecordIsMarked(t *testing.T) {
	f := signInRecord()
	raw := bytes.Replace(encode(t, f), []byte(`"userAgent":"`), []byte("\"userAgent\":\"\xff\xfe"), 1)
	r, err := Decode(raw, Defaults{Enqueued: enqueued.Add(-48 * time.Hour)})
	require.NoError(t, err)
	require.Regexp(t, tenantID+` SignInLogs [0-9a-f]+\.[0-9a-f]+ clamped not-utf8$`, r.Headers(Position{}, enqueued)[HeaderRecord][0])
	require.Equal(t, raw, r.Raw, "kept as it came")
	require.NotContains(t, decode(t, f, Defaults{Enqueued: enqueued}).Headers(Position{}, enqueued)[HeaderRecord][0], "clamped")
}
