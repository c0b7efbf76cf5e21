package fields

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"cordon/internal/record"
	"go.yaml.in/yaml/v3"
)

// File is the name of the file in a folder of rules that adds rows.
const File = "fields.yml"

const maxFile = 1 << 20

//go:embed fields.yml
var shipped []byte

// Standard is the table that ships.
func Standard() (*Table, error) { return standard() }

// standard is a constant that takes milliseconds to read: every engine asks for it.
var standard = sync.OnceValues(func() (*Table, error) {
	t := &Table{sources: map[string]source{}}
	if err := t.read(File, bytes.NewReader(shipped), true); err != nil {
		return nil, fmt.Errorf("reading the table of fields: %w", err)
	}
	return t, nil
})

// clone is a table of its own, to add to.
func (t *Table) clone() *Table {
	out := &Table{sources: map[string]source{}}
	for name, s := range t.sources {
		out.sources[name] = source{rows: maps.Clone(s.rows), order: slices.Clone(s.order), documented: maps.Clone(s.documented)}
	}
	return out
}

// Load is the table that ships, with the rows that a folder of rules adds.
func Load(rules fs.FS) (*Table, error) {
	t, err := Standard()
	if err != nil {
		return nil, err
	}
	f, err := rules.Open(File)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", File, err)
	}
	defer f.Close()
	t = t.clone()
	return t, t.read(File, f, false)
}

// With adds the rows of a file to the table that ships.
func With(file string, in io.Reader) (*Table, error) {
	t, err := Standard()
	if err != nil {
		return nil, err
	}
	t = t.clone()
	return t, t.read(file, in, false)
}

// read adds a file's rows. A new log source may come with the shipped file alone: nothing routes to another.
func (t *Table) read(file string, in io.Reader, creates bool) error {
	data, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	if len(data) > maxFile {
		return fmt.Errorf("%s: more than %d bytes", file, maxFile)
	}
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return at(file, root, "expected log sources, each with rows and documented")
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		s, ok := t.sources[key.Value]
		if !ok && !creates {
			return at(file, key, "unknown log source %q; expected one of %s", key.Value, strings.Join(t.Sources(), ", "))
		}
		if !ok {
			s = source{rows: map[string]Row{}, documented: map[string]bool{}}
		}
		if s, err = t.source(file, s, value); err != nil {
			return err
		}
		t.sources[key.Value] = s
	}
	return nil
}

func (t *Table) source(file string, s source, n *yaml.Node) (source, error) {
	if n.Kind != yaml.MappingNode {
		return s, at(file, n, "a log source has rows and documented")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch key.Value {
		case "like":
			like, ok := t.sources[value.Value]
			if !ok {
				return s, at(file, value, "like %q: there is no such log source above", value.Value)
			}
			for _, name := range like.order {
				s.put(like.rows[name])
			}
			for name := range like.documented {
				s.documented[name] = true
			}
		case "rows":
			if value.Kind != yaml.SequenceNode {
				return s, at(file, value, "rows are a list")
			}
			for _, entry := range value.Content {
				row, err := parseRow(file, entry)
				if err != nil {
					return s, err
				}
				s.put(row)
			}
		case "documented":
			var names []string
			if err := value.Decode(&names); err != nil {
				return s, at(file, value, "documented is a list of names")
			}
			for _, name := range names {
				s.documented[strings.ToLower(strings.TrimPrefix(name, "properties."))] = true
			}
		default:
			return s, at(file, key, "unknown key %q; expected one of rows, documented, like", key.Value)
		}
	}
	return s, nil
}

func (s *source) put(row Row) {
	key := strings.ToLower(row.Field)
	if _, taken := s.rows[key]; !taken {
		s.order = append(s.order, key)
	}
	s.rows[key] = row
}

func parseRow(file string, n *yaml.Node) (Row, error) {
	row := Row{File: file, Line: n.Line}
	if n.Kind != yaml.MappingNode {
		return row, at(file, n, "a row has field, path or fact, holds, why")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		into := map[string]*string{"field": &row.Field, "fact": &row.Fact, "holds": &row.Holds, "why": &row.Why}[key.Value]
		switch {
		case key.Value == "path" && value.Kind == yaml.ScalarNode:
			row.Path = []string{value.Value}
		case key.Value == "path":
			if err := value.Decode(&row.Path); err != nil {
				return row, at(file, value, "a path is a name such as a.b, or a list of them")
			}
		case into == nil:
			return row, at(file, key, "unknown key %q; expected one of field, path, fact, holds, why", key.Value)
		case value.Kind != yaml.ScalarNode:
			return row, at(file, value, "%s is a text", key.Value)
		default:
			*into = value.Value
		}
	}
	switch {
	case row.Field == "":
		return row, at(file, n, "a row needs a field")
	case row.Why == "":
		return row, at(file, n, "field %s needs a why", row.Field)
	case (row.Fact == "") == (len(row.Path) == 0):
		return row, at(file, n, "field %s needs either a path or a fact", row.Field)
	case slices.Contains(row.Path, ""):
		return row, at(file, n, "field %s has an empty path", row.Field)
	}
	if row.Fact != "" && translations[strings.ToLower(row.Fact)] == nil {
		if _, ok := record.Fact(row.Fact); !ok {
			return row, at(file, n, "field %s: there is no fact %q; expected one of %s", row.Field, row.Fact, strings.Join(Facts(), ", "))
		}
	}
	return row, nil
}

// Facts are the names that a row's fact may have: the translations, then the decoded facts.
func Facts() (names []string) {
	for name := range translations {
		names = append(names, name)
	}
	slices.Sort(names)
	return append(names, record.FactNames()...)
}

func at(file string, n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", file, n.Line, fmt.Sprintf(format, args...))
}
