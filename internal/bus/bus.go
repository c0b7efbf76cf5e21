// Package bus is the one place that names Cordon's NATS streams, their subjects and their tokens. It opens
// JetStream, embedded in the process or on a cluster, and offers the few ways in which rooms use it: an atomic
// batch, an append that expects the last sequence, a durable worker, a timer. Every arrow between rooms goes
// through here.
package bus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// MaxPayload is the largest message that a Cordon server stores: a record of 1 MiB, a batch of 8 MiB.
const MaxPayload = 8 << 20

// inFlight is how many atomic batches are under way at once.
const inFlight = 4

// Config says where JetStream is.
type Config struct {
	// Dir is the data folder of the embedded server. One process owns it (architecture, rule 14).
	Dir string
	// URL points at a NATS cluster instead; Dir then holds nothing but run.json.
	URL string
	// LogsMaxBytes bounds LOGS, in bytes; full means that ingest slows down, never that a record is dropped.
	LogsMaxBytes int64
	// Replicas is on how many servers of a cluster everything is kept; 1 where 0.
	Replicas int
	// Recent bounds the bytes that LOGS takes within the ten seconds for which an embedded server keeps them in memory;
	// what DefaultMemory leaves where 0.
	Recent int
	Log    *zap.Logger
}

// Bus is a connection to JetStream with Cordon's streams in place.
type Bus struct {
	js   jetstream.JetStream
	nc   *nats.Conn
	srv  *server.Server
	lock *flock.Flock
	log  *zap.Logger

	streams map[string]jetstream.Stream // by name; set once

	mu        sync.Mutex
	consumers []jetstream.Consumer
	pinned    map[string]jetstream.Consumer
	batches   chan struct{} // atomic batches in flight: the server holds each in memory, twice
	group     group
	recent    recent
}

// ErrDataFolderInUse says that another Cordon owns the data folder: two embedded servers on one folder corrupt it.
var ErrDataFolderInUse = errors.New("data folder is in use by another Cordon")

// Open starts or reaches JetStream and creates what is missing of Cordon's streams and buckets.
func Open(ctx context.Context, cfg Config) (*Bus, error) {
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	b := &Bus{log: cfg.Log, batches: make(chan struct{}, inFlight), streams: map[string]jetstream.Stream{}, pinned: map[string]jetstream.Consumer{}}
	if b.recent.most = cfg.Recent; b.recent.most == 0 {
		b.recent.most = RecentOf(DefaultMemory)
	}
	var err error
	if cfg.URL == "" {
		err = b.embed(cfg.Dir)
	} else {
		b.nc, err = nats.Connect(cfg.URL, nats.MaxReconnects(-1), nats.Name("cordon"))
	}
	if err == nil && b.nc.MaxPayload() < MaxPayload {
		err = fmt.Errorf("checking the server: max_payload is %d bytes, Cordon needs %d", b.nc.MaxPayload(), MaxPayload)
	}
	if err == nil {
		b.js, err = jetstream.New(b.nc)
	}
	if err == nil {
		err = b.createStreams(ctx, cfg)
	}
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// embed starts nats-server as a library: no port is opened, every acknowledged message has been synced to disk.
func (b *Bus) embed(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("creating the data folder: %w", err)
	}
	b.lock = flock.New(filepath.Join(dir, "cordon.lock"))
	held, err := b.lock.TryLock()
	if err != nil {
		return fmt.Errorf("locking the data folder: %w", err)
	}
	if !held {
		b.lock = nil
		return fmt.Errorf("%s: %w", dir, ErrDataFolderInUse)
	}
	b.srv, err = server.NewServer(&server.Options{
		ServerName: "cordon", DontListen: true, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: filepath.Join(dir, "jetstream"), SyncAlways: true,
		MaxPayload: MaxPayload, MaxPending: 64 << 20,
		JetStreamLimits: server.JSLimitOpts{MaxBatchInflightPerStream: 50, DefaultMaxConsumers: -1},
	})
	if err != nil {
		return fmt.Errorf("configuring the embedded NATS server: %w", err)
	}
	b.srv.Start()
	if !b.srv.ReadyForConnections(20 * time.Second) {
		return errors.New("starting the embedded NATS server: not ready after 20 s")
	}
	b.nc, err = nats.Connect("", nats.InProcessServer(b.srv), nats.Name("cordon"), nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("connecting to the embedded NATS server: %w", err)
	}
	return nil
}

// Close leaves JetStream and, where it is embedded, stops it and gives the data folder back.
func (b *Bus) Close() {
	if b.nc != nil {
		b.nc.Close()
	}
	b.group.workers.Wait()
	if b.srv != nil {
		b.srv.Shutdown()
		b.srv.WaitForShutdown()
	}
	if b.lock != nil {
		_ = b.lock.Unlock() // the lock dies with the process in any case
	}
}

// KeyValue opens one of Cordon's buckets.
func (b *Bus) KeyValue(ctx context.Context, bucket string) (jetstream.KeyValue, error) {
	kv, err := b.js.KeyValue(ctx, bucket)
	if err != nil {
		return nil, fmt.Errorf("opening bucket %s: %w", bucket, err)
	}
	return kv, nil
}

// Stream is one of Cordon's streams, for reading. It panics on a name that is none of them.
func (b *Bus) Stream(name string) jetstream.Stream {
	s, ok := b.streams[name]
	if !ok {
		panic("bus: there is no stream " + name)
	}
	return s
}

// LastSequence tells the sequence of the newest message of a stream.
func (b *Bus) LastSequence(ctx context.Context, stream string) (uint64, error) {
	info, err := b.Stream(stream).Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("asking about stream %s: %w", stream, err)
	}
	return info.State.LastSeq, nil
}
