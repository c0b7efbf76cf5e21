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
	s, nodes, high := d.src, d.nodes, uint64(0)
	open, depth, object := uint32(outside), 0, false
	i := blank(s, 0)
	reason := ""
loop:
	for {
		if object {
			if i >= len(s) || s[i] != '"' {
				reason = "expected a member's name"
				break
			}
			i++
			start, x, short := i, uint64(0), false
			if i+8 > len(s) {
				i, high = scan(s, i, high)
			} else {
				x = binary.LittleEndian.Uint64(s[i:])
				high |= x
				if hit := specials(x); hit != 0 {
					i += bits.TrailingZeros64(hit) / 8
					short = true
				} else {
					i, high = scan(s, i+8, high)
				}
			}
			if i < len(s) && s[i] == '"' {
				tag := uint16(0)
				switch n := i - start; {
				case n >= 8:
					tag = mix(x, binary.LittleEndian.Uint64(s[i-8:]), n)
				case short:
					tag = mix(x&(1<<(8*n)-1), 0, n)
				default: // the document ends within 8 bytes
					tag = tagOf(s[start:i])
				}
				nodes = append(nodes, node{start: uint32(start), end: uint32(i), next: uint32(len(nodes) + 1), kind: String, marks: name, tag: tag})
			} else {
				if i, high, reason = escapes(s, i, high); reason != "" {
					break
				}
				tag := d.tagOfEscaped(s[start:i])
				nodes = append(nodes, node{start: uint32(start), end: uint32(i), next: uint32(len(nodes) + 1), kind: String, marks: name | escaped, tag: tag})
			}
			if n := &nodes[open]; n.tag < manyMembers {
				n.tag++
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
		if len(nodes) >= MaxNodes {
			reason = errNodes
			break
		}
		switch c := s[i]; c {
		case '"':
			i++
			start := i
			if i+8 > len(s) {
				i, high = scan(s, i, high)
			} else {
				x := binary.LittleEndian.Uint64(s[i:])
				high |= x
				if hit := specials(x); hit != 0 {
					i += bits.TrailingZeros64(hit) / 8
				} else {
					i, high = scan(s, i+8, high)
				}
			}
			marks := uint8(0)
			if i >= len(s) || s[i] != '"' {
				if i, high, reason = escapes(s, i, high); reason != "" {
					break loop
				}
				marks = escaped
			}
			nodes = append(nodes, node{start: uint32(start), end: uint32(i), next: uint32(len(nodes) + 1), kind: String, marks: marks})
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
			nodes = append(nodes, node{start: uint32(i), end: uint32(i), next: open, kind: kind})
			open = uint32(len(nodes) - 1)
			if i++; i < len(s) && s[i] <= ' ' {
				i = blank(s, i)
			}
			if i >= len(s) || s[i] != c+2 { // ASCII has the closing bracket two places on
				continue
			}
			// It is empty: what follows closes it.
		case 't', 'n':
			word, kind := "true", True
			if c == 'n' {
				word, kind = "null", Null
			}
			if len(s)-i < 4 || string(s[i:i+4]) != word {
				reason = "expected " + word
				break loop
			}
			nodes = append(nodes, node{start: uint32(i), end: uint32(i + 4), next: uint32(len(nodes) + 1), kind: kind})
			i += 4
		case 'f':
			if len(s)-i < 5 || string(s[i:i+5]) != "false" {
				reason = "expected false"
				break loop
			}
			nodes = append(nodes, node{start: uint32(i), end: uint32(i + 5), next: uint32(len(nodes) + 1), kind: False})
			i += 5
		default:
			start := i
			if i, reason = number(s, i); reason != "" {
				break loop
			}
			nodes = append(nodes, node{start: uint32(start), end: uint32(i), next: uint32(len(nodes) + 1), kind: Number})
		}

		for {
			if open == outside {
				d.nodes, d.at, d.high = nodes, i, high
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
			n := &nodes[open]
			open, n.end, n.next = n.next, uint32(i), uint32(len(nodes))
			object = open != outside && nodes[open].kind == Object
		}
	}
	d.nodes, d.at = nodes, i
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
