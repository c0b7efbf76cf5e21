package vocabulary

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// File is the name of the file in a folder of rules that adds values.
const File = "vocabulary.yml"

const maxFile = 1 << 20

//go:embed data
var shipped embed.FS

type document struct {
	Kinds       map[string]kindEntry    `yaml:"kinds"`
	NeverFields map[string][]neverField `yaml:"never-fields"`
	Ordinary    map[string][]string     `yaml:"ordinary"`
}

type kindEntry struct {
	What     string       `yaml:"what"`
	From     string       `yaml:"from"`
	Spelling string       `yaml:"spelling"`
	Source   string       `yaml:"source"`
	Complete *bool        `yaml:"complete"`
	Why      string       `yaml:"why"`
	Form     Form         `yaml:"form"`
	Free     bool         `yaml:"free"`
	Others   []string     `yaml:"others"`
	Values   []string     `yaml:"values"`
	Never    []neverValue `yaml:"never"`
}

type neverValue struct {
	Value string   `yaml:"value"`
	Why   string   `yaml:"why"`
	Real  []string `yaml:"real"`
}

type neverField struct {
	Field string   `yaml:"field"`
	Why   string   `yaml:"why"`
	Real  []string `yaml:"real"`
}

// Standard is the vocabulary that ships.
func Standard() (*Vocabulary, error) {
	data, err := shipped.ReadFile("data/kinds.yml")
	if err != nil {
		return nil, fmt.Errorf("reading the vocabulary: %w", err)
	}
	var doc document
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("kinds.yml: %w", err)
	}
	v := &Vocabulary{kinds: map[string]*Kind{}, neverFields: map[string][]Never{}, ordinary: doc.Ordinary}
	for name, e := range doc.Kinds {
		if e.What == "" || e.Source == "" || e.Why == "" || e.Complete == nil {
			return nil, fmt.Errorf("kinds.yml: kind %s needs what, source, complete and why", name)
		}
		k := &Kind{Name: name, What: e.What, Source: e.Source, Complete: *e.Complete, Why: e.Why, Form: e.Form, Free: e.Free,
			others: e.Others, operation: e.Spelling == "operation", known: map[string]string{}}
		for _, n := range e.Never {
			k.Never = append(k.Never, Never(n))
		}
		if e.From != "" {
			names, err := names(e.From)
			if err != nil {
				return nil, err
			}
			e.Values = append(e.Values, names...)
		}
		k.add(e.Values...)
		v.kinds[name] = k
	}
	for source, list := range doc.NeverFields {
		for _, n := range list {
			v.neverFields[source] = append(v.neverFields[source], Never{Value: n.Field, Why: n.Why, Real: n.Real})
		}
	}
	for name, k := range v.kinds {
		for _, other := range k.others {
			if v.kinds[other] == nil {
				return nil, fmt.Errorf("kinds.yml: kind %s: there is no kind %s", name, other)
			}
		}
	}
	return v, nil
}

// names reads a list of one name a line.
func names(file string) (list []string, err error) {
	data, err := shipped.ReadFile("data/" + file)
	if err != nil {
		return nil, fmt.Errorf("reading the vocabulary: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			list = append(list, line)
		}
	}
	return list, nil
}

func (k *Kind) add(values ...string) {
	for _, value := range values {
		key := k.fold(value)
		if _, there := k.known[key]; there {
			continue
		}
		k.known[key] = value
		k.Values = append(k.Values, value)
		if strings.HasSuffix(value, "*") {
			k.patterns = append(k.patterns, value)
		}
	}
	// What somebody has seen is no longer impossible.
	k.Never = slices.DeleteFunc(k.Never, func(n Never) bool { _, seen := k.known[k.fold(n.Value)]; return seen })
	slices.SortFunc(k.Values, byName)
}

// Load is the vocabulary that ships, with the values that a folder of rules adds.
func Load(rules fs.FS) (*Vocabulary, error) {
	v, err := Standard()
	if err != nil {
		return nil, err
	}
	f, err := rules.Open(File)
	if errors.Is(err, fs.ErrNotExist) {
		return v, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", File, err)
	}
	defer f.Close()
	return v, v.read(File, f)
}

// read adds values, by kind.
func (v *Vocabulary) read(file string, in io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	if len(data) > maxFile {
		return fmt.Errorf("%s: more than %d bytes", file, maxFile)
	}
	var doc yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(data)).Decode(&doc); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: expected kinds, each with a list of values", file, root.Line)
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		k := v.kinds[key.Value]
		if k == nil {
			return fmt.Errorf("%s:%d: unknown kind %q; expected one of %s", file, key.Line, key.Value, strings.Join(v.Kinds(), ", "))
		}
		var list []string
		if err := value.Decode(&list); err != nil {
			return fmt.Errorf("%s:%d: %s is a list of values", file, value.Line, key.Value)
		}
		k.add(list...)
	}
	return nil
}
