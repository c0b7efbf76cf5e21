package playbooks

import (
	"slices"

	"cordon/internal/finding"
	"cordon/internal/incident"
)

// silenced passes over a finding of a rule in audit, or one that an exception suppresses: it opens nothing, joins
// nothing and proves nothing. Where it has joined before, it is taken out again, and the incident says why.
func (c *Conductor) silenced(h *incident.History, f finding.Finding) ([]incident.Event, error) {
	i := h.Open()
	if i == nil {
		return nil, nil
	}
	n := slices.IndexFunc(i.Findings, func(have finding.Finding) bool { return have.ID == f.ID })
	if n < 0 || i.Findings[n].Withdrawn != "" || i.Findings[n].Revision > f.Revision {
		return nil, nil
	}
	if f.Withdrawn == "" {
		f.Withdrawn = f.Quiet()
	}
	return c.joined(f)
}
