// Package office365 reads the Office 365 Management Activity API into LOGS: the unified audit log, an hour or more
// late, and yet the only source of sign-ins for tenants without P1 and the only one of mailbox rules, delegates,
// forwarding and sharing. It is a source of ingest: one partition a content type. What it keeps to is Microsoft's
// "Office 365 Management Activity API reference".
package office365

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/record"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"go.uber.org/zap"
)

// PublicURL is the API in the public cloud. GCC, GCC High and DoD have hosts of their own.
const PublicURL = "https://manage.office.com"

const (
	everyUnlessSaid    = time.Minute
	backfillUnlessSaid = 24 * time.Hour
	shortestSecret     = 16
)

// Config names one tenant's feed.
type Config struct {
	URL        string // https, or loopback for a simulator; PublicURL where empty
	Scope      string // of the token; the URL's host, or PublicURL's where that is loopback, with /.default
	Tenant     string // the tenant's id
	Credential azcore.TokenCredential
	Content    []string      // content types; all but DLP.All where empty
	Publisher  string        // PublisherIdentifier: the tenant id of whoever runs Cordon, which throttling is counted by
	Every      time.Duration // between two listings; a minute where 0
	Backfill   time.Duration // how far back a feed is read that was never read; a day where 0, seven at most
	Webhook    *Webhook      // nil: only polled
}

// Webhook is where Microsoft tells of new content. It only makes listings early: without it all comes as well.
type Webhook struct {
	Address string // public, https
	AuthID  string // the secret that Microsoft sends back to us
}

// Name is what the source is called in checkpoints.
func (c Config) Name() string { return c.Tenant + "/office365" }

// ContentTypes are those that there are.
func ContentTypes() []string {
	return []string{record.UnifiedEntra, record.UnifiedExchange, record.UnifiedSharePoint, record.UnifiedGeneral, record.UnifiedDLP}
}

// Source reads every content type of one tenant's feed.
type Source struct {
	cfg     Config
	bus     *bus.Bus
	clock   clock.Clock
	log     *zap.Logger
	api     *client
	readers []*reader
	check   chan struct{} // asks for a look at the subscriptions
	pace    pace
}

// pace is how long the source waits; tests are quicker.
type pace struct {
	check     time.Duration // between two looks at the subscriptions
	retry     time.Duration // after the first failure; it grows from there
	retryMost time.Duration
	refused   time.Duration // after a refusal for want of permission, which people have to mend
	wake      time.Duration // at least, between two listings, whatever notifications come
}

// New returns a source; Run reads it.
func New(cfg Config, b *bus.Bus, c clock.Clock, log *zap.Logger) (*Source, error) {
	if cfg.URL == "" {
		cfg.URL = PublicURL
	}
	base, err := url.Parse(cfg.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the Office 365 URL: %w", err)
	case base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" || base.Path != "" && base.Path != "/":
		return nil, fmt.Errorf("reading the Office 365 URL %q: it names a host and nothing else", base.Redacted())
	case base.Scheme != "https" && (base.Scheme != "http" || !loopback(base.Hostname())):
		return nil, fmt.Errorf("reading the Office 365 URL %q: only https may carry a token, or loopback", base.Redacted())
	case !guid.MatchString(cfg.Tenant):
		return nil, fmt.Errorf("configuring Office 365: the tenant %q is no tenant id", cfg.Tenant)
	case cfg.Credential == nil:
		return nil, errors.New("configuring Office 365: there is no credential")
	}
	if cfg.Scope == "" {
		cfg.Scope = PublicURL + "/.default"
		if !loopback(base.Hostname()) {
			cfg.Scope = "https://" + base.Host + "/.default"
		}
	}
	if len(cfg.Content) == 0 {
		cfg.Content = []string{record.UnifiedEntra, record.UnifiedExchange, record.UnifiedSharePoint, record.UnifiedGeneral}
	}
	for i, name := range cfg.Content {
		if !slices.Contains(ContentTypes(), name) || slices.Contains(cfg.Content[:i], name) {
			return nil, fmt.Errorf("configuring Office 365: content type %q is none of %s, or named twice", name, strings.Join(ContentTypes(), ", "))
		}
	}
	if hook := cfg.Webhook; hook != nil {
		at, err := url.Parse(hook.Address)
		if err != nil || at.Host == "" || at.Scheme != "https" && !loopback(at.Hostname()) {
			return nil, errors.New("configuring Office 365: the webhook's address is no https address")
		}
		if len(hook.AuthID) < shortestSecret {
			return nil, fmt.Errorf("configuring Office 365: the webhook's secret has %d bytes, at least %d are needed", len(hook.AuthID), shortestSecret)
		}
	}
	if cfg.Every <= 0 {
		cfg.Every = everyUnlessSaid
	}
	if cfg.Backfill <= 0 {
		cfg.Backfill = backfillUnlessSaid
	}
	s := &Source{cfg: cfg, bus: b, clock: c, log: log.With(zap.String("source", cfg.Name())), check: make(chan struct{}, 1),
		api:  newClient(base, cfg, c),
		pace: pace{check: 10 * time.Minute, retry: 2 * time.Second, retryMost: 5 * time.Minute, refused: 10 * time.Minute, wake: 10 * time.Second}}
	for _, name := range cfg.Content {
		s.readers = append(s.readers, &reader{source: s, content: name, log: s.log.With(zap.String("content", name)),
			woken: make(chan struct{}, 1), failures: map[string]int{}})
	}
	return s, nil
}

// guid is how a tenant is written: it stands in the path of every request.
var guid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Run keeps the subscriptions and reads until ctx ends. What fails is tried again for as long as it takes.
func (s *Source) Run(ctx context.Context) error {
	defer s.api.close()
	first := s.subscribe(ctx)
	var all sync.WaitGroup
	all.Go(func() { s.keep(ctx, first) })
	for _, r := range s.readers {
		all.Go(func() { r.run(ctx) })
	}
	all.Wait()
	return nil
}

// signal wakes whoever waits on c, once.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// grow is the next wait after a failure.
func (p pace) grow(wait time.Duration) time.Duration {
	return min(max(2*wait, p.retry), p.retryMost)
}
