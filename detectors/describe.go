package detectors

import (
	"strings"

	"cordon/detectors/sigma"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/record"
)

// describe says who did what to whom in a record that a rule matched. Its texts are the record's: own copies them.
func (e *Engine) describe(v *event) finding.Finding {
	rule := e.rules[v.rule]
	f := finding.Finding{Rule: rule.Name, Title: rule.Title, Kind: rule.Custom.Kind, Techniques: rule.Techniques,
		Decisive: rule.Custom.Decisive, Playbook: rule.Custom.Playbook, Mode: e.quiet(rule.Name), Tenant: v.Tenant, Time: v.Time}
	f.Actor = e.principal(v, v.Actor)
	if len(v.Targets) > 0 {
		f.Targets = make([]finding.Object, 0, len(v.Targets))
	}
	for _, t := range v.Targets {
		f.Targets = append(f.Targets, object(rule, v.Record, t))
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
	f.Says = fill(sentence(rule), func(word string) string { return e.word(word, v, f) })
	return f
}

func levelFor(rule *sigma.Rule, p finding.Principal) string {
	if p.Privileged == directory.Yes && rule.Custom.PrivilegedLevel != "" {
		return rule.Custom.PrivilegedLevel
	}
	return rule.Level
}

// principal is the party with its home and its standing at the record's time.
func (e *Engine) principal(v *event, p record.Party) finding.Principal {
	out := finding.Principal{Home: p.Home, Type: p.Type, ID: p.ID, UPN: p.UPN, Name: p.Name, AppID: p.AppID}
	if out.Home == "" {
		out.Home = v.Tenant
	}
	if out.ID == "" {
		out.ID = p.Key() // known by the best name there is
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
		return finding.Principal{Home: v.Tenant, Type: record.ServicePrincipal, ID: c.New, Name: name.New, AppID: app.New}, true
	}
	for _, t := range v.Targets {
		if (strings.EqualFold(t.Type, "ServicePrincipal") || strings.EqualFold(t.Type, "Application")) && t.ID != "" {
			return finding.Principal{Home: v.Tenant, Type: record.ServicePrincipal, ID: t.ID, Name: t.Name}, true
		}
	}
	return finding.Principal{}, false
}

func object(rule *sigma.Rule, r *record.Record, t record.Target) finding.Object {
	o := finding.Object{Type: t.Type, ID: t.ID, UPN: t.UPN, Name: t.Name, Operation: r.Operation}
	o.Child = rule.Custom.Child && strings.EqualFold(t.Type, "User")
	if rule.Custom.Kind == "credential" {
		for _, c := range t.Changes {
			if strings.EqualFold(c.Name, "KeyDescription") {
				o.KeyIDs, _ = r.CredentialsAdded()
			}
		}
	}
	return o
}

// proofOf is the record as proof; its texts are the record's.
func proofOf(v *event, position string) finding.Proof {
	p := finding.Proof{Record: v.ID, Time: v.Time, Category: v.Category, Operation: v.Operation, Result: v.Result, Correlation: v.Correlation,
		Principal: v.Actor.Key(), Label: v.Actor.Label(), Address: v.Actor.Address, Positions: []string{position}}
	if s := v.SignIn; s != nil {
		p.Address, p.Country, p.Agent, p.Device, p.Session = s.Address, s.Country, s.Agent, s.Device, s.Session
	}
	return p
}

// own copies what a finding has of its record: a Decoder writes its texts over. All copies are parts of one text.
func own(f *finding.Finding, proof *finding.Proof) {
	a, p := &f.Actor, &f.Principal
	same := p.ID == a.ID && p.UPN == a.UPN && p.Name == a.Name && p.AppID == a.AppID && p.Home == a.Home && p.Type == a.Type
	var c copier
	for c.pass = measures; c.pass <= places; c.pass++ {
		if c.pass == writes {
			c.written.Grow(c.size)
		}
		if c.pass == places {
			c.text = c.written.String()
		}
		c.take(&f.Tenant)
		c.principal(a)
		if !same {
			c.principal(p)
		}
		for i := range f.Targets {
			t := &f.Targets[i]
			c.take(&t.Type)
			c.take(&t.ID)
			c.take(&t.UPN)
			c.take(&t.Name)
			c.take(&t.Operation)
			for j := range t.KeyIDs {
				c.take(&t.KeyIDs[j])
			}
		}
		c.proof(proof)
	}
	if same {
		p.Home, p.Type, p.ID, p.UPN, p.Name, p.AppID = a.Home, a.Type, a.ID, a.UPN, a.Name, a.AppID
	}
}

// copier copies texts into one: it measures them, writes them behind one another and puts the parts in their places.
type copier struct {
	pass    pass
	size    int
	written strings.Builder
	text    string
}

type pass int

const (
	measures pass = iota
	writes
	places
)

func (c *copier) take(text *string) {
	switch c.pass {
	case measures:
		c.size += len(*text)
	case writes:
		c.written.WriteString(*text)
	case places:
		n := len(*text)
		*text, c.text = c.text[:n], c.text[n:]
	}
}

func (c *copier) principal(p *finding.Principal) {
	c.take(&p.Home)
	c.take(&p.Type)
	c.take(&p.ID)
	c.take(&p.UPN)
	c.take(&p.Name)
	c.take(&p.AppID)
}

func (c *copier) proof(p *finding.Proof) {
	c.take(&p.Category)
	c.take(&p.Operation)
	c.take(&p.Result)
	c.take(&p.Correlation)
	c.take(&p.Principal)
	c.take(&p.Label)
	c.take(&p.Address)
	c.take(&p.Country)
	c.take(&p.Agent)
	c.take(&p.Device)
	c.take(&p.Session)
}

// why are the clauses for whose sake the rule that looks holds, with copies of what stood there.
func (e *Engine) why(v *event) []finding.Reason {
	reasons := e.rules[v.rule].Why(v)
	out := make([]finding.Reason, 0, len(reasons))
	for _, r := range reasons {
		reason := finding.Reason{Clause: r.Clause}
		for _, value := range r.Values {
			reason.Values = append(reason.Values, strings.Clone(record.Clean(value)))
		}
		out = append(out, reason)
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

// fill puts words into a sentence. What is put in is not looked at again.
func fill(sentence string, word func(name string) string) string {
	if !strings.Contains(sentence, "{") {
		return sentence
	}
	var out strings.Builder
	for sentence != "" {
		before, rest, found := strings.Cut(sentence, "{")
		out.WriteString(before)
		if !found {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			out.WriteString("{" + rest)
			break
		}
		out.WriteString(word(name))
		sentence = after
	}
	return out.String()
}

// unknownWord is what a sentence has for what the record does not say: it is not left out.
const unknownWord = "unknown"

func spoken(words ...string) string {
	if text := record.Clean(strings.Join(words, ", ")); text != "" {
		return text
	}
	return unknownWord
}

func (e *Engine) word(name string, v *event, f finding.Finding) string {
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
		words = []string{proofOf(v, "").Address}
	case "country":
		if v.SignIn != nil {
			words = []string{v.SignIn.Country}
		}
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
