package tape

// Skip finds the end of the value that begins at src[at], by its brackets and quotes alone: it passes over what
// Parse refuses, and ok is false where no end can be found.
func Skip(src []byte, at int) (end int, ok bool) {
	var room [64]byte
	open := room[:0] // the brackets that want closing
	for i := at; i < len(src); i++ {
		switch src[i] {
		case '"':
			for i++; ; i++ {
				if i = special(src, i); i >= len(src) {
					return len(src), false
				}
				if src[i] == '"' {
					break
				}
				if src[i] == '\\' {
					i++
				}
			}
			if len(open) == 0 {
				return i + 1, true
			}
		case '{', '[':
			open = append(open, src[i]+2) // the one that closes it: ASCII has it two places on
		case '}', ']':
			if len(open) == 0 {
				return i, i > at // the end of what surrounds a bare word
			}
			if open[len(open)-1] != src[i] {
				return i, false
			}
			if open = open[:len(open)-1]; len(open) == 0 {
				return i + 1, true
			}
		case ',', ' ', '\n', '\r', '\t':
			if len(open) == 0 {
				return i, i > at
			}
		}
	}
	return len(src), len(open) == 0 && at < len(src)
}
