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
	"github.com/nats-io/nats.go/jetstream"
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
	_, err := p.bus.Publish(ctx, letter)
	if errors.Is(err, bus.ErrConflict) {
		// A cluster says the same of a letter that is only on its way, and may yet be lost with its leader.
		var there *jetstream.RawStreamMsg
		if there, err = p.bus.Last(ctx, bus.DeadLetters, letter.Subject); err == nil && there == nil {
			err = errors.New("an earlier attempt has not ended")
		}
	}
	if err != nil {
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
