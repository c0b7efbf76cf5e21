// Package vocabulary knows what can stand in the fields of records: operation names, categories, types of risk events, the
// forms of values. It holds facts, each with its source, and says of each list whether it is complete: what a list that is
// not complete lacks may exist.
package vocabulary

import (
	"cmp"
	"slices"
	"strings"

	"cordon/internal/record"
)

// Vocabulary is all that is known. It does not change once it is made.
type Vocabulary struct {
	kinds       map[string]*Kind
	neverFields map[string][]Never
	ordinary    map[string][]string
}

// Kind is one kind of value.
type Kind struct {
	Name     string
	What     string
	Source   string
	Complete bool
	Why      string
	Form     Form
	Free     bool // free text stands beside the values
	Values   []string
	Never    []Never

	others    []string
	operation bool
	known     map[string]string
	patterns  []string
}

// Never is a value, or the name of a field, that rules ask for and no record holds.
type Never struct {
	Value string
	Why   string
	Real  []string
}

// Form is what a kind's values look like.
type Form string

// The forms.
const (
	Any      Form = ""
	Number   Form = "number"
	GUID     Form = "guid"
	Identity Form = "identity"
	KeyValue Form = "keyvalue"
	Path     Form = "path"
)

// Kind returns a kind by name, nil where there is none.
func (v *Vocabulary) Kind(name string) *Kind { return v.kinds[name] }

// Kinds are the names of all, in order.
func (v *Vocabulary) Kinds() (names []string) {
	for name := range v.kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Ordinary are the operations of a log source that every tenant makes every day.
func (v *Vocabulary) Ordinary(source string) []string { return v.ordinary[source] }

// NeverField says why no record of a log source has a field of that name.
func (v *Vocabulary) NeverField(source, name string) (Never, bool) {
	for _, n := range v.neverFields[source] {
		if begin, any := strings.CutSuffix(strings.ToLower(n.Value), "*"); any && strings.HasPrefix(strings.ToLower(name), begin) || strings.EqualFold(n.Value, name) {
			return n, true
		}
	}
	return Never{}, false
}

// Has finds a value, whatever its case, and returns it as it is written.
func (k *Kind) Has(value string) (string, bool) {
	key := k.fold(value)
	if real, ok := k.known[key]; ok {
		return real, true
	}
	for _, p := range k.patterns {
		if begin := strings.TrimSuffix(p, "*"); strings.HasPrefix(key, k.fold(begin)) {
			return p, true
		}
	}
	return "", false
}

// fold takes out what does not tell two values apart.
func (k *Kind) fold(value string) string {
	if k.operation {
		value = record.NormalOperation(value)
	}
	return strings.ToLower(strings.TrimSpace(value))
}

// NeverHolds says why a value is known not to exist.
func (k *Kind) NeverHolds(value string) (Never, bool) {
	key := k.fold(value)
	for _, n := range k.Never {
		if begin, any := strings.CutSuffix(n.Value, "*"); any && strings.HasPrefix(key, k.fold(begin)) || k.fold(n.Value) == key {
			return n, true
		}
	}
	return Never{}, false
}

// Elsewhere is the kind that a value belongs to, if it belongs to one that never stands where this one does.
func (v *Vocabulary) Elsewhere(k *Kind, value string) (*Kind, string, bool) {
	for _, name := range k.others {
		if other := v.kinds[name]; other != nil {
			if real, ok := other.Has(value); ok {
				return other, real, true
			}
		}
	}
	return nil, "", false
}

// Twin is the value that has the same words, but for small ones, or that is a slip of one or two letters away: what was
// meant where a value does not exist.
func (k *Kind) Twin(value string) (string, bool) {
	key := k.fold(value)
	words := content(key)
	for _, real := range k.Values {
		folded := k.fold(real)
		if len(words) > 1 && words == content(folded) {
			return real, true
		}
		if len(key) >= 6 && distance(key, folded, 2) <= 2 && len(key) > 4*distance(key, folded, 2) {
			return real, true
		}
	}
	return "", false
}

// Nearest is the value that looks most like one that is not there; "" where none does.
func (k *Kind) Nearest(value string) string { return Nearest(value, k.Values) }

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

var small = map[string]bool{"to": true, "from": true, "of": true, "in": true, "for": true, "the": true, "a": true, "an": true, "on": true, "and": true}

// content are a name's words but the small ones, sorted.
func content(s string) string {
	words := strings.FieldsFunc(s, func(c rune) bool { return c == ' ' || c == '-' || c == '/' || c == '(' || c == ')' })
	words = slices.DeleteFunc(words, func(w string) bool { return small[w] })
	slices.Sort(words)
	return strings.Join(words, " ")
}

// distance is Levenshtein's, or most+1 where it is more than most.
func distance(a, b string, most int) int {
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

func byName(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) }
