package playbooks

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"cordon/internal/bus"
	"cordon/internal/incident"
	"github.com/nats-io/nats.go/jetstream"
)

// How long after a step it is read back again where it did not show at once.
const verifyAgain = 30 * time.Second

// timers sets the timers that an event calls for.
func (c *Conductor) timers(ctx context.Context, h *incident.History, e incident.Event) error {
	i := h.Current()
	if i == nil {
		return nil
	}
	var ref incident.Ref
	switch e.Type {
	case incident.StepDone, incident.StepFailed, incident.StepProposed:
		if err := json.Unmarshal(e.Data, &ref); err != nil {
			return fmt.Errorf("reading %s: %w", e.Type, err)
		}
	default:
		return nil
	}
	s := i.Step(ref.Place)
	if s == nil || s.Round != ref.Round {
		return nil
	}
	set := func(kind string, at time.Time) error {
		id := fmt.Sprintf("%d.%s.%s", i.Number, bus.Token(s.Place), kind)
		return c.bus.Schedule(ctx, bus.Timer{ID: id, Incident: h.Subject, Kind: kind, Step: s.Place, Round: s.Round, At: at})
	}
	switch {
	case e.Type == incident.StepDone:
		if s.State == incident.Done && s.Kind == incident.KindDo {
			if err := set("verify", e.At.Add(verifyAgain)); err != nil {
				return err
			}
		}
		if s.Again > 0 {
			return set("again", e.At.Add(s.Again))
		}
	case e.Type == incident.StepFailed && s.RetryAt != nil:
		return set("retry", *s.RetryAt)
	case e.Type == incident.StepProposed && s.Kind == incident.KindWatch && s.Due != nil:
		return set("watch", *s.Due)
	}
	return nil
}

// due does what a timer asked for, if it still stands.
func (c *Conductor) due(ctx context.Context, msg jetstream.Msg) error {
	var t bus.Timer
	if err := json.Unmarshal(msg.Data(), &t); err != nil {
		return fmt.Errorf("reading a timer: %w", err)
	}
	h, err := c.store.Load(ctx, t.Incident)
	if err != nil {
		return err
	}
	i := h.Current()
	if i == nil {
		return nil
	}
	s := i.Step(t.Step)
	if s == nil || s.Round != t.Round {
		return nil
	}
	switch t.Kind {
	case "retry":
		if s.State == incident.Retrying {
			return c.job(ctx, i, s, "")
		}
	case "verify":
		if s.State != incident.Done {
			return nil
		}
		if c.clock.Now().Sub(s.DoneAt) < time.Hour { // after that it stays done, unverified, for all to see
			next := t
			next.At = t.At.Add(verifyAgain)
			if err := c.bus.Schedule(ctx, next); err != nil {
				return err
			}
		}
		return c.job(ctx, i, s, "/"+t.At.Format(time.RFC3339))
	case "again":
		return c.again(ctx, t)
	case "watch":
		return c.retry(ctx, t.Incident, func(h *incident.History) ([]incident.Event, error) {
			i := h.Current()
			if s := i.Step(t.Step); s == nil || s.State != incident.Watching {
				return nil, nil
			}
			e, err := incident.New(incident.StepDone, incident.Cordon, t.ID, c.clock.Now(), incident.FinishedData{Ref: s.Ref, Note: seenSince(i, s.ProposedAt)})
			return []incident.Event{e}, err
		})
	}
	return nil
}

// seenSince says what a watch has seen: the findings about the principal since it began.
func seenSince(i *incident.Incident, t time.Time) string {
	n := 0
	for _, f := range i.Findings {
		if f.Withdrawn == "" && f.Time.After(t) {
			n++
		}
	}
	if n == 0 {
		return "no finding since the watch began"
	}
	return fmt.Sprintf("%d findings since the watch began", n)
}

// again proposes a step once more, as its line asked: a session may have begun while the first round ran.
func (c *Conductor) again(ctx context.Context, t bus.Timer) error {
	return c.retry(ctx, t.Incident, func(h *incident.History) ([]incident.Event, error) {
		i := h.Open()
		if i == nil {
			return nil, nil
		}
		s := i.Step(t.Step)
		if s == nil || s.Round != t.Round || s.State != incident.Done && s.State != incident.Verified {
			return nil, nil
		}
		spec := s.Spec
		spec.Round++
		spec.Again = 0
		if c.tenants.Mode(i.Tenant) != "automatic" && spec.Need == incident.Auto {
			spec.Need = incident.One
		}
		spec.Seal()
		e, err := incident.New(incident.StepProposed, incident.Cordon, t.ID, c.clock.Now(), spec)
		return []incident.Event{e}, err
	})
}
