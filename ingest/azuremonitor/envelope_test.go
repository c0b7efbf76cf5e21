package azuremonitor

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSplit(t *testing.T) {
	for name, c := range map[string]struct {
		body    string
		records []string
		rest    string
		reason  string
	}{
		"envelope":          {`{"records":[{"a":1},{"a":2}]}`, []string{`{"a":1}`, `{"a":2}`}, "", ""},
		"other members":     {`{"version":1,"records":[{"a":1}]}`, []string{`{"a":1}`}, "", ""},
		"empty":             {`{"records":[]}`, nil, "", ""},
		"bare record":       {` {"category":"AuditLogs"} `, []string{`{"category":"AuditLogs"}`}, "", ""},
		"bare array":        {`[{"a":1}]`, []string{`{"a":1}`}, "", ""},
		"byte order mark":   {"\xef\xbb\xbf" + `{"records":[1]}`, []string{`1`}, "", ""},
		"truncated":         {`{"records":[{"a":1},{"a":`, []string{`{"a":1}`}, `,{"a":`, "reading record 1: the message ends in the middle of it"},
		"end missing":       {`{"records":[{"a":1}`, []string{`{"a":1}`}, ``, "reading the end of records: the message ends in the middle of it"},
		"object not closed": {`{"records":[{"a":1}]`, []string{`{"a":1}`}, ``, "reading the message: the message ends in the middle of it"},
		"two envelopes":     {`{"records":[{"a":1}]}` + "\n" + `{"records":[{"a":2}]}`, []string{`{"a":1}`}, "\n" + `{"records":[{"a":2}]}`, "more than one JSON value"},
		"noise behind":      {`[{"a":1}] x`, []string{`{"a":1}`}, " x", "more than one JSON value"},
		"records twice":     {`{"records":[{"a":1}],"v":2,"records":[{"a":2}]}`, []string{`{"a":1}`, `{"a":2}`}, "", ""},
		"broken member":     {`{"records":[{"a":1}],"v":}`, []string{`{"a":1}`}, `,"v":}`, `reading member "v"`},
		"broken before":     {`{"v":x,"records":[{"a":1}]}`, nil, `{"v":x,"records":[{"a":1}]}`, `reading member "v"`},
		"two bare records":  {`{"a":1}{"a":2}`, nil, `{"a":1}{"a":2}`, "more than one JSON value"},
		"noise":             {"\x00\x01\x02", nil, "\x00\x01\x02", "reading the message: invalid character"},
		"nothing":           {"", nil, "", "reading the message: the message ends in the middle of it"},
		"records no array":  {`{"records":{"a":1}}`, nil, `{"records":{"a":1}}`, "reading records: expected an array"},
		"a number":          {`7`, nil, `7`, "expected an object with records"},
		"broken in between": {`{"records":[{"a":1},{b},{"a":3}]}`, []string{`{"a":1}`}, `,{b},{"a":3}]}`, "reading record 1: invalid character"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			rest, err := Split([]byte(c.body), func(i int, raw []byte) error {
				require.Equal(t, len(got), i)
				got = append(got, string(raw))
				return nil
			})
			require.NoError(t, err)
			require.Equal(t, c.records, got)
			if c.reason == "" {
				require.Nil(t, rest)
				return
			}
			require.NotNil(t, rest)
			require.Equal(t, c.rest, string(rest.Bytes), "nothing of what could not be read is lost")
			require.ErrorContains(t, rest.Reason, c.reason)
		})
	}
}

func TestSplitEndsWithTheVisitorsError(t *testing.T) {
	stop := errors.New("stop")
	_, err := Split([]byte(`{"records":[1,2]}`), func(int, []byte) error { return stop })
	require.ErrorIs(t, err, stop)
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte(`{"records":[{"a":1},{"a":2}]}`))
	f.Add([]byte(`{"records":[{"a":1},{"a":`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		rest, err := Split(body, func(_ int, raw []byte) error {
			if !json.Valid(raw) {
				t.Fatalf("visited %q, which is no JSON", raw)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if rest != nil && !bytes.HasSuffix(body, rest.Bytes) {
			t.Fatal("the rest is not the end of the message")
		}
	})
}
