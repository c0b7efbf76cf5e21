package eventhubs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	client "github.com/Azure/go-amqp"
	"github.com/stretchr/testify/require"

	"cordon/internal/simulator/eventhubs"
)

// The tests of this file use the library beneath the SDK, with which clients can do
// some things that the SDK never does.

// connect opens a session of the library beneath the SDK.
func connect(t *testing.T, n *eventhubs.Namespace, options *client.ConnOptions) *client.Session {
	t.Helper()
	c, err := client.Dial(ctx, "amqp://"+n.Addr(), options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	s, err := c.NewSession(ctx, nil)
	require.NoError(t, err)
	return s
}

func TestSmallFrames(t *testing.T) {
	n, hub := listen(t, 1)
	hub.Enqueue(0, []byte(strings.Repeat("0123456789", 2000)), time.Now())
	s := connect(t, n, &client.ConnOptions{MaxFrameSize: 600})
	r, err := s.NewReceiver(ctx, partitionAddress, nil)
	require.NoError(t, err)
	m, err := r.Receive(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("0123456789", 2000), string(m.GetData()))
}

func TestDraining(t *testing.T) {
	n, hub := listen(t, 1)
	hub.Enqueue(0, []byte("one"), time.Now())
	r, err := connect(t, n, nil).NewReceiver(ctx, partitionAddress, &client.ReceiverOptions{Credit: -1})
	require.NoError(t, err)
	for _, want := range []string{"one", "two"} {
		require.NoError(t, r.IssueCredit(5))
		m, err := r.Receive(ctx, nil)
		require.NoError(t, err)
		require.Equal(t, want, string(m.GetData()))
		require.NoError(t, r.DrainCredit(ctx, nil))
		hub.Enqueue(0, []byte("two"), time.Now())
	}
}

func TestLatestIsFixedWhenTheLinkIs(t *testing.T) {
	n, hub := listen(t, 1)
	s := connect(t, n, nil)
	for i := range 100 {
		r, err := s.NewReceiver(ctx, partitionAddress, &client.ReceiverOptions{
			Filters: []client.LinkFilter{client.NewSelectorFilter("amqp.annotation.x-opt-offset > '@latest'")},
		})
		require.NoError(t, err)
		hub.Enqueue(0, fmt.Append(nil, i), time.Now())
		m, err := r.Receive(ctx, nil)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(i), string(m.GetData()))
		require.NoError(t, r.Close(ctx))
	}
}

func TestRefusals(t *testing.T) {
	n, _ := listen(t, 1)
	s := connect(t, n, nil)
	for address, condition := range map[string]client.ErrCond{
		"":                          client.ErrCondNotFound,
		"other":                     client.ErrCondNotFound,
		hubName + "/nonsense":       client.ErrCondNotFound,
		hubName + "/Partitions/one": "com.microsoft:argument-out-of-range",
	} {
		var failure *client.Error
		_, err := s.NewSender(ctx, address, nil)
		require.ErrorAs(t, err, &failure, address)
		require.Equal(t, condition, failure.Condition, address)
		_, err = s.NewReceiver(ctx, address, nil)
		require.ErrorAs(t, err, &failure, address)
		require.Equal(t, client.ErrCondNotFound, failure.Condition, address)
	}
	for _, filter := range []string{"x", "amqp.annotation.x-opt-other > '1'", "amqp.annotation.x-opt-offset > '99999999999999999999'"} {
		r, err := s.NewReceiver(ctx, partitionAddress, &client.ReceiverOptions{Filters: []client.LinkFilter{client.NewSelectorFilter(filter)}})
		require.NoError(t, err)
		_, err = r.Receive(ctx, nil)
		require.ErrorContains(t, err, "com.microsoft:argument-error", filter)
	}
}

func TestRequests(t *testing.T) {
	n, _ := listen(t, 1)
	s := connect(t, n, nil)
	sender, err := s.NewSender(ctx, "$management", nil)
	require.NoError(t, err)
	replies, err := s.NewReceiver(ctx, "$management", &client.ReceiverOptions{TargetAddress: "me"})
	require.NoError(t, err)
	me, nobody := "me", "nobody"
	for id, properties := range []map[string]any{
		{"operation": "WRITE", "name": hubName, "type": "com.microsoft:eventhub"},
		{"operation": "READ", "name": hubName, "type": "com.microsoft:other"},
	} {
		request := &client.Message{Properties: &client.MessageProperties{ReplyTo: &me, MessageID: uint64(id)}, ApplicationProperties: properties}
		require.NoError(t, sender.Send(ctx, request, nil))
		reply, err := replies.Receive(ctx, nil)
		require.NoError(t, err)
		require.Equal(t, uint64(id), reply.Properties.CorrelationID)
		require.EqualValues(t, 400, reply.ApplicationProperties["status-code"])
	}
	err = sender.Send(ctx, &client.Message{Properties: &client.MessageProperties{ReplyTo: &nobody}}, nil)
	require.ErrorContains(t, err, "nobody")
}
