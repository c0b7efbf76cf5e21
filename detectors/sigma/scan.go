package sigma

import (
	"encoding/binary"
	"unicode/utf8"

	"cordon/internal/record"
)

// scanner looks for many texts in a value at once (after Wu and Manber, "A fast algorithm for multi-pattern searching",
// 1994): most of the value is skipped, the more the longer the shortest text is. The texts are in small letters, the value may
// have capitals of ASCII.
type scanner struct {
	least  int // bytes of the shortest text
	shifts []uint8
	texts  map[uint32][]part // by the block that ends at least
}

type part struct {
	text  string
	rules []int32
}

const (
	block  = 3 // bytes that are looked at together
	blocks = 1 << 12
)

// blockAt hashes the block before end, whatever the case of its letters.
func blockAt(s []byte, end int) uint32 {
	first := uint32(binary.LittleEndian.Uint16(s[end-3 : end-1]))
	return hashed(first | uint32(s[end-1])<<16)
}

// hashed is the hash of the block in the lower three bytes.
func hashed(x uint32) uint32 { return (x<<8 | 0x20202000) * 0x9e3779b1 >> 20 }

// isFolded says that s in small letters is text.
func isFolded(s []byte, text string) bool {
	for i, c := range s {
		if c-'A' < 26 {
			c += 'a' - 'A'
		}
		if c != text[i] {
			return false
		}
	}
	return true
}

// newScanner takes texts of at least three bytes and the rules that wait for them.
func newScanner(rules map[string][]int32) *scanner {
	s := &scanner{least: 255, texts: map[uint32][]part{}, shifts: make([]uint8, blocks)}
	for text := range rules {
		s.least = min(s.least, len(text))
	}
	for i := range s.shifts {
		s.shifts[i] = uint8(s.least - block + 1)
	}
	for text, waiting := range rules {
		head := []byte(text[:s.least])
		for end := block; end <= s.least; end++ {
			at := blockAt(head, end)
			s.shifts[at] = min(s.shifts[at], uint8(s.least-end))
		}
		at := blockAt(head, s.least)
		s.texts[at] = append(s.texts[at], part{text, waiting})
	}
	return s
}

// find calls hit with the rules of every text that stands in value.
func (s *scanner) find(value []byte, hit func(rules []int32)) {
	// In whatever text that stands there, one block that is looked at lies within the first bytes, least in number. Where the next one
	// lies does not depend on what is found in this: the machine looks at several at once.
	every := s.least - block + 1
	at := block
	for ; at < len(value); at += every {
		if int(s.shifts[hashed(binary.LittleEndian.Uint32(value[at-block:]))]) < every {
			s.near(value, at, at+every, hit)
		}
	}
	if at == len(value) && int(s.shifts[blockAt(value, at)]) < every {
		s.near(value, at, at+1, hit)
	}
}

// near looks for texts whose first bytes, least in number, end at from or behind, and before to.
func (s *scanner) near(value []byte, from, to int, hit func(rules []int32)) {
	to = min(to, len(value)+1)
	for end := max(from, s.least); end < to; {
		at := blockAt(value, end)
		if shift := s.shifts[at]; shift > 0 {
			end += int(shift)
			continue
		}
		for _, p := range s.texts[at] {
			if rest := value[end-s.least:]; len(rest) >= len(p.text) && isFolded(rest[:len(p.text)], p.text) {
				hit(p.rules)
			}
		}
		end++
	}
}

// literalsFrom is how many plain texts a test has before they are looked up instead of compared in turn.
const literalsFrom = 8

// gather puts many plain texts into a table: exclusions list thousands of addresses.
func (t *test) gather() {
	plain := func(m matcher) bool {
		p, ok := m.(*pattern)
		return ok && !p.wild && !p.cased
	}
	for _, m := range t.matchers {
		if p, ok := m.(*pattern); ok && p.shape == within {
			t.within++
		}
	}
	if t.Keywords || t.all || len(t.matchers) < literalsFrom {
		return
	}
	var rest []matcher
	literals := map[string]struct{}{}
	for _, m := range t.matchers {
		if plain(m) {
			text := string(m.(*pattern).parts)
			literals[text] = struct{}{}
			t.longest = max(t.longest, len(text))
		} else {
			rest = append(rest, m)
		}
	}
	if len(literals) >= literalsFrom {
		t.matchers, t.literals = rest, literals
	}
}

// among says whether a value is one of the test's literals.
func (t *test) among(values []string) bool {
	var room [128]byte
	for _, v := range values {
		if len(v) > widest*t.longest {
			continue
		}
		if _, ok := t.literals[string(fold(room[:0], v))]; ok {
			return true
		}
	}
	return false
}

// widest is how many bytes a character may have for each byte of the small letter that it is compared as.
const widest = 3

// fold appends a text in the small letters in which patterns compare.
func fold(to []byte, s string) []byte {
	from := len(to)
	to = append(to, s...)
	i := record.FoldASCII(to[from:])
	if i == len(s) {
		return to
	}
	for to = to[:from+i]; i < len(s); {
		r, width := next(s, i, false)
		to = utf8.AppendRune(to, r)
		i += width
	}
	return to
}
