package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// Pinned is a durable consumer for a worker that keeps state: the server gives its messages to one reader at a time, in
// the stream's order, and to another two seconds after that one has fallen silent.
type Pinned struct {
	Stream  string
	Durable string
	Filter  []string
	Ahead   int // how many messages are handed out at once, at most
}

// pinLapses is after how long without a pull the server gives a consumer's messages to another reader.
const pinLapses = 2 * time.Second

const pinGroup = "reader"

// pinnedWait is how long a reader may be busy with what it was given. A reader that died had the messages in hand: who
// comes after it reads them again by itself (Delivery.Sequence shows a gap), so nobody waits for this.
const pinnedWait = 30 * time.Second

// Delivery is a message and its place: in the stream, and among the consumer's deliveries, which have no gaps as long as
// one reader gets them all.
type Delivery struct {
	jetstream.Msg
	Stream   uint64
	Consumer uint64
	Stored   time.Time
}

// Pin opens the consumer, creating it where it is not there, and tells the sequence of the stream up to which messages
// have been handed out to anybody.
func (b *Bus) Pin(ctx context.Context, p Pinned) (jetstream.Consumer, uint64, error) {
	consumer, err := b.js.CreateOrUpdateConsumer(ctx, p.Stream, jetstream.ConsumerConfig{
		Durable: p.Durable, FilterSubjects: p.Filter, AckPolicy: jetstream.AckExplicitPolicy, AckWait: pinnedWait, MaxDeliver: -1,
		MaxAckPending: p.Ahead, DeliverPolicy: jetstream.DeliverAllPolicy,
		PriorityPolicy: jetstream.PriorityPolicyPinned, PriorityGroups: []string{pinGroup}, PinnedTTL: pinLapses,
	})
	if err != nil {
		return nil, 0, fmt.Errorf("creating consumer %s: %w", p.Durable, err)
	}
	b.mu.Lock()
	b.pinned[p.Durable] = consumer
	b.mu.Unlock()
	return consumer, consumer.CachedInfo().Delivered.Stream, nil
}

// RunPinned hands the consumer's messages, as many as are there but Ahead at most, to take, and acknowledges them when it
// returns nil; its error ends RunPinned, and the messages come again. It ends with ctx.
func (b *Bus) RunPinned(ctx context.Context, p Pinned, consumer jetstream.Consumer, take func(context.Context, []Delivery) error) error {
	it, err := consumer.Messages(jetstream.PullPriorityGroup(pinGroup), jetstream.PullMaxMessages(p.Ahead),
		jetstream.PullExpiry(pinLapses/2), jetstream.PullHeartbeat(pinLapses/4))
	if err != nil {
		return fmt.Errorf("reading %s: %w", p.Durable, err)
	}
	defer it.Stop()
	stop := context.AfterFunc(ctx, it.Stop)
	defer stop()
	var batch []Delivery
	for {
		msg, err := it.Next()
		more := false
		switch {
		case ctx.Err() != nil:
			return nil // what was given and not taken comes again
		case errors.Is(err, jetstream.ErrMsgIteratorClosed), errors.Is(err, nats.ErrConnectionClosed):
			return fmt.Errorf("reading %s: the server closed the subscription", p.Durable)
		case err != nil:
			b.log.Debug("pulling", zap.String("consumer", p.Durable), zap.Error(err)) // a missed heartbeat: the iterator pulls again by itself
		default:
			meta, err := msg.Metadata()
			if err != nil {
				return fmt.Errorf("reading %s: %w", p.Durable, err)
			}
			batch = append(batch, Delivery{msg, meta.Sequence.Stream, meta.Sequence.Consumer, meta.Timestamp})
			more = meta.NumPending > 0 && len(batch) < p.Ahead
		}
		if more || len(batch) == 0 {
			continue
		}
		if err := take(ctx, batch); err != nil {
			return err
		}
		for _, d := range batch {
			if err := d.Ack(); err != nil {
				return fmt.Errorf("acknowledging for %s: %w", p.Durable, err)
			}
		}
		batch = batch[:0]
	}
}
