package silence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cordon/internal/bus"
	"cordon/internal/finding"
	"github.com/nats-io/nats.go/jetstream"
)

// The keys of the bucket: how far was read, what was about to be published, and what is known of each source and each tenant's canaries.
const (
	keyAt       = "silence.at"
	keyTelling  = "silence.telling"
	keySource   = "silence.source."
	keyCanaries = "silence.canaries."
)

// at is how far was read.
type at struct {
	Logs     uint64               `json:"logs"`
	Audit    uint64               `json:"audit"`
	Expected map[string]time.Time `json:"expected,omitempty"`
}

// learnt is what is known of one source.
type learnt struct {
	Source string            `json:"source"`
	Series []*series         `json:"series,omitempty"`
	Unread []finding.Finding `json:"unread,omitempty"`
}

// save writes what has changed: first what is going to be published, last how far was read, so that whatever breaks off
// in between is told, or read, again.
func (r *Room) save(ctx context.Context) error {
	kv, err := r.bus.KeyValue(ctx, bus.SnapshotsBucket)
	if err != nil {
		return err
	}
	put := func(key string, value any) error {
		data, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("encoding %s: %w", key, err)
		}
		if r.kept[key] == string(data) {
			return nil
		}
		if _, err := kv.Put(ctx, key, data); err != nil {
			return fmt.Errorf("keeping %s: %w", key, err)
		}
		r.kept[key] = string(data)
		return nil
	}
	if err := put(keyTelling, r.telling); err != nil {
		return err
	}
	sources := map[string]*learnt{}
	of := func(name string) *learnt {
		if sources[name] == nil {
			sources[name] = &learnt{Source: name}
		}
		return sources[name]
	}
	for _, k := range slices.SortedFunc(maps.Keys(r.watch.series), key.compare) {
		of(k.source).Series = append(of(k.source).Series, r.watch.series[k])
	}
	for _, k := range slices.SortedFunc(maps.Keys(r.watch.unread), key.compare) {
		of(k.source).Unread = append(of(k.source).Unread, *r.watch.unread[k])
	}
	for name, l := range sources {
		if err := put(keySource+bus.Token(name), l); err != nil {
			return err
		}
	}
	for tenant, c := range r.watch.canaries {
		if err := put(keyCanaries+bus.Token(tenant), c); err != nil {
			return err
		}
	}
	return put(keyAt, at{Logs: r.logs, Audit: r.audit, Expected: r.watch.expected})
}

// restore reads what was kept. Where nothing was, it begins with what comes from now on: canaries that were sent before
// are not missed.
func (r *Room) restore(ctx context.Context) error {
	kv, err := r.bus.KeyValue(ctx, bus.SnapshotsBucket)
	if err != nil {
		return err
	}
	entry, err := kv.Get(ctx, keyAt)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		if r.logs, err = r.bus.LastSequence(ctx, bus.Logs); err != nil {
			return err
		}
		r.audit, err = r.bus.LastSequence(ctx, bus.Audit)
		return err
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", keyAt, err)
	}
	var began at
	if err := json.Unmarshal(entry.Value(), &began); err != nil {
		return fmt.Errorf("reading %s: %w", keyAt, err)
	}
	r.logs, r.audit = began.Logs, began.Audit
	maps.Copy(r.watch.expected, began.Expected)
	keys, err := kv.ListKeysFiltered(ctx, "silence.>")
	if err != nil {
		return fmt.Errorf("listing what was learnt: %w", err)
	}
	for name := range keys.Keys() {
		entry, err := kv.Get(ctx, name)
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		r.kept[name] = string(entry.Value())
		if name == keyTelling {
			if err := json.Unmarshal(entry.Value(), &r.telling); err != nil {
				return fmt.Errorf("reading %s: %w", name, err)
			}
		}
		if err := r.watch.take(name, entry.Value()); err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
	}
	return nil
}

// take puts one entry of the bucket in its place.
func (w *watch) take(name string, data []byte) error {
	switch {
	case strings.HasPrefix(name, keySource):
		var l learnt
		if err := json.Unmarshal(data, &l); err != nil {
			return err
		}
		for _, s := range l.Series {
			w.series[key{strings.ToLower(s.Tenant), l.Source, s.Category}] = s
		}
		for _, f := range l.Unread {
			w.unread[key{tenant: strings.ToLower(f.Tenant), source: l.Source}] = &f
		}
	case strings.HasPrefix(name, keyCanaries):
		var c canaries
		if err := json.Unmarshal(data, &c); err != nil {
			return err
		}
		w.canaries[strings.ToLower(c.Tenant)] = &c
		for _, s := range c.Sent {
			w.owns(s.Objects)
		}
	}
	return nil
}
