package sigma

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// compile makes an expression of a rule's detection: its named searches, joined by its condition.
func compile(n *yaml.Node, lists Lists) (expression, error) {
	if n.Kind != yaml.MappingNode {
		return nil, at(n, "detection is a mapping of searches and a condition")
	}
	c := &condition{searches: map[string]expression{}}
	var text *yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Value == "condition" {
			text = value
			continue
		}
		if _, taken := c.searches[key.Value]; taken {
			return nil, at(key, "search %q is already defined", key.Value)
		}
		search, err := compileSearch(value, lists)
		name(search, key.Value)
		if err != nil {
			return nil, err
		}
		c.searches[key.Value] = search
		c.names = append(c.names, key.Value)
	}
	if text == nil || text.Kind != yaml.ScalarNode {
		return nil, at(n, "detection needs a condition")
	}
	c.tokens = tokens(text.Value)
	e, err := c.or()
	if err == nil && len(c.tokens) > 0 {
		err = fmt.Errorf("%q does not belong here", c.tokens[0])
	}
	if err != nil {
		return nil, at(text, "condition %q: %v", text.Value, err)
	}
	return e, nil
}

func tokens(s string) []string {
	s = strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s)
	return strings.Fields(s)
}

// condition is a recursive-descent parser: or, and, not, then a name, a quantifier or brackets.
type condition struct {
	tokens   []string
	searches map[string]expression
	names    []string
	depth    int
}

func (c *condition) peek() string {
	if len(c.tokens) == 0 {
		return ""
	}
	return strings.ToLower(c.tokens[0])
}

func (c *condition) or() (expression, error) {
	return c.chain("or", (*condition).and, func(e []expression) expression { return anyOf(e) })
}

func (c *condition) and() (expression, error) {
	return c.chain("and", (*condition).not, func(e []expression) expression { return allOf(e) })
}

func (c *condition) chain(word string, next func(*condition) (expression, error), join func([]expression) expression) (expression, error) {
	var parts []expression
	for {
		e, err := next(c)
		if err != nil {
			return nil, err
		}
		parts = append(parts, e)
		if c.peek() != word {
			break
		}
		c.tokens = c.tokens[1:]
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return join(parts), nil
}

func (c *condition) not() (expression, error) {
	if c.peek() == "not" {
		c.tokens = c.tokens[1:]
		if c.depth++; c.depth > 100 {
			return nil, fmt.Errorf("nested too deeply")
		}
		e, err := c.not()
		c.depth--
		return negated{e}, err
	}
	return c.primary()
}

func (c *condition) primary() (expression, error) {
	if len(c.tokens) == 0 {
		return nil, fmt.Errorf("a search is missing at the end")
	}
	word := c.tokens[0]
	c.tokens = c.tokens[1:]
	if word == "(" {
		if c.depth++; c.depth > 100 {
			return nil, fmt.Errorf("nested too deeply")
		}
		e, err := c.or()
		c.depth--
		if err != nil {
			return nil, err
		}
		if c.peek() != ")" {
			return nil, fmt.Errorf("a closing bracket is missing")
		}
		c.tokens = c.tokens[1:]
		return e, nil
	}
	if quantifier := strings.ToLower(word); (quantifier == "1" || quantifier == "any" || quantifier == "all") && c.peek() == "of" {
		return c.quantified(quantifier)
	}
	if e, ok := c.searches[word]; ok {
		return e, nil
	}
	return nil, fmt.Errorf("there is no search named %q", word)
}

func (c *condition) quantified(quantifier string) (expression, error) {
	if len(c.tokens) < 2 {
		return nil, fmt.Errorf("%q of what?", quantifier)
	}
	pattern := c.tokens[1]
	c.tokens = c.tokens[2:]
	var parts []expression
	for _, name := range c.names {
		matched := pattern == "them" && !strings.HasPrefix(name, "_")
		if pattern != "them" {
			matched, _ = path.Match(pattern, name) // a malformed pattern matches nothing and is refused below
		}
		if matched {
			parts = append(parts, c.searches[name])
		}
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("no search is named like %q", pattern)
	}
	if quantifier == "all" {
		return allOf(parts), nil
	}
	return anyOf(parts), nil
}

// compileSearch makes an expression of one search: a mapping means all of its tests, a list of mappings any.
func compileSearch(n *yaml.Node, lists Lists) (expression, error) {
	switch n.Kind {
	case yaml.MappingNode:
		var tests []expression
		for i := 0; i+1 < len(n.Content); i += 2 {
			t, err := compileTest(n.Content[i], n.Content[i+1], lists)
			if err != nil {
				return nil, err
			}
			tests = append(tests, t)
		}
		if len(tests) == 0 {
			return nil, at(n, "a search needs at least one field")
		}
		return allOf(tests), nil
	case yaml.SequenceNode:
		var searches []expression
		for _, member := range n.Content {
			if member.Kind == yaml.ScalarNode {
				k := &test{keywords: true, how: "contains", line: member.Line, values: []string{member.Value}}
				k.patterns = append(k.patterns, newPattern("", member.Value, "contains"))
				searches = append(searches, k)
				continue
			}
			s, err := compileSearch(member, lists)
			if err != nil {
				return nil, err
			}
			searches = append(searches, s)
		}
		if len(searches) == 0 {
			return nil, at(n, "a search needs at least one field")
		}
		return anyOf(searches), nil
	}
	return nil, at(n, "a search is a mapping of fields, or a list of such")
}

// The modifiers that are supported.
var modifiers = []string{"contains", "startswith", "endswith", "all", "exists", "expand"}

func compileTest(key, value *yaml.Node, lists Lists) (expression, error) {
	field, mods, _ := strings.Cut(key.Value, "|")
	if field == "" {
		return nil, at(key, "a test needs a field name before its modifiers")
	}
	t := &test{field: field, line: key.Line}
	if mods != "" {
		t.mods = strings.Split(mods, "|")
	}
	expand := false
	if mods != "" {
		for _, m := range strings.Split(mods, "|") {
			switch {
			case !slices.Contains(modifiers, m):
				return nil, at(key, "unknown modifier %q of field %s; supported are %s", m, field, strings.Join(modifiers, ", "))
			case m == "all":
				t.all = true
			case m == "expand":
				expand = true
			case m == "exists":
				var want bool
				if err := value.Decode(&want); err != nil || value.Kind != yaml.ScalarNode {
					return nil, at(value, "exists takes true or false")
				}
				if mods != "exists" {
					return nil, at(key, "modifier exists of field %s stands alone", field)
				}
				return exists{field, want}, nil
			case t.how != "":
				return nil, at(key, "modifiers %q and %q exclude each other", t.how, m)
			default:
				t.how = m
			}
		}
	}
	literals := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		literals = value.Content
	}
	if len(literals) == 0 {
		return nil, at(value, "field %s needs a value", field)
	}
	for _, l := range literals {
		if l.Kind != yaml.ScalarNode {
			return nil, at(l, "a value of field %s is a text, a number, true, false or null", field)
		}
		switch {
		case l.Tag == "!!null":
			t.null = true
		case expand && strings.HasPrefix(l.Value, "%") && strings.HasSuffix(l.Value, "%"):
			name := strings.Trim(l.Value, "%")
			members, ok := lists[name]
			if !ok {
				t.unset = append(t.unset, name)
			}
			t.values = append(t.values, members...)
			for _, m := range members {
				t.patterns = append(t.patterns, newPattern(field, m, t.how))
			}
		default:
			t.patterns = append(t.patterns, newPattern(field, l.Value, t.how))
			t.values = append(t.values, l.Value)
		}
	}
	return t, nil
}
