package sigma

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cordon/detectors/spelling"
	"go.yaml.in/yaml/v3"
)

// placed is an error at a line of the file.
type placed struct {
	line int
	err  error
}

func (p *placed) Error() string { return fmt.Sprintf("%d: %v", p.line, p.err) }
func (p *placed) Unwrap() error { return p.err }

func at(n *yaml.Node, format string, args ...any) error {
	return &placed{line: n.Line, err: fmt.Errorf(format, args...)}
}

// mistyped is a value of the wrong type, at the line that the YAML parser names in its text alone.
func mistyped(n *yaml.Node, err error) error {
	var wrong *yaml.TypeError
	if errors.As(err, &wrong) && len(wrong.Errors) > 0 {
		line, what, _ := strings.Cut(strings.TrimPrefix(wrong.Errors[0], "line "), ": ")
		if number, err := strconv.Atoi(line); err == nil {
			return &placed{line: number, err: errors.New(what)}
		}
	}
	return at(n, "%v", err)
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

// broken is what the YAML parser could not read, at the line where it noticed.
func broken(err error) error {
	line := 1
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		if n, convErr := strconv.Atoi(m[1]); convErr == nil {
			line = n
		}
	}
	return &placed{line: line, err: fmt.Errorf("a rule is YAML: %w", err)}
}

// member returns a mapping's value by key, nil where there is none.
func member(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// known refuses members that nobody reads, for a misspelt key would be silently nothing, and those that stand there twice.
func known(n *yaml.Node, keys ...string) error {
	if n.Kind != yaml.MappingNode {
		return at(n, "expected a mapping with %s", strings.Join(keys, ", "))
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !slices.Contains(keys, n.Content[i].Value) {
			return at(n.Content[i], "unknown key %q; expected one of %s", n.Content[i].Value, strings.Join(keys, ", "))
		}
		for j := 0; j < i; j += 2 {
			if n.Content[j].Value == n.Content[i].Value {
				return at(n.Content[i], "%s stands in line %d already", n.Content[i].Value, n.Content[j].Line)
			}
		}
	}
	return nil
}

// own refuses members that look like a slip of one that is read. All others are somebody's own, as Sigma allows in a document.
func own(n *yaml.Node, keys ...string) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if slices.Contains(keys, key.Value) {
			continue
		}
		if meant := spelling.Slip(key.Value, keys); meant != "" {
			return at(key, "unknown key %q; expected %s", clipped(key.Value), meant)
		}
	}
	return nil
}
