package ingest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cordon/internal/bus"
	"cordon/internal/record"
	"github.com/nats-io/nats.go"
)

// What DEADLETTER holds beside the bytes.
const (
	headerReason = "Cordon-Reason"
	headerObject = "Cordon-Object"
)

// dead stores what could not be decoded, whole, before the batch that passes it. A letter that is already there
// was stored before a crash.
func (p *Partition) dead(ctx context.Context, b *batch, m Message, index int, raw []byte, reason error) error {
	none := uint64(0)
	header := nats.Header{headerReason: {oneLine(reason.Error())}, record.HeaderEnqueued: {m.Enqueued.UTC().Format(time.RFC3339Nano)}}
	letter := bus.Message{
		Subject: bus.DeadLetterSubject(p.source.Name, p.partition, strconv.FormatInt(m.Sequence, 10)+"-"+strconv.Itoa(index)),
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
	b.to.Dead++
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
