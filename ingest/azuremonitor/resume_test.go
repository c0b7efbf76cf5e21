package azuremonitor

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestResume(t *testing.T) {
	for name, c := range map[string]struct {
		rest    string
		records []string
		left    string
	}{
		"the end of an envelope":          {`,{"a":1},{"a":2}]}`, []string{`{"a":1}`, `{"a":2}`}, ""},
		"from the first record on":        {`{"a":1},{"a":2}]}`, []string{`{"a":1}`, `{"a":2}`}, ""},
		"the end of an array":             {` ,{"a":1}]`, []string{`{"a":1}`}, ""},
		"a whole message":                 {` {"records":[{"a":1}]}`, []string{`{"a":1}`}, ""},
		"a record that was mended":        {`{"a":1}`, []string{`{"a":1}`}, ""},
		"an array":                        {`[{"a":1},{"a":2}]`, []string{`{"a":1}`, `{"a":2}`}, ""},
		"broken still, behind one record": {`,{"a":1},{"a":`, []string{`{"a":1}`}, `,{"a":`},
		"broken from the beginning":       {`,{"a`, nil, `{"a`},
		"noise":                           {"\x00", nil, "\x00"},
		"nothing":                         {"", nil, ""},
		"an end alone":                    {`]}`, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			left, err := Resume([]byte(c.rest), func(index int, raw []byte) error {
				require.Len(t, got, index)
				got = append(got, string(raw))
				return nil
			})
			require.NoError(t, err)
			require.Equal(t, c.records, got)
			if c.left == "" && name != "nothing" {
				require.Nil(t, left)
				return
			}
			require.Equal(t, c.left, string(left.Bytes))
		})
	}
}

func FuzzResume(f *testing.F) {
	f.Add([]byte(`,{"a":1},{"a":2}]}`))
	f.Add([]byte(`{"a":1},{"a":`))
	f.Add([]byte(`,,[`))
	f.Fuzz(func(t *testing.T, rest []byte) {
		next := 0
		_, err := Resume(rest, func(index int, raw []byte) error {
			if index != next || !json.Valid(raw) {
				t.Fatalf("visited record %d as %d: %q", next, index, raw)
			}
			next++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
