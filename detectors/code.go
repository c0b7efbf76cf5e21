package detectors

import (
	"encoding/binary"
	"errors"

	"cordon/detectors/packed"
)

// writer packs texts and numbers behind one another.
type writer struct {
	bytes []byte
	names map[string]uint64 // of texts that come again and again
}

func (w *writer) number(n uint64) { w.bytes = binary.AppendUvarint(w.bytes, n) }
func (w *writer) signed(n int64)  { w.bytes = binary.AppendVarint(w.bytes, n) }

func (w *writer) flag(b bool) {
	if b {
		w.number(1)
	} else {
		w.number(0)
	}
}

// text writes a text; likely ones are those that it may be equal to, which the reader must name too.
func (w *writer) text(s string, likely ...string) { w.bytes = packed.Text(w.bytes, s, likely...) }

func (w *writer) texts(all []string) {
	w.number(uint64(len(all)))
	for _, s := range all {
		w.text(s)
	}
}

// name writes a text that will come again.
func (w *writer) name(s string) {
	if at, ok := w.names[s]; ok {
		w.number(at + 1)
		return
	}
	if w.names == nil {
		w.names = map[string]uint64{}
	}
	w.names[s] = uint64(len(w.names))
	w.number(0)
	w.text(s)
}

// reader reads what a writer wrote. Once something is wrong it gives out nothing more, and err says so.
type reader struct {
	bytes string
	names []string
	err   error
}

var errCut = errors.New("the state ends too early")

func (r *reader) fail() {
	if r.err == nil {
		r.err = errCut
	}
	r.bytes = ""
}

// then takes note of what follows, where something could be read.
func (r *reader) then(rest string, ok bool) {
	if r.bytes = rest; !ok {
		r.fail()
	}
}

func (r *reader) number() uint64 {
	n, rest, ok := packed.CutNumber(r.bytes)
	r.then(rest, ok)
	return n
}

func (r *reader) signed() int64 {
	n := r.number()
	return int64(n>>1) ^ -int64(n&1)
}

func (r *reader) flag() bool { return r.number() == 1 }

// count is how many things follow, each of which takes one byte at least.
func (r *reader) count() int {
	n := r.number()
	if n > uint64(len(r.bytes)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) text(likely ...string) string {
	s, rest, ok := packed.CutText(r.bytes, likely...)
	r.then(rest, ok)
	return s
}

// skip passes over a text.
func (r *reader) skip() { r.then(packed.Skip(r.bytes)) }

// key is a text as another one equals it without regard to case; "" where the text is empty, or a likely one.
func (r *reader) key() string {
	key, rest, ok := packed.CutKey(r.bytes)
	r.then(rest, ok)
	return key
}

func (r *reader) texts() []string {
	n := r.count()
	if n == 0 {
		return nil
	}
	out := make([]string, 0, n)
	for range n {
		out = append(out, r.text())
	}
	return out
}

func (r *reader) name() string {
	n := r.number()
	switch {
	case n == 0:
		s := r.text()
		r.names = append(r.names, s)
		return s
	case n > uint64(len(r.names)):
		r.fail()
		return ""
	}
	return r.names[n-1]
}
