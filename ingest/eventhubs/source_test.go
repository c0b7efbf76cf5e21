package eventhubs

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/crew"
	"cordon/internal/record"
	simulated "cordon/internal/simulator/eventhubs"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

// The real SDK reads the simulated namespace over TCP, and the embedded NATS server stores what comes.

func TestMain(m *testing.M) {
	// The SDK forgets the renewal of its management link's token when a client is closed.
	leak := "github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2/internal.(*Namespace).startNegotiateClaimRenewer.func3"
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(leak), goleak.Cleanup(func(code int) { os.Exit(code) }))
}

const (
	hubName  = "insights-logs-signinlogs"
	tenantID = "7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11"
	patience = 40 * time.Second // every partition flows again within 30 s of a fault
)

func openBus(t *testing.T) *bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return b
}

func listen(t *testing.T, addr string) *simulated.Namespace {
	t.Helper()
	n, err := simulated.Listen(addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = n.Close() })
	return n
}

// start runs a source until the returned function has stopped it.
func start(t *testing.T, b *bus.Bus, connection string) (stop func()) {
	t.Helper()
	s := New(Config{Namespace: "simulated", Hub: hubName, ConnectionString: connection}, b, crew.Alone(), clock.Wall{}, zap.NewNop())
	s.idle = 200 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var stopped atomic.Bool
	stop = func() {
		if stopped.CompareAndSwap(false, true) {
			cancel()
			require.NoError(t, <-done)
		}
	}
	t.Cleanup(stop)
	return stop
}

// feed enqueues messages of two records each, round the partitions, and returns the ids of the records.
func feed(hub *simulated.Hub, from, to int) (ids []string) {
	for i := from; i < to; i++ {
		var records []string
		for _, half := range []string{"a", "b"} {
			id := fmt.Sprintf("s%04d%s", i, half)
			ids = append(ids, id)
			records = append(records, fmt.Sprintf(`{"time":"2026-03-02T08:10:00Z","category":"SignInLogs","tenantId":%q,"properties":{"id":%q,"userId":"u"}}`, tenantID, id))
		}
		hub.Enqueue(i%hub.Partitions(), []byte(`{"records":[`+strings.Join(records, ",")+`]}`), time.Now())
	}
	return ids
}

func stored(t require.TestingT, b *bus.Bus) (ids []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(t, b.Scan(ctx, bus.Logs, "logs.>", time.Time{}, func(m jetstream.Msg) error {
		r, _, err := record.FromLogs(m.Headers(), m.Data())
		require.NoError(t, err)
		ids = append(ids, r.ID[strings.LastIndex(r.ID, "/")+1:])
		return nil
	}))
	slices.Sort(ids)
	return ids
}

// requireStored waits until exactly these records are stored, none lost and none twice.
func requireStored(t *testing.T, b *bus.Bus, ids []string) {
	t.Helper()
	require.Eventually(t, func() bool { return len(stored(t, b)) >= len(ids) }, patience, 20*time.Millisecond)
	require.Equal(t, ids, stored(t, b))
}

func checkpoint(t *testing.T, b *bus.Bus) (cp record.Checkpoint) {
	t.Helper()
	msg, err := b.Last(t.Context(), bus.Logs, bus.CheckpointSubject("simulated/"+hubName, "0"))
	require.NoError(t, err)
	require.NotNil(t, msg)
	require.NoError(t, json.Unmarshal(msg.Data, &cp))
	return cp
}

func TestARestartResumesWithoutLossOrDouble(t *testing.T) {
	b, n := openBus(t), listen(t, "127.0.0.1:0")
	hub := n.AddHub(hubName, 4)
	ids := feed(hub, 0, 40)
	stop := start(t, b, n.ConnectionString(hubName))
	requireStored(t, b, ids)
	ids = append(ids, feed(hub, 40, 60)...)
	stop() // in the middle of it, wherever that is
	ids = append(ids, feed(hub, 60, 80)...)
	start(t, b, n.ConnectionString(hubName))
	requireStored(t, b, ids)
}

func TestARestartResumesInTheMiddleOfAMessage(t *testing.T) {
	b, n := openBus(t), listen(t, "127.0.0.1:0")
	ids := feed(n.AddHub(hubName, 1), 0, 4)
	data, err := json.Marshal(record.Checkpoint{Sequence: 1, Next: 1}) // of message 1 the first record is stored
	require.NoError(t, err)
	_, err = b.Publish(t.Context(), bus.Message{Subject: bus.CheckpointSubject("simulated/"+hubName, "0"), Data: data})
	require.NoError(t, err)
	start(t, b, n.ConnectionString(hubName))
	requireStored(t, b, ids[3:])
}

func TestDroppedConnectionsHeal(t *testing.T) {
	b, n := openBus(t), listen(t, "127.0.0.1:0")
	hub := n.AddHub(hubName, 4)
	start(t, b, n.ConnectionString(hubName))
	var ids []string
	for round := range 3 {
		ids = append(ids, feed(hub, 20*round, 20*round+20)...)
		requireStored(t, b, ids)
		n.DropConnections()
	}
	ids = append(ids, feed(hub, 60, 80)...)
	requireStored(t, b, ids)
}

func TestAHubThatComesUpLater(t *testing.T) {
	b, n := openBus(t), listen(t, "127.0.0.1:0")
	addr, connection := n.Addr(), n.ConnectionString(hubName)
	require.NoError(t, n.Close())
	start(t, b, connection) // nobody listens
	n = listen(t, addr)
	requireStored(t, b, feed(n.AddHub(hubName, 4), 0, 8))
}

// The namespace goes away and another listener takes its place: what was stored stays, what comes is read on.
// Meanwhile no partition may say that it has seen all there is.
func TestAHubThatGoesAwayIsNotAnIdleHub(t *testing.T) {
	b, n := openBus(t), listen(t, "127.0.0.1:0")
	addr := n.Addr()
	ids := feed(n.AddHub(hubName, 1), 0, 4)
	start(t, b, n.ConnectionString(hubName))
	requireStored(t, b, ids)
	require.Eventually(t, func() bool { return checkpoint(t, b).CaughtUp }, patience, 20*time.Millisecond, "while the hub is there and silent, the reader says that it has caught up")

	require.NoError(t, n.Close())
	down := time.Now()
	require.Never(t, func() bool { return checkpoint(t, b).Seen.After(down) }, 5*200*time.Millisecond, 50*time.Millisecond)

	n = listen(t, addr)
	hub := n.AddHub(hubName, 1)
	feed(hub, 0, 4) // the same events stand in the hub that came back
	ids = append(ids, feed(hub, 4, 8)...)
	requireStored(t, b, ids)
}

func TestAStolenPartitionIsReadAgainOnceTheThiefHasGone(t *testing.T) {
	b, n := openBus(t), listen(t, "127.0.0.1:0")
	hub := n.AddHub(hubName, 1)
	ids := feed(hub, 0, 4)
	start(t, b, n.ConnectionString(hubName))
	requireStored(t, b, ids)

	level, earliest := int64(9), true
	thief, err := azeventhubs.NewConsumerClientFromConnectionString(n.ConnectionString(hubName), "", azeventhubs.DefaultConsumerGroup, nil)
	require.NoError(t, err)
	reader, err := thief.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{OwnerLevel: &level, StartPosition: azeventhubs.StartPosition{Earliest: &earliest}})
	require.NoError(t, err)
	_, err = reader.ReceiveEvents(t.Context(), 4, nil)
	require.NoError(t, err)
	ids = append(ids, feed(hub, 4, 8)...)
	_, err = reader.ReceiveEvents(t.Context(), 4, nil)
	require.NoError(t, err, "it is the thief's")

	require.NoError(t, reader.Close(t.Context()))
	require.NoError(t, thief.Close(t.Context()))
	requireStored(t, b, ids)
}

// Two Cordons on one hub and one store: whoever holds the partition writes, and no record is written twice.
func TestTwoReadersOfOneHub(t *testing.T) {
	b, n := openBus(t), listen(t, "127.0.0.1:0")
	hub := n.AddHub(hubName, 2)
	start(t, b, n.ConnectionString(hubName))
	stop := start(t, b, n.ConnectionString(hubName))
	ids := feed(hub, 0, 20)
	requireStored(t, b, ids)
	stop()
	ids = append(ids, feed(hub, 20, 30)...)
	requireStored(t, b, ids)
}
