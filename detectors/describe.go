package detectors

import (
	"strings"

	"cordon/detectors/sigma"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/record"
)

// describe says who did what to whom in a record that a rule matched, and the sentence for it. The texts are the record's and hold
// as long as that does, until pack; the finding holds until publish, and the next.
func (e *Engine) describe(v *event, position string) (*finding.Finding, []byte) {
	rule := e.rules[v.rule]
	f := e.next()
	f.Rule, f.Mode, f.Tenant, f.Time = rule.Name, e.mode[v.rule], v.Tenant, v.Time
	f.Actor = e.principal(v, v.Actor)
	if targets := v.Targets(); len(targets) > 0 {
		targets = targets[:min(len(targets), maxTargets)]
		f.Targets = e.targets.Take(len(targets))
		for i, t := range targets {
			f.Targets[i] = object(rule, v.Record, t)
		}
	}
	f.Principal = f.Actor
	switch {
	case rule.Custom.Principal == "target":
		if p, ok := e.target(v); ok {
			f.Principal = p
		}
	case rule.Custom.Principal == "tenant" || f.Actor.ID == "":
		f.Principal = finding.Principal{Type: record.Tenant, ID: v.Tenant, Home: v.Tenant}
	}
	f.Level = levelFor(rule, f.Principal)
	positions := e.lists.Take(1)
	positions[0] = position
	f.Proof = e.proofs.Take(1)
	f.Proof[0] = proofOf(v, positions)
	f.Why = e.why(v)
	e.says = fill(e.says[:0], sentence(rule), func(word string) string { return e.word(word, v, f) })
	return f, e.says
}

func levelFor(rule *sigma.Rule, p finding.Principal) string {
	if p.Privileged == directory.Yes && rule.Custom.PrivilegedLevel != "" {
		return rule.Custom.PrivilegedLevel
	}
	return rule.Level
}

// principal is the party with its home and its standing at the record's time.
func (e *Engine) principal(v *event, p record.Party) finding.Principal {
	out := finding.Principal{Home: clipped(p.Home), Type: clipped(p.Type), ID: clipped(p.ID), UPN: clipped(p.UPN), Name: clipped(p.Name), AppID: clipped(p.AppID)}
	if out.Home == "" {
		out.Home = v.Tenant
	}
	if out.ID == "" {
		out.ID = clipped(p.Key()) // known by the best name there is
	}
	if p == v.Actor {
		out.Privileged, out.Roles = v.standing()
	} else {
		out.Privileged, out.Roles = e.directory.Privileged(v.Tenant, p, v.Time)
	}
	return out
}

// target is the application that a record is about: the client of a grant, else the first service principal or
// application among the targets.
func (e *Engine) target(v *event) (finding.Principal, bool) {
	if c, ok := v.Change("ServicePrincipal.ObjectID"); ok && c.New != "" {
		name, _ := v.Change("ServicePrincipal.DisplayName")
		app, _ := v.Change("ServicePrincipal.AppId")
		return finding.Principal{Home: v.Tenant, Type: record.ServicePrincipal, ID: clipped(c.New), Name: clipped(name.New), AppID: clipped(app.New)}, true
	}
	for _, t := range v.Targets() {
		if (strings.EqualFold(t.Type, "ServicePrincipal") || strings.EqualFold(t.Type, "Application")) && t.ID != "" {
			return finding.Principal{Home: v.Tenant, Type: record.ServicePrincipal, ID: clipped(t.ID), Name: clipped(t.Name)}, true
		}
	}
	return finding.Principal{}, false
}

func object(rule *sigma.Rule, r *record.Record, t record.Target) finding.Object {
	o := finding.Object{Type: clipped(t.Type), ID: clipped(t.ID), UPN: clipped(t.UPN), Name: clipped(t.Name), Operation: clipped(r.Operation)}
	o.Child = rule.Custom.Child && strings.EqualFold(t.Type, "User")
	if rule.Custom.Kind == "credential" {
		for _, c := range t.Changes {
			if strings.EqualFold(c.Name, "KeyDescription") {
				ids, _ := r.CredentialsAdded()
				for _, id := range ids[:min(len(ids), maxKeyIDs)] {
					o.KeyIDs = append(o.KeyIDs, clipped(id))
				}
				return o
			}
		}
	}
	return o
}

// proofOf is the record as proof; its texts are the record's.
func proofOf(v *event, positions []string) finding.Proof {
	p := finding.Proof{Record: v.ID, Time: v.Time, Category: v.Category, Operation: clipped(v.Operation), Result: clipped(v.Result()), Correlation: clipped(v.Correlation()),
		Principal: clipped(v.Actor.Key()), Label: clipped(v.Actor.Label()), Address: clipped(v.Actor.Address), Positions: positions}
	if s := v.SignIn(); s != nil {
		p.Address, p.Country, p.Agent, p.Device, p.Session = clipped(s.Address), clipped(s.Country), clipped(s.Agent), clipped(s.Device), clipped(s.Session)
	}
	return p
}

// why are the clauses for whose sake the rule that looks holds, with what stood there.
func (e *Engine) why(v *event) []finding.Reason {
	e.because = e.rules[v.rule].Why(v, e.because[:0])
	if len(e.because) == 0 {
		return nil
	}
	out := e.reasons.Take(len(e.because))
	for i, r := range e.because {
		out[i].Clause = r.Clause
		if len(r.Values) > 0 {
			out[i].Values = e.lists.Take(len(r.Values))
		}
		for j, value := range r.Values {
			out[i].Values[j] = record.Clean(value)
		}
	}
	return out
}

// sentence is what a rule's findings say, with {words} to fill in.
func sentence(rule *sigma.Rule) string {
	if rule.Custom.Says != "" {
		return rule.Custom.Says
	}
	return rule.Title
}

// fill adds a sentence with words put into it. What is put in is not looked at again.
func fill(out []byte, sentence string, word func(name string) string) []byte {
	for sentence != "" {
		before, rest, found := strings.Cut(sentence, "{")
		out = append(out, before...)
		if !found {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return append(append(out, '{'), rest...)
		}
		out = append(out, word(name)...)
		sentence = after
	}
	return out
}

// unknownWord is what a sentence has for what the record does not say: it is not left out.
const unknownWord = "unknown"

func spoken(words ...string) string {
	if text := record.Clean(strings.Join(words, ", ")); text != "" {
		return text
	}
	return unknownWord
}

func (e *Engine) word(name string, v *event, f *finding.Finding) string {
	var words []string
	switch name {
	case "principal":
		words = []string{f.Principal.Label()}
	case "actor":
		words = []string{f.Actor.Label()}
	case "target":
		for _, t := range f.Targets {
			if label := firstOf(t.UPN, t.Name, t.ID); label != "" && !strings.EqualFold(t.Type, "Role") {
				words = append(words, label)
				break
			}
		}
	case "address":
		words = []string{proofOf(v, nil).Address}
	case "country":
		words = []string{v.Country()}
	case "role":
		ids, names := v.Roles()
		for i := range names {
			names[i] = directory.RoleName(directory.Role{Name: names[i]})
		}
		if len(names) == 0 && len(ids) > 0 {
			names = []string{directory.RoleName(directory.Role{ID: ids[0]})}
		}
		words = names
	default:
		words = v.named(name)
	}
	return spoken(words...)
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
