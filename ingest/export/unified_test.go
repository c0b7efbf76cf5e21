package export

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// unified is a record of the unified audit log, as the Management Activity API writes it.
const unified = `{"CreationTime":"2026-03-02T08:15:00","Id":"u1","Operation":"Adduser.","Workload":"AzureActiveDirectory"}`

func TestUnifiedAuditRecordsAreHandedOnBare(t *testing.T) {
	text, err := json.Marshal(unified)
	require.NoError(t, err)
	holder := `{"RecordType":"AzureActiveDirectory","CreationDate":"2026-03-02T08:15:00Z","UserIds":"a","Operations":"Adduser.","AuditData":` + string(text) + `,"Identity":"u1"}`
	cut := strings.Replace(holder, `\"}"`, `"`, 1)
	for name, c := range map[string]struct{ text, want string }{
		"bare, in lines":                      {unified + "\n" + unified, "0: " + unified + " 1: " + unified},
		"bare, in an array":                   {"[" + unified + "]", "0: " + unified},
		"Search-UnifiedAuditLog":              {holder, "0: " + unified},
		"Search-UnifiedAuditLog, ConvertTo":   {"[\n" + holder + ",\n" + holder + "\n]", "0: " + unified + " 1: " + unified},
		"Graph's audit search":                {`{"value":[{"id":"q","createdDateTime":"2026-03-02T08:15:00Z","auditData":` + unified + `}]}`, "0: " + unified},
		"cut off":                             {cut, "0! " + errAuditData.Error()},
		"AuditData of something else":         {`{"AuditData":"x"}`, `0: {"AuditData":"x"}`},
		"AuditData of a number":               {`{"AuditData":7,"CreationDate":"x"}`, `0: {"AuditData":7,"CreationDate":"x"}`},
		"a record that bears a field like it": {strings.Replace(unified, `"Id"`, `"AuditData":"{}","Id"`, 1), "0: " + strings.Replace(unified, `"Id"`, `"AuditData":"{}","Id"`, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readAll(t, []byte(c.text))
			require.NoError(t, err)
			require.Equal(t, c.want, strings.Join(got, " "))
		})
	}
}

func TestALineThatIsTooLongCostsItselfAlone(t *testing.T) {
	defer func(most int) { maxLine = most }(maxLine)
	maxLine = 100 << 10
	long := strings.Repeat("x", 150<<10)
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"in the middle": {"{\"a\":1}\n\"" + long + "\n{\"a\":2}\n", []string{`0: {"a":1}`, "1! a line is longer than 102400 bytes", `2: {"a":2}`}},
		"at the end":    {"{\"a\":1}\n\"" + long, []string{`0: {"a":1}`, "1! a line is longer than 102400 bytes"}},
		"at the begin":  {"{" + long + "\n{\"a\":2}", []string{"0! a line is longer than 102400 bytes", `1: {"a":2}`}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readAll(t, []byte(c.text))
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

// PowerShell's ConvertTo-Json -Compress puts all records into one line.
func TestAnArrayInOneLineMayBeLongerThanALine(t *testing.T) {
	defer func(most int) { maxLine = most }(maxLine)
	maxLine = 1 << 10
	array := "[" + strings.Repeat(`{"a":"some text"},`, 10_000) + "{}]"
	got, err := readAll(t, []byte(array))
	require.NoError(t, err)
	require.Len(t, got, 10_001)
	got, err = readAll(t, []byte(array+"\r\n[{\"b\":1}]\n{\"b\":2}\n"))
	require.NoError(t, err)
	require.Equal(t, []string{`1: {"b":1}`, `2: {"b":2}`}, got[10_001:])
	got, err = readAll(t, []byte(array[:len(array)-2]))
	require.NoError(t, err)
	require.Equal(t, "10000! parsing JSON: the file ends in the middle of it", got[len(got)-1])
}

func TestABombIsNotUnpacked(t *testing.T) {
	defer func(free int64) { freeOfBound = free }(freeOfBound)
	freeOfBound = 1 << 20
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	line := []byte(strings.Repeat(" ", 1<<16) + "\n")
	for range 200 {
		_, err := z.Write(line)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	_, err := readAll(t, packed.Bytes())
	require.ErrorContains(t, err, "it grows to more than 250 times its size")
}

func TestDeepNestingIsNoHarm(t *testing.T) {
	for _, text := range []string{strings.Repeat("[", 1<<20), strings.Repeat(`{"AuditData":`, 1<<18), `{"AuditData":"` + strings.Repeat("[", 1<<20) + `","Operations":"x"}`, strings.Repeat("[\n", 1<<18)} {
		_, err := readAll(t, []byte(text))
		require.NoError(t, err)
	}
}
