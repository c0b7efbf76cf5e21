package detectors

import "strings"

// What findings are made of is taken from larger pieces of memory: many small ones cost more than what is written into
// them. A piece is given back when nothing of it is used any more.

const (
	textPiece = 32 << 10 // bytes
	slabPiece = 64       // things
)

// texts keeps texts, many in one piece.
type texts struct{ piece *strings.Builder }

func (t *texts) keep(s []byte) string {
	if t.piece == nil || t.piece.Cap()-t.piece.Len() < len(s) {
		t.piece = &strings.Builder{}
		t.piece.Grow(max(textPiece, len(s)))
	}
	from := t.piece.Len()
	t.piece.Write(s) // there is room: what was given out stays where it is
	return t.piece.String()[from:]
}

// slab hands out lists.
type slab[T any] struct{ left []T }

func (s *slab[T]) take(n int) []T {
	if n > len(s.left) {
		s.left = make([]T, max(slabPiece, n))
	}
	out := s.left[:n:n]
	s.left = s.left[n:]
	return out
}
