package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// merge puts acts into the order of their time.
func merge(lists ...[]Act) []Act {
	all := slices.Concat(lists...)
	slices.SortStableFunc(all, func(a, b Act) int { return cmp.Compare(a.At, b.At) })
	return all
}

// Play lets one act happen at its own time, start+At, whatever the clock says.
func (w *World) Play(start time.Time, a Act) error {
	w.playing.Lock()
	defer w.playing.Unlock()
	w.pin(start.Add(a.At))
	defer w.pin(time.Time{})
	return a.Do()
}

func (w *World) pin(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moment = t
}

// PlayAll plays the attack up to its end, without the tries that follow containment.
func (w *World) PlayAll(start time.Time) error {
	for _, a := range Attack(w) {
		if a.Refusable {
			continue
		}
		if err := w.Play(start, a); err != nil {
			return fmt.Errorf("playing the act at %s: %w", a.At, err)
		}
	}
	return nil
}

// Outcome is how one try ended: a nil error means that the attacker is still in.
type Outcome struct {
	Act Act
	Err error
}

// Retry plays the tries that follow containment.
func (w *World) Retry(start time.Time) []Outcome {
	var out []Outcome
	for _, a := range Attack(w) {
		if a.Refusable {
			out = append(out, Outcome{a, w.Play(start, a)})
		}
	}
	return out
}
