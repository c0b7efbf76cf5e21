package detectors

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cordon/detectors/sigma"
	"cordon/detectors/spelling"
	"cordon/internal/finding"
)

// WithModes gives rules other modes than their files do: off, audit or on, by name. What names no rule is an error of
// NewPlan.
func WithModes(modes map[string]string) Option { return func(p *Plan) { p.asked = modes } }

// Untuned has every rule speak, whatever its mode, and no exception hold: for tests of the rules themselves.
func Untuned() Option { return func(p *Plan) { p.untuned = true } }

// Unmuted has rules that are off be looked at as well, for what explains them.
func Unmuted() Option { return func(p *Plan) { p.unmuted = true } }

// tuning is how far the rules of a plan may speak.
type tuning struct {
	asked   map[string]string // as the configuration has it
	untuned bool
	unmuted bool
	modes   map[string]string // by rule
}

// ModesOf are the modes of rules by their names, with what the configuration asks for instead. It refuses names that
// no rule has, and words that are no modes.
func ModesOf(rules []*sigma.Rule, asked map[string]string) (map[string]string, error) {
	modes := map[string]string{}
	for _, r := range rules {
		if r.Filter == nil {
			modes[r.Name] = r.Custom.Mode
		}
	}
	names := slices.Sorted(maps.Keys(modes))
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		if _, ok := modes[name]; !ok {
			if like := spelling.Nearest(name, names); like != "" {
				return nil, fmt.Errorf("modes.%s: there is no rule of that name; did you mean %s?", name, like)
			}
			return nil, fmt.Errorf("modes.%s: there is no rule of that name", name)
		}
		if !slices.Contains(finding.Modes, asked[name]) {
			return nil, fmt.Errorf("modes.%s: %q is none of %s", name, asked[name], strings.Join(finding.Modes, ", "))
		}
		modes[name] = asked[name]
	}
	return modes, nil
}

// tune settles the modes. A rule that is off raises nothing of its own, and goes on serving the correlations that ask
// for it.
func (p *Plan) tune(rules []*sigma.Rule) (err error) {
	if p.modes, err = ModesOf(rules, p.asked); err != nil || p.untuned {
		p.modes = nil
		return err
	}
	for name, mode := range p.modes {
		if mode == finding.Off {
			p.base[name] = true
		}
	}
	return nil
}

// idle says that nobody asks for what a rule matches: it is off, and no correlation refers to it.
func (p *Plan) idle(name string) bool {
	return p.modes[name] == finding.Off && !p.unmuted && !slices.ContainsFunc(p.correlations, func(c *correlation) bool { return slices.Contains(c.over.Rules, name) })
}

// quiet is the mode that a rule's findings carry: none where it is on.
func (p *Plan) quiet(rule string) string {
	if p.modes[rule] == finding.Audit {
		return finding.Audit
	}
	return ""
}

// Mode is a rule's mode: off, audit or on.
func (p *Plan) Mode(rule string) string { return cmp.Or(p.modes[rule], finding.On) }
