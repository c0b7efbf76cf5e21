package sources

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/ingest"
	"cordon/internal/bus"
	"cordon/internal/record"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	contoso  = "c0170500-0000-4000-8000-00000000c001"
	fabrikam = "fab21c00-0000-4000-8000-00000000fab1"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// hands is a clock that is moved by hand.
type hands struct {
	mu sync.Mutex
	at time.Time
}

func (h *hands) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *hands) set(t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = t
}

func message(sequence int64, enqueued time.Time, records ...string) ingest.Message {
	return ingest.Message{Sequence: sequence, Enqueued: enqueued, Body: []byte(`{"records":[` + strings.Join(records, ",") + `]}`)}
}

func signIns(tenant string, n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf(`{"time":"2026-03-02T11:50:00Z","category":"SignInLogs","tenantId":%q,"properties":{"id":"s%d","createdDateTime":"2026-03-02T11:50:00Z","userId":"u","status":{"errorCode":0}}}`, tenant, i))
	}
	return out
}

func riskyUser(tenant string) string {
	return fmt.Sprintf(`{"time":"2026-03-02T11:40:00Z","category":"RiskyUsers","tenantId":%q,"properties":{"id":"u"}}`, tenant)
}

type world struct {
	*testing.T
	bus   *bus.Bus
	clock *hands
	board *Board
}

func open(t *testing.T, most int64, log *zap.Logger) *world {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir(), LogsMaxBytes: most})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	c := &hands{at: noon}
	return &world{t, b, c, New(b, c, record.DefaultLateness(), log)}
}

func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.board.Run(ctx) }()
	w.Cleanup(func() { cancel(); require.NoError(w, <-done) })
	<-w.board.Ready()
}

func (w *world) partition(source, name string) *ingest.Partition {
	w.Helper()
	p, _, err := ingest.Open(w.Context(), w.bus, ingest.Source{Name: source, Clock: w.clock}, name)
	require.NoError(w, err)
	return p
}

func (w *world) report() Report {
	w.Helper()
	r, err := w.board.Report(w.Context())
	require.NoError(w, err)
	return r
}

// shows waits until the board has followed to as many records of its first source.
func (w *world) shows(records int64) Source {
	w.Helper()
	require.Eventually(w, func() bool {
		all := w.report().Sources
		return len(all) > 0 && all[0].Records == records
	}, 10*time.Second, 5*time.Millisecond)
	return w.report().Sources[0]
}

func TestTheBoardAddsUpWhatIngestHasWritten(t *testing.T) {
	w := open(t, 0, zap.NewNop())
	zero, ten, two := w.partition("ns/hub", "0"), w.partition("ns/hub", "10"), w.partition("ns/hub", "2")
	require.NoError(t, zero.Store(t.Context(), []ingest.Message{message(0, noon.Add(-3*time.Minute), append(signIns(contoso, 3), riskyUser(contoso), `{"a":1}`)...)}))
	require.NoError(t, ten.Store(t.Context(), []ingest.Message{message(0, noon.Add(-5*time.Minute), append(signIns(strings.ToUpper(contoso), 1), signIns(fabrikam, 2)...)...)}))
	require.NoError(t, two.Idle(t.Context(), noon.Add(-time.Minute)))
	require.NoError(t, w.partition("another", "0").Idle(t.Context(), noon))
	w.run()

	all := w.report()
	require.Equal(t, noon, all.At)
	require.Len(t, all.Sources, 2)
	require.Equal(t, "another", all.Sources[0].Name)
	require.Positive(t, all.Logs.Bytes)
	require.Zero(t, all.Logs.Ratio)
	event := time.Date(2026, 3, 2, 11, 50, 0, 0, time.UTC)
	require.Equal(t, Source{
		Name: "ns/hub", Seen: noon.Add(-5 * time.Minute), Lag: 300, Records: 7, Dead: 1, Written: noon, CaughtUp: 1,
		Partitions: []Partition{
			{Name: "0", Seen: noon.Add(-3 * time.Minute), Written: noon, Dead: 1},
			{Name: "2", Seen: noon.Add(-time.Minute), CaughtUp: true, Written: noon},
			{Name: "10", Seen: noon.Add(-5 * time.Minute), Written: noon},
		},
		Categories: []Category{
			{Name: "RiskyUsers", Watermark: noon.Add(-5*time.Minute - 48*time.Hour), Newest: event.Add(-10 * time.Minute), Records: 1, Tenants: []Tenant{{contoso, 1}}},
			{Name: "SignInLogs", Watermark: noon.Add(-35 * time.Minute), Newest: event, Records: 6, Tenants: []Tenant{{contoso, 4}, {fabrikam, 2}}},
		},
	}, all.Sources[1])
}

func TestTheRateIsOfTheLastMinute(t *testing.T) {
	w := open(t, 0, zap.NewNop())
	p := w.partition("hub", "0")
	require.NoError(t, p.Store(t.Context(), []ingest.Message{message(0, noon, signIns(contoso, 500)...)}))
	w.run()
	require.Zero(t, w.shows(500).Rate, "what came before the board is not of the last minute")
	for i, n := range []int{60, 60, 30} {
		w.clock.set(noon.Add(time.Duration(i+1) * 20 * time.Second))
		require.NoError(t, p.Store(t.Context(), []ingest.Message{message(int64(i+1), noon, signIns(contoso, n)...)}))
	}
	require.InDelta(t, 2.5, w.shows(650).Rate, 0.001)
	require.InDelta(t, 2.5, w.shows(650).Categories[0].Rate, 0.001)
	w.clock.set(noon.Add(90 * time.Second))
	require.InDelta(t, 1.5, w.shows(650).Rate, 0.001, "the first of them have come longer ago")
	w.clock.set(noon.Add(time.Hour))
	require.Zero(t, w.shows(650).Rate)
	require.InDelta(t, 3600, w.shows(650).Lag, 0.001)
}

func TestAPartitionThatHasSaidNothingHoldsTheTimeBack(t *testing.T) {
	w := open(t, 0, zap.NewNop())
	require.NoError(t, w.partition("hub", "0").Idle(t.Context(), noon))
	require.NoError(t, w.partition("hub", "1").StorePage(t.Context(), ingest.Page{Records: [][]byte{[]byte(signIns(contoso, 1)[0])}}))
	w.run()
	s := w.report().Sources[0]
	require.True(t, s.Seen.IsZero())
	require.Zero(t, s.Lag)
	require.True(t, s.Categories[0].Watermark.IsZero())
}

func TestABrokenCheckpointHidesNobodyElse(t *testing.T) {
	core, logged := observer.New(zapcore.WarnLevel)
	w := open(t, 0, zap.New(core))
	_, err := w.bus.Publish(t.Context(), bus.Message{Subject: bus.CheckpointSubject("hub", "1"), Data: []byte("{")})
	require.NoError(t, err)
	require.NoError(t, w.partition("hub", "0").Idle(t.Context(), noon))
	w.run()
	require.Len(t, w.report().Sources, 1)
	require.Equal(t, 1, logged.Len())
}

func TestTheAlarmOfLogsIsGivenOnce(t *testing.T) {
	core, logged := observer.New(zapcore.WarnLevel)
	w := open(t, 100_000, zap.New(core))
	w.board.every = time.Millisecond
	p := w.partition("hub", "0")
	require.NoError(t, p.Store(t.Context(), []ingest.Message{message(0, noon, signIns(contoso, 5)...)}))
	w.run()
	require.False(t, w.report().Logs.Alarm)
	require.EqualValues(t, 100_000, w.report().Logs.MaxBytes)
	for i := int64(1); !w.report().Logs.Alarm; i++ {
		require.NoError(t, p.Store(t.Context(), []ingest.Message{message(i, noon, signIns(contoso, 5)...)}))
	}
	require.InDelta(t, 0.82, w.report().Logs.Ratio, 0.03)
	require.Eventually(t, func() bool { return logged.Len() > 0 }, 10*time.Second, time.Millisecond)
	require.NoError(t, p.Store(t.Context(), []ingest.Message{message(100, noon, signIns(contoso, 5)...)}))
	w.shows(p.At().Carried[0].Records)
	require.Equal(t, 1, logged.FilterMessageSnippet("LOGS is filling up").Len())
}
