// Package evidence keeps the records behind an incident: when one opens, and when a finding joins it, the
// principal's records are copied from LOGS, which forgets after weeks, to EVIDENCE, which does not.
package evidence

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/incident"
	"cordon/internal/record"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// lookBack is how far an incident's records reach into the past.
const lookBack = 30 * 24 * time.Hour

// Keeper copies; it is a durable consumer of INCIDENTS.
type Keeper struct {
	Bus   *bus.Bus
	Store *incident.Store
	Clock clock.Clock
}

// Run works until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	return k.Bus.Run(ctx, bus.Worker{Stream: bus.Incidents, Durable: "evidence", Filter: []string{"incidents.>"}}, k.event)
}

func (k *Keeper) event(ctx context.Context, msg jetstream.Msg) error {
	var e incident.Event
	if err := json.Unmarshal(msg.Data(), &e); err != nil {
		return fmt.Errorf("reading an event: %w", err)
	}
	if e.Type != incident.Opened && e.Type != incident.FindingJoined {
		return nil
	}
	h, err := k.Store.Load(ctx, msg.Subject())
	if err != nil {
		return err
	}
	i := h.Current()
	if i == nil {
		return nil
	}
	subject := bus.EvidenceSubject(i.Number)
	kept := map[string]bool{}
	err = k.Bus.Scan(ctx, bus.Evidence, subject, time.Time{}, func(m jetstream.Msg) error {
		kept[m.Headers().Get(headerKey)] = true
		return nil
	})
	if err != nil {
		return err
	}
	return k.Bus.Scan(ctx, bus.Logs, bus.RecordsOf(i.Tenant, i.Principal.ID), k.Clock.Now().Add(-lookBack), func(m jetstream.Msg) error {
		if !strings.EqualFold(record.PrincipalOf(m.Headers()), i.Principal.ID) {
			return nil
		}
		key := m.Headers().Get(record.HeaderRecord) + "@" + m.Headers().Get(record.HeaderPosition) // which stands by itself in what an older edition stored
		if kept[key] {
			return nil
		}
		kept[key] = true
		header := nats.Header{headerKey: {key}}
		for name, values := range m.Headers() {
			if strings.HasPrefix(name, "Cordon-") {
				header[name] = values
			}
		}
		_, err := k.Bus.Publish(ctx, bus.Message{Subject: subject, Header: header, Data: m.Data()})
		return err
	})
}

const headerKey = "Cordon-Evidence"
