package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cordon/internal/bus"
	"cordon/internal/letter"
	"cordon/internal/record"
	"github.com/nats-io/nats.go"
)

// What DEADLETTER holds beside the bytes. The position (record.HeaderPosition) names source and partition in plain.
const (
	headerReason = "Cordon-Reason"
	headerObject = "Cordon-Object"
	headerDigest = "Cordon-Digest" // SHA-256 of the bytes
	headerSize   = "Cordon-Size"
	headerRest   = "Cordon-Rest" // the end of a message, not one record
)

// dead stores what could not be decoded, whole, before the batch that passes it.
func (p *Partition) dead(ctx context.Context, b *batch, m Message, index int, raw []byte, rest bool, reason error) error {
	at := record.Position{Source: p.source.Name, Partition: p.partition, Sequence: m.Sequence, Index: index}
	id, err := putLetter(ctx, p.bus, at, m.Enqueued, p.source.only(), raw, rest, reason)
	if err != nil {
		return err
	}
	b.to.Dead++
	return p.supersede(ctx, b, at, raw, subjectOf(id))
}

func subjectOf(id letter.ID) string {
	place := strconv.FormatInt(id.Sequence, 10) + "-" + strconv.Itoa(id.Index)
	if id.Digest != "" {
		place += "-" + id.Digest
	}
	return bus.DeadLetterSubject(id.Source, id.Partition, place)
}

// putLetter stores a letter. One that is there already was stored before a crash; where that one holds other bytes,
// because a polled source has brought something else at the same position, this one gets a place beside it.
func putLetter(ctx context.Context, b *bus.Bus, at record.Position, enqueued time.Time, tenant string, raw []byte, rest bool, reason error) (letter.ID, error) {
	none, digest := uint64(0), digestOf(raw)
	header := nats.Header{
		headerReason: {oneLine(reason.Error())}, headerDigest: {digest}, headerSize: {strconv.Itoa(len(raw))},
		record.HeaderEnqueued: {enqueued.UTC().Format(time.RFC3339Nano)}, record.HeaderPosition: {at.String()},
	}
	if tenant != "" {
		header.Set(record.HeaderTenant, record.EscapeHeader(tenant))
	}
	if rest {
		header.Set(headerRest, "1")
	}
	data := raw
	if len(raw) > bus.MaxPayload-64<<10 {
		if _, err := b.PutObject(ctx, raw); err != nil {
			return letter.ID{}, fmt.Errorf("storing a large dead letter: %w", err)
		}
		header.Set(headerObject, digest)
		data = nil
	}
	for _, id := range []letter.ID{{Position: at}, {Position: at, Digest: digest[:16]}} {
		_, err := b.Publish(ctx, bus.Message{Subject: subjectOf(id), Header: header, Data: data, ExpectLast: &none})
		if err == nil {
			return id, nil
		}
		if !errors.Is(err, bus.ErrConflict) {
			return letter.ID{}, fmt.Errorf("storing a dead letter: %w", err)
		}
		there, err := b.Last(ctx, bus.DeadLetters, subjectOf(id))
		if err != nil {
			return letter.ID{}, fmt.Errorf("storing a dead letter: %w", err)
		}
		if there == nil { // a cluster says the same of one that is on its way, and may be lost with its leader
			return letter.ID{}, errors.New("storing a dead letter: an earlier attempt has not ended")
		}
		if letterDigest(there.Header, there.Data) == digest {
			return id, nil
		}
	}
	return letter.ID{}, fmt.Errorf("storing a dead letter: %s is taken", at)
}

func digestOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// letterDigest is that of a letter's bytes, also of one that an older edition has stored.
func letterDigest(header nats.Header, data []byte) string {
	for _, name := range []string{headerDigest, headerObject} {
		if d := header.Get(name); d != "" {
			return d
		}
	}
	return digestOf(data)
}

// spot is a position in a partition.
type spot struct {
	sequence int64
	index    int
}

// passed says whether a checkpoint stands behind a position.
func passed(c record.Checkpoint, at spot) bool {
	return at.sequence < c.Sequence || at.sequence == c.Sequence && (c.Done || at.index < c.Next)
}

// unpassed finds the letters that an earlier attempt has left beyond the checkpoint: what they hold is going to be
// read again, and may be stored as a record this time, by an edition that can decode it.
func unpassed(ctx context.Context, b *bus.Bus, c record.Checkpoint) (map[spot][]string, error) {
	root := strings.TrimSuffix(bus.DeadLetterSubject(c.Source, c.Partition, "0"), "0")
	subjects, err := b.Subjects(ctx, bus.DeadLetters, root+"*")
	if err != nil {
		return nil, fmt.Errorf("looking for dead letters beyond the checkpoint: %w", err)
	}
	out := map[spot][]string{}
	for subject := range subjects {
		if at, ok := placeOf(strings.TrimPrefix(subject, root)); ok && !passed(c, at) {
			out[at] = append(out[at], subject)
		}
	}
	return out, nil
}

// placeOf reads the last token of a letter's subject. Sequences are never negative where something was read.
func placeOf(token string) (spot, bool) {
	parts := strings.SplitN(token, "-", 3)
	if len(parts) < 2 {
		return spot{}, false
	}
	sequence, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return spot{}, false
	}
	index, err := strconv.Atoi(parts[1])
	return spot{sequence, index}, err == nil
}

// supersede marks letters of an earlier attempt as replayed, in the very batch that passes their position: what they
// hold has been stored, or stands in the letter kept. In a polled source another attempt's position says nothing, so
// there the bytes must be the same.
func (p *Partition) supersede(ctx context.Context, b *batch, at record.Position, raw []byte, kept string) error {
	key := spot{at.Sequence, at.Index}
	for _, subject := range p.before[key] {
		if subject == kept {
			continue
		}
		old, err := p.bus.Last(ctx, bus.DeadLetters, subject)
		if err != nil {
			return fmt.Errorf("reading an earlier dead letter: %w", err)
		}
		if old == nil || b.polled && letterDigest(old.Header, old.Data) != digestOf(raw) {
			continue
		}
		message, err := markMessage(subject, mark{Letter: at.String(), Done: true, At: p.source.Clock.Now().UTC()}, 0)
		if err != nil {
			return err
		}
		b.marks = append(b.marks, message)
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
