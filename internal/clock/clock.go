// Package clock says what time it is. Everything in Cordon that compares, stamps or schedules asks a Clock that
// it was given, so that a whole application can live in a test's time or in a scenario's.
package clock

import (
	"sync"
	"time"
)

// Clock tells the time, always in UTC.
type Clock interface{ Now() time.Time }

// Wall is the machine's clock.
type Wall struct{}

// Now returns the machine's time.
func (Wall) Now() time.Time { return time.Now().UTC() }

// Scenario is a clock that runs like the wall clock and can also jump ahead. It never goes back.
type Scenario struct {
	mu     sync.Mutex
	offset time.Duration
}

// NewScenario returns a clock that shows start now.
func NewScenario(start time.Time) *Scenario {
	return &Scenario{offset: time.Until(start)}
}

// Now returns the scenario's time.
func (s *Scenario) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.offset).UTC()
}

// JumpTo moves the clock ahead to t; a time that has passed already changes nothing.
func (s *Scenario) JumpTo(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ahead := t.Sub(time.Now().Add(s.offset)); ahead > 0 {
		s.offset += ahead
	}
}
