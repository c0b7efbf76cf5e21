// Package pieces hands out memory from larger pieces: many small ones cost more than what is written into them, and each
// time the garbage collector looks. A piece is given back when nothing of it is used any more, so that what is taken from
// one should be forgotten at about the same time.
package pieces

import "strings"

const (
	ofText   = 8 << 10 // bytes of the first piece; each is twice as large as the one before
	mostText = 128 << 10
	ofThings = 64
)

// Texts keeps texts.
type Texts struct {
	piece *strings.Builder
	size  int
}

// Keep is a text that stays.
func (t *Texts) Keep(s []byte) string {
	if len(s) == 0 {
		return ""
	}
	if t.piece == nil || t.piece.Cap()-t.piece.Len() < len(s) {
		t.piece, t.size = &strings.Builder{}, max(ofText, min(2*t.size, mostText))
		t.piece.Grow(max(t.size, len(s)))
	}
	from := t.piece.Len()
	t.piece.Write(s) // there is room: what was given out stays where it is
	return t.piece.String()[from:]
}

// Of hands out things.
type Of[T any] struct{ left []T }

// Take is a list of so many that are empty. It has no room for more.
func (p *Of[T]) Take(n int) []T {
	if n > len(p.left) {
		p.left = make([]T, max(ofThings, n))
	}
	out := p.left[:n:n]
	p.left = p.left[n:]
	return out
}

// One is one that is empty.
func (p *Of[T]) One() *T { return &p.Take(1)[0] }
