package sigma

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What a rule may make us do.
const (
	maxDepth   = 100    // of brackets and nots
	maxTokens  = 10_000 // of a condition
	maxClauses = 10_000 // of a rule
)

// compile reads a rule's detection: its named searches, joined by its condition. Several conditions are alternatives.
func compile(r *Rule, n *yaml.Node, lists Lists) error {
	if n.Kind != yaml.MappingNode {
		return at(n, "detection is a mapping of searches and a condition")
	}
	d := &detection{lists: lists}
	searches, names := map[string]expression{}, []string(nil)
	var text *yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Value == "condition" {
			if text != nil {
				return at(key, "a detection has one condition, or a list of them")
			}
			text = value
			continue
		}
		if key.Value == "timeframe" && value.Kind == yaml.ScalarNode {
			return at(key, "timeframe is of Sigma before version 2: a count within a time is a correlation")
		}
		if _, taken := searches[key.Value]; taken {
			return at(key, "search %q is already defined", key.Value)
		}
		d.search = key.Value
		search, err := d.compileSearch(value)
		if err != nil {
			return err
		}
		searches[key.Value] = named{key.Value, search}
		names = append(names, key.Value)
	}
	if text == nil {
		return at(n, "detection needs a condition")
	}
	conditions := []*yaml.Node{text}
	if text.Kind == yaml.SequenceNode {
		conditions = text.Content
	}
	var alternatives []expression
	var written []string
	for _, one := range conditions {
		if one.Kind != yaml.ScalarNode || one.Tag == "!!null" {
			return at(one, "detection needs a condition: a text, or a list of texts")
		}
		e, err := parseCondition(one.Value, searches, names)
		if err != nil {
			return at(one, "condition %q: %v", shortened(one.Value), err)
		}
		alternatives = append(alternatives, e)
		written = append(written, one.Value)
	}
	switch len(alternatives) {
	case 0:
		return at(text, "detection needs a condition")
	case 1:
		r.match = alternatives[0]
	default:
		r.match = anyOf(alternatives)
	}
	r.quick = ordered(r.match)
	slices.SortStableFunc(d.clauses, func(a, b *test) int { return cmp.Compare(a.Line, b.Line) })
	r.condition, r.clauses, r.unset = strings.Join(written, " or "), d.clauses, d.unset
	r.fields = d.fields
	return nil
}

func shortened(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

func parseCondition(text string, searches map[string]expression, names []string) (expression, error) {
	c := &condition{tokens: tokens(text), searches: searches, names: names}
	if len(c.tokens) > maxTokens {
		return nil, fmt.Errorf("longer than %d words", maxTokens)
	}
	e, err := c.or()
	if err == nil && len(c.tokens) > 0 {
		err = fmt.Errorf("%q does not belong here", c.tokens[0])
	}
	return e, err
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
		if c.depth++; c.depth > maxDepth {
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
		if c.depth++; c.depth > maxDepth {
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
	them := strings.EqualFold(pattern, "them")
	var parts []expression
	for _, name := range c.names {
		hidden := strings.HasPrefix(name, "_") && !strings.HasPrefix(pattern, "_")
		if !hidden && (them || starred(pattern, name)) {
			parts = append(parts, c.searches[name])
		}
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("no search is named like %q", pattern)
	}
	text := quantifier + " of " + pattern
	if quantifier == "all" {
		return named{text, allOf(parts)}, nil
	}
	return named{text, anyOf(parts)}, nil
}

// starred compares a name with a pattern in which a star is any number of characters.
func starred(pattern, name string) bool {
	pieces := strings.Split(pattern, "*")
	last := len(pieces) - 1
	if last == 0 {
		return pattern == name
	}
	rest, ok := strings.CutPrefix(name, pieces[0])
	if !ok {
		return false
	}
	for _, piece := range pieces[1:last] {
		i := strings.Index(rest, piece)
		if i < 0 {
			return false
		}
		rest = rest[i+len(piece):]
	}
	return strings.HasSuffix(rest, pieces[last])
}
