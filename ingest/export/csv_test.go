package export

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"cordon/internal/record"
	"github.com/stretchr/testify/require"
)

const (
	tenantID  = "7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11"
	partnerID = "0d9b2c55-6c1f-4e0f-8b8a-1f6b1b6b7c22"
	averyID   = "5b0f6a33-2d3c-4a52-9d59-7d2b2f3a9a01"
)

func itemsOf(t *testing.T, file string) (items []Item) {
	t.Helper()
	require.NoError(t, Read(file, nil, func(it Item) error {
		items = append(items, it)
		return nil
	}))
	return items
}

// decoded are a file's records as every room sees them.
func decoded(t *testing.T, file string) (records []*record.Record) {
	t.Helper()
	for _, it := range itemsOf(t, file) {
		require.NoError(t, it.Err)
		r, err := record.Decode(it.Raw, record.Defaults{Tenant: tenantID})
		require.NoError(t, err)
		records = append(records, r)
	}
	return records
}

// The bytes of a record are its digest, and of an audit record its id: they change on purpose or not at all.
func TestTheRecordsOfACSVAreTheseBytes(t *testing.T) {
	for _, name := range []string{"InteractiveSignIns", "NonInteractiveSignIns", "AuditLogs", "purview"} {
		want, err := os.ReadFile(filepath.Join("testdata", name+".want.ndjson"))
		require.NoError(t, err)
		var got []string
		for _, it := range itemsOf(t, filepath.Join("testdata", name+".csv")) {
			if it.Err == nil {
				got = append(got, string(it.Raw))
			}
		}
		require.Equal(t, strings.Split(strings.TrimSpace(string(want)), "\n"), got, name)
	}
}

func TestSignInsOfThePortal(t *testing.T) {
	got := decoded(t, filepath.Join("testdata", "InteractiveSignIns.csv"))
	require.Len(t, got, 4)
	for i, want := range []struct {
		at, result string
		code       int
		mfa        record.MFA
		country    string
	}{
		{"2026-03-02T08:20:00Z", "success", 0, record.MFAYes, "CH"},
		{"2026-03-02T08:25:30Z", "failure", 50126, record.MFAUnknown, "US"},
		{"2026-03-02T08:26:01Z", "failure", 50074, record.MFAUnknown, "NL"},
		{"2026-03-02T08:30:00Z", "success", 0, record.MFAUnknown, ""},
	} {
		r := got[i]
		require.Equal(t, record.SignInLogs, r.Category)
		require.Equal(t, tenantID, r.Tenant)
		require.Equal(t, want.at, r.Time.Format(time.RFC3339), i)
		require.Equal(t, want.result, r.Result(), i)
		require.Equal(t, want.code, r.SignIn().Error, i)
		require.True(t, r.SignIn().HasError)
		proved, _ := r.MFA()
		require.Equal(t, want.mfa, proved, i)
		require.Equal(t, want.country, r.SignIn().Country, i)
	}
	first := got[0]
	require.Equal(t, tenantID+"/SignInLogs/1a6f2f0a-6c0b-4f0e-8f4a-0b8f6a5c0100", first.ID)
	require.Equal(t, record.Party{Type: record.User, ID: averyID, UPN: "avery@contoso.example", Name: "Avery Howard", Home: tenantID, Address: "198.51.100.23"}, first.Actor)
	require.Equal(t, "c0ffee00-0000-4000-8000-000000000001", first.Correlation())
	require.Equal(t, "d1", first.SignIn().Device)
	require.Equal(t, "00c1", first.SignIn().Session)
	require.Equal(t, "Azure Portal", first.SignIn().App)
	require.Equal(t, `Mozilla/5.0 (Windows NT 10.0; Win64; x64), "test"`, first.SignIn().Agent)
	for field, want := range map[string]string{
		"authenticationRequirement": "multiFactorAuthentication", "conditionalAccessStatus": "success", "incomingTokenType": "none",
		"uniqueTokenIdentifier": "-9vGkQ", "appId": "c44b4083-3bb0-49c1-b47d-974e53cbdf3c", "deviceDetail.isManaged": "false",
		"processingTimeInMilliseconds": "131", "autonomousSystemNumber": "64500", "location.city": "Zug",
		"tokenProtectionStatusDetails.signInSessionStatusCode": "1002", "Home-grown column": "kept", "tokenIssuerType": "AzureAD",
	} {
		require.Equal(t, []string{want}, first.Field(field).List, field)
	}
	require.Equal(t, []string{"Washington, D.C."}, got[1].Field("location.city").List)
	require.Equal(t, []string{"Strong Authentication\nis required."}, got[2].Field("status.failureReason").List)
	partner := got[3]
	require.Equal(t, partnerID, partner.Actor.Home, "whose home is elsewhere stands in the log of the file's tenant")
	require.Equal(t, []string{"serviceProvider"}, partner.Field("crossTenantAccessType").List)

	other := decoded(t, filepath.Join("testdata", "NonInteractiveSignIns.csv"))
	require.Len(t, other, 1)
	require.Equal(t, record.NonInteractiveUserSignInLogs, other[0].Category, "the file's name says so")
	require.Equal(t, first.Actor, other[0].Actor, "a semicolon separates as well")
}

func TestAuditLogsOfThePortal(t *testing.T) {
	got := decoded(t, filepath.Join("testdata", "AuditLogs.csv"))
	require.Len(t, got, 3)
	role := got[0]
	require.Equal(t, record.AuditLogs, role.Category)
	require.Equal(t, "Add member to role", role.Operation)
	require.Equal(t, "success", role.Result())
	require.Equal(t, "c0ffee00-0000-4000-8000-00000000000a", role.Correlation())
	require.Equal(t, "2026-03-02T08:15:00.1234567Z", role.Time.Format(time.RFC3339Nano))
	require.Equal(t, record.Party{Type: record.User, ID: averyID, UPN: "avery@contoso.example", Name: "Avery Howard", Home: tenantID, Address: "198.51.100.23"}, role.Actor)
	require.Len(t, role.Targets(), 2)
	require.Equal(t, "svc@contoso.example", role.Targets()[0].UPN)
	require.Equal(t, record.Change{Name: "Role.DisplayName", New: "Global Administrator"}, role.Targets()[0].Changes[1])
	ids, names := role.Roles()
	require.Contains(t, ids, "62e90394-69f5-4237-9190-012177145e10")
	require.Equal(t, []string{"Global Administrator"}, names)
	require.Equal(t, []string{"User-Agent"}, role.Field("additionalDetails.key").List)

	app := got[1]
	require.Equal(t, "Update application - Certificates and secrets management", app.Operation)
	require.Equal(t, record.Party{Type: record.ServicePrincipal, ID: "a1b2c3d4-0000-4000-8000-00000000000d", Name: "Deploy", Address: "203.0.113.9"}, app.Actor)
	added, ok := app.CredentialsAdded()
	require.True(t, ok)
	require.Equal(t, []string{"0a0a0a0a-0000-4000-8000-00000000000f"}, added)

	require.Equal(t, "failure", got[2].Result())
	require.Equal(t, []string{"Not allowed,\nsays the \"policy\""}, got[2].Field("resultReason").List)

	_, err := record.Decode(itemsOf(t, filepath.Join("testdata", "AuditLogs.csv"))[0].Raw, record.Defaults{})
	require.ErrorContains(t, err, "no tenant", "the CSV names none")
}

func TestPurviewRowsAreTheirAuditData(t *testing.T) {
	items := itemsOf(t, filepath.Join("testdata", "purview.csv"))
	require.Len(t, items, 2)
	require.True(t, bytes.HasPrefix(items[0].Raw, []byte(`{"CreationTime":"2026-03-02T08:15:00","Id":"aaaa`)))
	require.ErrorIs(t, items[1].Err, errAuditData)
	require.Equal(t, 2, items[1].Line)
}

// wideText is a text as Windows PowerShell writes it.
func wideText(order binary.AppendByteOrder, text string) []byte {
	out := order.AppendUint16(nil, 0xfeff)
	for _, unit := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, unit)
	}
	return out
}

func TestUTF16IsReadAsUTF8(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "AuditLogs.csv"))
	require.NoError(t, err)
	plain := strings.TrimPrefix(strings.ReplaceAll(string(text), "Payroll", "Payroll 💶"), "\ufeff")
	want, err := readAll(t, []byte(plain))
	require.NoError(t, err)
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		got, err := readAll(t, wideText(order, plain))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	got, err := readAll(t, wideText(binary.LittleEndian, "[\r\n{\"a\":\"ü\"}\r\n]"))
	require.NoError(t, err)
	require.Equal(t, []string{`0: {"a":"ü"}`}, got)
	_, err = readAll(t, append(wideText(binary.LittleEndian, "{}"), 'x'))
	require.ErrorContains(t, err, "in the middle of a character")
	broken := binary.LittleEndian.AppendUint16(wideText(binary.LittleEndian, `{"a":"`), 0xd800)
	got, err = readAll(t, append(broken, wideText(binary.LittleEndian, `"}`)[2:]...))
	require.NoError(t, err)
	require.Equal(t, []string{"0: {\"a\":\"\ufffd\"}"}, got)
}

const header = "Date (UTC),Request ID,User ID,Status,Sign-in error code\n"

func TestRowsOfACSV(t *testing.T) {
	good := func(id string) string { return "2026-03-02T08:20:00Z," + id + ",u,Success,\n" }
	for name, c := range map[string]struct{ text, want string }{
		"header alone":             {header, ""},
		"header without its end":   {strings.TrimSpace(header), ""},
		"blank lines":              {"\n" + header + "\n" + good("a") + "\r\n" + good("b"), "3:a 5:b"},
		"no newline at the end":    {header + strings.TrimSpace(good("a")), "1:a"},
		"names however spelt":      {strings.ToUpper(strings.ReplaceAll(header, " ", "  ")) + good("a"), "1:a"},
		"tabs":                     {strings.ReplaceAll(header+good("a"), ",", "\t"), "1:a"},
		"Excel's separator line":   {"sep=;\n" + strings.ReplaceAll(header+good("a"), ",", ";"), "2:a"},
		"PowerShell's type line":   {"#TYPE System.Object\n" + header + good("a"), "2:a"},
		"empty cells at the end":   {header + strings.Replace(good("a"), ",\n", ",,,\n", 1), "1:a"},
		"too few fields":           {header + "2026-03-02T08:20:00Z,a\n" + good("b"), "1! reading the row: it has 2 fields, the header names 5 2:b"},
		"too many fields":          {header + strings.Replace(good("a"), ",\n", ",0,x\n", 1) + good("b"), "1! reading the row: it has 6 fields, the header names 5 2:b"},
		"no date":                  {header + ",a,u,Success,\n" + good("b"), "1! reading the row: it has no date 2:b"},
		"a date of another kind":   {header + "02.03.2026,a,u,Success,\n" + good("b"), `1! reading the row: the date "02.03.2026" is in no form that the portals write 2:b`},
		"dates of the US":          {header + "\"3/2/2026, 8:20:00 AM\",a,u,Success,\n3/2/2026 8:20,b,u,Success,\n", "1:a 2:b"},
		"a quote that stays open":  {header + good("a") + "2026-03-02T08:20:00Z,\"b,u,Success,\n" + good("c") + good("d"), "1:a 2! reading the row: a quotation mark is not closed 3:c 4:d"},
		"a quote amid a field":     {header + "2026-03-02T08:20:00Z,a\"\"b,u,Success,\n" + good("c"), "1! reading the row: bare \" in non-quoted-field 2:c"},
		"two rows torn by a quote": {header + "2026-03-02T08:20:00Z,a\"b,u,Success,\n" + good("c") + "x\"\n" + good("d"), "1! reading the row: bare \" in non-quoted-field 2:c 3! reading the row: a quotation mark is not closed 4:d"},
		"a NUL":                    {header + "\x00\n" + good("c"), "1! reading the row: it has 1 fields, the header names 5 2:c"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, strings.Join(told(t, c.text), " "))
		})
	}
}

// told is what the rows of a text are: their line, and their id or why there is none.
func told(t *testing.T, text string) (got []string) {
	t.Helper()
	require.NoError(t, Read("-", strings.NewReader(text), func(it Item) error {
		at := string(rune('0' + it.Line))
		if it.Err != nil {
			require.NotEmpty(t, it.Raw)
			got = append(got, at+"! "+it.Err.Error())
			return nil
		}
		r, err := record.Decode(it.Raw, record.Defaults{Tenant: tenantID})
		require.NoError(t, err)
		require.Equal(t, time.Date(2026, 3, 2, 8, 20, 0, 0, time.UTC), r.Time)
		got = append(got, at+":"+r.ID[strings.LastIndex(r.ID, "/")+1:])
		return nil
	}))
	return got
}

func TestACSVOfSomethingElseIsAnError(t *testing.T) {
	for name, text := range map[string]string{"names.csv": "first;second\n1;2\n", "names.txt": "first,second,third\n1,2,3\n", "empty.csv": "sep=,\nfirst,second,third\n"} {
		file := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		err := Read(file, nil, func(Item) error { return nil })
		require.ErrorContains(t, err, name)
		require.ErrorContains(t, err, "line ")
		require.ErrorContains(t, err, "expected are those of Purview's audit search")
	}
	file := filepath.Join(t.TempDir(), "sep.txt")
	require.NoError(t, os.WriteFile(file, []byte("sep=,\n{}\n"), 0o600))
	require.ErrorContains(t, Read(file, nil, func(Item) error { return nil }), "line 2: the header of a CSV export was expected")
}

func TestWhatASignInDoesNotSay(t *testing.T) {
	for name, c := range map[string]struct {
		row    string
		known  bool
		result string
	}{
		"success without a code":      {"Success,", true, "success"},
		"a code of its own":           {"Success,50140", true, "failure"},
		"failure without a code":      {"Failure,", false, ""},
		"a code that is no number":    {"Failure,unknown", false, ""},
		"none, as some portals write": {"Success,None", true, "success"},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, Read("-", strings.NewReader(header+"2026-03-02T08:20:00Z,a,u,"+c.row+"\n"), func(it Item) error {
				r, err := record.Decode(it.Raw, record.Defaults{Tenant: tenantID})
				require.NoError(t, err)
				require.Equal(t, c.known, r.SignIn().HasError)
				require.Equal(t, c.result, r.Result())
				return nil
			}))
		})
	}
}

func TestSignInsOfApplications(t *testing.T) {
	const text = "Date (UTC),Request ID,Service principal ID,Service principal name,Credential key ID,Application ID ,Resource tenant ID,Home tenant ID,Status,Sign-in error code\n" +
		"2026-03-02T08:20:00Z,r1,sp1,Deploy,k1,app1," + tenantID + "," + tenantID + ",Success,0\n"
	for name, want := range map[string]string{"ApplicationSignIns_2026-03-02.csv": record.ServicePrincipalSignInLogs, "MSISignIns_2026-03-02.csv": record.ManagedIdentitySignInLogs} {
		file := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		r := decoded(t, file)[0]
		require.Equal(t, want, r.Category)
		require.Equal(t, []string{"sp1"}, r.Field("servicePrincipalId").List)
	}
}

func TestWhoseLogItIs(t *testing.T) {
	for name, c := range map[string]struct {
		rows [][2]string // home, resource
		want []string
	}{
		"one tenant":              {[][2]string{{"a", "A"}}, []string{"a"}},
		"nothing said":            {[][2]string{{"", ""}, {"a", ""}}, []string{"", ""}},
		"two until one is left":   {[][2]string{{"b", "a"}, {"a", "c"}, {"b", "a"}}, []string{"", "a", "a"}},
		"known once, then by all": {[][2]string{{"a", "a"}, {"b", "a"}, {"", ""}}, []string{"a", "a", "a"}},
		"several logs in a file":  {[][2]string{{"a", "a"}, {"b", "b"}, {"c", "d"}}, []string{"a", "b", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			var left tenants
			var got []string
			for _, r := range c.rows {
				got = append(got, left.of(r[0], r[1]))
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestRowsAreBounded(t *testing.T) {
	defer func(row, lines, line int) { maxRow, maxRowLines, maxLine = row, lines, line }(maxRow, maxRowLines, maxLine)
	maxRow, maxRowLines, maxLine = 1<<10, 8, 2<<10
	good := "2026-03-02T08:20:00Z,z,u,Success,\n"
	for name, c := range map[string]struct{ text, want string }{
		"a long row":             {header + "2026-03-02T08:20:00Z," + strings.Repeat("x", 1100) + ",u,,\n" + good, "1! a row is longer than 1024 bytes 2:z"},
		"a long line":            {header + strings.Repeat("x", 3000) + "\n" + good, "1! a line is longer than 2048 bytes 2:z"},
		"a long line in a quote": {header + "\"\n" + strings.Repeat("x", 3000) + "\n" + good, "1! reading the row: a quotation mark is not closed 2! a line is longer than 2048 bytes 3:z"},
		"many lines in a quote":  {header + "\"" + strings.Repeat("\n", 6) + good + strings.Repeat("\n", 40), "1! reading the row: a quotation mark is not closed 7:z"},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, strings.Join(told(t, c.text), " ")) })
	}
}

// Whatever the rows: no panic, each item is JSON or says why it is none, and good rows behind are still read.
func FuzzCSV(f *testing.F) {
	for _, seed := range []string{"2026-03-02T08:20:00Z,a,u,Success,0\n", "\"\n\",x\n", "a\"b\n\"\"\"\n", ",,,,\n", "\x00;\xff\n\"", "3/2/2026 8:20 AM,\"a\"\"b\",u,,\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rows string) {
		last := "2026-03-02T08:20:00Z,the-last-one,u,Success,0\n"
		found := false
		for _, begin := range []string{header, "Date (UTC),Activity,Category,Target1Type,Target1ModifiedProperty1Name\n", "RecordType,AuditData\n"} {
			_ = Read("-", strings.NewReader(begin+rows+"\n"+last), func(it Item) error {
				if it.Err == nil && len(it.Raw) == 0 {
					t.Fatal("neither record nor reason")
				}
				if it.Err == nil {
					if _, err := record.Decode(it.Raw, record.Defaults{Tenant: "t", Assume: time.Unix(1, 0)}); err != nil && begin != "RecordType,AuditData\n" {
						t.Fatalf("a row became %s: %v", it.Raw, err)
					}
				}
				found = found || bytes.Contains(it.Raw, []byte("the-last-one"))
				return nil
			})
		}
		if !found {
			t.Fatal("the last row is lost")
		}
	})
}
