package tape

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// specials has a bit set in the lowest byte of x that is a quote, a backslash or a control character; those of higher
// bytes mean nothing. What is below '!' once 2 is flipped are control characters, and the quote.
func specials(x uint64) uint64 {
	return (((x ^ ones*0x02) - ones*0x21) | ((x ^ ones*'\\') - ones)) &^ x & highs
}

// special finds the first byte at or behind i that is a quote, a backslash or a control character: eight at a time.
func special(s []byte, i int) int {
	i, _ = scan(s, i, 0)
	return i
}

// scan is special, and adds the bytes that it saw to high.
func scan(s []byte, i int, high uint64) (int, uint64) {
	for ; i+8 <= len(s); i += 8 {
		x := binary.LittleEndian.Uint64(s[i:])
		high |= x
		if hit := specials(x); hit != 0 {
			return i + bits.TrailingZeros64(hit)/8, high
		}
	}
	for ; i < len(s); i++ {
		c := s[i]
		if c == '"' || c == '\\' || c < 0x20 {
			break
		}
		high |= uint64(c)
	}
	return i, high
}

// escapes finds the end of a string that is not plain: at i stands the first byte that is special, if any.
func escapes(s []byte, i int, high uint64) (end int, seen uint64, reason string) {
	for {
		if i >= len(s) {
			return i, high, "expected the end of a string, the document ends"
		}
		switch s[i] {
		case '"':
			return i, high, ""
		case '\\':
			n := escape(s[i:])
			if n == 0 {
				return i, high, "no escape that JSON knows"
			}
			i += n
		default:
			return i, high, "a control character in a string"
		}
		i, high = scan(s, i, high)
	}
}

// escape is the length of the escape sequence that s begins with, 0 where it is none.
func escape(s []byte) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(s) >= 6 && hex(s[2:6]) >= 0 {
			return 6
		}
	}
	return 0
}

func hex(s []byte) rune {
	var r rune
	for _, c := range s {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// unescape appends a string's text to the arena and returns it. A lone surrogate becomes U+FFFD, as encoding/json
// has it. What is no escape, which stands in no document that Parse accepted, stays as it is.
func (d *Doc) unescape(s []byte) []byte {
	from, out := len(d.arena), d.arena
	for {
		i := backslashNear(s)
		out = append(out, s[:i]...)
		if s = s[i:]; len(s) < 2 {
			d.arena = append(out, s...)
			return d.arena[from:]
		}
		n, c := 2, s[1]
		switch c {
		case '"', '\\', '/':
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		default:
			if n = escape(s); n == 0 {
				n, c = 1, '\\'
				break
			}
			r := hex(s[2:6])
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if len(s) > 6 && s[6] == '\\' && escape(s[6:]) == 6 {
					low = hex(s[8:12])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					n = 12
				}
			}
			out = utf8.AppendRune(out, r)
			s = s[n:]
			continue
		}
		out = append(out, c)
		s = s[n:]
	}
}

// backslashNear finds the first backslash, the end where there is none: in JSON that stands in a string it is a few
// bytes away.
func backslashNear(s []byte) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		x := binary.LittleEndian.Uint64(s[i:]) ^ ones*'\\'
		if hit := (x - ones) &^ x & highs; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for i < len(s) && s[i] != '\\' {
		i++
	}
	return i
}

// alias is b as a string, without copying: b does not change while the document is in use.
func alias(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return unsafe.String(&b[0], len(b))
}
