package detectors

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
)

// writer puts texts and numbers behind one another: what is kept of a million records, and what snapshots hold.
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

// What stands before a text that is not written as its length, which is even, and its bytes.
const (
	asGUID = 1 // 16 bytes
	asLike = 3 // and by twos: it is the first, second, … of the likely ones
)

// text writes a text; likely ones are those that it may be equal to, which the reader must name too.
func (w *writer) text(s string, likely ...string) {
	for i, l := range likely {
		if s == l {
			w.number(uint64(asLike + 2*i))
			return
		}
	}
	if id, ok := guid(s); ok {
		w.number(asGUID)
		w.bytes = append(w.bytes, id[:]...)
		return
	}
	w.number(2 * uint64(len(s)))
	w.bytes = append(w.bytes, s...)
}

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

// dashes are where a GUID has them.
var dashes = [...]int{8, 13, 18, 23}

// guid packs a GUID as Microsoft writes it, in small letters.
func guid(s string) (id [16]byte, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, false
	}
	n := 0
	for i := 0; i < 36; i++ {
		if i == dashes[0] || i == dashes[1] || i == dashes[2] || i == dashes[3] {
			continue
		}
		c := s[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		default:
			return id, false
		}
		id[n/2] = id[n/2]<<4 | c
		n++
	}
	return id, true
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

func (r *reader) number() uint64 {
	n, width := uint64(0), 0
	for width < len(r.bytes) && width < binary.MaxVarintLen64 {
		c := r.bytes[width]
		n |= uint64(c&0x7f) << (7 * width)
		if width++; c < 0x80 {
			r.bytes = r.bytes[width:]
			return n
		}
	}
	r.fail()
	return 0
}

func (r *reader) signed() int64 {
	n := r.number()
	return int64(n>>1) ^ -int64(n&1)
}

func (r *reader) flag() bool { return r.number() == 1 }

func (r *reader) take(n uint64) string {
	if n > uint64(len(r.bytes)) {
		r.fail()
		return ""
	}
	s := r.bytes[:n]
	r.bytes = r.bytes[n:]
	return s
}

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
	switch n := r.number(); {
	case n == asGUID:
		id := r.take(16)
		if id == "" {
			return ""
		}
		var out [36]byte
		hex.Encode(out[0:8], []byte(id[0:4]))
		hex.Encode(out[9:13], []byte(id[4:6]))
		hex.Encode(out[14:18], []byte(id[6:8]))
		hex.Encode(out[19:23], []byte(id[8:10]))
		hex.Encode(out[24:36], []byte(id[10:16]))
		for _, at := range dashes {
			out[at] = '-'
		}
		return string(out[:])
	case n%2 == 1:
		if n = (n - asLike) / 2; n >= uint64(len(likely)) {
			r.fail()
			return ""
		}
		return likely[n]
	default:
		return r.take(n / 2)
	}
}

// skip passes over a text.
func (r *reader) skip() {
	switch n := r.number(); {
	case n == asGUID:
		r.take(16)
	case n%2 == 0:
		r.take(n / 2)
	}
}

// key is a text as another one equals it without regard to case: a GUID's 16 bytes, else in small letters. It is ""
// where the text is a likely one.
func (r *reader) key() string {
	switch n := r.number(); {
	case n == asGUID:
		return r.take(16)
	case n%2 == 1:
		return ""
	default:
		text := strings.ToLower(r.take(n / 2))
		if id, ok := guid(text); ok {
			return string(id[:])
		}
		if text != "" {
			text = "=" + text // what somebody chose to be called is no GUID
		}
		return text
	}
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
