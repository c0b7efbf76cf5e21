package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"cordon/ingest/azuremonitor"
	"cordon/internal/bus"
	"cordon/internal/letter"
	"cordon/internal/record"
	"cordon/internal/tape"
	"github.com/nats-io/nats.go"
)

// markTTL is longer than DEADLETTER keeps a letter: a letter that was replayed never outlives its mark.
const markTTL = "744h"

// headerMended is in LOGS on what a person has mended: the SHA-256 of the letter as it was.
const headerMended = "Cordon-Mended"

// mark is how far a letter was replayed: every record before Next, and all of it where Done. It lands in one atomic
// batch with the records before it, as a checkpoint does, so that it is the truth whatever breaks.
type mark struct {
	Letter  string    `json:"letter"`
	Next    int       `json:"next"` // index in the source's message
	Done    bool      `json:"done"`
	Left    []int     `json:"left,omitempty"` // indices before Next that become letters of their own
	Records int       `json:"records"`
	Digest  string    `json:"digest,omitempty"` // of the bytes that were replayed
	At      time.Time `json:"at"`
}

func markMessage(letterSubject string, m mark, last uint64) (bus.Message, error) {
	data, err := json.Marshal(m)
	if err != nil {
		return bus.Message{}, fmt.Errorf("encoding the mark of a replay: %w", err)
	}
	return bus.Message{Subject: bus.ReplayedSubject(letterSubject), Data: data, ExpectLast: &last,
		Header: nats.Header{"Nats-Rollup": {"sub"}, "Nats-TTL": {markTTL}}}, nil
}

// mark reads how far a letter was replayed; sequence 0 says that it never was.
func (l *Letters) mark(ctx context.Context, letterSubject string) (m mark, sequence uint64, err error) {
	msg, err := l.bus.Last(ctx, bus.Logs, bus.ReplayedSubject(letterSubject))
	if err != nil || msg == nil {
		return mark{}, 0, err
	}
	if err := json.Unmarshal(msg.Data, &m); err != nil {
		return mark{}, 0, fmt.Errorf("reading the mark of a replay: %w", err)
	}
	return m, msg.Sequence, nil
}

// Replay stores what a letter holds as the records that are missing, under their own positions, once: records and mark
// are one atomic batch. A crash before it has changed nothing; a crash behind it leaves a letter that List hides and
// that the next Replay removes. fixed, where it is not nil, is what a person has made of the letter's bytes.
//
// What still cannot be stored is refused, and the letter stays. Of the end of a message with several records, those
// that can be stored are, and each of the others becomes a letter of its own; mended bytes are stored whole or not at all.
func (l *Letters) Replay(ctx context.Context, id string, fixed []byte) (letter.Outcome, error) {
	parsed, err := letter.ParseID(id)
	if err != nil {
		return letter.Outcome{}, letter.Refuse("%s", err)
	}
	subject := subjectOf(parsed)
	msg, err := l.bus.Last(ctx, bus.DeadLetters, subject)
	if err != nil {
		return letter.Outcome{}, err
	}
	state, sequence, err := l.mark(ctx, subject)
	if err != nil {
		return letter.Outcome{}, err
	}
	out := letter.Outcome{ID: parsed.String()}
	switch {
	case state.Done:
		out.Before, out.Stored = true, state.Records
	case msg == nil:
		return out, letter.ErrNone
	default:
		whole, err := l.whole(ctx, msg)
		if err != nil {
			return out, err
		}
		r, err := l.prepare(ctx, whole, fixed)
		if err != nil {
			return out, err
		}
		r.subject, r.state, r.last = subject, state, sequence
		if out.Left, err = l.store(ctx, r); err != nil {
			return out, err
		}
		out.Stored = r.state.Records
	}
	if msg == nil {
		return out, nil
	}
	if err := l.bus.Remove(ctx, bus.DeadLetters, msg.Sequence); err != nil {
		return out, fmt.Errorf("removing a letter that was replayed: %w", err)
	}
	return out, nil
}

// ReplayAll replays each letter that a filter selects, the oldest first. Why one stays is said in its outcome.
func (l *Letters) ReplayAll(ctx context.Context, f letter.Filter) ([]letter.Outcome, error) {
	page, err := l.List(ctx, letter.Filter{Source: f.Source, Since: f.Since})
	if err != nil {
		return nil, err
	}
	outcomes := []letter.Outcome{}
	for i := len(page.Letters) - 1; i >= 0 && (f.Limit <= 0 || len(outcomes) < f.Limit); i-- {
		out, err := l.Replay(ctx, page.Letters[i].ID, nil)
		var refusal *letter.Refusal
		switch {
		case errors.As(err, &refusal):
			out = letter.Outcome{ID: page.Letters[i].ID, Error: refusal.Reason}
		case errors.Is(err, letter.ErrNone): // it has aged out meanwhile
			continue
		case err != nil:
			return outcomes, err
		}
		outcomes = append(outcomes, out)
	}
	return outcomes, nil
}

// part is one record of a letter, or what cannot be one.
type part struct {
	at     record.Position
	raw    []byte
	rest   bool
	record *record.Record
	err    error
}

// replay is a letter that can be stored.
type replay struct {
	letter  letter.Letter
	subject string
	digest  string // of the bytes that are replayed
	mended  string // digest of the letter, where others are
	tenant  string
	parts   []part
	state   mark
	last    uint64 // sequence of state
}

// prepare decodes a letter with the code and the configuration of today, and stores nothing.
func (l *Letters) prepare(ctx context.Context, whole letter.Letter, fixed []byte) (*replay, error) {
	at := record.Position{Source: whole.Source, Partition: whole.Partition, Sequence: whole.Sequence, Index: whole.Index}
	source, ok := l.sources(whole.Source)
	if !ok {
		return nil, letter.Refuse("source %q is not configured any more: which tenants it may carry is not known", whole.Source)
	}
	if whole.Enqueued.IsZero() {
		return nil, letter.Refuse("this letter does not say when it reached its source: it cannot be replayed")
	}
	if err := l.isPassed(ctx, at); err != nil {
		return nil, err
	}
	r := &replay{letter: whole, tenant: source.only(), digest: digestOf(whole.Body)}
	if r.tenant == "" && source.allows(whole.Tenant) {
		r.tenant = whole.Tenant // it carried a single one then
	}
	body := whole.Body
	if fixed != nil {
		body, r.mended, r.digest = fixed, r.digest, digestOf(fixed)
	}
	take := taking{replay: r, source: source}
	if !whole.Rest {
		take.part(0, body)
	} else if err := new(azuremonitor.Splitter).Split(body, &take); err != nil {
		return nil, err
	}
	return r, r.refuse(fixed != nil)
}

// taking takes the parts of a letter.
type taking struct {
	*replay
	source Source
}

func (t *taking) part(index int, raw []byte) {
	p := part{at: t.at(index), raw: raw}
	p.record, p.err = t.source.decode(raw, t.tenant, t.letter.Enqueued)
	t.parts = append(t.parts, p)
}

func (t *taking) at(index int) record.Position {
	return record.Position{Source: t.letter.Source, Partition: t.letter.Partition, Sequence: t.letter.Sequence, Index: t.letter.Index + index}
}

// Record takes one record of a message's end.
func (t *taking) Record(index int, raw []byte, _ tape.Value) error {
	t.part(index, raw)
	return nil
}

// Broken takes what still is none.
func (t *taking) Broken(index int, raw []byte, rest bool, reason error) error {
	t.parts = append(t.parts, part{at: t.at(index), raw: raw, rest: rest, err: reason})
	return nil
}

// refuse says why nothing of it is to be stored.
func (r *replay) refuse(mended bool) error {
	good, first := 0, -1
	for i, p := range r.parts {
		if p.err == nil {
			good++
		} else if first < 0 {
			first = i
		}
	}
	switch {
	case len(r.parts) == 0:
		return letter.Refuse("there is no record in it")
	case first >= 0 && (mended || good == 0):
		return letter.Refuse("record %d still cannot be stored: %s", r.parts[first].at.Index, oneLine(r.parts[first].err.Error()))
	}
	return nil
}

// isPassed refuses a letter whose position the reader has not passed: it is going to read it again, and would store it
// a second time.
func (l *Letters) isPassed(ctx context.Context, at record.Position) error {
	msg, err := l.bus.Last(ctx, bus.Logs, bus.CheckpointSubject(at.Source, at.Partition))
	if err != nil {
		return err
	}
	var c record.Checkpoint
	if msg != nil {
		if err := json.Unmarshal(msg.Data, &c); err != nil {
			return fmt.Errorf("reading checkpoint of %s/%s: %w", at.Source, at.Partition, err)
		}
	}
	if msg == nil || !passed(c, spot{at.Sequence, at.Index}) {
		return letter.Refuse("ingest has not passed this position: it will read it again, and decide by itself")
	}
	return nil
}

// store writes the records and the mark behind them: one atomic batch where they fit, else several, each with a mark
// that says how far the replay has come. What cannot be stored becomes letters once the mark says so, and only then is
// the replay done: whatever breaks, and whichever edition goes on, each part is a record or a letter and never both.
func (l *Letters) store(ctx context.Context, r *replay) (left []string, err error) {
	if r.state.Digest != "" && r.state.Digest != r.digest {
		return nil, letter.Refuse("records before %d were replayed already from other bytes: replay the rest from the same", r.state.Next)
	}
	r.state.Letter, r.state.Digest = r.letter.ID, r.digest
	var messages []bus.Message
	bytes := 0
	for _, p := range r.parts {
		if p.at.Index < r.state.Next {
			continue // it has landed, or is named by Left
		}
		if p.err != nil {
			r.state.Left = append(r.state.Left, p.at.Index)
			continue
		}
		m := logMessage(p.record, p.at, r.letter.Enqueued)
		if r.mended != "" {
			m.Header.Set(headerMended, r.mended)
		}
		if len(messages) >= maxRecords || len(messages) > 0 && bytes+size(m) > maxBytes {
			r.state.Next = p.at.Index
			if err := l.land(ctx, r, messages); err != nil {
				return nil, err
			}
			messages, bytes = nil, 0
		}
		messages, bytes = append(messages, m), bytes+size(m)
	}
	r.state.Next = r.parts[len(r.parts)-1].at.Index + 1
	r.state.Done = len(r.state.Left) == 0
	if err := l.land(ctx, r, messages); err != nil || r.state.Done {
		return nil, err
	}
	if left, err = l.leave(ctx, r); err != nil {
		return nil, err
	}
	r.state.Done = true
	return left, l.land(ctx, r, nil)
}

// leave stores as letters what the mark says is left over.
func (l *Letters) leave(ctx context.Context, r *replay) (left []string, err error) {
	for _, p := range r.parts {
		if !slices.Contains(r.state.Left, p.at.Index) {
			continue
		}
		if p.err == nil {
			p.err = errors.New("it was left over by a replay that was broken off: replay it again")
		}
		id, err := putLetter(ctx, l.bus, p.at, r.letter.Enqueued, r.tenant, p.raw, p.rest, p.err)
		if err != nil {
			return nil, err
		}
		left = append(left, id.String())
	}
	return left, nil
}

// land stores records and mark, together or not at all.
func (l *Letters) land(ctx context.Context, r *replay, messages []bus.Message) error {
	r.state.Records += len(messages)
	r.state.At = l.clock.Now().UTC()
	m, err := markMessage(r.subject, r.state, r.last)
	if err != nil {
		return err
	}
	r.last, err = l.bus.PublishBatch(ctx, append(messages, m))
	if errors.Is(err, bus.ErrConflict) {
		return letter.Refuse("somebody else replays this letter at the moment")
	}
	if err != nil {
		return fmt.Errorf("storing %d records of a dead letter: %w", len(messages), err)
	}
	return nil
}
