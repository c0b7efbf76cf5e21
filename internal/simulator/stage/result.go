package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"cordon/internal/bus"
	"cordon/internal/finding"
	"cordon/internal/incident"
	"github.com/nats-io/nats.go/jetstream"
)

// Result is what a play came to, as `cordon try --unattended --json` prints it.
type Result struct {
	Records   int            `json:"records"`
	Findings  int            `json:"findings"`
	Incidents int            `json:"incidents"`
	Steps     map[string]int `json:"steps"` // by state
	// RecordToContainmentMs is wall time from enqueueing in the hub to the answer of an incident's first containment
	// call, over the incidents.
	RecordToContainmentMs Latency `json:"recordToContainmentMs"`
}

// Latency is in milliseconds.
type Latency struct {
	P50 float64 `json:"p50"`
	Max float64 `json:"max"`
}

// Result reads what the streams hold.
func (s *Stage) Result(ctx context.Context) (Result, error) {
	out := Result{Steps: map[string]int{}}
	b := s.App.Bus()
	if err := b.Scan(ctx, bus.Logs, "logs.>", time.Time{}, func(jetstream.Msg) error { out.Records++; return nil }); err != nil {
		return out, err
	}
	found := map[string]finding.Finding{}
	err := b.Scan(ctx, bus.Findings, "findings.>", time.Time{}, func(m jetstream.Msg) error {
		var f finding.Finding
		if err := json.Unmarshal(m.Data(), &f); err != nil {
			return fmt.Errorf("reading a finding: %w", err)
		}
		if _, known := found[f.ID]; !known {
			found[f.ID] = f // the first revision: what opened
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	out.Findings = len(found)
	all, err := s.App.Store().All(ctx)
	if err != nil {
		return out, err
	}
	var took []float64
	for _, h := range all {
		for _, i := range h.Incidents {
			out.Incidents++
			for _, step := range i.Steps {
				out.Steps[step.State]++
			}
		}
		ms, ok, err := s.containment(ctx, h, found)
		if err != nil {
			return out, err
		}
		if ok {
			took = append(took, ms)
		}
	}
	if len(took) > 0 {
		slices.Sort(took)
		out.RecordToContainmentMs = Latency{P50: took[(len(took)-1)/2], Max: took[len(took)-1]}
	}
	return out, nil
}

// containment measures a principal's first incident: from the last record of the finding that opened it to the
// first answer to a step of contain. Both are taken from the wall clock, at the hub and at the stream.
func (s *Stage) containment(ctx context.Context, h *incident.History, found map[string]finding.Finding) (float64, bool, error) {
	var enqueued, answered time.Time
	err := s.App.Bus().After(ctx, bus.Incidents, h.Subject, 0, func(m *jetstream.RawStreamMsg) error {
		var e incident.Event
		if err := json.Unmarshal(m.Data, &e); err != nil {
			return fmt.Errorf("reading an event: %w", err)
		}
		switch {
		case e.Type == incident.Opened && enqueued.IsZero():
			for _, p := range found[e.Cause].Proof {
				for _, position := range p.Positions {
					if t, ok := s.enqueued(position); ok && t.After(enqueued) {
						enqueued = t
					}
				}
			}
		case e.Type == incident.StepDone && answered.IsZero():
			var d incident.FinishedData
			if err := json.Unmarshal(e.Data, &d); err != nil {
				return fmt.Errorf("reading an event: %w", err)
			}
			if strings.HasPrefix(d.Place, "contain.") {
				answered = m.Time
			}
		}
		return nil
	})
	if err != nil || enqueued.IsZero() || answered.IsZero() {
		return 0, false, err
	}
	return float64(answered.Sub(enqueued).Microseconds()) / 1000, true, nil
}

func (s *Stage) enqueued(position string) (time.Time, bool) {
	parts := strings.Split(position, "/")
	if len(parts) != 4 {
		return time.Time{}, false
	}
	var partition int
	var sequence int64
	if _, err := fmt.Sscanf(parts[1]+" "+parts[2], "%d %d", &partition, &sequence); err != nil {
		return time.Time{}, false
	}
	for _, t := range s.Sim.World.Tenants {
		if strings.HasSuffix(parts[0], "%2F"+s.Sim.HubName(t.ID())) {
			return s.Sim.Hub(t.ID()).EnqueuedWall(partition, sequence)
		}
	}
	return time.Time{}, false
}

// Left says what keeps a play from being a success: a failed step, or something that still waits. A watch may outlive
// everything.
func (s *Stage) Left(ctx context.Context) ([]string, error) {
	all, err := s.App.Store().All(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, h := range all {
		for _, i := range h.Incidents {
			for _, step := range i.Steps {
				switch step.State {
				case incident.Failed, incident.Waiting, incident.Retrying, incident.Running, incident.Approved:
					out = append(out, fmt.Sprintf("incident %d: %s (%s) is %s %s", i.Number, step.Place, step.Says, step.State, step.Error))
				}
			}
		}
	}
	return append(out, s.StillIn...), nil
}
