// Package slack is a simulated chat workspace, for tests, `cordon try` and `cordon simulate` alone: the three methods
// of Slack's Web API that Cordon's chat calls (auth.test, chat.postMessage, chat.update), on a real socket, as the
// real client sends them.
package slack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"cordon/internal/clock"
)

// Message is one message as the channel shows it now.
type Message struct {
	Channel string
	TS      string // identifies it within the channel
	Text    string
	Blocks  json.RawMessage
	Updates int       // how often chat.update has changed it
	At      time.Time // of the post or the last update
}

// Server is the Web API: an http.Handler for /api/….
type Server struct {
	clock clock.Clock
	token string

	mu        sync.Mutex
	messages  []Message
	count     int
	onMessage []func(Message)
	fail      func(*http.Request) (status int, code, retryAfter string, ok bool)
}

// New returns a workspace that knows one bot token.
func New(c clock.Clock, token string) *Server { return &Server{clock: c, token: token} }

// Messages returns all messages as they stand, in the order in which they were posted.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.messages...)
}

// OnMessage registers a function that is called, before the answer is written, with each message posted or updated.
func (s *Server) OnMessage(f func(Message)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onMessage = append(s.onMessage, f)
}

// Fail injects faults: a function that says ok makes the request fail before anything is done. Status 200 answers
// {"ok":false,"error":code}, which is how Slack says most of its noes; 429 needs a Retry-After. Nil ends it.
func (s *Server) Fail(f func(r *http.Request) (status int, code, retryAfter string, ok bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = f
}

const (
	maxBody     = 1 << 20
	maxText     = 40_000
	maxBlocks   = 50
	readTimeout = 10 * time.Second
)

type answer map[string]any

func no(code string) answer { return answer{"ok": false, "error": code} }

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	fail := s.fail
	s.mu.Unlock()
	if fail != nil {
		if status, code, retryAfter, ok := fail(r); ok {
			if retryAfter != "" {
				w.Header().Set("Retry-After", retryAfter)
			}
			reply(w, status, no(code))
			return
		}
	}
	method, ok := strings.CutPrefix(r.URL.Path, "/api/")
	if !ok || r.Method != http.MethodPost {
		reply(w, http.StatusNotFound, no("unknown_method"))
		return
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(readTimeout)) // a recorder in a test has none
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	err := r.ParseForm()
	_ = control.SetReadDeadline(time.Time{})
	if err != nil {
		reply(w, http.StatusOK, no("invalid_form_data"))
		return
	}
	token := r.PostForm.Get("token")
	if token == "" {
		token, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	switch {
	case token == "":
		reply(w, http.StatusOK, no("not_authed"))
	case token != s.token:
		reply(w, http.StatusOK, no("invalid_auth"))
	case method == "auth.test":
		reply(w, http.StatusOK, answer{"ok": true, "url": "http://" + r.Host + "/", "team": "Simulated", "user": "cordon",
			"team_id": "T0SIMULATE", "user_id": "U0CORDON", "bot_id": "B0CORDON"})
	case method == "chat.postMessage":
		reply(w, http.StatusOK, s.post(r))
	case method == "chat.update":
		reply(w, http.StatusOK, s.update(r))
	default:
		reply(w, http.StatusOK, no("unknown_method"))
	}
}

// content reads what a message shows; the code is why it cannot be shown.
func content(r *http.Request) (text string, blocks json.RawMessage, code string) {
	text = r.PostForm.Get("text")
	if raw := r.PostForm.Get("blocks"); raw != "" {
		var list []json.RawMessage
		if err := json.Unmarshal([]byte(raw), &list); err != nil {
			return "", nil, "invalid_blocks_format"
		}
		if len(list) > maxBlocks {
			return "", nil, "invalid_blocks"
		}
		blocks = json.RawMessage(raw)
	}
	switch {
	case r.PostForm.Get("channel") == "":
		return "", nil, "channel_not_found"
	case text == "" && blocks == nil:
		return "", nil, "no_text"
	case len(text) > maxText:
		return "", nil, "msg_too_long"
	}
	return text, blocks, ""
}

func (s *Server) post(r *http.Request) answer {
	text, blocks, code := content(r)
	if code != "" {
		return no(code)
	}
	s.mu.Lock()
	s.count++
	now := s.clock.Now()
	m := Message{Channel: r.PostForm.Get("channel"), Text: text, Blocks: blocks, At: now,
		TS: fmt.Sprintf("%d.%06d", now.Unix(), s.count)}
	s.messages = append(s.messages, m)
	s.mu.Unlock()
	return s.shown(m)
}

func (s *Server) update(r *http.Request) answer {
	text, blocks, code := content(r)
	if code != "" {
		return no(code)
	}
	s.mu.Lock()
	for i := range s.messages {
		m := &s.messages[i]
		if m.Channel != r.PostForm.Get("channel") || m.TS != r.PostForm.Get("ts") {
			continue
		}
		if text != "" {
			m.Text = text
		}
		if blocks != nil {
			m.Blocks = blocks
		}
		m.Updates++
		m.At = s.clock.Now()
		now := *m
		s.mu.Unlock()
		return s.shown(now)
	}
	s.mu.Unlock()
	return no("message_not_found")
}

// shown tells the listeners and makes the answer.
func (s *Server) shown(m Message) answer {
	s.mu.Lock()
	listeners := append([]func(Message){}, s.onMessage...)
	s.mu.Unlock()
	for _, f := range listeners {
		f(m)
	}
	message := answer{"type": "message", "text": m.Text, "ts": m.TS, "user": "U0CORDON", "bot_id": "B0CORDON"}
	if m.Blocks != nil {
		message["blocks"] = m.Blocks
	}
	return answer{"ok": true, "channel": m.Channel, "ts": m.TS, "text": m.Text, "message": message}
}

func reply(w http.ResponseWriter, status int, a answer) {
	raw, err := json.Marshal(a)
	if err != nil {
		http.Error(w, fmt.Sprintf("encoding answer: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	w.WriteHeader(status)
	_, _ = w.Write(raw) // the client may be gone
}
