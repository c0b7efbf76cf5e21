package actions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/fault"
	"cordon/internal/incident"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// Worker runs steps: it folds the incident, checks what may have changed, stores the permission to call, calls,
// and stores what came of it.
type Worker struct {
	bus     *bus.Bus
	store   *incident.Store
	tenants Tenants
	clock   clock.Clock
	log     *zap.Logger

	mu     sync.Mutex
	inHand map[string]bool        // steps that this process is running, by incident and place
	tenant map[string]*sync.Mutex // one containment of administrators at a time
}

// NewWorker returns a worker; Run runs it.
func NewWorker(b *bus.Bus, s *incident.Store, t Tenants, c clock.Clock, log *zap.Logger) *Worker {
	return &Worker{bus: b, store: s, tenants: t, clock: c, log: log, inHand: map[string]bool{}, tenant: map[string]*sync.Mutex{}}
}

const (
	together   = 8 // steps at once
	attempts   = 8 // before a step that only time could heal is given up
	callWithin = 60 * time.Second
	// recordWithin is what it may take to store what a call came to, after its own time has run out.
	recordWithin = 5 * time.Second
	firstRetry   = 2 * time.Second
	longestWait  = 5 * time.Minute
)

// Run works until ctx ends.
func (w *Worker) Run(ctx context.Context) error {
	return w.bus.Run(ctx, bus.Worker{Stream: bus.Steps, Durable: "actions", Filter: []string{"steps.>"}, Parallel: together, Ahead: together}, w.handle)
}

func (w *Worker) handle(ctx context.Context, msg jetstream.Msg) error {
	var job incident.Job
	if err := json.Unmarshal(msg.Data(), &job); err != nil {
		w.log.Error("a job cannot be read; it is dropped, the incident still holds the step", zap.Error(err))
		return nil
	}
	// A step that reads as running, but not here, was left by a worker that died or lost its lease: it is run again.
	// How often the message was delivered does not tell, for a crash can take that count with it.
	key := fmt.Sprintf("%d/%s", job.Number, job.Place)
	if !w.take(key) {
		return &bus.RetryAfter{Wait: time.Second, Err: fmt.Errorf("%s is being run", job.Place)}
	}
	defer w.giveBack(key)
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	for {
		err := w.run(ctx, job)
		if !errors.Is(err, bus.ErrConflict) {
			return err
		}
		// Somebody wrote to the incident between our fold and our append: look again.
	}
}

func (w *Worker) take(key string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inHand[key] {
		return false
	}
	w.inHand[key] = true
	return true
}

func (w *Worker) giveBack(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.inHand, key)
}

// run does one job on a fresh fold.
func (w *Worker) run(ctx context.Context, job incident.Job) error {
	h, err := w.store.Load(ctx, job.Subject)
	if err != nil {
		return err
	}
	i := h.Current()
	if i == nil || i.Number != job.Number {
		return nil
	}
	s := i.Step(job.Place)
	if s == nil || s.Round != job.Round {
		return nil
	}
	action, ok := Find(s.Action)
	if !ok {
		return w.fail(ctx, h, s, fault.Guard("there is no action %s in this edition of Cordon", s.Action))
	}
	access, err := w.tenants.Access(s.Tenant)
	if err != nil {
		return w.fail(ctx, h, s, fault.Guard("reaching tenant %s: %v", s.Tenant, err))
	}
	c := &Call{Access: access, Incident: i, Step: s.Spec, Records: Store{w.bus}, Clock: w.clock}
	if job.Verify {
		if s.State != incident.Done {
			return nil
		}
		return w.verify(ctx, h, s, action, c)
	}
	switch {
	case !i.Permitted(s):
		return nil // decided otherwise meanwhile
	case !i.Runnable(s):
		return &bus.RetryAfter{Wait: 100 * time.Millisecond, Err: fmt.Errorf("%s waits for the step before it to be tried", s.Place)}
	case s.State != incident.Running && s.Attempt != job.Attempt:
		return nil // this attempt was made
	case action.Changes():
		return w.change(ctx, h, s, action, c)
	}
	return w.read(ctx, h, s, action, c)
}

// read stores evidence. What cannot be read is stored as unknown, with the service's words.
func (w *Worker) read(ctx context.Context, h *incident.History, s *incident.Step, a Action, c *Call) error {
	d := incident.EvidenceData{Step: s.Ref, Name: a.Name, Through: len(c.Incident.Findings)}
	var value any
	err := readSoon(ctx, func() (err error) {
		value, err = a.Read(ctx, c)
		return err
	})
	if err == nil {
		d.Value, err = json.Marshal(value)
	}
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d.Value, d.Unknown = nil, err.Error()
	}
	return w.append(ctx, h, incident.EvidenceRead, d)
}

// readSoon asks again at once, twice, what time may heal: nothing that follows waits longer for evidence.
func readSoon(ctx context.Context, read func() error) error {
	for _, wait := range []time.Duration{150 * time.Millisecond, 600 * time.Millisecond} {
		err := read()
		if class := fault.Of(err); err == nil || class != fault.Retryable && class != fault.Throttled {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
	return read()
}

// change makes one attempt at a changing step.
func (w *Worker) change(ctx context.Context, h *incident.History, s *incident.Step, a Action, c *Call) error {
	if c.Access.Mode != "automatic" && s.Need == incident.Auto && a.Name != reportWrite.Name {
		return w.needPerson(ctx, h, s, "tenant "+c.Access.Name+" is in mode "+c.Access.Mode)
	}
	if s.State == incident.Running && s.Attempt >= attempts {
		return w.fail(ctx, h, s, &fault.Fault{Class: fault.Permanent, Message: fmt.Sprintf("no attempt came to an end: %d were made", s.Attempt)})
	}
	if unlock := w.alone(a, c); unlock != nil {
		defer unlock()
	}
	if err := guard(ctx, a, c); err != nil {
		return w.fail(ctx, h, s, err)
	}
	full, err := over(ctx, w.bus, a, c)
	if err != nil {
		return err
	}
	if full {
		return w.needPerson(ctx, h, s, "Cordon has done this by itself as often as the guardrails of "+c.Access.Name+" allow")
	}
	// What is planned rests on the state as it is now: after a crash the change may have been made already. What undo
	// goes back to is the state before the first attempt, which the fold keeps.
	state, err := a.Read(ctx, c)
	if err != nil {
		return w.fail(ctx, h, s, err)
	}
	before, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("encoding the state before: %w", err)
	}
	requests, err := w.plan(ctx, s, a, c, before)
	if err != nil {
		return w.fail(ctx, h, s, err)
	}
	started := incident.StartedData{Ref: s.Ref, Attempt: s.Attempt + 1, Action: a.Name, Tenant: s.Tenant, Before: before, Footprint: footprint(s, a),
		Objects: []string{s.Target.ID, c.Param("user"), c.Param("application")}}
	for _, r := range requests {
		started.Requests = append(started.Requests, r.String())
	}
	if err := w.append(ctx, h, incident.StepStarted, started); err != nil {
		return err
	}
	s = c.refresh(h, s)
	if err := a.Do(ctx, requests); err != nil {
		return w.fail(ctx, h, s, err)
	}
	done := incident.FinishedData{Ref: s.Ref, Attempt: s.Attempt}
	if a.Name == reportWrite.Name {
		done.Result = before
	}
	if s.Undo != "" { // together: a crash between them would leave the undone step standing as done
		return w.insist(ctx, h,
			outcome{incident.StepDone, done},
			outcome{incident.StepUndone, incident.WithdrawnData{Ref: incident.Ref{Place: s.Undo}, Why: "undone by " + s.Place}},
			outcome{incident.StepVerified, incident.FinishedData{Ref: s.Ref, Note: "the state before is back"}})
	}
	if err := w.insist(ctx, h, outcome{incident.StepDone, done}); err != nil {
		return err
	}
	return w.verify(ctx, h, c.refresh(h, s), a, c)
}

// plan asks the action for its requests, or for those that take a step back to the state before it.
func (w *Worker) plan(ctx context.Context, s *incident.Step, a Action, c *Call, before json.RawMessage) ([]Request, error) {
	if s.Undo == "" {
		return a.Plan(ctx, c, before)
	}
	undone := c.Incident.Step(s.Undo)
	if a.Undo == nil || undone == nil {
		return nil, fault.Guard("%s cannot be undone: %s", a.Name, a.Irrevocable)
	}
	requests, err := a.Undo(ctx, c, undone.Before)
	if s.Attempt > 0 && fault.Of(err) == fault.Drifted {
		return nil, nil // an earlier attempt of this very undo has done it, and died before it could say so
	}
	return requests, err
}

// footprint is what Entra will write about the change; taking one back writes the opposite.
func footprint(s *incident.Step, a Action) []string {
	if s.Undo == "" {
		return a.Footprint
	}
	return append([]string{"Enable account", "Disable account", "Update user", "Add member to role", "Add delegated permission grant", "Update service principal",
		"Update authorization policy", "DismissUser"}, a.Footprint...)
}

// refresh finds the step and the incident again after the history has moved on.
func (c *Call) refresh(h *incident.History, s *incident.Step) *incident.Step {
	c.Incident = h.Current()
	if now := c.Incident.Step(s.Place); now != nil {
		return now
	}
	return s
}

// verify reads back. What does not show yet is looked at again later; the step stays done, not verified.
func (w *Worker) verify(ctx context.Context, h *incident.History, s *incident.Step, a Action, c *Call) error {
	note, err := a.Verify(ctx, c, s.Before)
	if err != nil {
		w.log.Info("a step is done but does not read back yet", zap.String("tenant", s.Tenant), zap.Uint64("incident", c.Incident.Number), zap.String("step", s.Place), zap.Error(err))
		return nil
	}
	return w.insist(ctx, h, outcome{incident.StepVerified, incident.FinishedData{Ref: s.Ref, Attempt: s.Attempt, Note: note}})
}

// fail stores what went wrong: to be tried again where time may heal it, else for good, with the service's words.
func (w *Worker) fail(ctx context.Context, h *incident.History, s *incident.Step, cause error) error {
	if ctx.Err() != nil && errors.Is(cause, context.Canceled) {
		return ctx.Err() // we are stopping: the next worker looks again
	}
	attempt := s.Attempt
	if s.State != incident.Running {
		attempt++ // it failed before the call: that was an attempt too
	}
	class := fault.Of(cause)
	d := incident.FinishedData{Ref: s.Ref, Attempt: attempt, Class: string(class), Error: cause.Error()}
	if (class == fault.Retryable || class == fault.Throttled || class == fault.Conflict) && attempt < attempts {
		wait := fault.Wait(cause)
		if wait == 0 {
			wait = min(firstRetry<<min(attempt, 8), longestWait)
		}
		at := w.clock.Now().Add(wait)
		d.RetryAt = &at
	}
	return w.insist(ctx, h, outcome{incident.StepFailed, d})
}

// needPerson proposes an automatic step again, for a person to decide.
func (w *Worker) needPerson(ctx context.Context, h *incident.History, s *incident.Step, why string) error {
	spec := s.Spec
	spec.Need, spec.Why = incident.One, why
	spec.Seal()
	return w.append(ctx, h, incident.StepProposed, spec)
}

func (w *Worker) append(ctx context.Context, h *incident.History, kind string, data any) error {
	return w.appendAll(ctx, h, outcome{kind, data})
}

// outcome is an event to append.
type outcome struct {
	kind string
	data any
}

func (w *Worker) appendAll(ctx context.Context, h *incident.History, outcomes ...outcome) error {
	var events []incident.Event
	for _, o := range outcomes {
		e, err := incident.New(o.kind, incident.Cordon, "", w.clock.Now(), o.data)
		if err != nil {
			return err
		}
		events = append(events, e)
	}
	return w.store.Append(ctx, h, events...)
}

// insist appends what has happened and cannot be taken back, however often others write in between, and also when the
// call has used up its time.
func (w *Worker) insist(ctx context.Context, h *incident.History, outcomes ...outcome) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWithin)
	defer cancel()
	for {
		err := w.appendAll(ctx, h, outcomes...)
		if !errors.Is(err, bus.ErrConflict) {
			return err
		}
		fresh, err := w.store.Load(ctx, h.Subject)
		if err != nil {
			return err
		}
		*h = *fresh
	}
}

// alone keeps two steps of one tenant from passing the guardrail of the last administrator side by side.
func (w *Worker) alone(a Action, c *Call) (unlock func()) {
	if a.Name != userDisable.Name && a.Name != roleRemove.Name {
		return nil
	}
	w.mu.Lock()
	lock := w.tenant[c.Access.Tenant]
	if lock == nil {
		lock = &sync.Mutex{}
		w.tenant[c.Access.Tenant] = lock
	}
	w.mu.Unlock()
	lock.Lock()
	return lock.Unlock
}
