// Package tape reads a JSON document in one pass into a flat list of nodes that point into its bytes: nothing is
// copied and, when a Doc is used again, nothing is allocated. It is what record decodes with: log records are read
// by the hundred thousand, and of each only some thirty of two hundred members matter. Of a document that was read
// before, ParseTrusted lays out no more than what is asked for.
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

// node is one value, or one member's name. A container's children follow it.
type node struct {
	start, end uint32 // in src; of a string without its quotes
	// next is the index behind the node and its children; of a container that is still open, the one around it; of a
	// name in an object with a table, the next name of its bucket; of a container whose children stand apart, the node before
	// them, which has its first quote and the index behind them; of one that is closed, its first quote.
	next  uint32
	kind  Kind
	marks uint8
	// tag is, of a name, its hash; of an object, how many members it has (at most manyMembers), or its table where it
	// is indexed; of a string, the number of its note, 0 while it has none; of a container that is closed, how deep it is.
	tag uint16
}

// The marks of a node.
const (
	escaped = 1 << iota // a string with escapes
	name                // of a member
	indexed             // an object with a table
	apart               // a container whose children stand elsewhere
	closed              // and have not been laid out yet
)

// Doc is a document that was read. Its values, and the texts that they gave out, hold until it is read into again.
// Looking things up in it is work that it remembers: it is for one goroutine at a time.
type Doc struct {
	src   []byte
	nodes []node
	at    int
	high  uint64 // the bytes of strings, or'ed: its high bits are set where one was beyond ASCII
	arena []byte // texts that had to be unescaped
	index index  // of objects that were asked for members
	notes []note // of strings
	inner inner  // documents that stood in strings
	// unseen says that high is still to be found out.
	unseen bool
	// of a document that ParseTrusted reads
	sets   []sets
	quotes []uint32 // where the strings begin and end, and nowhere behind them
	escape int      // the first backslash, len(src) where there is none
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
	if d.at = blank(src, end); d.at < len(src) {
		return Value{}, d.fail("expected the end of the document")
	}
	return v, nil
}

// ParsePrefix reads the value that src begins with, and tells where it ends.
func (d *Doc) ParsePrefix(src []byte) (v Value, end int, err error) {
	if uint64(len(src)) > 1<<32-1 {
		return Value{}, 0, errTooLarge
	}
	d.forget()
	d.src = src
	if err := d.read(); err != nil {
		return Value{}, 0, err
	}
	return Value{d, 0}, d.at, nil
}

// forget makes room for another document, and gives back what only a large one needed.
func (d *Doc) forget() {
	if cap(d.nodes) > keep {
		d.nodes = nil
	}
	if cap(d.arena) > keep*8 {
		d.arena = nil
	}
	d.src, d.nodes, d.arena, d.at, d.high = nil, d.nodes[:0], d.arena[:0], 0, 0
	d.unseen = false
	if cap(d.quotes) > keep*4 {
		d.sets, d.quotes = nil, nil
	}
	d.index.forget()
	d.forgetNotes()
}

func (d *Doc) fail(reason string) error { return &Error{d.at, reason} }
