package record

import (
	"strings"

	"cordon/internal/tape"
)

// Reader reads one field of a record. It is made once for a rule's field and called for each record.
type Reader func(*Record) Values

// Fact is the reader of a decoded fact, by the name that rules give it.
func Fact(name string) (Reader, bool) {
	for _, f := range factFields {
		if strings.EqualFold(f.name, name) {
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
	names := strings.Split(path, ".")
	inner := names
	if len(names) > 1 && strings.EqualFold(names[0], "properties") {
		inner = names[1:]
	}
	return func(r *Record) Values {
		var list []string
		gather(r.root, names, &list)
		if len(list) == 0 && len(inner) == len(names) {
			gather(find(r.root, "properties"), names, &list)
		}
		if len(list) == 0 && len(inner) < len(names) {
			gather(r.root, inner, &list)
		}
		return of(list...)
	}
}

// gather is collect for Path.
func gather(v tape.Value, path []string, out *[]string) {
	if len(path) == 0 {
		said(v, out)
		return
	}
	v = unwrap(v)
	switch v.Kind() {
	case tape.Array:
		for _, e := range elements(v) {
			gather(e, path, out)
		}
	case tape.Object:
		gather(find(v, path[0]), path[1:], out)
	}
}

// said is what a value at a path's end counts as.
func said(v tape.Value, out *[]string) {
	inner := v
	switch v.Kind() {
	case tape.Absent, tape.Null:
		return
	case tape.Array, tape.Object:
		*out = append(*out, string(v.JSON()))
	default:
		*out = append(*out, text(v))
		if inner = unwrap(v); inner.Kind() != tape.Array {
			return
		}
	}
	if inner.Kind() == tape.Array {
		for _, e := range elements(inner) {
			if k := e.Kind(); k == tape.String || k == tape.Number || k == tape.True || k == tape.False {
				*out = append(*out, text(e))
			}
		}
	}
}

// Text is the first of the named members that is a plain value and not empty, in the properties, else at the top.
func (r *Record) Text(names ...string) string {
	for _, name := range names {
		if s := text(r.value(name)); s != "" {
			return s
		}
	}
	return ""
}

// Envelope is a plain value at the record's top, whatever its properties say.
func (r *Record) Envelope(name string) string { return text(find(r.root, name)) }

// Says makes a field's values: absent if all of them are empty.
func Says(list ...string) Values { return of(list...) }
