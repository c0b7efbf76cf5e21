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

// Opens says that the value is a string that begins as a JSON object or array does.
func (v Value) Opens() bool {
	if v.doc == nil {
		return false
	}
	n := &v.doc.nodes[v.i]
	return n.kind == String && n.start < n.end && v.doc.src[n.start]|0x20 == '{'
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
	case n.marks&escaped != 0:
		return alias(v.doc.plain(n))
	}
	return alias(v.doc.src[n.start:n.end])
}

// Literal is JSON as a text. It holds as long as Text does.
func (v Value) Literal() string { return alias(v.JSON()) }

// ASCII says that no byte of the value's document is beyond ASCII. Where the document is followed by something else it
// may say no for a byte of that.
func (v Value) ASCII() bool {
	if v.doc == nil {
		return false
	}
	if v.doc.unseen {
		v.doc.high, v.doc.unseen = seen(v.doc.src), false
	}
	return v.doc.high&highs == 0
}

// Elements calls visit with an array's elements, until it returns false.
func (v Value) Elements(visit func(Value) bool) {
	if v.Kind() != Array {
		return
	}
	for items := v.Items(); ; {
		if e, ok := items.Next(); !ok || !visit(e) {
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
	for i, end, _ := d.inside(v.i); i < end; i = d.after(i + 1) {
		if !visit(Value{d, i}.Text(), Value{d, i + 1}) {
			return
		}
	}
}

// after is the node behind a value and what stands in it.
func (d *Doc) after(i uint32) uint32 {
	if n := &d.nodes[i]; n.kind >= Array && n.marks&apart == 0 {
		return n.next
	}
	return i + 1
}

// Bytes counts those of the value's scalars, at any depth; names and nulls are none.
func (v Value) Bytes() int {
	if v.doc == nil {
		return 0
	}
	o := &v.doc.nodes[v.i]
	if o.marks&apart != 0 {
		n := 0
		v.Scalars(func(s Value) bool { n += len(s.Raw()); return true })
		return n
	}
	n := uint32(0)
	all := v.doc.nodes[v.i:v.doc.after(v.i)]
	for i := range all {
		at := &all[i]
		n += (at.end - at.start) & counts[(at.kind|Kind(at.marks&name)<<2)&15]
	}
	return int(n)
}

// counts has all bits set for the kinds of scalars that say something; a name's kind has one more.
var counts = [16]uint32{True: 1<<32 - 1, False: 1<<32 - 1, Number: 1<<32 - 1, String: 1<<32 - 1}

// Items are an array's elements, else the value itself as the only one; of a value that is absent, none.
func (v Value) Items() Items {
	if v.doc == nil {
		return Items{}
	}
	if v.doc.nodes[v.i].kind == Array {
		first, end, _ := v.doc.inside(v.i)
		return Items{v.doc, first, end}
	}
	return Items{v.doc, v.i, v.i + 1}
}

// Items are values that are still to come.
type Items struct {
	doc    *Doc
	i, end uint32
}

// Next is the next of them; ok is false when there is none left.
func (t *Items) Next() (v Value, ok bool) {
	if t.i >= t.end {
		return Value{}, false
	}
	v = Value{t.doc, t.i}
	t.i = t.doc.after(t.i)
	return v, true
}

// Scalars calls visit with the value's texts, numbers, trues and falses at any depth, in their order, until it returns
// false, and says whether it never did; names are none.
func (v Value) Scalars(visit func(Value) bool) bool {
	d := v.doc
	switch v.Kind() {
	case Absent, Null:
	case Array:
		for i, end, _ := d.inside(v.i); i < end; i = d.after(i) {
			if !(Value{d, i}).Scalars(visit) {
				return false
			}
		}
	case Object:
		for i, end, _ := d.inside(v.i); i < end; i = d.after(i + 1) {
			if !(Value{d, i + 1}).Scalars(visit) {
				return false
			}
		}
	default:
		return visit(v)
	}
	return true
}
