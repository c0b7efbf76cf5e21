package silence

import (
	"maps"
	"slices"
	"strings"
	"time"

	"cordon/internal/canary"
	"cordon/internal/finding"
	"cordon/internal/incident"
	"cordon/internal/record"
)

// remember is how long a canary is kept: longer than it takes to be missed.
const remember = 6 * time.Hour

// canaries are a tenant's, as announced and as they came back.
type canaries struct {
	Tenant string `json:"tenant"`
	Sent   []sent `json:"sent,omitempty"`
	Back   []back `json:"back,omitempty"`
}

// sent is a change that Cordon made to be seen.
type sent struct {
	Nonce   string    `json:"nonce"`
	At      time.Time `json:"at"`
	Done    bool      `json:"done,omitempty"` // the service said yes
	Objects []string  `json:"objects"`
}

// back is a record of a change of Cordon's own object.
type back struct {
	Source string    `json:"source"`
	Nonce  string    `json:"nonce,omitempty"` // where the record shows it
	At     time.Time `json:"at"`
	Object string    `json:"object"`
}

// How far a record that does not show its nonce may lie from the call that made it.
const (
	before = time.Minute
	after  = 5 * time.Minute
)

func (b back) of(s sent) bool {
	if b.Nonce != "" {
		return b.Nonce == s.Nonce
	}
	apart := b.At.Sub(s.At)
	return apart >= -before && apart <= after && slices.ContainsFunc(s.Objects, func(o string) bool { return strings.EqualFold(o, b.Object) })
}

func (w *watch) of(tenant string) *canaries {
	name := strings.ToLower(tenant)
	if w.canaries[name] == nil {
		w.canaries[name] = &canaries{Tenant: tenant}
	}
	return w.canaries[name]
}

// announced takes a canary from the journal.
func (w *watch) announced(at time.Time, d incident.StartedData) {
	nonce, ok := canary.Nonce(d.Ref)
	c := w.of(d.Tenant)
	if !ok || slices.ContainsFunc(c.Sent, func(s sent) bool { return s.Nonce == nonce }) {
		return
	}
	w.owns(d.Objects)
	c.Sent = append(c.Sent, sent{Nonce: nonce, At: at, Objects: d.Objects})
	c.Sent = slices.DeleteFunc(c.Sent, func(s sent) bool { return at.Sub(s.At) > remember })
	c.Back = slices.DeleteFunc(c.Back, func(b back) bool { return at.Sub(b.At) > remember })
}

// made takes from the journal that the service said yes.
func (w *watch) made(d incident.FinishedData) {
	nonce, _ := canary.Nonce(d.Ref)
	for _, c := range w.canaries {
		for i := range c.Sent {
			if c.Sent[i].Nonce == nonce {
				c.Sent[i].Done = true
			}
		}
	}
}

// isOwn says whether a record may be a canary that came back.
func (w *watch) isOwn(r *record.Record) bool {
	return r.Category == record.AuditLogs && r.Actor.Type == record.ServicePrincipal &&
		(w.own[strings.ToLower(r.Actor.AppID)] || w.own[strings.ToLower(r.Actor.ID)]) && slices.ContainsFunc(canary.Operations, func(op string) bool { return strings.EqualFold(op, r.Operation) })
}

// record takes a record of a change of Cordon's own.
func (w *watch) record(r *record.Record, source string) {
	if !w.isOwn(r) {
		return
	}
	b := back{Source: source, At: r.Time}
	if notes, ok := r.Change("Notes"); ok {
		b.Nonce, ok = canary.NonceOf(notes.New)
		if !ok {
			return // somebody's notes
		}
	}
	if targets := r.Targets(); len(targets) > 0 {
		b.Object = targets[0].ID
	}
	c := w.of(r.Tenant)
	if !slices.Contains(c.Back, b) {
		c.Back = append(c.Back, b)
	}
}

// cameBack says whether a canary was seen in a source.
func (c *canaries) cameBack(s sent, source string) bool {
	return slices.ContainsFunc(c.Back, func(b back) bool { return (b.Source == source || source == anySource) && b.of(s) })
}

// lateness is how long a canary has to come back.
func (w *watch) lateness() time.Duration { return w.cfg.Lateness.Of(record.AuditLogs) }

// force is how long a canary speaks for its tenant: until the next but one should have been sent and seen.
func (w *watch) force() time.Duration { return 2*canary.Every + w.lateness() }

// decides says whether canaries speak for a tenant at a time, and when the last of them was sent.
func (w *watch) decides(tenant string, now time.Time) bool {
	c := w.canaries[tenant]
	return c != nil && slices.ContainsFunc(c.Sent, func(s sent) bool { return s.Done && now.Sub(s.At) <= w.force() })
}

// missing is the first canary since which nothing has come though all has been seen up to its lateness; ok is false
// where there is none. Another record whose event is younger than the canary is a sign of life too: then the log
// flows, and the canary alone is not in it.
func (w *watch) missing(tenant, source string, seen, event time.Time) (first sent, ok bool) {
	c := w.canaries[tenant]
	if c == nil {
		return first, false
	}
	for _, s := range c.Sent {
		switch {
		case c.cameBack(s, source):
			ok = false // all before it are forgiven
		case s.Done && !ok && seen.Sub(s.At) > w.lateness() && !event.After(s.At):
			first, ok = s, true
		}
	}
	return first, ok
}

// backSince says whether a canary that was sent at or after a time came back.
func (w *watch) backSince(tenant, source string, t time.Time) bool {
	c := w.canaries[tenant]
	return c != nil && slices.ContainsFunc(c.Sent, func(s sent) bool { return !s.At.Before(t) && c.cameBack(s, source) })
}

// follow notes whether canaries speak for a series: once one has come back there, and as long as they are sent. They
// have a rhythm of their own, which must not be taken for the tenant's once they stop.
func (w *watch) follow(k key, s *series, now time.Time) {
	if k.category != record.AuditLogs || k.source == anySource {
		return
	}
	s.Proven = s.Proven || w.backSince(k.tenant, k.source, time.Time{})
	if s.canary = s.Proven && w.decides(k.tenant, now); s.canary {
		s.Rhythm.Restart()
	}
}

// neverBack looks after tenants whose audit log no source has ever brought, though canaries are sent there.
func (w *watch) neverBack(read map[string]bool) (out []finding.Finding) {
	for _, tenant := range slices.Sorted(maps.Keys(w.canaries)) {
		k := key{tenant, anySource, record.AuditLogs}
		brought, seen, unknown := false, time.Time{}, false
		for have := range w.series {
			brought = brought || have.source != anySource && have.tenant == tenant && have.category == record.AuditLogs
		}
		for _, source := range w.cfg.Sources {
			if !slices.ContainsFunc(source.Tenants, func(t string) bool { return strings.EqualFold(t, tenant) }) {
				continue
			}
			at := w.seen(source.Name)
			unknown = unknown || !read[source.Name] || at.IsZero()
			if seen.IsZero() || at.Before(seen) {
				seen = at
			}
		}
		s := w.series[k]
		if brought {
			if s != nil {
				out = append(out, withdraw(s.Told, "the audit log has come")...)
			}
			continue
		}
		if unknown || seen.IsZero() {
			continue
		}
		if first, ok := w.missing(tenant, anySource, seen, time.Time{}); ok {
			if s == nil {
				s = &series{Tenant: w.canaries[tenant].Tenant, Category: record.AuditLogs}
				w.series[k] = s
			}
			if !open(s.Told) {
				out = append(out, tell(&s.Told, w.silentCanary(k, s, first))...)
			}
		}
	}
	return out
}
