package stage

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"cordon/internal/console"
	"cordon/internal/console/client"
	"cordon/internal/incident"
	"cordon/internal/simulator"
)

// People are the simulated analysts: they decide over the console's HTTP API, as anybody does.
func (s *Stage) People() []*client.Client {
	var out []*client.Client
	for _, name := range simulator.Analysts {
		out = append(out, client.New("http://"+s.App.Addr(), s.Sim.Token(name)))
	}
	return out
}

// Decide lets the simulated people approve everything that waits, each step by as many as it needs, and do every
// task. Recovery is offered, not proposed: nobody asks for it. With all they also approve what would run by itself if
// only the verdict were graver. It returns how many decisions were made.
func (s *Stage) Decide(ctx context.Context, all bool) (int, error) {
	people, made := s.People(), 0
	list, err := people[0].List(ctx)
	if err != nil {
		return 0, err
	}
	for _, sum := range list {
		i, err := people[0].Show(ctx, sum.Number)
		if err != nil {
			return made, err
		}
		for _, step := range i.Steps {
			automatic := step.State == incident.Waiting && step.Kind == incident.KindDo && step.Need == incident.Auto
			if !step.WaitsForPerson() && !(all && automatic) {
				continue
			}
			if step.Kind == incident.KindTask {
				if err := people[0].Decide(ctx, i.Number, console.Decision{Verb: "done", Place: step.Place, Why: "done by a simulated person"}, nil); err != nil {
					return made, fmt.Errorf("doing %s of incident %d: %w", step.Place, i.Number, err)
				}
				made++
				continue
			}
			for _, person := range people[:max(step.Missing(), 1)] {
				err := person.Decide(ctx, i.Number, console.Decision{Verb: "approve", Place: step.Place, Digest: step.Digest}, nil)
				var refused *client.Refused
				if errors.As(err, &refused) && refused.Status == http.StatusConflict {
					break // it changed while we looked: it is seen again
				}
				if err != nil {
					return made, fmt.Errorf("approving %s of incident %d: %w", step.Place, i.Number, err)
				}
				made++
			}
		}
	}
	return made, nil
}

// PlayUnattended plays to the end with the simulated people deciding whenever something waits.
func (s *Stage) PlayUnattended(ctx context.Context) error {
	for last := false; ; {
		if err := s.Settled(ctx); err != nil {
			return err
		}
		made, err := s.Decide(ctx, last)
		if err != nil {
			return err
		}
		if made > 0 {
			continue
		}
		if last {
			return s.tellNews(ctx)
		}
		if last, err = s.Step(ctx); err != nil {
			return err
		}
	}
}
