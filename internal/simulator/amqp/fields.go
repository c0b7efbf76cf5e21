package amqp

import "fmt"

// fields is the list of a composite's fields while a layout walks over them: it hands
// them out one by one, or collects them. It remembers the first error, so that layouts
// need not check each field.
type fields struct {
	values  []any // still to be read, or written so far
	writing bool
	err     error
}

// next returns the next field to be read; trailing nulls may be left out on the wire.
func (f *fields) next() any {
	if len(f.values) == 0 {
		return nil
	}
	value := f.values[0]
	f.values = f.values[1:]
	return value
}

// skip passes over fields which the simulators do not know.
func (f *fields) skip(n int) {
	for range n {
		if f.writing {
			f.values = append(f.values, nil)
		} else {
			f.next()
		}
	}
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
}

// optional reads or writes a field which may be absent.
func optional[T any](f *fields, field **T) {
	if f.writing {
		if *field == nil {
			f.values = append(f.values, nil)
		} else {
			f.values = append(f.values, **field)
		}
		return
	}
	value := f.next()
	if value == nil {
		return
	}
	typed, ok := value.(T)
	if !ok {
		f.fail("field is a %T, not a %T", value, typed)
		return
	}
	*field = &typed
}

// withDefault reads or writes a field whose absence means fallback.
func withDefault[T any](f *fields, field *T, fallback T) {
	if f.writing {
		f.values = append(f.values, orNull(*field))
		return
	}
	var value *T
	if optional(f, &value); value == nil {
		value = &fallback
	}
	*field = *value
}

// orNull turns values which are absent into null: peers tell an empty delivery tag from
// none, for instance.
func orNull(value any) any {
	switch v := value.(type) {
	case []byte:
		if v == nil {
			return nil
		}
	case Map:
		if v == nil {
			return nil
		}
	}
	return value
}

// mandatory reads or writes a field which must be there.
func mandatory[T any](f *fields, field *T) {
	value := field
	if !f.writing {
		value = nil
	}
	if optional(f, &value); value == nil {
		f.fail("mandatory field is missing")
		return
	}
	*field = *value
}

// nested reads or writes a composite within a composite, which may be absent.
func nested[T any, P interface {
	*T
	Performative
}](f *fields, field **T) {
	if f.writing {
		if *field == nil {
			f.values = append(f.values, nil)
		} else {
			f.values = append(f.values, P(*field))
		}
		return
	}
	var described *Described
	if optional(f, &described); described == nil {
		return
	}
	list, ok := described.Value.([]any)
	if !ok {
		f.fail("composite is a %T, not a list", described.Value)
		return
	}
	composite, inner := P(new(T)), fields{values: list}
	if code := composite.layout(&inner); described.Descriptor != code {
		f.fail("composite has the descriptor %v, not %#02x", described.Descriptor, code)
	} else if inner.err != nil {
		f.fail("%w", inner.err)
	}
	*field = composite
}
