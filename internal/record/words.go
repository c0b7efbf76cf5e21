package record

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// What the standard library does with words in whatever case, without making a lower-case copy of each.

// ASCII says that s has no other characters.
func ASCII(s string) bool {
	if len(s) < 8 {
		high := byte(0)
		for i := range len(s) {
			high |= s[i]
		}
		return high < 0x80
	}
	high := Eight(s[len(s)-8:]) // the last may have been looked at already
	for ; len(s) > 8; s = s[8:] {
		high |= Eight(s)
	}
	return high&highs == 0
}

const ones, highs = 0x0101010101010101, 0x8080808080808080

// Eight are the first eight bytes of s, which has so many.
func Eight(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// is says that s in lower case is word, which is lower-case ASCII.
func is(s, word string) bool {
	if len(s) > len(word) && !ASCII(s) {
		return strings.ToLower(s) == word // the Kelvin sign's lower case is k, and shorter
	}
	return len(s) == len(word) && begins(s, word)
}

// begins says that ASCII s in lower case begins with word, which is no longer.
func begins(s, word string) bool {
	for i := range len(word) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// hasPrefix says that s in lower case begins with word, which is lower-case ASCII.
func hasPrefix(s, word string) bool {
	if !ASCII(s) {
		return strings.HasPrefix(strings.ToLower(s), word)
	}
	return len(s) >= len(word) && begins(s, word)
}

// says tells whether word, lower-case ASCII, is part of s in lower case.
func says(s, word string) bool {
	if !ASCII(s) {
		return strings.Contains(strings.ToLower(s), word)
	}
	for i := 0; i+len(word) <= len(s); i++ {
		if s[i]|0x20 == word[0]|0x20 && begins(s[i:], word) {
			return true
		}
	}
	return false
}

// integer is strconv.Atoi, but that blanks around the number do not matter and that most texts that are none cost no
// error.
func integer(s string) (n int, ok bool) {
	if s = strings.TrimSpace(s); s == "" {
		return 0, false
	}
	if n, ok := digits(s); ok {
		return n, true
	}
	if s[0] != '-' && s[0] != '+' && (s[0] < '0' || s[0] > '9') {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// digits reads up to nine of them.
func digits(s string) (n int, ok bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' || i == 9 {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, s != ""
}

// plain says that s, a number, stands as strconv.Itoa writes it.
func plain(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	return s == "0" || digits != "" && digits[0] >= '1' && digits[0] <= '9'
}

// AppendLower is strings.ToLower, into memory that there is.
func AppendLower(to []byte, s string) []byte {
	from := len(to)
	to = append(to, s...)
	if FoldASCII(to[from:]) < len(s) {
		return append(to[:from], strings.ToLower(s)...)
	}
	return to
}

// FoldASCII makes small letters of a text's, eight at a time, and tells how many bytes it has done: all, or up to somewhere
// before the first that is not ASCII.
func FoldASCII(s []byte) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		x := binary.LittleEndian.Uint64(s[i:])
		if x&highs != 0 {
			return i
		}
		binary.LittleEndian.PutUint64(s[i:], Small(x))
	}
	if last := len(s) - 8; i > 0 && i < len(s) { // some of the last eight are small already
		x := binary.LittleEndian.Uint64(s[last:])
		if x&highs != 0 {
			return i
		}
		binary.LittleEndian.PutUint64(s[last:], Small(x))
		return len(s)
	}
	for ; i < len(s) && s[i] < 0x80; i++ {
		if c := s[i]; c-'A' < 26 {
			s[i] = c + 'a' - 'A'
		}
	}
	return i
}

// Small are eight bytes of ASCII in small letters.
func Small(x uint64) uint64 {
	capital := (x + ones*(0x80-'A')) &^ (x + ones*(0x7f-'Z')) & highs
	return x | capital>>2
}

// isGUID says that s has a GUID's form.
func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
				return false
			}
		}
	}
	return true
}
