package eventhubs_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"cordon/internal/simulator/eventhubs"
)

// The tests of this file use the real SDK: what it accepts is what counts.

const hubName = "alerts"

var (
	// ctx makes tests which wait for something that never comes fail by themselves.
	ctx, stop = context.WithTimeout(context.Background(), 2*time.Minute)
	retries   = azeventhubs.RetryOptions{MaxRetries: 5, RetryDelay: 5 * time.Millisecond, MaxRetryDelay: 100 * time.Millisecond}
)

func TestMain(m *testing.M) {
	// A ConsumerClient which was asked for properties leaves the renewal of a token
	// behind when it is closed: its Close forgets the management link.
	leak := "github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2/internal.(*Namespace).startNegotiateClaimRenewer.func3"
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(leak), goleak.Cleanup(func(code int) {
		stop()
		os.Exit(code)
	}))
}

func listen(t testing.TB, partitions int) (*eventhubs.Namespace, *eventhubs.Hub) {
	t.Helper()
	n, err := eventhubs.Listen("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	return n, n.AddHub(hubName, partitions)
}

func consume(t testing.TB, n *eventhubs.Namespace, name string) *azeventhubs.ConsumerClient {
	t.Helper()
	c, err := azeventhubs.NewConsumerClientFromConnectionString(n.ConnectionString(hubName), "", azeventhubs.DefaultConsumerGroup,
		&azeventhubs.ConsumerClientOptions{InstanceID: name, RetryOptions: retries})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close(ctx)) })
	return c
}

func earliest() azeventhubs.StartPosition {
	yes := true
	return azeventhubs.StartPosition{Earliest: &yes}
}

func after(sequence int64) azeventhubs.StartPosition {
	return azeventhubs.StartPosition{SequenceNumber: &sequence}
}

func open(t testing.TB, c *azeventhubs.ConsumerClient, partition string, options azeventhubs.PartitionClientOptions) *azeventhubs.PartitionClient {
	t.Helper()
	p, err := c.NewPartitionClient(partition, &options)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close(ctx) }) // reports that the link was stolen where it was
	return p
}

func receive(t testing.TB, p *azeventhubs.PartitionClient, count int) []*azeventhubs.ReceivedEventData {
	t.Helper()
	var all []*azeventhubs.ReceivedEventData
	for len(all) < count {
		events, err := p.ReceiveEvents(ctx, min(count-len(all), 1000), nil)
		require.NoError(t, err)
		all = append(all, events...)
	}
	return all
}

func bodies(events []*azeventhubs.ReceivedEventData) []string {
	var all []string
	for _, e := range events {
		all = append(all, string(e.Body))
	}
	return all
}

func TestProperties(t *testing.T) {
	n, hub := listen(t, 4)
	c := consume(t, n, "")
	require.Equal(t, 4, hub.Partitions())

	properties, err := c.GetEventHubProperties(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, hubName, properties.Name)
	require.Equal(t, []string{"0", "1", "2", "3"}, properties.PartitionIDs)
	require.WithinDuration(t, time.Now(), properties.CreatedOn, time.Minute)
	require.False(t, properties.GeoReplicationEnabled)

	empty, err := c.GetPartitionProperties(ctx, "3", nil)
	require.NoError(t, err)
	require.True(t, empty.IsEmpty)
	require.EqualValues(t, -1, empty.LastEnqueuedSequenceNumber)
	require.Equal(t, "-1", empty.LastEnqueuedOffset)
	require.EqualValues(t, -1, hub.Last(3))

	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	hub.Enqueue(3, []byte("a"), at)
	position := hub.Enqueue(3, []byte("b"), at)
	require.Equal(t, "3", position.Partition)
	require.EqualValues(t, 1, hub.Last(3))
	filled, err := c.GetPartitionProperties(ctx, "3", nil)
	require.NoError(t, err)
	filled.LastEnqueuedOn = filled.LastEnqueuedOn.UTC()
	require.Equal(t, azeventhubs.PartitionProperties{
		EventHubName: hubName, PartitionID: "3", BeginningSequenceNumber: 0, LastEnqueuedSequenceNumber: 1,
		LastEnqueuedOffset: position.Offset, LastEnqueuedOn: at,
	}, filled)

	_, err = c.GetPartitionProperties(ctx, "4", nil)
	require.ErrorContains(t, err, "404")
}

func TestUnknownHub(t *testing.T) {
	n, _ := listen(t, 1)
	c, err := azeventhubs.NewConsumerClientFromConnectionString(n.ConnectionString("other"), "", azeventhubs.DefaultConsumerGroup, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close(ctx)) }()
	_, err = c.GetEventHubProperties(ctx, nil)
	require.ErrorContains(t, err, "404")
	_, err = open(t, c, "0", azeventhubs.PartitionClientOptions{}).ReceiveEvents(ctx, 1, nil)
	require.ErrorContains(t, err, "amqp:not-found")
}

func TestUnknownPartition(t *testing.T) {
	n, _ := listen(t, 1)
	_, err := open(t, consume(t, n, ""), "1", azeventhubs.PartitionClientOptions{}).ReceiveEvents(ctx, 1, nil)
	require.ErrorContains(t, err, "com.microsoft:argument-out-of-range")
}

func TestReceiveFromEarliestOverAllPartitions(t *testing.T) {
	n, hub := listen(t, 4)
	c := consume(t, n, "")
	at := time.Now().UTC().Truncate(time.Millisecond)
	var want [4][]string
	var positions [4][]eventhubs.Position
	for i := range 100 {
		p := i % 4
		want[p] = append(want[p], fmt.Sprintf("event %d", i))
		positions[p] = append(positions[p], hub.Enqueue(p, []byte(want[p][i/4]), at))
	}
	for p := range 4 {
		client := open(t, c, fmt.Sprint(p), azeventhubs.PartitionClientOptions{StartPosition: earliest()})
		events := receive(t, client, 25)
		require.Equal(t, want[p], bodies(events))
		for i, e := range events {
			require.Equal(t, eventhubs.Position{Partition: fmt.Sprint(p), Sequence: e.SequenceNumber, Offset: e.Offset}, positions[p][i])
			require.EqualValues(t, i, e.SequenceNumber)
			require.Equal(t, at, e.EnqueuedTime.UTC())
		}
	}
}

func TestStartPositions(t *testing.T) {
	n, hub := listen(t, 1)
	c := consume(t, n, "")
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var positions []eventhubs.Position
	for i := range 10 {
		positions = append(positions, hub.Enqueue(0, fmt.Append(nil, i), begin.Add(time.Duration(i)*time.Second)))
	}
	five, at, yes := int64(5), begin.Add(5*time.Second), true
	for name, test := range map[string]struct {
		start azeventhubs.StartPosition
		want  string
	}{
		"after a sequence number":   {azeventhubs.StartPosition{SequenceNumber: &five}, "6"},
		"with a sequence number":    {azeventhubs.StartPosition{SequenceNumber: &five, Inclusive: true}, "5"},
		"after an offset":           {azeventhubs.StartPosition{Offset: &positions[5].Offset}, "6"},
		"with an offset":            {azeventhubs.StartPosition{Offset: &positions[5].Offset, Inclusive: true}, "5"},
		"after a time":              {azeventhubs.StartPosition{EnqueuedTime: &at}, "6"},
		"with a time":               {azeventhubs.StartPosition{EnqueuedTime: &at, Inclusive: true}, "5"},
		"before all":                {after(-1), "0"},
		"with the latest, if there": {azeventhubs.StartPosition{Latest: &yes, Inclusive: true}, "9"},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, c, "0", azeventhubs.PartitionClientOptions{StartPosition: test.start})
			require.Equal(t, test.want, string(receive(t, p, 1)[0].Body))
		})
	}

	nine := open(t, c, "0", azeventhubs.PartitionClientOptions{StartPosition: after(9)})
	hub.Enqueue(0, []byte("10"), begin)
	require.Equal(t, []string{"10"}, bodies(receive(t, nine, 1)), "after the last one there is the next one")
}

func TestPositionsBehindTheEndAreRefused(t *testing.T) {
	n, hub := listen(t, 1)
	hub.Enqueue(0, []byte("a"), time.Now())
	p := open(t, consume(t, n, ""), "0", azeventhubs.PartitionClientOptions{StartPosition: after(1)})
	_, err := p.ReceiveEvents(ctx, 1, nil)
	require.ErrorContains(t, err, "com.microsoft:argument-error")
	require.ErrorContains(t, err, "The supplied sequence number '1' is invalid. The last sequence number in the system is '0'")
}

func TestLargeMessages(t *testing.T) {
	n, hub := listen(t, 1)
	large := make([]byte, 3<<20)
	for i := range large {
		large[i] = byte(i * 7)
	}
	hub.Enqueue(0, large, time.Now())
	hub.Enqueue(0, nil, time.Now())
	hub.Enqueue(0, large[:65536], time.Now())
	events := receive(t, open(t, consume(t, n, ""), "0", azeventhubs.PartitionClientOptions{StartPosition: earliest()}), 3)
	require.Equal(t, large, events[0].Body)
	require.Empty(t, events[1].Body)
	require.Equal(t, large[:65536], events[2].Body)
}

// Far more events than credit and, with the last ones, than the session's window.
func TestManyEventsWithLittleCredit(t *testing.T) {
	const count = 5000
	n, hub := listen(t, 1)
	for i := range count {
		hub.Enqueue(0, fmt.Append(nil, i), time.Now())
	}
	c := consume(t, n, "")
	for _, prefetch := range []int32{7, 0, -1} {
		p := open(t, c, "0", azeventhubs.PartitionClientOptions{StartPosition: earliest(), Prefetch: prefetch})
		for i, e := range receive(t, p, count) {
			require.EqualValues(t, i, e.SequenceNumber)
			require.Equal(t, fmt.Sprint(i), string(e.Body))
		}
	}
}

func TestWaitingReceiversAreWokenUp(t *testing.T) {
	n, hub := listen(t, 1)
	p := open(t, consume(t, n, ""), "0", azeventhubs.PartitionClientOptions{StartPosition: earliest()})
	hub.Enqueue(0, []byte("the link is up"), time.Now())
	receive(t, p, 1)

	fastest := time.Hour
	for i := range 20 {
		failed := make(chan error)
		go func() {
			_, err := p.ReceiveEvents(ctx, 1, nil)
			failed <- err
		}()
		hub.Enqueue(0, []byte("wake up"), time.Now())
		require.NoError(t, <-failed)
		wall, ok := hub.EnqueuedWall(0, int64(i+1))
		require.True(t, ok)
		fastest = min(fastest, time.Since(wall))
	}
	t.Logf("fastest wake-up: %v", fastest)
	require.Less(t, fastest, 20*time.Millisecond)
	_, ok := hub.EnqueuedWall(0, 21)
	require.False(t, ok)
}

func TestOwnershipOfPartitions(t *testing.T) {
	n, hub := listen(t, 1)
	hub.Enqueue(0, []byte("first"), time.Now())
	owner := func(name string, level *int64) *azeventhubs.PartitionClient {
		return open(t, consume(t, n, name), "0", azeventhubs.PartitionClientOptions{StartPosition: earliest(), OwnerLevel: level})
	}
	requireLost := func(p *azeventhubs.PartitionClient, because string) {
		t.Helper()
		_, err := p.ReceiveEvents(ctx, 1, nil)
		var failure *azeventhubs.Error
		require.ErrorAs(t, err, &failure)
		require.Equal(t, azeventhubs.ErrorCodeOwnershipLost, failure.Code)
		require.ErrorContains(t, err, because)
	}
	one, two := int64(1), int64(2)

	nobody := owner("nobody", nil)
	receive(t, nobody, 1)
	low := owner("low", &one)
	receive(t, low, 1)
	requireLost(nobody, "New receiver 'low' with higher epoch of '1'")

	high := owner("high", &two)
	receive(t, high, 1)
	requireLost(low, "New receiver 'high' with higher epoch of '2'")
	requireLost(owner("late", &one), "Receiver 'high' with a higher epoch '2' already exists")
	requireLost(owner("last", nil), "non-epoch receiver is not allowed")

	hub.Enqueue(0, []byte("second"), time.Now())
	require.Equal(t, []string{"second"}, bodies(receive(t, high, 1)), "the owner goes on undisturbed")

	equal := owner("equal", &two)
	require.Equal(t, []string{"first", "second"}, bodies(receive(t, equal, 2)))
	requireLost(high, "New receiver 'equal'")

	require.NoError(t, equal.Close(ctx))
	require.Equal(t, []string{"first"}, bodies(receive(t, owner("next", nil), 1)), "who closed owns nothing any more")
}

func TestOtherConsumerGroupsAreLeftAlone(t *testing.T) {
	n, hub := listen(t, 1)
	hub.Enqueue(0, []byte("first"), time.Now())
	level := int64(1)
	var clients []*azeventhubs.PartitionClient
	for _, group := range []string{"one", "two"} {
		c, err := azeventhubs.NewConsumerClientFromConnectionString(n.ConnectionString(hubName), "", group, nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close(ctx)) })
		clients = append(clients, open(t, c, "0", azeventhubs.PartitionClientOptions{StartPosition: earliest(), OwnerLevel: &level}))
		receive(t, clients[len(clients)-1], 1)
	}
	hub.Enqueue(0, []byte("second"), time.Now())
	for _, c := range clients {
		require.Equal(t, []string{"second"}, bodies(receive(t, c, 1)))
	}
}

func TestManyAtOnce(t *testing.T) {
	const partitions, count = 4, 2000
	n, hub := listen(t, partitions)
	c := consume(t, n, "")
	done := make(chan error, 2*partitions)
	for i := range partitions {
		p := open(t, c, fmt.Sprint(i), azeventhubs.PartitionClientOptions{StartPosition: earliest(), Prefetch: 50})
		go func() {
			for j := range count {
				hub.Enqueue(i, fmt.Append(nil, j), time.Now())
			}
			done <- nil
		}()
		go func() { done <- expect(p, count) }()
	}
	for range 2 * partitions {
		require.NoError(t, <-done)
	}
}

// expect receives events whose bodies are their sequence numbers.
func expect(p *azeventhubs.PartitionClient, count int64) error {
	for next := int64(0); next < count; {
		events, err := p.ReceiveEvents(ctx, 100, nil)
		if err != nil {
			return err
		}
		for _, e := range events {
			if e.SequenceNumber != next || string(e.Body) != fmt.Sprint(next) {
				return fmt.Errorf("receiving %d: got %d, %q", next, e.SequenceNumber, e.Body)
			}
			next++
		}
	}
	return nil
}

func TestReceivingGoesOnAfterAFault(t *testing.T) {
	n, hub := listen(t, 1)
	p := open(t, consume(t, n, ""), "0", azeventhubs.PartitionClientOptions{StartPosition: earliest()})
	for i := range 5 {
		hub.Enqueue(0, fmt.Append(nil, i), time.Now())
		require.Equal(t, fmt.Sprint(i), string(receive(t, p, 1)[0].Body))
		n.DropConnections()
	}
}
