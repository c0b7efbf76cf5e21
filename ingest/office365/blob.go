package office365

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"cordon/ingest/azuremonitor"
	"cordon/internal/fault"
	"cordon/internal/record"
	"cordon/internal/tape"
	"go.uber.org/zap"
)

// blob is what one item of a listing has brought.
type blob struct {
	item    item
	records [][]byte  // in the form of the stream
	oldest  time.Time // event time
	failed  error     // to be tried again
}

// fetch brings a blob. What can never be had becomes a record that nobody can decode: ingest keeps it whole in
// DEADLETTER.
func (r *reader) fetch(ctx context.Context, it item) blob {
	if it.wrong != nil {
		return r.lost(it, it.wrong)
	}
	at, err := r.source.api.own(it.uri)
	if err != nil {
		return r.lost(it, fmt.Errorf("refusing contentUri: %w", err))
	}
	data, _, err := r.source.api.call(ctx, http.MethodGet, at, nil, maxBlob)
	switch class := fault.Of(err); {
	case err == nil:
	case ctx.Err() != nil:
		return blob{item: it, failed: ctx.Err()}
	case errors.Is(err, errTooLarge), class == fault.NotFound:
		return r.lost(it, err)
	case class == fault.Throttled, class == fault.Forbidden:
		return blob{item: it, failed: err} // which says nothing of this blob
	case r.tries(it) >= lastTries && r.now().After(it.created.Add(giveUp)):
		return r.lost(it, fmt.Errorf("giving up: %w", err))
	default:
		return blob{item: it, failed: err}
	}
	out := blob{item: it, oldest: it.created}
	broken, err := readBlob(data, func(raw []byte) error {
		wrapped, at, err := wrap(r.content, r.source.cfg.Tenant, raw)
		if err != nil {
			return err
		}
		out.records = append(out.records, wrapped)
		if !at.IsZero() && at.Before(out.oldest) {
			out.oldest = at
		}
		return nil
	})
	switch {
	case err != nil:
		return blob{item: it, failed: err}
	case len(broken) == 0:
		r.forget(it)
		return out
	case r.tries(it) < brokenTries:
		return blob{item: it, failed: broken[0].reason}
	}
	r.forget(it)
	// It comes broken each time: what is whole is stored, and the rest kept with its item.
	for _, b := range broken {
		out.records = append(out.records, letter(it, b.reason, b.bytes))
	}
	return out
}

const (
	// brokenTries is how often a blob that is no JSON array is fetched, in case that something on the way has broken it.
	brokenTries = 3
	// lastTries is how often one is fetched at least, before it is given up for its age.
	lastTries = 20
)

// tries counts the rounds in which a blob failed.
func (r *reader) tries(it item) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures[it.id]++
	return r.failures[it.id]
}

func (r *reader) forget(it item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.failures, it.id)
}

// lost is the blob of an item whose content cannot be had.
func (r *reader) lost(it item, reason error) blob {
	r.forget(it)
	r.log.Error("content of the unified audit log is lost: its item goes to DEADLETTER", zap.String("contentId", clip(it.id)), zap.Error(reason))
	return blob{item: it, oldest: it.created, records: [][]byte{letter(it, reason, nil)}}
}

// maxRest bounds what a letter quotes of a broken blob.
const maxRest = 256 << 10

// letter is an item with the reason why its content is not in LOGS, in no form that could be taken for a record.
func letter(it item, reason error, rest []byte) []byte {
	raw, err := json.Marshal(struct {
		Lost string          `json:"lost"`
		Item json.RawMessage `json:"item"`
		Rest string          `json:"rest,omitempty"`
	}{reason.Error(), it.raw, string(rest[:min(len(rest), maxRest)])})
	if err != nil { // the item's bytes came as JSON; were they none, they are kept as they are
		return it.raw
	}
	return raw
}

// broken is a part of a blob that is no record.
type broken struct {
	bytes  []byte
	reason error
}

// readBlob calls visit with each record of a blob, a JSON array, and returns what is broken.
func readBlob(data []byte, visit func(raw []byte) error) ([]broken, error) {
	if data = bytes.TrimSpace(data); len(data) == 0 || data[0] != '[' {
		return []broken{{data, errors.New("reading a blob: it is no JSON array")}}, nil
	}
	p := parts{visit: visit}
	err := new(azuremonitor.Splitter).Split(data, &p)
	return p.broken, err
}

// parts are what a blob consists of.
type parts struct {
	visit  func(raw []byte) error
	broken []broken
}

func (p *parts) Record(_ int, raw []byte, _ tape.Value) error { return p.visit(raw) }

func (p *parts) Broken(_ int, raw []byte, _ bool, reason error) error {
	p.broken = append(p.broken, broken{raw, reason})
	return nil
}

// wrap puts a record into the form of the stream. What is no object stays as it came, and will be a dead letter.
func wrap(content, tenant string, raw []byte) (wrapped []byte, at time.Time, err error) {
	var said struct {
		CreationTime json.RawMessage
		Operation    json.RawMessage
	}
	if json.Unmarshal(raw, &said) != nil || len(raw) == 0 || raw[0] != '{' {
		return raw, time.Time{}, nil
	}
	at, _ = record.ParseTime(unquote(said.CreationTime)) // UTC, without a zone; the decoder says what is wrong with it
	wrapped, err = azuremonitor.Wrap(azuremonitor.Envelope{Time: at, Category: content, Tenant: tenant, Operation: unquote(said.Operation)}, raw)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("wrapping a record: %w", err)
	}
	return wrapped, at, nil
}

// unquote is a JSON string's text, "" of anything else.
func unquote(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
