package app

import (
	"strings"

	"cordon/ingest"
	"cordon/ingest/eventhubs"
)

// source finds a source as it is configured, for a replay of its dead letters.
func (a *App) source(name string) (ingest.Source, bool) {
	for _, t := range a.cfg.Tenants {
		for _, s := range t.Sources {
			if hub := s.EventHub; hub != nil && strings.EqualFold(eventhubs.Config{Namespace: hub.Namespace, Hub: hub.Hub}.Name(), name) {
				return ingest.Source{Name: name, Tenants: []string{t.ID}, Clock: a.clock}, true
			}
		}
	}
	return ingest.Source{}, false
}
