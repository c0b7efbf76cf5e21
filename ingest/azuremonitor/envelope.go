// Package azuremonitor takes apart the messages that diagnostic settings write to Event Hubs: one JSON object
// with an array of records. What the records mean is package record's business. It is the first stage of ingest.
package azuremonitor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Rest is the part of a message that is no complete record: whole, from the first byte that could not be read as
// one.
type Rest struct {
	Index  int // of the record that could not be read
	Offset int // in the message
	Bytes  []byte
	Reason error
}

// Split calls visit with each record of a message in order. A message is {"records":[…]}, as Azure writes it; a
// bare array and a bare record are taken too. What is broken or left over is returned as Rest, after all complete
// records before it have been visited. visit's own error ends Split.
func Split(body []byte, visit func(index int, raw []byte) error) (*Rest, error) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	dec := json.NewDecoder(bytes.NewReader(body))
	index := 0
	broken := func(at int64, reason error) *Rest {
		return &Rest{Index: index, Offset: int(at), Bytes: body[at:], Reason: reason}
	}
	array := func() (*Rest, error) {
		for dec.More() {
			start := dec.InputOffset()
			var raw json.RawMessage
			if err := dec.Decode(&raw); err != nil {
				return broken(start, fmt.Errorf("reading record %d: %w", index, plain(err))), nil
			}
			if err := visit(index, raw); err != nil {
				return nil, err
			}
			index++
		}
		start := dec.InputOffset()
		if _, err := dec.Token(); err != nil {
			return broken(start, fmt.Errorf("reading the end of records: %w", plain(err))), nil
		}
		return nil, nil
	}
	// end refuses what stands behind the message's one value: nothing of it would be read.
	end := func() *Rest {
		if at := dec.InputOffset(); len(bytes.TrimSpace(body[at:])) > 0 {
			return broken(at, errors.New("reading the message: there is more than one JSON value in it"))
		}
		return nil
	}

	token, err := dec.Token()
	if err != nil {
		return broken(0, fmt.Errorf("reading the message: %w", plain(err))), nil
	}
	switch token {
	case json.Delim('['):
		if rest, err := array(); rest != nil || err != nil {
			return rest, err
		}
		return end(), nil
	case json.Delim('{'):
	default:
		return broken(0, errors.New("reading the message: expected an object with records")), nil
	}
	envelope := false
	// from is where what has not been visited begins: the whole message, until its records have been.
	from := func(at int64) int64 {
		if envelope {
			return at
		}
		return 0
	}
	for dec.More() {
		start := dec.InputOffset()
		key, err := dec.Token()
		if err != nil {
			return broken(from(start), fmt.Errorf("reading the message at byte %d: %w", start, plain(err))), nil
		}
		if key != "records" {
			var skip json.RawMessage
			if err := dec.Decode(&skip); err != nil {
				return broken(from(start), fmt.Errorf("reading member %q: %w", key, plain(err))), nil
			}
			continue
		}
		open, err := dec.Token()
		if err != nil || open != json.Delim('[') {
			return broken(from(start), errors.New("reading records: expected an array")), nil
		}
		envelope = true
		if rest, err := array(); rest != nil || err != nil {
			return rest, err
		}
	}
	start := dec.InputOffset()
	if _, err := dec.Token(); err != nil {
		return broken(from(start), fmt.Errorf("reading the message: %w", plain(err))), nil
	}
	if envelope {
		return end(), nil
	}
	if len(bytes.TrimSpace(body[dec.InputOffset():])) > 0 {
		return broken(0, errors.New("reading the message: there is more than one JSON value in it")), nil
	}
	return nil, visit(0, bytes.TrimSpace(body)) // a bare record
}

func plain(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the message ends in the middle of it")
	}
	return err
}
