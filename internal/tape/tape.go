// Package tape reads a JSON document in one pass into a flat list of nodes that point into its bytes: nothing is
// copied and, when a Doc is used again, nothing is allocated. It is what record decodes with: log records are read
// by the hundred thousand, and of each only some thirty of two hundred members matter.
//
// It accepts exactly what RFC 8259 calls JSON (and encoding/json.Valid does), but for two bounds: nesting and the
// number of values. Bytes in strings that are no UTF-8 are kept as they are.
package tape

import (
	"errors"
	"fmt"
)

// What a hostile document may make us do.
const (
	MaxDepth = 300
	MaxNodes = 200_000
	keep     = 8_192 // nodes; a Doc that had to grow beyond gives the memory back at its next use
)

// Kind is what a value is.
type Kind uint8

// The kinds. A Value that is not there is Absent.
const (
	Absent Kind = iota
	Null
	True
	False
	Number
	String
	Array
	Object
)

func (k Kind) String() string {
	return [...]string{"nothing", "null", "true", "false", "a number", "a string", "an array", "an object"}[k]
}

// node is one value, or one member's name. A container's children follow it; next is the index behind them.
type node struct {
	start, end uint32 // in src; of a string without its quotes
	next       uint32
	kind       Kind
	escaped    bool
	name       bool // of a member
}

// Doc is a document that was read. Its values, and the texts that they gave out, hold until it is read into again.
type Doc struct {
	src   []byte
	nodes []node
	depth int
	at    int
	arena []byte // texts that had to be unescaped
}

// Error says where a document ceases to be JSON.
type Error struct {
	Offset int
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("at byte %d: %s", e.Offset, e.Reason) }

var errTooLarge = errors.New("document is larger than 4 GiB")

// Parse reads src, which must not change while the values are used, and returns its one value.
func (d *Doc) Parse(src []byte) (Value, error) {
	v, end, err := d.ParsePrefix(src)
	if err != nil {
		return Value{}, err
	}
	if d.at = end; d.at < len(d.src) {
		if d.space(); d.at < len(d.src) {
			return Value{}, d.fail("expected the end of the document")
		}
	}
	return v, nil
}

// ParsePrefix reads the value that src begins with, and tells where it ends.
func (d *Doc) ParsePrefix(src []byte) (v Value, end int, err error) {
	if uint64(len(src)) > 1<<32-1 {
		return Value{}, 0, errTooLarge
	}
	if cap(d.nodes) > keep {
		d.nodes = nil
	}
	if cap(d.arena) > keep*8 {
		d.arena = nil
	}
	d.src, d.nodes, d.arena, d.depth, d.at = src, d.nodes[:0], d.arena[:0], 0, 0
	d.space()
	if err := d.value(); err != nil {
		return Value{}, 0, err
	}
	return Value{d, 0}, d.at, nil
}

func (d *Doc) fail(reason string) error { return &Error{d.at, reason} }

func (d *Doc) space() {
	for d.at < len(d.src) {
		switch d.src[d.at] {
		case ' ', '\n', '\r', '\t':
			d.at++
		default:
			return
		}
	}
}

var errNodes = fmt.Sprintf("more than %d values", MaxNodes)

// value reads the value that begins here.
func (d *Doc) value() error {
	if d.at >= len(d.src) {
		return d.fail("expected a value, the document ends")
	}
	if len(d.nodes) >= MaxNodes {
		return d.fail(errNodes)
	}
	switch c := d.src[d.at]; c {
	case '"':
		return d.string()
	case '{':
		return d.object()
	case '[':
		return d.array()
	case 't':
		return d.word("true", True)
	case 'f':
		return d.word("false", False)
	case 'n':
		return d.word("null", Null)
	default:
		if c == '-' || '0' <= c && c <= '9' {
			return d.number()
		}
		return d.fail("expected a value")
	}
}

func (d *Doc) add(kind Kind, start, end int, escaped bool) {
	d.nodes = append(d.nodes, node{start: uint32(start), end: uint32(end), next: uint32(len(d.nodes) + 1), kind: kind, escaped: escaped})
}

func (d *Doc) word(w string, kind Kind) error {
	if len(d.src)-d.at < len(w) || string(d.src[d.at:d.at+len(w)]) != w {
		return d.fail("expected " + w)
	}
	d.add(kind, d.at, d.at+len(w), false)
	d.at += len(w)
	return nil
}

func (d *Doc) enter(kind Kind) (int, error) {
	if d.depth++; d.depth > MaxDepth {
		return 0, d.fail(fmt.Sprintf("nested more than %d deep", MaxDepth))
	}
	d.add(kind, d.at, d.at, false)
	d.at++
	d.space()
	return len(d.nodes) - 1, nil
}

func (d *Doc) leave(open int) {
	d.at++
	d.depth--
	d.nodes[open].end, d.nodes[open].next = uint32(d.at), uint32(len(d.nodes))
}

func (d *Doc) object() error {
	open, err := d.enter(Object)
	if err != nil {
		return err
	}
	if d.at < len(d.src) && d.src[d.at] == '}' {
		d.leave(open)
		return nil
	}
	for {
		if d.at >= len(d.src) || d.src[d.at] != '"' {
			return d.fail("expected a member's name")
		}
		if err := d.string(); err != nil {
			return err
		}
		d.nodes[len(d.nodes)-1].name = true
		d.space()
		if d.at >= len(d.src) || d.src[d.at] != ':' {
			return d.fail("expected a colon")
		}
		d.at++
		d.space()
		if err := d.value(); err != nil {
			return err
		}
		d.space()
		if d.at >= len(d.src) {
			return d.fail("expected , or }, the document ends")
		}
		switch d.src[d.at] {
		case ',':
			d.at++
			d.space()
		case '}':
			d.leave(open)
			return nil
		default:
			return d.fail("expected , or }")
		}
	}
}

func (d *Doc) array() error {
	open, err := d.enter(Array)
	if err != nil {
		return err
	}
	if d.at < len(d.src) && d.src[d.at] == ']' {
		d.leave(open)
		return nil
	}
	for {
		if err := d.value(); err != nil {
			return err
		}
		d.space()
		if d.at >= len(d.src) {
			return d.fail("expected , or ], the document ends")
		}
		switch d.src[d.at] {
		case ',':
			d.at++
			d.space()
		case ']':
			d.leave(open)
			return nil
		default:
			return d.fail("expected , or ]")
		}
	}
}

func (d *Doc) number() error {
	start, s := d.at, d.src
	i := start
	digits := func() bool {
		from := i
		for i < len(s) && '0' <= s[i] && s[i] <= '9' {
			i++
		}
		return i > from
	}
	if s[i] == '-' {
		i++
	}
	switch {
	case i < len(s) && s[i] == '0':
		i++
	case !digits():
		return d.fail("expected a number")
	}
	if i < len(s) && s[i] == '.' {
		if i++; !digits() {
			return d.fail("expected a number's fraction")
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if !digits() {
			return d.fail("expected a number's exponent")
		}
	}
	d.add(Number, start, i, false)
	d.at = i
	return nil
}
