package detectors

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// Rules are edited while findings of theirs stand. A snapshot says which editions made it, and what waited for the watermark
// under another one is looked at again when LOGS has been read again.

// digests tell editions of the rules apart: of what they say, of what their fields mean and of their exceptions, a
// correlation's with what it refers to.
func (p *Plan) digests() map[string]string {
	out := map[string]string{}
	for i, r := range p.rules {
		of := sha256.New()
		text := func(s string) { fmt.Fprintf(of, "%q", s) } // a hash never fails
		means := func(slots []int) {
			for _, slot := range slots {
				text(p.keys[slot])
			}
		}
		text(r.Digest)
		means(p.fields[i])
		for _, x := range p.exceptions[i] {
			text(x.Digest())
			means(x.slots)
		}
		for _, f := range p.inlets[i] {
			text(f.to.rule.Name)
			means(slices.Concat(f.groupBy, f.counted, f.needs))
		}
		out[r.Name] = hex.EncodeToString(of.Sum(nil)[:16])
	}
	for _, c := range p.correlations {
		of := sha256.New()
		fmt.Fprintf(of, "%q", c.rule.Digest)
		for _, name := range c.over.Rules { // which come before it
			fmt.Fprintf(of, "%q", out[name])
		}
		out[c.rule.Name] = hex.EncodeToString(of.Sum(nil)[:16])
	}
	return out
}

// reread has windows be looked at whose findings may have lost what they stood on, once LOGS has been read again: what was
// published since the snapshot, and what was found, unconfirmed, under another edition of a rule. Where other rules made the
// snapshot, LOGS was read again as far back as since alone: what is older, or beyond doubt, stays as it stands.
func (e *Engine) reread(same bool, since time.Time) {
	read := func(s *slot) bool { return same || !s.finding.Time.Add(-2*s.made.of.reach).Before(since) }
	for _, s := range e.heard {
		if read(s) && (same || s.finding.Unconfirmed) {
			e.windows[s.made.of.at].Touch(s.made.group, s.made.number)
		}
	}
	for _, slots := range e.edited {
		for _, s := range slots {
			if read(s) {
				e.windows[s.made.of.at].Touch(s.made.group, s.made.number)
			} else {
				e.watchSlot(s)
			}
		}
	}
	e.heard, e.edited = nil, nil
}
