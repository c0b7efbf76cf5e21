package check

import (
	"slices"
	"strings"

	"cordon/internal/record"
)

// matches says whether a text would satisfy a clause: the comparison of Sigma, as far as a judgement needs it.
func matches(how string, all bool, values []string, text string) bool {
	one := func(value string) bool {
		pattern, text := strings.ToLower(record.NormalOperation(value)), strings.ToLower(record.NormalOperation(text))
		switch how {
		case "contains":
			pattern = "*" + pattern + "*"
		case "startswith":
			pattern += "*"
		case "endswith":
			pattern = "*" + pattern
		}
		return like(pattern, text)
	}
	if all {
		return !slices.ContainsFunc(values, func(v string) bool { return !one(v) })
	}
	return slices.ContainsFunc(values, one)
}

// like compares a text with a pattern of * and ?.
func like(pattern, text string) bool {
	p, t, star, back := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, back = p, t
			p++
		case p < len(pattern) && (pattern[p] == text[t] || pattern[p] == '?'):
			p++
			t++
		case star >= 0:
			back++
			p, t = star+1, back
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
