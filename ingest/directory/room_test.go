package directory

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/record"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const tenantID = "7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11"

// room is a folder, a stream and what the source says of them.
type room struct {
	t        *testing.T
	dir, nat string
	bus      *bus.Bus
	source   *Source
	told     *observer.ObservedLogs
	cfg      Config
}

func newRoom(t *testing.T) *room {
	r := &room{t: t, dir: t.TempDir(), nat: t.TempDir()}
	r.cfg = Config{Path: r.dir}
	r.restart(clock.Wall{})
	return r
}

// restart is what a new process does: nothing is left but the folder and the streams.
func (r *room) restart(c clock.Clock) {
	r.t.Helper()
	if r.bus != nil {
		r.bus.Close()
	}
	b, err := bus.Open(context.Background(), bus.Config{Dir: r.nat})
	require.NoError(r.t, err)
	r.t.Cleanup(b.Close)
	core, told := observer.New(zap.InfoLevel)
	r.bus, r.told = b, told
	r.source = New(r.cfg, b, c, zap.New(core))
}

// look looks twice: a file is complete when nothing has happened to it between the looks.
func (r *room) look() {
	r.t.Helper()
	require.NoError(r.t, r.source.pass(r.t.Context()))
	require.NoError(r.t, r.source.pass(r.t.Context()))
}

func (r *room) write(name string, text string) {
	r.t.Helper()
	require.NoError(r.t, os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600))
}

// records are the ids in LOGS, in order.
func (r *room) records() (ids []string) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	defer cancel()
	require.NoError(r.t, r.bus.Follow(ctx, bus.Logs, []string{"logs.>"}, 0, func(m jetstream.Msg) error {
		got, at, err := record.FromLogs(m.Headers(), m.Data())
		require.NoError(r.t, err)
		require.Equal(r.t, r.cfg.Name(), at.Source)
		ids = append(ids, got.ID[strings.LastIndex(got.ID, "/")+1:])
		return nil
	}, cancel))
	return ids
}

// letters are the reasons in DEADLETTER, in order.
func (r *room) letters() (reasons []string) {
	r.t.Helper()
	require.NoError(r.t, r.bus.Scan(r.t.Context(), bus.DeadLetters, "deadletter.>", time.Time{}, func(m jetstream.Msg) error {
		reasons = append(reasons, m.Headers().Get("Cordon-Reason"))
		return nil
	}))
	return reasons
}

func (r *room) warnings() (all []string) {
	for _, e := range r.told.FilterLevelExact(zap.WarnLevel).All() {
		all = append(all, e.ContextMap()["file"].(string)+": "+e.Message)
	}
	return all
}

func signIn(id string) string {
	return fmt.Sprintf(`{"time":"2026-03-02T08:10:00Z","category":"SignInLogs","tenantId":%q,"properties":{"id":%q,"createdDateTime":"2026-03-02T08:09:00Z","userId":"u","status":{"errorCode":0}}}`, tenantID, id) + "\n"
}

func many(prefix string, n int) (text string, ids []string) {
	var all strings.Builder
	for i := range n {
		ids = append(ids, fmt.Sprintf("%s%04d", prefix, i))
		all.WriteString(signIn(ids[i]))
	}
	return all.String(), ids
}
