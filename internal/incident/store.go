package incident

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"cordon/internal/bus"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// Store reads and appends incidents. It keeps what it has folded of recently read subjects in memory and asks the
// stream's leader for newer events each time: what it returns is never stale.
type Store struct {
	bus *bus.Bus

	mu    sync.Mutex
	known map[string]*subject
}

// subject is what is known of one principal.
type subject struct {
	mu      sync.Mutex
	history *History
	events  []Numbered
}

// remembered bounds how many principals are kept in memory.
const remembered = 1000

// NewStore returns a store over the bus.
func NewStore(b *bus.Bus) *Store { return &Store{bus: b, known: map[string]*subject{}} }

// Load folds a principal's subject as it stands now. The history is the caller's own.
func (s *Store) Load(ctx context.Context, name string) (*History, error) {
	k := s.subject(name)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.catchUp(ctx, s.bus); err != nil {
		return nil, err
	}
	return k.history.Clone(), nil
}

// Events lists a subject's events with their sequences, oldest first.
func (s *Store) Events(ctx context.Context, name string) ([]Numbered, error) {
	k := s.subject(name)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.catchUp(ctx, s.bus); err != nil {
		return nil, err
	}
	return k.events[:len(k.events):len(k.events)], nil
}

// Numbered is an event with its place in the stream.
type Numbered struct {
	Event
	Sequence uint64 `json:"sequence"`
}

func (s *Store) subject(name string) *subject {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.known[name]; k != nil {
		return k
	}
	if len(s.known) >= remembered {
		for other := range s.known {
			delete(s.known, other) // any one: it is read again when it is asked for
			break
		}
	}
	k := &subject{history: &History{Subject: name}}
	s.known[name] = k
	return k
}

// catchUp folds what was appended since.
func (k *subject) catchUp(ctx context.Context, b *bus.Bus) error {
	err := b.After(ctx, bus.Incidents, k.history.Subject, k.history.Sequence, func(msg *jetstream.RawStreamMsg) error {
		var e Event
		if err := json.Unmarshal(msg.Data, &e); err != nil {
			return fmt.Errorf("reading event %d on %s: %w", msg.Sequence, msg.Subject, err)
		}
		if err := k.history.Apply(e, msg.Sequence, msg.Data); err != nil {
			return err
		}
		k.events = append(k.events, Numbered{Event: e, Sequence: msg.Sequence})
		return nil
	})
	if err != nil {
		return fmt.Errorf("loading incident: %w", err)
	}
	return nil
}

// Append adds events to a subject if it still is as h says; bus.ErrConflict means: load again, decide again.
// Several events land together or not at all. h is folded forward.
func (s *Store) Append(ctx context.Context, h *History, events ...Event) error {
	messages := make([]bus.Message, len(events))
	head := h.Head
	for n := range events {
		events[n].ID, events[n].Prev = nuid.Next(), head
		data, err := json.Marshal(events[n])
		if err != nil {
			return fmt.Errorf("encoding %s: %w", events[n].Type, err)
		}
		head = Hash(data)
		messages[n] = bus.Message{Subject: h.Subject, Data: data}
	}
	expect := h.Sequence
	messages[0].ExpectLast = &expect
	last, err := s.bus.PublishBatch(ctx, messages)
	if err != nil {
		return fmt.Errorf("appending %s: %w", events[0].Type, err)
	}
	for n, e := range events {
		if err := h.Apply(e, last-uint64(len(events)-1-n), messages[n].Data); err != nil {
			return err
		}
	}
	return nil
}

// Find returns the history that holds incident number n.
func (s *Store) Find(ctx context.Context, n uint64) (*History, *Incident, error) {
	stream := s.bus.Stream(bus.Incidents)
	msg, err := stream.GetMsg(ctx, n)
	if err != nil {
		return nil, nil, fmt.Errorf("finding incident %d: %w", n, err)
	}
	h, err := s.Load(ctx, msg.Subject)
	if err != nil {
		return nil, nil, err
	}
	for _, i := range h.Incidents {
		if i.Number == n {
			return h, i, nil
		}
	}
	return nil, nil, fmt.Errorf("finding incident %d: %w", n, jetstream.ErrMsgNotFound)
}

// All lists every principal's history.
func (s *Store) All(ctx context.Context) ([]*History, error) {
	stream := s.bus.Stream(bus.Incidents)
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter("incidents.>"))
	if err != nil {
		return nil, fmt.Errorf("listing incidents: %w", err)
	}
	var out []*History
	for subject := range info.State.Subjects {
		h, err := s.Load(ctx, subject)
		if err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, nil
}
