// Package vocabulary knows what can stand in the fields of records: operation names, categories, types of risk events, the
// forms of values. It holds facts, each with its source, and says of each list whether it is complete: what a list that is
// not complete lacks may exist.
package vocabulary

import (
	"cmp"
	"slices"
	"strings"

	"cordon/detectors/spelling"
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
		if len(key) >= 6 && spelling.Distance(key, folded, 2) <= 2 && len(key) > 4*spelling.Distance(key, folded, 2) {
			return real, true
		}
	}
	return "", false
}

// Nearest is the value that looks most like one that is not there; "" where none does.
func (k *Kind) Nearest(value string) string { return spelling.Nearest(value, k.Values) }

var small = map[string]bool{"to": true, "from": true, "of": true, "in": true, "for": true, "the": true, "a": true, "an": true, "on": true, "and": true}

// content are a name's words but the small ones, sorted.
func content(s string) string {
	words := strings.FieldsFunc(s, func(c rune) bool { return c == ' ' || c == '-' || c == '/' || c == '(' || c == ')' })
	words = slices.DeleteFunc(words, func(w string) bool { return small[w] })
	slices.Sort(words)
	return strings.Join(words, " ")
}

func byName(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) }
