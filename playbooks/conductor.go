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
	if f.Principal.ID == "" || !c.concerns(f) {
		return nil // nobody to contain: it stays a finding
	}
	subject := bus.IncidentSubject(f.Principal.Home, f.Principal.ID)
	if f.Quiet() != "" {
		return c.retry(ctx, subject, func(h *incident.History) ([]incident.Event, error) { return c.silenced(h, f) })
	}
	err := c.retry(ctx, subject, func(h *incident.History) ([]incident.Event, error) { return c.join(ctx, h, f) })
	if err != nil {
		return err
	}
	return c.link(ctx, f)
}

// concerns says whether a finding can belong to an incident. One that names nobody but the tenant does only where a
// playbook for tenants opens on it: others would wait in an incident that has nothing to do about them.
func (c *Conductor) concerns(f finding.Finding) bool {
	if f.Principal.Type != record.Tenant {
		return true
	}
	return slices.ContainsFunc(c.playbooks, func(p *Playbook) bool {
		return p.For == record.Tenant && slices.ContainsFunc(p.OpensOn, func(o Opening) bool { return o.matches(f) || f.Playbook == p.Name })
	})
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
		if n >= 0 && i.Findings[n].Revision >= f.Revision && (i.Findings[n].Quiet() == "" || i.Findings[n].Revision > f.Revision) {
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
			if !o.matches(f) && f.Playbook != p.Name {
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

func (o Opening) matches(f finding.Finding) bool {
	return o.Level != "" && finding.AtLeast(f.Level, o.Level) || slices.Contains(o.Rules, f.Rule)
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
		if g.ID == f.ID || dealtWith(h, g.ID) || !strings.EqualFold(g.Principal.ID, f.Principal.ID) || f.Principal.Type == record.Tenant && !c.concerns(g) || f.Time.Sub(g.Time).Abs() > lookBack {
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
	order = slices.DeleteFunc(order, func(id string) bool { return latest[id].Quiet() != "" })
	if len(order) > mostEarlier {
		order = order[len(order)-mostEarlier:]
	}
	var out []finding.Finding
	for _, id := range order {
		out = append(out, latest[id])
	}
	return out, nil
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
