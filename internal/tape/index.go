package tape

import "math/bits"

const (
	// few members are looked through one by one; a table for more of them pays from the second look on.
	few = 8
	// manyMembers is where counting them stops; a document has room for more, and a table's chains for all.
	manyMembers = 1<<16 - 1
)

// Name is a member's name, made ready to be looked for.
type Name struct{ *wanted }

type wanted struct {
	text        string
	first, last uint64 // eight bytes of it; of a shorter one last is all of it
	tag         uint16
}

// NameOf makes a name ready.
func NameOf(text string) Name {
	n := want(text)
	return Name{&n}
}

func want(text string) (n wanted) {
	n.text, n.tag = text, tagOf(text)
	if len(text) < 8 {
		for i := range len(text) {
			n.last |= uint64(text[i]) << (8 * i)
		}
	} else {
		n.first, n.last = load([]byte(text), 0), load([]byte(text), len(text)-8)
	}
	return n
}

// String is the name as it was given.
func (n Name) String() string { return n.text }

// tagOf is a name's hash. Names that are one but for their case in ASCII have the same; others that have the same cost
// a comparison and no more. It looks at the first byte and the last, and at the length: that tells the names of an object apart as well
// as a hash of all of it does.
func tagOf[T string | []byte](s T) uint16 {
	if len(s) == 0 {
		return tag('"', '"', 0)
	}
	return tag(s[0], s[len(s)-1], len(s))
}

// tag is tagOf of a name that begins and ends with these bytes, and of an empty one between its quotes. What is no letter is
// folded too, which does no harm.
func tag(first, last byte, length int) uint16 {
	return uint16(first|0x20)*7 + uint16(last|0x20)*67 + uint16(length)*2
}

// tagOfEscaped is the tag of a name with escapes.
func (d *Doc) tagOfEscaped(s []byte) uint16 {
	from := len(d.arena)
	tag := tagOf(d.unescape(s))
	d.arena = d.arena[:from]
	return tag
}

// index are the tables of the objects that were asked for a member and have more than few. A table is a bucket for
// each of the lowest bits of the tags; a bucket is the chain of its names, the last first, through the nodes.
// Building one takes one step a member however the names were chosen; where they were chosen to fall into one bucket
// a look costs what going through the members one by one does.
type index struct {
	tables []table
	heads  []uint32 // of all tables: a bucket's last name, 0 for none
}

type table struct{ from, mask uint32 }

func (x *index) forget() {
	if cap(x.heads) > keep {
		*x = index{}
	}
	x.tables, x.heads = x.tables[:0], x.heads[:0]
}

// build makes the table of an object.
func (d *Doc) build(object uint32) {
	x, o := &d.index, &d.nodes[object]
	size := 1 << (bits.Len32(uint32(o.tag)*4/3) + 1) // a bucket that is empty says at once that a name is not there
	size = min(size, 1<<16)
	from := len(x.heads)
	if need := from + size; need <= cap(x.heads) {
		x.heads = x.heads[:need]
		clear(x.heads[from:])
	} else {
		x.heads = append(x.heads, make([]uint32, size)...)
	}
	heads := x.heads[from : from+size]
	i, end, flat := d.inside(object)
	for nodes := d.nodes[:end]; i < end; {
		n := &nodes[i]
		head := &heads[int(n.tag)&(len(heads)-1)]
		n.next, *head = *head, i
		if i += 2; !flat {
			i = d.after(i - 1)
		}
	}
	o.marks |= indexed
	o.tag = uint16(len(x.tables)) // fewer objects have so many members than a tag can number
	x.tables = append(x.tables, table{uint32(from), uint32(size - 1)})
}

// Find returns an object's member by name, whatever its case in ASCII; the exact spelling wins, then the first. A name
// that is written with escapes is found by its exact spelling alone.
func (v Value) Find(name string) Value {
	n := want(name)
	return v.FindName(Name{&n})
}

// FindName is Find by a name that was made ready.
func (v Value) FindName(name Name) Value {
	if v.doc == nil {
		return Value{}
	}
	d := v.doc
	o := &d.nodes[v.i]
	if o.kind != Object {
		return Value{}
	}
	if o.marks&indexed == 0 {
		first, end, flat := d.inside(v.i)
		if o = &d.nodes[v.i]; o.tag <= few {
			return d.through(first, end, flat, name)
		}
		d.build(v.i)
	}
	t := d.index.tables[o.tag]
	found, folded := Value{}, Value{}
	for i := d.index.heads[t.from+uint32(name.tag)&t.mask]; i != 0; {
		n := &d.nodes[i]
		if n.tag == name.tag {
			switch d.compare(n, name) {
			case exact:
				found = Value{d, i + 1}
			case alike:
				folded = Value{d, i + 1}
			}
		}
		i = n.next
	}
	if found.doc == nil {
		return folded
	}
	return found
}

// through looks at one member after another.
func (d *Doc) through(i, end uint32, flat bool, name Name) (folded Value) {
	for i < end {
		if n := &d.nodes[i]; n.tag == name.tag {
			switch d.compare(n, name) {
			case exact:
				return Value{d, i + 1}
			case alike:
				if folded.doc == nil {
					folded = Value{d, i + 1}
				}
			}
		}
		if i += 2; !flat {
			i = d.after(i - 1)
		}
	}
	return folded
}

// likeness is how far a member's name is another.
type likeness int

const (
	other likeness = iota
	alike          // but for its case
	exact
)

// compare is called for names of one hash.
func (d *Doc) compare(n *node, name Name) likeness {
	from, to := int(n.start), int(n.end)
	if size := to - from; size == len(name.text) && n.marks&escaped == 0 {
		switch {
		case size < 8 && to >= 8:
			if load(d.src, to-8)>>(64-8*size) == name.last {
				return exact
			}
		case size >= 8 && size <= 16:
			if load(d.src, from) == name.first && load(d.src, to-8) == name.last {
				return exact
			}
		case string(d.src[from:to]) == name.text:
			return exact
		}
	}
	return d.alike(n, name.text)
}

// alike compares what is not the same byte by byte.
func (d *Doc) alike(n *node, text string) likeness {
	key := d.src[n.start:n.end]
	if n.marks&escaped != 0 {
		from := len(d.arena)
		same := string(d.unescape(key)) == text
		d.arena = d.arena[:from] // nobody was given it
		if same {
			return exact
		}
		return other
	}
	if EqualFold(key, text) {
		return alike
	}
	return other
}

// EqualFold compares in ASCII without regard to case.
func EqualFold(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	b = b[:len(a)]
	for i, c := range a {
		if x := c ^ b[i]; x != 0 && (x != 0x20 || c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}
