package tape

import (
	"bytes"
	"encoding/binary"
)

// ParseTrusted is Parse for bytes that Parse has accepted before, at a part of its cost: it takes their word for what
// Parse looks at. Of other bytes it may make any values, or none; it reads nothing but src, ends, and keeps to the
// same bounds. What stands as JSON in strings nobody has looked at: Parsed reads that as ever.
//
// All quotes are found first, many bytes at a time, so that no string is looked through again. What stands in an object
// or an array is laid out between them when somebody asks for it: of most, nobody does.
func (d *Doc) ParseTrusted(src []byte) (Value, error) {
	if uint64(len(src)) > nowhere-spare {
		return Value{}, errTooLarge
	}
	d.forget()
	d.src, d.unseen = src, true
	if d.find(src); len(d.quotes) > 2*MaxNodes+ends {
		return Value{}, d.fail(errNodes)
	}
	i, end := blank(src, 0), len(src)
	for end > i && (src[end-1] == ' ' || src[end-1] == '\n' || src[end-1] == '\r' || src[end-1] == '\t') {
		end--
	}
	if i == end {
		d.at = i
		return Value{}, d.fail("expected a value, the document ends")
	}
	l := layout{doc: d, s: src[:end], quotes: d.quotes, escape: d.escape}
	l.room(len(src)/32 + 16)
	stop := end
	if c := src[i]; c == '{' || c == '[' { // where it ends is known
		l.container(i, end, 0, 0, 1)
	} else if stop, _ = l.value(i, 0, 0, 1); stop != end {
		d.at = max(stop, i)
		return Value{}, d.fail("expected the end of the document")
	}
	d.nodes, d.at = l.nodes[:1], end
	return Value{d, 0}, nil
}

// layout writes the nodes of what stands in a container. Its methods take the byte where a value begins, the node that it
// will have, and the quote that comes next, and return the byte and the quote behind it; the byte is -1 where what is
// there is no value.
type layout struct {
	doc    *Doc
	s      []byte // up to where the container closes
	nodes  []node // all that there is room for
	quotes []uint32
	escape int // no string behind those that were asked about has a backslash before it
}

// room makes some for n nodes behind those that are in use.
func (l *layout) room(n int) {
	used := l.doc.nodes
	if n += len(used); n > cap(used) {
		more := make([]node, n+n/2)
		copy(more, used)
		l.doc.nodes = more[:len(used)]
	}
	l.nodes = l.doc.nodes[:cap(l.doc.nodes)]
}

// inside are the nodes of what stands in the container at i: of an object the names, each with its value behind it. flat says
// that each of them is one node, whatever stands in it.
func (d *Doc) inside(i uint32) (first, end uint32, flat bool) {
	n := &d.nodes[i]
	if n.marks&apart == 0 {
		return i + 1, n.next, false
	}
	if n.marks&closed != 0 {
		d.open(i)
		n = &d.nodes[i]
	}
	return n.next + 1, d.nodes[n.next].next, true
}

// open lays out what stands in a container, behind all that was laid out before. What is no JSON ends it.
func (d *Doc) open(i uint32) {
	c := &d.nodes[i]
	head, k, depth := len(d.nodes), int(c.next), int(c.tag)+1
	l := layout{doc: d, s: d.src[:c.end-1], quotes: d.quotes, escape: len(d.src)}
	if d.escape < len(d.src) {
		l.escape = backslash(l.s, int(c.start))
	}
	n, members := head+1, 0
	switch {
	case depth > MaxDepth+1:
		l.room(1)
	case c.kind == Object:
		l.room(len(d.quotes) - k + 2) // each member has a name at least
		n = l.members(int(d.nodes[i].start)+1, n, k, depth)
		members = (n - head - 1) / 2
	default:
		l.room(16)
		n = l.elements(int(d.nodes[i].start)+1, n, k, depth)
	}
	h := &l.nodes[head]
	h.start, h.next = uint32(k), uint32(n)
	h.kind = Absent
	d.nodes = l.nodes[:n]
	c = &d.nodes[i]
	c.next, c.marks, c.tag = uint32(head), apart, uint16(min(members, manyMembers))
}

// container writes the node of one that is opened later: where it begins and ends, its first quote and how deep it is.
func (l *layout) container(i, end, n, k, depth int) {
	kind := Array
	if l.s[i] == '{' {
		kind = Object
	}
	at := &l.nodes[n]
	at.start, at.end, at.next, at.kind, at.marks, at.tag = uint32(i), uint32(end), uint32(k), kind, apart|closed, uint16(depth)
}

// value lays out one value.
func (l *layout) value(i, n, k, depth int) (behind, quote int) {
	s := l.s
	if i >= len(s) {
		return -1, k
	}
	start, kind, marks := i, Number, uint8(0)
	switch s[i] {
	case '"':
		if int(l.quotes[k]) != i || int(l.quotes[k+1]) >= len(s) {
			return -1, k
		}
		start, i = i+1, int(l.quotes[k+1])
		if l.escape < i {
			marks = l.mark(start, i)
		}
		at := &l.nodes[n]
		at.start, at.end, at.kind, at.marks, at.tag = uint32(start), uint32(i), String, marks, 0
		return i + 1, k + 2
	case '{', '[':
		end, quote := past(l.doc.sets, i)
		if end < 0 || end > len(s) {
			return -1, k
		}
		l.container(i, end, n, k, depth)
		return end, quote
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
	}
	if i > len(s) || i == start {
		return -1, k
	}
	at := &l.nodes[n]
	at.start, at.end, at.kind, at.marks, at.tag = uint32(start), uint32(i), kind, 0, 0
	return i, k
}

// elements lays out those of an array, whose first stands at i or behind, and returns the node behind them.
func (l *layout) elements(i, n, k, depth int) int {
	for i = skip(l.s, i); i < len(l.s); {
		if n >= len(l.nodes) {
			l.doc.nodes = l.nodes[:n]
			l.room(n)
		}
		if n >= 2*MaxNodes {
			break
		}
		behind, quote := l.value(i, n, k, depth)
		if behind < 0 {
			break
		}
		n++
		if i, k = l.comma(behind), quote; i < 0 {
			break
		}
	}
	return n
}

// comma is where the next value may begin; -1 where there is no comma, and none.
func (l *layout) comma(i int) int {
	s := l.s
	if i < len(s) && s[i] <= ' ' {
		i = blank(s, i)
	}
	if i >= len(s) || s[i] != ',' {
		return -1
	}
	return skip(s, i+1)
}

// members lays out those of an object, name and value by turns, the first of which stands at i or behind, and returns the
// node behind them. Most members are strings in a row, and are told by their quotes: where these stand so near to each
// other only a colon or a comma can stand between them, with a blank at most.
func (l *layout) members(i, n, k, depth int) int {
	s := l.s
	for i = skip(s, i); i < len(s); {
		q := l.quotes[k : k+5 : k+5]
		start, end := q[0]+1, q[1]
		if start != uint32(i)+1 || int(end)+2 >= len(s) { // a colon and a value's first byte follow
			break
		}
		at := l.nodes[n : n+2 : n+2]
		at[0].start, at[0].end, at[0].kind, at[0].marks = start, end, String, name
		at[0].tag = tag(s[start], s[end-1], int(end-start))
		if l.escape < int(end) && l.mark(int(start), int(end)) != 0 {
			at[0].marks, at[0].tag = name|escaped, l.doc.tagOfEscaped(s[start:end])
		}
		if gap := q[2] - end; gap == uint32(len(`":`)) || gap == uint32(len(`": `)) && s[end+2] == ' ' { // a string is the value
			start, end := q[2]+1, q[3]
			if i = int(end) + 1; i > len(s) {
				break
			}
			at[1].start, at[1].end, at[1].kind, at[1].marks, at[1].tag = start, end, String, 0, 0
			if l.escape < int(end) {
				at[1].marks = l.mark(int(start), int(end))
			}
			n, k = n+2, k+4
			switch q[4] - end { // and a name follows
			case uint32(len(`",`)):
				i++
				continue
			case uint32(len(`", `)):
				if i < len(s) && s[i] == ',' {
					i += 2
					continue
				}
			}
		} else {
			if i = int(end) + 1; s[i] != ':' {
				if i = blank(s, i); i >= len(s) || s[i] != ':' {
					break
				}
			}
			if i, k = l.value(skip(s, i+1), n+1, k+2, depth); i < 0 {
				break
			}
			n += 2
		}
		if i = l.comma(i); i < 0 {
			break
		}
	}
	return n
}

// mark is escaped for a string that a backslash stands in; strings are asked about in turn.
func (l *layout) mark(start, end int) uint8 {
	if l.escape < start { // in what was passed over
		l.escape = backslash(l.s, start)
	}
	if l.escape >= end {
		return 0
	}
	l.escape = backslash(l.s, end)
	return escaped
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
