// Package stage runs an application against a simulator on one scenario clock, which jumps to the next event or due
// timer once nothing moves, and tells the story. It is what `cordon try` shows, and what tests of the whole play on.
package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"cordon/internal/app"
	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/config"
	"cordon/internal/record"
	"cordon/internal/simulator"
	"cordon/internal/simulator/scenario"
	"go.uber.org/zap"
)

// Stage is a scenario that is being played.
type Stage struct {
	Clock *clock.Scenario
	Sim   *simulator.Simulator
	App   *app.App
	Start time.Time // of the scenario
	Data  string

	Tell    func(format string, args ...any) // a line of the story; may be nil
	StillIn []string                         // tries of the attacker that were not refused

	acts    []scenario.Act
	told    *story
	refused int
}

// Horizon is how far ahead a timer may lie for the clock to jump to it: a watch of months outlives the play.
const Horizon = 24 * time.Hour

// Open starts the simulation and Cordon on top of it, in a data folder. The scenario begins at the next 03:10 UTC:
// its clock is never behind the machine's, on which JetStream's own timers run.
func Open(ctx context.Context, data, listen string, build simulator.Build, log *zap.Logger) (*Stage, error) {
	now := time.Now().UTC()
	start := time.Date(now.Year(), now.Month(), now.Day(), 3, 10, 0, 0, time.UTC)
	if start.Before(now) {
		start = start.Add(24 * time.Hour)
	}
	s := &Stage{Clock: clock.NewScenario(start), Start: start, Data: data, told: newStory()}
	var err error
	if s.Sim, err = simulator.Start(s.Clock, build); err != nil {
		return nil, err
	}
	text, err := s.Sim.Config(filepath.Join(data, "secrets"), data)
	var cfg *config.Config
	if err == nil {
		cfg, err = config.Parse(strings.NewReader(text))
	}
	if err == nil {
		cfg.Listen = listen
		s.App, err = app.New(ctx, cfg, app.Options{Clock: s.Clock, Log: log, LocalDecides: true})
	}
	if err != nil {
		return nil, errors.Join(err, s.Sim.Close())
	}
	if err := s.App.Start(ctx); err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	return s, nil
}

// Close stops Cordon and the simulation.
func (s *Stage) Close(ctx context.Context) error {
	return errors.Join(s.App.Stop(ctx), s.Sim.Close())
}

// Load adds acts to play, in order of time.
func (s *Stage) Load(acts []scenario.Act) { s.acts = append(s.acts, acts...) }

// Step jumps to the next act, delivery or due timer and lets it happen; done says that none is left.
func (s *Stage) Step(ctx context.Context) (done bool, err error) {
	if err := s.Settled(ctx); err != nil {
		return false, err
	}
	if err := s.tellNews(ctx); err != nil {
		return false, err
	}
	timer, set, err := s.App.NextTimer(ctx)
	if err != nil {
		return false, err
	}
	delivery, due := s.Sim.NextDelivery()
	var next time.Time
	consider := func(t time.Time, ok bool) {
		if ok && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	consider(timer, set && timer.Before(s.Clock.Now().Add(Horizon)))
	consider(delivery, due)
	if len(s.acts) > 0 {
		consider(s.Start.Add(s.acts[0].At), true)
	}
	if next.IsZero() {
		return true, nil
	}
	s.Clock.JumpTo(next)
	for len(s.acts) > 0 && !s.Start.Add(s.acts[0].At).After(next) {
		act := s.acts[0]
		s.acts = s.acts[1:]
		err := s.Sim.World.Play(s.Start, act)
		if err := s.act(act, err); err != nil {
			return false, err
		}
	}
	s.Sim.Deliver(next)
	return false, s.App.FastForward(ctx, next)
}

// act takes what came of an act: a contained attacker is refused.
func (s *Stage) act(a scenario.Act, err error) error {
	switch {
	case !a.Refusable && err != nil:
		return fmt.Errorf("playing %q: %w", a.Story, err)
	case !a.Refusable:
		return nil
	case err == nil:
		s.StillIn = append(s.StillIn, "the attacker was not refused: "+a.Story)
	default:
		s.refused++
	}
	if s.Tell != nil {
		try, _, _ := strings.Cut(a.Story, ". ")
		s.Tell("%s  %s: %s", s.Start.Add(a.At).Format("15:04:05"), try, map[bool]string{true: "refused", false: "it still works, until a step that waits is approved"}[err != nil])
	}
	return nil
}

// Settled waits until every record that was delivered has been stored, and nothing moves in Cordon.
func (s *Stage) Settled(ctx context.Context) error {
	for {
		stored, err := s.stored(ctx)
		if err != nil {
			return err
		}
		if stored {
			return s.App.Settled(ctx)
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("waiting for records to be stored: %w", ctx.Err())
		}
	}
}

func (s *Stage) stored(ctx context.Context) (bool, error) {
	for _, t := range s.Sim.World.Tenants {
		if t == s.Sim.World.Partner {
			continue
		}
		hub, source := s.Sim.Hub(t.ID()), s.Sim.Source(t.ID())
		for p := range hub.Partitions() {
			last := hub.Last(p)
			if last < 0 {
				continue
			}
			msg, err := s.App.Bus().Last(ctx, bus.Logs, bus.CheckpointSubject(source, fmt.Sprint(p)))
			if err != nil {
				return false, err
			}
			var at record.Checkpoint
			if msg != nil {
				if err := json.Unmarshal(msg.Data, &at); err != nil {
					return false, fmt.Errorf("reading a checkpoint: %w", err)
				}
			}
			if msg == nil || at.Sequence < last || at.Sequence == last && !at.Done {
				return false, nil
			}
		}
	}
	return true, nil
}

// Play steps until nothing is left to happen by itself.
func (s *Stage) Play(ctx context.Context) error {
	for {
		done, err := s.Step(ctx)
		if done || err != nil {
			return err
		}
	}
}
