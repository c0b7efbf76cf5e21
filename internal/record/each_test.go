package record

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEachGivesEveryScalar(t *testing.T) {
	r, err := Decode([]byte(`{"time":"2026-03-02T08:00:00Z","category":"AuditLogs","tenantId":"7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11","properties":{"a":[1,true,null,{"b":"x"}],"c":"{\"d\":\"y\\u007a\"}"}}`), Defaults{})
	require.NoError(t, err)
	var all []string
	r.Each(func(v string) bool { all = append(all, v); return true })
	require.Subset(t, all, []string{"2026-03-02T08:00:00Z", "AuditLogs", "1", "true", "x", "yz"})
	require.NotContains(t, all, "properties")
	n := 0
	r.Each(func(v string) bool { n++; return v != "1" })
	require.Less(t, n, len(all), "it stops where it is told to")
}
