// Package record is a log record and its decoded facts: what ingest makes of bytes, what detectors read, what
// an incident shows as evidence. A record is decoded from its raw JSON alone, so that every room that has the
// bytes sees the same facts.
package record

import (
	"time"

	"cordon/internal/tape"
	"github.com/cespare/xxhash/v2"
)

// Record is one log record as Entra or Azure wrote it. What every reader wants was read when it was decoded; the rest is
// read when somebody asks (later.go). It is for one goroutine at a time.
type Record struct {
	// ID is tenant, category and the record's own key, else the SHA-256 of its bytes. A later record with the
	// same ID and other bytes is a revision of it.
	ID       string
	Tenant   string
	Category string
	Time     time.Time // event time, UTC
	Clamped  bool      // the event time lay more than 5 minutes ahead of enqueueing
	Raw      []byte    // as it came

	Operation string // trimmed, dashes folded to '-', no final full stop
	Actor     Party

	// NotUTF8 says that Raw holds bytes that are none: they are kept as they came.
	NotUTF8 bool

	kind             Kind // "" where nobody decoded it
	root, properties tape.Value
	revision         revision
	later            later
}

// revision is what tells a record's revisions apart.
type revision struct {
	fullness int // 0 while nobody has asked
	sum      uint64
	summed   bool
}

// Sum tells the record's bytes from those of its other revisions; it does not withstand a forger, nor need it: nobody but
// Microsoft writes revisions.
func (r *Record) Sum() uint64 {
	if !r.revision.summed {
		r.revision.sum, r.revision.summed = xxhash.Sum64(r.Raw), true
	}
	return r.revision.sum
}

// Fullness is how much a record says: the bytes of its properties' values, whatever stands around them. Of two
// revisions, and of the same log from two sources, the one that says more is believed.
func (r *Record) Fullness() int {
	if r.revision.fullness == 0 {
		said := r.properties
		if said.Kind() != tape.Object {
			said = r.root
		}
		r.revision.fullness = 1 + said.Bytes()
	}
	return r.revision.fullness
}

// Decoded says whether the record's category has a decoder; of others only the envelope was read.
func (r *Record) Decoded() bool {
	if r.kind == "" {
		return KindOf(r.Category) != KindUnknown
	}
	return r.kind != KindUnknown
}

// The types of principals.
const (
	User             = "user"
	ServicePrincipal = "servicePrincipal"
	Tenant           = "tenant" // where nobody can be named
)

// Party is somebody who acts: a user, a service principal.
type Party struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
	UPN     string `json:"upn,omitempty"`
	Name    string `json:"name,omitempty"`
	AppID   string `json:"appId,omitempty"`
	Home    string `json:"home,omitempty"` // home tenant, where the record names it
	Address string `json:"address,omitempty"`
}

// Key is what the party is known by: its object id, else its user principal name, else its application id.
func (p Party) Key() string {
	switch {
	case p.ID != "":
		return p.ID
	case p.UPN != "":
		return p.UPN
	}
	return p.AppID
}

// Label is how people call the party.
func (p Party) Label() string {
	switch {
	case p.UPN != "":
		return p.UPN
	case p.Name != "":
		return p.Name
	}
	return p.Key()
}

// Target is an object that an audit record says was changed.
type Target struct {
	Type    string   `json:"type"` // User, ServicePrincipal, Application, Role, Policy, …
	ID      string   `json:"id,omitempty"`
	UPN     string   `json:"upn,omitempty"`
	Name    string   `json:"name,omitempty"`
	Changes []Change `json:"changes,omitempty"`
}

// Change is one modified property; values are decoded once from the JSON text that the log holds.
type Change struct {
	Name string `json:"name"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// SignIn is what a sign-in record says beyond actor and result.
type SignIn struct {
	Error    int // 0 is success
	HasError bool
	Address  string
	Country  string
	Agent    string
	Device   string
	Session  string
	App      string
}

// MFA says whether a sign-in proved a second factor.
type MFA int

// Whether a sign-in proved a second factor.
const (
	MFAUnknown MFA = iota
	MFANo
	MFAYes
)

// PasswordKnown says that the sign-in got past the password: it succeeded, or was stopped to ask for a second
// factor (50074, 50076, 50079; domain notes, logs 4.3).
func (s *SignIn) PasswordKnown() bool {
	switch s.Error {
	case 0:
		return s.HasError
	case 50074, 50076, 50079:
		return true
	}
	return false
}
