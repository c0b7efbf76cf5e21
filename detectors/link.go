package detectors

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"cordon/detectors/sigma"
	"cordon/internal/record"
)

// correlation is one of the plan, its rules known by their names.
type correlation struct {
	at    int // in the plan
	rule  *sigma.Rule
	over  *sigma.Correlation
	above []*correlation // that refer to it
	level int            // how many stand one below the other under it
	reach time.Duration  // how far back its windows and those below it go

	needs      []string // fields that correlations above group by or count
	words      []string // that its sentence and those above it ask for
	categories []string // of the records at the bottom of it
	says       string   // what findings say for a reason
	principal  string   // the rule whose actors its findings name; "" is the tenant
}

// link finds the rules that correlations refer to, by name or id, and orders correlations so that each comes after
// those it refers to. It refuses names and ids that stand there twice, rules that are not there, and circles.
func (p *Plan) link(rules []*sigma.Rule) error {
	for _, r := range rules {
		if other, taken := p.byName[r.Name]; taken {
			return fmt.Errorf("%s:%d: rule %s is already defined in %s:%d", r.File, r.Line, r.Name, other.File, other.Line)
		}
		p.byName[r.Name] = r
	}
	ids := map[string]*sigma.Rule{}
	for _, r := range rules {
		id := strings.ToLower(r.ID)
		if id == "" {
			continue
		}
		if other, taken := ids[id]; taken {
			return fmt.Errorf("%s:%d: the id %s of rule %s is already that of rule %s in %s:%d", r.File, r.Line, r.ID, r.Name, other.Name, other.File, other.Line)
		}
		ids[id] = r
		if other, taken := p.byName[r.ID]; taken && other != r {
			return fmt.Errorf("%s:%d: the id %s of rule %s is already the name of a rule in %s:%d", r.File, r.Line, r.ID, r.Name, other.File, other.Line)
		}
	}
	find := func(ref string) *sigma.Rule {
		if r, ok := p.byName[ref]; ok {
			return r
		}
		return ids[strings.ToLower(ref)]
	}
	made := map[string]*correlation{}
	for _, r := range rules {
		if r.Correlation == nil {
			continue
		}
		for _, ref := range r.Correlation.Rules {
			if find(ref) == nil {
				return fmt.Errorf("%s:%d: correlation %s refers to rule %q, which is not there", r.File, r.Line, r.Name, ref)
			}
		}
		over, err := r.Correlation.Named(func(ref string) string {
			if found := find(ref); found != nil {
				return found.Name
			}
			return ref
		})
		if err != nil {
			return fmt.Errorf("%s:%d: %w", r.File, r.Correlation.Line, err)
		}
		for i, name := range over.Rules {
			if slices.Contains(over.Rules[:i], name) {
				return fmt.Errorf("%s:%d: correlation %s refers to rule %s twice, by name and by id", r.File, r.Line, r.Name, name)
			}
			if base := p.byName[name]; over.Silences || base.Correlation == nil && !over.Generate {
				p.base[name] = true
			}
		}
		c := &correlation{rule: r, over: over, says: over.String()}
		if of, each := strings.CutPrefix(r.Custom.Principal, "actor of "); each {
			from := find(of)
			if from == nil || !slices.Contains(over.Rules, from.Name) {
				return fmt.Errorf("%s:%d: principal of correlation %s: %q is no rule of it", r.File, r.Line, r.Name, of)
			}
			c.principal = from.Name
		}
		made[r.Name] = c
		p.correlations = append(p.correlations, c)
	}
	for _, c := range p.correlations {
		for _, name := range c.over.Rules {
			if below := made[name]; below != nil {
				below.above = append(below.above, c)
			}
		}
	}
	levels := map[string]int{}
	for _, c := range p.correlations {
		if err := c.measure(p.byName, made, levels); err != nil {
			return err
		}
	}
	slices.SortStableFunc(p.correlations, func(a, b *correlation) int { return cmp.Compare(a.level, b.level) })
	for i, c := range p.correlations {
		c.at = i
	}
	for _, c := range slices.Backward(p.correlations) { // from the top: what is needed above is needed below
		c.words = wordsOf(c.rule)
		for _, up := range c.above {
			for _, name := range up.over.GroupBy {
				c.needs = append(c.needs, up.over.Field(c.rule.Name, name))
			}
			for _, name := range up.over.Fields {
				c.needs = append(c.needs, up.over.Field(c.rule.Name, name))
			}
			c.needs = append(c.needs, up.needs...)
			c.words = append(c.words, up.words...)
		}
		slices.Sort(c.needs)
		slices.Sort(c.words)
		c.needs, c.words = slices.Compact(c.needs), slices.Compact(c.words)
	}
	return nil
}

// measure tells a correlation's level, categories and reach. It refuses those that stand below themselves.
func (c *correlation) measure(rules map[string]*sigma.Rule, made map[string]*correlation, levels map[string]int) error {
	const open = -1 // on the way down to it
	if l, seen := levels[c.rule.Name]; seen && l != open {
		return nil
	}
	levels[c.rule.Name] = open
	most, reach := 0, time.Duration(0)
	for _, name := range c.over.Rules {
		below := made[name]
		if below == nil {
			c.categories = append(c.categories, rules[name].Categories...)
			continue
		}
		if levels[name] == open {
			return fmt.Errorf("%s:%d: correlations %s and %s refer to each other", c.rule.File, c.rule.Line, c.rule.Name, name)
		}
		if err := below.measure(rules, made, levels); err != nil {
			return err
		}
		most, reach = max(most, below.level), max(reach, below.reach)
		c.categories = append(c.categories, below.categories...)
	}
	slices.Sort(c.categories)
	c.categories = slices.Compact(c.categories)
	c.level, c.reach = most+1, reach+c.over.Timespan
	levels[c.rule.Name] = c.level
	return nil
}

// wordsOf are the {words} of a rule's sentence.
func wordsOf(r *sigma.Rule) (out []string) {
	rest := r.Custom.Says
	for {
		_, after, found := strings.Cut(rest, "{")
		name, next, closed := strings.Cut(after, "}")
		if !found || !closed {
			return out
		}
		out, rest = append(out, name), next
	}
}

// back is how far behind what all partitions have seen an engine may still need what it read: a slot's first window opens two
// timespans before the slot ends, the latest record may come as late as it is expected, and then a finding is settled.
func (p *Plan) back(l record.Lateness) time.Duration {
	return max(readBack, 2*p.Reach()) + p.late(l)
}

// late is how late the latest record that rules look at is expected, and settled.
func (p *Plan) late(l record.Lateness) time.Duration {
	late := time.Duration(0)
	for category := range p.sights {
		late = max(late, l.Of(category))
	}
	return late + settles
}

// Reach is how far back the windows of the rules go, those of correlations below correlations included.
func (p *Plan) Reach() time.Duration {
	reach := time.Duration(0)
	for _, c := range p.correlations {
		reach = max(reach, c.reach)
	}
	return reach
}
