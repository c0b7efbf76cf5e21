// Package console is the web page and the HTTP API where analysts see incidents and decide. It reads the fold of
// INCIDENTS and appends decisions to it; it starts nothing itself.
package console

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"sync"
	"time"

	"cordon/detectors/ledger"
	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/incident"
	"cordon/internal/sources"
	"go.uber.org/zap"
)

//go:embed static/* page.html
var files embed.FS

// Config is what the console needs.
type Config struct {
	Bus      *bus.Bus
	Store    *incident.Store
	Clock    clock.Clock
	Analysts []Analyst
	Tenant   func(id string) string // a tenant's name
	Mode     func(id string) string
	Secure   bool // people come by https: cookies travel no other way
	Log      *zap.Logger

	// What follows may be left out; what it serves is then not there.
	Letters Letters
	Sources *sources.Board
	Rules   *ledger.Ledger
	Metrics http.Handler
	Search  Searcher
	Replay  Replayer
	Hooks   map[string]http.Handler // by path: where services call Cordon, each with a secret of its own
}

// Analyst is a person and the token that proves who he is.
type Analyst struct {
	incident.Person
	Token string
}

// Server is the console.
type Server struct {
	cfg     Config
	desk    *incident.Desk
	door    *door
	proof   SecondProof
	pages   *template.Template
	live    *live
	web     *http.Server
	running sync.WaitGroup
}

// New returns a console that Serve serves.
func New(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, desk: &incident.Desk{Store: cfg.Store, Clock: cfg.Clock}, door: newDoor(cfg), proof: newConfirmation(), live: newLive()}
	pages, err := template.New("").Funcs(functions(cfg)).ParseFS(files, "page.html")
	if err != nil {
		return nil, fmt.Errorf("reading the pages: %w", err)
	}
	s.pages = pages
	static, err := fs.Sub(files, "static")
	if err != nil {
		return nil, fmt.Errorf("reading the page's files: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /static/", http.StripPrefix("/static/", http.FileServerFS(static)))
	mux.HandleFunc("GET /login", s.login)
	mux.HandleFunc("POST /login", s.loginToken)
	mux.HandleFunc("GET /{$}", s.page(s.list))
	mux.HandleFunc("GET /i/{number}", s.page(s.incident))
	mux.HandleFunc("GET /i/{number}/report.md", s.page(s.report))
	mux.HandleFunc("GET /events", s.page(s.events))
	mux.HandleFunc("GET /api/v1/incidents", s.api(s.apiList))
	mux.HandleFunc("GET /api/v1/incidents/{number}", s.api(s.apiShow))
	mux.HandleFunc("GET /api/v1/incidents/{number}/events", s.api(s.apiEvents))
	mux.HandleFunc("POST /api/v1/incidents/{number}/decisions", s.api(s.apiDecide))
	if cfg.Search != nil {
		mux.HandleFunc("POST /api/v1/incidents/{number}/search", s.api(s.apiSearch))
	}
	if cfg.Sources != nil {
		mux.HandleFunc("GET /sources", s.page(s.sources))
		mux.HandleFunc("GET /api/v1/sources", s.api(s.apiSources))
	}
	if cfg.Rules != nil {
		mux.HandleFunc("GET /rules", s.page(s.rules))
		mux.HandleFunc("GET /api/v1/rules", s.api(s.apiRules))
	}
	if cfg.Metrics != nil {
		mux.HandleFunc("GET /metrics", s.api(s.metrics))
	}
	bounded := http.NewServeMux()
	bounded.Handle("/", http.MaxBytesHandler(mux, 64<<10))
	if cfg.Letters != nil {
		mux.HandleFunc("GET /api/v1/deadletters", s.api(s.apiLetters))
		mux.HandleFunc("GET /api/v1/deadletters/{id}", s.api(s.apiLetter))
		mux.HandleFunc("POST /api/v1/deadletters/replay", s.api(s.apiReplayAll))
		bounded.Handle("POST /api/v1/deadletters/{id}/replay", http.MaxBytesHandler(s.api(s.apiReplay), maxMended))
	}
	if cfg.Replay != nil {
		bounded.Handle("POST /api/v1/replay", http.MaxBytesHandler(s.api(s.apiReplayRecords), maxReplay))
	}
	for path, hook := range cfg.Hooks {
		bounded.Handle("POST "+path, http.MaxBytesHandler(hook, maxHook))
	}
	s.web = &http.Server{
		Handler:           headers(http.NewCrossOriginProtection().Handler(bounded)),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}
	return s, nil
}

// maxHook bounds what a service may send to a hook at once.
const maxHook = 1 << 20

// headers keep the page to itself: its own scripts and styles, no frame around it, nothing sent elsewhere.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// Serve answers on a listener until ctx ends, and follows INCIDENTS for the open pages.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.web.BaseContext = func(net.Listener) context.Context { return ctx } // open event streams end with us
	errs := make(chan error, 2)
	s.running.Go(func() {
		defer cancel()
		err := s.live.follow(ctx, s.cfg.Bus)
		if ctx.Err() != nil {
			err = nil // it was told to end, perhaps before it had begun
		}
		errs <- err
	})
	s.running.Go(func() {
		defer cancel()
		err := s.web.Serve(l)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		errs <- err
	})
	<-ctx.Done()
	closing, done := context.WithTimeout(context.Background(), 3*time.Second)
	defer done()
	if err := s.web.Shutdown(closing); err != nil {
		s.cfg.Log.Debug("closing the console", zap.Error(err))
		_ = s.web.Close()
	}
	s.running.Wait()
	return errors.Join(<-errs, <-errs)
}

// Link makes a one-time way in for an analyst, to a page.
func (s *Server) Link(base, analyst, page string) (string, error) {
	return s.door.link(base, analyst, page)
}

func random() (string, error) {
	var b [24]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("making a token: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}
