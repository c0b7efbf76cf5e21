package tape

// Skip finds the end of the value that begins at src[at], by its brackets and quotes alone: it passes over what
// Parse refuses, and ok is false where no end can be found.
func Skip(src []byte, at int) (end int, ok bool) {
	depth := 0
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
			if depth == 0 {
				return i + 1, true
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1, true
			}
			if depth < 0 {
				return i, i > at // the end of what surrounds a bare word
			}
		case ',', ' ', '\n', '\r', '\t':
			if depth == 0 {
				return i, i > at
			}
		}
	}
	return len(src), depth == 0 && at < len(src)
}
