package actions

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cordon/internal/bus"
	"cordon/internal/record"
	"github.com/nats-io/nats.go/jetstream"
)

// Store reads records from LOGS.
type Store struct{ Bus *bus.Bus }

// Of visits the records in which the principal acted, stored since a time.
func (s Store) Of(ctx context.Context, tenant, principal string, since time.Time, visit func(*record.Record)) error {
	return s.scan(ctx, bus.RecordsOf(tenant, principal), since, func(m jetstream.Msg) bool {
		return strings.EqualFold(record.PrincipalOf(m.Headers()), principal)
	}, visit)
}

// Audit visits the tenant's audit records, stored since a time.
func (s Store) Audit(ctx context.Context, tenant string, since time.Time, visit func(*record.Record)) error {
	return s.scan(ctx, "logs.*."+bus.Token(tenant)+"."+bus.Token(record.AuditLogs)+".*", since, func(jetstream.Msg) bool { return true }, visit)
}

func (s Store) scan(ctx context.Context, subject string, since time.Time, wanted func(jetstream.Msg) bool, visit func(*record.Record)) error {
	err := s.Bus.Scan(ctx, bus.Logs, subject, since, func(m jetstream.Msg) error {
		if !wanted(m) {
			return nil
		}
		r, _, err := record.FromLogs(m.Headers(), m.Data())
		if err != nil {
			return fmt.Errorf("reading a stored record: %w", err)
		}
		if !r.Time.Before(since) {
			visit(r)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading Cordon's own store: %w", err)
	}
	return nil
}
