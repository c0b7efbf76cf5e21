// Package config reads cordon.yaml, strictly: an unknown key, a missing part or a secret in plain sight is an error
// that names its place.
package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"cordon/internal/bus"
	"cordon/internal/finding"
	"cordon/internal/graph"
	"cordon/internal/partnercenter"
	"go.yaml.in/yaml/v3"
)

// Config is cordon.yaml.
type Config struct {
	Data        string         `yaml:"data"`        // data folder
	Listen      string         `yaml:"listen"`      // console and API; 127.0.0.1:8080 by default
	URL         string         `yaml:"url"`         // where people reach the console, for links in chat
	NATS        string         `yaml:"nats"`        // a cluster; embedded where empty
	LogsMax     int64          `yaml:"logs-max"`    // bytes that LOGS may take; unlimited where 0
	Memory      int            `yaml:"memory"`      // MiB that the process may take while it catches up; 256 where 0
	Replicas    int            `yaml:"replicas"`    // of what a NATS cluster stores; 3 there, 1 where it is embedded
	Instance    string         `yaml:"instance"`    // unique among those on one cluster; the host's name where empty
	Lateness    Lateness       `yaml:"lateness"`    // how long the watermark waits, by kind of record
	Graph       string         `yaml:"graph"`       // base URL of Microsoft Graph
	Application Application    `yaml:"application"` // Cordon's own identity
	Tenants     []Tenant       `yaml:"tenants"`
	Partners    []Partner      `yaml:"partners"`
	Analysts    []Analyst      `yaml:"analysts"`
	Guardrails  map[string]Cap `yaml:"guardrails"`
	Chat        Chat           `yaml:"chat"`
	Rules       string         `yaml:"rules"`     // folder; what ships where empty
	Playbooks   string         `yaml:"playbooks"` // folder; what ships where empty

	Modes map[string]string `yaml:"modes"` // off, audit or on, by the name of a rule; where they differ from its file
}

// Application is the application under which Cordon itself acts.
type Application struct {
	ID      string   `yaml:"id"`      // application (client) id
	Objects []string `yaml:"objects"` // its service principals' object ids
}

// Tenant is a tenant that Cordon watches and contains.
type Tenant struct {
	ID         string     `yaml:"id"`
	Name       string     `yaml:"name"`
	Partner    string     `yaml:"partner"`
	Mode       string     `yaml:"mode"` // observe (default), approve, automatic
	Credential Credential `yaml:"credential"`
	BreakGlass []string   `yaml:"break-glass"`
	Canary     bool       `yaml:"canary"` // change Cordon's own service principal every 15 minutes, and see it come back
	Sources    []Source   `yaml:"sources"`
}

// Partner is a CSP partner's own tenant.
type Partner struct {
	Name          string        `yaml:"name"`
	Tenant        string        `yaml:"tenant"`
	Credential    Credential    `yaml:"credential"`
	PartnerCenter PartnerCenter `yaml:"partner-center"`
	Logs          []string      `yaml:"logs"` // partner-security-alerts, partner-fraud-events, partner-audit-records
}

// PartnerCenter is the App+User access that removing DAP needs.
type PartnerCenter struct {
	URL          string `yaml:"url"`
	TokenURL     string `yaml:"token-url"`
	ClientID     string `yaml:"client-id"`
	ClientSecret Secret `yaml:"client-secret"`
	RefreshToken Secret `yaml:"refresh-token"`
}

// Credential is one way to prove who Cordon is, in order of preference.
type Credential struct {
	WorkloadIdentity *struct {
		ClientID string `yaml:"client-id"`
	} `yaml:"workload-identity"`
	Certificate *struct {
		ClientID string `yaml:"client-id"`
		File     string `yaml:"file"`
	} `yaml:"certificate"`
	Secret *struct {
		ClientID string `yaml:"client-id"`
		Secret   Secret `yaml:"secret"`
	} `yaml:"secret"`
	Token *Secret `yaml:"token"` // a bearer token as it is: the simulated tenant's
}

// Analyst is a person who decides.
type Analyst struct {
	Name     string   `yaml:"name"`
	Token    Secret   `yaml:"token"`
	May      []string `yaml:"may"`      // one, two
	Accounts []string `yaml:"accounts"` // his own: he decides nothing about them
}

// Cap is how often an action may run by itself in a tenant.
type Cap struct {
	Per    time.Duration `yaml:"per"`
	AtMost int           `yaml:"at-most"`
}

// Chat is where incidents are shown.
type Chat struct {
	Slack *Slack `yaml:"slack"`
}

// Slack is a workspace's channel.
type Slack struct {
	URL     string `yaml:"url"` // of the API; Slack's own where empty
	Token   Secret `yaml:"token"`
	Channel string `yaml:"channel"`
}

// Secret is where a secret is, never the secret itself.
type Secret struct {
	Env  string `yaml:"env"`
	File string `yaml:"file"`
}

// UnmarshalYAML refuses a secret that stands in the file.
func (s *Secret) UnmarshalYAML(n *yaml.Node) error {
	type plain Secret
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: a secret is named by {env: NAME} or {file: PATH}, never written here", n.Line)
	}
	for i := 0; i < len(n.Content); i += 2 {
		if k := n.Content[i].Value; k != "env" && k != "file" {
			return fmt.Errorf("line %d: unknown key %q; a secret is named by {env: NAME} or {file: PATH}", n.Content[i].Line, k)
		}
	}
	if len(n.Content) > 2 {
		return fmt.Errorf("line %d: %w", n.Line, errTwoPlaces)
	}
	return n.Decode((*plain)(s))
}

// IsSet says whether the secret is named at all.
func (s Secret) IsSet() bool { return s.Env != "" || s.File != "" }

// maxSecret bounds a secret's file.
const maxSecret = 64 << 10

var errTwoPlaces = errors.New("a secret has one of env and file")

// Read fetches the secret. Its error names the place, never the content.
func (s Secret) Read() (string, error) {
	switch {
	case s.Env != "" && s.File != "":
		return "", errTwoPlaces
	case s.Env != "":
		if v := os.Getenv(s.Env); v != "" {
			return v, nil
		}
		return "", fmt.Errorf("the environment variable %s is empty", s.Env)
	case s.File != "":
		f, err := os.Open(s.File)
		if err != nil {
			return "", fmt.Errorf("opening a secret: %w", err)
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
		if err != nil {
			return "", fmt.Errorf("reading a secret: %w", err)
		}
		if len(data) > maxSecret {
			return "", fmt.Errorf("the secret's file %s is larger than 64 KiB", s.File)
		}
		if v := strings.TrimSpace(string(data)); v != "" {
			return v, nil
		}
		return "", fmt.Errorf("the secret's file %s is empty", s.File)
	}
	return "", errors.New("a secret is missing: name it by env or file")
}

// Load reads and checks a configuration file.
func Load(file string) (*Config, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("opening the configuration: %w", err)
	}
	defer f.Close()
	c, err := Parse(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// Parse reads and checks a configuration.
func Parse(in io.Reader) (*Config, error) {
	c := &Config{Listen: "127.0.0.1:8080", Graph: graph.PublicURL}
	dec := yaml.NewDecoder(io.LimitReader(in, 4<<20))
	dec.KnownFields(true)
	if err := dec.Decode(c); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the file is empty")
		}
		return nil, clearer(err)
	}
	var more yaml.Node
	if err := dec.Decode(&more); err == nil {
		return nil, fmt.Errorf("line %d: there is a second document; expected one", more.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, clearer(err)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

var modes = []string{"observe", "approve", "automatic"}

// MemoryBytes is what the process may take.
func (c *Config) MemoryBytes() int {
	if c.Memory == 0 {
		return bus.DefaultMemory
	}
	return c.Memory << 20
}

func (c *Config) check() error {
	if c.Data == "" {
		return errors.New("data: name the folder that holds Cordon's data")
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if c.URL != "" {
		if err := httpURL(c.URL); err != nil {
			return fmt.Errorf("url: %w", err)
		}
	}
	if host, _, _ := net.SplitHostPort(c.Listen); !loopback(host) && !strings.HasPrefix(c.URL, "https://") {
		return fmt.Errorf("listen: %s is reached from elsewhere: put TLS in front of it, and name its https address under url", c.Listen)
	}
	if err := httpURL(c.Graph); err != nil {
		return fmt.Errorf("graph: %w", err)
	}
	if len(c.Tenants) == 0 {
		return errors.New("tenants: there is none to watch")
	}
	partners := map[string]bool{}
	for i := range c.Partners {
		p := &c.Partners[i]
		if p.Name == "" || p.Tenant == "" {
			return fmt.Errorf("partners[%d]: a partner needs a name and its tenant", i)
		}
		if err := p.Credential.check(); err != nil {
			return fmt.Errorf("partners[%d] (%s): credential: %w", i, p.Name, err)
		}
		if p.PartnerCenter.URL == "" {
			p.PartnerCenter.URL = partnercenter.PublicURL
		}
		if p.PartnerCenter.TokenURL == "" {
			p.PartnerCenter.TokenURL = "https://login.microsoftonline.com/" + url.PathEscape(p.Tenant) + "/oauth2/v2.0/token"
		}
		if err := httpURL(p.PartnerCenter.URL); err != nil {
			return fmt.Errorf("partners[%d] (%s): partner-center.url: %w", i, p.Name, err)
		}
		if err := httpURL(p.PartnerCenter.TokenURL); err != nil {
			return fmt.Errorf("partners[%d] (%s): partner-center.token-url: %w", i, p.Name, err)
		}
		if err := p.checkLogs(); err != nil {
			return fmt.Errorf("partners[%d] (%s): logs: %w", i, p.Name, err)
		}
		if partners[p.Name] {
			return fmt.Errorf("partners[%d] (%s): there is another partner of that name", i, p.Name)
		}
		partners[p.Name] = true
	}
	ids, read := map[string]bool{}, map[string]string{}
	for i := range c.Tenants {
		t := &c.Tenants[i]
		if t.Name == "" {
			t.Name = t.ID
		}
		where := fmt.Sprintf("tenants[%d] (%s)", i, t.Name)
		switch {
		case t.ID == "":
			return fmt.Errorf("%s: id is missing", where)
		case ids[strings.ToLower(t.ID)]:
			return fmt.Errorf("%s: tenant %s is listed twice", where, t.ID)
		case t.Partner != "" && !partners[t.Partner]:
			return fmt.Errorf("%s: partner %q is not among partners", where, t.Partner)
		}
		ids[strings.ToLower(t.ID)] = true
		if t.Mode == "" {
			t.Mode = "observe" // a new tenant
		}
		if !slices.Contains(modes, t.Mode) {
			return fmt.Errorf("%s: mode %q is none of %s", where, t.Mode, strings.Join(modes, ", "))
		}
		if err := t.Credential.check(); err != nil {
			return fmt.Errorf("%s: credential: %w", where, err)
		}
		for n, s := range t.Sources {
			if err := s.check(t.Name, read); err != nil {
				return fmt.Errorf("%s: sources[%d]: %w", where, n, err)
			}
		}
	}
	switch {
	case c.Memory != 0 && c.Memory < 192:
		return errors.New("memory: Cordon needs 192 MiB at least")
	case c.NATS == "" && c.Replicas > 1:
		return errors.New("replicas: the embedded server stores everything once; name a cluster under nats")
	case c.Replicas < 0 || c.Replicas > 5:
		return errors.New("replicas: expected 1, 3 or 5")
	}
	if err := c.Lateness.check(); err != nil {
		return fmt.Errorf("lateness: %w", err)
	}
	names := map[string]bool{}
	for i, a := range c.Analysts {
		name := strings.ToLower(a.Name) // alex and Alex are no two people
		if name == "" || !a.Token.IsSet() || names[name] || name == "cordon" {
			return fmt.Errorf("analysts[%d]: an analyst needs a name of his own and a token", i)
		}
		names[name] = true
		for _, m := range a.May {
			if m != "one" && m != "two" {
				return fmt.Errorf("analysts[%d] (%s): may is %q; expected one or two", i, a.Name, m)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Modes)) {
		if !slices.Contains(finding.Modes, c.Modes[name]) {
			return fmt.Errorf("modes.%s: %q is none of %s", name, c.Modes[name], strings.Join(finding.Modes, ", "))
		}
	}
	for name, g := range c.Guardrails {
		if g.Per <= 0 || g.AtMost < 0 {
			return fmt.Errorf("guardrails.%s: expected {per: 1h, at-most: 5}", name)
		}
	}
	if s := c.Chat.Slack; s != nil {
		if s.Channel == "" || !s.Token.IsSet() {
			return errors.New("chat.slack: a channel and a token are needed")
		}
		if s.URL != "" {
			if err := httpURL(s.URL); err != nil {
				return fmt.Errorf("chat.slack.url: %w", err)
			}
		}
	}
	return nil
}

func (c Credential) check() error {
	n := 0
	for _, set := range []bool{c.WorkloadIdentity != nil, c.Certificate != nil, c.Secret != nil, c.Token != nil} {
		if set {
			n++
		}
	}
	if n != 1 {
		return errors.New("name one of workload-identity, certificate, secret (and token, for the simulated tenant)")
	}
	return nil
}

// httpURL accepts https anywhere and http on loopback alone.
func httpURL(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return err
	}
	if u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("%q: expected https, or http on loopback", s)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
