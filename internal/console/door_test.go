package console

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/incident"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

func serve(t *testing.T, change func(*Server)) (s *Server, base string) {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	s, err = New(Config{Bus: b, Store: incident.NewStore(b), Clock: clock.Wall{}, Log: zap.NewNop(),
		Analysts: []Analyst{{Person: incident.Person{Name: "alex"}, Token: "token"}}})
	require.NoError(t, err)
	if change != nil {
		change(s)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	return s, "http://" + l.Addr().String()
}

func TestAConfirmationComesTooLate(t *testing.T) {
	c := newConfirmation()
	token, err := c.Ask("alex", "undo")
	require.NoError(t, err)
	late := c.open[token]
	late.until = time.Now().Add(-time.Second)
	c.open[token] = late
	_, ok := c.Met("alex", "undo", token)
	require.False(t, ok)

	token, err = c.Ask("alex", "undo")
	require.NoError(t, err)
	how, ok := c.Met("alex", "undo", token)
	require.True(t, ok)
	require.Equal(t, "second confirmation", how)
	_, ok = c.Met("alex", "undo", token)
	require.False(t, ok, "it is met once")

	token, err = c.Ask("alex", "undo")
	require.NoError(t, err)
	late = c.open[token]
	late.until = time.Now().Add(-time.Second)
	c.open[token] = late
	_, err = c.Ask("sam", "undo")
	require.NoError(t, err)
	require.Len(t, c.open, 1, "what nobody answered is forgotten")
}

func TestLinksAndSessionsExpire(t *testing.T) {
	s, base := serve(t, nil)
	defer http.DefaultClient.CloseIdleConnections()
	get := func(url, session string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		require.NoError(t, err)
		if session != "" {
			r.AddCookie(&http.Cookie{Name: cookieName, Value: session})
		}
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode
	}
	link, err := s.Link(base, "alex", "/")
	require.NoError(t, err)
	s.door.mu.Lock()
	for token, p := range s.door.links {
		p.until = time.Now().Add(-time.Second)
		s.door.links[token] = p
	}
	s.door.sessions["over"] = pass{incident.Person{Name: "alex"}, time.Now().Add(-time.Second)}
	s.door.sessions["open"] = pass{incident.Person{Name: "alex"}, time.Now().Add(time.Minute)}
	s.door.mu.Unlock()
	require.Equal(t, 403, get(link, ""))
	require.Equal(t, 401, get(base+"/", "over"))
	require.Equal(t, 200, get(base+"/", "open"))
}

// The bounds on a request must not end a stream that is written to for hours.
func TestAnEventStreamOutlivesTheTimeouts(t *testing.T) {
	s, base := serve(t, func(s *Server) {
		s.web.ReadTimeout, s.web.WriteTimeout, s.web.IdleTimeout = 100*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond
	})
	r, err := http.NewRequestWithContext(t.Context(), "GET", base+"/events", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer token")
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for in := bufio.NewScanner(answer.Body); in.Scan(); {
		}
	}()
	select {
	case <-ended:
		require.Fail(t, "the stream has ended by itself")
	case <-time.After(400 * time.Millisecond):
	}
	s.live.mu.Lock()
	require.Len(t, s.live.pages, 1)
	s.live.mu.Unlock()
	require.NoError(t, answer.Body.Close())
	<-ended
	http.DefaultClient.CloseIdleConnections()
}
