package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Timer asks to be reminded of something about an incident. The same ID set again replaces the timer.
type Timer struct {
	ID       string    `json:"id"`       // tokens joined by dots
	Incident string    `json:"incident"` // the incident's subject
	Kind     string    `json:"kind"`     // again, due, watch
	Step     string    `json:"step,omitempty"`
	Round    int       `json:"round,omitempty"`
	At       time.Time `json:"at"`
}

const dueHeader = "Cordon-Due"

// Schedule sets a timer: a JetStream message schedule, which survives every restart.
func (b *Bus) Schedule(ctx context.Context, t Timer) error {
	data, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encoding timer %s: %w", t.ID, err)
	}
	at := t.At.UTC().Format(time.RFC3339)
	msg := &nats.Msg{Subject: "timers." + t.ID, Data: data, Header: nats.Header{}}
	msg.Header.Set("Nats-Schedule", "@at "+at)
	msg.Header.Set("Nats-Schedule-Target", "due."+t.ID)
	msg.Header.Set("Nats-Schedule-TTL", "24h")
	msg.Header.Set(dueHeader, t.At.UTC().Format(time.RFC3339Nano))
	if _, err := b.js.PublishMsg(ctx, msg); err != nil {
		return fmt.Errorf("setting timer %s: %w", t.ID, err)
	}
	return nil
}

// pending lists the timers that are set, soonest first.
func (b *Bus) pending(ctx context.Context) ([]Timer, error) {
	s := b.Stream(Timers)
	info, err := s.Info(ctx, jetstream.WithSubjectFilter("timers.>"))
	if err != nil {
		return nil, fmt.Errorf("listing timers: %w", err)
	}
	var timers []Timer
	for subject := range info.State.Subjects {
		msg, err := b.Last(ctx, Timers, subject)
		if err != nil {
			return nil, err
		}
		if msg == nil {
			continue // fired meanwhile
		}
		var t Timer
		if err := json.Unmarshal(msg.Data, &t); err != nil {
			return nil, fmt.Errorf("reading timer %s: %w", subject, err)
		}
		timers = append(timers, t)
	}
	sort.Slice(timers, func(i, j int) bool { return timers[i].At.Before(timers[j].At) })
	return timers, nil
}

// NextTimer tells when the next timer is due; ok is false where none is set.
func (b *Bus) NextTimer(ctx context.Context) (at time.Time, ok bool, err error) {
	timers, err := b.pending(ctx)
	if err != nil || len(timers) == 0 {
		return time.Time{}, false, err
	}
	return timers[0].At, true, nil
}

// FireTimers fires each timer that is due by t, for clocks that jump: JetStream's own schedules run on wall time.
func (b *Bus) FireTimers(ctx context.Context, t time.Time) error {
	timers, err := b.pending(ctx)
	if err != nil {
		return err
	}
	s := b.Stream(Timers)
	for _, timer := range timers {
		if timer.At.After(t) {
			return nil
		}
		data, err := json.Marshal(timer)
		if err != nil {
			return fmt.Errorf("encoding timer %s: %w", timer.ID, err)
		}
		if _, err := b.Publish(ctx, Message{Subject: "due." + timer.ID, Data: data}); err != nil {
			return err
		}
		if err := s.Purge(ctx, jetstream.WithPurgeSubject("timers."+timer.ID)); err != nil {
			return fmt.Errorf("removing timer %s: %w", timer.ID, err)
		}
	}
	return nil
}
