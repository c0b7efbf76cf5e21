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
	"strings"
)

// Item is one record of a file, or a part of the file that holds none.
type Item struct {
	File string
	Line int // counted from 0; in an array, the element
	Raw  []byte
	Err  error // why the line is no record
}

// maxLine bounds one line, and one array or object that is spread over lines.
const maxLine = 64 << 20

// Read calls visit with each record of a file: NDJSON of envelopes or of bare records, a JSON array, an envelope,
// an answer of Graph with `value`; compressed where it ends in .gz; "-" is standard input. An error means that the
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
	first, err := line(r)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	trimmed := bytes.TrimSpace(first)
	if len(trimmed) > 0 && !json.Valid(trimmed) && (trimmed[0] == '[' || trimmed[0] == '{') {
		return whole(file, io.MultiReader(bytes.NewReader(first), r), visit)
	}
	for n := 0; ; n++ {
		if trimmed := bytes.TrimSpace(first); len(trimmed) > 0 {
			if err := expand(file, n, trimmed, visit); err != nil {
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

// whole reads JSON that is spread over lines: an array is streamed, an object read at once. Where the text is
// broken, what could be read before has been visited and the rest is one item with the reason.
func whole(file string, r io.Reader, visit func(Item) error) error {
	dec := json.NewDecoder(r)
	peek, err := dec.Token()
	if err != nil {
		return visit(Item{File: file, Err: fmt.Errorf("parsing JSON: %w", err)})
	}
	if peek == json.Delim('[') {
		for n := 0; dec.More(); n++ {
			var raw json.RawMessage
			if err := dec.Decode(&raw); err != nil {
				return visit(Item{File: file, Line: n, Err: fmt.Errorf("parsing JSON: %w", err)})
			}
			if err := expand(file, n, raw, visit); err != nil {
				return err
			}
		}
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(io.MultiReader(strings.NewReader("{"), dec.Buffered(), r), maxLine+1))
	if err != nil {
		return err
	}
	if len(body) > maxLine {
		return fmt.Errorf("an object is longer than %d bytes", maxLine)
	}
	return expand(file, 0, bytes.TrimSpace(body), visit)
}

// expand visits the records that one JSON value stands for.
func expand(file string, n int, raw []byte, visit func(Item) error) error {
	if raw[0] == '[' {
		return list(file, n, raw, visit)
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
			return list(file, n, inner, visit)
		}
	}
	return visit(Item{File: file, Line: n, Raw: raw})
}

func list(file string, n int, raw []byte, visit func(Item) error) error {
	var members []json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return visit(Item{File: file, Line: n, Raw: raw, Err: fmt.Errorf("parsing JSON: %w", err)})
	}
	for i, m := range members {
		at := n
		if len(members) > 1 && n == 0 {
			at = i // a file that is one list: its elements are its lines
		}
		if err := visit(Item{File: file, Line: at, Raw: m}); err != nil {
			return err
		}
	}
	return nil
}
