package playbooks

import (
	"context"
	"slices"
	"strings"

	"cordon/internal/bus"
	"cordon/internal/finding"
	"cordon/internal/incident"
	"cordon/internal/record"
)

// link ties the incident of what was acted upon to the actor's, in both directions, once both are open.
func (c *Conductor) link(ctx context.Context, f finding.Finding) error {
	if f.Actor.ID == "" || f.Actor.Type == record.Tenant {
		return nil
	}
	actor := bus.IncidentSubject(f.Actor.Home, f.Actor.ID)
	if strings.EqualFold(f.Actor.ID, f.Principal.ID) {
		return c.linkDeeds(ctx, actor, f.Actor)
	}
	return c.tie(ctx, bus.IncidentSubject(f.Principal.Home, f.Principal.ID), f.Principal, actor, f.Actor, f.Says)
}

// linkDeeds ties an actor's incident to those of applications that he has acted upon before it opened.
func (c *Conductor) linkDeeds(ctx context.Context, subject string, actor finding.Principal) error {
	h, err := c.store.Load(ctx, subject)
	if err != nil || h.Open() == nil {
		return err
	}
	all, err := c.store.All(ctx)
	if err != nil {
		return err
	}
	for _, other := range all {
		i := other.Open()
		if i == nil || other.Subject == subject {
			continue
		}
		for _, f := range i.Findings {
			if strings.EqualFold(f.Actor.ID, actor.ID) {
				if err := c.tie(ctx, other.Subject, i.Principal, subject, actor, f.Says); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (c *Conductor) tie(ctx context.Context, one string, oneName finding.Principal, other string, otherName finding.Principal, why string) error {
	for _, side := range []struct {
		subject, to, label string
	}{{one, other, otherName.Label()}, {other, one, oneName.Label()}} {
		far, err := c.store.Load(ctx, side.to)
		if err != nil || far.Open() == nil {
			return err
		}
		err = c.retry(ctx, side.subject, func(h *incident.History) ([]incident.Event, error) {
			i := h.Open()
			if i == nil || slices.ContainsFunc(i.Links, func(l incident.LinkedData) bool { return l.Subject == side.to }) {
				return nil, nil
			}
			e, err := incident.New(incident.Linked, incident.Cordon, "", c.clock.Now(), incident.LinkedData{Subject: side.to, Label: side.label, Why: why})
			return []incident.Event{e}, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
