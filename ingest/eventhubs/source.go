// Package eventhubs reads an Azure event hub into LOGS: one reader a partition, each resuming where its stored
// checkpoint says. It is a source of ingest; the other end of the real SDK may be Azure or the simulator.
package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"cordon/ingest"
	"cordon/internal/bus"
	"cordon/internal/clock"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"go.uber.org/zap"
)

const (
	drain       = 4 * time.Millisecond // how long a reader waits for more once one message has come
	most        = 300                  // messages handed on at once
	idleAfter   = 5 * time.Second      // a caught-up reader says so this often
	retryFirst  = 200 * time.Millisecond
	retryMost   = 15 * time.Second
	propertiesT = 15 * time.Second
)

// Config names one hub.
type Config struct {
	Namespace        string // fully qualified, for a credential
	Hub              string
	ConsumerGroup    string // $Default where empty
	ConnectionString string // the emulator's or the simulator's; Azure is reached by Credential
	Credential       azcore.TokenCredential
	Tenants          []string // whose records may come from here
}

// Name is what the source is called in checkpoints.
func (c Config) Name() string { return c.Namespace + "/" + c.Hub }

// Source reads every partition of one hub.
type Source struct {
	cfg   Config
	bus   *bus.Bus
	clock clock.Clock
	log   *zap.Logger
	idle  time.Duration // how long nothing must come before a reader asks whether it has caught up
}

// New returns a source; Run reads it.
func New(cfg Config, b *bus.Bus, c clock.Clock, log *zap.Logger) *Source {
	return &Source{cfg: cfg, bus: b, clock: c, idle: idleAfter, log: log.With(zap.String("source", cfg.Name()))}
}

// Run reads until ctx ends. What fails is tried again for as long as it takes: the hub keeps the records.
func (s *Source) Run(ctx context.Context) error {
	return s.persist(ctx, "reading hub", func(ctx context.Context, _ func()) error {
		client, err := s.connect()
		if err != nil {
			return err
		}
		defer s.close(client.Close)
		ids, err := s.partitions(ctx)
		if err != nil {
			return fmt.Errorf("asking for the hub's partitions: %w", err)
		}
		var readers sync.WaitGroup
		for _, id := range ids {
			readers.Go(func() {
				_ = s.persist(ctx, "reading partition "+id, func(ctx context.Context, works func()) error {
					return s.read(ctx, client, id, works)
				})
			})
		}
		readers.Wait()
		return nil
	})
}

// partitions asks the hub by a client of its own. A producer's: in azeventhubs v2.0.2 a consumer's Close leaves the
// management link open, and a goroutine renewing its claim for ever. Nothing is sent.
func (s *Source) partitions(ctx context.Context) ([]string, error) {
	var client *azeventhubs.ProducerClient
	var err error
	if s.cfg.ConnectionString != "" {
		client, err = azeventhubs.NewProducerClientFromConnectionString(s.cfg.ConnectionString, "", nil)
	} else {
		client, err = azeventhubs.NewProducerClient(s.cfg.Namespace, s.cfg.Hub, s.cfg.Credential, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	defer s.close(client.Close)
	ctx, cancel := context.WithTimeout(ctx, propertiesT)
	defer cancel()
	hub, err := client.GetEventHubProperties(ctx, nil)
	if err != nil {
		return nil, err
	}
	return hub.PartitionIDs, nil
}

// persist calls work until ctx ends, with growing waits between failures; works resets them.
func (s *Source) persist(ctx context.Context, what string, work func(ctx context.Context, works func()) error) error {
	wait := retryFirst
	for {
		err := work(ctx, func() { wait = retryFirst })
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			s.log.Warn(what+"; trying again", zap.Duration("in", wait), zap.Error(err))
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		wait = min(2*wait, retryMost)
	}
}

func (s *Source) connect() (*azeventhubs.ConsumerClient, error) {
	group := s.cfg.ConsumerGroup
	if group == "" {
		group = azeventhubs.DefaultConsumerGroup
	}
	// The SDK's own waits, 4 s and growing, would keep a partition from flowing again for as long as half a minute.
	options := &azeventhubs.ConsumerClientOptions{RetryOptions: azeventhubs.RetryOptions{MaxRetries: 3, RetryDelay: retryFirst, MaxRetryDelay: 2 * time.Second}}
	var client *azeventhubs.ConsumerClient
	var err error
	if s.cfg.ConnectionString != "" {
		client, err = azeventhubs.NewConsumerClientFromConnectionString(s.cfg.ConnectionString, "", group, options)
	} else {
		client, err = azeventhubs.NewConsumerClient(s.cfg.Namespace, s.cfg.Hub, group, s.cfg.Credential, options)
	}
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return client, nil
}

// close gives a connection a moment to say good-bye, also when ctx has ended.
func (s *Source) close(end func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := end(ctx); err != nil {
		s.log.Debug("closing", zap.Error(err))
	}
}

// read opens the partition where its checkpoint stands and stores what comes.
func (s *Source) read(ctx context.Context, client *azeventhubs.ConsumerClient, id string, works func()) error {
	partition, started, err := ingest.Open(ctx, s.bus, ingest.Source{Name: s.cfg.Name(), Tenants: s.cfg.Tenants, Clock: s.clock}, id)
	if err != nil {
		return err
	}
	level := int64(1) // two readers of one partition: the younger one wins, the older one is told
	options := &azeventhubs.PartitionClientOptions{OwnerLevel: &level}
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
		more, err := s.receive(ctx, reader, most, drain)
		if err != nil {
			return err
		}
		if err := partition.Store(ctx, messages(append(events, more...))); err != nil {
			return err
		}
	}
	return nil
}

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
	select {
	case a := <-got:
		switch {
		case a.err != nil:
			return 0, fmt.Errorf("asking for the partition's end: %w", a.err)
		case a.IsEmpty:
			return -1, nil
		}
		return a.LastEnqueuedSequenceNumber, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("asking for the partition's end: %w", ctx.Err())
	}
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
