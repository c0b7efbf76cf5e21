// Package ingest brings records from their sources into LOGS, once. Sources (eventhubs, export) hand it whole
// messages; it takes them apart, decodes each record, and stores a batch and the source's checkpoint together or
// not at all. What it cannot decode goes whole to DEADLETTER. It is the first room of the flow.
package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cordon/ingest/azuremonitor"
	"cordon/internal/bus"
	"cordon/internal/record"
	"github.com/nats-io/nats.go"
)

// Limits of one atomic batch: the server takes 1,000 messages, one of which is the checkpoint.
const (
	maxRecords = bus.MaxBatch - 1
	maxBytes   = bus.MaxPayload
)

// Message is one message of a source's partition.
type Message struct {
	Sequence int64
	Enqueued time.Time
	Body     []byte
}

// Partition writes what one reader reads from one partition. Two readers of one partition cannot both write: the
// checkpoint's expected sequence refuses the one that has lost it.
type Partition struct {
	bus       *bus.Bus
	source    string
	partition string
	tenants   []string // whose records this source may carry; empty: any
	last      uint64   // sequence of the checkpoint in LOGS
	at        record.Checkpoint
}

// Open reads the partition's checkpoint. started is false where nothing was ever stored.
func Open(ctx context.Context, b *bus.Bus, source, partition string, tenants []string) (p *Partition, started bool, err error) {
	p = &Partition{bus: b, source: source, partition: partition, tenants: tenants, at: record.Checkpoint{Sequence: -1}}
	msg, err := b.Last(ctx, bus.Logs, bus.CheckpointSubject(source, partition))
	if err != nil {
		return nil, false, fmt.Errorf("opening checkpoint: %w", err)
	}
	if msg == nil {
		return p, false, nil
	}
	if err := json.Unmarshal(msg.Data, &p.at); err != nil {
		return nil, false, fmt.Errorf("reading checkpoint of %s/%s: %w", source, partition, err)
	}
	p.last = msg.Sequence
	return p, true, nil
}

// At is the checkpoint as stored.
func (p *Partition) At() record.Checkpoint { return p.at }

// Store stores the messages' records and the checkpoint behind them. After an error nothing, or a part that ends
// with a checkpoint, has been stored: open the partition again and read on from there.
func (p *Partition) Store(ctx context.Context, messages []Message) error {
	batch := pending{}
	for _, m := range messages {
		if m.Sequence < p.at.Sequence || m.Sequence == p.at.Sequence && p.at.Done {
			continue // read again after a restart
		}
		rest, err := azuremonitor.Split(m.Body, func(index int, raw []byte) error {
			if m.Sequence == p.at.Sequence && index < p.at.Next {
				return nil
			}
			if batch.full(len(raw)) {
				if err := p.flush(ctx, &batch, record.Checkpoint{Sequence: m.Sequence, Next: index, Seen: m.Enqueued}); err != nil {
					return err
				}
			}
			return p.take(ctx, &batch, m, index, raw)
		})
		if err != nil {
			return err
		}
		if rest != nil {
			if err := p.dead(ctx, m, rest.Index, rest.Bytes, rest.Reason); err != nil {
				return err
			}
		}
		batch.through = record.Checkpoint{Sequence: m.Sequence, Done: true, Seen: m.Enqueued}
		batch.whole = true
	}
	if !batch.whole {
		return nil
	}
	return p.flush(ctx, &batch, batch.through)
}

// pending is a batch on its way.
type pending struct {
	messages []bus.Message
	bytes    int
	through  record.Checkpoint
	whole    bool
}

func (b *pending) full(next int) bool {
	return len(b.messages) >= maxRecords || len(b.messages) > 0 && b.bytes+next > maxBytes
}

// take decodes one record into the batch, or gives it to DEADLETTER.
func (p *Partition) take(ctx context.Context, batch *pending, m Message, index int, raw []byte) error {
	r, err := record.Decode(raw, record.Defaults{Tenant: p.only(), Enqueued: m.Enqueued})
	if err == nil && !p.allowed(r.Tenant) {
		err = fmt.Errorf("tenant %q is not on this source's list", r.Tenant)
	}
	if err != nil {
		return p.dead(ctx, m, index, raw, err)
	}
	position := record.Position{Source: p.source, Partition: p.partition, Sequence: m.Sequence, Index: index}
	header := nats.Header(r.Headers(position, m.Enqueued))
	batch.messages = append(batch.messages, bus.Message{Subject: bus.LogSubject(r.Tenant, r.Category, r.Actor.Key()), Header: header, Data: raw})
	batch.bytes += len(raw)
	for name, values := range header {
		batch.bytes += len(name) + len(values[0])
	}
	return nil
}

// only is the tenant of records that name none, where the source carries a single one.
func (p *Partition) only() string {
	if len(p.tenants) == 1 {
		return p.tenants[0]
	}
	return ""
}

func (p *Partition) allowed(tenant string) bool {
	return len(p.tenants) == 0 || slices.ContainsFunc(p.tenants, func(t string) bool { return strings.EqualFold(t, tenant) })
}

func (p *Partition) flush(ctx context.Context, batch *pending, to record.Checkpoint) error {
	data, err := json.Marshal(to)
	if err != nil {
		return fmt.Errorf("encoding checkpoint: %w", err)
	}
	last := p.last
	messages := append(batch.messages, bus.Message{
		Subject: bus.CheckpointSubject(p.source, p.partition), Data: data, ExpectLast: &last,
		Header: nats.Header{"Nats-Rollup": {"sub"}, "Nats-TTL": {"never"}},
	})
	seq, err := p.bus.PublishBatch(ctx, messages)
	if err != nil {
		return fmt.Errorf("storing %d records: %w", len(batch.messages), err)
	}
	p.last, p.at = seq, to
	batch.messages, batch.bytes = nil, 0
	return nil
}

// Idle writes a checkpoint that says: all up to the hub's time seen has been read. Idle partitions thereby count
// for the watermark.
func (p *Partition) Idle(ctx context.Context, seen time.Time) error {
	to := p.at
	to.Seen, to.CaughtUp = seen, true
	return p.flush(ctx, &pending{}, to)
}

// DeadLetter is what DEADLETTER holds beside the bytes.
const (
	headerReason = "Cordon-Reason"
	headerObject = "Cordon-Object"
)

// dead stores what could not be decoded, whole, before the batch that passes it. A letter that is already there
// was stored before a crash.
func (p *Partition) dead(ctx context.Context, m Message, index int, raw []byte, reason error) error {
	none := uint64(0)
	header := nats.Header{headerReason: {oneLine(reason.Error())}, record.HeaderEnqueued: {m.Enqueued.UTC().Format(time.RFC3339Nano)}}
	letter := bus.Message{
		Subject: bus.DeadLetterSubject(p.source, p.partition, strconv.FormatInt(m.Sequence, 10)+"-"+strconv.Itoa(index)),
		Header:  header, Data: raw, ExpectLast: &none,
	}
	if len(raw) > bus.MaxPayload-64<<10 {
		digest, err := p.bus.PutObject(ctx, raw)
		if err != nil {
			return fmt.Errorf("storing a large dead letter: %w", err)
		}
		header.Set(headerObject, digest)
		letter.Data = nil
	}
	if _, err := p.bus.Publish(ctx, letter); err != nil && !errors.Is(err, bus.ErrConflict) {
		return fmt.Errorf("storing a dead letter: %w", err)
	}
	return nil
}

// oneLine keeps a reason from ending its header.
func oneLine(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, s)
	if len(s) > 500 {
		s = s[:500]
	}
	return s
}
