package sigma

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"

	"cordon/internal/record"
)

// maxText bounds a literal.
const maxText = 32 << 10

// What stands for more than one character in a literal.
const (
	star rune = -1 // any number of characters
	any1 rune = -2 // one character
	dash rune = -3 // one of the dashes of `windash`
)

// isDash says whether windash takes a character for a dash.
func isDash(c rune) bool {
	return c == '-' || c == '/' || c == '\u2013' || c == '\u2014' || c == '\u2015'
}

// literal is a value of a rule, its wildcards and escapes read.
type literal struct {
	runes []rune
	bytes bool // each rune is a byte: UTF-16
}

// readLiteral reads the wildcards * and ?, which a backslash makes plain; before anything else but a backslash, a
// backslash is one itself.
func readLiteral(s string) literal {
	runes := []rune(s)
	var l literal
	for i := 0; i < len(runes); i++ {
		switch c := runes[i]; {
		case c == '\\' && i+1 < len(runes) && (runes[i+1] == '*' || runes[i+1] == '?' || runes[i+1] == '\\'):
			i++
			l.runes = append(l.runes, runes[i])
		case c == '*':
			l.runes = append(l.runes, star)
		case c == '?':
			l.runes = append(l.runes, any1)
		default:
			l.runes = append(l.runes, c)
		}
	}
	return l
}

// pattern is a literal that values are compared with: without regard to case unless it is cased, in time linear in
// the value for each star, and without allocating.
type pattern struct {
	parts []rune // in small letters unless cased
	wild  bool
	cased bool

	shape  shape
	needle []byte // of a shape that is not anyShape: what stands between the stars
}

// shape is what a pattern asks for, where that can be told byte by byte: its text is ASCII and has stars at its ends
// alone.
type shape uint8

const (
	anyShape shape = iota
	whole
	prefix
	suffix
	within
)

// shaped finds out a pattern's shape.
func (p *pattern) shaped() *pattern {
	parts, is := p.parts, whole
	if len(parts) > 0 && parts[len(parts)-1] == star {
		parts, is = parts[:len(parts)-1], prefix
	}
	if len(parts) > 0 && parts[0] == star {
		if parts = parts[1:]; is == prefix {
			is = within
		} else {
			is = suffix
		}
	}
	if len(parts) == 0 {
		return p
	}
	needle := make([]byte, len(parts))
	for i, c := range parts {
		if c < 0 || c >= utf8.RuneSelf {
			return p
		}
		needle[i] = byte(c)
	}
	p.shape, p.needle = is, needle
	return p
}

func (l literal) pattern(how string, cased bool) *pattern {
	p := &pattern{cased: cased}
	add := func(c rune) {
		if n := len(p.parts); c == star && n > 0 && p.parts[n-1] == star {
			return // two stars say what one does
		}
		p.parts, p.wild = append(p.parts, c), p.wild || c < 0
	}
	if how == "contains" || how == "endswith" {
		add(star)
	}
	for _, c := range l.runes {
		if !cased && c >= 0 {
			c = unicode.ToLower(c)
		}
		add(c)
	}
	if how == "contains" || how == "startswith" {
		add(star)
	}
	return p.shaped()
}

// next is the character of s at i, in small letters unless cased, and its width.
func next(s string, i int, cased bool) (rune, int) {
	if c := s[i]; c < utf8.RuneSelf {
		if !cased && 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		return rune(c), 1
	}
	c, width := utf8.DecodeRuneInString(s[i:])
	if !cased {
		c = unicode.ToLower(c)
	}
	return c, width
}

func (p *pattern) matches(v string) bool {
	if p.shape != anyShape {
		if holds, sure := p.quickly(v); sure {
			return holds
		}
	}
	return p.slowly(v)
}

// quickly compares byte by byte; sure is false where a character beyond ASCII, which may have an ASCII small letter,
// comes before the answer.
func (p *pattern) quickly(v string) (holds, sure bool) {
	n := len(p.needle)
	switch p.shape {
	case whole, prefix:
		i, most := 0, min(n, len(v))
		for ; i+8 <= most; i += 8 { // eight at a time, as long as that will do
			if x, ascii := p.eight(v[i:]); !ascii {
				break
			} else if x != binary.LittleEndian.Uint64(p.needle[i:]) {
				return false, true
			}
		}
		for ; i < most; i++ {
			if c := v[i]; p.low(c) != p.needle[i] {
				return false, c < utf8.RuneSelf
			}
		}
		return len(v) == n || p.shape == prefix && len(v) > n, true
	case suffix:
		i, most := 0, min(n, len(v))
		for ; i+8 <= most; i += 8 {
			if x, ascii := p.eight(v[len(v)-i-8:]); !ascii {
				break
			} else if x != binary.LittleEndian.Uint64(p.needle[n-i-8:]) {
				return false, true
			}
		}
		for i++; i <= most; i++ {
			if c := v[len(v)-i]; p.low(c) != p.needle[n-i] {
				return false, c < utf8.RuneSelf
			}
		}
		return len(v) >= n, true
	}
	first, bit := p.needle[0], byte(0) // in which its other case differs
	if !p.cased && 'a' <= first && first <= 'z' {
		bit = 'a' - 'A'
	}
	i := 0
	for ; i+8 <= len(v); i += 8 {
		x := record.Eight(v[i:])
		if x&highs != 0 {
			return false, false
		}
		x = (x | ones*uint64(bit)) ^ ones*uint64(first)
		for hits := (x - ones) &^ x & highs; hits != 0; hits &= hits - 1 { // and perhaps what stands behind one
			if at := i + bits.TrailingZeros64(hits)/8; len(v)-at >= n && p.stands(v[at:at+n]) {
				return true, true
			}
		}
	}
	for ; i < len(v); i++ {
		c := v[i]
		if c >= utf8.RuneSelf {
			return false, false
		}
		if c|bit == first && len(v)-i >= n && p.stands(v[i:i+n]) {
			return true, true
		}
	}
	return false, true
}

const ones, highs = 0x0101010101010101, 0x8080808080808080

// eight are the first eight bytes of v as they are compared; ascii is false where one of them is not.
func (p *pattern) eight(v string) (x uint64, ascii bool) {
	x = record.Eight(v)
	if !p.cased {
		return record.Small(x), x&highs == 0
	}
	return x, x&highs == 0
}

func (p *pattern) stands(v string) bool {
	for i, c := range p.needle {
		if p.low(v[i]) != c {
			return false
		}
	}
	return true
}

func (p *pattern) low(c byte) byte {
	if !p.cased && 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

func (p *pattern) slowly(v string) bool {
	if !p.wild {
		return p.equals(v)
	}
	i, j, mark, back := 0, 0, -1, 0
	for i < len(v) {
		if j < len(p.parts) {
			part := p.parts[j]
			if part == star {
				if j == len(p.parts)-1 {
					return true
				}
				mark, back = j, i
				j++
				continue
			}
			if c, width := next(v, i, p.cased); part == c || part == any1 || part == dash && isDash(c) {
				i += width
				j++
				continue
			}
		}
		if mark < 0 {
			return false
		}
		_, width := next(v, back, true) // the last star takes one more
		back += width
		i, j = back, mark+1
	}
	for j < len(p.parts) && p.parts[j] == star {
		j++
	}
	return j == len(p.parts)
}

func (p *pattern) equals(v string) bool {
	i := 0
	for _, part := range p.parts {
		if i >= len(v) {
			return false
		}
		c, width := next(v, i, p.cased)
		if c != part {
			return false
		}
		i += width
	}
	return i == len(v)
}

// related compares two values as fieldref does, in time linear in both, and where they are short without allocating.
func related(how, v, other string, cased bool) bool {
	var roomA, roomB [256]byte
	a, b := folded(roomA[:0], v, cased), folded(roomB[:0], other, cased)
	switch how {
	case "startswith":
		return bytes.HasPrefix(a, b)
	case "contains":
		return bytes.Contains(a, b)
	case "endswith":
		return bytes.HasSuffix(a, b)
	}
	return bytes.Equal(a, b)
}

// folded appends a text in small letters, unless it is cased.
func folded(to []byte, s string, cased bool) []byte {
	if cased {
		return append(to, s...)
	}
	if low, ascii := lowered(to, s); ascii {
		return low
	}
	return append(to[:0], strings.ToLower(s)...)
}
