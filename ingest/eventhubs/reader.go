package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cordon/ingest"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

const (
	drain     = 500 * time.Microsecond // how long a reader waits for more once one message has come
	most      = 300                    // messages handed on at once
	idleAfter = 5 * time.Second        // a caught-up reader says so this often
)

// read opens the partition where its checkpoint stands and stores what comes. memory bounds what it holds.
func (s *Source) read(ctx context.Context, client *azeventhubs.ConsumerClient, id string, memory int, works func()) error {
	partition, started, err := ingest.Open(ctx, s.bus, ingest.Source{Name: s.cfg.Name(), Tenants: s.cfg.Tenants, Clock: s.clock}, id)
	if err != nil {
		return err
	}
	level := int64(1) // two readers of one partition: the younger one wins, the older one is told
	// Without prefetch the credit is ours to give: the SDK's 300 messages of up to 1 MiB, for each partition, would be
	// all the memory there is.
	options := &azeventhubs.PartitionClientOptions{OwnerLevel: &level, Prefetch: -1}
	if at := partition.At(); started && at.Sequence >= 0 {
		options.StartPosition = azeventhubs.StartPosition{SequenceNumber: &at.Sequence, Inclusive: !at.Done}
	} else {
		earliest := true // without it a new reader would begin at the newest
		options.StartPosition = azeventhubs.StartPosition{Earliest: &earliest}
	}
	reader, err := client.NewPartitionClient(id, options)
	if err != nil {
		return fmt.Errorf("opening partition: %w", err)
	}
	defer s.close(reader.Close)
	credit := credit{memory: memory}
	for ctx.Err() == nil {
		events, err := s.receive(ctx, reader, 1, s.idle)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			// Nothing comes from a hub that cannot be reached either, and the SDK does not say so.
			now := s.clock.Now()
			last, err := s.last(ctx, client, id)
			if err != nil {
				return err
			}
			works()
			if last > partition.At().Sequence {
				continue
			}
			if err := partition.Idle(ctx, now); err != nil {
				return err
			}
			continue
		}
		works()
		credit.saw(events)
		// What is asked for here and does not come now comes while this is being stored.
		if next := credit.next(); next > 0 {
			more, err := s.receive(ctx, reader, next, drain)
			if err != nil {
				return err
			}
			credit.saw(more)
			events = append(events, more...)
		}
		if err := partition.Store(ctx, messages(events)); err != nil {
			return err
		}
		if s.stored != nil {
			for _, e := range events {
				s.stored(id, e.SequenceNumber)
			}
		}
	}
	return nil
}

// credit says how many messages may be on their way at once, from the largest that came lately: Event Hubs counts
// messages, memory counts bytes.
type credit struct {
	memory  int
	largest int
}

func (c *credit) saw(events []*azeventhubs.ReceivedEventData) {
	c.largest -= c.largest / 64 * min(len(events), 1)
	for _, e := range events {
		c.largest = max(c.largest, len(e.Body))
	}
}

// next allows for three times as many: in hand, in the SDK's buffer, and on the wire. Where not even that is there, the
// one message in hand must do.
func (c *credit) next() int { return min(c.memory/3/max(c.largest, 1), most) }

// last asks the hub for the newest sequence number of a partition, -1 where there is none. The SDK's call knows no
// end of its own once it has been sent, so it is left behind where the hub stays silent.
func (s *Source) last(ctx context.Context, client *azeventhubs.ConsumerClient, id string) (int64, error) {
	type answer struct {
		azeventhubs.PartitionProperties
		err error
	}
	ctx, cancel := context.WithTimeout(ctx, propertiesT)
	defer cancel()
	got := make(chan answer, 1)
	go func() {
		p, err := client.GetPartitionProperties(ctx, id, nil)
		got <- answer{p, err}
	}()
	var a answer
	select {
	case a = <-got:
	case <-ctx.Done():
		a.err = ctx.Err()
	}
	switch {
	case errors.Is(a.err, context.DeadlineExceeded):
		return 0, fmt.Errorf("asking for the partition's end: %w", errSilent)
	case a.err != nil:
		return 0, fmt.Errorf("asking for the partition's end: %w", a.err)
	case a.IsEmpty:
		return -1, nil
	}
	return a.LastEnqueuedSequenceNumber, nil
}

// receive waits for count events at most for wait. The SDK would wait for all of them or for the deadline.
func (s *Source) receive(ctx context.Context, reader *azeventhubs.PartitionClient, count int, wait time.Duration) ([]*azeventhubs.ReceivedEventData, error) {
	receiving, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	events, err := reader.ReceiveEvents(receiving, count, nil)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("receiving: %w", err)
	}
	return events, nil
}

func messages(events []*azeventhubs.ReceivedEventData) []ingest.Message {
	out := make([]ingest.Message, 0, len(events))
	for _, e := range events {
		m := ingest.Message{Sequence: e.SequenceNumber, Body: e.Body}
		if e.EnqueuedTime != nil {
			m.Enqueued = e.EnqueuedTime.UTC()
		}
		out = append(out, m)
	}
	return out
}
