// Package ingest brings records from their sources into LOGS, once. Sources hand it whole
// messages; it takes them apart, decodes each record, and stores a batch and the source's checkpoint together or
// not at all. What it cannot decode goes whole to DEADLETTER. It is the first room of the flow.
package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"cordon/ingest/azuremonitor"
	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/record"
	"cordon/internal/tape"
	"github.com/nats-io/nats.go"
)

// Limits of one atomic batch: the server takes 1,000 messages, one of which is the checkpoint, and keeps the batch in a
// buffer of 4 MiB or of 8 until it is committed. A record that is larger goes alone.
const (
	maxRecords = bus.MaxBatch - 1
	maxBytes   = 7 << 19
)

// Message is one message of a source's partition.
type Message struct {
	Sequence int64
	Enqueued time.Time
	Body     []byte
}

// Source is what its partitions have in common.
type Source struct {
	Name    string
	Tenants []string // whose records it may carry; empty: any
	Clock   clock.Clock
	Aside   bool // it reads the past: no watermark waits for it
}

// Partition writes what one reader reads from one partition. Two readers of one partition cannot both write: the
// checkpoint's expected sequence refuses the one that has lost it.
type Partition struct {
	bus       *bus.Bus
	source    Source
	partition string
	last      uint64 // sequence of the checkpoint in LOGS
	at        record.Checkpoint
	rolled    time.Time         // when a checkpoint last cleared away those before it
	before    map[spot][]string // dead letters beyond the checkpoint, from an attempt that was broken off

	splitter azuremonitor.Splitter
	decoder  record.Decoder
}

// Open reads the partition's checkpoint. started is false where nothing was ever stored.
func Open(ctx context.Context, b *bus.Bus, source Source, partition string) (p *Partition, started bool, err error) {
	p = &Partition{bus: b, source: source, partition: partition, at: record.Checkpoint{Sequence: -1}}
	msg, err := b.Last(ctx, bus.Logs, bus.CheckpointSubject(source.Name, partition))
	if err != nil {
		return nil, false, fmt.Errorf("opening checkpoint: %w", err)
	}
	if msg != nil {
		if err := json.Unmarshal(msg.Data, &p.at); err != nil {
			return nil, false, fmt.Errorf("reading checkpoint of %s/%s: %w", source.Name, partition, err)
		}
		p.last = msg.Sequence
	}
	p.at.Source, p.at.Partition, p.at.Aside = source.Name, partition, source.Aside
	if p.before, err = unpassed(ctx, b, p.at); err != nil {
		return nil, false, err
	}
	return p, msg != nil, nil
}

// At is the checkpoint as stored.
func (p *Partition) At() record.Checkpoint { return p.at }

// Store stores the messages' records and the checkpoint behind them. After an error nothing, or a part that ends
// with a checkpoint, has been stored: open the partition again and read on from there.
func (p *Partition) Store(ctx context.Context, messages []Message) error {
	v := storing{Partition: p, ctx: ctx, batch: p.batch()}
	whole := false
	for _, m := range messages {
		if m.Sequence < p.at.Sequence || m.Sequence == p.at.Sequence && p.at.Done {
			continue // read again after a restart
		}
		v.message = m
		if err := p.splitter.Split(m.Body, &v); err != nil {
			return err
		}
		to := &v.batch.to
		to.Sequence, to.Next, to.Done, to.Seen = m.Sequence, 0, true, m.Enqueued
		whole = true
	}
	if !whole {
		return nil
	}
	return p.flush(ctx, v.batch)
}

// storing takes the parts of one message after the other into batches.
type storing struct {
	*Partition
	ctx     context.Context
	batch   *batch
	message Message
}

func (s *storing) stored(index int) bool {
	return s.message.Sequence == s.at.Sequence && index < s.at.Next
}

// Record takes one record into the batch, or gives it to DEADLETTER.
func (s *storing) Record(index int, raw []byte, root tape.Value) error {
	if s.stored(index) {
		return nil
	}
	if s.batch.full(len(raw), s.before[spot{s.message.Sequence, index}]) {
		s.batch.to.Sequence, s.batch.to.Next, s.batch.to.Done = s.message.Sequence, index, false
		if err := s.flush(s.ctx, s.batch); err != nil {
			return err
		}
		s.batch = s.Partition.batch()
	}
	r, err := s.decoder.DecodeValue(root, raw, record.Defaults{Tenant: s.source.only(), Enqueued: s.message.Enqueued})
	return s.put(s.ctx, s.batch, s.message, index, raw, r, err)
}

// Broken gives what is no record to DEADLETTER.
func (s *storing) Broken(index int, raw []byte, rest bool, reason error) error {
	if s.stored(index) {
		return nil
	}
	return s.dead(s.ctx, s.batch, s.message, index, raw, rest, reason)
}

// batch is what is going to be stored together, and the checkpoint that goes last.
type batch struct {
	messages []bus.Message
	marks    []bus.Message // of earlier dead letters that these records replace
	polled   bool
	bytes    int
	event    time.Time // of the newest record
	to       record.Checkpoint
}

func (p *Partition) batch() *batch {
	b := &batch{to: p.at.Clone()}
	b.to.CaughtUp = false
	return b
}

// full says that a record of next bytes, with the marks of the earlier letters at its place, has no room any more.
func (b *batch) full(next int, letters []string) bool {
	return len(b.messages)+len(b.marks)+len(letters) >= maxRecords || len(b.messages) > 0 && b.bytes+next > maxBytes
}

// take decodes one record into the batch, or gives its bytes to DEADLETTER.
func (p *Partition) take(ctx context.Context, b *batch, m Message, index int, raw []byte) error {
	r, err := p.decoder.Decode(raw, record.Defaults{Tenant: p.source.only(), Enqueued: m.Enqueued})
	return p.put(ctx, b, m, index, raw, r, err)
}

// put puts a record that was decoded into the batch, or its bytes into DEADLETTER.
func (p *Partition) put(ctx context.Context, b *batch, m Message, index int, raw []byte, r *record.Record, err error) error {
	if err == nil {
		err = p.source.refuses(r)
	}
	if err != nil {
		return p.dead(ctx, b, m, index, raw, false, err)
	}
	at := record.Position{Source: p.source.Name, Partition: p.partition, Sequence: m.Sequence, Index: index}
	p.add(b, r, at, m.Enqueued)
	return p.supersede(ctx, b, at, raw, "")
}

// decode reads one record that is kept, and refuses one that the source may not carry.
func (s Source) decode(raw []byte, tenant string, enqueued time.Time) (*record.Record, error) {
	r, err := record.Decode(raw, record.Defaults{Tenant: tenant, Enqueued: enqueued})
	if err == nil {
		err = s.refuses(r)
	}
	return r, err
}

// refuses says why the source may not carry a record.
func (s Source) refuses(r *record.Record) error {
	if !s.allows(r.Tenant) {
		return fmt.Errorf("tenant %q is not on this source's list", r.Tenant)
	}
	return nil
}

// add puts a decoded record into the batch.
func (p *Partition) add(b *batch, r *record.Record, at record.Position, enqueued time.Time) {
	message := logMessage(r, at, enqueued)
	b.messages = append(b.messages, message)
	b.bytes += size(message)
	b.event = r.Time
	b.to.Carry(r.Tenant, r.Category, enqueued, r.Time)
}

func logMessage(r *record.Record, at record.Position, enqueued time.Time) bus.Message {
	return bus.Message{Subject: bus.LogSubject(r.Tenant, r.Category, r.Actor.Key()), Header: r.Headers(at, enqueued), Data: r.Raw}
}

func size(m bus.Message) int {
	n := len(m.Data)
	for name, values := range m.Header {
		n += len(name) + len(values[0])
	}
	return n
}

// only is the tenant of records that name none, where the source carries a single one.
func (s Source) only() string {
	if len(s.Tenants) == 1 {
		return s.Tenants[0]
	}
	return ""
}

func (s Source) allows(tenant string) bool {
	return len(s.Tenants) == 0 || slices.ContainsFunc(s.Tenants, func(t string) bool { return strings.EqualFold(t, tenant) })
}

// rollupEvery is how often a checkpoint clears those before it away: doing so costs the server about as much as storing.
const rollupEvery = time.Second

func (p *Partition) checkpointHeader() nats.Header {
	h := nats.Header{"Nats-TTL": {"never"}}
	if now := time.Now(); now.Sub(p.rolled) >= rollupEvery {
		h["Nats-Rollup"] = []string{"sub"}
		p.rolled = now
	}
	return h
}

// flush stores a batch and its checkpoint, together or not at all.
func (p *Partition) flush(ctx context.Context, b *batch) error {
	b.to.Written = p.source.Clock.Now().UTC()
	data, err := json.Marshal(b.to)
	if err != nil {
		return fmt.Errorf("encoding checkpoint: %w", err)
	}
	last := p.last
	messages := append(append(b.messages, b.marks...), bus.Message{
		Subject: bus.CheckpointSubject(p.source.Name, p.partition), Data: data, ExpectLast: &last,
		Header: p.checkpointHeader(),
	})
	if err := p.bus.Admit(ctx, b.bytes+len(data)); err != nil {
		return fmt.Errorf("waiting to store %d records: %w", len(b.messages), err)
	}
	seq, err := p.bus.PublishTogether(ctx, messages)
	if err != nil {
		return fmt.Errorf("storing %d records: %w", len(b.messages), err)
	}
	p.last, p.at = seq, b.to
	return nil
}

// Idle writes a checkpoint that says: all up to the source's time seen has been read. Idle partitions thereby count
// for the watermark.
func (p *Partition) Idle(ctx context.Context, seen time.Time) error {
	b := p.batch()
	b.to.Seen, b.to.CaughtUp = seen, true
	return p.flush(ctx, b)
}
