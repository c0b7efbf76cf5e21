package detectors

import (
	"time"

	"cordon/detectors/packed"
	"cordon/internal/directory"
	"cordon/internal/finding"
)

// A finding about one record is kept packed: it is asked for again only where a revision of its record changes it, or
// where the watermark confirms it, and what has no pointers costs the garbage collector nothing. Its rule's part, its
// revision and how it stands are not packed: those its single keeps.

// packer writes texts, and knows whose they are.
type packer struct {
	writer
	owners []owner
	none   string // which no text is like
}

// owner is a text that is to be the one that was written, once it is known where that stays; or another one that it is like.
type owner struct {
	text, like *string
	end        int
}

// pack makes a text of a finding and of what it says in a sentence. The finding's texts may be a record's that will be written
// over: they are parts of what is packed afterwards.
func (e *Engine) pack(f *finding.Finding, says []byte) string {
	w := &e.packer
	w.bytes, w.owners = w.bytes[:0], w.owners[:0]
	p := &f.Proof[0]
	size := len(f.Rule) + 1 + len(p.Record)
	w.number(2 * uint64(size))
	w.bytes = append(append(append(w.bytes, f.Rule...), '/'), p.Record...)
	id := len(w.bytes)
	w.plain(&f.Level)
	w.plain(&f.Mode)
	w.number(2 * uint64(len(says)))
	w.bytes = append(w.bytes, says...)
	said := len(w.bytes)
	w.plain(&f.Tenant)
	w.time(f.Time)
	same := samePrincipal(&f.Actor, &f.Principal)
	w.principal(&f.Actor, &f.Tenant)
	w.flag(same)
	if !same {
		w.principal(&f.Principal, &f.Tenant)
	}
	w.number(uint64(len(f.Targets)))
	operation := &w.none
	for i := range f.Targets {
		t := &f.Targets[i]
		for _, s := range [...]*string{&t.Type, &t.ID, &t.UPN, &t.Name} {
			w.plain(s)
		}
		w.like(&t.Operation, operation)
		operation = &t.Operation
		w.flag(t.Child)
		w.plains(t.KeyIDs)
	}
	w.plain(&f.Suppressed)
	w.number(uint64(len(f.Why)))
	for i := range f.Why {
		w.plain(&f.Why[i].Clause)
		w.plains(f.Why[i].Values)
	}
	w.time(p.Time)
	w.plain(&p.Category)
	w.like(&p.Operation, operation)
	w.plain(&p.Result)
	w.plain(&p.Correlation)
	w.like(&p.Principal, &f.Actor.ID)
	w.like(&p.Label, &f.Actor.UPN)
	for _, s := range [...]*string{&p.Address, &p.Country, &p.Agent, &p.Device, &p.Session} {
		w.plain(s)
	}
	w.plains(p.Positions)
	all := e.texts.Keep(w.bytes)
	for _, o := range w.owners {
		if o.like != nil {
			*o.text = *o.like
		} else {
			*o.text = all[o.end-len(*o.text) : o.end]
		}
	}
	f.ID, f.Says = all[id-size:id], all[said-len(says):said]
	p.Record = f.ID[len(f.Rule)+1:]
	if same {
		f.Principal = f.Actor
	}
	return all
}

func samePrincipal(a, b *finding.Principal) bool {
	return a.ID == b.ID && a.UPN == b.UPN && a.Name == b.Name && a.AppID == b.AppID && a.Home == b.Home && a.Type == b.Type &&
		a.Privileged == b.Privileged && len(a.Roles) == len(b.Roles)
}

func (w *packer) principal(p *finding.Principal, tenant *string) {
	w.like(&p.Home, tenant)
	for _, s := range [...]*string{&p.Type, &p.ID, &p.UPN, &p.Name, &p.AppID, (*string)(&p.Privileged)} {
		w.plain(s)
	}
	w.plains(p.Roles)
}

// finding is what a single packs, as it stands. Its texts are parts of what is packed.
func (e *Engine) finding(s *single) (f finding.Finding) {
	e.retell(s, &f)
	return f
}

// retell makes of f what a single packs.
func (e *Engine) retell(s *single, f *finding.Finding) {
	*f = finding.Finding{}
	e.complete(s, f)
	e.unpack(&reader{bytes: s.packed}, f)
	f.Mode = e.mode[s.rule] // that it has now
}

// complete adds what is not packed.
func (e *Engine) complete(s *single, f *finding.Finding) {
	rule := e.rules[s.rule]
	f.Revision, f.Rule, f.Title, f.Kind, f.Techniques = s.revision, rule.Name, rule.Title, rule.Custom.Kind, rule.Techniques
	f.Decisive, f.Playbook, f.Unconfirmed, f.Withdrawn, f.Count = rule.Custom.Decisive, rule.Custom.Playbook, s.unconfirmed, s.withdrawn, 1
}

// unpack reads what pack wrote; r says whether it was that.
func (e *Engine) unpack(r *reader, f *finding.Finding) {
	f.ID, f.Level, f.Mode, f.Says, f.Tenant = r.plain(), r.plain(), r.plain(), r.plain(), r.plain()
	f.Time = r.time()
	e.unpackPrincipal(r, &f.Actor, f.Tenant)
	f.Principal = f.Actor
	if !r.flag() {
		e.unpackPrincipal(r, &f.Principal, f.Tenant)
	}
	operation := ""
	if n := r.count(); n > 0 {
		f.Targets = e.targets.Take(n)
		for i := range f.Targets {
			t := &f.Targets[i]
			t.Type, t.ID, t.UPN, t.Name = r.plain(), r.plain(), r.plain(), r.plain()
			t.Operation = r.plain(operation)
			operation = t.Operation
			t.Child = r.flag()
			t.KeyIDs = e.unpackTexts(r)
		}
	}
	f.Suppressed = r.plain()
	if n := r.count(); n > 0 {
		f.Why = e.reasons.Take(n)
		for i := range f.Why {
			f.Why[i].Clause = r.plain()
			f.Why[i].Values = e.unpackTexts(r)
		}
	}
	f.Proof = e.proofs.Take(1)
	p := &f.Proof[0]
	if at := len(f.Rule) + 1; at <= len(f.ID) {
		p.Record = f.ID[at:]
	}
	p.Time = r.time()
	p.Category, p.Operation, p.Result, p.Correlation = r.plain(), r.plain(operation), r.plain(), r.plain()
	p.Principal, p.Label = r.plain(f.Actor.ID), r.plain(f.Actor.UPN)
	p.Address, p.Country, p.Agent, p.Device, p.Session = r.plain(), r.plain(), r.plain(), r.plain(), r.plain()
	p.Positions = e.unpackTexts(r)
}

func (e *Engine) unpackPrincipal(r *reader, p *finding.Principal, tenant string) {
	p.Home, p.Type, p.ID, p.UPN, p.Name, p.AppID = r.plain(tenant), r.plain(), r.plain(), r.plain(), r.plain(), r.plain()
	p.Privileged = directory.Known(r.plain())
	p.Roles = e.unpackTexts(r)
}

func (e *Engine) unpackTexts(r *reader) []string {
	n := r.count()
	if n == 0 {
		return nil
	}
	out := e.lists.Take(n)
	for i := range out {
		out[i] = r.plain()
	}
	return out
}

// plain writes a text as its bytes, so that the reader need not make it anew.
func (w *packer) plain(s *string) {
	if *s == "" {
		w.bytes = append(w.bytes, 0)
		return
	}
	w.number(2 * uint64(len(*s)))
	w.bytes = append(w.bytes, *s...)
	w.owners = append(w.owners, owner{text: s, end: len(w.bytes)})
}

// like writes a text that may be the same as one that was written before.
func (w *packer) like(s, other *string) {
	if *s == "" || *s != *other {
		w.plain(s)
		return
	}
	w.bytes = packed.Like(w.bytes, 0)
	w.owners = append(w.owners, owner{text: s, like: other})
}

// plain reads what plain wrote, or what like did: almost always a short text.
func (r *reader) plain(like ...string) string {
	if len(r.bytes) > 0 && r.bytes[0] < 0x80 && r.bytes[0]&1 == 0 {
		if end := 1 + int(r.bytes[0]>>1); end <= len(r.bytes) {
			s := r.bytes[1:end]
			r.bytes = r.bytes[end:]
			return s
		}
	}
	return r.text(like...)
}

func (w *packer) plains(all []string) {
	w.number(uint64(len(all)))
	for i := range all {
		w.plain(&all[i])
	}
}

func (w *writer) time(t time.Time) {
	w.signed(t.Unix())
	w.number(uint64(t.Nanosecond()))
}

func (r *reader) time() time.Time { return time.Unix(r.signed(), int64(r.number())).UTC() }
