package console_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"cordon/detectors"
	"cordon/detectors/ledger"
	"cordon/detectors/sigma"
	"cordon/internal/clock"
	"cordon/internal/console/client"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/record"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// rulesOf is the ledger of a house: a rule and two exceptions, of which one has ended, with names that somebody hostile
// has chosen.
func rulesOf(h *house) *ledger.Ledger {
	h.Helper()
	text := fmt.Sprintf(`
title: %[1]q
name: entered
tags: [attack.t1078.004]
logsource: {product: azure, service: signinlogs}
detection: {s: {a: b}, condition: s}
---
title: %[1]q
name: %[1]q
logsource: {product: azure, service: signinlogs}
filter: {rules: [entered], selection: {a: c}, condition: not selection}
custom: {owner: %[1]q, reason: %[1]q, until: 2999-01-01}
---
title: The move
name: the-move
logsource: {product: azure, service: signinlogs}
filter: {rules: [entered], selection: {a: c}, condition: not selection}
custom: {owner: blake, reason: We moved, until: 2020-01-01}
`, hostile)
	all, err := sigma.Parse("r.yml", strings.NewReader(text), nil)
	require.NoError(h, err)
	set, err := sigma.Except(all)
	require.NoError(h, err)
	plan, err := detectors.NewPlan(set)
	require.NoError(h, err)
	room := detectors.New(detectors.Config{Bus: h.bus, Plan: plan, Directory: directory.New(), Lateness: record.DefaultLateness(), Log: zap.NewNop()})
	return ledger.New(h.bus, set, room, clock.Wall{}, zap.NewNop())
}

func TestRulesAndExceptionsAreShown(t *testing.T) {
	h := open(t)
	at := time.Now()
	require.NoError(t, finding.Publish(t.Context(), h.bus, []finding.Finding{
		{ID: "1", Rule: "entered", Tenant: contoso, Time: at},
		{ID: "2", Rule: "entered", Tenant: contoso, Time: at, Mode: finding.Audit},
		{ID: "3", Rule: "entered", Tenant: contoso, Time: at, Mode: finding.Audit},
		{ID: "4", Rule: "entered", Tenant: contoso, Time: at, Mode: finding.Audit, Suppressed: hostile},
		{ID: "5", Rule: hostile, Title: hostile, Level: hostile, Tenant: contoso, Time: at},
	}))
	reader := client.New(h.base, "token-of-reader")
	require.Eventually(t, func() bool {
		r, err := reader.Rules(context.Background())
		return err == nil && len(r.Rules) == 2 && r.Rules[1].On == 1
	}, 10*time.Second, 5*time.Millisecond)
	r, err := reader.Rules(t.Context())
	require.NoError(t, err)
	require.Equal(t, ledger.Rule{Name: "entered", Title: hostile, Level: "medium", Mode: "audit", Techniques: []string{"T1078.004"}, Exceptions: 2, On: 1, Audit: 2, Suppressed: 1}, r.Rules[0])
	require.Equal(t, []any{hostile, hostile, hostile, false, 1}, []any{r.Exceptions[0].Name, r.Exceptions[0].Owner, r.Exceptions[0].Reason, r.Exceptions[0].Expired, r.Exceptions[0].Findings})
	require.Equal(t, []any{"the-move", "blake", true, 0}, []any{r.Exceptions[1].Name, r.Exceptions[1].Owner, r.Exceptions[1].Expired, r.Exceptions[1].Findings})

	status, header, page := h.ask("GET", "/rules", "", as("reader"))
	require.Equal(t, 200, status)
	require.Contains(t, header.Get("Content-Type"), "text/html")
	require.Contains(t, page, `<td>medium</td><td>audit</td><td>T1078.004 </td><td>1</td><td>2</td><td><b class="waits">1</b></td><td>2</td>`)
	require.Contains(t, page, "no rule of the folder: built in, or gone")
	require.Contains(t, page, "We moved")
	require.Contains(t, page, "1 January 2020, 00:00:00 UTC <span class=\"error\">expired</span>")
	require.Equal(t, 1, strings.Count(page, ">expired<"), "the other has not ended")
	require.NotContains(t, page, "<script>", "titles, names, owners and reasons are escaped")
	require.Contains(t, page, "&lt;script&gt;")
	require.NotContains(t, page, " style=")
	_, _, list := h.ask("GET", "/", "", as("reader"))
	require.Contains(t, list, `<a href="/rules">`)

	for _, path := range []string{"/rules", "/api/v1/rules"} {
		status, _, body := h.ask("GET", path, "")
		require.Equal(t, 401, status)
		require.NotContains(t, body, "entered")
	}
	_, _, metrics := h.ask("GET", "/metrics", "", as("reader"))
	require.Contains(t, metrics, `cordon_suppressed_total{exception="the-move",rule="entered"} 0`)
}
