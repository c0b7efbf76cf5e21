package tape

import (
	"bytes"
	"encoding/binary"
)

// ParseTrusted is Parse for bytes that Parse has accepted before, at a part of its cost: it takes their word for what
// Parse looks at. Of other bytes it may make any values, or none; it reads nothing but src, ends, and keeps to the
// same bounds. What stands as JSON in strings nobody has looked at: Parsed reads that as ever.
//
// It goes over the bytes twice: first all quotes are found, many bytes at a time, so that no string is looked through
// again; then the values are laid out between them.
func (d *Doc) ParseTrusted(src []byte) (Value, error) {
	if uint64(len(src)) > nowhere-spare {
		return Value{}, errTooLarge
	}
	d.forget()
	d.src = src
	f := follower{doc: d, nodes: d.nodes[:cap(d.nodes)]}
	if guess := min(len(src)/16+16, keep); guess > len(f.nodes) {
		f.nodes = make([]node, guess)
	}
	d.unseen = true
	f.find(src)
	i, n, _ := f.value(src, blank(src, 0), 0, 0, 0)
	if i >= 0 {
		if i = blank(src, i); i < len(src) {
			f.at, f.reason, i = i, "expected the end of the document", -1
		}
	}
	if i < 0 {
		d.nodes, d.at = f.nodes[:0], f.at
		return Value{}, d.fail(f.reason)
	}
	d.nodes, d.at = f.nodes[:n], i
	return Value{d, 0}, nil
}

// follower lays out a document that is known to be one. Its methods take and return where they stand: the byte, the
// node and the quote that come next; the byte is -1 where they fail.
type follower struct {
	doc    *Doc
	nodes  []node   // all that there is room for
	quotes []uint32 // where the strings begin and end, and nowhere behind them
	escape int      // the next backslash that no string has passed yet, len(src) where there is none
	at     int      // where it failed
	reason string
}

func (f *follower) fail(at int, reason string) (int, int, int) {
	f.at, f.reason = at, reason
	return -1, 0, 0
}

// room makes some for more nodes.
//
//go:noinline
func (f *follower) room() {
	f.nodes = append(f.nodes, make([]node, max(len(f.nodes), 16))...)
	f.nodes = f.nodes[:cap(f.nodes)]
}

// value lays out the value that begins at i.
func (f *follower) value(s []byte, i, n, k, depth int) (int, int, int) {
	if i >= len(s) {
		return f.fail(i, "expected a value, the document ends")
	}
	if n >= MaxNodes {
		return f.fail(i, errNodes)
	}
	at := &f.nodes[n]
	start, kind := i, Number
	switch s[i] {
	case '"':
		if int(f.quotes[k]) != i || int(f.quotes[k+1]) >= len(s) {
			return f.fail(i, errQuote)
		}
		start, i = i+1, int(f.quotes[k+1])
		at.start, at.end, at.next, at.kind, at.marks, at.tag = uint32(start), uint32(i), uint32(n+1), String, f.mark(s, i), 0
		return i + 1, n + 1, k + 2
	case '{':
		return f.object(s, i, n, k, depth+1)
	case '[':
		return f.array(s, i, n, k, depth+1)
	case 't':
		kind, i = True, i+4
	case 'n':
		kind, i = Null, i+4
	case 'f':
		kind, i = False, i+5
	default:
		for i < len(s) && !delimits[s[i]] {
			i++
		}
		if i == start {
			return f.fail(i, "expected a value")
		}
	}
	if i > len(s) {
		return f.fail(start, "expected a word, the document ends")
	}
	at.start, at.end, at.next, at.kind, at.marks, at.tag = uint32(start), uint32(i), uint32(n+1), kind, 0, 0
	return i, n + 1, k
}

const (
	errQuote = "expected a string, and its end"
	errOpen  = "expected the end of what is open"
)

// array lays out the array that begins at i.
func (f *follower) array(s []byte, i, n, k, depth int) (int, int, int) {
	if depth > MaxDepth {
		return f.fail(i, errDepth)
	}
	self := n
	at := &f.nodes[self]
	at.start, at.kind, at.marks, at.tag = uint32(i), Array, 0, 0
	n++
	if i = blank(s, i+1); i >= len(s) {
		return f.fail(i, errOpen)
	}
	for s[i] != ']' {
		if n >= len(f.nodes) {
			f.room()
		}
		if n >= MaxNodes {
			return f.fail(i, errNodes)
		}
		if i, n, k = f.value(s, i, n, k, depth); i < 0 {
			return i, n, k
		}
		if i < len(s) && s[i] <= ' ' {
			i = blank(s, i)
		}
		if i >= len(s) {
			return f.fail(i, errOpen)
		}
		if s[i] != ',' {
			break
		}
		if i = skip(s, i+1); i >= len(s) {
			return f.fail(i, errOpen)
		}
	}
	if s[i] != ']' {
		return f.fail(i, errOpen)
	}
	f.nodes[self].end, f.nodes[self].next = uint32(i+1), uint32(n)
	return i + 1, n, k
}

// oddName is the tag of a name that has escapes, or stands at the document's very begin.
//
//go:noinline
func (f *follower) oddName(s []byte, start, end int) (tag uint16, marks uint8) {
	if f.mark(s, end) == 0 {
		return tagOf(s[start:end]), name
	}
	return f.doc.tagOfEscaped(s[start:end]), name | escaped
}

// object lays out the object that begins at i. Most members are strings in a row, and are told by their quotes: where these
// stand so near to each other only a colon or a comma can stand between them, with a blank at most.
func (f *follower) object(s []byte, i, n, k, depth int) (int, int, int) {
	if depth > MaxDepth {
		return f.fail(i, errDepth)
	}
	self, members := n, 0
	at := &f.nodes[self]
	at.start, at.kind, at.marks = uint32(i), Object, 0
	n++
	if i = blank(s, i+1); i >= len(s) {
		return f.fail(i, errOpen)
	}
	for s[i] != '}' {
		if n+1 >= len(f.nodes) {
			f.room()
		}
		if n+1 >= MaxNodes {
			return f.fail(i, errNodes)
		}
		q := f.quotes[k : k+5 : k+5]
		start, end := q[0]+1, q[1]
		if start != uint32(i)+1 || int(end)+2 >= len(s) {
			return f.fail(i, errQuote)
		}
		tag, marks := uint16(0), uint8(name)
		if f.escape < int(end) || end < 8 {
			tag, marks = f.oddName(s, int(start), int(end))
		} else {
			size := int(end - start)
			tag = mix(load(s, int(end)-8)>>uint(64-8*min(size, 8)), size)
		}
		at := f.nodes[n : n+2 : n+2]
		at[0].start, at[0].end, at[0].next, at[0].kind, at[0].marks, at[0].tag = start, end, uint32(n+1), String, marks, tag
		members++
		if gap := q[2] - end; gap == uint32(len(`":`)) || gap == uint32(len(`": `)) && s[end+2] == ' ' { // a string is the value
			start, end := q[2]+1, q[3]
			if i = int(end) + 1; i >= len(s) {
				return f.fail(int(start), errQuote)
			}
			marks := uint8(0)
			if f.escape < int(end) {
				marks = f.mark(s, int(end))
			}
			at[1].start, at[1].end, at[1].next, at[1].kind, at[1].marks, at[1].tag = start, end, uint32(n+2), String, marks, 0
			n, k = n+2, k+4
			switch q[4] - end { // and a name follows
			case uint32(len(`",`)):
				i++
				continue
			case uint32(len(`", `)):
				if s[i] == ',' {
					i += 2
					continue
				}
			}
		} else {
			if i = int(end) + 1; s[i] != ':' {
				if i = blank(s, i); i >= len(s) || s[i] != ':' {
					return f.fail(i, "expected a colon")
				}
			}
			if i = skip(s, i+1); i >= len(s) {
				return f.fail(i, errOpen)
			}
			if i, n, k = f.value(s, i, n+1, k+2, depth); i < 0 {
				return i, n, k
			}
		}
		if i < len(s) && s[i] <= ' ' {
			i = blank(s, i)
		}
		if i >= len(s) {
			return f.fail(i, errOpen)
		}
		if s[i] != ',' {
			break
		}
		if i = skip(s, i+1); i >= len(s) {
			return f.fail(i, errOpen)
		}
	}
	if s[i] != '}' {
		return f.fail(i, errOpen)
	}
	o := &f.nodes[self]
	o.end, o.next, o.tag = uint32(i+1), uint32(n), uint16(min(members, manyMembers))
	return i + 1, n, k
}

// skip is blank where there is one or none, as a rule.
func skip(s []byte, i int) int {
	if i < len(s) && s[i] <= ' ' {
		if i++; i < len(s) && s[i] <= ' ' {
			return blank(s, i)
		}
	}
	return i
}

// mark is escaped for a string that ends at i where a backslash stands before that; strings are asked for in turn.
func (f *follower) mark(s []byte, i int) uint8 {
	if f.escape >= i {
		return 0
	}
	f.escape = backslash(s, i)
	return escaped
}

// delimits says which bytes end a number.
var delimits = [256]bool{',': true, '}': true, ']': true, ' ': true, '\n': true, '\r': true, '\t': true}

// load is the eight bytes at i.
func load(s []byte, i int) uint64 { return binary.LittleEndian.Uint64(s[i:]) }

// backslash finds the first at or behind i, the end where there is none.
func backslash(s []byte, i int) int {
	if at := bytes.IndexByte(s[i:], '\\'); at >= 0 {
		return i + at
	}
	return len(s)
}

// seen are the bytes or'ed, eight at a time.
func seen(s []byte) (high uint64) {
	for ; len(s) >= 32; s = s[32:] {
		high |= load(s, 0) | load(s, 8) | load(s, 16) | load(s, 24)
	}
	for _, c := range s {
		high |= uint64(c)
	}
	return high
}
