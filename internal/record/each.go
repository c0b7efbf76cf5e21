package record

import (
	"bytes"

	"cordon/internal/tape"
)

// Each calls visit with every text, number, true and false of the record, at any depth, until it returns false. Of
// JSON inside a string it gives the string as it is, then what stands in it. Names of members are none.
func (r *Record) Each(visit func(value string) bool) { each(r.root, visit) }

// Plain are the record's bytes where every value stands in them as it is: they are ASCII, and have no escapes.
func (r *Record) Plain() (text []byte, plain bool) {
	return r.Raw, bytes.IndexByte(r.Raw, '\\') < 0 && r.root.ASCII()
}

func each(v tape.Value, visit func(string) bool) bool {
	return v.Scalars(func(e tape.Value) bool {
		if !visit(text(e)) {
			return false
		}
		inner := unwrap(e)
		return inner.Kind() != tape.Array && inner.Kind() != tape.Object || each(inner, visit)
	})
}
