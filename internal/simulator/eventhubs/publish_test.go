package eventhubs_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/stretchr/testify/require"

	"cordon/internal/simulator/eventhubs"
)

func produce(t testing.TB, n *eventhubs.Namespace) *azeventhubs.ProducerClient {
	t.Helper()
	p, err := azeventhubs.NewProducerClientFromConnectionString(n.ConnectionString(hubName), "",
		&azeventhubs.ProducerClientOptions{RetryOptions: retries})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close(ctx)) })
	return p
}

func TestPublishing(t *testing.T) {
	n, hub := listen(t, 2)
	p := produce(t, n)
	publish := func(options azeventhubs.EventDataBatchOptions, events ...azeventhubs.EventData) {
		t.Helper()
		batch, err := p.NewEventDataBatch(ctx, &options)
		require.NoError(t, err)
		for _, e := range events {
			require.NoError(t, batch.AddEventData(&e, nil))
		}
		require.NoError(t, p.SendEventDataBatch(ctx, batch, nil))
	}
	one, key, id, kind := "1", "device-7", "id-1", "application/json"
	publish(azeventhubs.EventDataBatchOptions{PartitionID: &one},
		azeventhubs.EventData{Body: []byte("a"), MessageID: &id, ContentType: &kind, Properties: map[string]any{"k": "v"}},
		azeventhubs.EventData{Body: make([]byte, 200_000)})
	require.EqualValues(t, 1, hub.Last(1))
	require.EqualValues(t, -1, hub.Last(0))

	c := consume(t, n, "")
	events := receive(t, open(t, c, "1", azeventhubs.PartitionClientOptions{StartPosition: earliest()}), 2)
	require.Equal(t, "a", string(events[0].Body))
	require.Equal(t, id, *events[0].MessageID)
	require.Equal(t, kind, *events[0].ContentType)
	require.Equal(t, map[string]any{"k": "v"}, events[0].Properties)
	require.WithinDuration(t, time.Now(), *events[0].EnqueuedTime, time.Minute)
	require.Len(t, events[1].Body, 200_000)

	// In turn to each partition, and by key always to the same one.
	for range 2 {
		publish(azeventhubs.EventDataBatchOptions{}, azeventhubs.EventData{Body: []byte("turn")})
	}
	require.EqualValues(t, 0, hub.Last(0))
	require.EqualValues(t, 2, hub.Last(1))
	for range 10 {
		publish(azeventhubs.EventDataBatchOptions{PartitionKey: &key}, azeventhubs.EventData{Body: []byte("key")})
	}
	partition := 0
	if hub.Last(1) > 2 {
		partition = 1
	}
	require.EqualValues(t, 12, hub.Last(partition)+hub.Last(1-partition))
	last := receive(t, open(t, c, fmt.Sprint(partition), azeventhubs.PartitionClientOptions{StartPosition: after(hub.Last(partition) - 10)}), 10)
	require.Equal(t, key, *last[9].PartitionKey)
}

// More messages than the producer's link has credit.
func TestPublishingManyMessages(t *testing.T) {
	n, hub := listen(t, 1)
	p := produce(t, n)
	for i := range 1500 {
		batch, err := p.NewEventDataBatch(ctx, nil)
		require.NoError(t, err)
		require.NoError(t, batch.AddEventData(&azeventhubs.EventData{Body: fmt.Append(nil, i)}, nil))
		require.NoError(t, p.SendEventDataBatch(ctx, batch, nil))
	}
	require.EqualValues(t, 1499, hub.Last(0))
}

// BenchmarkReceive measures one receiver of 3 KB events, client included.
func BenchmarkReceive(b *testing.B) {
	n, hub := listen(b, 1)
	body := make([]byte, 3000)
	for range b.N {
		hub.Enqueue(0, body, time.Now())
	}
	p := open(b, consume(b, n, ""), "0", azeventhubs.PartitionClientOptions{StartPosition: earliest(), Prefetch: 1000})
	b.SetBytes(int64(len(body)))
	b.ResetTimer()
	receive(b, p, b.N)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
