package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"

	"cordon/internal/bus"
	"cordon/internal/incident"
	"go.uber.org/zap"
)

const (
	cookieName  = "cordon"
	sessionTime = 12 * time.Hour
	linkTime    = 24 * time.Hour
	proofTime   = 2 * time.Minute
)

// door knows who comes in: by a bearer token (terminal, API) or by a session that a one-time link began.
type door struct {
	cfg      Config
	mu       sync.Mutex
	links    map[string]pass
	sessions map[string]pass
}

type pass struct {
	person incident.Person
	until  time.Time
}

func newDoor(cfg Config) *door {
	return &door{cfg: cfg, links: map[string]pass{}, sessions: map[string]pass{}}
}

func (d *door) link(base, analyst, page string) (string, error) {
	for _, a := range d.cfg.Analysts {
		if a.Name != analyst {
			continue
		}
		token, err := random()
		if err != nil {
			return "", err
		}
		d.mu.Lock()
		d.links[token] = pass{a.Person, time.Now().Add(linkTime)}
		d.mu.Unlock()
		return base + "/login?" + url.Values{"token": {token}, "next": {page}}.Encode(), nil
	}
	return "", fmt.Errorf("there is no analyst %q", analyst)
}

// who finds the person behind a request.
func (d *door) who(r *http.Request) (incident.Person, bool) {
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return d.byToken(bearer)
	}
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return incident.Person{}, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.sessions[cookie.Value]
	return p.person, ok && time.Now().Before(p.until)
}

// byToken compares with every analyst's token in constant time.
func (d *door) byToken(token string) (found incident.Person, ok bool) {
	given := sha256.Sum256([]byte(token))
	for _, a := range d.cfg.Analysts {
		want := sha256.Sum256([]byte(a.Token))
		if subtle.ConstantTimeCompare(given[:], want[:]) == 1 && a.Token != "" {
			found, ok = a.Person, true
		}
	}
	return found, ok
}

// wrongToken is how long the answer to a wrong token takes: guessing is pointless in any case, and slow.
const wrongToken = time.Second

// login trades a one-time link for a session; without one it shows the form for an analyst's own token.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("token")
	if token == "" {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		s.render(w, "login", "")
		return
	}
	s.door.mu.Lock()
	p, ok := s.door.links[token]
	delete(s.door.links, token)
	s.door.mu.Unlock()
	if !ok || time.Now().After(p.until) {
		s.fail(w, http.StatusForbidden, "This link has been used or has expired.")
		return
	}
	s.enter(w, r, p.person, r.URL.Query().Get("next"))
}

// loginToken takes the form.
func (s *Server) loginToken(w http.ResponseWriter, r *http.Request) {
	p, ok := s.door.byToken(strings.TrimSpace(r.PostFormValue("token")))
	if !ok {
		select {
		case <-time.After(wrongToken):
		case <-r.Context().Done():
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusForbidden)
		s.render(w, "login", "This is no analyst's token.")
		return
	}
	s.enter(w, r, p, "/")
}

// enter begins a session, on the record.
func (s *Server) enter(w http.ResponseWriter, r *http.Request, p incident.Person, next string) {
	id, err := random()
	if err == nil {
		err = s.journal(r.Context(), p.Name, "login", nil)
	}
	if err != nil {
		s.cfg.Log.Error("logging in", zap.Error(err))
		s.fail(w, http.StatusInternalServerError, "Cordon could not record the login.")
		return
	}
	s.door.mu.Lock()
	s.door.sessions[id] = pass{p, time.Now().Add(sessionTime)}
	s.door.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: s.cfg.Secure, MaxAge: int(sessionTime.Seconds())})
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.HasPrefix(next, "/\\") || strings.ContainsFunc(next, unicode.IsControl) {
		next = "/" // nowhere but here: browsers leave a tab out, and find a second slash behind it
	}
	// A redirect would still count as coming from elsewhere, and a strict cookie would stay behind.
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	s.render(w, "enter", next)
}

// journal records what a person does outside any incident.
func (s *Server) journal(ctx context.Context, who, what string, about any) error {
	subject := bus.AuditSubject("cordon")
	for {
		last, err := s.cfg.Bus.Last(ctx, bus.Audit, subject)
		if err != nil {
			return err
		}
		e, err := incident.New(what, who, "", s.cfg.Clock.Now(), about)
		if err != nil {
			return err
		}
		expect := uint64(0)
		if last != nil {
			e.Prev, expect = incident.Hash(last.Data), last.Sequence
		}
		if e.ID, err = random(); err != nil {
			return err
		}
		data, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("encoding %s: %w", what, err)
		}
		if _, err := s.cfg.Bus.Publish(ctx, bus.Message{Subject: subject, Data: data, ExpectLast: &expect}); !errors.Is(err, bus.ErrConflict) {
			return err
		}
	}
}

// SecondProof asks a person again before access is given back. Passkeys will be one; until then it is a second
// confirmation on the page.
type SecondProof interface {
	// Ask returns a challenge for one person and one decision, and what to put to him.
	Ask(person, decision string) (challenge string, err error)
	// Met says whether the answer meets the challenge, and how; a challenge can be met once.
	Met(person, decision, answer string) (how string, ok bool)
}

// confirmation is met by sending the challenge back: by pressing a second, other button.
type confirmation struct {
	mu   sync.Mutex
	open map[string]asked
}

type asked struct {
	person, decision string
	until            time.Time
}

func newConfirmation() *confirmation { return &confirmation{open: map[string]asked{}} }

func (c *confirmation) Ask(person, decision string) (string, error) {
	token, err := random()
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for old, a := range c.open {
		if time.Now().After(a.until) {
			delete(c.open, old)
		}
	}
	c.open[token] = asked{person, decision, time.Now().Add(proofTime)}
	return token, nil
}

func (c *confirmation) Met(person, decision, answer string) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.open[answer]
	delete(c.open, answer)
	return "second confirmation", ok && a.person == person && a.decision == decision && time.Now().Before(a.until)
}
