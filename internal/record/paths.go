package record

import (
	"slices"
	"strings"

	"cordon/internal/tape"
)

// Reader reads one field of a record: it adds the field's values to out, and returns that. It is made once for a rule's
// field and called for each record; where out has room for the values it allocates nothing but what has to be written
// anew, such as a name in other words. The texts hold as long as the record.
type Reader func(r *Record, out []string) []string

// Values are the field's values in a list of their own.
func (read Reader) Values(r *Record) Values { return of(read(r, nil)) }

// Fact is the reader of a decoded fact, by the name that rules give it.
func Fact(name string) (Reader, bool) {
	for i := range factFields {
		if f := &factFields[i]; strings.EqualFold(f.name, name) {
			return f.read, true
		}
	}
	return nil, false
}

// FactNames are the names of the decoded facts.
func FactNames() (names []string) {
	for _, f := range factFields {
		names = append(names, f.name)
	}
	return names
}

// Path is the reader of a path into the JSON, with or without its leading `properties.`, whatever the case of its
// names; arrays on the way count with every element. It differs from Field in what stands at the path's end: rules of
// others search lists and objects as text, so those count as their JSON, a list of plain values with its elements too,
// and JSON inside a string as the text that the log holds.
func Path(path string) Reader {
	names := namesOf(path)
	if len(names) > 1 && leading(names) {
		names = names[1:]
		return func(r *Record, out []string) []string {
			from := len(out)
			if out = gather(r.properties, names, out); len(out) > from {
				return out
			}
			return gather(r.root, names, out)
		}
	}
	return func(r *Record, out []string) []string {
		from := len(out)
		if out = gather(r.root, names, out); len(out) > from {
			return out
		}
		return gather(r.properties, names, out)
	}
}

// namesOf takes a path apart.
func namesOf(path string) []tape.Name {
	parts := strings.Split(path, ".")
	names := make([]tape.Name, len(parts))
	for i, part := range parts {
		names[i] = tape.NameOf(part)
	}
	return names
}

// leading says that a path begins with `properties`.
func leading(path []tape.Name) bool { return strings.EqualFold(path[0].String(), nProperties.String()) }

// gather is collect for Path.
func gather(v tape.Value, path []tape.Name, out []string) []string {
	for ; len(path) > 0; path = path[1:] {
		v = unwrap(v)
		if v.Kind() == tape.Array {
			for items := v.Items(); ; {
				e, ok := items.Next()
				if !ok {
					return out
				}
				out = gather(e, path, out)
			}
		}
		if v = v.FindName(path[0]); !v.Exists() {
			return out
		}
	}
	return said(v, out)
}

// Bears says whether a record has a member, or several, at the end of a path, be they empty or null.
func Bears(path string) func(r *Record) bool {
	names := namesOf(path)
	if len(names) > 1 && leading(names) {
		names = names[1:]
	}
	return func(r *Record) bool { return stands(r.properties, names) || stands(r.root, names) }
}

func stands(v tape.Value, path []tape.Name) bool {
	for ; len(path) > 0; path = path[1:] {
		v = unwrap(v)
		if v.Kind() == tape.Array {
			for items := v.Items(); ; {
				e, ok := items.Next()
				if !ok {
					return false
				}
				if stands(e, path) {
					return true
				}
			}
		}
		if v = v.FindName(path[0]); !v.Exists() {
			return false
		}
	}
	return true
}

// said adds what a value at a path's end counts as.
func said(v tape.Value, out []string) []string {
	inner := v
	switch v.Kind() {
	case tape.Absent, tape.Null:
		return out
	case tape.Array, tape.Object:
		out = append(out, v.Literal())
	default:
		out = append(out, text(v))
		inner = unwrap(v)
	}
	if inner.Kind() != tape.Array {
		return out
	}
	for items := inner.Items(); ; {
		e, ok := items.Next()
		if !ok {
			return out
		}
		if k := e.Kind(); k == tape.String || k == tape.Number || k == tape.True || k == tape.False {
			out = append(out, text(e))
		}
	}
}

// Text is a member that is a plain value, in the properties, else at the top; "" where there is none.
func (r *Record) Text(name tape.Name) string { return text(r.value(name)) }

// Envelope is a plain value at the record's top, whatever its properties say.
func (r *Record) Envelope(name tape.Name) string { return text(r.root.FindName(name)) }

// Says makes a field's values: absent if all of them are empty.
func Says(list ...string) Values { return of(slices.Clone(list)) }
