package playbooks

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/incident"
)

// Facts are what conditions may read. The environment is typed, so that a misspelt fact is an error when the
// playbook is loaded.
type Facts struct {
	Actor    ActorFacts    `expr:"actor"`
	Tenant   TenantFacts   `expr:"tenant"`
	Evidence EvidenceFacts `expr:"evidence"`
	Incident IncidentFacts `expr:"incident"`

	T0                time.Time `expr:"t0"`
	IndependentProofs int       `expr:"independentProofs"`
	Decisive          bool      `expr:"decisive"`

	OnlyFindings func(rules ...string) bool                   `expr:"onlyFindings"`
	SuccessAfter func(t time.Time) bool                       `expr:"successAfter"`
	ChangedAfter func(objects []Object, t time.Time) []Object `expr:"changedAfter"`
	Known        func(fact string) bool                       `expr:"known"`
}

// ActorFacts are about the incident's principal.
type ActorFacts struct {
	Privileged bool `expr:"privileged"`
	Synced     bool `expr:"synced"`
}

// TenantFacts are about the tenant that the incident is in.
type TenantFacts struct {
	Licences    []string `expr:"licences"`
	DAP         bool     `expr:"dap"`
	UserConsent bool     `expr:"userConsent"`
}

// EvidenceFacts are lists that confirm steps have read.
type EvidenceFacts struct {
	Methods []Object `expr:"methods"`
	Roles   []Object `expr:"roles"`
	Grants  []Object `expr:"grants"`
	GDAP    []Object `expr:"gdap"`
}

// IncidentFacts are what findings say about the actor's deeds.
type IncidentFacts struct {
	Children    []Object `expr:"children"`
	Credentials []Object `expr:"credentials"`
}

// Object is one thing that a step can be done to.
type Object struct {
	ID      string    `json:"id" expr:"id"`
	Type    string    `json:"type" expr:"type"`
	Label   string    `json:"label" expr:"label"`
	On      string    `json:"on" expr:"on"`
	Changed time.Time `json:"changed" expr:"changed"`
	Detail  string    `json:"detail" expr:"detail"`
	Undated bool      `json:"undated" expr:"undated"`
}

// factSources say which evidence each fact rests on. A fact whose evidence has not been read yet is pending, one
// whose evidence could not be read is unknown.
var factSources = []struct {
	fact     string
	evidence []string // any of them
}{
	{"actor.privileged", nil},
	{"actor.synced", []string{"user.profile"}},
	{"tenant.licences", []string{"tenant.licences"}},
	{"tenant.dap", []string{"tenant.partners"}},
	{"tenant.userConsent", []string{"tenant.consent-policy"}},
	{"evidence.methods", []string{"user.methods"}},
	{"evidence.roles", []string{"user.roles"}},
	{"evidence.grants", []string{"user.grants", "application.grants"}},
	{"evidence.gdap", []string{"tenant.partners"}},
	{"successAfter", []string{"user.sign-ins"}},
}

// standing is whether a fact can be relied on.
type standing int

const (
	isKnown standing = iota
	isPending
	isUnknown
)

// world is the facts of one incident, and how far each can be relied on.
type world struct {
	Facts
	standing map[string]standing
}

// observe reads the facts from an incident's fold.
func observe(i *incident.Incident) world {
	w := world{standing: map[string]standing{}}
	w.Actor.Privileged = i.Principal.Privileged == directory.Yes
	for _, f := range i.Findings { // the directory may have learnt more since the incident opened
		if f.Principal.ID == i.Principal.ID && f.Principal.Privileged == directory.Yes {
			w.Actor.Privileged = true
		}
	}
	if i.Principal.Privileged == directory.Unknown && !w.Actor.Privileged {
		w.standing["actor.privileged"] = isUnknown
	}
	for _, s := range factSources[1:] {
		w.standing[s.fact] = isPending
		for _, name := range s.evidence {
			if e, ok := i.Reading(name); ok {
				w.standing[s.fact] = isKnown
				if e.Unknown != "" {
					w.standing[s.fact] = isUnknown
				}
			}
		}
	}
	var profile struct {
		Synced bool `json:"synced"`
	}
	var licences struct {
		Plans []string `json:"plans"`
	}
	var partners struct {
		DAP     bool     `json:"dap"`
		Objects []Object `json:"objects"`
	}
	var consent struct {
		Open bool `json:"open"`
	}
	var signIns struct {
		LastSuccess time.Time `json:"lastSuccess"`
	}
	reading(i, "user.profile", &profile)
	reading(i, "tenant.licences", &licences)
	reading(i, "tenant.partners", &partners)
	reading(i, "tenant.consent-policy", &consent)
	reading(i, "user.sign-ins", &signIns)
	w.Actor.Synced = profile.Synced
	w.Tenant = TenantFacts{Licences: licences.Plans, DAP: partners.DAP, UserConsent: consent.Open}
	w.Evidence = EvidenceFacts{Methods: objects(i, "user.methods"), Roles: objects(i, "user.roles"), GDAP: partners.Objects,
		Grants: append(objects(i, "user.grants"), objects(i, "application.grants")...)}
	for _, c := range i.Children() {
		w.Incident.Children = append(w.Incident.Children, Object{ID: c.ID, Type: "user", Label: firstOf(c.UPN, c.Name, c.ID), On: c.ID})
	}
	for _, c := range i.Credentials() {
		w.Incident.Credentials = append(w.Incident.Credentials, Object{ID: c.KeyIDs[0], Type: "credential", On: c.ID, Label: "the credential added to " + firstOf(c.Name, c.ID)})
	}
	w.T0, w.IndependentProofs, w.Decisive = i.T0, i.IndependentProofs(), i.Decisive()
	if !i.Earlier.IsZero() {
		w.T0 = i.Earlier // what reaches behind the frozen t0 is found too, and needs an approval
	}
	w.OnlyFindings = func(rules ...string) bool {
		proofs := i.Proofs()
		return len(proofs) > 0 && !slices.ContainsFunc(proofs, func(f finding.Finding) bool { return !slices.Contains(rules, f.Rule) })
	}
	w.SuccessAfter = func(t time.Time) bool {
		return !signIns.LastSuccess.IsZero() && !signIns.LastSuccess.Before(t) || provenSuccess(i, t)
	}
	w.ChangedAfter = func(objects []Object, t time.Time) []Object {
		return slices.DeleteFunc(slices.Clone(objects), func(o Object) bool { return o.Changed.IsZero() || before(o.Changed, t) })
	}
	w.Known = func(fact string) bool { return w.standing[fact] == isKnown }
	return w
}

// provenSuccess says whether a finding's own proof shows that the principal's sign-in succeeded since t.
func provenSuccess(i *incident.Incident, t time.Time) bool {
	for _, f := range i.Proofs() {
		for _, p := range f.Proof {
			if f.Kind == "sign-in" && strings.EqualFold(p.Principal, i.Principal.ID) && p.Result == "success" && !p.Time.Before(t) {
				return true
			}
		}
	}
	return false
}

// before compares with the precision of Graph's times, which are whole seconds.
func before(changed, t time.Time) bool { return changed.Before(t.Truncate(time.Second)) }

func reading(i *incident.Incident, name string, into any) {
	if e, ok := i.Reading(name); ok && len(e.Value) > 0 {
		_ = json.Unmarshal(e.Value, into) // what has another shape reads as nothing, as evidence of an older edition would
	}
}

func objects(i *incident.Incident, name string) []Object {
	var list struct {
		Objects []Object `json:"objects"`
	}
	reading(i, name, &list)
	return list.Objects
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
