package directory

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"cordon/internal/bus"
	"cordon/internal/fault"
	"cordon/internal/graph"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/rolemanagement"
)

// ReadGraph lists the tenant's role holders as Graph has them at time now: who was given a role, and who is in a group that was.
func ReadGraph(ctx context.Context, g *graph.Client, tenant string, now time.Time) (Snapshot, error) {
	page, err := g.Roles().RoleAssignments().Get(ctx, &rolemanagement.DirectoryRoleAssignmentsRequestBuilderGetRequestConfiguration{
		QueryParameters: &rolemanagement.DirectoryRoleAssignmentsRequestBuilderGetQueryParameters{Expand: []string{"principal"}}})
	if err != nil {
		return Snapshot{}, fmt.Errorf("reading role assignments: %w", graph.Fault(err))
	}
	found := reading{at: map[string]int{}, groups: map[string][]Role{}}
	err = graph.Each(ctx, g, page, models.CreateUnifiedRoleAssignmentCollectionResponseFromDiscriminatorValue, func(a models.UnifiedRoleAssignmentable) {
		id, role := a.GetPrincipalId(), a.GetRoleDefinitionId()
		if id == nil || role == nil {
			return
		}
		of := Role{ID: *role} // of a built-in role: the template id
		if _, is := a.GetPrincipal().(models.Groupable); is {
			found.groups[*id] = append(found.groups[*id], of)
			return
		}
		found.holds(*id, a.GetPrincipal(), of)
	})
	if err != nil {
		return Snapshot{}, fmt.Errorf("reading role assignments: %w", err)
	}
	s := Snapshot{Tenant: tenant, Read: now, Groups: found.groups}
	for _, group := range slices.Sorted(maps.Keys(found.groups)) {
		err := found.members(ctx, g, group)
		if err == nil {
			continue
		}
		if fault.Of(err) != fault.Forbidden {
			return Snapshot{}, err
		}
		if slices.ContainsFunc(found.groups[group], func(r Role) bool { return Privileged(r.ID, r.Name) }) {
			s.Unread = append(s.Unread, group)
		}
	}
	s.Principals = found.principals
	return s, nil
}

// reading is what has been read of a tenant.
type reading struct {
	principals []Principal
	at         map[string]int // of the principals, by id
	groups     map[string][]Role
}

// members gives a group's roles to those who are in it.
func (r *reading) members(ctx context.Context, g *graph.Client, group string) error {
	page, err := g.Members(ctx, group)
	if err != nil {
		return fmt.Errorf("reading who is in group %s, which holds roles: %w", group, err)
	}
	err = graph.Each(ctx, g, page, models.CreateDirectoryObjectCollectionResponseFromDiscriminatorValue, func(o models.DirectoryObjectable) {
		if _, is := o.(models.Groupable); is || o.GetId() == nil {
			return // who is in it is listed too
		}
		r.holds(*o.GetId(), o, r.groups[group]...)
	})
	if err != nil {
		return fmt.Errorf("reading who is in group %s, which holds roles: %w", group, err)
	}
	return nil
}

func (r *reading) holds(id string, who models.DirectoryObjectable, roles ...Role) {
	n, known := r.at[id]
	if !known {
		n = len(r.principals)
		r.at[id] = n
		r.principals = append(r.principals, Principal{ID: id})
	}
	p := &r.principals[n]
	if user, is := who.(models.Userable); is && user.GetUserPrincipalName() != nil {
		p.UPN = *user.GetUserPrincipalName() // logs that know no ids name him so
	}
	for _, role := range roles {
		if !slices.Contains(p.Roles, role) {
			p.Roles = append(p.Roles, role)
		}
	}
}

// Save keeps a snapshot, so that a restart knows what was read before it.
func Save(ctx context.Context, b *bus.Bus, s Snapshot) error {
	kv, err := b.KeyValue(ctx, bus.DirectoryBucket)
	if err != nil {
		return err
	}
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encoding the directory of %s: %w", s.Tenant, err)
	}
	if _, err := kv.Put(ctx, bus.Token(s.Tenant), data); err != nil {
		return fmt.Errorf("storing the directory of %s: %w", s.Tenant, err)
	}
	return nil
}

// Restore loads every snapshot that was kept.
func (d *Directory) Restore(ctx context.Context, b *bus.Bus, tenants []string) error {
	kv, err := b.KeyValue(ctx, bus.DirectoryBucket)
	if err != nil {
		return err
	}
	for _, tenant := range tenants {
		entry, err := kv.Get(ctx, bus.Token(tenant))
		if err != nil {
			continue // never read yet
		}
		var s Snapshot
		if err := json.Unmarshal(entry.Value(), &s); err != nil {
			return fmt.Errorf("reading the directory of %s: %w", tenant, err)
		}
		d.Load(s)
	}
	return nil
}
