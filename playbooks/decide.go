package playbooks

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cordon/internal/incident"
	"cordon/internal/record"
)

// decide says what the playbook calls for now, as events to append: a pure function of the incident's fold, the
// playbook, the tenant's mode and the time. It is asked again after each event until it has nothing to say.
func (p *Playbook) decide(i *incident.Incident, t Tenants, now time.Time) ([]incident.Event, error) {
	if i.Closed != nil {
		return nil, nil
	}
	d := &decision{i: i, mode: t.Mode(i.Tenant), tenant: t.Name(i.Tenant), now: now, world: observe(i)}
	if err := d.verdict(p); err != nil {
		return nil, err
	}
	if len(d.events) > 0 {
		return d.events, nil // everything else is decided upon the new verdict
	}
	for n := range p.Lines {
		if err := d.line(p, &p.Lines[n]); err != nil {
			return nil, fmt.Errorf("playbook %s, %s: %w", p.Name, p.Lines[n].Place, err)
		}
	}
	return d.events, nil
}

// decision gathers the events of one look at an incident.
type decision struct {
	i      *incident.Incident
	mode   string
	tenant string // its name
	now    time.Time
	world  world
	events []incident.Event
}

func (d *decision) add(kind string, data any) error {
	e, err := incident.New(kind, incident.Cordon, "playbook", d.now, data)
	if err == nil {
		d.events = append(d.events, e)
	}
	return err
}

// verdict raises the verdict to the gravest that holds; it is never lowered by itself.
func (d *decision) verdict(p *Playbook) error {
	grave, why := d.i.Verdict, ""
	for _, l := range p.Lines {
		if l.Kind != "verdict" || d.i.Verdict == incident.Benign || incident.Reached(grave, l.Verdict) {
			continue
		}
		yes, _, _, err := l.When.holds(d.world)
		if err != nil {
			return err
		}
		if yes {
			grave, why = l.Verdict, d.because(l.Verdict)
		}
	}
	if grave == d.i.Verdict {
		return nil
	}
	return d.add(incident.VerdictGiven, incident.VerdictData{Verdict: grave, Why: why})
}

func (d *decision) because(verdict string) string {
	if verdict == incident.Exposed {
		return "the password is known, the second factor held"
	}
	if n := d.world.IndependentProofs; n >= 2 {
		var kinds []string
		for _, f := range d.i.Proofs() {
			if !slices.Contains(kinds, f.Kind) {
				kinds = append(kinds, f.Kind)
			}
		}
		return fmt.Sprintf("%d independent proofs: %s", n, strings.Join(kinds, ", "))
	}
	for _, f := range d.i.Proofs() {
		if f.Decisive {
			return "decisive: " + f.Says
		}
	}
	return "the evidence so far"
}

// line proposes, proposes again, or withdraws the steps of one line.
func (d *decision) line(p *Playbook, l *Line) error {
	if l.Kind == "verdict" || !d.reached(p, l) {
		return nil
	}
	yes, standing, fact, err := l.When.holds(d.world)
	if err != nil {
		return err
	}
	if standing == isPending {
		return nil // the evidence is being read
	}
	why := ""
	if standing == isUnknown {
		yes, why = true, "the fact "+fact+" could not be read"
	}
	objects := []Object{{}}
	if l.ForEach != nil {
		if objects, standing, err = l.ForEach.objects(d.world); err != nil || standing == isPending {
			return err
		}
		if standing == isUnknown {
			return d.lookByHand(l)
		}
	}
	if !yes {
		objects = nil
	}
	for _, o := range objects {
		if err := d.propose(l, o, why); err != nil {
			return err
		}
	}
	return d.withdraw(l, objects)
}

// reached says whether it is a line's turn to be proposed: containing begins at once, the later phases once there is
// something to secure, and what says `after: previous` when all before it is done.
func (d *decision) reached(p *Playbook, l *Line) bool {
	if d.i.Step(l.Place) != nil {
		return true // it was reached before
	}
	compromised := incident.Reached(d.i.Verdict, incident.Compromised)
	if len(d.events) > 0 && (l.After || l.Phase == "secure" || l.Phase == "improve") {
		return false // what stands before it has only just been called for: look again once that is in the fold
	}
	switch {
	case l.Phase == "confirm":
		return true
	case l.Phase == "contain" && l.After:
		return compromised && d.settled(p, l, "contain")
	case l.Phase == "contain":
		return true
	case l.Phase == "secure" && l.Offered:
		return compromised && slices.ContainsFunc(d.i.Steps, func(s *incident.Step) bool {
			return s.Action == "user.disable" && (s.State == incident.Verified || s.State == incident.Done)
		})
	case l.Phase == "secure":
		return compromised && d.tried("contain")
	default: // improve
		return compromised && d.settled(p, l, "contain", "secure")
	}
}

// settled says that every step of the phases that stands before the line is done, or was refused or given up.
func (d *decision) settled(p *Playbook, l *Line, phases ...string) bool {
	for _, before := range p.Lines {
		if before.Place == l.Place {
			break
		}
		if slices.Contains(phases, before.Phase) && !before.Offered && d.pending(&before) {
			return false
		}
	}
	return !slices.ContainsFunc(d.i.Steps, func(s *incident.Step) bool {
		return slices.Contains(phases, s.Phase) && s.Undo == "" && !d.atOrBehind(p, l, s) && (!s.Settled() || comesAgain(s))
	})
}

// comesAgain says that a done step has another round to come, which belongs to it.
func comesAgain(s *incident.Step) bool {
	return s.Again > 0 && (s.State == incident.Done || s.State == incident.Verified)
}

// pending says whether a line's condition or list still waits for evidence.
func (d *decision) pending(l *Line) bool {
	_, standing, _, _ := l.When.holds(d.world)
	if standing == isPending {
		return true
	}
	if l.ForEach != nil {
		_, standing, _ = l.ForEach.objects(d.world)
	}
	return standing == isPending
}

// atOrBehind says whether a step belongs to the line or to one behind it.
func (d *decision) atOrBehind(p *Playbook, l *Line, s *incident.Step) bool {
	place, _, _ := strings.Cut(s.Place, "/")
	here := slices.IndexFunc(p.Lines, func(o Line) bool { return o.Place == l.Place })
	there := slices.IndexFunc(p.Lines, func(o Line) bool { return o.Place == place })
	return there >= here
}

// tried says that no step of a phase that may run by itself is still to be tried.
func (d *decision) tried(phase string) bool {
	return !slices.ContainsFunc(d.i.Steps, func(s *incident.Step) bool {
		return s.Phase == phase && d.i.Permitted(s) && !s.Tried()
	})
}

// lookByHand proposes a task where a line's evidence could not be read: what the attacker changed may stand there, and
// nobody would be asked.
func (d *decision) lookByHand(l *Line) error {
	_, fact := l.ForEach.stands(d.world)
	s := incident.Spec{Ref: incident.Ref{Place: l.Place + "/unread", Round: 1}, Phase: l.Phase, Order: l.Order, Kind: incident.KindTask, Tenant: d.i.Tenant, Need: incident.One,
		Target: incident.Target{Type: d.i.Principal.Type, ID: d.i.Principal.ID, Label: record.Clean(d.i.Principal.Label())},
		Says:   fmt.Sprintf("Look by hand: %s could not be read (%s)", fact, l.Action.Summary)}
	s.Seal()
	if d.i.Step(s.Place) != nil {
		return nil
	}
	return d.add(incident.StepProposed, s)
}

func (d *decision) propose(l *Line, o Object, why string) error {
	spec, err := d.spec(l, o)
	if err != nil {
		return err
	}
	have := d.i.Step(spec.Place)
	if have != nil {
		spec.Round = have.Round
	}
	spec.Why = why
	if why != "" && spec.Need == incident.Auto && l.Kind == incident.KindDo {
		spec.Need = incident.One
	}
	switch {
	case have == nil:
	case l.Kind == incident.KindRead && have.State == incident.Done && d.stale(l.Action.Name):
		spec.Round++
	case d.again(l, have):
		spec.Round++
	case have.State == incident.Withdrawn:
		spec.Round++ // called for again
	case have.State == incident.Waiting && have.Undo == "" && have.Digest != sealed(spec):
		if have.Need == incident.One && spec.Need == incident.Auto {
			spec.Need, spec.Why = have.Need, have.Why // the worker asked for a person
		}
	default:
		return nil
	}
	if l.Again > 0 {
		spec.Again = l.Again
	}
	spec.Seal()
	if have != nil && have.State == incident.Waiting && have.Digest == spec.Digest {
		return nil
	}
	return d.add(incident.StepProposed, spec)
}

func sealed(s incident.Spec) string {
	s.Seal()
	return s.Digest
}

// again says that a step which ran on suspicion alone must run once more: since then the verdict has become
// compromised, and a session may have begun in between.
func (d *decision) again(l *Line, have *incident.Step) bool {
	return l.Kind == incident.KindDo && l.Action.Verdict == incident.Suspicious && l.Phase == "contain" &&
		(have.State == incident.Done || have.State == incident.Verified) &&
		d.i.Verdict == incident.Compromised && have.StartedAt.Before(d.i.JudgedAt)
}

// stale says that findings have joined since the evidence was read.
func (d *decision) stale(name string) bool {
	e, ok := d.i.Reading(name)
	return ok && e.Through < len(d.i.Findings)
}

// spec binds a line to the incident, and to an object of its for-each.
func (d *decision) spec(l *Line, o Object) (incident.Spec, error) {
	i := d.i
	s := incident.Spec{Ref: incident.Ref{Place: l.Place, Round: 1}, Phase: l.Phase, Order: l.Order, Kind: l.Kind, Action: l.Action.Name, Tenant: i.Tenant,
		Target: incident.Target{Type: i.Principal.Type, ID: i.Principal.ID, Label: i.Principal.Label()}, Need: l.Approve,
		Verdict: l.Action.Verdict, Offered: l.Offered, Returns: l.Action.Returns, Final: l.Action.Irrevocable, Facts: l.When.values(d.world)}
	if l.Action.Target == "tenant" {
		s.Target = incident.Target{Type: "tenant", ID: i.Tenant, Label: d.tenant}
	}
	for name, value := range l.With {
		param(&s, name, value)
	}
	if l.ForEach != nil {
		s.Place = l.Place + "/" + o.ID
		s.Target = incident.Target{Type: o.Type, ID: o.ID, Label: firstOf(o.Label, o.ID)}
		for _, p := range l.Action.Params {
			switch p.Name { // what an object carries
			case "user", "application":
				param(&s, p.Name, firstOf(o.On, i.Principal.ID))
			case "type":
				param(&s, p.Name, o.Type)
			case "role":
				param(&s, p.Name, o.Detail)
			}
		}
		if !d.i.Earlier.IsZero() && !o.Changed.IsZero() && before(o.Changed, d.i.T0) {
			s.Need = incident.One // a cleanup that reaches behind the frozen t0
		}
	}
	switch l.Kind {
	case incident.KindRead:
		s.Need = incident.Auto
	case incident.KindTask:
		s.Need, s.Says = incident.One, l.Task
		if l.Due > 0 {
			at := d.now.Add(l.Due)
			s.Due = &at
		}
	case incident.KindWatch:
		at := d.now.Add(l.Watch)
		s.Need, s.Says, s.Due = incident.Auto, "Watch for the attacker's return", &at
	case incident.KindDo:
		if d.mode != "automatic" && s.Need == incident.Auto && l.Action.Name != "report.write" {
			s.Need = incident.One
		}
	}
	if s.Says == "" {
		label := s.Target.Label
		if l.Action.Target == "role" && strings.EqualFold(s.Target.ID, s.Params["user"]) {
			label = "of " + label
		}
		s.Says = strings.ReplaceAll(l.Action.Says, "{target}", label)
	}
	if o.Type == "phone" && s.Need == incident.Auto {
		s.Need, s.Why = incident.One, "a phone keeps its id when its number is replaced: it may be the user's own"
	}
	s.Says, s.Target.Label = record.Clean(s.Says), record.Clean(s.Target.Label) // names in them are other people's choice
	return s, nil
}

func param(s *incident.Spec, name, value string) {
	if s.Params == nil {
		s.Params = map[string]string{}
	}
	s.Params[name] = value
}

// withdraw takes back what waits and is no longer called for.
func (d *decision) withdraw(l *Line, objects []Object) error {
	for _, s := range d.i.Steps {
		place, object, each := strings.Cut(s.Place, "/")
		if place != l.Place || s.State != incident.Waiting || s.Undo != "" {
			continue
		}
		called := len(objects) > 0 && !each
		for _, o := range objects {
			called = called || each && o.ID == object
		}
		if called {
			continue
		}
		if err := d.add(incident.StepWithdrawn, incident.WithdrawnData{Ref: s.Ref, Why: "no longer called for"}); err != nil {
			return err
		}
	}
	return nil
}
