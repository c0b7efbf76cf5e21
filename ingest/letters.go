package ingest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/letter"
	"cordon/internal/record"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// maxLetter bounds the bytes of a letter that are read back: more than the largest message of an event hub.
const maxLetter = 32 << 20

// Letters shows what went to DEADLETTER, and replays it.
type Letters struct {
	bus     *bus.Bus
	clock   clock.Clock
	sources func(name string) (Source, bool)
}

// NewLetters returns the letters of a bus. sources finds a source as it is configured today.
func NewLetters(b *bus.Bus, c clock.Clock, sources func(name string) (Source, bool)) *Letters {
	return &Letters{bus: b, clock: c, sources: sources}
}

// List shows the letters that wait, the newest first; those that were replayed are not among them.
func (l *Letters) List(ctx context.Context, f letter.Filter) (letter.Page, error) {
	marks, err := l.bus.Subjects(ctx, bus.Logs, bus.ReplayedSubject(bus.DeadLettersOf(f.Source)))
	if err != nil {
		return letter.Page{}, err
	}
	var all []letter.Letter
	err = l.bus.ScanHeaders(ctx, bus.DeadLetters, bus.DeadLettersOf(f.Source), f.Since, func(m jetstream.Msg) error {
		if _, marked := marks[bus.ReplayedSubject(m.Subject())]; marked {
			if state, _, err := l.mark(ctx, m.Subject()); err != nil || state.Done {
				return err
			}
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("reading a dead letter: %w", err)
		}
		size, _ := strconv.ParseInt(m.Headers().Get("Nats-Msg-Size"), 10, 64) // what an older edition has stored says no more
		all = append(all, read(m.Subject(), m.Headers(), size, meta.Timestamp))
		return nil
	})
	if err != nil {
		return letter.Page{}, err
	}
	slices.Reverse(all)
	page := letter.Page{Total: len(all), Letters: all}
	if f.Limit > 0 && len(all) > f.Limit {
		page.Letters = all[:f.Limit]
	}
	return page, nil
}

// Show returns one letter with its bytes.
func (l *Letters) Show(ctx context.Context, id string) (letter.Letter, error) {
	parsed, err := letter.ParseID(id)
	if err != nil {
		return letter.Letter{}, letter.Refuse("%s", err)
	}
	msg, err := l.bus.Last(ctx, bus.DeadLetters, subjectOf(parsed))
	if err != nil {
		return letter.Letter{}, err
	}
	if msg == nil {
		return letter.Letter{}, letter.ErrNone
	}
	return l.whole(ctx, msg)
}

// whole reads a letter with its bytes, from the object store where they are larger than a message.
func (l *Letters) whole(ctx context.Context, msg *jetstream.RawStreamMsg) (out letter.Letter, err error) {
	body := msg.Data
	if digest := msg.Header.Get(headerObject); digest != "" {
		if body, err = l.bus.Object(ctx, digest, maxLetter); err != nil {
			return letter.Letter{}, fmt.Errorf("reading a large dead letter: %w", err)
		}
	}
	out = read(msg.Subject, msg.Header, int64(len(body)), msg.Time)
	out.Body = body
	return out, nil
}

// read takes what a letter says of itself from its headers. One of an older edition, which does not say where it comes
// from, is known by the tokens of its subject.
func read(subject string, header nats.Header, size int64, stored time.Time) letter.Letter {
	tokens := strings.Split(subject, ".")
	id := letter.ID{}
	if position, err := record.ParsePosition(header.Get(record.HeaderPosition)); err == nil {
		id.Position = position
	} else if len(tokens) == 4 {
		at, _ := placeOf(tokens[3])
		id.Position = record.Position{Source: tokens[1], Partition: tokens[2], Sequence: at.sequence, Index: at.index}
	}
	if parts := strings.SplitN(tokens[len(tokens)-1], "-", 3); len(parts) == 3 {
		id.Digest = parts[2]
	}
	out := letter.Letter{ID: id.String(), Source: id.Source, Partition: id.Partition, Sequence: id.Sequence, Index: id.Index,
		Rest: header.Get(headerRest) != "", Reason: header.Get(headerReason), Stored: stored.UTC(), Size: size}
	out.Enqueued, _ = time.Parse(time.RFC3339Nano, header.Get(record.HeaderEnqueued)) // a replay refuses one without
	out.Tenant, _ = record.UnescapeHeader(header.Get(record.HeaderTenant))
	if n, err := strconv.ParseInt(header.Get(headerSize), 10, 64); err == nil {
		out.Size = n
	}
	return out
}
