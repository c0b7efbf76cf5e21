// Package export reads files of log records as portals, scripts and the API export them, for `cordon detect` and
// `cordon try --input`: it is the source of ingest that needs no hub.
package export

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Item is one record of a file, or a part of the file that holds none.
type Item struct {
	File string
	Line int // counted from 0; in an array, the element
	Raw  []byte
	Err  error // why the line is no record
}

// maxLine bounds one line, and one element of an array or one object that is spread over lines. Tests lower it.
var maxLine = 64 << 20

// Read calls visit with each record of a file: NDJSON of envelopes or of bare records, a JSON array, an envelope,
// an answer of Graph with `value`; compressed where it begins like gzip; "-" is standard input. An error means that the
// file itself could not be read.
func Read(file string, stdin io.Reader, visit func(Item) error) error {
	var in io.Reader = stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return fmt.Errorf("opening export: %w", err)
		}
		defer f.Close()
		in = f
	}
	r := bufio.NewReaderSize(in, 1<<16)
	if magic, _ := r.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(r)
		if err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
		defer z.Close()
		r = bufio.NewReaderSize(z, 1<<16)
	}
	if err := read(file, r, visit); err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	return nil
}

func read(file string, r *bufio.Reader, visit func(Item) error) error {
	if bom, _ := r.Peek(3); bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		_, _ = r.Discard(3) // it was there a moment ago
	}
	n := 0
	first, err := line(r)
	for ; err == nil && len(bytes.TrimSpace(first)) == 0; n++ {
		first, err = line(r)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	trimmed := bytes.TrimSpace(first)
	if len(trimmed) == 0 {
		return nil
	}
	if !json.Valid(trimmed) && (trimmed[0] == '[' || trimmed[0] == '{') {
		// One value over many lines; or NDJSON whose first line is broken, which the second one shows.
		second, more := line(r)
		if more != nil && !errors.Is(more, io.EOF) {
			return more
		}
		if next := bytes.TrimSpace(second); trimmed[0] != '{' || len(next) == 0 || next[0] != '{' || !json.Valid(next) {
			return whole(file, &bounded{r: io.MultiReader(bytes.NewReader(first), bytes.NewReader(second), r)}, trimmed[0] == '[', visit)
		}
		if err := expand(file, n, false, trimmed, visit); err != nil {
			return err
		}
		first, err = second, more
		n++
	}
	_, ended := r.Peek(1)
	for only := n == 0 && ended != nil; ; n++ {
		if trimmed := bytes.TrimSpace(first); len(trimmed) > 0 {
			if err := expand(file, n, only, trimmed, visit); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if first, err = line(r); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
}

func line(r *bufio.Reader) ([]byte, error) {
	var out []byte
	for {
		part, err := r.ReadSlice('\n')
		out = append(out, part...)
		if len(out) > maxLine {
			return nil, fmt.Errorf("a line is longer than %d bytes", maxLine)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return out, err
		}
	}
}

// bounded refuses to hand out more than maxLine bytes between two resets: one value.
type bounded struct {
	r    io.Reader
	read int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.read > maxLine {
		return 0, fmt.Errorf("%w %d bytes", errTooLong, maxLine)
	}
	n, err := b.r.Read(p)
	b.read += n
	return n, err
}

var errTooLong = errors.New("a value is longer than")

// whole reads JSON that is spread over lines: one array, which is streamed, or objects, one after the other. Where
// the text is broken, what could be read before has been visited and the rest is one item with the reason.
func whole(file string, in *bounded, array bool, visit func(Item) error) error {
	dec := json.NewDecoder(in)
	n := 0
	broken := func(err error) error {
		if errors.Is(err, errTooLong) {
			return err
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("the file ends in the middle of it")
		}
		return visit(Item{File: file, Line: n, Err: fmt.Errorf("parsing JSON: %w", err)})
	}
	if array {
		if _, err := dec.Token(); err != nil {
			return broken(err)
		}
	}
	for ; dec.More(); n++ {
		in.read = 0
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return broken(err)
		}
		only := !array && n == 0 && !dec.More()
		if err := expand(file, n, only, raw, visit); err != nil {
			return err
		}
	}
	if array {
		if _, err := dec.Token(); err != nil {
			return broken(err)
		}
	}
	switch _, err := dec.Token(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return broken(err)
	}
	return broken(errors.New("there is more behind the array"))
}

// expand visits the records that one JSON value stands for. Where it is the file's only one, its elements count as
// the file's lines.
func expand(file string, n int, only bool, raw []byte, visit func(Item) error) error {
	if raw[0] == '[' {
		return list(file, n, only, raw, visit)
	}
	if raw[0] != '{' {
		return visit(Item{File: file, Line: n, Raw: raw, Err: errors.New("a record is a JSON object")})
	}
	var holder struct {
		Records json.RawMessage `json:"records"`
		Value   json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(raw, &holder); err != nil && !json.Valid(raw) {
		return visit(Item{File: file, Line: n, Raw: raw, Err: fmt.Errorf("parsing JSON: %w", err)})
	}
	for _, inner := range []json.RawMessage{holder.Records, holder.Value} {
		if len(inner) > 0 && inner[0] == '[' {
			return list(file, n, only, inner, visit)
		}
	}
	return visit(Item{File: file, Line: n, Raw: raw})
}

func list(file string, n int, only bool, raw []byte, visit func(Item) error) error {
	var members []json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return visit(Item{File: file, Line: n, Raw: raw, Err: fmt.Errorf("parsing JSON: %w", err)})
	}
	for i, m := range members {
		at := n
		if only {
			at = i
		}
		if err := visit(Item{File: file, Line: at, Raw: m}); err != nil {
			return err
		}
	}
	return nil
}
