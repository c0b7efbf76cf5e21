package tape

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// ParseTrusted is Parse for bytes that Parse has accepted before, at a part of its cost: it takes their word for what
// Parse looks at. Of other bytes it may make any values, or none; it reads nothing but src, ends, and keeps to the
// same bounds. What stands as JSON in strings nobody has looked at: Parsed reads that as ever.
//
// It goes over the bytes twice: first all quotes are found, many bytes at a time, so that no string is looked through
// again; then the values are laid out between them.
func (d *Doc) ParseTrusted(src []byte) (Value, error) {
	if uint64(len(src)) > 1<<32-1 {
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
	quotes []uint32 // where the strings begin and end, and len(src) behind them
	escape int      // the next backslash that no string has passed yet, len(src) where there is none
	at     int      // where it failed
	reason string
}

func (f *follower) fail(at int, reason string) (int, int, int) {
	f.at, f.reason = at, reason
	return -1, 0, 0
}

// room makes some for more nodes.
func (f *follower) room() []node {
	f.nodes = append(f.nodes, make([]node, max(len(f.nodes), 16))...)
	f.nodes = f.nodes[:cap(f.nodes)]
	return f.nodes
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
	for nodes := f.nodes; s[i] != ']'; {
		if n >= len(nodes) {
			nodes = f.room()
		}
		if n >= MaxNodes {
			return f.fail(i, errNodes)
		}
		if s[i] == '"' {
			start, end := int(f.quotes[k]), int(f.quotes[k+1])
			if start != i || end >= len(s) {
				return f.fail(i, errQuote)
			}
			marks := uint8(0)
			if f.escape < end {
				marks = f.mark(s, end)
			}
			at := &nodes[n]
			at.start, at.end, at.next, at.kind, at.marks, at.tag = uint32(start+1), uint32(end), uint32(n+1), String, marks, 0
			i, n, k = end+1, n+1, k+2
		} else {
			if i, n, k = f.value(s, i, n, k, depth); i < 0 {
				return i, n, k
			}
			nodes = f.nodes
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
		if i++; i < len(s) && s[i] <= ' ' {
			if i++; i < len(s) && s[i] <= ' ' {
				i = blank(s, i)
			}
		}
		if i >= len(s) {
			return f.fail(i, errOpen)
		}
	}
	if s[i] != ']' {
		return f.fail(i, errOpen)
	}
	f.nodes[self].end, f.nodes[self].next = uint32(i+1), uint32(n)
	return i + 1, n, k
}

// object lays out the object that begins at i.
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
	for nodes := f.nodes; s[i] != '}'; {
		if n+1 >= len(nodes) {
			nodes = f.room()
		}
		start, end := int(f.quotes[k])+1, int(f.quotes[k+1])
		if start != i+1 || end+2 >= len(s) {
			return f.fail(i, errQuote)
		}
		tag, marks := uint16(0), uint8(name)
		switch size := end - start; {
		case f.escape < end:
			marks |= f.mark(s, end)
			tag = f.doc.tagOfEscaped(s[start:end])
		case end >= 8 && start+8 <= len(s):
			first := load(s, start) & (1<<(8*uint(size)) - 1)
			last := load(s, end-8) >> (64 - 8*uint(min(size, 8)))
			tag = mix(first, last, size)
		default: // at the document's very begin or end
			tag = tagOf(s[start:end])
		}
		at := &nodes[n]
		at.start, at.end, at.next, at.kind, at.marks, at.tag = uint32(start), uint32(end), uint32(n+1), String, marks, tag
		i, n, k, members = end+1, n+1, k+2, members+1
		if s[i] != ':' {
			if i = blank(s, i); i >= len(s) || s[i] != ':' {
				return f.fail(i, "expected a colon")
			}
		}
		if i++; i < len(s) && s[i] <= ' ' {
			if i++; i < len(s) && s[i] <= ' ' {
				i = blank(s, i)
			}
		}
		if i >= len(s) {
			return f.fail(i, errOpen)
		}
		if n >= MaxNodes {
			return f.fail(i, errNodes)
		}
		if s[i] == '"' {
			start, end := int(f.quotes[k]), int(f.quotes[k+1])
			if start != i || end >= len(s) {
				return f.fail(i, errQuote)
			}
			marks := uint8(0)
			if f.escape < end {
				marks = f.mark(s, end)
			}
			at := &nodes[n]
			at.start, at.end, at.next, at.kind, at.marks, at.tag = uint32(start+1), uint32(end), uint32(n+1), String, marks, 0
			i, n, k = end+1, n+1, k+2
		} else {
			if i, n, k = f.value(s, i, n, k, depth); i < 0 {
				return i, n, k
			}
			nodes = f.nodes
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
		if i++; i < len(s) && s[i] <= ' ' {
			if i++; i < len(s) && s[i] <= ' ' {
				i = blank(s, i)
			}
		}
		if i >= len(s) {
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

// find finds the quotes that begin and end strings.
func (f *follower) find(s []byte) {
	whole := len(s) / 64
	all := f.doc.sets[:0]
	if whole+1 > cap(all) {
		all = make([]sets, whole+1+whole/2)
		f.doc.sets = all
	}
	all = all[:whole+1]
	fill(all, s)
	var last [64]byte
	copy(last[:], s[whole*64:])
	all[whole] = setsOf(&last)

	any := uint64(0)
	for i := range all {
		any |= all[i].backslashes
	}
	if f.escape = len(s); any != 0 {
		f.escape = backslash(s, 0)
		unescaped(all)
	}
	q, m := f.doc.quotes, 0
	for i := range all {
		if len(q) < m+64+8 {
			q = append(q, make([]uint32, 512+len(q))...)
			q = q[:cap(q)]
		}
		set, from := all[i].quotes, uint32(i)*64
		n := m + bits.OnesCount64(set)
		for ; set != 0; m += 8 { // eight at a time, be there fewer: what is too much is written over, and few blocks have more
			to := (*[8]uint32)(q[m:])
			to[0] = from + uint32(bits.TrailingZeros64(set))
			set &= set - 1
			to[1] = from + uint32(bits.TrailingZeros64(set))
			set &= set - 1
			to[2] = from + uint32(bits.TrailingZeros64(set))
			set &= set - 1
			to[3] = from + uint32(bits.TrailingZeros64(set))
			set &= set - 1
			to[4] = from + uint32(bits.TrailingZeros64(set))
			set &= set - 1
			to[5] = from + uint32(bits.TrailingZeros64(set))
			set &= set - 1
			to[6] = from + uint32(bits.TrailingZeros64(set))
			set &= set - 1
			to[7] = from + uint32(bits.TrailingZeros64(set))
			set &= set - 1
		}
		m = n
	}
	q[m], q[m+1] = uint32(len(s)), uint32(len(s))
	f.doc.quotes, f.quotes = q, q[:m+2]
}

// unescaped takes the quotes out that a backslash stands before which is no part of an escape itself (Langdale and
// Lemire, "Parsing gigabytes of JSON per second", 2019, 3.1.1).
func unescaped(all []sets) {
	const even = 0x5555555555555555
	before := uint64(0) // 1 if what stands before the block escapes its first byte
	for i := range all {
		at := &all[i]
		backslashes := at.backslashes &^ before
		follows := backslashes<<1 | before
		sum, carry := bits.Add64(backslashes&^even&^follows, backslashes, 0)
		before = carry
		at.quotes &^= (even ^ sum<<1) & follows
	}
}

const sevens = ones * 0x7f

// load is the eight bytes at i.
func load(s []byte, i int) uint64 { return binary.LittleEndian.Uint64(s[i:]) }

// sets have a bit for each byte of a block of 64 that is a quote, and that is a backslash.
type sets struct{ quotes, backslashes uint64 }

func setsOf(s *[64]byte) (all sets) {
	for i := 0; i < 64; i += 8 {
		all.quotes |= equal(s, i, '"') << i
		all.backslashes |= equal(s, i, '\\') << i
	}
	return all
}

// equal has a bit for each of the eight bytes at i that is c.
func equal(s *[64]byte, i int, c uint64) uint64 {
	x := binary.LittleEndian.Uint64(s[i:]) ^ ones*c
	x = ^((x&sevens + sevens) | x | sevens) // the high bit of each byte that was one
	return (x >> 7) * 0x0102040810204080 >> 56
}

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
