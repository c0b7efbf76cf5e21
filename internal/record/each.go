package record

import "cordon/internal/tape"

// Each calls visit with every text, number, true and false of the record, at any depth, until it returns false. Of
// JSON inside a string it gives the string as it is, then what stands in it. Names of members are none.
func (r *Record) Each(visit func(value string) bool) { each(r.root, visit) }

func each(v tape.Value, visit func(string) bool) bool {
	going := true
	switch v.Kind() {
	case tape.Absent, tape.Null:
	case tape.Array:
		v.Elements(func(e tape.Value) bool { going = each(e, visit); return going })
	case tape.Object:
		v.Members(func(_ string, e tape.Value) bool { going = each(e, visit); return going })
	default:
		if going = visit(text(v)); !going {
			return false
		}
		if inner := unwrap(v); inner.Kind() == tape.Array || inner.Kind() == tape.Object {
			return each(inner, visit)
		}
	}
	return going
}
