package silence

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"cordon/internal/finding"
	"cordon/internal/record"
)

// The rules, as findings and playbooks name them.
const (
	SilentRule = "source-silent"
	UnreadRule = "source-unread"
	playbook   = "log-silence"
)

const minute = "2006-01-02 15:04 UTC"

// base is what every finding of a silence has. Its identity is arithmetic: what is silent, and since when.
func (w *watch) base(rule, tenant, source, category string, since time.Time) finding.Finding {
	self := finding.Principal{Home: tenant, Type: record.Tenant, ID: tenant}
	if w.cfg.Name != nil {
		self.Name = w.cfg.Name(tenant)
	}
	return finding.Finding{
		ID:       fmt.Sprintf("%s/%s/%s/%s/%d", rule, strings.ToLower(tenant), url.PathEscape(source), url.PathEscape(category), since.Unix()),
		Revision: 1, Rule: rule, Kind: "policy", Techniques: []string{"T1562.008"}, Playbook: playbook,
		Tenant: tenant, Time: since.UTC(), Principal: self, Actor: self, Proof: []finding.Proof{}}
}

func open(f *finding.Finding) bool { return f != nil && f.Withdrawn == "" }

// tell makes f what was last told, as a revision where it was told before.
func tell(told **finding.Finding, f finding.Finding) []finding.Finding {
	if have := *told; have != nil && have.ID == f.ID {
		f.Revision = have.Revision + 1
	}
	*told = &f
	return []finding.Finding{f}
}

func withdraw(f *finding.Finding, why string) []finding.Finding {
	if !open(f) {
		return nil
	}
	f.Withdrawn = why
	f.Revision++
	return []finding.Finding{*f}
}

// tellUnread raises, aggravates or withdraws that a source is not read.
func (w *watch) tellUnread(source, tenant string, r reading, now time.Time) []finding.Finding {
	k := key{tenant: strings.ToLower(tenant), source: source}
	told := w.unread[k]
	switch {
	case r.fresh:
		return withdraw(told, "the source is read again since "+now.UTC().Format(minute))
	case r.stale() && !open(told):
		f := w.base(UnreadRule, tenant, source, "", r.since)
		f.Title, f.Level = "A source of logs is not read", "medium"
		which := ""
		if n := len(w.partitions[source]); len(r.partitions) > 0 && len(r.partitions) < n {
			which = fmt.Sprintf(" (%d of its %d partitions)", len(r.partitions), n)
		}
		f.Says = fmt.Sprintf("%s%s has not been read since %s: look at the event hub or service and at Cordon's credential for it; what happens in %s meanwhile is seen late or never",
			record.Clean(source), which, r.since.UTC().Format(minute), w.name(tenant))
		if len(r.partitions) == 0 {
			f.Says = fmt.Sprintf("%s has never been read since Cordon began to at %s: look at its address and at Cordon's credential for it", record.Clean(source), r.since.UTC().Format(minute))
		}
		out := tell(&told, f)
		w.unread[k] = told
		return out
	case open(told) && r.stale() && told.Level == "medium" && now.Sub(latest(told.Time, w.grace)) >= graveAfter*w.limit(source):
		told.Level = "high"
		told.Revision++
		return []finding.Finding{*told}
	}
	return nil
}

// tellSilent raises or withdraws that a source is read and brings nothing.
func (w *watch) tellSilent(k key, s *series) []finding.Finding {
	if open(s.Told) {
		spoke := s.Rhythm.Last.After(s.Told.Time)
		if s.Missed {
			spoke = s.Event.After(s.Told.Time) // what was under way when it fell silent is no sign
		}
		if spoke || w.backSince(k.tenant, k.source, s.Told.Time) {
			return withdraw(s.Told, fmt.Sprintf("%s have come again at %s", record.Clean(s.Category), s.Rhythm.Last.UTC().Format(minute)))
		}
		return nil
	}
	if s.canary {
		if first, ok := w.missing(k.tenant, k.source, w.seen(k.source), s.Event); ok {
			s.Missed = true
			return tell(&s.Told, w.silentCanary(k, s, first))
		}
		return nil
	}
	if !s.Rhythm.Silent(w.cfg.Lateness.Of(s.Category)) {
		return nil
	}
	usual, _ := s.Rhythm.Usual()
	f := w.base(SilentRule, s.Tenant, k.source, s.Category, s.Rhythm.Last)
	f.Title, f.Level = "A log has gone silent", "high"
	s.Missed = false
	f.Says = fmt.Sprintf("no %s of %s have come by %s since %s, though it is read: they were never quiet for more than %s before; look whether the diagnostic setting still sends them",
		record.Clean(s.Category), w.name(s.Tenant), record.Clean(k.source), f.Time.Format(minute), usual.Round(time.Minute))
	return tell(&s.Told, f)
}

// silentCanary is the finding that a change of Cordon's own has not come back.
func (w *watch) silentCanary(k key, s *series, first sent) finding.Finding {
	f := w.base(SilentRule, s.Tenant, k.source, s.Category, first.At)
	f.Title, f.Level = "The audit log has gone silent", "high"
	where := "by " + record.Clean(k.source)
	if k.source == anySource {
		where = "by any source"
	}
	f.Says = fmt.Sprintf("a change that Cordon made in %s at %s to be seen has not come back %s, nor has anything since: within %s is usual; look whether the diagnostic setting still sends %s",
		w.name(s.Tenant), f.Time.Format(minute), where, w.lateness(), record.Clean(s.Category))
	return f
}

func (w *watch) name(tenant string) string {
	if w.cfg.Name != nil {
		return record.Clean(w.cfg.Name(tenant))
	}
	return record.Clean(tenant)
}
