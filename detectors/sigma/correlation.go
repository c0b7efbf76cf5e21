package sigma

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Correlation is a condition over several records in a window of event time.
type Correlation struct {
	Type     string // one of correlationTypes
	Rules    []string
	GroupBy  []string
	Aliases  map[string]map[string]string // field by alias and rule
	Line     int                          // of its aliases, where it has some
	Timespan time.Duration
	Fields   []string // whose distinct values, together, value_count counts; whose numbers value_sum and value_avg take
	Range    Range
	Bounds   []Bound // in place of Range where it is about sums: all of them
	Generate bool    // the rules it refers to raise findings of their own as well
	Silences bool    // `generate: false` was written: correlations that it refers to raise none either
}

// Range is what a count must be: from Least to Most, and not Except.
type Range struct {
	Least, Most int
	Except      []int
}

// Holds says whether a count is in the range.
func (r Range) Holds(n int) bool {
	return n >= r.Least && n <= r.Most && !slices.Contains(r.Except, n)
}

// any says whether a count of at least least is in the range.
func (r Range) any(least int) bool {
	first := max(least, r.Least)
	for n := first; n <= r.Most && n-first <= len(r.Except); n++ {
		if r.Holds(n) {
			return true
		}
	}
	return false
}

// Waits says that more records may yet take the condition away: such windows are looked at when the watermark has
// passed them.
func (c *Correlation) Waits() bool {
	if c.sums() {
		return c.Type == "value_avg" || slices.ContainsFunc(c.Bounds, func(b Bound) bool { return b.How != "gt" && b.How != "gte" })
	}
	return c.Range.Most != math.MaxInt || len(c.Range.Except) > 0
}

// Field is the field of a rule's records that a name of group-by, or of what is counted, stands for.
func (c *Correlation) Field(rule, name string) string {
	if field, ok := c.Aliases[name][rule]; ok {
		return field
	}
	return name
}

// Named is the correlation with its rules by the names that a function knows them under, wherever it refers to them by id. It
// demands that aliases are of these rules, and that an alias of group-by says for every rule which field it is.
func (c *Correlation) Named(name func(string) string) (*Correlation, error) {
	out := *c
	out.Rules, out.Aliases = nil, map[string]map[string]string{}
	for _, r := range c.Rules {
		out.Rules = append(out.Rules, name(r))
	}
	for alias, fields := range c.Aliases {
		of := map[string]string{}
		for rule, field := range fields {
			if !slices.Contains(out.Rules, name(rule)) {
				return nil, fmt.Errorf("alias %s names %q, which is no rule of this correlation", alias, clipped(rule))
			}
			if other := of[name(rule)]; other != "" && other != field {
				return nil, fmt.Errorf("alias %s says twice, by name and by id, which field of rule %s it is", alias, name(rule))
			}
			of[name(rule)] = field
		}
		out.Aliases[alias] = of
	}
	for _, group := range c.GroupBy {
		for _, rule := range out.Rules {
			if fields, aliased := out.Aliases[group]; aliased && fields[rule] == "" {
				return nil, fmt.Errorf("alias %s says nothing of rule %s", group, rule)
			}
		}
	}
	return &out, nil
}

type correlation struct {
	Type      string                       `yaml:"type"`
	Rules     texts                        `yaml:"rules"`
	GroupBy   texts                        `yaml:"group-by"`
	Aliases   map[string]map[string]string `yaml:"aliases"`
	Timespan  string                       `yaml:"timespan"`
	Condition yaml.Node                    `yaml:"condition"`
	Generate  *bool                        `yaml:"generate"`
}

// correlationTypes are those of Sigma 2.1 but for value_percentile, of which the specification does not say what is
// compared with what.
var correlationTypes = []string{"event_count", "value_count", "value_sum", "value_avg", "temporal", "temporal_ordered"}

func parseCorrelation(n *yaml.Node, c *correlation) (*Correlation, error) {
	if err := known(n, "type", "rules", "group-by", "aliases", "timespan", "condition", "generate"); err != nil {
		return nil, err
	}
	out := &Correlation{Type: c.Type, Rules: c.Rules, GroupBy: c.GroupBy, Aliases: c.Aliases}
	if c.Generate != nil {
		out.Generate, out.Silences = *c.Generate, !*c.Generate
	}
	if len(c.Rules) == 0 {
		return nil, at(n, "a correlation needs rules")
	}
	for i, r := range c.Rules {
		if slices.Contains(c.Rules[:i], r) {
			return nil, at(member(n, "rules"), "rule %q is listed twice", r)
		}
	}
	if member(n, "timespan") == nil {
		return nil, at(n, "a correlation needs a timespan, such as 20m")
	}
	span, err := timespan(c.Timespan)
	if err != nil {
		return nil, at(member(n, "timespan"), "%v", err)
	}
	out.Timespan = span
	if !slices.Contains(correlationTypes, c.Type) {
		return nil, at(n, "correlation type %q is none of %s", c.Type, strings.Join(correlationTypes, ", "))
	}
	temporal := strings.HasPrefix(c.Type, "temporal")
	if temporal && len(c.Rules) < 2 {
		return nil, at(n, "%s needs two rules or more", c.Type)
	}
	if aliases := member(n, "aliases"); aliases != nil {
		out.Line = aliases.Line
	}
	for alias, fields := range c.Aliases {
		for rule, field := range fields {
			if field == "" {
				return nil, at(member(n, "aliases"), "alias %s needs a field of rule %s", alias, rule)
			}
		}
	}
	if c.Condition.Kind == 0 && temporal {
		out.Range = Range{Least: len(c.Rules), Most: math.MaxInt}
		return out, nil
	}
	if c.Condition.Kind == 0 {
		return nil, at(n, "%s needs a condition, such as gte: 5", c.Type)
	}
	if out.sums() {
		return out, out.parseBounds(&c.Condition)
	}
	return out, out.parseCondition(&c.Condition)
}

// parseCondition reads operators, of which several make a range, and value_count's field or fields.
func (c *Correlation) parseCondition(n *yaml.Node) error {
	keys := []string{"gt", "gte", "lt", "lte", "eq", "neq"}
	if c.Type == "value_count" {
		keys = append(keys, "field")
	}
	if err := known(n, keys...); err != nil {
		return err
	}
	c.Range.Most = math.MaxInt
	operators := 0
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Value == "field" {
			if err := c.parseFields(value); err != nil {
				return err
			}
			continue
		}
		var count int
		if err := value.Decode(&count); err != nil || value.Tag != "!!int" {
			return at(value, "%s takes a whole number, not %q", key.Value, clipped(value.Value))
		}
		if count < 0 || count >= math.MaxInt32 {
			return at(value, "a count of %d never is", count)
		}
		operators++
		switch key.Value {
		case "gt":
			c.Range.Least = max(c.Range.Least, count+1)
		case "gte":
			c.Range.Least = max(c.Range.Least, count)
		case "lt":
			c.Range.Most = min(c.Range.Most, count-1)
		case "lte":
			c.Range.Most = min(c.Range.Most, count)
		case "eq":
			c.Range.Least, c.Range.Most = max(c.Range.Least, count), min(c.Range.Most, count)
		case "neq":
			c.Range.Except = append(c.Range.Except, count)
		}
	}
	if c.Type == "value_count" && (len(c.Fields) == 0 || slices.Contains(c.Fields, "")) {
		return at(n, "value_count needs a condition with field and one of gt, gte, lt, lte, eq, neq")
	}
	if operators == 0 {
		return at(n, "a condition needs one of gt, gte, lt, lte, eq, neq")
	}
	least := 1 // a window is closed by a record, so it counts one at least
	if c.Type == "value_count" {
		least = 0
	}
	if !c.Range.any(least) {
		return at(n, "no count meets the condition: a window is closed by a record, so it holds one at least")
	}
	if strings.HasPrefix(c.Type, "temporal") && c.Range.Least > len(c.Rules) {
		return at(n, "the condition asks for more rules than the correlation has")
	}
	return nil
}

func (c *Correlation) parseFields(n *yaml.Node) (err error) {
	if n.Kind == yaml.SequenceNode {
		err = n.Decode(&c.Fields)
	} else {
		c.Fields = []string{""}
		err = n.Decode(&c.Fields[0])
	}
	if err != nil {
		return mistyped(n, err)
	}
	return nil
}

// parseBounds reads the field and the operators of a condition about sums.
func (c *Correlation) parseBounds(n *yaml.Node) error {
	if err := known(n, "gt", "gte", "lt", "lte", "eq", "neq", "field"); err != nil {
		return err
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Value == "field" {
			if err := c.parseFields(value); err != nil {
				return err
			}
			continue
		}
		than, ok := amount(value.Value)
		if !ok || value.Kind != yaml.ScalarNode {
			return at(value, "%s takes a number of %d digits at most, not %q", key.Value, maxDigits, clipped(value.Value))
		}
		c.Bounds = append(c.Bounds, Bound{key.Value, than})
	}
	if len(c.Fields) != 1 || c.Fields[0] == "" || len(c.Bounds) == 0 {
		return at(n, "%s needs a condition with one field and one of gt, gte, lt, lte, eq, neq", c.Type)
	}
	if !meetable(c.Bounds) {
		return at(n, "no number meets the condition")
	}
	return nil
}

// maxTimespan is as far back as a window may reach.
const maxTimespan = 366 * 24 * time.Hour

// timespan reads a number and a unit: s, m, h and d are the specification's; w, M and y are read as pySigma does.
func timespan(s string) (time.Duration, error) {
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour,
		'M': 2629746 * time.Second, 'y': 31556952 * time.Second}
	if len(s) < 2 || units[s[len(s)-1]] == 0 {
		return 0, fmt.Errorf("timespan %q is not a number with s, m, h, d, w, M or y", s)
	}
	n, err := strconv.Atoi(s[:len(s)-1])
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("timespan %q is not a number with s, m, h, d, w, M or y", s)
	}
	unit := units[s[len(s)-1]]
	if n > int(maxTimespan/unit) {
		return 0, fmt.Errorf("timespan %q is longer than a year", s)
	}
	return time.Duration(n) * unit, nil
}
