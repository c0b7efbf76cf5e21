package app

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"cordon/detectors/silence"
	"cordon/ingest"
	"cordon/ingest/directory"
	"cordon/ingest/eventhubs"
	"cordon/ingest/graphlogs"
	"cordon/ingest/office365"
	"cordon/internal/config"
	"cordon/internal/crew"
	"cordon/internal/incident"
)

// reader brings a source's records until ctx ends.
type reader interface {
	Run(ctx context.Context) error
}

// readers are what this instance reads: its share of each hub's partitions, and of the tenants that are polled.
type readers struct {
	list     []reader
	sources  map[string]ingest.Source     // by name in lower case
	expected []silence.Source             // what must not fall silent
	hooks    map[string]http.Handler      // by path: where services call us
	graph    map[string]*graphlogs.Poller // by tenant, in lower case
}

// add adds a source that writes a checkpoint at least as often as unread allows.
func (r *readers) add(s ingest.Source, unread time.Duration, by reader) {
	r.sources[strings.ToLower(s.Name)] = s
	r.expected = append(r.expected, silence.Source{Name: s.Name, Tenants: s.Tenants, Unread: unread})
	r.list = append(r.list, by)
}

// search puts a search of a tenant's unified audit log on record, where a poller is there to make it.
func (a *App) search(ctx context.Context, tenant, user string, from, to time.Time) error {
	p, ok := a.readers.graph[strings.ToLower(tenant)]
	if !ok {
		return &incident.Refusal{Reason: "nothing polls " + a.tenants.Name(tenant) + ": add a graph source to it, in the configuration"}
	}
	return graphlogs.Ask(ctx, a.bus, a.clock, p.Tenant(), graphlogs.Search{User: user, From: from, To: to})
}

// How long a source may say nothing at all before it counts as unread: a hub's readers write every few seconds, pollers
// after each round, and their first round may be long.
const (
	unreadHub    = 5 * time.Minute
	unreadPolled = 30 * time.Minute
)

// source finds a source as it is configured, for a replay of its dead letters.
func (r *readers) source(name string) (ingest.Source, bool) {
	s, ok := r.sources[strings.ToLower(name)]
	return s, ok
}

// newCrew is who shares the work: alone on embedded NATS, where there can be no other.
func newCrew(a *App) (*crew.Crew, error) {
	if a.cfg.NATS == "" {
		return crew.Alone(), nil
	}
	name := a.cfg.Instance
	if name == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("naming this instance: %w", err)
		}
		name = host
	}
	return crew.New(a.bus, name, a.log), nil
}

func (a *App) newReaders() (*readers, error) {
	s := &readers{sources: map[string]ingest.Source{}, hooks: map[string]http.Handler{}, graph: map[string]*graphlogs.Poller{}}
	var polled []string // whose turn is shared out
	for _, t := range a.cfg.Tenants {
		polled = append(polled, t.ID)
	}
	for _, p := range a.cfg.Partners {
		polled = append(polled, p.Tenant)
	}
	for n, t := range a.cfg.Tenants {
		for i, from := range t.Sources {
			if err := a.addSource(s, polled, n, t, from); err != nil {
				return nil, fmt.Errorf("tenant %s, sources[%d]: %w", t.Name, i, err)
			}
		}
	}
	for n, p := range a.cfg.Partners {
		if err := a.addPartner(s, polled, len(a.cfg.Tenants)+n, p); err != nil {
			return nil, fmt.Errorf("partner %s: %w", p.Name, err)
		}
	}
	return s, nil
}

func (a *App) addSource(s *readers, polled []string, n int, t config.Tenant, from config.Source) error {
	switch {
	case from.EventHub != nil:
		h := from.EventHub
		cfg := eventhubs.Config{Namespace: h.Namespace, Hub: h.Hub, ConsumerGroup: h.ConsumerGroup, WebSockets: h.WebSockets,
			Tenants: append([]string{t.ID}, h.Tenants...), Memory: hubMemory / a.hubs()}
		var err error
		if h.ConnectionString.IsSet() {
			cfg.ConnectionString, err = h.ConnectionString.Read()
		} else {
			cfg.Credential, err = t.Credential.For(t.ID)
		}
		if err != nil {
			return err
		}
		s.add(ingest.Source{Name: cfg.Name(), Tenants: cfg.Tenants, Clock: a.clock}, unreadHub, eventhubs.New(cfg, a.bus, a.crew, a.clock, a.log))
	case from.Graph != nil:
		credential, err := t.Credential.For(t.ID)
		if err != nil {
			return err
		}
		p, err := graphlogs.New(graphlogs.Config{Tenant: t.ID, URL: graphHost(a.cfg.Graph), Credential: credential, Logs: from.Graph.Logs, Since: from.Graph.Since}, a.bus, a.clock, a.log)
		if err != nil {
			return err
		}
		s.graph[strings.ToLower(t.ID)] = p
		a.addPoller(s, p, a.polled(polled, n, p))
	case from.Office365 != nil:
		o := from.Office365
		cfg := office365.Config{URL: o.URL, Tenant: t.ID, Content: o.Content, Publisher: o.Publisher, Backfill: o.Since}
		var err error
		if cfg.Credential, err = t.Credential.For(t.ID); err != nil {
			return err
		}
		if o.Webhook != nil {
			secret, err := o.Webhook.Secret.Read()
			if err != nil {
				return fmt.Errorf("office-365.webhook.secret: %w", err)
			}
			cfg.Webhook = &office365.Webhook{Address: o.Webhook.Address, AuthID: secret}
		}
		src, err := office365.New(cfg, a.bus, a.clock, a.log)
		if err != nil {
			return err
		}
		if o.Webhook != nil {
			at, err := url.Parse(o.Webhook.Address)
			if err != nil {
				return fmt.Errorf("office-365.webhook.address: %w", err)
			}
			s.hooks[at.Path] = src.Webhook()
		}
		s.add(ingest.Source{Name: cfg.Name(), Tenants: []string{t.ID}, Clock: a.clock}, unreadPolled, a.polled(polled, n, src))
	case from.Directory != nil:
		cfg := directory.Config{Path: from.Directory.Path, Tenants: []string{t.ID}, Move: from.Directory.Move}
		s.add(ingest.Source{Name: cfg.Name(), Tenants: cfg.Tenants, Clock: a.clock}, unreadHub, a.polled(polled, n, directory.New(cfg, a.bus, a.clock, a.log)))
	}
	return nil
}

// addPoller adds a tenant's log poller; what its searches bring is a source of its own.
func (a *App) addPoller(s *readers, p *graphlogs.Poller, by reader) {
	own := p.Sources()
	for _, name := range own[1:] { // asked for now and then: their silence says nothing
		s.sources[strings.ToLower(name)] = ingest.Source{Name: name, Tenants: []string{p.Tenant()}, Clock: a.clock}
	}
	s.add(ingest.Source{Name: own[0], Tenants: []string{p.Tenant()}, Clock: a.clock}, unreadPolled, by)
}

func (a *App) addPartner(s *readers, polled []string, n int, p config.Partner) error {
	if len(p.Logs) == 0 {
		return nil
	}
	credential, err := p.Credential.For(p.Tenant)
	if err != nil {
		return err
	}
	cfg := graphlogs.Config{Tenant: p.Tenant, URL: graphHost(a.cfg.Graph), Credential: credential, Logs: p.Logs}
	if center := a.tenants.center(p.Name); center != nil {
		cfg.PartnerCenter = center
	}
	poller, err := graphlogs.New(cfg, a.bus, a.clock, a.log)
	if err != nil {
		return err
	}
	a.addPoller(s, poller, a.polled(polled, n, poller))
	return nil
}

// hubMemory bounds what all hubs' readers of one process hold at once, in bytes.
const hubMemory = 32 << 20

func (a *App) hubs() int {
	n := 0
	for _, t := range a.cfg.Tenants {
		for _, s := range t.Sources {
			if s.EventHub != nil {
				n++
			}
		}
	}
	return max(n, 1)
}

// graphHost is Graph's URL without its version.
func graphHost(base string) string {
	base = strings.TrimSuffix(base, "/")
	return strings.TrimSuffix(base, "/v1.0")
}

// polled is a source that calls a tenant's APIs: one instance does so for a tenant, so that one budget is enough.
type polled struct {
	reader
	crew   *crew.Crew
	items  []string
	number int
}

func (a *App) polled(items []string, number int, r reader) reader {
	return &polled{reader: r, crew: a.crew, items: items, number: number}
}

func (p *polled) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.crew.Keep(ctx, p.items, p.number, func(mine context.Context) {
		if err := p.reader.Run(mine); err != nil {
			cancel(err)
		}
	})
	if cause := context.Cause(ctx); cause != context.Canceled {
		return cause
	}
	return nil
}
