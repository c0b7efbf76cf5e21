package export

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// read is what Read makes of a text: "line: record" or "line! reason".
func readAll(t require.TestingT, text []byte) (got []string, err error) {
	err = Read("-", bytes.NewReader(text), func(it Item) error {
		if it.Err != nil {
			got = append(got, fmt.Sprintf("%d! %v", it.Line, it.Err))
			return nil
		}
		got = append(got, fmt.Sprintf("%d: %s", it.Line, strings.Join(strings.Fields(string(it.Raw)), "")))
		return nil
	})
	return got, err
}

func TestForms(t *testing.T) {
	const cut = "the file ends in the middle of it"
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"nothing":                      {"", nil},
		"blank lines":                  {"\n \r\n\n", nil},
		"NDJSON":                       {"{\"a\":1}\n{\"a\":2}\n", []string{`0: {"a":1}`, `1: {"a":2}`}},
		"no newline at the end":        {"{\"a\":1}\r\n{\"a\":2}", []string{`0: {"a":1}`, `1: {"a":2}`}},
		"blank lines between":          {"\n{\"a\":1}\n\n{\"a\":2}\n", []string{`1: {"a":1}`, `3: {"a":2}`}},
		"byte order mark":              {"\xef\xbb\xbf{\"a\":1}", []string{`0: {"a":1}`}},
		"one envelope":                 {`{"records":[{"a":1},{"a":2}]}`, []string{`0: {"a":1}`, `1: {"a":2}`}},
		"NDJSON of envelopes":          {"{\"records\":[{\"a\":1},{\"a\":2}]}\n{\"records\":[{\"a\":3},{\"a\":4}]}\n", []string{`0: {"a":1}`, `0: {"a":2}`, `1: {"a":3}`, `1: {"a":4}`}},
		"Graph":                        {`{"@odata.context":"x","value":[{"a":1},{"a":2}]}`, []string{`0: {"a":1}`, `1: {"a":2}`}},
		"one array":                    {`[{"a":1},{"a":2}]`, []string{`0: {"a":1}`, `1: {"a":2}`}},
		"empty envelope":               {`{"records":[]}`, nil},
		"records that are no list":     {`{"records":{"a":1}}`, []string{`0: {"records":{"a":1}}`}},
		"pretty array":                 {"[\n {\"a\":1},\n {\n\"a\":2}\n]\n", []string{`0: {"a":1}`, `1: {"a":2}`}},
		"pretty array of envelopes":    {"[\n {\"records\":[{\"a\":1},{\"a\":2}]},\n {\"records\":[{\"a\":3}]}\n]", []string{`0: {"a":1}`, `0: {"a":2}`, `1: {"a":3}`}},
		"pretty array after blanks":    {"\n\n[\n{\"a\":1}\n]", []string{`0: {"a":1}`}},
		"pretty envelope":              {"{\n\"records\": [\n{\"a\":1},\n{\"a\":2}\n]\n}\n", []string{`0: {"a":1}`, `1: {"a":2}`}},
		"pretty object":                {"{\n\"a\": 1\n}\n", []string{`0: {"a":1}`}},
		"pretty objects in a row":      {"{\n\"a\": 1\n}\n{\n\"a\": 2\n}\n", []string{`0: {"a":1}`, `1: {"a":2}`}},
		"a broken line amid good ones": {"{\"a\":1}\n{\"a\":\nnoise\n7\n{\"a\":2}\n", []string{`0: {"a":1}`, `1! parsing JSON: unexpected end of JSON input`, `2! a record is a JSON object`, `3! a record is a JSON object`, `4: {"a":2}`}},
		"a broken first line":          {"{\"a\":\n{\"a\":1}\n{\"a\":2}", []string{`0! parsing JSON: unexpected end of JSON input`, `1: {"a":1}`, `2: {"a":2}`}},
		"broken first lines":           {"{\"a\":1\nnoise\n\n{\"a\":2}\n{\"a\"\n", []string{`0! parsing JSON: unexpected end of JSON input`, `1! a record is a JSON object`, `3: {"a":2}`, `4! parsing JSON: unexpected end of JSON input`}},
		"broken lines alone":           {"{\"a\":1\nnoise\n{\"a\"\n", []string{`0! parsing JSON: invalid character 'n' after object key:value pair`}},
		"too many broken first lines":  {"{\n" + strings.Repeat("noise\n", mostBroken) + "{\"a\":1}", []string{`0! parsing JSON: invalid character 'n' looking for beginning of object key string`}},
		"pretty envelope of one":       {"{\n\"records\": [\n{\"a\":1}\n]\n}\n", []string{`0: {"a":1}`}},
		"envelope of one over lines":   {"{\"records\": [\n{\"a\":1}\n]}\n", []string{`0: {"a":1}`}},
		"a broken pretty object":       {"{\n \"a\": {},\n \"b\": [\n  {\"c\":1}\n ],\n \"d\" 1\n}\n", []string{`0! parsing JSON: invalid character '1' after object key`}},
		"truncated array":              {"[\n{\"a\":1},\n{\"a\":2},", []string{`0: {"a":1}`, `1: {"a":2}`, `2! parsing JSON: ` + cut}},
		"array truncated in a record":  {"[\n{\"a\":1},\n{\"a\":", []string{`0: {"a":1}`, `1! parsing JSON: ` + cut}},
		"array without its end":        {"[\n{\"a\":1}\n", []string{`0: {"a":1}`, `1! parsing JSON: ` + cut}},
		"truncated array in one line":  {`[{"a":1},{"a":2}`, []string{`0: {"a":1}`, `1: {"a":2}`, `2! parsing JSON: ` + cut}},
		"more behind an array":         {"[\n{\"a\":1}\n]\n{\"a\":2}\n", []string{`0: {"a":1}`, `1! parsing JSON: there is more behind the array`}},
		"truncated object":             {"{\n\"a\": 1,\n", []string{`0! parsing JSON: ` + cut}},
		"noise behind an object":       {"{\n\"a\": 1\n}\n]", []string{`0: {"a":1}`, `1! parsing JSON: invalid character ']' looking for beginning of value`}},
		"text":                         {"hello", []string{`0! a record is a JSON object`}},
		"members that are no records":  {`[null,1]`, []string{"0: null", "1: 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readAll(t, []byte(c.text))
			require.NoError(t, err)
			require.Equal(t, c.want, got)

			var packed bytes.Buffer
			z := gzip.NewWriter(&packed)
			_, err = io.WriteString(z, c.text)
			require.NoError(t, err)
			require.NoError(t, z.Close())
			file := filepath.Join(t.TempDir(), "export.json.gz")
			require.NoError(t, os.WriteFile(file, packed.Bytes(), 0o600))
			n := 0
			require.NoError(t, Read(file, nil, func(it Item) error {
				require.Equal(t, file, it.File)
				n++
				return nil
			}))
			require.Equal(t, len(c.want), n, "compressed it is the same")
		})
	}
}

func TestAFileThatCannotBeReadIsAnError(t *testing.T) {
	none := func(Item) error { return nil }
	file := filepath.Join(t.TempDir(), "missing.json")
	require.ErrorContains(t, Read(file, nil, none), "missing.json")
	require.NoError(t, os.WriteFile(file, []byte{0x1f, 0x8b, 1}, 0o600))
	require.ErrorContains(t, Read(file, nil, none), "reading "+file)
	stop := fmt.Errorf("stop")
	for _, text := range []string{"{}\n{}", "[\n{},\n{}\n]", "{\n}", `{"records":[{}]}`} {
		require.ErrorIs(t, Read("-", strings.NewReader(text), func(Item) error { return stop }), stop, "the visitor's error ends the reading")
	}
}

// endless is a text that never ends: what reads it must.
type endless struct{ begin io.Reader }

func (e endless) Read(p []byte) (int, error) {
	if n, _ := e.begin.Read(p); n > 0 {
		return n, nil
	}
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestNothingWithoutEndIsKept(t *testing.T) {
	defer func(most int) { maxLine = most }(maxLine)
	maxLine = 1 << 20
	for name, begin := range map[string]string{
		"a line": "{\"a\":1}\n", "the first line": `{"a":"`, "an element of a pretty array": "[\n{\"a\":1},\n\"",
	} {
		t.Run(name, func(t *testing.T) {
			err := Read("-", endless{strings.NewReader(begin)}, func(Item) error { return nil })
			require.ErrorContains(t, err, "is longer than 1048576 bytes")
		})
	}
}

func TestAnArrayMayBeLongerThanItsElementsMay(t *testing.T) {
	defer func(most int) { maxLine = most }(maxLine)
	maxLine = 1 << 10
	got, err := readAll(t, []byte("[\n"+strings.Repeat("{\"a\":\"some text\"},\n", 1000)+"{}\n]"))
	require.NoError(t, err)
	require.Len(t, got, 1001)
}

// Whatever the bytes: no panic, and each item is a record or says why it is none.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{"{\"a\":1}\n{\"b\"", "[\n{\"a\":1},", "{\"records\":[1,{}]}", "\xef\xbb\xbf[]", "{\n\"value\":[[]]\n}{}", "\x1f\x8b\x08\x00",
		"\xff\xfe{\x00}\x00\n\x00", "{\"AuditData\":\"{\\\"CreationTime\\\":\\\"t\\\",\\\"Operation\\\":\\\"o\\\"}\"}", "sep=;\nDate (UTC);Activity;Service\n;\"\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		_ = Read("-", bytes.NewReader(text), func(it Item) error {
			if it.Err == nil && len(it.Raw) == 0 {
				t.Fatal("neither record nor reason")
			}
			return nil
		})
	})
}
