package export

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of a compressed file: log records shrink to a tenth or a twentieth, a bomb to a thousandth. Tests lower them.
var (
	maxExpansion = int64(250)
	freeOfBound  = int64(64 << 20)
)

// plain is the text of an export: unpacked where it begins like gzip, in UTF-8 whatever its byte order mark says.
func plain(in io.Reader) (*bufio.Reader, error) {
	r := bufio.NewReaderSize(in, 1<<16)
	if magic, _ := r.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		packed := &counted{r: r}
		z, err := gzip.NewReader(packed)
		if err != nil {
			return nil, err
		}
		r = bufio.NewReaderSize(&expanded{z: z, packed: packed}, 1<<16)
	}
	bom, _ := r.Peek(3)
	switch {
	case bytes.Equal(bom, []byte("\xef\xbb\xbf")):
		_, _ = r.Discard(3) // it was there a moment ago
	case bytes.HasPrefix(bom, []byte("\xff\xfe")): // as Windows PowerShell writes
		_, _ = r.Discard(2)
		return bufio.NewReaderSize(&wide{r: r, order: binary.LittleEndian}, 1<<16), nil
	case bytes.HasPrefix(bom, []byte("\xfe\xff")):
		_, _ = r.Discard(2)
		return bufio.NewReaderSize(&wide{r: r, order: binary.BigEndian}, 1<<16), nil
	}
	return r, nil
}

type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// expanded refuses what grows beyond all measure while it is unpacked.
type expanded struct {
	z      io.Reader
	packed *counted
	n      int64
}

func (e *expanded) Read(p []byte) (int, error) {
	if e.n > freeOfBound && e.n/maxExpansion > e.packed.n {
		return 0, fmt.Errorf("unpacking: it grows to more than %d times its size", maxExpansion)
	}
	n, err := e.z.Read(p)
	e.n += int64(n)
	return n, err
}

// wide reads UTF-16 as UTF-8. What is no character becomes U+FFFD.
type wide struct {
	r     *bufio.Reader
	order binary.ByteOrder
	out   []byte
}

func (w *wide) Read(p []byte) (int, error) {
	for len(w.out) == 0 {
		if err := w.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, w.out)
	w.out = w.out[n:]
	return n, nil
}

// fill decodes what the reader has in its buffer.
func (w *wide) fill() error {
	w.out = w.out[:0]
	for len(w.out) < 4096 {
		unit, err := w.unit()
		if err != nil {
			if len(w.out) > 0 {
				return nil // the error comes again
			}
			return err
		}
		r := rune(unit)
		if utf16.IsSurrogate(r) {
			low, err := w.r.Peek(2)
			if err == nil {
				if r = utf16.DecodeRune(r, rune(w.order.Uint16(low))); r != utf8.RuneError {
					_, _ = w.r.Discard(2) // it was there a moment ago
				}
			} else {
				r = utf8.RuneError
			}
		}
		w.out = utf8.AppendRune(w.out, r)
	}
	return nil
}

func (w *wide) unit() (uint16, error) {
	b, err := w.r.Peek(2)
	if len(b) == 2 {
		_, _ = w.r.Discard(2) // it was there a moment ago
		return w.order.Uint16(b), nil
	}
	if len(b) == 1 && errors.Is(err, io.EOF) {
		return 0, errors.New("the UTF-16 text ends in the middle of a character")
	}
	return 0, err
}

// Bounds of lines. Tests lower maxLine.
var (
	// maxLine bounds one line, and one element of an array or one object that is spread over lines.
	maxLine = 64 << 20
	// maxSkipped bounds what is passed over of a line that is too long, in lines of full length.
	maxSkipped = 16
)

// keptOfLong is how much of a line that is too long is handed on with the reason.
const keptOfLong = 4 << 10

var errTooLong = errors.New("is longer than")

// line reads one line with its end. Of a line that is too long it returns the beginning and errTooLong, and stands
// behind it; without an end in sight the error is another.
func line(r *bufio.Reader) ([]byte, error) {
	var out []byte
	skipped := 0
	for {
		part, err := r.ReadSlice('\n')
		switch {
		case skipped > 0:
			skipped += len(part)
		case len(out)+len(part) > maxLine:
			skipped = len(out) + len(part)
			out = append(out[:min(len(out), keptOfLong)], part[:min(len(part), keptOfLong)]...)
			out = slices.Clone(out[:min(len(out), keptOfLong)])
		default:
			out = append(out, part...)
		}
		if skipped/maxSkipped > maxLine {
			return nil, fmt.Errorf("a line without end: it is longer than %d bytes", maxLine)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if skipped > 0 && (err == nil || errors.Is(err, io.EOF)) {
			return out, fmt.Errorf("a line %w %d bytes", errTooLong, maxLine)
		}
		return out, err
	}
}
