package config

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"cordon/internal/record"
)

// Source is where a tenant's records come from: one of these.
type Source struct {
	EventHub  *EventHub  `yaml:"event-hub"`
	Graph     *Graph     `yaml:"graph"`
	Office365 *Office365 `yaml:"office-365"`
	Directory *Directory `yaml:"directory"`
}

// EventHub is one hub, with what a diagnostic setting or Defender XDR writes to it.
type EventHub struct {
	Namespace        string   `yaml:"namespace"`
	Hub              string   `yaml:"hub"`
	ConsumerGroup    string   `yaml:"consumer-group"`
	WebSockets       bool     `yaml:"web-sockets"`       // by port 443 and the environment's proxy
	Tenants          []string `yaml:"tenants"`           // others whose records are forwarded into this hub
	ConnectionString Secret   `yaml:"connection-string"` // the emulator's; Azure is reached by the tenant's credential
}

// Graph polls a tenant's logs where no hub carries them.
type Graph struct {
	Logs  []string      `yaml:"logs"`  // those of the tenant's licences where empty
	Since time.Duration `yaml:"since"` // how far back the first start asks
}

// Office365 reads the Office 365 Management Activity API.
type Office365 struct {
	URL       string        `yaml:"url"`       // Microsoft's own where empty
	Content   []string      `yaml:"content"`   // all but DLP.All where empty
	Publisher string        `yaml:"publisher"` // GUID of who runs Cordon
	Since     time.Duration `yaml:"since"`
	Webhook   *struct {
		Address string `yaml:"address"`
		Secret  Secret `yaml:"secret"`
	} `yaml:"webhook"`
}

// Directory is a folder into which exports are put.
type Directory struct {
	Path string `yaml:"path"`
	Move bool   `yaml:"move"` // finished files go to done/
}

// check looks at one source; read holds what is read already, and for whom.
func (s Source) check(tenant string, read map[string]string) error {
	n := 0
	for _, set := range []bool{s.EventHub != nil, s.Graph != nil, s.Office365 != nil, s.Directory != nil} {
		if set {
			n++
		}
	}
	if n != 1 {
		return errors.New("a source is one of event-hub, graph, office-365, directory")
	}
	once := func(what, name string) error {
		name = strings.ToLower(name)
		if other := read[what+name]; other != "" {
			return fmt.Errorf("%s %s is read for %s already", what, name, other)
		}
		read[what+name] = tenant
		return nil
	}
	switch {
	case s.EventHub != nil:
		if s.EventHub.Namespace == "" || s.EventHub.Hub == "" {
			return errors.New("an event hub needs namespace and hub")
		}
		return once("hub", s.EventHub.Namespace+"/"+s.EventHub.Hub)
	case s.Graph != nil:
		return once("graph of", tenant)
	case s.Office365 != nil:
		return errors.Join(s.Office365.check(), once("office-365 of", tenant))
	}
	if s.Directory.Path == "" {
		return errors.New("directory: name its path")
	}
	return once("directory", s.Directory.Path)
}

var guid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

func (o *Office365) check() error {
	if o.URL != "" {
		if err := httpURL(o.URL); err != nil {
			return fmt.Errorf("office-365.url: %w", err)
		}
	}
	if o.Publisher != "" && !guid.MatchString(o.Publisher) {
		return errors.New("office-365.publisher: expected a GUID")
	}
	if w := o.Webhook; w != nil {
		u, err := url.Parse(w.Address)
		if err != nil || u.Scheme != "https" || u.Path == "" || u.Path == "/" || !w.Secret.IsSet() {
			return errors.New("office-365.webhook: expected {address: https://…/path, secret: {env: NAME}}")
		}
	}
	return nil
}

var partnerLogs = []string{"partner-security-alerts", "partner-fraud-events", "partner-audit-records"}

func (p *Partner) checkLogs() error {
	for _, name := range p.Logs {
		if !slices.Contains(partnerLogs, name) {
			return fmt.Errorf("%q is none of %s", name, strings.Join(partnerLogs, ", "))
		}
		if name != partnerLogs[0] && !p.PartnerCenter.RefreshToken.IsSet() {
			return fmt.Errorf("%s is read from Partner Center: partner-center.refresh-token is missing", name)
		}
	}
	return nil
}

// Lateness is by kind of record; a kind that is not named keeps its default.
type Lateness map[record.Kind]time.Duration

func (l Lateness) check() error {
	known := record.DefaultLateness()
	for kind, d := range l {
		if _, ok := known[kind]; !ok {
			names := slices.Sorted(maps.Keys(known))
			return fmt.Errorf("%q is none of %v", kind, names)
		}
		if d < 0 || d > 35*24*time.Hour {
			return fmt.Errorf("%s: %s is not between 0 and 35 days", kind, d)
		}
	}
	return nil
}

// Records is the lateness of every kind.
func (l Lateness) Records() record.Lateness {
	all := record.DefaultLateness()
	for kind, d := range l {
		all[kind] = d
	}
	return all
}
