package tape

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

var (
	errNodes = fmt.Sprintf("more than %d values", MaxNodes)
	errDepth = fmt.Sprintf("nested more than %d deep", MaxDepth)
)

// outside is the container around a document's one value.
const outside = 1<<32 - 1

// blank is the first place at or behind i where no white space stands.
func blank(s []byte, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t') {
		i++
	}
	return i
}

// read reads the one value that src begins with. It is a single loop over names and values that keeps its place in
// local variables: what is open is chained through the nodes themselves.
func (d *Doc) read() error {
	s, nodes, n, high := d.src, d.nodes[:cap(d.nodes)], 0, uint64(0)
	open, depth, object := uint32(outside), 0, false
	i := blank(s, 0)
	reason := ""
loop:
	for {
		if n+2 > len(nodes) {
			nodes = append(nodes, make([]node, max(len(nodes), min(len(s)/8, keep/2)+16))...)
			nodes = nodes[:cap(nodes)]
		}
		if object {
			if i >= len(s) || s[i] != '"' {
				reason = "expected a member's name"
				break
			}
			i++
			start := i
			for {
				if i+8 > len(s) {
					i, high = scan(s, i, high)
					break
				}
				x := binary.LittleEndian.Uint64(s[i:])
				high |= x
				if hit := specials(x); hit != 0 {
					i += bits.TrailingZeros64(hit) >> 3
					break
				}
				i += 8
			}
			hash, marks := uint16(0), uint8(name)
			if i < len(s) && s[i] == '"' {
				hash = tag(s[start], s[i-1], i-start)
			} else {
				if i, high, reason = escapes(s, i, high); reason != "" {
					break
				}
				hash, marks = d.tagOfEscaped(s[start:i]), name|escaped
			}
			at := &nodes[n]
			n++
			at.start, at.end, at.kind, at.marks, at.tag = uint32(start), uint32(i), String, marks, hash
			if o := &nodes[open]; o.tag < manyMembers {
				o.tag++
			}
			if i++; i >= len(s) || s[i] != ':' {
				if i = blank(s, i); i >= len(s) || s[i] != ':' {
					reason = "expected a colon"
					break
				}
			}
			if i++; i < len(s) && s[i] <= ' ' {
				i = blank(s, i)
			}
		}

		if i >= len(s) {
			reason = "expected a value, the document ends"
			break
		}
		if n >= MaxNodes {
			reason = errNodes
			break
		}
		at := &nodes[n]
		n++
		switch c := s[i]; c {
		case '"':
			i++
			start := i
			for {
				if i+8 > len(s) {
					i, high = scan(s, i, high)
					break
				}
				x := binary.LittleEndian.Uint64(s[i:])
				high |= x
				if hit := specials(x); hit != 0 {
					i += bits.TrailingZeros64(hit) >> 3
					break
				}
				i += 8
			}
			marks := uint8(0)
			if i >= len(s) || s[i] != '"' {
				if i, high, reason = escapes(s, i, high); reason != "" {
					break loop
				}
				marks = escaped
			}
			at.start, at.end, at.kind, at.marks, at.tag = uint32(start), uint32(i), String, marks, 0
			i++
		case '{', '[':
			if depth++; depth > MaxDepth {
				reason = errDepth
				break loop
			}
			object = c == '{'
			kind := Array
			if object {
				kind = Object
			}
			at.start, at.next, at.kind, at.marks, at.tag = uint32(i), open, kind, 0, 0
			open = uint32(n - 1)
			if i++; i < len(s) && s[i] <= ' ' {
				i = blank(s, i)
			}
			if i >= len(s) || s[i] != c+2 { // ASCII has the closing bracket two places on
				continue
			}
			// It is empty: what follows closes it.
		case 't':
			if len(s)-i < 4 || binary.LittleEndian.Uint32(s[i:]) != 't'|'r'<<8|'u'<<16|'e'<<24 {
				reason = "expected true"
				break loop
			}
			at.start, at.end, at.kind, at.marks, at.tag = uint32(i), uint32(i+4), True, 0, 0
			i += 4
		case 'n':
			if len(s)-i < 4 || binary.LittleEndian.Uint32(s[i:]) != 'n'|'u'<<8|'l'<<16|'l'<<24 {
				reason = "expected null"
				break loop
			}
			at.start, at.end, at.kind, at.marks, at.tag = uint32(i), uint32(i+4), Null, 0, 0
			i += 4
		case 'f':
			if len(s)-i < 5 || binary.LittleEndian.Uint32(s[i+1:]) != 'a'|'l'<<8|'s'<<16|'e'<<24 {
				reason = "expected false"
				break loop
			}
			at.start, at.end, at.kind, at.marks, at.tag = uint32(i), uint32(i+5), False, 0, 0
			i += 5
		default:
			start := i
			if i, reason = number(s, i); reason != "" {
				break loop
			}
			at.start, at.end, at.kind, at.marks, at.tag = uint32(start), uint32(i), Number, 0, 0
		}

		for {
			if open == outside {
				d.nodes, d.at, d.high = nodes[:n], i, high
				return nil
			}
			if i < len(s) && s[i] <= ' ' {
				i = blank(s, i)
			}
			closing, c := byte(']'), byte(0)
			if object {
				closing = '}'
			}
			if i < len(s) {
				c = s[i]
			}
			if c == ',' {
				if i++; i < len(s) && s[i] <= ' ' {
					i = blank(s, i)
				}
				break
			}
			if c != closing {
				reason = "expected , or " + string(closing)
				if i >= len(s) {
					reason += ", the document ends"
				}
				break loop
			}
			i++
			depth--
			o := &nodes[open]
			open, o.end, o.next = o.next, uint32(i), uint32(n)
			object = open != outside && nodes[open].kind == Object
		}
	}
	d.nodes, d.at = nodes[:0], i
	return d.fail(reason)
}

// number finds the end of the number that begins at s[i].
func number(s []byte, i int) (end int, reason string) {
	start := i
	if s[i] == '-' {
		i++
	}
	switch {
	case i < len(s) && s[i] == '0':
		i++
	case i < len(s) && '1' <= s[i] && s[i] <= '9':
		i = digits(s, i)
	case i > start:
		return start, "expected a number"
	default:
		return start, "expected a value"
	}
	if i >= len(s) || s[i] != '.' && s[i]|0x20 != 'e' {
		return i, ""
	}
	if s[i] == '.' {
		from := i + 1
		if i = digits(s, from); i == from {
			return start, "expected a number's fraction"
		}
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		from := i
		if i = digits(s, from); i == from {
			return start, "expected a number's exponent"
		}
	}
	return i, ""
}

func digits(s []byte, i int) int {
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		i++
	}
	return i
}
