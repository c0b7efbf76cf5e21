// Package incident is one principal's compromise from first finding to close: a pure fold over the events of its
// subject in INCIDENTS, the envelope those events travel in, and the chain that binds them. Playbooks, the worker
// and the API all write by folding, deciding and appending; nobody keeps an incident anywhere else.
package incident

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"cordon/internal/finding"
)

// Event is the envelope of every message in INCIDENTS and AUDIT. Prev is the hash of the stored bytes before it on
// its subject; types that a reader does not know are kept and skipped.
type Event struct {
	V     int             `json:"v"`
	Type  string          `json:"type"`
	ID    string          `json:"id"`
	At    time.Time       `json:"at"`
	By    string          `json:"by"`              // cordon, or an analyst's name
	Cause string          `json:"cause,omitempty"` // what led to it: a finding, a message, a request
	Prev  string          `json:"prev"`
	Data  json.RawMessage `json:"data,omitempty"`
}

// Cordon is who acts when no person does.
const Cordon = "cordon"

// The types of events.
const (
	Opened           = "opened"
	FindingJoined    = "finding.joined"
	FindingWithdrawn = "finding.withdrawn"
	EvidenceRead     = "evidence.read"
	VerdictGiven     = "verdict.given"
	StepProposed     = "step.proposed"
	StepApproved     = "step.approved"
	StepRefused      = "step.refused"
	StepWithdrawn    = "step.withdrawn"
	StepStarted      = "step.started"
	StepDone         = "step.done"
	StepFailed       = "step.failed"
	StepVerified     = "step.verified"
	StepUndone       = "step.undone"
	TaskDone         = "task.done"
	Linked           = "linked"
	Noted            = "note"
	Closed           = "closed"
)

// OpenedData begins an incident.
type OpenedData struct {
	Playbook  string            `json:"playbook"`
	Tenant    string            `json:"tenant"`
	Principal finding.Principal `json:"principal"`
}

// EvidenceData is what a confirm step read. Unknown says why it could not be read: that never counts for benign
// and never blocks revoking.
type EvidenceData struct {
	Step    Ref             `json:"step"`
	Name    string          `json:"name"`
	Value   json.RawMessage `json:"value,omitempty"`
	Unknown string          `json:"unknown,omitempty"`
	// Through is how many findings the incident had when it was read: later ones ask for it again.
	Through int `json:"through"`
}

// The verdicts, in rising order; benign is given by a person only.
const (
	Suspicious  = "suspicious"
	Exposed     = "exposed"
	Compromised = "compromised"
	Benign      = "benign"
)

// VerdictData is what the evidence says so far.
type VerdictData struct {
	Verdict string `json:"verdict"`
	Why     string `json:"why"`
}

// Ref names one round of one step.
type Ref struct {
	Place string `json:"place"` // contain.1, contain.5/<object id>, or the step's own id
	Round int    `json:"round"` // counts from 1; a step that is done again has another round
}

func (r Ref) String() string {
	if r.Round <= 1 {
		return r.Place
	}
	return fmt.Sprintf("%s (round %d)", r.Place, r.Round)
}

// What a step is.
const (
	KindRead  = "read"
	KindDo    = "do"
	KindTask  = "task"
	KindWatch = "watch"
)

// Who must approve.
const (
	Auto = "auto"
	One  = "one"
	Two  = "two"
)

// Spec is a step as proposed: everything that an approval is bound to.
type Spec struct {
	Ref
	Phase   string            `json:"phase"`
	Order   int               `json:"order"` // its line in the playbook
	Kind    string            `json:"kind"`
	Action  string            `json:"action,omitempty"`
	Tenant  string            `json:"tenant"` // that it changes
	Target  Target            `json:"target"`
	Params  map[string]string `json:"params,omitempty"`
	Need    string            `json:"need"`
	Why     string            `json:"why,omitempty"`     // why it needs more than the playbook says
	Verdict string            `json:"verdict,omitempty"` // an automatic run needs at least this one
	Says    string            `json:"says"`              // in words, as on the button
	Facts   map[string]string `json:"facts,omitempty"`   // that its condition read
	Offered bool              `json:"offered,omitempty"` // waits for nobody until a person asks for it
	Undo    string            `json:"undo,omitempty"`    // the place of the step that it takes back
	Returns bool              `json:"returns,omitempty"` // gives access back: a second proof of the person is needed
	Final   string            `json:"final,omitempty"`   // why it cannot be undone; empty where it can
	Again   time.Duration     `json:"again,omitempty"`   // done once more after that long
	Due     *time.Time        `json:"due,omitempty"`
	Digest  string            `json:"digest"`
}

// Target is what a step changes.
type Target struct {
	Type  string `json:"type"`
	ID    string `json:"id"`
	Label string `json:"label,omitempty"`
}

// Seal computes the digest that binds an approval: action, tenant, target, parameters and the facts that the
// condition read. More evidence beside them does not void an approval; another target or fact does.
func (s *Spec) Seal() {
	bound := struct {
		Ref
		Kind, Action, Tenant string
		Target               Target
		Params, Facts        map[string]string
		Undo                 string
	}{s.Ref, s.Kind, s.Action, s.Tenant, s.Target, s.Params, s.Facts, s.Undo}
	data, err := json.Marshal(bound) // maps are written in key order
	if err != nil {
		panic("incident: a step cannot be encoded: " + err.Error()) // strings only: cannot fail
	}
	sum := sha256.Sum256(data)
	s.Digest = hex.EncodeToString(sum[:])
}

// DecisionData is a person's signed yes or no to one round of a step.
type DecisionData struct {
	Ref
	Digest string `json:"digest"`
	Why    string `json:"why,omitempty"`
	// SecondProof says how the person was asked again, where the step returns access.
	SecondProof string `json:"secondProof,omitempty"`
}

// WithdrawnData takes a proposal back.
type WithdrawnData struct {
	Ref
	Why string `json:"why"`
}

// StartedData is the permission to call: it is stored before the call is made.
type StartedData struct {
	Ref
	Attempt   int             `json:"attempt"`
	Action    string          `json:"action"`
	Tenant    string          `json:"tenant"`
	Objects   []string        `json:"objects,omitempty"`   // ids that audit records of this change will name
	Footprint []string        `json:"footprint,omitempty"` // audit operations that Entra writes for it
	Requests  []string        `json:"requests,omitempty"`  // what is about to be sent
	Before    json.RawMessage `json:"before,omitempty"`    // the state before: what undo goes back to
}

// FinishedData ends an attempt.
type FinishedData struct {
	Ref
	Attempt int             `json:"attempt"`
	Result  json.RawMessage `json:"result,omitempty"`
	Note    string          `json:"note,omitempty"`
	Class   string          `json:"class,omitempty"` // of a failure
	Error   string          `json:"error,omitempty"` // the service's own
	RetryAt *time.Time      `json:"retryAt,omitempty"`
}

// LinkedData names another principal's incident that this one belongs with.
type LinkedData struct {
	Subject string `json:"subject"`
	Label   string `json:"label"`
	Why     string `json:"why"`
}

// NoteData is a person's remark, or the reason for closing.
type NoteData struct {
	Place string `json:"place,omitempty"`
	Text  string `json:"text"`
}

// New makes an event of typed data. ID, Prev and the place on the chain are added by Append.
func New(kind, by, cause string, at time.Time, data any) (Event, error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return Event{}, fmt.Errorf("encoding %s: %w", kind, err)
	}
	return Event{V: 1, Type: kind, At: at.UTC(), By: by, Cause: cause, Data: raw}, nil
}

// Hash is what the next event on the subject carries as Prev.
func Hash(stored []byte) string {
	sum := sha256.Sum256(stored)
	return hex.EncodeToString(sum[:])
}
