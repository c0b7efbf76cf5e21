// Package graphlogs reads a tenant's logs through Microsoft Graph, and a partner's through Partner Center, where no
// Event Hub carries them. It is a source of ingest: what the services return becomes records in the form of the stream,
// stored once together with the place where to ask next. It also searches the unified audit log for one principal
// (Search).
//
// Each log is a partition of the source "<tenant>/graph" with a cursor of its own: the time before which everything has
// been read. A question asks from there to now, page by page; each page is stored as it comes, the cursor behind the
// last. Whatever breaks in between, the question is asked again, and what was stored already is told by its mark. The
// cursor stays behind by the log's overlap, since objects appear minutes after they happened.
package graphlogs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"cordon/ingest"
	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/fault"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"go.uber.org/zap"
)

// Config names one tenant and what is read of it.
type Config struct {
	Tenant     string
	URL        string // Graph's, with no version: https://graph.microsoft.com
	Credential azcore.TokenCredential
	// PartnerCenter reads a partner's own logs there; nil where the tenant is no partner.
	PartnerCenter PartnerCenter
	// Logs are names of the catalogue; none: Default, and Partner too where there is a PartnerCenter.
	Logs []string
	// Since is how far back the first start asks, 24 h where zero. Graph keeps 30 days, 7 without a licence.
	Since time.Duration
	// Every, where set, is how often each log is asked, in place of the catalogue's: for a simulated tenant.
	Every time.Duration
}

// PublicURL is Graph's in the public cloud.
const PublicURL = "https://graph.microsoft.com"

const firstSince = 24 * time.Hour

// pace is how long the poller waits for what; tests shorten it.
type pace struct {
	retryFirst, retryMost time.Duration
	forbidden             time.Duration // until somebody may have given the permission
	search                time.Duration // between questions after a search
	searches              time.Duration // between looks for searches that were asked for
	span, gap             time.Duration // of the budget
}

func usualPace() pace {
	return pace{retryFirst: 2 * time.Second, retryMost: 5 * time.Minute, forbidden: 5 * time.Minute, search: 10 * time.Second, searches: 15 * time.Second, span: budgetSpan, gap: budgetGap}
}

// Poller reads the logs of one tenant.
type Poller struct {
	cfg    Config
	bus    *bus.Bus
	clock  clock.Clock
	log    *zap.Logger
	logs   []Log
	client *client
	pace   pace
	sleep  func(context.Context, time.Duration) error
	graph  *budget // shared by all that the poller asks of the tenant's Graph
	center *budget // Partner Center's limits are unpublished: the same, and one question at a time
}

// New checks the configuration; Run reads.
func New(cfg Config, b *bus.Bus, c clock.Clock, log *zap.Logger) (*Poller, error) {
	if cfg.Tenant == "" || cfg.Credential == nil {
		return nil, errors.New("configuring the log poller: a tenant and its credential are needed")
	}
	if cfg.Since <= 0 {
		cfg.Since = firstSince
	}
	if len(cfg.Logs) == 0 {
		cfg.Logs = Default()
		if cfg.PartnerCenter != nil {
			cfg.Logs = append(cfg.Logs, Partner()...)
		}
	}
	p := &Poller{cfg: cfg, bus: b, clock: c, log: log.With(zap.String("source", cfg.Name())), sleep: sleep}
	for _, name := range cfg.Logs {
		l, ok := find(name)
		switch {
		case !ok:
			return nil, fmt.Errorf("configuring the log poller: there is no log %q", name)
		case l.PartnerCenter && cfg.PartnerCenter == nil:
			return nil, fmt.Errorf("configuring the log poller: %s needs Partner Center", name)
		case slices.ContainsFunc(p.logs, func(o Log) bool { return o.Name == name }):
			return nil, fmt.Errorf("configuring the log poller: %s is named twice", name)
		}
		p.logs = append(p.logs, l)
	}
	var err error
	if p.client, err = newClient(cfg.URL, cfg.Credential); err != nil {
		return nil, fmt.Errorf("configuring the log poller: %w", err)
	}
	p.setPace(usualPace())
	return p, nil
}

// Tenant is whose logs the poller reads.
func (p *Poller) Tenant() string { return p.cfg.Tenant }

// Sources are the names under which it stores what polling and searches bring.
func (p *Poller) Sources() []string { return []string{p.cfg.Name(), p.cfg.searches()} }

func (p *Poller) setPace(at pace) {
	p.pace = at
	p.graph = newBudget(p.clock, p.sleep, at.span, at.gap)
	p.center = newBudget(p.clock, p.sleep, at.span, at.gap)
}

// Name is what the source is called in checkpoints.
func (c Config) Name() string { return c.Tenant + "/graph" }

func (c Config) searches() string { return c.Tenant + "/graph-search" }

// Run reads every log until ctx ends. What fails is tried again for as long as it takes, and holds up no other log.
func (p *Poller) Run(ctx context.Context) error {
	defer p.client.web.CloseIdleConnections()
	var readers sync.WaitGroup
	for _, l := range p.logs {
		readers.Go(func() { p.follow(ctx, l) })
	}
	readers.Go(func() { p.makeSearches(ctx) })
	readers.Wait()
	return nil
}

// follow reads one log until ctx ends.
func (p *Poller) follow(ctx context.Context, l Log) {
	log := p.log.With(zap.String("log", l.Name))
	r := &reader{Poller: p, Log: l, top: l.Top}
	wait, told := p.pace.retryFirst, false
	for ctx.Err() == nil {
		err := r.read(ctx, func() { wait, told = p.pace.retryFirst, false })
		if ctx.Err() != nil {
			return
		}
		pause := max(wait, fault.Wait(err))
		switch {
		case errors.Is(err, errTooLarge) && r.top > 1:
			r.top /= 2
			log.Warn("reading log: pages are too large; asking for smaller ones", zap.Int("objects", r.top))
		case fault.Of(err) == fault.Forbidden:
			pause = max(pause, p.pace.forbidden)
			if !told { // once, not every five minutes
				log.Error("reading log: a permission, or a licence, is missing", zap.String("permission", l.Permission), zap.String("licence", l.Licence), zap.Error(err))
			}
			told = true
		default:
			log.Warn("reading log; trying again", zap.Duration("in", pause), zap.Error(err))
		}
		_ = p.sleep(ctx, pause) // only ctx ends it early
		wait = min(2*wait, p.pace.retryMost)
	}
}

// partition opens a partition of one of the tenant's sources.
func (p *Poller) partition(ctx context.Context, source, name string) (*ingest.Partition, error) {
	out, _, err := ingest.Open(ctx, p.bus, ingest.Source{Name: source, Tenants: []string{p.cfg.Tenant}, Clock: p.clock, Aside: source == p.cfg.searches()}, name)
	return out, err
}

// tries is how often one request is made before its question is given up.
const tries = 5

// ask makes one request within the budget. What is throttled, or may heal, is tried again.
func (p *Poller) ask(ctx context.Context, b *budget, request func(context.Context) error) error {
	wait := p.pace.retryFirst
	for try := 1; ; try++ {
		if err := b.take(ctx); err != nil {
			return err
		}
		err := request(ctx)
		class := fault.Of(err)
		if err == nil || ctx.Err() != nil || errors.Is(err, errTooLarge) || class != fault.Throttled && class != fault.Retryable {
			return err
		}
		pause := fault.Wait(err)
		if pause <= 0 {
			pause = wait
		}
		if class == fault.Throttled {
			b.hold(pause)
		}
		if try == tries {
			return err
		}
		if err := p.sleep(ctx, pause); err != nil {
			return err
		}
		wait = min(2*wait, p.pace.retryMost)
	}
}
