package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// AckWait is how long a worker may be silent about a message before another gets it.
const AckWait = 4 * time.Second

// Worker is a durable consumer of a stream.
type Worker struct {
	Stream  string
	Durable string
	Filter  []string
	// Parallel is how many messages are handled at once; 0 or 1 keeps the stream's order.
	Parallel int
	// Ahead is how many messages may be held unacknowledged; it defaults to 1 for an ordered worker.
	Ahead int
}

// Handler does the work that a message asks for. When it returns nil the message is done; an error brings the
// message back later, as often as it takes: nothing is dropped.
type Handler func(ctx context.Context, msg jetstream.Msg) error

// RetryAfter is an error that says when the message should come back.
type RetryAfter struct {
	Wait time.Duration
	Err  error
}

func (r *RetryAfter) Error() string { return fmt.Sprintf("%v (again in %s)", r.Err, r.Wait) }
func (r *RetryAfter) Unwrap() error { return r.Err }

// Run handles the worker's messages until ctx ends, then waits for those in hand.
func (b *Bus) Run(ctx context.Context, w Worker, handle Handler) error {
	parallel := max(w.Parallel, 1)
	consumer, err := b.js.CreateOrUpdateConsumer(ctx, w.Stream, jetstream.ConsumerConfig{
		Durable: w.Durable, FilterSubjects: w.Filter, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: AckWait, MaxDeliver: -1, MaxAckPending: max(w.Ahead, parallel),
		DeliverPolicy: jetstream.DeliverAllPolicy,
	})
	if err != nil {
		return fmt.Errorf("creating consumer %s: %w", w.Durable, err)
	}
	b.mu.Lock()
	b.consumers = append(b.consumers, consumer)
	b.mu.Unlock()
	it, err := consumer.Messages(jetstream.PullMaxMessages(max(w.Ahead, parallel)),
		jetstream.PullExpiry(2*time.Second), jetstream.PullHeartbeat(500*time.Millisecond))
	if err != nil {
		return fmt.Errorf("reading %s: %w", w.Durable, err)
	}
	defer it.Stop() // ctx may have ended before AfterFunc's function was begun, which then never runs
	stop := context.AfterFunc(ctx, it.Stop)
	defer stop()

	var hands sync.WaitGroup
	defer hands.Wait()
	free := make(chan struct{}, parallel)
	for {
		msg, err := it.Next()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return fmt.Errorf("reading %s: the server closed the subscription", w.Durable)
		case err != nil:
			b.log.Debug("pulling", zap.String("consumer", w.Durable), zap.Error(err))
			continue // a missed heartbeat: the iterator pulls again by itself
		}
		free <- struct{}{}
		if parallel == 1 {
			b.one(ctx, w, msg, handle)
			<-free
			continue
		}
		hands.Go(func() {
			defer func() { <-free }()
			b.one(ctx, w, msg, handle)
		})
	}
}

// one handles a message, keeps it in hand with a sign of life each second, and acknowledges or gives it back.
func (b *Bus) one(ctx context.Context, w Worker, msg jetstream.Msg, handle Handler) {
	done := make(chan struct{})
	var pulse sync.WaitGroup
	pulse.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = msg.InProgress() // a lost sign of life shows as redelivery, which every handler bears
			case <-done:
				return
			}
		}
	})
	err := handle(ctx, msg)
	close(done)
	pulse.Wait()
	if err == nil {
		if err := msg.Ack(); err != nil {
			b.log.Warn("acknowledging", zap.String("consumer", w.Durable), zap.Error(err))
		}
		return
	}
	if ctx.Err() != nil {
		_ = msg.Nak() // shutting down: somebody else may have it at once
		return
	}
	wait := backoff(msg)
	if again := (*RetryAfter)(nil); errors.As(err, &again) {
		wait = again.Wait
	}
	b.log.Warn("handling a message; it comes again", zap.String("consumer", w.Durable), zap.String("subject", msg.Subject()), zap.Duration("in", wait), zap.Error(err))
	_ = msg.NakWithDelay(wait)
}

func backoff(msg jetstream.Msg) time.Duration {
	wait := 100 * time.Millisecond
	if meta, err := msg.Metadata(); err == nil {
		wait <<= min(meta.NumDelivered, 8)
	}
	return min(wait, 30*time.Second)
}

// Follow calls visit with each message of a stream that matches filter, from the sequence start on (0: the
// beginning), in order, and calls caughtUp once it has shown all there was when it began. It ends with ctx.
func (b *Bus) Follow(ctx context.Context, stream string, filter []string, start uint64, visit func(jetstream.Msg) error, caughtUp func()) error {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: filter, DeliverPolicy: jetstream.DeliverAllPolicy, InactiveThreshold: 30 * time.Second}
	if start > 0 {
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, start
	}
	consumer, err := b.js.OrderedConsumer(ctx, stream, cfg)
	if err != nil {
		return fmt.Errorf("following %s: %w", stream, err)
	}
	defer b.leave(stream, consumer)
	pending := consumer.CachedInfo().NumPending
	if pending == 0 && caughtUp != nil {
		caughtUp()
		caughtUp = nil
	}
	it, err := consumer.Messages(jetstream.PullExpiry(2*time.Second), jetstream.PullHeartbeat(500*time.Millisecond))
	if err != nil {
		return fmt.Errorf("following %s: %w", stream, err)
	}
	defer it.Stop()
	stop := context.AfterFunc(ctx, it.Stop)
	defer stop()
	for {
		msg, err := it.Next()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return fmt.Errorf("following %s: the server closed the subscription", stream)
		case err != nil:
			continue
		}
		if err := visit(msg); err != nil {
			return err
		}
		if caughtUp != nil {
			if meta, err := msg.Metadata(); err == nil && meta.NumPending == 0 {
				caughtUp()
				caughtUp = nil
			}
		}
	}
}

// leave deletes what somebody has read a stream in order with. By itself the server does so half a minute later, and it keeps
// no more than a thousand of a stream (default_max_consumers, nats-server 2.15): instances that take over from each other
// read more often than that.
func (b *Bus) leave(stream string, with jetstream.Consumer) {
	info := with.CachedInfo()
	if info == nil {
		return // the server closed it, and it was not made anew
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = b.js.DeleteConsumer(ctx, stream, info.Name)
}

// Idle says whether every worker that this process runs has handled all there is. The stream sequences are part
// of the answer, so that two equal answers mean that nothing moved in between.
func (b *Bus) Idle(ctx context.Context) (idle bool, mark string, err error) {
	b.mu.Lock()
	ours := map[string]map[string]bool{} // by stream
	for _, c := range slices.AppendSeq(slices.Clone(b.consumers), maps.Values(b.pinned)) {
		info := c.CachedInfo()
		if ours[info.Stream] == nil {
			ours[info.Stream] = map[string]bool{}
		}
		ours[info.Stream][info.Name] = true
	}
	b.mu.Unlock()
	for _, s := range streams(Config{}) {
		if len(ours[s.Name]) == 0 {
			continue
		}
		list := b.Stream(s.Name).ListConsumers(ctx) // in one question: a shard each are many
		busy := false
		for info := range list.Info() {
			busy = busy || ours[s.Name][info.Name] && info.NumPending+uint64(info.NumAckPending) > 0
		}
		if err := list.Err(); err != nil {
			return false, "", fmt.Errorf("asking about the consumers of %s: %w", s.Name, err)
		}
		if busy {
			return false, "", nil
		}
	}
	list := b.js.ListStreams(ctx)
	sequences := map[string]uint64{}
	for info := range list.Info() {
		sequences[info.Config.Name] = info.State.LastSeq
	}
	if err := list.Err(); err != nil {
		return false, "", fmt.Errorf("asking about streams: %w", err)
	}
	for _, s := range streams(Config{}) {
		mark += fmt.Sprintf("%s=%d ", s.Name, sequences[s.Name])
	}
	return true, mark, nil
}

// Since is the sequence of the first message of a stream that was stored at or after t; one behind the last where none
// was. It is for streams that nothing is deleted from.
func (b *Bus) Since(ctx context.Context, stream string, t time.Time) (uint64, error) {
	s := b.Stream(stream)
	info, err := s.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("asking about stream %s: %w", stream, err)
	}
	low, high := max(info.State.FirstSeq, 1), info.State.LastSeq+1
	for low < high {
		middle := low + (high-low)/2
		msg, err := s.GetMsg(ctx, middle)
		if err != nil {
			return 0, fmt.Errorf("reading %s: %w", stream, err)
		}
		if msg.Time.Before(t) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}

// Progress is how far a durable worker has come.
type Progress struct {
	Begun   bool   // it was there once
	Floor   uint64 // sequence up to which it has handled everything it was given
	Waiting uint64 // messages before it, and in its hands
}

// ProgressOf asks how far a durable worker has come, in whatever process it runs.
func (b *Bus) ProgressOf(ctx context.Context, stream, durable string) (Progress, error) {
	c, err := b.js.Consumer(ctx, stream, durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return Progress{}, nil
	}
	if err != nil {
		return Progress{}, fmt.Errorf("asking about consumer %s: %w", durable, err)
	}
	info := c.CachedInfo()
	return Progress{true, info.AckFloor.Stream, info.NumPending + uint64(info.NumAckPending)}, nil
}

// AckFloor is the sequence up to which a durable worker has handled everything; 0 where it never ran.
func (b *Bus) AckFloor(ctx context.Context, stream, durable string) (uint64, error) {
	p, err := b.ProgressOf(ctx, stream, durable)
	return p.Floor, err
}
