package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A scan pulls many messages at once, and asks for more when half of them have been looked at: it holds two pulls at
// most. No message is larger than pullBytes: one that were would never come.
const (
	pullMessages = 500
	pullBytes    = MaxPayload + 1<<20
)

// scanPatience is how long a scan waits for the next message of those that the server says are there.
const scanPatience = 30 * time.Second

// Span is a part of a stream, up to and including sequence Last.
type Span struct {
	Stream string
	Filter []string  // subjects
	Since  time.Time // what was stored since; all where zero
	After  uint64    // where not zero, only what stands behind this sequence, whenever it was stored
	Last   uint64
	// HeadersOnly leaves the messages' bytes where they are.
	HeadersOnly bool
}

// Scan calls visit with each message that a stream holds on a subject and that was stored since a time, and ends
// with the last one that was there when it began.
func (b *Bus) Scan(ctx context.Context, stream, subject string, since time.Time, visit func(jetstream.Msg) error) error {
	return b.scanNow(ctx, Span{Stream: stream, Filter: []string{subject}, Since: since}, visit)
}

// ScanHeaders is Scan without the messages' bytes.
func (b *Bus) ScanHeaders(ctx context.Context, stream, subject string, since time.Time, visit func(jetstream.Msg) error) error {
	return b.scanNow(ctx, Span{Stream: stream, Filter: []string{subject}, Since: since, HeadersOnly: true}, visit)
}

// scanNow scans to the end that the stream has now.
func (b *Bus) scanNow(ctx context.Context, s Span, visit func(jetstream.Msg) error) (err error) {
	if s.Last, err = b.LastSequence(ctx, s.Stream); err != nil {
		return fmt.Errorf("scanning %s: %w", s.Stream, err)
	}
	return b.ScanSpan(ctx, s, visit)
}

// ScanSpan calls visit with each message of a span, in order. What is deleted meanwhile is not waited for.
func (b *Bus) ScanSpan(ctx context.Context, s Span, visit func(jetstream.Msg) error) error {
	if s.Last == 0 || s.After >= s.Last {
		return ctx.Err()
	}
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: s.Filter, DeliverPolicy: jetstream.DeliverAllPolicy, InactiveThreshold: 30 * time.Second, HeadersOnly: s.HeadersOnly}
	switch {
	case s.After > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, s.After+1
	case !s.Since.IsZero() && s.Since.Before(time.Now()):
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &s.Since
	}
	consumer, err := b.js.OrderedConsumer(ctx, s.Stream, cfg)
	if err != nil {
		return fmt.Errorf("scanning %s: %w", s.Stream, err)
	}
	defer b.leave(s.Stream, consumer)
	pending := consumer.CachedInfo().NumPending
	if pending == 0 {
		return nil
	}
	it, err := consumer.Messages(jetstream.PullMaxMessagesWithBytesLimit(int(min(pending, pullMessages)), pullBytes),
		jetstream.PullExpiry(2*time.Second), jetstream.PullHeartbeat(500*time.Millisecond))
	if err != nil {
		return fmt.Errorf("scanning %s: %w", s.Stream, err)
	}
	defer it.Stop()
	stop := context.AfterFunc(ctx, it.Stop)
	defer stop()
	heard, quiet := time.Now(), 0
	for {
		msg, err := it.Next(jetstream.NextMaxWait(time.Second))
		if ctx.Err() != nil {
			return fmt.Errorf("scanning %s: %w", s.Stream, ctx.Err())
		}
		if errors.Is(err, nats.ErrTimeout) && time.Since(heard) < scanPatience {
			// What was pending has perhaps been deleted: by its age, or by a later checkpoint. What is on its way takes
			// no second, and what was lost on it is asked for again when a heartbeat fails to come.
			if info, err := consumer.Info(ctx); err == nil && info.NumPending == 0 {
				quiet++
			}
			if quiet == 2 {
				return nil
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("scanning %s: %w", s.Stream, err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("scanning %s: %w", s.Stream, err)
		}
		if meta.Sequence.Stream > s.Last {
			return nil
		}
		if err := visit(msg); err != nil {
			return err
		}
		if meta.NumPending == 0 || meta.Sequence.Stream == s.Last {
			return nil
		}
		heard, quiet = time.Now(), 0
	}
}
