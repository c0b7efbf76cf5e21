package tape

// Value is one value of a document. The zero Value is absent, and so is whatever it is asked for.
type Value struct {
	doc *Doc
	i   uint32
}

// Kind tells what the value is.
func (v Value) Kind() Kind {
	if v.doc == nil {
		return Absent
	}
	return v.doc.nodes[v.i].kind
}

// Exists says that there is a value, be it null.
func (v Value) Exists() bool { return v.doc != nil }

// Raw are the value's bytes as they stand in the document; a string's without its quotes.
func (v Value) Raw() []byte {
	if v.doc == nil {
		return nil
	}
	n := &v.doc.nodes[v.i]
	return v.doc.src[n.start:n.end]
}

// JSON are the value's bytes as they stand in the document.
func (v Value) JSON() []byte {
	if v.doc == nil {
		return nil
	}
	n := &v.doc.nodes[v.i]
	if n.kind == String {
		return v.doc.src[n.start-1 : n.end+1]
	}
	return v.doc.src[n.start:n.end]
}

// Text is a scalar as text, "" for null, arrays and objects. It holds until the document is read into again.
func (v Value) Text() string {
	if v.doc == nil {
		return ""
	}
	n := &v.doc.nodes[v.i]
	switch {
	case n.kind < True || n.kind > String:
		return ""
	case n.escaped:
		return v.doc.unescape(v.doc.src[n.start:n.end])
	}
	return alias(v.doc.src[n.start:n.end])
}

// Find returns an object's member by name, whatever its case in ASCII; the exact spelling wins, then the first.
func (v Value) Find(name string) Value {
	if v.Kind() != Object {
		return Value{}
	}
	d := v.doc
	var folded Value
	for i, end := v.i+1, d.nodes[v.i].next; i < end; i = d.nodes[i+1].next {
		n := &d.nodes[i]
		if int(n.end-n.start) != len(name) || n.escaped {
			if !n.escaped || d.unescape(d.src[n.start:n.end]) != name {
				continue
			}
			return Value{d, i + 1}
		}
		key := d.src[n.start:n.end]
		if string(key) == name {
			return Value{d, i + 1}
		}
		if folded.doc == nil && EqualFold(key, name) {
			folded = Value{d, i + 1}
		}
	}
	return folded
}

// EqualFold compares in ASCII without regard to case.
func EqualFold(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if x := c ^ b[i]; x != 0 && (x != 0x20 || c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// Elements calls visit with an array's elements, until it returns false.
func (v Value) Elements(visit func(Value) bool) {
	if v.Kind() != Array {
		return
	}
	d := v.doc
	for i, end := v.i+1, d.nodes[v.i].next; i < end; i = d.nodes[i].next {
		if !visit(Value{d, i}) {
			return
		}
	}
}

// Members calls visit with an object's members in order, until it returns false.
func (v Value) Members(visit func(name string, member Value) bool) {
	if v.Kind() != Object {
		return
	}
	d := v.doc
	for i, end := v.i+1, d.nodes[v.i].next; i < end; i = d.nodes[i+1].next {
		if !visit(Value{d, i}.Text(), Value{d, i + 1}) {
			return
		}
	}
}

// Bytes counts those of the value's scalars, at any depth; names and nulls are none.
func (v Value) Bytes() int {
	if v.doc == nil {
		return 0
	}
	d, n := v.doc, 0
	for i, end := v.i, d.nodes[v.i].next; i < end; i++ {
		if at := &d.nodes[i]; at.kind >= True && at.kind <= String && !at.name {
			n += int(at.end - at.start)
		}
	}
	return n
}
