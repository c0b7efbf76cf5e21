package sigma

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The modifiers, by what they say. Of those that compare, a test has one.
var (
	comparing = []string{"contains", "startswith", "endswith"}
	general   = []string{"all", "exists", "expand", "cased", "neq"}
	typed     = []string{"re", "cidr", "fieldref", "lt", "lte", "gt", "gte"}
	flags     = []string{"i", "m", "s"}
	encoding  = []string{"windash", "base64", "base64offset", "wide", "utf16le", "utf16be", "utf16"}
	dateParts = []string{"minute", "hour", "day", "week", "month", "year"}

	modifiers = slices.Concat(comparing, general, typed, flags, encoding, dateParts)
)

// subject is what a test is about, in an error.
func (t *test) subject() string {
	if t.Keywords {
		return "a keyword"
	}
	return "field " + t.Field
}

// readModifiers sets how the test compares. Encodings are applied in the order in which they stand.
func (t *test) readModifiers() error {
	set := func(m string) error {
		if t.how != "" {
			return fmt.Errorf("modifiers %q and %q exclude each other", t.how, m)
		}
		t.how = m
		return nil
	}
	for i, m := range t.Modifiers {
		var err error
		switch {
		case !slices.Contains(modifiers, m):
			err = fmt.Errorf("unknown modifier %q of %s; supported are %s", m, t.subject(), strings.Join(modifiers, ", "))
		case slices.Contains(t.Modifiers[:i], m):
			err = fmt.Errorf("modifier %q of %s stands there twice", m, t.subject())
		case m == "all":
			t.all = true
		case m == "expand":
			t.expand = true
		case m == "cased":
			t.cased = true
		case m == "neq":
			t.neq = true
		case m == "fieldref":
			t.ref = true
		case m == "exists":
			if len(t.Modifiers) > 1 {
				return fmt.Errorf("modifier exists of %s stands alone", t.subject())
			}
			err = set(m)
		case slices.Contains(flags, m):
			if t.how != "re" {
				return fmt.Errorf("modifier %q of %s belongs behind re", m, t.subject())
			}
			t.flags += m
		case slices.Contains(encoding, m):
			if t.how != "" && m != "windash" {
				return fmt.Errorf("modifier %q of %s belongs before %s", m, t.subject(), t.how)
			}
			t.encodings = append(t.encodings, m)
		case slices.Contains(dateParts, m):
			if t.part != "" {
				return fmt.Errorf("modifiers %q and %q exclude each other", t.part, m)
			}
			t.part = m
		default:
			err = set(m)
		}
		if err != nil {
			return err
		}
	}
	return t.combination()
}

// combination refuses modifiers that make no sense together.
func (t *test) combination() error {
	texts := t.how == "" || slices.Contains(comparing, t.how)
	switch {
	case t.Keywords && (t.neq || t.ref || t.part != "" || !texts && t.how != "re"):
		return fmt.Errorf("a test needs a field name before its modifiers; keywords take all, expand, cased, re, %s and %s",
			strings.Join(comparing, ", "), strings.Join(encoding, ", "))
	case t.ref && !texts:
		return fmt.Errorf("modifiers %q and %q exclude each other", "fieldref", t.how)
	case t.ref && (len(t.encodings) > 0 || t.part != ""):
		return fmt.Errorf("modifier fieldref of %s goes with contains, startswith, endswith, cased, all and neq alone", t.subject())
	case len(t.encodings) > 0 && !texts:
		return fmt.Errorf("modifiers %q and %q exclude each other", t.encodings[0], t.how)
	case t.part != "" && (len(t.encodings) > 0 || t.how != "" && !slices.Contains([]string{"lt", "lte", "gt", "gte"}, t.how)):
		return fmt.Errorf("modifier %q of %s goes with lt, lte, gt, gte and neq alone", t.part, t.subject())
	case t.cased && !texts && t.how != "re":
		return fmt.Errorf("modifiers %q and %q exclude each other", "cased", t.how)
	}
	return nil
}

// compareWith adds one value, as the rule has it, to what the field is compared with.
func (t *test) compareWith(value string) error {
	switch {
	case t.how == "exists":
		want, err := strconv.ParseBool(strings.ToLower(value))
		if err != nil || value == "0" || value == "1" || len(value) == 1 {
			return fmt.Errorf("exists takes true or false")
		}
		t.want = want
		return nil
	case t.ref:
		if value == "" {
			return fmt.Errorf("fieldref of %s takes the name of a field", t.subject())
		}
		t.refs = append(t.refs, value)
		return nil
	}
	m, err := t.matchersOf(value)
	if t.all && len(m) > 1 {
		m = []matcher{either(m)}
	}
	t.matchers = append(t.matchers, m...)
	return err
}

func (t *test) matchersOf(value string) ([]matcher, error) {
	switch {
	case t.how == "re":
		m, err := newExpression(value, t.flags)
		return []matcher{m}, err
	case t.how == "cidr":
		m, err := newNetwork(value)
		return []matcher{m}, err
	case t.part != "" || slices.Contains([]string{"lt", "lte", "gt", "gte"}, t.how):
		n, ok := number(strings.TrimSpace(value))
		if !ok {
			return nil, fmt.Errorf("%s of %s takes a number, not %q", t.Modifiers[0], t.subject(), shortened(value))
		}
		return []matcher{bound{t.how, n, t.part}}, nil
	}
	if len(value) > maxText {
		return nil, fmt.Errorf("a value of %s has %d bytes at most", t.subject(), maxText)
	}
	literals, err := encoded(readLiteral(value), t.encodings)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.subject(), err)
	}
	if other := normalised(t.Field, value); other != value && t.how == "" && !t.all && len(t.encodings) == 0 {
		literals = append(literals, readLiteral(other))
	}
	how := t.how
	if t.Keywords && how == "" {
		how = "contains"
	}
	var out []matcher
	for _, l := range literals {
		out = append(out, l.pattern(how, t.cased))
	}
	return out, nil
}
