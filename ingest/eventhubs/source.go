// Package eventhubs reads Azure event hubs into LOGS: one reader a partition, each resuming where its stored
// checkpoint says. Several instances of Cordon share a hub's partitions (package crew). It is a source of ingest; the
// other end of the real SDK may be Azure or the simulator.
//
// The SDK's own Processor is not used: after one failed reading of a checkpoint it owns a partition and never reads
// it again, one failed listing of owners ends it, and its checkpoints carry no fence (azeventhubs v2.0.2).
package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/crew"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"go.uber.org/zap"
)

const (
	retryFirst  = 200 * time.Millisecond
	retryMost   = 5 * time.Second
	propertiesT = 10 * time.Second
)

// errSilent says that the hub answers nothing over the connection that there is. A firewall may have forgotten it: the SDK
// would wait for a minute before it made another.
var errSilent = errors.New("the hub is silent")

// Config names one hub.
type Config struct {
	Namespace        string // fully qualified, for a credential
	Hub              string
	ConsumerGroup    string // $Default where empty
	ConnectionString string // the emulator's or the simulator's; Azure is reached by Credential
	Credential       azcore.TokenCredential
	WebSockets       bool     // AMQP over WebSockets on port 443, through the proxy that the environment names
	Tenants          []string // whose records may come from here
	// Memory bounds what the readers of this hub hold at once, in bytes; 32 MiB where 0.
	Memory int
}

const defaultMemory = 32 << 20

// Name is what the source is called in checkpoints.
func (c Config) Name() string { return c.Namespace + "/" + c.Hub }

// Source reads this instance's share of the partitions of one hub.
type Source struct {
	cfg   Config
	bus   *bus.Bus
	crew  *crew.Crew
	clock clock.Clock
	log   *zap.Logger
	idle  time.Duration // how long nothing must come before a reader asks whether it has caught up
	dial  func(context.Context, azeventhubs.WebSocketConnParams) (net.Conn, error)
	// stored, where set, hears of each message once LOGS has acknowledged it.
	stored func(partition string, sequence int64)
}

// New returns a source; Run reads it.
func New(cfg Config, b *bus.Bus, with *crew.Crew, c clock.Clock, log *zap.Logger) *Source {
	if cfg.Memory == 0 {
		cfg.Memory = defaultMemory
	}
	return &Source{cfg: cfg, bus: b, crew: with, clock: c, idle: idleAfter, dial: dialWebSocket, log: log.With(zap.String("source", cfg.Name()))}
}

// Run reads until ctx ends. What fails is tried again for as long as it takes: the hub keeps the records.
func (s *Source) Run(ctx context.Context) error {
	s.persist(ctx, "reading hub", func(ctx context.Context, works func()) error {
		ctx, hangUp := context.WithCancelCause(ctx)
		defer hangUp(nil)
		client, err := s.connect()
		if err != nil {
			return err
		}
		defer s.close(client.Close)
		ids, err := s.partitions(ctx)
		if err != nil {
			return fmt.Errorf("asking for the hub's partitions: %w", err)
		}
		works()
		items := make([]string, len(ids))
		for i, id := range ids {
			items[i] = s.cfg.Name() + "/" + id
		}
		var readers sync.WaitGroup
		for i, id := range ids {
			readers.Go(func() {
				s.crew.Keep(ctx, items, i, func(ctx context.Context) {
					s.persist(ctx, "reading partition "+id, func(ctx context.Context, works func()) error {
						err := s.read(ctx, client, id, s.cfg.Memory/len(ids), works)
						if errors.Is(err, errSilent) {
							hangUp(err)
						}
						return err
					})
				})
			})
		}
		readers.Wait()
		return context.Cause(ctx)
	})
	return nil
}

// persist calls work until ctx ends, with growing waits between failures; works resets them.
func (s *Source) persist(ctx context.Context, what string, work func(ctx context.Context, works func()) error) {
	wait := retryFirst
	for {
		err := work(ctx, func() { wait = retryFirst })
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.log.Warn(what+"; trying again", zap.Duration("in", wait), zap.Error(err))
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		wait = min(2*wait, retryMost)
	}
}

// partitions asks the hub by a client of its own. A producer's: in azeventhubs v2.0.2 a consumer's Close leaves the
// management link open, and a goroutine renewing its claim for ever. Nothing is sent.
func (s *Source) partitions(ctx context.Context) ([]string, error) {
	var client *azeventhubs.ProducerClient
	var err error
	options := &azeventhubs.ProducerClientOptions{}
	if s.cfg.WebSockets {
		options.NewWebSocketConn = s.dial
	}
	if s.cfg.ConnectionString != "" {
		client, err = azeventhubs.NewProducerClientFromConnectionString(s.cfg.ConnectionString, "", options)
	} else {
		client, err = azeventhubs.NewProducerClient(s.cfg.Namespace, s.cfg.Hub, s.cfg.Credential, options)
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

func (s *Source) connect() (*azeventhubs.ConsumerClient, error) {
	group := s.cfg.ConsumerGroup
	if group == "" {
		group = azeventhubs.DefaultConsumerGroup
	}
	// The SDK's own waits, 4 s and growing, would keep a partition from flowing again for as long as half a minute.
	options := &azeventhubs.ConsumerClientOptions{InstanceID: s.crew.Name(), RetryOptions: azeventhubs.RetryOptions{MaxRetries: 3, RetryDelay: retryFirst, MaxRetryDelay: 2 * time.Second}}
	if s.cfg.WebSockets {
		options.NewWebSocketConn = s.dial
	}
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
