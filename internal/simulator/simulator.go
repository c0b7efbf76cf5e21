// Package simulator puts the simulated parts together: tenants with Graph, Partner Center, a chat workspace and an
// Event Hubs namespace, each on a real socket on loopback, and the configuration with which Cordon finds them. It
// serves tests, `cordon try` and `cordon simulate` alone; Cordon itself does not know that it exists.
package simulator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"cordon/internal/clock"
	"cordon/internal/simulator/entra"
	"cordon/internal/simulator/eventhubs"
	"cordon/internal/simulator/partnercenter"
	"cordon/internal/simulator/scenario"
	"cordon/internal/simulator/slack"
)

// Build makes the world that is simulated; its tenants' records go to emit.
type Build func(c clock.Clock, emit func(t *entra.Tenant, category string, record []byte, at time.Time)) (*scenario.World, error)

// Attack is the world of the attack on a CSP's customer.
func Attack(c clock.Clock, emit func(t *entra.Tenant, category string, record []byte, at time.Time)) (*scenario.World, error) {
	return scenario.Build(c, emit), nil
}

// delay is how long after the event a record is delivered: minutes, as Microsoft does.
const delay = 5 * time.Minute

const (
	partitions = 4
	channel    = "C0CORDON"
	hubName    = "insights-logs"
)

// Simulator is the running simulation.
type Simulator struct {
	World   *scenario.World
	Graph   *entra.Graph
	Partner *partnercenter.Server // nil where the world has no partner
	Slack   *slack.Server
	Hubs    *eventhubs.Namespace

	clock  clock.Clock
	delay  time.Duration
	tokens map[string]string // by what they are for
	urls   map[string]string
	names  map[string]string         // of hubs, by tenant
	hubs   map[string]*eventhubs.Hub // by tenant
	web    []*http.Server
	served sync.WaitGroup

	mu  sync.Mutex
	out []parcel // by due time
}

// parcel is a record on its way to the hub.
type parcel struct {
	due      time.Time
	tenant   string
	category string
	record   []byte
	enqueued time.Time // as the hub says; when it is delivered, where zero
}

// Start opens every socket. Close closes them.
func Start(c clock.Clock, build Build) (*Simulator, error) {
	s := &Simulator{clock: c, delay: delay, tokens: map[string]string{}, urls: map[string]string{}, names: map[string]string{}, hubs: map[string]*eventhubs.Hub{}}
	for _, name := range []string{"graph", "partner-graph", "slack", "refresh", "client", "alex", "sam"} {
		var b [18]byte
		if _, err := rand.Read(b[:]); err != nil {
			return nil, fmt.Errorf("making tokens: %w", err)
		}
		s.tokens[name] = hex.EncodeToString(b[:])
	}
	var err error
	if s.World, err = build(c, s.emit); err != nil {
		return nil, fmt.Errorf("building the world: %w", err)
	}
	if s.Hubs, err = eventhubs.Listen("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("opening the event hubs: %w", err)
	}
	for i, t := range s.World.Tenants {
		s.names[t.ID()] = fmt.Sprintf("%s-%d", hubName, i)
		s.hubs[t.ID()] = s.Hubs.AddHub(s.names[t.ID()], partitions)
	}
	s.Graph = entra.NewGraph(s.World.Tenants...)
	s.Graph.SetPageSize(20)
	for _, t := range s.World.Tenants {
		s.Graph.Allow(s.tokens["graph"]+t.ID(), t, s.World.App(t))
	}
	s.Slack = slack.New(c, s.tokens["slack"])
	servers := map[string]http.Handler{"graph": s.Graph, "slack": s.Slack}
	if s.World.Partner != nil {
		s.Partner = s.World.PartnerCenter(partnercenter.Client{ID: "c07d0000-51ab-4c0d-8a11-000000000001", Secret: s.tokens["client"],
			RefreshToken: s.tokens["refresh"], User: "cordon@fabrikam.example"})
		servers["partner-center"] = s.Partner
	}
	for name, h := range servers {
		if err := s.serve(name, h); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

func (s *Simulator) serve(name string, h http.Handler) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("opening the simulated %s: %w", name, err)
	}
	web := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	s.web = append(s.web, web)
	s.urls[name] = "http://" + l.Addr().String()
	s.served.Go(func() { _ = web.Serve(l) }) // ends with Close
	return nil
}

// Close closes every socket and waits for what answers on them.
func (s *Simulator) Close() error {
	var errs []error
	for _, web := range s.web {
		errs = append(errs, web.Close())
	}
	if s.Hubs != nil {
		errs = append(errs, s.Hubs.Close())
	}
	s.served.Wait()
	return errors.Join(errs...)
}

// emit takes a tenant's record; it is delivered later.
func (s *Simulator) emit(t *entra.Tenant, category string, record []byte, at time.Time) {
	s.Post(t.ID(), category, record, at.Add(s.delay))
}

// Post puts a record on its way: it is delivered to the tenant's hub when it is due.
func (s *Simulator) Post(tenant, category string, record []byte, due time.Time) {
	s.PostOf(tenant, category, record, due, time.Time{})
}

// PostOf is Post of a record of another time, at which the hub says that it came.
func (s *Simulator) PostOf(tenant, category string, record []byte, due, enqueued time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := parcel{due: due, tenant: tenant, category: category, record: slices.Clone(record), enqueued: enqueued}
	i, _ := slices.BinarySearchFunc(s.out, p, func(a, b parcel) int {
		if a.due.After(b.due) {
			return 1
		}
		return -1 // behind those of the same time
	})
	s.out = slices.Insert(s.out, i, p)
}

// NextDelivery tells when the next record is due.
func (s *Simulator) NextDelivery() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.out) == 0 {
		return time.Time{}, false
	}
	return s.out[0].due, true
}

// Deliver enqueues every record that is due by t, in messages as Azure Monitor batches them.
func (s *Simulator) Deliver(t time.Time) {
	s.mu.Lock()
	n := 0
	for n < len(s.out) && !s.out[n].due.After(t) {
		n++
	}
	due := s.out[:n:n]
	s.out = s.out[n:]
	s.mu.Unlock()
	type address struct {
		tenant    string
		partition int
		enqueued  time.Time
	}
	batches := map[address][]json.RawMessage{}
	var order []address
	for _, p := range due {
		h := fnv.New32a()
		_, _ = h.Write([]byte(p.category))
		at := address{p.tenant, int(h.Sum32() % partitions), p.enqueued}
		if batches[at] == nil {
			order = append(order, at)
		}
		batches[at] = append(batches[at], p.record)
	}
	for _, at := range order {
		body, err := json.Marshal(map[string]any{"records": batches[at]})
		if err != nil {
			continue // the records were JSON when they were posted
		}
		if at.enqueued.IsZero() {
			at.enqueued = s.clock.Now()
		}
		s.hubs[at.tenant].Enqueue(at.partition, body, at.enqueued)
	}
}

// Hub is a tenant's event hub.
func (s *Simulator) Hub(tenant string) *eventhubs.Hub { return s.hubs[tenant] }

// URL is where a part answers: graph, partner-center, slack.
func (s *Simulator) URL(part string) string { return s.urls[part] }

// Token is a secret of the simulation, by what it is for: the analysts alex and sam have one each.
func (s *Simulator) Token(of string) string { return s.tokens[of] }

// Analysts are the two people who may decide.
var Analysts = []string{"alex", "sam"}

// Config writes the simulation's secrets into a folder, readable by the owner alone, and returns the cordon.yaml
// with which Cordon watches its tenants. data is Cordon's data folder.
func (s *Simulator) Config(secrets, data string) (string, error) {
	if err := os.MkdirAll(secrets, 0o700); err != nil {
		return "", fmt.Errorf("creating the folder for secrets: %w", err)
	}
	var failed error
	secret := func(name, value string) string {
		path := filepath.Join(secrets, name)
		if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
			failed = fmt.Errorf("writing a secret: %w", err)
		}
		quoted, err := json.Marshal(path)
		if err != nil {
			failed = err
		}
		return "{file: " + string(quoted) + "}"
	}
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# The simulated tenants. Another tenant needs another graph URL, credentials and event hubs; nothing else differs.")
	p("data: %q", data)
	p("listen: 127.0.0.1:0")
	p("graph: %s/v1.0", s.urls["graph"])
	p("application:")
	app := s.World.App(s.World.Customer)
	p("  id: %s", app.AppID)
	p("  objects: [%s]", app.ServicePrincipalID)
	if w := s.World; w.Partner != nil {
		p("partners:")
		p("  - name: fabrikam")
		p("    tenant: %s", w.Partner.ID())
		p("    credential: {token: %s}", secret("graph-"+w.Partner.ID(), s.tokens["graph"]+w.Partner.ID()))
		p("    partner-center:")
		p("      url: %s", s.urls["partner-center"])
		p("      token-url: %s/token", s.urls["partner-center"])
		p("      client-id: c07d0000-51ab-4c0d-8a11-000000000001")
		p("      client-secret: %s", secret("client", s.tokens["client"]))
		p("      refresh-token: %s", secret("refresh", s.tokens["refresh"]))
	}
	p("tenants:")
	for _, t := range s.World.Tenants {
		if t == s.World.Partner {
			continue
		}
		p("  - id: %q", t.ID())
		p("    name: %q", t.Name())
		if s.World.Partner != nil {
			p("    partner: fabrikam")
		}
		p("    mode: automatic")
		p("    credential: {token: %s}", secret("graph-"+t.ID(), s.tokens["graph"]+t.ID()))
		p("    break-glass: [%s]", strings.Join(s.World.BreakGlassIDs, ", "))
		p("    sources:")
		p("      - event-hub:")
		p("          namespace: %q", s.Hubs.Addr())
		p("          hub: %q", s.names[t.ID()])
		p("          connection-string: %s", secret("hub-"+t.ID(), s.Hubs.ConnectionString(s.names[t.ID()])))
	}
	p("analysts:")
	for _, name := range Analysts {
		p("  - {name: %s, may: [one, two], token: %s}", name, secret("analyst-"+name, s.tokens[name]))
	}
	p("chat:")
	p("  slack: {url: %s/api, channel: %s, token: %s}", s.urls["slack"], channel, secret("slack", s.tokens["slack"]))
	return b.String(), failed
}

// Serve delivers records as they become due until ctx ends, for `cordon simulate`.
func (s *Simulator) Serve(ctx context.Context) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.Deliver(s.clock.Now())
		case <-ctx.Done():
			return
		}
	}
}

// Source is what Cordon calls a tenant's hub in its checkpoints.
func (s *Simulator) Source(tenant string) string { return s.Hubs.Addr() + "/" + s.names[tenant] }

// HubName is what a tenant's hub is called.
func (s *Simulator) HubName(tenant string) string { return s.names[tenant] }
