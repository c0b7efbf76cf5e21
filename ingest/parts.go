package ingest

import (
	"context"
	"encoding/json"
	"fmt"

	"cordon/internal/bus"
)

// Part is one piece of a file: a record in a form that record.Decode reads, or what the file's reader could make
// nothing of, and why.
type Part struct {
	Raw []byte
	Err error
}

// StoreParts stores pieces of a file and the reader's cursor behind them. Where they are too many for one batch,
// each batch carries the cursor that stands behind its own: cursor is asked for the one after so many of the parts.
// After an error the stored cursor is exact: what stands before it has been stored, and nothing else. Unlike
// StorePage it remembers no marks: a file, unlike an API, is read in one order only. The position of a part is a
// running number; with no parts at all the number goes on too, so that dead letters of one file never take the
// place of those of another that was given up.
func (p *Partition) StoreParts(ctx context.Context, parts []Part, cursor func(taken int) any) error {
	stored := func(b *batch, taken int) error {
		data, err := json.Marshal(cursor(taken))
		if err != nil {
			return fmt.Errorf("encoding the cursor: %w", err)
		}
		b.to.Cursor = data
		return p.flush(ctx, b)
	}
	b, m := p.parts()
	index := 0
	for taken, part := range parts {
		if b.full(min(len(part.Raw), bus.MaxPayload), p.before[spot{m.Sequence, index}]) {
			if err := stored(b, taken); err != nil {
				return err
			}
			b, m = p.parts()
			index = 0
		}
		var err error
		if part.Err != nil {
			err = p.dead(ctx, b, m, index, part.Raw, false, part.Err)
		} else {
			err = p.take(ctx, b, m, index, part.Raw)
		}
		if err != nil {
			return err
		}
		index++
	}
	return stored(b, len(parts))
}

func (p *Partition) parts() (*batch, Message) {
	b := p.batch()
	b.polled = true
	b.to.Sequence, b.to.Next, b.to.Done = p.at.Sequence+1, 0, true
	return b, Message{Sequence: b.to.Sequence, Enqueued: p.source.Clock.Now().UTC()}
}
