// Package replay runs stored records through rules again, and says in what the findings differ: what the rules that run
// find against what others would, or against what was recorded at the time. It writes nothing.
package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing/fstest"
	"time"

	"cordon/detectors"
	"cordon/detectors/fields"
	"cordon/detectors/sigma"
	"cordon/detectors/silence"
	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/difference"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/record"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// Set is a set of rules, with what their fields mean, and the modes that the configuration gives them.
type Set struct {
	Rules []*sigma.Rule
	Table *fields.Table
	Modes map[string]string
}

// given are the modes for the rules that the set has.
func (s Set) given(modes map[string]string) map[string]string {
	out := map[string]string{}
	for _, r := range s.Rules {
		if mode, ok := modes[r.Name]; ok {
			out[r.Name] = mode
		}
	}
	return out
}

// Config is what a Replayer needs.
type Config struct {
	Bus       *bus.Bus
	Directory *directory.Directory // the running one: replays ask a clone of it
	Own       []string             // the application ids under which Cordon changes tenants
	Lateness  record.Lateness
	Running   func() Set // the rules that run
	Clock     clock.Clock
	Log       *zap.Logger
}

// Replayer makes replays, one at a time.
type Replayer struct {
	cfg  Config
	busy sync.Mutex
}

// New returns a Replayer.
func New(cfg Config) *Replayer { return &Replayer{cfg: cfg} }

// slack is how much earlier than its event time a record may have been stored: event times further ahead are clamped.
const slack = 5 * time.Minute

// Replay reads LOGS once and tells how far it has come, at least once a second and first of all when nothing is wrong with
// the request. It ends with ctx. A *difference.Refusal says what cannot be, before anything is read.
func (r *Replayer) Replay(ctx context.Context, req difference.Request, told func(difference.Progress) error) (*difference.Report, error) {
	if !r.busy.TryLock() {
		return nil, &difference.Refusal{Reason: "another replay runs; one at a time, for the sake of the detectors", Busy: true}
	}
	defer r.busy.Unlock()
	if req.Until.IsZero() {
		req.Until = r.cfg.Clock.Now().UTC()
	}
	if req.Limit == 0 {
		req.Limit = difference.DefaultLimit
	}
	if err := req.Check(); err != nil {
		return nil, err
	}
	p := &pass{cfg: r.cfg, req: req, told: told, began: time.Now(),
		before: difference.NewSide(req.Since, req.Until), after: difference.NewSide(req.Since, req.Until)}
	if err := p.prepare(); err != nil {
		return nil, err
	}
	if err := p.tell(false); err != nil {
		return nil, err
	}
	if err := p.run(ctx); err != nil {
		return nil, err
	}
	return p.report(), nil
}

// load reads the rules that came with a request.
func load(files map[string]string) (Set, error) {
	folder := fstest.MapFS{}
	for name, text := range files {
		folder[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o400}
	}
	rules, err := detectors.Load(folder)
	if err != nil {
		return Set{}, difference.Refuse("%v", err)
	}
	table, err := fields.Load(folder)
	if err != nil {
		return Set{}, difference.Refuse("%v", err)
	}
	return Set{Rules: rules, Table: table}, nil
}

// pass is one replay.
type pass struct {
	cfg   Config
	req   difference.Request
	told  func(difference.Progress) error
	began time.Time

	engines       []*detectors.Engine
	reread        *detectors.Reread
	before, after *difference.Side
	read          uint64 // sequence of LOGS
	begins        time.Time
	unread        int64
	progress      difference.Progress
	spoke, asked  time.Time
}

// recorded says that what FINDINGS holds is one of the sides.
func (p *pass) recorded() bool { return p.req.Files == nil }

// prepare makes the engines. All that can be wrong with rules is said here.
func (p *pass) prepare() error {
	dir := p.cfg.Directory.Clone()
	engine := func(s Set) (err error) {
		e, err := detectors.NewEngine(s.Rules, dir, detectors.WithFields(s.Table), detectors.WithModes(s.Modes))
		p.engines = append(p.engines, e)
		return err
	}
	running := p.cfg.Running()
	if err := engine(running); err != nil {
		return err
	}
	if !p.recorded() {
		given, err := load(p.req.Files)
		if err != nil {
			return err
		}
		given.Modes = given.given(running.Modes)
		if err := engine(given); err != nil {
			return difference.Refuse("%v", err)
		}
	}
	p.reread = detectors.NewReread(dir, p.cfg.Own, p.cfg.Lateness, p.found, p.engines...)
	return nil
}

// found takes what an engine finds to its side.
func (p *pass) found(engine int, found []finding.Finding) {
	if engine == 0 && !p.recorded() {
		p.before.Add(found)
		return
	}
	p.after.Add(found)
}

// maxRounds is how often a replay runs after the detectors, which work on while it reads.
const maxRounds = 4

func (p *pass) run(ctx context.Context) error {
	for round := 0; round == 0 || p.recorded() && round < maxRounds; round++ {
		// What was recorded is compared as far as the detectors have come, else with what they have not looked at yet.
		last, err := p.end(ctx)
		if err != nil {
			return err
		}
		if round > 0 && last == p.read {
			break
		}
		span := bus.Span{Stream: bus.Logs, Filter: []string{bus.RecordsIn(p.req.Tenant)}, After: p.read, Last: last}
		if round == 0 {
			span.Since = p.req.Since.Add(-p.reread.Back() - slack)
			if err := p.beginning(ctx, span.Since); err != nil {
				return err
			}
		}
		err = p.cfg.Bus.ScanSpan(ctx, span, func(m jetstream.Msg) error { return p.message(ctx, m) })
		if err != nil {
			return err
		}
		p.read = last
	}
	err := p.cfg.Bus.Scan(ctx, bus.Logs, "cp.>", time.Time{}, func(m jetstream.Msg) error {
		var cp record.Checkpoint
		if err := json.Unmarshal(m.Data(), &cp); err != nil {
			return fmt.Errorf("reading a checkpoint: %w", err)
		}
		p.reread.Checkpoint(cp)
		return nil
	})
	if err != nil {
		return err
	}
	p.reread.Settle()
	if p.recorded() { // what the watermark has not passed waits there too
		return p.readFindings(ctx)
	}
	p.reread.End()
	return nil
}

func (p *pass) end(ctx context.Context) (uint64, error) {
	if p.recorded() {
		return detectors.Handled(ctx, p.cfg.Bus)
	}
	return p.cfg.Bus.LastSequence(ctx, bus.Logs)
}

// beginning finds out whether LOGS still holds what the first windows need.
func (p *pass) beginning(ctx context.Context, need time.Time) error {
	first, err := p.cfg.Bus.Stream(bus.Logs).GetMsg(ctx, 1, jetstream.WithGetMsgSubject(bus.RecordsIn("")))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound): // there are none at all
	case err != nil:
		return fmt.Errorf("reading the first record of %s: %w", bus.Logs, err)
	case first.Time.After(need):
		p.begins = first.Time.UTC()
	}
	return nil
}

// message looks at a stored record.
func (p *pass) message(ctx context.Context, m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("reading a message: %w", err)
	}
	p.progress.Records++
	p.progress.Total = p.progress.Records + int64(min(meta.NumPending, 1<<62))
	if err := p.pace(ctx); err != nil {
		return err
	}
	rec, position, err := record.FromLogs(m.Headers(), m.Data())
	if err != nil {
		p.unread++ // an edition that can no longer decode it must not be kept from the others
		return nil
	}
	p.progress.At = rec.Time
	// A record after the period may still be of a slot that began in it; later ones may say who held which role.
	if !rec.Time.Before(p.req.Until.Add(p.reread.Back())) {
		p.reread.Learn(rec)
		return nil
	}
	enqueued, err := time.Parse(time.RFC3339Nano, m.Headers().Get(record.HeaderEnqueued))
	if err != nil {
		return fmt.Errorf("reading a stored record's enqueued time: %w", err)
	}
	p.reread.Record(rec, position, enqueued, meta.Timestamp)
	return nil
}

// readFindings reads what was recorded: of each finding the last revision.
func (p *pass) readFindings(ctx context.Context) error {
	since := p.req.Since.Add(-slack)
	return p.cfg.Bus.Scan(ctx, bus.Findings, bus.FindingsIn(p.req.Tenant), since, func(m jetstream.Msg) error {
		if err := p.speak(false); err != nil {
			return err
		}
		var f finding.Finding
		if err := json.Unmarshal(m.Data(), &f); err != nil {
			return fmt.Errorf("reading a finding: %w", err)
		}
		if detectors.FromRules(f) && f.Rule != silence.SilentRule && f.Rule != silence.UnreadRule {
			p.before.Add([]finding.Finding{f})
		}
		return nil
	})
}

func (p *pass) report() *difference.Report {
	r := &difference.Report{Since: p.req.Since.UTC(), Until: p.req.Until.UTC(), Tenant: p.req.Tenant, Before: difference.Recorded, After: difference.Running,
		Records: p.progress.Records, Unread: p.unread, Begins: p.begins, Took: time.Since(p.began), Silenced: p.engines[len(p.engines)-1].Silenced()}
	if !p.recorded() {
		r.Before, r.After = difference.Running, difference.Given
	}
	r.Rules, r.Changes, r.Left = difference.Compare(p.before, p.after, p.req.Limit)
	return r
}
