package telemetry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"cordon/ingest"
	"cordon/internal/bus"
	"cordon/internal/record"
	"cordon/internal/sources"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

type still struct{}

func (still) Now() time.Time { return noon }

func scrape(t *testing.T, own ...prometheus.Collector) (int, string) {
	t.Helper()
	handler, err := Handler(zap.NewNop(), own...)
	require.NoError(t, err)
	web := httptest.NewServer(handler)
	defer web.Close()
	answer, err := http.Get(web.URL)
	require.NoError(t, err)
	defer answer.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(body)
}

func TestTheMetricsOfSources(t *testing.T) {
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir(), LogsMaxBytes: 1 << 20})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	p, _, err := ingest.Open(t.Context(), b, ingest.Source{Name: "ns/hub", Clock: still{}}, "0")
	require.NoError(t, err)
	body := []byte(fmt.Sprintf(`{"records":[{"time":"2026-03-02T11:50:00Z","category":"SignInLogs","tenantId":"C0170500","properties":{"id":"s","createdDateTime":"2026-03-02T11:50:00Z","userId":"u","status":{"errorCode":0}}},{"a":%d}]}`, 1))
	require.NoError(t, p.Store(t.Context(), []ingest.Message{{Sequence: 0, Enqueued: noon.Add(-2500 * time.Millisecond), Body: body}}))
	silent, _, err := ingest.Open(t.Context(), b, ingest.Source{Name: "silent", Clock: still{}}, "0")
	require.NoError(t, err)
	require.NoError(t, silent.StorePage(t.Context(), ingest.Page{}))

	board := sources.New(b, still{}, record.DefaultLateness(), zap.NewNop())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- board.Run(ctx) }()
	defer func() { cancel(); require.NoError(t, <-done) }()
	<-board.Ready()

	status, text := scrape(t, Sources{board})
	require.Equal(t, 200, status)
	for _, line := range []string{
		`cordon_source_seen_timestamp_seconds{source="ns/hub"} 1.7724527975e+09`,
		`cordon_source_watermark_timestamp_seconds{category="SignInLogs",source="ns/hub"} 1.7724509975e+09`,
		`cordon_source_lag_seconds{source="ns/hub"} 2.5`,
		`cordon_source_records_total{category="SignInLogs",source="ns/hub",tenant="c0170500"} 1`,
		`cordon_source_dead_letters_total{source="ns/hub"} 1`,
		`cordon_source_dead_letters_total{source="silent"} 0`,
		`cordon_logs_max_bytes 1.048576e+06`,
		`cordon_logs_full_ratio 0.`,
		`go_goroutines `,
	} {
		require.Contains(t, text, "\n"+line)
	}
	require.NotContains(t, text, `cordon_source_seen_timestamp_seconds{source="silent"}`)
}
