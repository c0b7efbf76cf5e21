package record

import (
	"testing"

	"cordon/internal/tape"
	"github.com/stretchr/testify/require"
)

func TestPathsEndInTextToo(t *testing.T) {
	r, err := Decode([]byte(`{"time":"2026-03-02T08:10:05Z","category":"AuditLogs","tenantId":"t","operationName":"Add user","location":"FR",
 "properties":{"id":"1","a":{"b":[{"c":"x"},{"C":"y"}],"empty":[],"null":null},"list":["p","q",{"r":1}],"inside":"[\"s\",\"t\"]","object":"{\"u\":\"v\"}","n":5,"no":false,"blank":""}}`), Defaults{})
	require.NoError(t, err)
	for path, want := range map[string][]string{
		"properties.a.b.c":    {"x", "y"},
		"A.B.C":               {"x", "y"},
		"a.b":                 {`[{"c":"x"},{"C":"y"}]`},
		"a.empty":             {"[]"},
		"a.null":              nil,
		"a.none.x":            nil,
		"list":                {`["p","q",{"r":1}]`, "p", "q"},
		"inside":              {`["s","t"]`, "s", "t"},
		"object":              {`{"u":"v"}`},
		"object.u":            {"v"},
		"n":                   {"5"},
		"no":                  {"false"},
		"blank":               {""},
		"location":            {"FR"},
		"properties.location": {"FR"},
	} {
		v := Path(path).Values(r)
		require.Equal(t, want, v.List, path)
		require.Equal(t, len(want) == 0 || want[0] == "", v.Absent, path)
	}
	for path, want := range map[string]bool{"a.null": true, "properties.A.Null": true, "a.empty": true, "blank": true, "location": true, "properties.location": true, "a.b.c": true, "list.r": true, "object.u": true, "inside": true,
		"a.none": false, "a.null.x": false, "a.b.d": false, "list.s": false, "none": false, "properties.none": false} {
		require.Equal(t, want, Bears(path)(r), path)
	}
	read, ok := Fact("OperationName")
	require.True(t, ok)
	require.Equal(t, []string{"Add user"}, read.Values(r).List)
	_, ok = Fact("a.b")
	require.False(t, ok)
	require.Contains(t, FactNames(), "actor.id")
	require.Equal(t, "5", r.Text(tape.NameOf("n")))
	require.Equal(t, "FR", r.Envelope(tape.NameOf("Location")))
}
