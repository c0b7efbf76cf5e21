package detectors

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cordon/detectors/sigma"
	"cordon/detectors/vocabulary"
	"cordon/internal/finding"
)

// WithModes gives rules other modes than their files do: off, audit or on, by name. What names no rule is an error of
// NewEngine.
func WithModes(modes map[string]string) Option { return func(e *Engine) { e.asked = modes } }

// Untuned has every rule speak, whatever its mode, and no exception hold: for tests of the rules themselves.
func Untuned() Option { return func(e *Engine) { e.untuned = true } }

// tuning is how far the rules of an engine may speak.
type tuning struct {
	asked   map[string]string // as the configuration has it
	untuned bool
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
			if like := vocabulary.Nearest(name, names); like != "" {
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
func (e *Engine) tune(rules []*sigma.Rule) (err error) {
	if e.modes, err = ModesOf(rules, e.asked); err != nil || e.untuned {
		e.modes = nil
		return err
	}
	for name, mode := range e.modes {
		if mode == finding.Off {
			e.base[name] = true
		}
	}
	return nil
}

// idle says that nobody asks for what a rule matches: it is off, and no correlation refers to it.
func (e *Engine) idle(name string) bool {
	return e.modes[name] == finding.Off && !slices.ContainsFunc(e.correlators, func(c *correlator) bool { return slices.Contains(c.over.Rules, name) })
}

// quiet is the mode that a rule's findings carry: none where it is on.
func (e *Engine) quiet(rule string) string {
	if e.modes[rule] == finding.Audit {
		return finding.Audit
	}
	return ""
}

// Mode is a rule's mode: off, audit or on.
func (e *Engine) Mode(rule string) string { return cmp.Or(e.modes[rule], finding.On) }

// Mode is a rule's mode: off, audit or on.
func (r *Room) Mode(rule string) string { return r.engine.Mode(rule) }

// Serves says that a rule raises no finding of its own.
func (r *Room) Serves(rule string) bool { return r.engine.Serves(rule) }
