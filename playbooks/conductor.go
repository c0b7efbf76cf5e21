package playbooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/finding"
	"cordon/internal/incident"
	"cordon/internal/record"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// Conductor makes incidents of findings, asks their playbooks what to do after each event, and derives jobs and
// timers from what the incidents say.
type Conductor struct {
	bus       *bus.Bus
	store     *incident.Store
	playbooks []*Playbook
	tenants   Tenants
	clock     clock.Clock
	log       *zap.Logger
}

// Tenants tells what a tenant is called and how far Cordon may act by itself in it.
type Tenants interface {
	Name(tenant string) string
	Mode(tenant string) string
}

// New returns a conductor.
func New(b *bus.Bus, s *incident.Store, p []*Playbook, t Tenants, c clock.Clock, log *zap.Logger) *Conductor {
	return &Conductor{bus: b, store: s, playbooks: p, tenants: t, clock: c, log: log}
}

// Run works until ctx ends: three durable consumers, each of which can be stopped and started anywhere.
func (c *Conductor) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var workers sync.WaitGroup
	errs := make(chan error, 3)
	for _, w := range []struct {
		bus.Worker
		handle bus.Handler
	}{
		{bus.Worker{Stream: bus.Findings, Durable: "playbooks-findings", Filter: []string{"findings.>"}}, c.finding},
		{bus.Worker{Stream: bus.Incidents, Durable: "playbooks-incidents", Filter: []string{"incidents.>"}}, c.event},
		{bus.Worker{Stream: bus.Timers, Durable: "playbooks-timers", Filter: []string{"due.>"}}, c.due},
	} {
		workers.Go(func() {
			defer cancel() // one that ends takes the others with it
			errs <- c.bus.Run(ctx, w.Worker, w.handle)
		})
	}
	workers.Wait()
	return errors.Join(<-errs, <-errs, <-errs)
}

// finding joins a finding to its principal's incident, or opens one.
func (c *Conductor) finding(ctx context.Context, msg jetstream.Msg) error {
	var f finding.Finding
	if err := json.Unmarshal(msg.Data(), &f); err != nil {
		return fmt.Errorf("reading a finding: %w", err)
	}
	if f.Principal.Type == record.Tenant || f.Principal.ID == "" {
		return nil // nobody to contain: it stays a finding
	}
	subject := bus.IncidentSubject(f.Principal.Home, f.Principal.ID)
	err := c.retry(ctx, subject, func(h *incident.History) ([]incident.Event, error) { return c.join(ctx, h, f) })
	if err != nil {
		return err
	}
	return c.link(ctx, f)
}

// retry folds, decides and appends, again and again until nobody wrote in between.
func (c *Conductor) retry(ctx context.Context, subject string, decide func(*incident.History) ([]incident.Event, error)) error {
	for {
		h, err := c.store.Load(ctx, subject)
		if err != nil {
			return err
		}
		events, err := decide(h)
		if err != nil || len(events) == 0 {
			return err
		}
		if err := c.store.Append(ctx, h, events...); !errors.Is(err, bus.ErrConflict) {
			return err
		}
	}
}

func (c *Conductor) join(ctx context.Context, h *incident.History, f finding.Finding) ([]incident.Event, error) {
	if i := h.Open(); i != nil {
		n := slices.IndexFunc(i.Findings, func(have finding.Finding) bool { return have.ID == f.ID })
		if n >= 0 && i.Findings[n].Revision >= f.Revision {
			return nil, nil
		}
		return c.joined(f)
	}
	if dealtWith(h, f.ID) {
		return nil, nil // told again, or more proof of what an incident that is closed was about
	}
	p, err := c.opens(f)
	if p == nil || err != nil {
		return nil, err
	}
	opened, err := incident.New(incident.Opened, incident.Cordon, f.ID, c.clock.Now(),
		incident.OpenedData{Playbook: p.Name, Tenant: f.Principal.Home, Principal: f.Principal})
	if err != nil {
		return nil, err
	}
	events := []incident.Event{opened}
	earlier, err := c.earlier(ctx, h, f)
	if err != nil {
		return nil, err
	}
	for _, g := range append([]finding.Finding{f}, earlier...) {
		joined, err := c.joined(g)
		if err != nil {
			return nil, err
		}
		events = append(events, joined...)
	}
	return events, nil
}

// dealtWith says whether a finding belongs to one of the principal's incidents already.
func dealtWith(h *incident.History, id string) bool {
	for _, i := range h.Incidents {
		if slices.ContainsFunc(i.Findings, func(f finding.Finding) bool { return f.ID == id }) {
			return true
		}
	}
	return false
}

func (c *Conductor) joined(f finding.Finding) ([]incident.Event, error) {
	kind := incident.FindingJoined
	if f.Withdrawn != "" {
		kind = incident.FindingWithdrawn
	}
	e, err := incident.New(kind, incident.Cordon, f.ID, c.clock.Now(), f)
	return []incident.Event{e}, err
}

// opens finds the playbook that a finding opens: the one that its rule asks for, else the first that says so.
func (c *Conductor) opens(f finding.Finding) (*Playbook, error) {
	if f.Unconfirmed || f.Withdrawn != "" {
		return nil, nil
	}
	probe := &incident.Incident{Principal: f.Principal, Tenant: f.Tenant, Findings: []finding.Finding{f}, T0: f.Time}
	w := observe(probe)
	for _, p := range c.playbooks {
		if p.For != f.Principal.Type {
			continue
		}
		for _, o := range p.OpensOn {
			matches := o.Level != "" && finding.AtLeast(f.Level, o.Level) || slices.Contains(o.Rules, f.Rule)
			if !matches && f.Playbook != p.Name {
				continue
			}
			yes, standing, _, err := o.When.holds(w)
			if err != nil {
				return nil, fmt.Errorf("playbook %s: %w", p.Name, err)
			}
			if yes && standing == isKnown {
				return p, nil
			}
		}
	}
	return nil, nil
}

// lookBack is how far findings that opened nothing are taken along when an incident opens.
const lookBack = 24 * time.Hour

// mostEarlier bounds them, the latest counting: an account that creates users all day has many.
const mostEarlier = 200

// earlier are the principal's findings of the last day that opened nothing by themselves.
func (c *Conductor) earlier(ctx context.Context, h *incident.History, f finding.Finding) ([]finding.Finding, error) {
	latest := map[string]finding.Finding{}
	var order []string
	err := c.bus.Scan(ctx, bus.Findings, "findings.*."+bus.Token(f.Tenant), time.Time{}, func(m jetstream.Msg) error {
		var g finding.Finding
		if err := json.Unmarshal(m.Data(), &g); err != nil {
			return fmt.Errorf("reading a finding: %w", err)
		}
		if g.ID == f.ID || dealtWith(h, g.ID) || !strings.EqualFold(g.Principal.ID, f.Principal.ID) || f.Time.Sub(g.Time).Abs() > lookBack {
			return nil
		}
		if have, seen := latest[g.ID]; !seen {
			order = append(order, g.ID)
		} else if have.Revision > g.Revision {
			return nil
		}
		latest[g.ID] = g
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for earlier findings: %w", err)
	}
	if len(order) > mostEarlier {
		order = order[len(order)-mostEarlier:]
	}
	var out []finding.Finding
	for _, id := range order {
		out = append(out, latest[id])
	}
	return out, nil
}

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

// event looks at an incident after something happened to it: it appends what the playbook calls for, and derives
// the jobs and timers of its state.
func (c *Conductor) event(ctx context.Context, msg jetstream.Msg) error {
	var e incident.Event
	if err := json.Unmarshal(msg.Data(), &e); err != nil {
		return fmt.Errorf("reading an event: %w", err)
	}
	subject := msg.Subject()
	for {
		before := 0
		err := c.retry(ctx, subject, func(h *incident.History) ([]incident.Event, error) {
			i := h.Open()
			if i == nil {
				return nil, nil
			}
			p := c.playbook(i.Playbook)
			if p == nil {
				return nil, nil // of an edition that had another playbook: people go on by hand
			}
			events, err := p.decide(i, c.tenants, c.clock.Now())
			if err != nil {
				// The same fold and the same playbook will fail again: one incident must not stop all others.
				c.log.Error("a playbook cannot decide; people go on by hand", zap.String("tenant", i.Tenant), zap.Uint64("incident", i.Number), zap.Error(err))
				return nil, nil
			}
			events = events[:min(len(events), mostEvents)] // it is asked again for the rest
			before = len(events)
			return events, nil
		})
		if err != nil {
			return err
		}
		if before == 0 {
			break
		}
	}
	h, err := c.store.Load(ctx, subject)
	if err != nil {
		return err
	}
	if err := c.timers(ctx, h, e); err != nil {
		return err
	}
	return c.jobs(ctx, h)
}

// mostEvents bounds what is appended at once; a batch holds at most a thousand.
const mostEvents = 500

func (c *Conductor) playbook(name string) *Playbook {
	i := slices.IndexFunc(c.playbooks, func(p *Playbook) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return c.playbooks[i]
}

// jobs publishes each step that may run now. The same job derived again has the same id and is stored once.
func (c *Conductor) jobs(ctx context.Context, h *incident.History) error {
	i := h.Current()
	if i == nil {
		return nil
	}
	for _, s := range i.Steps {
		if (s.State == incident.Waiting || s.State == incident.Approved) && i.Runnable(s) {
			if err := c.job(ctx, i, s, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// job publishes work. salt tells apart the repeated looks at one that does not read back yet.
func (c *Conductor) job(ctx context.Context, i *incident.Incident, s *incident.Step, salt string) error {
	j := incident.Job{Subject: i.Subject, Number: i.Number, Ref: s.Ref, Attempt: s.Attempt, Action: s.Action, Verify: salt != "",
		Approved: s.State == incident.Approved}
	data, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("encoding a job: %w", err)
	}
	_, err = c.bus.Publish(ctx, bus.Message{Subject: bus.StepSubject(s.Tenant), Data: data, Header: nats.Header{"Nats-Msg-Id": {j.ID() + salt}}})
	return err
}

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
