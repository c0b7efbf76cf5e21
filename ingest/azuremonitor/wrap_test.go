package azuremonitor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWrapKeepsTheBytes(t *testing.T) {
	object := `{ "id" : "1", "link":"a<b>&c", "broken":"` + "\xff" + `" }`
	raw, err := Wrap(Envelope{Time: time.Date(2026, 3, 2, 8, 10, 5, 0, time.UTC), Category: "AuditLogs", Tenant: "t", Operation: `Add "user"`}, []byte(object))
	require.NoError(t, err)
	require.Equal(t, `{"time":"2026-03-02T08:10:05Z","category":"AuditLogs","tenantId":"t","operationName":"Add \"user\"","properties":`+object+`}`, string(raw))
}
