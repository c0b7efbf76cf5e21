package record

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/internal/tape"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// asStored reads what Decode accepts through LOGS too, in a Decoder's memory, and compares all that a record says. Of
// other bytes it wants no more than an end.
func asStored(t require.TestingT, dec *Decoder, raw []byte) {
	d := Defaults{Tenant: "t", Enqueued: enqueued}
	want, err := Decode(raw, d)
	if err != nil {
		if r, err := dec.DecodeStored(raw, Stored{Category: AuditLogs}); err == nil {
			everything(r)
		}
		return
	}
	p := Position{Source: "hub", Partition: "1", Sequence: 2, Index: 3}
	header := want.Headers(p, enqueued)
	got, at, err := dec.FromLogs(header, raw)
	require.NoError(t, err, "%q", raw)
	require.Equal(t, p.String(), at)
	alike(t, want, got)
}

// alike compares all that two records say.
func alike(t require.TestingT, want, got *Record) {
	require.Equal(t, everything(want), everything(got), "%q", want.Raw)
	bare, other := *want, *got
	for _, r := range []*Record{&bare, &other} {
		r.root, r.properties, r.later = tape.Value{}, tape.Value{}, later{}
	}
	require.Equal(t, bare, other, "%q", want.Raw)
}

// everything is all that can be asked of a record.
func everything(r *Record) (all []string) {
	r.Fullness()
	proved, previously := r.MFA()
	all = append(all, r.ID, r.ErrorCode(), r.Result(), r.Correlation(), r.Country(), fmt.Sprintf("%+v %+v %v %v", r.SignIn(), r.Targets(), proved, previously))
	for _, name := range append(FactNames(), "properties.targetResources.modifiedProperties.newValue", "status.errorCode", "category", "a", "nothing.of.that") {
		all = append(all, name)
		all = append(append(all, r.Field(name).List...), Path(name).Values(r).List...)
	}
	r.Each(func(v string) bool { all = append(all, v); return true })
	return all
}

func TestStoredRecordsAreTheSame(t *testing.T) {
	var dec Decoder
	for _, f := range []any{auditRecord(), signInRecord(), activityRecord(), manyChanges(), inStrings(t), roleGiven(), unifiedSignIn("UserLoginFailed", fields{"ErrorNumber": "50126"}), properties(auditRecord())} {
		asStored(t, &dec, encode(t, f))
		noKey := encode(t, f)
		for _, key := range []string{`"id"`, `"Id"`, `"correlationId"`} { // its ID is then its bytes' hash
			noKey = bytes.ReplaceAll(noKey, []byte(key), []byte(`"no"`))
		}
		asStored(t, &dec, noKey)
		asStored(t, &dec, bytes.Replace(noKey, []byte(`":"`), []byte("\":\"\xff\xfe"), 1))
		asStored(t, &dec, noKey[:len(noKey)/2])
	}
}

func TestSharedRecordsAreTheSameStored(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(sharedFolder(), "data", "*", "*.ndjson"))
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("no shared records (CORDON_SHARED names their folder)")
	}
	var dec Decoder
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for line := range bytes.Lines(text) {
			asStored(t, &dec, bytes.TrimSpace(line))
		}
	}
}

// What the headers say is not found out again; what an older edition left out is.
func TestWhatWasFoundOutIsBelieved(t *testing.T) {
	r := decode(t, signInRecord(), Defaults{Enqueued: enqueued})
	h := r.Headers(Position{"hub", "0", 1, 2}, enqueued)
	require.Equal(t, []string{fmt.Sprintf("%s hub/0/1/2 2026-03-02T08:00:01Z %s SignInLogs %x.%x", r.ID, tenantID, r.Fullness(), r.Sum())}, h[HeaderRecord])
	h[HeaderRecord] = []string{"t/SignInLogs/%25 hub/0/1/2 2026-01-02T03:04:05Z an%20other SignInLogs 1f.ab clamped"}
	got, _, err := FromLogs(h, r.Raw)
	require.NoError(t, err)
	require.Equal(t, 0x1f, got.Fullness())
	require.Equal(t, uint64(0xab), got.Sum())
	require.Equal(t, "t/SignInLogs/%", got.ID)
	require.Equal(t, "an other", got.Tenant)
	require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), got.Time)
	require.True(t, got.Clamped)
	require.Equal(t, r.Actor, got.Actor)

	for _, unsaid := range []string{"clamped", "not-utf8 clamped", "0.ab", "1.", ".1", "x.1 clamped", "80000000.1", "1f.10000000000000000"} {
		h[HeaderRecord] = []string{"t/SignInLogs/%25 hub/0/1/2 2026-01-02T03:04:05Z an%20other SignInLogs " + unsaid}
		got, _, err := FromLogs(h, r.Raw)
		require.NoError(t, err)
		require.Equal(t, strings.Contains(unsaid, "clamped"), got.Clamped, unsaid)
		require.Equal(t, r.Fullness(), got.Fullness(), unsaid)
		require.Equal(t, r.Sum(), got.Sum(), unsaid)
	}

	older := func() map[string][]string {
		return map[string][]string{HeaderRecord: {"any"}, HeaderTenant: {tenantID}, HeaderPosition: {"hub/0/1/2"}, HeaderEnqueued: h[HeaderEnqueued]}
	}
	got, position, err := FromLogs(older(), r.Raw)
	require.NoError(t, err)
	require.Equal(t, r.ID, got.ID)
	require.Equal(t, r.Time, got.Time)
	require.Equal(t, Position{"hub", "0", 1, 2}, position)
	for header, broken := range map[string]string{HeaderEnqueued: "then", HeaderTenant: "%z", HeaderPosition: ""} {
		h := older()
		h[header] = []string{broken}
		_, _, err = FromLogs(h, r.Raw)
		require.ErrorContains(t, err, "reading a stored record")
	}
}

func TestHeadersRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z/%+ \r\n]*`), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		escaped := EscapeHeader(s)
		require.Regexp(t, `^[!-~]*$`, escaped)
		got, err := UnescapeHeader(escaped)
		require.NoError(t, err)
		require.Equal(t, s, got)
	})
}

func TestReadingStoredRecordsAllocatesNothing(t *testing.T) {
	for name, f := range map[string]fields{"sign-in": signInRecord(), "audit": manyChanges(), "in strings": inStrings(t), "unified": roleGiven()} {
		r := decode(t, f, Defaults{Enqueued: enqueued})
		h := r.Headers(Position{"hub", "0", 1, 2}, enqueued)
		var dec Decoder
		require.Zero(t, testing.AllocsPerRun(50, func() {
			if _, _, err := dec.FromLogs(h, r.Raw); err != nil {
				t.Fatal(err)
			}
		}), name)
	}
}

func TestPlainTimesAreTheCalendars(t *testing.T) {
	for at := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 9998; at = at.Add(2999*time.Hour + 61*time.Minute + 7*time.Second + 123456789) {
		got, ok := plainTime(at.Format(time.RFC3339Nano))
		require.True(t, ok)
		if got != at {
			t.Fatal(got, at)
		}
	}
	for year := 1970; year < 2500; year++ {
		for _, day := range []string{"-02-28", "-03-01", "-12-31", "-01-01"} {
			s := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Format("2006") + day
			want, err := time.Parse(time.DateOnly, s)
			require.NoError(t, err)
			got, ok := plainTime(s + "T00:00:00Z")
			require.True(t, ok)
			require.Equal(t, want, got)
		}
	}
}

func FuzzStored(f *testing.F) {
	for _, seed := range []any{auditRecord(), signInRecord(), activityRecord(), inStrings(f), roleGiven(), properties(auditRecord()), fields{"category": 7, "time": nil}} {
		f.Add(encode(f, seed))
	}
	f.Add([]byte(`{"category":"AuditLogs","tenantId":"t","time":"2026-03-02","properties":"{\"properties\":[]}"}`))
	f.Add([]byte(`{"category":"AuditLogs","tenantId":"\u12","time":tru]`))
	f.Fuzz(func(t *testing.T, raw []byte) { asStored(t, new(Decoder), raw) })
}
