package check

import (
	"slices"
	"strings"

	"cordon/detectors/fields"
	"cordon/detectors/sigma"
)

// correlation cannot match where the rules that it rests on cannot, or where their records have not what it groups by or
// counts: all of them, or more than it can do without.
func (c *Checker) correlation(r *sigma.Rule, named func(ref string) string, singles map[string]*sigma.Rule, states map[string]State) Report {
	out := report(r)
	over, err := r.Correlation.Named(named)
	if err != nil {
		return out // the engine refuses it
	}
	bare := map[string]bool{} // rules whose records never have what it asks for
	for _, name := range over.Rules {
		if below := singles[name]; below != nil {
			bare[name] = c.asks(&out, over, below)
		}
	}
	for _, state := range []State{Impossible, Inactive} {
		var lost, why []string
		for _, name := range over.Rules {
			switch {
			case states[name] == state:
				lost, why = append(lost, name), append(why, name+", which is "+string(state))
			case state == Impossible && bare[name]:
				lost, why = append(lost, name), append(why, name+", whose records never have what it groups by or counts")
			}
		}
		left := len(over.Rules) - len(lost)
		if left == 0 || strings.HasPrefix(over.Type, "temporal") && left < over.Range.Least {
			kind := map[State]string{Impossible: NeverMatches, Inactive: Unset}[state]
			out.State = state
			out.Remarks = append(out.Remarks, Remark{Kind: kind, Line: r.Line, Reason: "rests on " + strings.Join(why, ", ")})
			return out
		}
	}
	return out
}

// asks looks at the fields of one rule's records that a correlation groups by or counts, and says whether one of them can
// never be there.
func (c *Checker) asks(out *Report, over *sigma.Correlation, below *sigma.Rule) (never bool) {
	source := fields.Name(below.LogSource().Product, below.LogSource().Service, below.LogSource().Category)
	for _, name := range slices.Concat(over.GroupBy, over.Fields) {
		_, remarks := c.judge(source, sigma.Clause{Field: over.Field(below.Name, name), Line: out.Line})
		for _, m := range remarks {
			if m.Kind == NeverMatches {
				m.Kind, never = Dead, true
			} else if out.State == Fine {
				out.State = Doubtful
			}
			out.Remarks = once(out.Remarks, m)
		}
	}
	return never
}
