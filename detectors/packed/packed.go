// Package packed writes texts and numbers behind one another in few bytes: what is kept of a million records, and what
// snapshots hold. What is read may be damaged: it is refused then, and nothing is read beyond its end.
package packed

import (
	"encoding/binary"
	"math"
	"strings"
)

// What stands before a text that is not written as its length, which is even, and its bytes.
const (
	asGUID = 1 // 16 bytes
	asLike = 3 // and by twos: it is the first, second, … of the likely ones
)

// Text appends a text; likely ones are those that it may be equal to, which the reader must name too.
func Text(to []byte, s string, likely ...string) []byte {
	for i, l := range likely {
		if s == l {
			return Like(to, i)
		}
	}
	if id, ok := guid(s); ok {
		return append(append(to, asGUID), id[:]...)
	}
	return append(binary.AppendUvarint(to, 2*uint64(len(s))), s...)
}

// Like appends a text that is the likely one of this number.
func Like(to []byte, i int) []byte { return binary.AppendUvarint(to, uint64(asLike+2*i)) }

// CutNumber reads a number, and returns what follows it.
func CutNumber(from string) (n uint64, rest string, ok bool) {
	for width := 0; width < len(from) && width < binary.MaxVarintLen64; width++ {
		c := from[width]
		if n |= uint64(c&0x7f) << (7 * width); c < 0x80 {
			return n, from[width+1:], true
		}
	}
	return 0, "", false
}

// CutLike reads the number of a likely text; ok is false where none follows.
func CutLike(from string) (i int, rest string, ok bool) {
	n, rest, ok := CutNumber(from)
	if !ok || n%2 == 0 || n < asLike || n > math.MaxInt32 {
		return 0, "", false
	}
	return int(n-asLike) / 2, rest, true
}

// CutText reads a text, and returns what follows it.
func CutText(from string, likely ...string) (s, rest string, ok bool) {
	raw, is, rest, ok := cut(from)
	switch {
	case !ok:
		return "", "", false
	case is == asGUID:
		return dashed(raw), rest, true
	case is%2 == 0:
		return raw, rest, true
	}
	if is = (is - asLike) / 2; is >= uint64(len(likely)) {
		return "", "", false
	}
	return likely[is], rest, true
}

// Skip passes over a text.
func Skip(from string) (rest string, ok bool) {
	_, _, rest, ok = cut(from)
	return rest, ok
}

// CutKey reads a text as others equal it without regard to case: for those of one such text, however they are written,
// and for no other, it is the same. It is "" where the text is empty, or a likely one.
func CutKey(from string) (key, rest string, ok bool) {
	raw, is, rest, ok := cut(from)
	if !ok || is%2 == 1 && is != asGUID || raw == "" {
		return "", rest, ok
	}
	if is%2 == 0 {
		if lower := strings.ToLower(raw); lower != raw {
			return string(Text(nil, lower)), rest, true
		}
	}
	return from[:len(from)-len(rest)], rest, true
}

// Compare tells the order of two texts that no likely ones were named for, without unpacking them.
func Compare(a, b string) int {
	textA, isA, _, _ := cut(a)
	textB, isB, _, _ := cut(b)
	switch {
	case isA == asGUID && isB != asGUID:
		textA = dashed(textA)
	case isB == asGUID && isA != asGUID:
		textB = dashed(textB)
	}
	return strings.Compare(textA, textB)
}

// cut is a text's bytes as they stand, and what stood before them.
func cut(from string) (raw string, is uint64, rest string, ok bool) {
	is, rest, ok = CutNumber(from)
	n := uint64(0)
	switch {
	case is == asGUID:
		n = 16
	case is%2 == 0:
		n = is / 2
	}
	if !ok || n > uint64(len(rest)) {
		return "", 0, "", false
	}
	return rest[:n], is, rest[n:], true
}

// dashes are where a GUID has them, pairs where it has the digits of its bytes.
var (
	dashes = [...]int{8, 13, 18, 23}
	pairs  = [...]int{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}
)

// digits are what they stand for, noDigit where one is none.
var digits = func() (values [256]byte) {
	for c := range values {
		values[c] = noDigit
	}
	for i, c := range "0123456789abcdef" {
		values[c] = byte(i)
	}
	return values
}()

const noDigit = 0xff

// guid packs a GUID as Microsoft writes it, in small letters.
func guid(s string) (id [16]byte, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, false
	}
	all := byte(0)
	for i, at := range pairs {
		high, low := digits[s[at]], digits[s[at+1]]
		all |= high | low
		id[i] = high<<4 | low
	}
	return id, all != noDigit
}

func dashed(id string) string {
	const digits = "0123456789abcdef"
	var out [36]byte
	at := 0
	for i := range len(id) {
		if at == dashes[0] || at == dashes[1] || at == dashes[2] || at == dashes[3] {
			out[at] = '-'
			at++
		}
		out[at], out[at+1] = digits[id[i]>>4], digits[id[i]&0xf]
		at += 2
	}
	return string(out[:])
}
