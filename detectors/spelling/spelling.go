// Package spelling tells which name was meant by one that nobody knows: of a rule's key, a field, a value, a mode's rule.
package spelling

import (
	"slices"
	"strings"
)

// Nearest is the one of some names that looks most like a value; "" where none does.
func Nearest(value string, names []string) string {
	value = strings.ToLower(value)
	best, score := "", 0.5
	for _, name := range names {
		if s := alike(value, strings.ToLower(name)); s > score {
			best, score = name, s
		}
	}
	return best
}

// alike is Dice's coefficient over pairs of letters: 1 for equal texts, 0 for none in common.
func alike(a, b string) float64 {
	if len(a) < 2 || len(b) < 2 {
		return 0
	}
	pairs := map[string]int{}
	for i := range len(a) - 1 {
		pairs[a[i:i+2]]++
	}
	common := 0
	for i := range len(b) - 1 {
		if pairs[b[i:i+2]] > 0 {
			pairs[b[i:i+2]]--
			common++
		}
	}
	return 2 * float64(common) / float64(len(a)+len(b)-2)
}

// Slip is the one of some names that was most likely meant, "" where the name is another word: a letter is wrong, or two of a
// long name, or they stand in another order.
func Slip(name string, names []string) string {
	name = plain(name)
	for _, known := range names {
		folded, wrong := plain(known), 1
		switch {
		case len(folded) < 4:
			wrong = 0
		case len(folded) > 6:
			wrong = 2
		}
		if Distance(name, folded, wrong) <= wrong || letters(name) == letters(folded) {
			return known
		}
	}
	return ""
}

// letters are a name's, in order.
func letters(name string) string {
	sorted := []byte(name)
	slices.Sort(sorted)
	return string(sorted)
}

// plain is a name without what people write words of keys together with.
func plain(name string) string {
	return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(name))
}

// Distance is Levenshtein's, or most+1 where it is more than most.
func Distance(a, b string, most int) int {
	if d := len(a) - len(b); d > most || -d > most {
		return most + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		least := row[0]
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, before+1)
			least = min(least, row[j+1])
		}
		if least > most {
			return most + 1
		}
	}
	return row[len(b)]
}
