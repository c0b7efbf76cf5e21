package partnercenter

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"cordon/internal/fault"
	simulated "cordon/internal/simulator/partnercenter"
	"github.com/stretchr/testify/require"
)

func TestFraudEventsArePaged(t *testing.T) {
	c, server := center(t, "refresh")
	for n := range 130 {
		server.AddFraudEvent(simulated.FraudEvent{Status: "Active", Object: json.RawMessage(fmt.Sprintf(`{"eventId":"f%d"}`, n))})
	}
	items, more, err := c.FraudEvents(t.Context(), "Active", 1)
	require.NoError(t, err)
	require.Len(t, items, 100)
	require.True(t, more)
	items, more, err = c.FraudEvents(t.Context(), "Active", 2)
	require.NoError(t, err)
	require.Len(t, items, 30)
	require.False(t, more)
	require.JSONEq(t, `{"eventId":"f129"}`, string(items[29]))
	items, more, err = c.FraudEvents(t.Context(), "Resolved", 1)
	require.NoError(t, err)
	require.Empty(t, items)
	require.False(t, more)
}

func TestAuditRecordsOfADay(t *testing.T) {
	c, server := center(t, "refresh")
	today := time.Now().UTC()
	for n := range 60 {
		server.AddAuditRecord(simulated.AuditRecord{Date: today, Object: json.RawMessage(fmt.Sprintf(`{"id":"a%d"}`, n))})
	}
	server.AddAuditRecord(simulated.AuditRecord{Date: today.AddDate(0, 0, -1), Object: json.RawMessage(`{"id":"yesterday"}`)})
	items, next, err := c.AuditRecords(t.Context(), today, "")
	require.NoError(t, err)
	require.Len(t, items, 50)
	require.NotEmpty(t, next)
	items, next, err = c.AuditRecords(t.Context(), today, next)
	require.NoError(t, err)
	require.Len(t, items, 10)
	require.Empty(t, next)
	items, _, err = c.AuditRecords(t.Context(), today.AddDate(0, 0, -1), "")
	require.NoError(t, err)
	require.Len(t, items, 1)
	_, _, err = c.AuditRecords(t.Context(), today, "made up")
	require.Equal(t, fault.Permanent, faulty(t, err).Class)
	_, _, err = c.AuditRecords(t.Context(), today.AddDate(0, 0, -100), "")
	require.Equal(t, 400, faulty(t, err).Status)
}

func TestAnswersWithoutWhatTheyPromise(t *testing.T) {
	c, server := center(t, "refresh")
	for body, said := range map[string]string{`{"items":[],"links":{"next":{"headers":[]}}}`: "no token for it", `[]`: "reading Partner Center's answer"} {
		server.Fail(func(r *http.Request) (int, string, string, bool) { return 200, body, "", r.URL.Path != "/token" })
		_, _, err := c.AuditRecords(t.Context(), time.Now(), "")
		require.ErrorContains(t, err, said)
	}
	server.Fail(func(r *http.Request) (int, string, string, bool) { return 200, `{}`, "", r.URL.Path != "/token" })
	_, _, err := c.FraudEvents(t.Context(), "Active", 1)
	require.ErrorContains(t, err, "reading fraud events")
}
