package entra

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// filter says whether an entity passes.
type filter func(object) (bool, error)

const (
	maxFilter = 4 << 10
	maxDepth  = 20
)

var filterToken = regexp.MustCompile(`^\s*('(?:[^']|'')*'|[(),]|[^\s(),']+)`)

// filterParser reads the part of OData that clients use here: comparisons, in, startswith, and, or, not, parentheses.
type filterParser struct {
	tokens []string
	depth  int
}

func parseFilter(text string) (filter, error) {
	if len(text) > maxFilter {
		return nil, badFilter("it is longer than 4 KiB")
	}
	p := &filterParser{}
	for rest := strings.TrimSpace(text); rest != ""; rest = strings.TrimSpace(rest) {
		m := filterToken.FindStringSubmatch(rest)
		if m == nil {
			return nil, badFilter("syntax error at '" + rest + "'")
		}
		p.tokens = append(p.tokens, m[1])
		rest = rest[len(m[0]):]
	}
	f, err := p.or()
	if err != nil {
		return nil, err
	}
	if len(p.tokens) > 0 {
		return nil, badFilter("syntax error at '" + p.tokens[0] + "'")
	}
	return f, nil
}

func badFilter(why string) error {
	return Refused{400, "BadRequest", "Invalid filter clause: " + why + "."}
}

func (p *filterParser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	token := p.tokens[0]
	p.tokens = p.tokens[1:]
	return token
}

func (p *filterParser) accept(word string) bool {
	if len(p.tokens) == 0 || !strings.EqualFold(p.tokens[0], word) {
		return false
	}
	p.tokens = p.tokens[1:]
	return true
}

func (p *filterParser) or() (filter, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, badFilter("it is nested too deeply")
	}
	defer func() { p.depth-- }()
	left, err := p.and()
	for err == nil && p.accept("or") {
		var right filter
		right, err = p.and()
		left = either(left, right)
	}
	return left, err
}

func (p *filterParser) and() (filter, error) {
	left, err := p.not()
	for err == nil && p.accept("and") {
		var right filter
		right, err = p.not()
		left = both(left, right)
	}
	return left, err
}

func either(a, b filter) filter {
	return func(o object) (bool, error) {
		if ok, err := a(o); ok || err != nil {
			return ok, err
		}
		return b(o)
	}
}

func both(a, b filter) filter {
	return func(o object) (bool, error) {
		if ok, err := a(o); !ok || err != nil {
			return ok, err
		}
		return b(o)
	}
}

func (p *filterParser) not() (filter, error) {
	negate := p.accept("not")
	f, err := p.primary()
	if err != nil || !negate {
		return f, err
	}
	return func(o object) (bool, error) { ok, err := f(o); return !ok, err }, nil
}

func (p *filterParser) primary() (filter, error) {
	if p.accept("(") {
		f, err := p.or()
		if err == nil && !p.accept(")") {
			err = badFilter("a parenthesis is not closed")
		}
		return f, err
	}
	name := p.next()
	if strings.EqualFold(name, "startswith") && p.accept("(") {
		return p.startsWith()
	}
	operator := strings.ToLower(p.next())
	if operator == "in" {
		return p.in(name)
	}
	literal := p.next()
	if name == "" || literal == "" {
		return nil, badFilter("it ends early")
	}
	test, ok := map[string]func(int) bool{
		"eq": func(c int) bool { return c == 0 }, "ne": func(c int) bool { return c != 0 },
		"lt": func(c int) bool { return c < 0 }, "le": func(c int) bool { return c <= 0 },
		"gt": func(c int) bool { return c > 0 }, "ge": func(c int) bool { return c >= 0 },
	}[operator]
	if !ok {
		return nil, badFilter("'" + operator + "' is no operator that is supported")
	}
	return func(o object) (bool, error) {
		v, err := property(o, name)
		return err == nil && test(compare(v, literal)), err
	}, nil
}

func (p *filterParser) startsWith() (filter, error) {
	name, comma, literal, end := p.next(), p.next(), p.next(), p.next()
	if comma != "," || end != ")" {
		return nil, badFilter("startswith takes a property and a text")
	}
	prefix := strings.ToLower(unquote(literal))
	return func(o object) (bool, error) {
		v, err := property(o, name)
		text, _ := v.(string)
		return err == nil && strings.HasPrefix(strings.ToLower(text), prefix), err
	}, nil
}

func (p *filterParser) in(name string) (filter, error) {
	if !p.accept("(") {
		return nil, badFilter("in takes a list in parentheses")
	}
	var list []string
	for {
		list = append(list, p.next())
		if p.accept(")") {
			break
		}
		if !p.accept(",") {
			return nil, badFilter("a list is not closed")
		}
	}
	return func(o object) (bool, error) {
		v, err := property(o, name)
		for _, literal := range list {
			if err == nil && compare(v, literal) == 0 {
				return true, nil
			}
		}
		return false, err
	}, nil
}

// property follows a path such as customer/tenantId. A name that the entity does not have is an error, as in Graph.
func property(o object, path string) (any, error) {
	name, rest, deeper := strings.Cut(path, "/")
	v, ok := o[name]
	if !ok {
		return nil, badFilter("could not find a property named '" + name + "'")
	}
	if !deeper {
		return v, nil
	}
	inner, ok := v.(object)
	if !ok {
		return nil, badFilter("'" + name + "' has no properties")
	}
	return property(inner, rest)
}

func unquote(literal string) string {
	if len(literal) >= 2 && literal[0] == '\'' {
		return strings.ReplaceAll(literal[1:len(literal)-1], "''", "'")
	}
	return literal
}

// compare orders a value and a literal: by time where both are times, by case-folded text otherwise. Null equals
// null and is below everything.
func compare(v any, literal string) int {
	if v == nil || literal == "null" {
		switch {
		case v == nil && literal == "null":
			return 0
		case v == nil:
			return -1
		}
		return 1
	}
	text := unquote(literal)
	var mine string
	switch v := v.(type) {
	case string:
		mine = v
	case bool:
		mine = strconv.FormatBool(v)
	case int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return 1
		}
		return cmp.Compare(v, n)
	default:
		return 1
	}
	a, errA := time.Parse(time.RFC3339, mine)
	b, errB := time.Parse(time.RFC3339, text)
	if errA == nil && errB == nil {
		return a.Compare(b)
	}
	return strings.Compare(strings.ToLower(mine), strings.ToLower(text))
}
