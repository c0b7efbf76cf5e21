package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Page is what one question to a polled source has brought: records in the form of the stream, and where to ask next.
type Page struct {
	Records [][]byte
	// Cursor says where to ask next, in the poller's own form. It is stored with the last of the records.
	Cursor json.RawMessage
	// Seen is the source's time up to which all has been read; zero leaves it where it was.
	Seen     time.Time
	CaughtUp bool
	// Keep is the event time before which the source will not bring a record again: pollers ask for overlapping
	// spans, and what has been stored already is told by its mark.
	Keep time.Time
}

// maxMarks bounds what a checkpoint remembers of an overlap. A record that comes again after its mark has gone is
// stored again under the same id, which detectors count once.
const maxMarks = 20_000

// StorePage stores a page's records, those aside that are marked as stored, and the cursor behind them. The
// position of a polled record is a running number. After an error a part may have been stored, with the cursor
// before the page: ask again.
func (p *Partition) StorePage(ctx context.Context, page Page) error {
	now := p.source.Clock.Now().UTC()
	marks := readMarks(p.at.Recent)
	for key, at := range marks {
		if at.Before(page.Keep) {
			delete(marks, key)
		}
	}
	b := p.batch()
	b.polled = true
	b.to.Sequence, b.to.Next, b.to.Done = p.at.Sequence+1, 0, true
	m := Message{Sequence: b.to.Sequence, Enqueued: now}
	index := 0
	for _, raw := range page.Records {
		key := markOf(raw)
		if _, stored := marks[key]; stored {
			continue
		}
		if b.full(len(raw), p.before[spot{m.Sequence, index}]) {
			b.to.Recent = writeMarks(marks)
			if err := p.flush(ctx, b); err != nil {
				return err
			}
			b = p.batch()
			b.polled = true
			b.to.Sequence, index = p.at.Sequence+1, 0
			m.Sequence = b.to.Sequence
		}
		before := len(b.messages)
		if err := p.take(ctx, b, m, index, raw); err != nil {
			return err
		}
		index++
		marks[key] = now
		if len(b.messages) > before {
			marks[key] = b.event
		}
	}
	b.to.Recent = writeMarks(marks)
	b.to.Cursor, b.to.CaughtUp = page.Cursor, page.CaughtUp
	if !page.Seen.IsZero() {
		b.to.Seen = page.Seen.UTC()
	}
	return p.flush(ctx, b)
}

// markOf tells a polled record from others and from its own revisions.
func markOf(raw []byte) uint64 {
	sum := sha256.Sum256(raw)
	return binary.BigEndian.Uint64(sum[:])
}

// markSize is that of a mark in a checkpoint: eight bytes of digest, four of time in minutes.
const markSize = 12

func readMarks(data []byte) map[uint64]time.Time {
	marks := map[uint64]time.Time{}
	for ; len(data) >= markSize; data = data[markSize:] {
		marks[binary.BigEndian.Uint64(data)] = time.Unix(int64(binary.BigEndian.Uint32(data[8:]))*60, 0)
	}
	return marks
}

// writeMarks keeps the newest, in an order that depends on nothing else.
func writeMarks(marks map[uint64]time.Time) []byte {
	if len(marks) == 0 {
		return nil
	}
	type mark struct {
		key     uint64
		minutes uint32
	}
	all := make([]mark, 0, len(marks))
	for key, at := range marks {
		all = append(all, mark{key, uint32(max(0, (at.Unix()+59)/60))})
	}
	slices.SortFunc(all, func(a, b mark) int {
		if a.minutes != b.minutes {
			return int(int64(b.minutes) - int64(a.minutes))
		}
		if a.key < b.key {
			return -1
		}
		return 1
	})
	all = all[:min(len(all), maxMarks)]
	out := make([]byte, 0, len(all)*markSize)
	for _, m := range all {
		out = binary.BigEndian.AppendUint64(out, m.key)
		out = binary.BigEndian.AppendUint32(out, m.minutes)
	}
	return out
}

// Cursor decodes the stored cursor of a polled source into c, which stays as it is where nothing was stored.
func (p *Partition) Cursor(c any) error {
	if len(p.at.Cursor) == 0 {
		return nil
	}
	if err := json.Unmarshal(p.at.Cursor, c); err != nil {
		return fmt.Errorf("reading the cursor of %s/%s: %w", p.source.Name, p.partition, err)
	}
	return nil
}
