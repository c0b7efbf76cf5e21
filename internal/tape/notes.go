package tape

// spares is how many documents that stood in strings a document keeps for the next, and a quarter of it each of
// those.
const spares = 16

// maxNotes is how many strings can have one; of the others nothing is remembered.
const maxNotes = 1<<16 - 1

// note is what was found out about a string: a reader may ask again for each rule.
type note struct {
	text    []byte // without escapes
	inner   *Doc   // nil where the text is no JSON
	written bool   // text is known
	parsed  bool   // inner is known
}

// inner are the documents that stood in strings: their memory serves again.
type inner struct {
	docs  []*Doc
	used  int
	depth uint8 // how many documents are around this one
}

// noteOf is the note of a string that is no name, nil where there are too many.
func (d *Doc) noteOf(n *node) *note {
	if n.tag == 0 {
		if len(d.notes) == maxNotes {
			return nil
		}
		d.notes = append(d.notes, note{})
		n.tag = uint16(len(d.notes))
	}
	return &d.notes[n.tag-1]
}

func (d *Doc) forgetNotes() {
	if clear(d.notes); cap(d.notes) > keep/8 {
		d.notes = nil
	}
	d.notes = d.notes[:0]
	if d.inner.used == 0 {
		return
	}
	if kept := spares >> (2 * d.inner.depth); len(d.inner.docs) > kept {
		clear(d.inner.docs[kept:])
		d.inner.docs = d.inner.docs[:kept]
	}
	for _, doc := range d.inner.docs[:min(d.inner.used, len(d.inner.docs))] {
		doc.forget()
	}
	d.inner.used = 0
}

// plain is the text of a string with escapes.
func (d *Doc) plain(n *node) []byte {
	if n.marks&name != 0 {
		return d.unescape(d.src[n.start:n.end])
	}
	known := d.noteOf(n)
	if known == nil {
		return d.unescape(d.src[n.start:n.end])
	}
	if !known.written {
		known.text, known.written = d.unescape(d.src[n.start:n.end]), true
	}
	return known.text
}

// Parsed is the document that a string's text is, absent where it is none: logs keep JSON in strings. It holds as long
// as the document around it.
func (v Value) Parsed() Value {
	if v.Kind() != String {
		return Value{}
	}
	d, n := v.doc, &v.doc.nodes[v.i]
	text := d.src[n.start:n.end]
	if n.marks&escaped != 0 {
		text = d.plain(n)
	}
	known := d.noteOf(n)
	if known == nil {
		return new(Doc).whole(text)
	}
	if !known.parsed {
		known.parsed = true
		doc := d.inner.next()
		if doc.whole(text).Exists() {
			known.inner = doc
			d.inner.used++
		} else {
			doc.forget()
		}
	}
	if known.inner == nil {
		return Value{}
	}
	return Value{known.inner, 0}
}

// whole is Parse without the reason of a failure.
func (d *Doc) whole(text []byte) Value {
	v, err := d.Parse(text)
	if err != nil {
		return Value{}
	}
	return v
}

// next is a document to read into. Those beyond what is kept are made for the occasion.
func (in *inner) next() *Doc {
	if in.used < len(in.docs) {
		return in.docs[in.used]
	}
	doc := &Doc{inner: inner{depth: in.depth + 1}}
	in.docs = append(in.docs, doc)
	return doc
}
