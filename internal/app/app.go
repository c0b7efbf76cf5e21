// Package app is the whole of Cordon in one process: it opens the bus and runs the rooms. `cordon serve` and
// `cordon try` run it, tests start and stop it; it knows nothing of who is at the other end of its URLs.
package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cordon/actions"
	"cordon/detectors"
	"cordon/detectors/ledger"
	"cordon/detectors/silence"
	"cordon/ingest"
	"cordon/internal/app/replay"
	"cordon/internal/bus"
	"cordon/internal/canary"
	"cordon/internal/chat"
	"cordon/internal/clock"
	"cordon/internal/config"
	"cordon/internal/console"
	"cordon/internal/crew"
	"cordon/internal/directory"
	"cordon/internal/evidence"
	"cordon/internal/incident"
	"cordon/internal/sources"
	"cordon/internal/telemetry"
	"cordon/playbooks"
	"cordon/playbooks/library"
	"go.uber.org/zap"
)

// Options are what the configuration does not say.
type Options struct {
	Clock clock.Clock // the wall clock where nil
	Log   *zap.Logger // silent where nil
	// LocalDecides leaves the analysts' tokens in run.json, for `try`, where one person plays them all. Elsewhere it
	// holds that of an operator who may look and decide nothing.
	LocalDecides bool
}

// App is a running Cordon.
type App struct {
	cfg      *config.Config
	clock    clock.Clock
	log      *zap.Logger
	bus      *bus.Bus
	store    *incident.Store
	dir      *directory.Directory
	tenants  *tenants
	crew     *crew.Crew
	readers  *readers
	console  *console.Server
	board    *sources.Board
	room     *detectors.Room
	ledger   *ledger.Ledger
	rules    atomic.Pointer[replay.Set] // that run
	rulesSum [sha256.Size]byte          // of the folder that they were read from
	listen   net.Listener
	people   []console.Analyst
	local    []console.Analyst // whose tokens stand in run.json

	cancel  context.CancelFunc
	parts   sync.WaitGroup
	failed  chan error
	stopped sync.Once
	stopErr error
}

// New builds an application: everything that can be wrong with its configuration, rules and playbooks is said here.
// It holds the data folder until Stop.
func New(ctx context.Context, cfg *config.Config, o Options) (a *App, err error) {
	if o.Clock == nil {
		o.Clock = clock.Wall{}
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	a = &App{cfg: cfg, clock: o.Clock, log: o.Log, dir: directory.New(), failed: make(chan error, 1)}
	for name := range cfg.Guardrails {
		if _, ok := actions.Find(name); !ok {
			return nil, fmt.Errorf("guardrails: there is no action %q", name)
		}
	}
	if a.tenants, err = reach(cfg); err != nil {
		return nil, err
	}
	if a.people, err = analysts(cfg); err != nil {
		return nil, err
	}
	if !o.LocalDecides {
		operator, err := newOperator()
		if err != nil {
			return nil, err
		}
		a.people = append(a.people, operator)
		a.local = []console.Analyst{operator}
	} else {
		a.local = a.people
	}
	if a.bus, err = bus.Open(ctx, bus.Config{Dir: cfg.Data, URL: cfg.NATS, LogsMaxBytes: cfg.LogsMax, Recent: bus.RecentOf(cfg.MemoryBytes()), Replicas: replicas(cfg), Log: o.Log}); err != nil {
		return nil, err
	}
	opened := a.bus // an error returns no application
	defer func() {
		if err != nil {
			opened.Close()
		}
	}()
	if a.crew, err = newCrew(a); err != nil {
		return nil, err
	}
	a.store = incident.NewStore(a.bus)
	if a.readers, err = a.newReaders(); err != nil {
		return nil, err
	}
	a.board = sources.New(a.bus, a.clock, cfg.Lateness.Records(), a.log)
	if err := a.loadRules(); err != nil {
		return nil, err
	}
	metrics, err := telemetry.Handler(a.log, telemetry.Sources{Board: a.board}, telemetry.Rules{Ledger: a.ledger})
	if err != nil {
		return nil, fmt.Errorf("preparing metrics: %w", err)
	}
	a.console, err = console.New(console.Config{Bus: a.bus, Store: a.store, Clock: a.clock, Analysts: a.people, Tenant: a.tenants.Name, Mode: a.tenants.Mode, Secure: strings.HasPrefix(cfg.URL, "https://"), Log: o.Log,
		Letters: ingest.NewLetters(a.bus, a.clock, a.readers.source), Sources: a.board, Rules: a.ledger, Hooks: a.readers.hooks, Metrics: metrics, Search: a.search,
		Replay: replay.New(replay.Config{Bus: a.bus, Directory: a.dir, Own: []string{cfg.Application.ID}, Lateness: cfg.Lateness.Records(), Running: func() replay.Set { return *a.rules.Load() }, Clock: a.clock, Log: o.Log})})
	if err != nil {
		return nil, err
	}
	if a.listen, err = net.Listen("tcp", cfg.Listen); err != nil {
		return nil, fmt.Errorf("opening the console's port: %w", err)
	}
	return a, nil
}

func replicas(cfg *config.Config) int {
	if cfg.NATS != "" && cfg.Replicas == 0 {
		return 3
	}
	return cfg.Replicas
}

func folder(path string, shipped fs.FS) fs.FS {
	if path == "" {
		return shipped
	}
	return os.DirFS(path)
}

// Start runs the rooms and returns once they work.
func (a *App) Start(ctx context.Context) error {
	books, err := playbooks.Load(folder(a.cfg.Playbooks, library.Shipped))
	if err != nil {
		return fmt.Errorf("loading playbooks: %w", err)
	}
	if err := a.dir.Restore(ctx, a.bus, a.tenants.ids()); err != nil {
		return err
	}
	silent := a.readDirectory(ctx, a.tenants.ids())

	running, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	a.run(running, "detectors", a.room.Run)
	a.run(running, "ledger", a.ledger.Run)
	if a.cfg.Rules != "" {
		a.run(running, "rules", a.watchRules)
	}
	a.run(running, "silence", silence.New(silence.Config{Sources: a.readers.expected, Own: a.own(), Lateness: a.cfg.Lateness.Records(), Name: a.tenants.Name}, a.bus, a.clock, a.log).Run)
	if birds := a.canaries(); len(birds) > 0 {
		a.run(running, "canary", canary.New(canary.Config{AppID: a.cfg.Application.ID, Tenants: birds}, a.bus, a.clock, a.log).Run)
	}
	a.run(running, "playbooks", playbooks.New(a.bus, a.store, books, a.tenants, a.clock, a.log).Run)
	a.run(running, "actions", actions.NewWorker(a.bus, a.store, a.tenants, a.clock, a.log).Run)
	a.run(running, "evidence", (&evidence.Keeper{Bus: a.bus, Store: a.store, Clock: a.clock}).Run)
	a.run(running, "console", func(ctx context.Context) error { return a.console.Serve(ctx, a.listen) })
	a.run(running, "sources", a.board.Run)
	a.run(running, "directory", func(ctx context.Context) error { return a.keepDirectory(ctx, silent) })
	if s := a.cfg.Chat.Slack; s != nil {
		token, err := s.Token.Read()
		if err != nil {
			return errors.Join(fmt.Errorf("chat.slack.token: %w", err), a.Stop(ctx))
		}
		slack := chat.NewSlack(a.bus, a.store, chat.Config{URL: s.URL, Token: token, Channel: s.Channel,
			Link: func(n uint64) string { return fmt.Sprintf("%s/i/%d", a.URL(), n) }})
		a.run(running, "chat", slack.Run)
	}
	a.run(running, "crew", a.crew.Run)
	for _, s := range a.readers.list {
		a.run(running, "ingest", s.Run)
	}
	return nil
}

// own are the names under which Cordon itself acts.
func (a *App) own() []string {
	return append([]string{a.cfg.Application.ID}, a.cfg.Application.Objects...)
}

// canaries are the tenants where Cordon may write, and is asked to.
func (a *App) canaries() []canary.Tenant {
	var out []canary.Tenant
	for i, t := range a.cfg.Tenants {
		if t.Canary {
			out = append(out, canary.Tenant{ID: t.ID, Graph: a.tenants.list[i].Graph})
		}
	}
	return out
}

// run owns one part's goroutine. A part that ends before it is told to takes the application down: half a Cordon
// is worse than one that is started again.
func (a *App) run(ctx context.Context, name string, part func(context.Context) error) {
	a.parts.Go(func() {
		err := part(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("it ended by itself")
		}
		select {
		case a.failed <- fmt.Errorf("running %s: %w", name, err):
		default: // another part failed first
		}
	})
}

// Wait returns when ctx ends or a part has failed.
func (a *App) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.failed:
		return err
	}
}

// Stop ends every part, waits for them, and gives the data folder back. It may be called twice.
func (a *App) Stop(context.Context) error {
	a.stopped.Do(func() {
		if a.cancel != nil {
			a.cancel()
		}
		a.parts.Wait()
		_ = a.listen.Close() // closed already where the console served it
		a.bus.Close()
	})
	return a.stopErr
}

// Addr is where the console listens.
func (a *App) Addr() string { return a.listen.Addr().String() }

// URL is where people reach the console.
func (a *App) URL() string {
	if a.cfg.URL != "" {
		return strings.TrimSuffix(a.cfg.URL, "/")
	}
	return "http://" + a.Addr()
}

// Link makes a one-time way in for an analyst, to a page of the console.
func (a *App) Link(analyst, page string) (string, error) {
	return a.console.Link(a.URL(), analyst, page)
}

// Store gives read access to the incidents, for those who run the application in their own process.
func (a *App) Store() *incident.Store { return a.store }

// Bus gives read access to the streams, for those who run the application in their own process.
func (a *App) Bus() *bus.Bus { return a.bus }

// Settled waits until nothing moves: every worker has handled all there is, twice in a row.
func (a *App) Settled(ctx context.Context) error {
	last := ""
	for {
		idle, mark, err := a.bus.Idle(ctx)
		if err != nil {
			return fmt.Errorf("waiting for Cordon to settle: %w", err)
		}
		if idle && mark == last {
			return nil
		}
		last = ""
		if idle {
			last = mark
		}
		select {
		case <-time.After(15 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("waiting for Cordon to settle: %w", ctx.Err())
		case err := <-a.failed:
			return err
		}
	}
}

// FastForward fires every timer that is due by t; the clock that the application was given must have been moved.
func (a *App) FastForward(ctx context.Context, t time.Time) error { return a.bus.FireTimers(ctx, t) }

// NextTimer tells when the next timer is due.
func (a *App) NextTimer(ctx context.Context) (time.Time, bool, error) { return a.bus.NextTimer(ctx) }
