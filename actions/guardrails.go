package actions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cordon/internal/bus"
	"cordon/internal/directory"
	"cordon/internal/fault"
	"cordon/internal/finding"
	"cordon/internal/incident"
	"cordon/internal/record"
	"github.com/nats-io/nats.go/jetstream"
)

// guard refuses a change that no playbook and no approval may make. It runs immediately before the call, on fresh
// state.
func guard(ctx context.Context, a Action, c *Call) error {
	if !a.Changes() || a.Name == reportWrite.Name {
		return nil
	}
	gives := a.Returns == (c.Step.Undo == "") // taking an enabling back disables
	if gives {
		return nil
	}
	ids := []string{c.Step.Target.ID, c.Step.Target.Label, c.Param("user"), c.Param("application")}
	if p := c.Incident.Principal; slices.ContainsFunc(ids, func(id string) bool { return id != "" && strings.EqualFold(id, p.ID) }) {
		ids = append(ids, p.UPN, p.AppID) // the lists may name him otherwise than the step does
	}
	if c.Step.Target.Type == record.User && len(c.Access.BreakGlass) > 0 {
		u, err := readUser(ctx, c.Access.Graph, c.Step.Target.ID) // a list may name him as he is called by now
		if err != nil {
			return fmt.Errorf("looking up who it is: %w", err)
		}
		ids = append(ids, u.ID, u.UPN)
	}
	for _, id := range ids {
		switch {
		case id == "":
		case slices.ContainsFunc(c.Access.BreakGlass, func(b string) bool { return strings.EqualFold(b, id) }):
			return fault.Guard("%s is a break-glass account of %s: a person must decide, outside Cordon", c.Step.Target.Label, c.Access.Name)
		case slices.ContainsFunc(c.Access.Own, func(o string) bool { return strings.EqualFold(o, id) }):
			return fault.Guard("%s is Cordon's own identity", c.Step.Target.Label)
		}
	}
	switch a.Name {
	case "user.disable", "user.enable":
		return lastAdministrator(ctx, c, c.Step.Target.ID)
	case "role.remove":
		if role := c.Param("role"); role == "" || strings.EqualFold(role, directory.GlobalAdministrator) {
			return lastAdministrator(ctx, c, c.Param("user"))
		}
	}
	return nil
}

// lastAdministrator refuses to lock out the last Global Administrator who can still sign in. Accounts that the
// attacker made do not count.
func lastAdministrator(ctx context.Context, c *Call, id string) error {
	holders, err := readRoles(ctx, c.Access.Graph, "roleDefinitionId eq '"+directory.GlobalAdministrator+"'")
	if err != nil {
		return fmt.Errorf("counting Global Administrators: %w", err)
	}
	isOne := false
	for _, h := range holders {
		isOne = isOne || strings.EqualFold(h.On, id)
	}
	if !isOne {
		return nil
	}
	for _, h := range holders {
		if strings.EqualFold(h.On, id) || slices.ContainsFunc(c.Incident.Children(), func(o finding.Object) bool { return strings.EqualFold(o.ID, h.On) }) {
			continue
		}
		u, err := readUser(ctx, c.Access.Graph, h.On)
		switch {
		case fault.Of(err) == fault.NotFound:
			continue // a service principal, or gone
		case err != nil:
			return fmt.Errorf("counting Global Administrators: %w", err)
		case u.Enabled:
			return nil
		}
	}
	return fault.Guard("%s is the last Global Administrator of %s who can sign in", c.Step.Target.Label, c.Access.Name)
}

// defaultCaps bound what Cordon does by itself in a tenant, where the configuration says nothing: attackers use
// automation to lock everybody out.
var defaultCaps = map[string]Cap{
	"user.disable":        {Per: time.Hour, AtMost: 5},
	"user.reset-password": {Per: time.Hour, AtMost: 5},
	"application.disable": {Per: time.Hour, AtMost: 5},
}

// over says whether an automatic step would exceed the tenant's cap, and counts it if not. Repeated attempts of a
// step count once.
func over(ctx context.Context, b *bus.Bus, a Action, c *Call) (bool, error) {
	limit, ok := c.Access.Caps[a.Name]
	if !ok {
		limit, ok = defaultCaps[a.Name]
	}
	if !ok || c.Step.Need != incident.Auto {
		return false, nil
	}
	kv, err := b.KeyValue(ctx, bus.CapsBucket)
	if err != nil {
		return false, err
	}
	key := bus.Token(c.Access.Tenant) + "." + bus.Token(a.Name)
	step := fmt.Sprintf("%d/%s/%d", c.Incident.Number, c.Step.Place, c.Step.Round)
	for {
		used := map[string]time.Time{}
		entry, err := kv.Get(ctx, key)
		switch {
		case err == nil:
			if err := json.Unmarshal(entry.Value(), &used); err != nil {
				return false, fmt.Errorf("reading cap %s: %w", key, err)
			}
		case !errors.Is(err, jetstream.ErrKeyNotFound):
			return false, fmt.Errorf("reading cap %s: %w", key, err)
		}
		now := c.Clock.Now()
		for s, at := range used {
			if now.Sub(at) > limit.Per {
				delete(used, s)
			}
		}
		if _, counted := used[step]; counted {
			return false, nil
		}
		if len(used) >= limit.AtMost {
			return true, nil
		}
		used[step] = now
		data, err := json.Marshal(used)
		if err != nil {
			return false, fmt.Errorf("writing cap %s: %w", key, err)
		}
		if entry == nil {
			_, err = kv.Create(ctx, key, data)
		} else {
			_, err = kv.Update(ctx, key, data, entry.Revision())
		}
		if err == nil {
			return false, nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return false, fmt.Errorf("writing cap %s: %w", key, err)
		}
	}
}
