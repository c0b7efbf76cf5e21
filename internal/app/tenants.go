package app

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"

	"cordon/actions"
	"cordon/internal/config"
	"cordon/internal/console"
	"cordon/internal/graph"
	"cordon/internal/incident"
	"cordon/internal/partnercenter"
)

// tenants is the way into each configured tenant.
type tenants struct {
	list []*actions.Access
	by   map[string]*actions.Access
	pc   map[string]*partnercenter.Client // by partner's name
}

// reach builds the clients of every tenant; none of them calls anybody yet.
func reach(cfg *config.Config) (*tenants, error) {
	partners := map[string]*actions.Partner{}
	for _, p := range cfg.Partners {
		credential, err := p.Credential.For(p.Tenant)
		if err != nil {
			return nil, fmt.Errorf("partner %s: %w", p.Name, err)
		}
		g, err := graph.New(cfg.Graph, credential)
		if err != nil {
			return nil, fmt.Errorf("partner %s: %w", p.Name, err)
		}
		partner := &actions.Partner{Tenant: p.Tenant, Graph: g}
		if pc := p.PartnerCenter; pc.RefreshToken.IsSet() {
			refresh, err := pc.RefreshToken.Read()
			if err != nil {
				return nil, fmt.Errorf("partner %s: partner-center.refresh-token: %w", p.Name, err)
			}
			secret, err := pc.ClientSecret.Read()
			if err != nil {
				return nil, fmt.Errorf("partner %s: partner-center.client-secret: %w", p.Name, err)
			}
			partner.Center = partnercenter.New(partnercenter.Config{URL: pc.URL, TokenURL: pc.TokenURL, ClientID: pc.ClientID, ClientSecret: secret, RefreshToken: refresh})
		}
		partners[p.Name] = partner
	}
	own := append([]string{cfg.Application.ID}, cfg.Application.Objects...)
	caps := map[string]actions.Cap{}
	for name, c := range cfg.Guardrails {
		caps[name] = actions.Cap{Per: c.Per, AtMost: c.AtMost}
	}
	out := &tenants{by: map[string]*actions.Access{}, pc: map[string]*partnercenter.Client{}}
	for name, p := range partners {
		if p.Center != nil {
			out.pc[name] = p.Center
		}
	}
	for _, t := range cfg.Tenants {
		credential, err := t.Credential.For(t.ID)
		if err != nil {
			return nil, fmt.Errorf("tenant %s: %w", t.Name, err)
		}
		g, err := graph.New(cfg.Graph, credential)
		if err != nil {
			return nil, fmt.Errorf("tenant %s: %w", t.Name, err)
		}
		access := &actions.Access{Tenant: t.ID, Name: t.Name, Graph: g, Partner: partners[t.Partner], BreakGlass: t.BreakGlass, Own: own, Mode: t.Mode, Caps: caps}
		out.list = append(out.list, access)
		out.by[strings.ToLower(t.ID)] = access
	}
	return out, nil
}

// Access finds the way into a tenant.
func (t *tenants) Access(id string) (*actions.Access, error) {
	if a, ok := t.by[strings.ToLower(id)]; ok {
		return a, nil
	}
	return nil, fmt.Errorf("tenant %s is not in the configuration", id)
}

// center is a partner's access to Partner Center, nil where it has none.
func (t *tenants) center(partner string) *partnercenter.Client { return t.pc[partner] }

func (t *tenants) ids() []string {
	var ids []string
	for _, a := range t.list {
		ids = append(ids, a.Tenant)
	}
	return ids
}

// Name is what people call a tenant.
func (t *tenants) Name(id string) string {
	if a, ok := t.by[strings.ToLower(id)]; ok {
		return a.Name
	}
	return id
}

// Mode is how far Cordon may act by itself; a tenant that is not configured is only observed.
func (t *tenants) Mode(id string) string {
	if a, ok := t.by[strings.ToLower(id)]; ok {
		return a.Mode
	}
	return "observe"
}

func analysts(cfg *config.Config) ([]console.Analyst, error) {
	var out []console.Analyst
	for _, a := range cfg.Analysts {
		token, err := a.Token.Read()
		if err != nil {
			return nil, fmt.Errorf("analyst %s: token: %w", a.Name, err)
		}
		out = append(out, console.Analyst{Person: incident.Person{Name: a.Name, May: a.May, IDs: a.Accounts}, Token: token})
	}
	return out, nil
}

// newOperator is who looks from the machine that Cordon runs on.
func newOperator() (console.Analyst, error) {
	var b [24]byte
	if _, err := rand.Read(b[:]); err != nil {
		return console.Analyst{}, fmt.Errorf("making the operator's token: %w", err)
	}
	return console.Analyst{Person: incident.Person{Name: "operator"}, Token: hex.EncodeToString(b[:])}, nil
}
