package incident

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"cordon/internal/bus"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

func openBus(t *testing.T) *bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return b
}

func event(t require.TestingT, kind, by string, data any) Event {
	e, err := New(kind, by, "", start, data)
	require.NoError(t, err)
	return e
}

var subject1 = bus.IncidentSubject(home, avery)

func TestOfTwoWritersOneIsTold(t *testing.T) {
	b := openBus(t)
	one, two := NewStore(b), NewStore(b)
	a, err := one.Load(t.Context(), subject1)
	require.NoError(t, err)
	z, err := two.Load(t.Context(), subject1)
	require.NoError(t, err)
	require.NoError(t, one.Append(t.Context(), a, event(t, Opened, Cordon, opened())))
	for _, late := range [][]Event{
		{event(t, Opened, Cordon, opened())},
		{event(t, Opened, Cordon, opened()), event(t, Noted, "sam", NoteData{Text: "half"})}, // whole or not at all
	} {
		require.ErrorIs(t, two.Append(t.Context(), z, late...), bus.ErrConflict)
	}
	again, err := two.Load(t.Context(), subject1)
	require.NoError(t, err)
	require.Len(t, again.Incidents, 1)
	require.Empty(t, again.Current().Notes)
	require.NoError(t, two.Append(t.Context(), again, event(t, Noted, "sam", NoteData{Text: "now"}), event(t, Closed, "sam", NoteData{})))

	// What Append folded forward is what a stranger reads.
	fresh, err := NewStore(b).Load(t.Context(), subject1)
	require.NoError(t, err)
	require.Equal(t, text(t, fresh), text(t, again))
	require.EqualValues(t, fresh.Current().Number, 1)
	require.EqualValues(t, 3, fresh.Sequence)
}

func TestLoadIsNeverStaleAndTheCallersOwn(t *testing.T) {
	b := openBus(t)
	writer, reader := NewStore(b), NewStore(b)
	h, err := writer.Load(t.Context(), subject1)
	require.NoError(t, err)
	require.NoError(t, writer.Append(t.Context(), h, event(t, Opened, Cordon, opened())))
	for n := range 5 {
		require.NoError(t, writer.Append(t.Context(), h, event(t, Noted, "sam", NoteData{Text: fmt.Sprint(n)})))
		seen, err := reader.Load(t.Context(), subject1)
		require.NoError(t, err)
		require.Len(t, seen.Current().Notes, n+1)
		seen.Current().Notes[0].Text = "scribbled"
		seen.Current().Verdict = "scribbled"
	}
	seen, err := reader.Load(t.Context(), subject1)
	require.NoError(t, err)
	require.Equal(t, text(t, h), text(t, seen))
	events, err := reader.Events(t.Context(), subject1)
	require.NoError(t, err)
	require.Len(t, events, 6)
	require.EqualValues(t, 6, events[5].Sequence)
}

func TestManyWritersLoseNothing(t *testing.T) {
	b := openBus(t)
	const writers, each = 4, 6
	var hands sync.WaitGroup
	for w := range writers {
		hands.Go(func() {
			s := NewStore(b)
			for n := 0; n < each; {
				h, err := s.Load(t.Context(), subject1)
				if err != nil {
					t.Error(err)
					return
				}
				events := []Event{event(t, Noted, "sam", NoteData{Text: fmt.Sprintf("%d.%d", w, n)})}
				if h.Current() == nil {
					events = []Event{event(t, Opened, Cordon, opened()), events[0]}
				}
				switch err := s.Append(t.Context(), h, events...); {
				case err == nil:
					n++
				case !errors.Is(err, bus.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	hands.Wait()
	h, err := NewStore(b).Load(t.Context(), subject1)
	require.NoError(t, err, "the chain holds")
	require.Len(t, h.Incidents, 1)
	require.Len(t, h.Current().Notes, writers*each)
}

func TestAForgedEventIsSeenEachTime(t *testing.T) {
	b := openBus(t)
	s := NewStore(b)
	h, err := s.Load(t.Context(), subject1)
	require.NoError(t, err)
	require.NoError(t, s.Append(t.Context(), h, event(t, Opened, Cordon, opened())))
	forged, err := json.Marshal(event(t, Closed, "nobody", NoteData{Text: "nothing to see"}))
	require.NoError(t, err)
	_, err = b.Publish(t.Context(), bus.Message{Subject: subject1, Data: forged})
	require.NoError(t, err)
	for range 2 {
		_, err = s.Load(t.Context(), subject1)
		require.ErrorContains(t, err, "the chain is broken")
	}
}

func TestFind(t *testing.T) {
	b := openBus(t)
	s := NewStore(b)
	h, err := s.Load(t.Context(), subject1)
	require.NoError(t, err)
	require.NoError(t, s.Append(t.Context(), h, event(t, Opened, Cordon, opened()), event(t, Closed, "sam", NoteData{}), event(t, Opened, Cordon, opened())))
	_, i, err := s.Find(t.Context(), 1)
	require.NoError(t, err)
	require.NotNil(t, i.Closed)
	_, i, err = s.Find(t.Context(), 3)
	require.NoError(t, err)
	require.Nil(t, i.Closed)
	for _, n := range []uint64{2, 99} { // another event; nothing
		_, _, err = s.Find(t.Context(), n)
		require.ErrorIs(t, err, jetstream.ErrMsgNotFound)
	}
	other, err := s.Load(t.Context(), bus.IncidentSubject(home, "*.>"))
	require.NoError(t, err)
	require.NoError(t, s.Append(t.Context(), other, event(t, Opened, Cordon, opened())))
	all, err := s.All(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 2)
}
