package directory

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"cordon/internal/bus"
	"cordon/internal/graph"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
)

// ReadGraph lists the tenant's role holders as Graph has them at time now.
func ReadGraph(ctx context.Context, g *graph.Client, tenant string, now time.Time) (Snapshot, error) {
	page, err := g.Roles().RoleAssignments().Get(ctx, nil)
	if err != nil {
		return Snapshot{}, fmt.Errorf("reading role assignments: %w", graph.Fault(err))
	}
	s := Snapshot{Tenant: tenant, Read: now}
	at := map[string]int{}
	err = graph.Each(ctx, g, page, models.CreateUnifiedRoleAssignmentCollectionResponseFromDiscriminatorValue, func(a models.UnifiedRoleAssignmentable) {
		id, role := a.GetPrincipalId(), a.GetRoleDefinitionId()
		if id == nil || role == nil {
			return
		}
		n, known := at[*id]
		if !known {
			n = len(s.Principals)
			at[*id] = n
			s.Principals = append(s.Principals, Principal{ID: *id})
		}
		s.Principals[n].Roles = append(s.Principals[n].Roles, Role{ID: *role}) // of a built-in role: the template id
	})
	if err != nil {
		return Snapshot{}, fmt.Errorf("reading role assignments: %w", err)
	}
	return s, nil
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
