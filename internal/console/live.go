package console

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"cordon/internal/bus"
	"cordon/internal/incident"
	"github.com/nats-io/nats.go/jetstream"
)

// live tells the open pages that something happened.
type live struct {
	mu    sync.Mutex
	pages map[chan uint64]bool
}

func newLive() *live { return &live{pages: map[chan uint64]bool{}} }

// follow reads INCIDENTS from its end.
func (l *live) follow(ctx context.Context, b *bus.Bus) error {
	last, err := b.LastSequence(ctx, bus.Incidents)
	if err != nil {
		return err
	}
	return b.Follow(ctx, bus.Incidents, []string{"incidents.>"}, last+1, func(m jetstream.Msg) error {
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("reading an event: %w", err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		for page := range l.pages {
			select {
			case page <- meta.Sequence.Stream:
			default: // it has been told already and has not looked yet
			}
		}
		return nil
	}, nil)
}

// events is a page's stream of server-sent events: one for each change, without content; the page looks again.
func (s *Server) events(w http.ResponseWriter, r *http.Request, _ incident.Person) error {
	flush := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	page := make(chan uint64, 1)
	s.live.mu.Lock()
	s.live.pages[page] = true
	s.live.mu.Unlock()
	defer func() {
		s.live.mu.Lock()
		delete(s.live.pages, page)
		s.live.mu.Unlock()
	}()
	beat := time.NewTicker(15 * time.Second)
	defer beat.Stop()
	text := ": open\n\n"
	for {
		_ = flush.SetWriteDeadline(time.Now().Add(10 * time.Second)) // not every writer can; a stuck client then ends with ctx
		if _, err := w.Write([]byte(text)); err != nil {
			return nil // the page has gone
		}
		if err := flush.Flush(); err != nil {
			return nil
		}
		select {
		case seq := <-page:
			text = fmt.Sprintf("id: %d\ndata: changed\n\n", seq)
		case <-beat.C:
			text = ": here\n\n"
		case <-r.Context().Done():
			return nil
		}
	}
}
