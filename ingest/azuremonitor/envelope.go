// Package azuremonitor takes apart the messages that diagnostic settings write to Event Hubs: one JSON object
// with an array of records. What the records mean is package record's business. It is the first stage of ingest.
package azuremonitor

import (
	"bytes"
	"errors"
	"fmt"

	"cordon/internal/tape"
)

// Visitor takes what a message consists of, in order. index counts both kinds: with the message's sequence number
// it is the place of a record in its source.
type Visitor interface {
	// Record takes a complete JSON value that stands where a record should; root is raw as it was read, until the
	// call returns.
	Record(index int, raw []byte, root tape.Value) error
	// Broken takes bytes that could not be read, up to where the next record begins; rest says that there is none: what
	// stands there is the message's end, which may hold several.
	Broken(index int, raw []byte, rest bool, reason error) error
}

// Splitter takes messages apart, one after the other in the same memory.
type Splitter struct {
	doc   tape.Doc
	probe tape.Doc
	body  []byte
	at    int
	index int
	spent int  // on finding the way back into a broken message
	lost  bool // the way back was found: brackets that closed what was broken mean nothing
	visit Visitor
}

// What finding the way back may cost: bytes read, and for each place that is tried as much as a small record.
const (
	maxSpent   = 64 << 20
	costOfATry = 1 << 10
)

const mark = "\xef\xbb\xbf" // of byte order

// Split visits the records of a message. A message is {"records":[…]}, as Azure writes it; bare arrays, bare records
// and several of them one after the other are taken too. What is broken takes nothing else with it: behind it the next
// record is looked for. A visitor's error ends Split.
func (s *Splitter) Split(body []byte, visit Visitor) error {
	s.body, s.at, s.index, s.spent, s.lost, s.visit = body, 0, 0, 0, false, visit
	defer func() { s.body, s.visit = nil, nil }()
	if bytes.HasPrefix(body, []byte(mark)) {
		s.at = len(mark)
	}
	if s.space(); s.at >= len(s.body) {
		return s.broken(len(s.body), errors.New("the message is empty"))
	}
	for s.at < len(s.body) {
		if err := s.value(); err != nil {
			return err
		}
		s.space()
	}
	return nil
}

func (s *Splitter) space() {
	for s.at < len(s.body) {
		switch s.body[s.at] {
		case ' ', '\n', '\r', '\t':
			s.at++
		default:
			return
		}
	}
}

func (s *Splitter) next() byte {
	if s.space(); s.at < len(s.body) {
		return s.body[s.at]
	}
	return 0
}

// value takes one value of the message: an envelope, an array of records, or a record.
func (s *Splitter) value() error {
	switch s.body[s.at] {
	case '[':
		s.at++
		return s.array()
	case '{':
		if inside, ok := s.envelope(); ok {
			s.at = inside
			if err := s.array(); err != nil {
				return err
			}
			return s.tail()
		}
		return s.record()
	}
	switch c := s.body[s.at]; {
	case c == ',' && bytes.HasPrefix(bytes.TrimLeft(s.body[s.at+1:], " \n\r\t"), []byte("{")):
		s.at++ // behind what was broken, or in the end of a message that was kept
		return s.array()
	case s.index > 0 && (c == ']' || c == '}'): // behind a record there is nothing in it that could be lost
		s.at++
		return nil
	}
	return s.resume(errors.New("expected an object with records"))
}

// resume gives up what stands here and goes on with the records behind it.
func (s *Splitter) resume(reason error) error {
	if err := s.stray(reason); err != nil || s.at >= len(s.body) {
		return err
	}
	s.at++
	return s.array()
}

// envelope finds where an envelope's records begin, without reading the records themselves.
func (s *Splitter) envelope() (inside int, ok bool) {
	at := s.at + 1
	step := func() byte {
		for at < len(s.body) && (s.body[at] == ' ' || s.body[at] == '\n' || s.body[at] == '\r' || s.body[at] == '\t') {
			at++
		}
		if at < len(s.body) {
			return s.body[at]
		}
		return 0
	}
	for {
		if step() != '"' {
			return 0, false
		}
		end, ok := tape.Skip(s.body, at)
		if !ok {
			return 0, false
		}
		name := s.body[at+1 : end-1]
		at = end
		if step() != ':' {
			return 0, false
		}
		at++
		if c := step(); tape.EqualFold(name, "records") {
			return at + 1, c == '['
		}
		if at, ok = tape.Skip(s.body, at); !ok || step() != ',' {
			return 0, false
		}
		at++
	}
}

// tail takes what an envelope holds behind its records: other members, which mean nothing, or more records.
func (s *Splitter) tail() error {
	for {
		switch s.next() {
		case '}':
			s.at++
			return nil
		case ',':
			from := s.at
			s.at++
			if s.next() == '"' {
				end, ok := tape.Skip(s.body, s.at)
				name := s.body[s.at:end]
				s.at = end
				if ok && s.next() == ':' {
					s.at++
					if s.next() == '[' && tape.EqualFold(name, `"records"`) {
						s.at++
						if err := s.array(); err != nil {
							return err
						}
						continue
					}
					if _, end, err := s.probe.ParsePrefix(s.body[s.at:]); err == nil {
						s.at += end
						continue
					}
				}
			}
			s.at = from
			return s.resume(errors.New("reading what stands behind the records"))
		default:
			return s.resume(errors.New("expected the end of the message's object"))
		}
	}
}

// array takes the elements of an array that has been entered.
func (s *Splitter) array() error {
	if s.next() == ']' {
		s.at++
		return nil
	}
	for {
		if s.next() == 0 {
			return s.broken(len(s.body), errEnds)
		}
		if err := s.record(); err != nil {
			return err
		}
		if c := s.next(); c != ',' && c != ']' && c != 0 {
			if err := s.stray(errors.New("expected , or ] behind a record")); err != nil {
				return err
			}
		}
		switch s.next() {
		case ',':
			s.at++
		case ']':
			s.at++
			return nil
		case 0:
			return s.broken(len(s.body), errEnds)
		}
	}
}

var errEnds = errors.New("the message ends in the middle of its records")

// record takes the value that begins here, or what stands in its place.
func (s *Splitter) record() error {
	root, end, err := s.doc.ParsePrefix(s.body[s.at:])
	if err == nil {
		raw := s.body[s.at : s.at+end : s.at+end]
		s.at += end
		index := s.index
		s.index++
		return s.visit.Record(index, raw, root)
	}
	reason := fmt.Errorf("reading record %d: %w", s.index, err)
	end, closed := tape.Skip(s.body, s.at)
	if back, ok := s.again(s.at+1, end); ok {
		return s.broken(back, reason) // its quotes or brackets had swallowed what follows
	}
	if closed && end > s.at {
		return s.broken(end, reason)
	}
	return s.stray(reason)
}

// stray gives up what stands here, up to the comma before the next record.
func (s *Splitter) stray(reason error) error {
	to, ok := s.again(s.at, len(s.body))
	if !ok {
		to = len(s.body)
	}
	return s.broken(to, reason)
}

// broken hands over the bytes up to to and goes on there.
func (s *Splitter) broken(to int, reason error) error {
	raw := s.body[s.at:to:to]
	if len(raw) == 0 && s.lost && to == len(s.body) {
		return nil // that the message ends has been said
	}
	s.at, s.lost = to, true
	index := s.index
	s.index++
	return s.visit.Broken(index, raw, to == len(s.body), reason)
}

// marks are members that records have and what stands inside of them has not.
var marks = []string{"time", "category", "properties", "createdDateTime", "activityDateTime", "operationName", "CreationTime", "Workload"}

// again looks between from and to for the place where the records go on: a comma, and behind it an object that is
// whole and has two of a record's marks.
func (s *Splitter) again(from, to int) (comma int, ok bool) {
	for at := from; at < to; at++ {
		i := bytes.IndexByte(s.body[at:to], ',')
		if i < 0 {
			return 0, false
		}
		at += i
		object := at + 1
		for object < to && (s.body[object] == ' ' || s.body[object] == '\n' || s.body[object] == '\r' || s.body[object] == '\t') {
			object++
		}
		if object >= to || s.body[object] != '{' {
			continue
		}
		if s.spent += costOfATry; s.spent > maxSpent {
			return 0, false
		}
		root, end, err := s.probe.ParsePrefix(s.body[object:])
		if where := (*tape.Error)(nil); errors.As(err, &where) {
			end = where.Offset
		}
		s.spent += end
		if err != nil {
			continue
		}
		named := 0
		for _, name := range marks {
			if root.Find(name).Exists() {
				named++
			}
		}
		if named >= 2 {
			return at, true
		}
	}
	return 0, false
}
