package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The streams, as the architecture page names them.
const (
	Logs        = "LOGS"
	Findings    = "FINDINGS"
	Incidents   = "INCIDENTS"
	Evidence    = "EVIDENCE"
	Steps       = "STEPS"
	Timers      = "TIMERS"
	Audit       = "AUDIT"
	DeadLetters = "DEADLETTER"
)

// The buckets.
const (
	DirectoryBucket = "directory" // who is privileged, as last read from Graph
	CapsBucket      = "caps"      // what guardrails have counted
	ChatBucket      = "chat"      // which message shows which incident
	LeasesBucket    = "leases"    // which instances of Cordon are alive
	SnapshotsBucket = "snapshots" // what a room has learnt and could not learn again from its stream
)

// SnapshotsStream is the stream behind the bucket.
const SnapshotsStream = "KV_" + SnapshotsBucket

// objects holds dead letters that are larger than a message.
const objects = "deadletters"

const day = 24 * time.Hour

func shard(from, to string) *jetstream.SubjectTransformConfig {
	return &jetstream.SubjectTransformConfig{Source: from, Destination: to}
}

// streams lists what Cordon keeps, in the order of the flow. Incidents can neither be deleted nor purged: they are
// the audit trail. In LOGS the marks of replayed dead letters stand beside the records, for they must land with them in
// one batch; nobody who reads records or checkpoints sees them. LOGS refuses new messages when it is full, which slows ingest down; dropping unread records
// would be silent.
func streams(cfg Config) []jetstream.StreamConfig {
	logsMax := cfg.LogsMaxBytes
	if logsMax == 0 {
		logsMax = -1
	}
	return []jetstream.StreamConfig{
		{Name: Logs, Subjects: []string{"in.*.*.*", "cp.*.*", "replayed.*.*.*"},
			SubjectTransform: shard("in.*.*.*", fmt.Sprintf("logs.{{partition(%d,1)}}.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}", Shards)),
			MaxAge:           35 * day, MaxBytes: logsMax, Discard: jetstream.DiscardNew,
			AllowAtomicPublish: true, AllowRollup: true, AllowMsgTTL: true},
		{Name: DeadLetters, Subjects: []string{"deadletter.*.*.*"}, MaxAge: 30 * day},
		{Name: Findings, Subjects: []string{"finding.*"},
			SubjectTransform: shard("finding.*", fmt.Sprintf("findings.{{partition(%d,1)}}.{{wildcard(1)}}", Shards)),
			MaxAge:           400 * day},
		{Name: Incidents, Subjects: []string{"incidents.*.*"}, DenyDelete: true, DenyPurge: true, AllowAtomicPublish: true},
		{Name: Evidence, Subjects: []string{"evidence.*"}, Duplicates: time.Hour},
		{Name: Steps, Subjects: []string{"step.*"}, Retention: jetstream.WorkQueuePolicy,
			SubjectTransform: shard("step.*", fmt.Sprintf("steps.{{partition(%d,1)}}.{{wildcard(1)}}", Shards))},
		{Name: Timers, Subjects: []string{"timers.>", "due.>"}, MaxMsgsPerSubject: 1,
			AllowMsgSchedules: true, AllowMsgTTL: true, AllowRollup: true},
		{Name: Audit, Subjects: []string{"audit.*"}, DenyDelete: true, DenyPurge: true},
	}
}

func (b *Bus) createStreams(ctx context.Context, cfg Config) error {
	for _, want := range streams(cfg) {
		want.Storage, want.Replicas = jetstream.FileStorage, max(cfg.Replicas, 1)
		if want.Duplicates == 0 {
			want.Duplicates = 2 * time.Minute
		}
		stream, err := b.js.CreateOrUpdateStream(ctx, want)
		if err != nil {
			return fmt.Errorf("creating stream %s: %w", want.Name, err)
		}
		b.streams[want.Name] = stream
	}
	for _, bucket := range []string{DirectoryBucket, CapsBucket, ChatBucket, LeasesBucket, SnapshotsBucket} {
		_, err := b.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: bucket, History: 1, Storage: jetstream.FileStorage, Replicas: max(cfg.Replicas, 1)})
		if err != nil && !errors.Is(err, jetstream.ErrBucketExists) {
			return fmt.Errorf("creating bucket %s: %w", bucket, err)
		}
	}
	// What detectors keep is written in atomic batches, which a bucket does not allow by itself.
	snapshots, err := b.js.Stream(ctx, SnapshotsStream)
	if err != nil {
		return fmt.Errorf("opening bucket %s: %w", SnapshotsBucket, err)
	}
	if want := snapshots.CachedInfo().Config; !want.AllowAtomicPublish {
		want.AllowAtomicPublish = true
		if snapshots, err = b.js.UpdateStream(ctx, want); err != nil {
			return fmt.Errorf("preparing bucket %s: %w", SnapshotsBucket, err)
		}
	}
	b.streams[SnapshotsStream] = snapshots
	if _, err := b.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: objects, TTL: 30 * day, Replicas: max(cfg.Replicas, 1)}); err != nil {
		return fmt.Errorf("creating the object store: %w", err)
	}
	return nil
}
