package record

import "strings"

// Clean keeps a name that somebody else chose from breaking a line of a terminal or a chat message, from turning text
// around, and from filling the screen.
func Clean(s string) string {
	if printable(s) {
		if len(s) > 120 {
			s = s[:120] + "…"
		}
		return s
	}
	s = strings.Map(func(c rune) rune {
		switch {
		case c < ' ', c >= 0x7f && c < 0xa0, c == '\u2028', c == '\u2029', c >= '\u202a' && c <= '\u202e', c >= '\u2066' && c <= '\u2069':
			return ' '
		}
		return c
	}, s)
	if r := []rune(s); len(r) > 120 {
		s = string(r[:120]) + "…"
	}
	return s
}

// printable says that s is ASCII without control characters, as almost all names are.
func printable(s string) bool {
	for ; len(s) >= 8; s = s[8:] {
		if x := Eight(s); (x|(x+ones)|(x-ones*' '))&highs != 0 {
			return false
		}
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
