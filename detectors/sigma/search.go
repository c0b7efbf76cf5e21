package sigma

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"cordon/internal/record"
	"go.yaml.in/yaml/v3"
)

// detection gathers what the searches of one rule are made of.
type detection struct {
	lists   Lists
	search  string // being read
	clauses []*test
	fields  []string
	unset   []string // placeholders that no list has
}

// compileSearch makes an expression of one search: a mapping means all of its tests, a list any of its members, of
// which texts are keywords.
func (d *detection) compileSearch(n *yaml.Node) (expression, error) {
	switch n.Kind {
	case yaml.MappingNode:
		var tests []expression
		for i := 0; i+1 < len(n.Content); i += 2 {
			for j := 0; j < i; j += 2 {
				if n.Content[j].Value == n.Content[i].Value {
					return nil, at(n.Content[i], "%s is already tested in line %d", n.Content[i].Value, n.Content[j].Line)
				}
			}
			t, err := d.compileTest(n.Content[i], n.Content[i+1])
			if err != nil {
				return nil, err
			}
			tests = append(tests, t)
		}
		if len(tests) == 0 {
			return nil, at(n, "a search needs at least one field")
		}
		if len(tests) == 1 {
			return tests[0], nil
		}
		return allOf(tests), nil
	case yaml.SequenceNode:
		var searches []expression
		words := &yaml.Node{Kind: yaml.SequenceNode, Line: n.Line}
		for _, m := range n.Content {
			switch m.Kind {
			case yaml.ScalarNode:
				words.Content = append(words.Content, m)
			case yaml.MappingNode:
				s, err := d.compileSearch(m)
				if err != nil {
					return nil, err
				}
				searches = append(searches, s)
			default:
				return nil, at(m, "a member of a search is a mapping of fields or a keyword")
			}
		}
		if len(words.Content) > 0 {
			t, err := d.compileTest(&yaml.Node{Kind: yaml.ScalarNode, Line: words.Content[0].Line}, words)
			if err != nil {
				return nil, err
			}
			searches = append(searches, t)
		}
		if len(searches) == 0 {
			return nil, at(n, "a search needs at least one field")
		}
		if len(searches) == 1 {
			return searches[0], nil
		}
		return anyOf(searches), nil
	case yaml.ScalarNode:
		if n.Tag != "!!null" {
			return d.compileTest(&yaml.Node{Kind: yaml.ScalarNode, Line: n.Line}, n)
		}
	}
	return nil, at(n, "a search is a mapping of fields, a list of such, or a list of keywords")
}

// compileTest makes one test of a field, or of the whole record where key names none.
func (d *detection) compileTest(key, value *yaml.Node) (expression, error) {
	field, mods, modified := strings.Cut(key.Value, "|")
	if modified && mods == "" {
		return nil, at(key, "a modifier is missing behind %q", clipped(key.Value))
	}
	t := &test{Clause: Clause{Search: d.search, Field: field, Line: key.Line, Keywords: field == ""}}
	if mods != "" {
		t.Modifiers = strings.Split(mods, "|")
	}
	if err := t.readModifiers(); err != nil {
		return nil, at(key, "%v", err)
	}
	literals := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		literals = value.Content
	}
	if len(literals) == 0 {
		return nil, at(value, "%s needs a value", t.subject())
	}
	for _, l := range literals {
		if l.Kind != yaml.ScalarNode {
			return nil, at(l, "a value of %s is a text, a number, true, false or null", t.subject())
		}
		if l.Tag == "!!null" {
			if t.Keywords || t.how != "" || t.part != "" {
				return nil, at(l, "null of %s takes no modifier that compares", t.subject())
			}
			t.Null = true
			continue
		}
		t.Values = append(t.Values, l.Value)
		if err := d.literal(t, l); err != nil {
			return nil, err
		}
	}
	if t.how == "exists" && len(literals) != 1 {
		return nil, at(value, "exists takes true or false")
	}
	if !t.Keywords {
		t.at = d.field(field)
	}
	for _, name := range t.refs {
		t.refsAt = append(t.refsAt, d.field(name))
	}
	t.nothing = t.takesNothing()
	t.gather()
	t.describe()
	if d.clauses = append(d.clauses, t); len(d.clauses) > maxClauses {
		return nil, at(key, "a rule has %d tests at most", maxClauses)
	}
	return t, nil
}

// field is the place of a name among the rule's fields; case does not matter.
func (d *detection) field(name string) int {
	for i, have := range d.fields {
		if strings.EqualFold(have, name) {
			return i
		}
	}
	d.fields = append(d.fields, name)
	return len(d.fields) - 1
}

// literal adds what one value of the rule is compared by.
func (d *detection) literal(t *test, l *yaml.Node) error {
	values := []string{l.Value}
	if t.expand {
		var unset []string
		var err error
		if values, unset, err = d.lists.expand(l.Value); err != nil {
			return at(l, "%v", err)
		}
		t.Unset = t.Unset || len(unset) > 0
		for _, name := range unset {
			if !slices.Contains(d.unset, name) {
				d.unset = append(d.unset, name)
			}
		}
	}
	t.Compared = append(t.Compared, values...)
	for _, v := range values {
		if err := t.compareWith(v); err != nil {
			return at(l, "%v", err)
		}
	}
	if len(t.matchers)+len(t.refs) > maxValues {
		return at(l, "%s has more than %d values", t.subject(), maxValues)
	}
	return nil
}

// maxValues bounds what one test compares with, placeholders expanded.
const maxValues = 100_000

// expand puts the members of lists in place of the %names% in a value, each with each; `\%` is a percent sign, and so is one
// that no name without blanks follows. Names that no list has are returned, and then there are no values.
func (lists Lists) expand(value string) (values, unset []string, err error) {
	values = []string{""}
	appendAll := func(s string) {
		for i := range values {
			values[i] += s
		}
	}
	for value != "" {
		i := strings.IndexByte(value, '%')
		if i < 0 {
			appendAll(value)
			break
		}
		if i > 0 && value[i-1] == '\\' {
			appendAll(value[:i-1] + "%")
			value = value[i+1:]
			continue
		}
		end := strings.IndexByte(value[i+1:], '%')
		if end <= 0 || strings.ContainsFunc(value[i+1:i+1+end], unicode.IsSpace) {
			appendAll(value[:i+1])
			value = value[i+1:]
			continue
		}
		name := value[i+1 : i+1+end]
		appendAll(value[:i])
		value = value[i+end+2:]
		members, ok := lists[name]
		if !ok {
			unset = append(unset, name)
			continue
		}
		if len(values)*len(members) > maxValues {
			return nil, nil, fmt.Errorf("its placeholders make more than %d values", maxValues)
		}
		var product []string
		for _, v := range values {
			for _, m := range members {
				product = append(product, v+m)
			}
		}
		values = product
	}
	if len(unset) > 0 {
		return nil, unset, nil
	}
	return values, nil, nil
}

// operations are the names under which rules ask for an operation.
var operations = []string{"operationName", "properties.operationName", "Operation", "OperationNameValue", "activityDisplayName", "properties.activityDisplayName",
	"activity", "activityType", "ActivityDetails", "message", "properties.message", "eventName"}

// normalised is another spelling of a literal that is a whole value: the names of operations have several.
func normalised(field, literal string) string {
	for _, name := range operations {
		if strings.EqualFold(field, name) {
			return record.NormalOperation(literal)
		}
	}
	return literal
}
