package sigma

import (
	"encoding/binary"
	"unicode/utf8"
)

// scanner looks for many texts in a value at once (Wu and Manber, "A fast algorithm for multi-pattern searching",
// 1994): most of the value is skipped, the more the longer the shortest text is. Value and texts are in small letters.
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

func blockAt(s []byte, end int) uint32 {
	return (uint32(s[end-3]) | uint32(s[end-2])<<8 | uint32(s[end-1])<<16) * 0x9e3779b1 >> 20
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
	for end := s.least; end <= len(value); {
		at := blockAt(value, end)
		if shift := s.shifts[at]; shift > 0 {
			end += int(shift)
			continue
		}
		for _, p := range s.texts[at] {
			if rest := value[end-s.least:]; len(rest) >= len(p.text) && string(rest[:len(p.text)]) == p.text {
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
	i := foldASCII(to[from:])
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

// foldASCII makes small letters of a text's, eight at a time, and tells how many bytes it has done: all, or up to
// somewhere before the first that is not ASCII.
func foldASCII(s []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		x := binary.LittleEndian.Uint64(s[i:])
		if x&highs != 0 {
			return i
		}
		capital := (x + ones*(0x80-'A')) &^ (x + ones*(0x7f-'Z')) & highs
		binary.LittleEndian.PutUint64(s[i:], x|capital>>2)
	}
	for ; i < len(s) && s[i] < 0x80; i++ {
		if c := s[i]; c-'A' < 26 {
			s[i] = c + 'a' - 'A'
		}
	}
	return i
}
