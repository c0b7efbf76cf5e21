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

// Store reads and appends incidents. It keeps the events of recently read subjects in memory and asks the stream's
// leader for newer ones each time: what it returns is never stale.
type Store struct {
	bus *bus.Bus

	mu    sync.Mutex
	known map[string][]stored
}

type stored struct {
	event Event
	seq   uint64
	data  []byte
}

// remembered bounds how many principals' events are kept in memory.
const remembered = 1000

// NewStore returns a store over the bus.
func NewStore(b *bus.Bus) *Store { return &Store{bus: b, known: map[string][]stored{}} }

// Load folds a principal's subject as it stands now.
func (s *Store) Load(ctx context.Context, subject string) (*History, error) {
	events, err := s.events(ctx, subject)
	if err != nil {
		return nil, err
	}
	h := &History{Subject: subject}
	for _, e := range events {
		if err := h.Apply(e.event, e.seq, e.data); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// Events lists a subject's events with their sequences, oldest first.
func (s *Store) Events(ctx context.Context, subject string) ([]Numbered, error) {
	events, err := s.events(ctx, subject)
	if err != nil {
		return nil, err
	}
	out := make([]Numbered, len(events))
	for i, e := range events {
		out[i] = Numbered{Event: e.event, Sequence: e.seq}
	}
	return out, nil
}

// Numbered is an event with its place in the stream.
type Numbered struct {
	Event
	Sequence uint64 `json:"sequence"`
}

func (s *Store) events(ctx context.Context, subject string) ([]stored, error) {
	s.mu.Lock()
	have := s.known[subject]
	s.mu.Unlock()
	var last uint64
	if len(have) > 0 {
		last = have[len(have)-1].seq
	}
	fresh := have[:len(have):len(have)] // appending copies: others may hold the same slice
	err := s.bus.After(ctx, bus.Incidents, subject, last, func(msg *jetstream.RawStreamMsg) error {
		var e Event
		if err := json.Unmarshal(msg.Data, &e); err != nil {
			return fmt.Errorf("reading event %d on %s: %w", msg.Sequence, subject, err)
		}
		fresh = append(fresh, stored{e, msg.Sequence, msg.Data})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("loading incident: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= remembered {
		for other := range s.known {
			delete(s.known, other) // any one: it is read again when it is asked for
			break
		}
	}
	if len(fresh) > len(s.known[subject]) {
		s.known[subject] = fresh
	}
	return fresh, nil
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
	stream, err := s.bus.Stream(ctx, bus.Incidents)
	if err != nil {
		return nil, nil, err
	}
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
	stream, err := s.bus.Stream(ctx, bus.Incidents)
	if err != nil {
		return nil, err
	}
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
