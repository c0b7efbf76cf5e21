// Package finding is what a detector concludes from records, with the proof: the message on FINDINGS, which
// playbooks make incidents of.
package finding

import (
	"slices"
	"time"

	"cordon/internal/directory"
	"cordon/internal/record"
)

// Finding is a detector's conclusion. Its identity is arithmetic (rule, tenant and record; or rule, tenant, group
// and time slot), so a replay finds the same findings. More proof, a confirmation or a withdrawal is the same ID
// with a higher Revision.
type Finding struct {
	ID         string   `json:"id"`
	Revision   int      `json:"revision"`
	Rule       string   `json:"rule"`
	Title      string   `json:"title"`
	Says       string   `json:"says"` // in one sentence
	Level      string   `json:"level"`
	Kind       string   `json:"kind"`
	Techniques []string `json:"techniques,omitempty"`
	Decisive   bool     `json:"decisive,omitempty"`
	Playbook   string   `json:"playbook,omitempty"` // asked for by the rule

	Tenant    string    `json:"tenant"` // where it happened
	Time      time.Time `json:"time"`   // event time of the record that raised it
	Principal Principal `json:"principal"`
	Actor     Principal `json:"actor"`
	Targets   []Object  `json:"targets,omitempty"` // the first hundred

	Unconfirmed bool   `json:"unconfirmed,omitempty"` // rests on an empty or missing field
	Withdrawn   string `json:"withdrawn,omitempty"`   // why, once it has been

	Mode       string `json:"mode,omitempty"`       // audit: it is recorded, and opens nothing; "" is on
	Suppressed string `json:"suppressed,omitempty"` // by the exception of that name: it is recorded, and opens nothing

	Why []Reason `json:"why,omitempty"` // the clauses for whose sake the rule holds

	Proof []Proof `json:"proof"` // the first 50, by time and id
	Count int     `json:"count"` // of distinct records
}

// The modes of a rule.
const (
	Off   = "off"   // raises no finding
	Audit = "audit" // its findings are recorded and open nothing
	On    = "on"
)

// Modes in rising order.
var Modes = []string{Off, Audit, On}

// Quiet says why a finding may not count for anything but the record; "" where it counts.
func (f Finding) Quiet() string {
	switch {
	case f.Suppressed != "":
		return "suppressed by the exception " + record.Clean(f.Suppressed)
	case f.Mode == Audit:
		return "the rule is in audit"
	}
	return ""
}

// Reason is a clause of a rule that held, and what stood there: an empty text where nothing did.
type Reason struct {
	Clause string   `json:"clause"`
	Values []string `json:"values,omitempty"`
}

// Levels in rising order.
var Levels = []string{"informational", "low", "medium", "high", "critical"}

// AtLeast says whether a level is as grave as another, or graver.
func AtLeast(level, other string) bool {
	return slices.Index(Levels, level) >= slices.Index(Levels, other)
}

// MaxProof is how many records a finding carries as proof.
const MaxProof = 50

// Principal is whose incident a finding joins, or who acted.
type Principal struct {
	Home       string          `json:"home"` // home tenant
	Type       string          `json:"type"`
	ID         string          `json:"id"`
	UPN        string          `json:"upn,omitempty"`
	Name       string          `json:"name,omitempty"`
	AppID      string          `json:"appId,omitempty"`
	Privileged directory.Known `json:"privileged,omitempty"` // at the finding's time
	Roles      []string        `json:"roles,omitempty"`
}

// Label is how people call the principal.
func (p Principal) Label() string {
	switch {
	case p.UPN != "":
		return record.Clean(p.UPN)
	case p.Name != "":
		return record.Clean(p.Name)
	case p.ID != "":
		return record.Clean(p.ID)
	}
	return record.Clean(p.AppID)
}

// Object is something that was changed, and how.
type Object struct {
	Type      string   `json:"type"` // User, ServicePrincipal, Application, Role, …
	ID        string   `json:"id,omitempty"`
	UPN       string   `json:"upn,omitempty"`
	Name      string   `json:"name,omitempty"`
	Child     bool     `json:"child,omitempty"`     // the actor made it
	KeyIDs    []string `json:"keyIds,omitempty"`    // credentials that were added to it
	Operation string   `json:"operation,omitempty"` // what was done to it
}

// Proof is one record behind a finding.
type Proof struct {
	Record      string    `json:"record"`
	Time        time.Time `json:"time"`
	Category    string    `json:"category"`
	Operation   string    `json:"operation"`
	Result      string    `json:"result,omitempty"`
	Correlation string    `json:"correlation,omitempty"`
	Principal   string    `json:"principal,omitempty"` // who acted in it: object id, else name
	Label       string    `json:"label,omitempty"`
	Address     string    `json:"address,omitempty"`
	Country     string    `json:"country,omitempty"`
	Agent       string    `json:"agent,omitempty"`
	Device      string    `json:"device,omitempty"`
	Session     string    `json:"session,omitempty"`
	// Positions are where the record, and revisions of it that say the same, came from.
	Positions []string `json:"positions,omitempty"`
}
