package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"cordon/ingest"
	"cordon/internal/bus"
	"cordon/internal/record"
	"cordon/internal/sources"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

type still struct{}

func (still) Now() time.Time { return noon }

func scrape(t *testing.T, collectors ...Collector) (int, string) {
	t.Helper()
	web := httptest.NewServer(Handler(zap.NewNop(), collectors...))
	defer web.Close()
	answer, err := http.Get(web.URL)
	require.NoError(t, err)
	defer answer.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	if answer.StatusCode == http.StatusOK {
		require.Equal(t, "text/plain; version=0.0.4; charset=utf-8", answer.Header.Get("Content-Type"))
	}
	return answer.StatusCode, string(body)
}

type collected func() ([]Metric, error)

func (c collected) Collect(context.Context) ([]Metric, error) { return c() }

func TestTheTextFormat(t *testing.T) {
	status, body := scrape(t, collected(func() ([]Metric, error) {
		return []Metric{
			{Name: "a_total", Help: "back\\slash\nand line", Type: Counter, Samples: []Sample{{[]Label{{"x", "q\"uote\nline\\\xff"}, {"y", "é"}}, 3}, {nil, 0.5}}},
			{Name: "none", Help: "of it", Type: Gauge},
		}, nil
	}))
	require.Equal(t, 200, status)
	require.Equal(t, `# HELP a_total back\\slash\nand line
# TYPE a_total counter
a_total{x="q\"uote\nline\\`+"\ufffd"+`",y="é"} 3
a_total 0.5
`, body)
}

func TestAFailureIsNoHalfAnAnswer(t *testing.T) {
	status, body := scrape(t, collected(func() ([]Metric, error) { return []Metric{{Name: "a", Type: Gauge, Samples: []Sample{{nil, 1}}}}, nil }),
		collected(func() ([]Metric, error) { return nil, errors.New("inside") }))
	require.Equal(t, 500, status)
	require.NotContains(t, body, "inside")
	require.NotContains(t, body, "a 1")
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
	text = regexp.MustCompile(`(cordon_logs_(bytes|full_ratio)) [0-9.e+-]+\n`).ReplaceAllString(text, "$1 N\n")
	require.Equal(t, `# HELP cordon_source_seen_timestamp_seconds The source's time up to which all of its partitions have been read.
# TYPE cordon_source_seen_timestamp_seconds gauge
cordon_source_seen_timestamp_seconds{source="ns/hub"} 1.7724527975e+09
# HELP cordon_source_watermark_timestamp_seconds The event time up to which all records of the category are expected to have come.
# TYPE cordon_source_watermark_timestamp_seconds gauge
cordon_source_watermark_timestamp_seconds{source="ns/hub",category="SignInLogs"} 1.7724509975e+09
# HELP cordon_source_lag_seconds How far behind now that time is.
# TYPE cordon_source_lag_seconds gauge
cordon_source_lag_seconds{source="ns/hub"} 2.5
# HELP cordon_source_records_total Records stored, by tenant and category.
# TYPE cordon_source_records_total counter
cordon_source_records_total{source="ns/hub",tenant="c0170500",category="SignInLogs"} 1
# HELP cordon_source_dead_letters_total Dead letters written: what could not be stored as a record.
# TYPE cordon_source_dead_letters_total counter
cordon_source_dead_letters_total{source="ns/hub"} 1
cordon_source_dead_letters_total{source="silent"} 0
# HELP cordon_logs_bytes Bytes that LOGS holds.
# TYPE cordon_logs_bytes gauge
cordon_logs_bytes N
# HELP cordon_logs_max_bytes Bytes that LOGS may hold; absent where it has no bound.
# TYPE cordon_logs_max_bytes gauge
cordon_logs_max_bytes 1.048576e+06
# HELP cordon_logs_full_ratio How full LOGS is, from 0 to 1; 0 where it has no bound.
# TYPE cordon_logs_full_ratio gauge
cordon_logs_full_ratio N
`, text)
}
