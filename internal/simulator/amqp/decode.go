package amqp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// maxDepth limits how deeply values may nest: the deepest value the protocol itself
// needs, a filter within an attach, has seven levels.
const maxDepth = 32

var (
	errTruncated = errors.New("value is longer than the bytes which remain")
	errDepth     = fmt.Errorf("values nest deeper than %d levels", maxDepth)
)

// Decode reads the first value of b and returns the bytes behind it. Binary values
// alias b.
func Decode(b []byte) (value any, rest []byte, err error) {
	d := decoder{rest: b}
	if value, err = d.value(); err != nil {
		return nil, nil, fmt.Errorf("decoding value: %w", err)
	}
	return value, d.rest, nil
}

type decoder struct {
	rest  []byte
	depth int
}

// value reads a constructor and the value it announces.
func (d *decoder) value() (any, error) {
	if d.depth++; d.depth > maxDepth {
		return nil, errDepth
	}
	defer func() { d.depth-- }()

	header, err := d.take(1)
	if err != nil {
		return nil, err
	}
	if header[0] != codeDescribed {
		return d.typed(header[0])
	}
	descriptor, err := d.value()
	if err != nil {
		return nil, err
	}
	value, err := d.value()
	if err != nil {
		return nil, err
	}
	return Described{descriptor, value}, nil
}

// typed reads a value whose constructor was read already, either just before it or
// once for all elements of an array.
func (d *decoder) typed(code byte) (any, error) {
	body, err := d.body(code)
	if err != nil {
		return nil, err
	}
	switch code {
	case codeNull:
		return nil, nil
	case codeTrue:
		return true, nil
	case codeFalse:
		return false, nil
	case codeBool:
		return body[0] != 0, nil
	case codeUbyte:
		return body[0], nil
	case codeUshort:
		return binary.BigEndian.Uint16(body), nil
	case codeUint:
		return binary.BigEndian.Uint32(body), nil
	case codeUint0:
		return uint32(0), nil
	case codeSmallUint:
		return uint32(body[0]), nil
	case codeUlong:
		return binary.BigEndian.Uint64(body), nil
	case codeUlong0:
		return uint64(0), nil
	case codeSmallUlong:
		return uint64(body[0]), nil
	case codeByte:
		return int8(body[0]), nil
	case codeShort:
		return int16(binary.BigEndian.Uint16(body)), nil
	case codeInt:
		return int32(binary.BigEndian.Uint32(body)), nil
	case codeSmallInt:
		return int32(int8(body[0])), nil
	case codeLong:
		return int64(binary.BigEndian.Uint64(body)), nil
	case codeSmallLong:
		return int64(int8(body[0])), nil
	case codeFloat:
		return math.Float32frombits(binary.BigEndian.Uint32(body)), nil
	case codeDouble:
		return math.Float64frombits(binary.BigEndian.Uint64(body)), nil
	case codeChar:
		return Char(binary.BigEndian.Uint32(body)), nil
	case codeTimestamp:
		return time.UnixMilli(int64(binary.BigEndian.Uint64(body))).UTC(), nil
	case codeUUID:
		return UUID(body), nil
	case codeBinary8, codeBinary32:
		return body, nil
	case codeString8, codeString32:
		return string(body), nil
	case codeSymbol8, codeSymbol32:
		return Symbol(body), nil
	case codeList0:
		return []any{}, nil
	case codeList8, codeList32:
		return d.elements(code, body)
	case codeMap8, codeMap32:
		return d.entries(code, body)
	case codeArray8, codeArray32:
		elements, err := d.elements(code, body)
		return Array(elements), err
	}
	return nil, fmt.Errorf("type %#02x is not supported", code)
}

// body takes the bytes of a value off the input. The high half of every constructor
// says how wide its value is, or how wide the size in front of it is.
func (d *decoder) body(code byte) ([]byte, error) {
	switch code >> 4 {
	case 0x4:
		return nil, nil
	case 0x5:
		return d.take(1)
	case 0x6:
		return d.take(2)
	case 0x7:
		return d.take(4)
	case 0x8:
		return d.take(8)
	case 0x9:
		return d.take(16)
	}
	size, err := d.number(code)
	if err != nil {
		return nil, err
	}
	return d.take(size)
}

// number reads the size or count of a value of variable width: one byte wide for the
// constructors 0xa0, 0xc0 and 0xe0, four bytes for 0xb0, 0xd0 and 0xf0.
func (d *decoder) number(code byte) (int, error) {
	switch code >> 4 {
	case 0xa, 0xc, 0xe:
		b, err := d.take(1)
		if err != nil {
			return 0, err
		}
		return int(b[0]), nil
	case 0xb, 0xd, 0xf:
		b, err := d.take(4)
		if err != nil {
			return 0, err
		}
		return int(binary.BigEndian.Uint32(b)), nil
	}
	return 0, fmt.Errorf("type %#02x is not supported", code)
}

func (d *decoder) take(n int) ([]byte, error) {
	if n < 0 || n > len(d.rest) { // negative: a 32-bit size where int has 32 bits
		return nil, errTruncated
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b, nil
}

// elements reads what is in a compound value: values with a constructor each, or in an
// array with one for all. Each element must have at least one byte of its own: without
// that an array of, say, nulls would take up gigabytes of memory for a handful of bytes
// on the wire. For the same reason nothing is allocated for elements not yet read.
func (d *decoder) elements(code byte, body []byte) ([]any, error) {
	inner := &decoder{rest: body, depth: d.depth}
	count, err := inner.number(code)
	if err != nil {
		return nil, err
	}
	if count > len(inner.rest) {
		return nil, errTruncated
	}
	read := inner.value
	if code == codeArray8 || code == codeArray32 {
		element, err := inner.take(1)
		if err != nil {
			return nil, err
		}
		if inner.depth++; inner.depth > maxDepth {
			return nil, errDepth
		}
		// A described element fails here, because typed knows no such constructor.
		read = func() (any, error) { return inner.typed(element[0]) }
	}
	elements := []any{}
	for range count {
		element, err := read()
		if err != nil {
			return nil, err
		}
		elements = append(elements, element)
	}
	if len(inner.rest) > 0 {
		return nil, fmt.Errorf("%d bytes behind the last element", len(inner.rest))
	}
	return elements, nil
}

func (d *decoder) entries(code byte, body []byte) (Map, error) {
	elements, err := d.elements(code, body)
	if err != nil {
		return nil, err
	}
	if len(elements)%2 != 0 {
		return nil, errors.New("map has a key without a value")
	}
	entries := Map{}
	for pair := range slices.Chunk(elements, 2) {
		entries = append(entries, Entry{pair[0], pair[1]})
	}
	return entries, nil
}
