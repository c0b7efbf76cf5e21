package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cordon/internal/bus"
	"cordon/internal/record"
	simulated "cordon/internal/simulator/eventhubs"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

const (
	hubName  = "insights-logs-signinlogs"
	tenantID = "7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11"
)

// hub is a simulated hub behind a door that can be shut, and what was put into it.
type hub struct {
	*simulated.Hub
	namespace *simulated.Namespace
	door      *proxy
	counts    [][]int // records of each message, by partition
	records   int
	enqueued  atomic.Int64
}

func openHub(t *testing.T, partitions int) *hub {
	t.Helper()
	n, err := simulated.Listen("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = n.Close() })
	return &hub{Hub: n.AddHub(hubName, partitions), namespace: n, door: openProxy(t, n.Addr()), counts: make([][]int, partitions)}
}

// connection is what readers are given: it leads through the door.
func (h *hub) connection() string { return connection(h.door) }

func connection(through *proxy) string {
	return "Endpoint=sb://" + through.addr + ";SharedAccessKeyName=simulator;SharedAccessKey=simulator;UseDevelopmentEmulator=true;EntityPath=" + hubName
}

// put enqueues one message of so many records.
func (h *hub) put(partition, records int) {
	var body strings.Builder
	body.WriteString(`{"records":[`)
	for i := range records {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"time":"2026-03-02T08:10:00Z","category":"SignInLogs","tenantId":%q,"properties":{"id":"p%d-%d-%d","userId":"u%d"}}`, tenantID, partition, len(h.counts[partition]), i, i%97)
	}
	body.WriteString(`]}`)
	h.Enqueue(partition, []byte(body.String()), time.Now())
	h.counts[partition] = append(h.counts[partition], records)
	h.records += records
	h.enqueued.Store(int64(h.records))
}

// stream puts records of all partitions into the hub until it holds so many: a share each time that turn moves on, over
// the better part of a second. Some messages are larger than a batch: their checkpoints stand in the middle of them.
func (h *hub) stream(r *rand.Rand, records, turns int, turn *atomic.Int64) {
	share := records/turns + 1
	for h.records < records {
		piece := h.records + share/150 + 1
		for h.records < min(piece, records, share*int(turn.Load()+1)) {
			n := 1 + r.IntN(30)
			if r.IntN(100) == 0 {
				n = 1000 + r.IntN(1500)
			}
			h.put(r.IntN(len(h.counts)), min(n, records-h.records))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// last is where each partition ends.
func (h *hub) last() []int64 {
	out := make([]int64, len(h.counts))
	for i, c := range h.counts {
		out[i] = int64(len(c)) - 1
	}
	return out
}

// steal takes a partition away from its reader for a moment, as a stranger with a higher level does.
func (h *hub) steal(ctx context.Context, partition int) error {
	level, earliest := int64(9), true
	thief, err := azeventhubs.NewConsumerClientFromConnectionString(h.namespace.ConnectionString(hubName), "", azeventhubs.DefaultConsumerGroup, nil)
	if err != nil {
		return err
	}
	defer func() { _ = thief.Close(context.Background()) }()
	reader, err := thief.NewPartitionClient(strconv.Itoa(partition), &azeventhubs.PartitionClientOptions{OwnerLevel: &level, StartPosition: azeventhubs.StartPosition{Earliest: &earliest}})
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close(context.Background()) }()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err = reader.ReceiveEvents(ctx, 1, nil)
	return err
}

// tally is what LOGS holds against what the hub was given.
type tally struct{ Records, Lost, Doubled, Disordered int }

// count reads all of LOGS.
func (h *hub) count(t *testing.T, b *bus.Bus) tally {
	t.Helper()
	type place struct {
		partition, index int
		sequence         int64
	}
	seen := map[place]bool{}
	latest := make([]place, len(h.counts))
	for i := range latest {
		latest[i].sequence = -1
	}
	var got tally
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	err := b.Follow(ctx, bus.Logs, []string{"logs.>"}, 1, func(m jetstream.Msg) error {
		_, at, err := record.FromLogs(m.Headers(), m.Data())
		if err != nil {
			return err
		}
		p, err := strconv.Atoi(at.Partition)
		if err != nil || p >= len(h.counts) || at.Sequence >= int64(len(h.counts[p])) || at.Index >= h.counts[p][at.Sequence] {
			return fmt.Errorf("nothing was enqueued at %s", at)
		}
		here := place{p, at.Index, at.Sequence}
		if seen[here] {
			got.Doubled++
			return nil
		}
		seen[here] = true
		got.Records++
		if before := latest[p]; at.Sequence < before.sequence || at.Sequence == before.sequence && at.Index < before.index {
			got.Disordered++
		}
		latest[p] = here
		return nil
	}, cancel)
	require.NoError(t, err)
	require.ErrorIs(t, ctx.Err(), context.Canceled, "LOGS was read to its end")
	got.Lost = h.records - got.Records
	return got
}

// requireOnce fails where a record is lost, doubled or out of order.
func (h *hub) requireOnce(t *testing.T, b *bus.Bus) tally {
	t.Helper()
	got := h.count(t, b)
	require.Equal(t, tally{Records: h.records}, got, "seed %d", seed())
	return got
}
