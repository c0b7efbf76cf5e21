package record

import (
	"iter"
	"strings"

	"cordon/internal/tape"
)

// find returns an object's member by name, whatever its case: relays lower-case keys, Log Analytics capitalises
// them. The exact spelling wins.
func find(v tape.Value, name tape.Name) tape.Value { return v.FindName(name) }

// value returns the first of the named properties that the record has: in `properties`, else at the top as bare
// records have them. null counts as absent.
func (r *Record) value(names ...tape.Name) tape.Value {
	for i := range names {
		if v := r.properties.FindName(names[i]); v.Kind() > tape.Null {
			return unwrap(v)
		}
		if v := r.root.FindName(names[i]); v.Kind() > tape.Null {
			return unwrap(v)
		}
	}
	return tape.Value{}
}

// unwrap decodes JSON inside a string once: exports put objects and arrays into strings.
func unwrap(v tape.Value) tape.Value {
	if !v.Opens() {
		return v
	}
	return unwrapString(v)
}

func unwrapString(v tape.Value) tape.Value {
	if raw := v.Raw(); len(raw) < 2 || !closes(raw) {
		return v
	}
	if inner := v.Parsed(); inner.Exists() {
		return inner
	}
	return v
}

// closes says that JSON in a string may end so: with its bracket, or with white space, escaped or not. An address with a
// port begins like an array, and to refuse it costs more than to look.
func closes(raw []byte) bool {
	switch raw[len(raw)-1] {
	case '}', ']', ' ', 'n', 'r', 't':
		return true
	}
	return len(raw) > 6 && raw[len(raw)-6] == '\\' // \u0020
}

// text is a scalar as text; "" for null, objects and arrays.
func text(v tape.Value) string { return v.Text() }

// elements are an array's members, or the value itself as the only one.
func elements(v tape.Value) iter.Seq2[int, tape.Value] {
	return func(yield func(int, tape.Value) bool) {
		items := v.Items()
		for i := 0; ; i++ {
			if e, ok := items.Next(); !ok || !yield(i, e) {
				return
			}
		}
	}
}

// decodeOnce undoes the JSON text that audit records keep in oldValue and newValue: "\"True\"" is True.
func decodeOnce(v tape.Value) string {
	s := text(v)
	if len(s) < 2 || s[0] != '"' {
		return s
	}
	if inner := s[1 : len(s)-1]; s[len(s)-1] == '"' && !strings.ContainsAny(inner, "\"\\") {
		return inner
	}
	if inner := v.Parsed(); inner.Kind() == tape.String {
		return text(inner)
	}
	return s
}

// list reads a JSON array of strings in a text, else the text itself as the only member; "" and [] are none.
func list(s string) []string {
	s = strings.TrimSpace(s)
	if s == "" {
		return nil
	}
	var doc tape.Doc
	v, err := doc.Parse([]byte(s))
	if err != nil || v.Kind() != tape.Array {
		return []string{s}
	}
	var out []string
	for _, e := range elements(v) {
		if t := text(e); t != "" {
			out = append(out, t)
		}
	}
	return out
}

// NormalOperation folds what differs between spellings of one operation name: blanks around it, the unified audit
// log's final full stop, and the dash in "Update application – Certificates and secrets management ".
func NormalOperation(s string) string {
	if !ASCII(s) {
		s = strings.Map(func(c rune) rune {
			switch c {
			case '\u2010', '\u2011', '\u2012', '\u2013', '\u2014', '\u2212':
				return '-'
			case '\u00a0':
				return ' '
			}
			return c
		}, s)
	}
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(s), "."))
}
