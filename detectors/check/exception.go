package check

import (
	"fmt"
	"slices"
	"strings"

	"cordon/detectors/sigma"
)

// exceptions says what is wrong with those of a rule, in the files where they stand: one that suppresses nothing was written
// against something that is no value, and one that suppresses all has switched the rule off.
func (c *Checker) exceptions(source string, r *sigma.Rule) (remarks []Remark, silenced bool) {
	for _, f := range r.Exceptions {
		say := func(m Remark) {
			m.File, m.Reason = f.File, "exception "+f.Name+": "+m.Reason
			if m.Line == 0 {
				m.Line = f.Line
			}
			remarks = once(remarks, m)
		}
		if unset := f.Placeholders(); len(unset) > 0 {
			slices.Sort(unset)
			say(Remark{Kind: Unset, Value: strings.Join(slices.Compact(unset), ", "), Reason: "no list of this name is set in lists.yml: it suppresses nothing"})
			continue
		}
		condition := f.Possible(func(clause sigma.Clause) sigma.Truth {
			truth, _ := c.judge(source, clause)
			return truth
		})
		if condition == sigma.False {
			silenced = true
			say(Remark{Kind: Silenced, Value: f.Condition(), Reason: "its condition, which is joined to the rule's by and, can never hold: it suppresses all that the rule finds"})
		}
		if f.Any { // it is for other rules too, whose records say other things
			continue
		}
		for _, clause := range f.Clauses() {
			_, said := c.judge(source, clause)
			for _, m := range said {
				if m.Kind == NeverMatches {
					m.Kind = Dead
				}
				say(m)
			}
		}
		if condition == sigma.True {
			say(Remark{Kind: Idle, Value: f.Condition(), Reason: fmt.Sprintf("its condition holds for every record of %s: it suppresses nothing", source)})
		}
	}
	return remarks, silenced
}
