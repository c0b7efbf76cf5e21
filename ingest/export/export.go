// Package export reads files of log records as portals, scripts and the API export them, for `cordon detect`,
// `cordon try --input` and a watched directory: it is the source of ingest that needs no hub.
package export

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Item is one record of a file, or a part of the file that holds none.
type Item struct {
	File string
	Line int // counted from 0; in an array, the element; of a CSV row, its first line
	Raw  []byte
	Err  error // why the part is no record
}

// Read calls visit with each record of a file: NDJSON of envelopes or of bare records, a JSON array, an envelope,
// an answer of Graph with `value`, the portals' CSV (see csv.go), unified audit records bare or inside the AuditData
// of Search-UnifiedAuditLog; compressed where it begins like gzip; in UTF-8, or in UTF-16 with a byte order mark;
// "-" is standard input. The same bytes are the same items in the same order, whatever has become of the visitor's
// earlier reading. An error means that the file itself could not be read.
func Read(file string, stdin io.Reader, visit func(Item) error) error {
	if file == "-" {
		return ReadFrom(file, stdin, visit)
	}
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("opening export: %w", err)
	}
	defer f.Close()
	return ReadFrom(file, f, visit)
}

// ReadFrom is Read of what is open already; file is its name, which says of some exports what they hold.
func ReadFrom(file string, in io.Reader, visit func(Item) error) error {
	r, err := plain(in)
	if err == nil {
		err = read(file, r, visit)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	return nil
}

func read(file string, r *bufio.Reader, visit func(Item) error) error {
	if longArray(r) {
		// Lines may follow: NDJSON of arrays. What is left of this one is the first of them, and empty.
		return whole(file, &bounded{r: r}, true, visit, func(rest io.Reader) error {
			return read(file, bufio.NewReaderSize(rest, 1<<16), visit)
		}, nil)
	}
	n := 0
	first, err := line(r)
	for ; err == nil && blank(first); n++ {
		first, err = line(r)
	}
	trimmed := bytes.TrimSpace(first)
	if len(trimmed) == 0 || err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, errTooLong) {
		return ended(err)
	}
	if !json.Valid(trimmed) && (trimmed[0] == '[' || trimmed[0] == '{') && !errors.Is(err, errTooLong) {
		// One value over many lines; or NDJSON whose first lines are broken, which shows where the value does not end.
		return whole(file, &bounded{r: io.MultiReader(bytes.NewReader(first), r)}, trimmed[0] == '[', visit, nil, func(rest io.Reader, broken error) error {
			return byLines(file, n, bufio.NewReaderSize(rest, 1<<16), broken, visit)
		})
	} else if trimmed[0] != '[' && trimmed[0] != '{' {
		if table, tableErr := tableOf(file, trimmed); table != nil || tableErr != nil {
			if tableErr != nil {
				return fmt.Errorf("line %d: %w", n+1, tableErr)
			}
			return table.read(r, n, first, err, visit)
		}
	}
	_, last := r.Peek(1)
	return lines(file, n, n == 0 && last != nil, first, err, r, visit)
}

// lines reads NDJSON from line n on, which is first, and err what reading it said. only says that there is no other.
func lines(file string, n int, only bool, first []byte, err error, r *bufio.Reader, visit func(Item) error) error {
	for ; ; n++ {
		if errors.Is(err, errTooLong) {
			if visitErr := visit(Item{File: file, Line: n, Raw: first, Err: err}); visitErr != nil {
				return visitErr
			}
			err = nil // its end may be the file's, which shows at the next one
		} else if trimmed := bytes.TrimSpace(first); len(trimmed) > 0 {
			if err := expand(file, n, only, trimmed, visit); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if first, err = line(r); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, errTooLong) {
			return err
		}
	}
}

// mostBroken is how many lines may be broken before one shows that they are lines of NDJSON.
const mostBroken = 64

// byLines reads from line n on what begins like a JSON value and is none. It is NDJSON where one of its first lines is an
// object by itself, which no line of a value that is spread over lines is that anybody writes: those are indented, or a comma
// follows. Else it is one item, broken.
func byLines(file string, n int, r *bufio.Reader, broken error, visit func(Item) error) error {
	var before []Item
	keep := func(it Item) error {
		before = append(before, it)
		return nil
	}
	for at, size := n, 0; at < n+mostBroken && size <= maxLine; at++ {
		next, err := line(r)
		if len(next) > 0 && next[0] == '{' && json.Valid(next) {
			for _, it := range before {
				if err := visit(it); err != nil {
					return err
				}
			}
			return lines(file, at, false, next, err, r, visit)
		}
		if size += len(next); err != nil {
			break
		}
		if next = bytes.TrimSpace(next); len(next) > 0 {
			_ = expand(file, at, false, next, keep) // what keep says
		}
	}
	return visit(Item{File: file, Line: n, Err: broken})
}

func blank(line []byte) bool { return len(bytes.TrimSpace(line)) == 0 }

// ended takes the end of the file for no error.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// longArray says that the file is an array whose first line does not end soon: it is read element by element and
// may be longer than any line.
func longArray(r *bufio.Reader) bool {
	begin, _ := r.Peek(r.Size())
	trimmed := bytes.TrimLeft(begin, " \t\r\n")
	return len(begin) == r.Size() && len(trimmed) > 0 && trimmed[0] == '[' && !bytes.ContainsRune(begin, '\n')
}

// bounded refuses to hand out more than maxLine bytes between two resets: one value.
type bounded struct {
	r    io.Reader
	read int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.read > maxLine {
		return 0, fmt.Errorf("a value %w %d bytes", errTooLong, maxLine)
	}
	n, err := b.r.Read(p)
	b.read += n
	return n, err
}

// whole reads JSON that is spread over lines: one array, which is streamed, or objects, one after the other. Where
// the text is broken, what could be read before has been visited and the rest is one item with the reason, but where not
// even the first object could be read: that is for none to say, and what it reads. behind reads what follows an array;
// nothing may where it is nil.
func whole(file string, in *bounded, array bool, visit func(Item) error, behind func(io.Reader) error, none func(rest io.Reader, reason error) error) error {
	dec := json.NewDecoder(in)
	n := 0
	broken := func(err error) error {
		if errors.Is(err, errTooLong) {
			return err
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("the file ends in the middle of it")
		}
		err = fmt.Errorf("parsing JSON: %w", err)
		if n == 0 && !array {
			return none(io.MultiReader(dec.Buffered(), in.r), err)
		}
		return visit(Item{File: file, Line: n, Err: err})
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
		if behind != nil {
			return behind(io.MultiReader(dec.Buffered(), in.r))
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
	return object(file, n, raw, visit)
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
		if err := object(file, at, m, visit); err != nil {
			return err
		}
	}
	return nil
}
