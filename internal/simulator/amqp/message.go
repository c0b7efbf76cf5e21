package amqp

import (
	"errors"
	"fmt"
)

// The descriptors of a message's sections, chapter 3.2 of the specification, in the
// order in which they must occur.
const (
	sectionHeader                = 0x70
	sectionAnnotations           = 0x72
	sectionProperties            = 0x73
	sectionApplicationProperties = 0x74
	sectionData                  = 0x75
	sectionValue                 = 0x77
	sectionFooter                = 0x78
)

// Message is one message, without the sections no simulator uses.
type Message struct {
	Annotations           Map
	MessageID             any
	ReplyTo               string
	CorrelationID         any
	ApplicationProperties Map
	Data                  [][]byte // the body, or
	Value                 any      // the body

	// Bare has the sections from the properties to the body as they were sent, which a
	// broker must not change. If it is set, Append writes it in place of them.
	Bare []byte
}

// DecodeMessage reads a whole message. Binary values and Bare alias b.
func DecodeMessage(b []byte) (Message, error) {
	var m Message
	var last uint64
	start, end := len(b), len(b)
	for rest := b; len(rest) > 0; {
		at := len(b) - len(rest)
		value, next, err := Decode(rest)
		if err != nil {
			return Message{}, fmt.Errorf("decoding message: %w", err)
		}
		section, _ := value.(Described)
		code, ok := section.Descriptor.(uint64)
		if !ok || code < max(last, sectionHeader) || code > sectionFooter {
			return Message{}, errors.New("decoding message: sections are unknown or out of order")
		}
		if code >= sectionProperties {
			start = min(start, at)
		}
		if code == sectionFooter {
			end = min(end, at)
		}
		if err := m.adopt(code, section.Value); err != nil {
			return Message{}, fmt.Errorf("decoding message section %#02x: %w", code, err)
		}
		rest, last = next, code
	}
	m.Bare = b[min(start, end):end]
	return m, nil
}

// adopt takes over what one section says.
func (m *Message) adopt(code uint64, value any) error {
	f := fields{values: []any{value}}
	switch code {
	case sectionAnnotations:
		mandatory(&f, &m.Annotations)
	case sectionProperties:
		var list []any
		mandatory(&f, &list)
		f.values = list
		m.MessageID = f.next()
		f.skip(3) // user-id, to and subject
		withDefault(&f, &m.ReplyTo, "")
		m.CorrelationID = f.next()
	case sectionApplicationProperties:
		mandatory(&f, &m.ApplicationProperties)
	case sectionData:
		var data []byte
		mandatory(&f, &data)
		m.Data = append(m.Data, data)
	case sectionValue:
		m.Value = value
	}
	return f.err
}

// Append writes the message behind dst.
func (m Message) Append(dst []byte) ([]byte, error) {
	var sections []any
	if len(m.Annotations) > 0 {
		sections = append(sections, Described{uint64(sectionAnnotations), m.Annotations})
	}
	if m.Bare == nil {
		sections = append(sections, m.bare()...)
	}
	dst, err := appendAll(dst, sections...)
	if err != nil {
		return nil, fmt.Errorf("encoding message: %w", err)
	}
	return append(dst, m.Bare...), nil
}

func (m Message) bare() []any {
	var sections []any
	if m.MessageID != nil || m.ReplyTo != "" || m.CorrelationID != nil {
		properties := []any{m.MessageID, nil, nil, nil, m.ReplyTo, m.CorrelationID}
		sections = append(sections, Described{uint64(sectionProperties), properties})
	}
	if len(m.ApplicationProperties) > 0 {
		sections = append(sections, Described{uint64(sectionApplicationProperties), m.ApplicationProperties})
	}
	for _, data := range m.Data {
		sections = append(sections, Described{uint64(sectionData), data})
	}
	if m.Data == nil {
		sections = append(sections, Described{uint64(sectionValue), m.Value})
	}
	return sections
}
