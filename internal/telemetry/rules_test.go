package telemetry

import (
	"context"
	"strings"
	"testing"
	"time"

	"cordon/detectors"
	"cordon/detectors/ledger"
	"cordon/detectors/sigma"
	"cordon/internal/bus"
	"cordon/internal/finding"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// room is where one rule works, in audit, whose exception has suppressed some.
type room struct{}

func (room) Mode(string) string { return finding.Audit }
func (room) Serves(string) bool { return false }
func (room) Suppressed() map[detectors.SuppressedBy]int {
	return map[detectors.SuppressedBy]int{{Rule: "entered", Exception: "ours"}: 3, {Rule: "en\xfftered", Exception: "ours"}: 1}
}

func TestTheMetricsOfRules(t *testing.T) {
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	all, err := sigma.Parse("r.yml", strings.NewReader("title: t\nname: entered\nlogsource: {product: azure, service: signinlogs}\ndetection: {s: {a: b}, condition: s}\n"), nil)
	require.NoError(t, err)
	found := func(id string, change func(*finding.Finding)) {
		f := finding.Finding{ID: id, Rule: "entered", Tenant: "t", Time: noon, Mode: finding.Audit}
		change(&f)
		require.NoError(t, finding.Publish(t.Context(), b, []finding.Finding{f}))
	}
	found("of before", func(*finding.Finding) {})
	counts := ledger.New(b, all, room{}, still{}, zap.NewNop())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- counts.Run(ctx) }()
	defer func() { cancel(); require.NoError(t, <-done) }()
	<-counts.Ready()
	status, text := scrape(t, Rules{counts})
	require.Equal(t, 200, status)
	require.Contains(t, text, `cordon_findings_total{mode="audit",rule="entered"} 0`)
	require.Contains(t, text, `cordon_suppressed_total{exception="ours",rule="entered"} 3`)

	found("1", func(*finding.Finding) {})
	found("1", func(f *finding.Finding) { f.Revision = 2 })
	found("2", func(f *finding.Finding) { f.Suppressed = "ours" })
	found("3", func(f *finding.Finding) { f.Mode = "" })
	require.Eventually(t, func() bool { return counts.Totals()[ledger.Total{Rule: "entered", Mode: "on"}] == 1 }, 10*time.Second, 5*time.Millisecond)
	_, text = scrape(t, Rules{counts})
	for _, line := range []string{`{mode="audit",rule="entered"} 1`, `{mode="suppressed",rule="entered"} 1`, `{mode="on",rule="entered"} 1`} {
		require.Contains(t, text, "cordon_findings_total"+line)
	}
}
