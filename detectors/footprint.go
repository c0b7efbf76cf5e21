package detectors

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cordon/internal/canary"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/incident"
	"cordon/internal/record"
)

// footprints tells Cordon's own changes from an attacker's who holds Cordon's credential: each change under its
// identity must have been announced in INCIDENTS, or in AUDIT where it belongs to none, before it was made.
type footprints struct {
	own []string // application ids

	mu        sync.Mutex                // guards what follows: every shard asks
	announced map[string][]announcement // by tenant
	read      uint64                    // INCIDENTS sequence that has been read
	journal   uint64                    // AUDIT sequence that has been read
}

// announcement is a change that Cordon said it would make.
type announcement struct {
	at      time.Time
	objects []string
	ops     []string
	nonce   string // of a canary
}

// foreign is a change under Cordon's identity that has not been explained yet.
type foreign struct {
	record   *record.Record
	position string
	sequence uint64 // in LOGS
	asked    bool   // how far the announcements must have been read is known
	until    uint64 // it is unexplained once INCIDENTS has been read up to here
	journal  uint64 // and AUDIT up to here
}

// How long a change may stand in the log before or after it was announced (architecture, rule 8).
const (
	ahead  = time.Minute
	behind = 24 * time.Hour
	brief  = 5 * time.Minute // after a canary, where the record does not show which one it is
)

// isOwn says whether a record is a change under Cordon's identity.
func (f *footprints) isOwn(r *record.Record) bool {
	return r.Category == record.AuditLogs && r.Actor.Type == record.ServicePrincipal &&
		slices.ContainsFunc(f.own, func(id string) bool { return id != "" && strings.EqualFold(id, r.Actor.AppID) })
}

// startAt says up to which sequence AUDIT need not be read.
func (f *footprints) startAt(journal uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.journal = journal
}

// announce takes an event of INCIDENTS.
func (f *footprints) announce(data []byte, seq uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read = seq
	return f.heard(data, seq, incident.StepStarted)
}

// journalled takes an event of AUDIT.
func (f *footprints) journalled(data []byte, seq uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.journal = seq
	return f.heard(data, seq, incident.CanarySent)
}

// heard remembers an announcement for as long as a change may need it.
func (f *footprints) heard(data []byte, seq uint64, kind string) error {
	var e incident.Event
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("reading event %d: %w", seq, err)
	}
	if e.Type != kind {
		return nil
	}
	var s incident.StartedData
	if err := json.Unmarshal(e.Data, &s); err != nil {
		return fmt.Errorf("reading event %d: %w", seq, err)
	}
	nonce := ""
	if kind == incident.CanarySent {
		if nonce, _ = canary.Nonce(s.Ref); nonce == "" {
			return fmt.Errorf("reading event %d: %s without its mark", seq, kind)
		}
	}
	if f.announced == nil {
		f.announced = map[string][]announcement{}
	}
	tenant := strings.ToLower(s.Tenant)
	list := append(f.announced[tenant], announcement{at: e.At, objects: s.Objects, ops: s.Footprint, nonce: nonce})
	for len(list) > 0 && e.At.Sub(list[0].at) > 2*behind {
		list = list[1:]
	}
	f.announced[tenant] = list
	return nil
}

func (f *footprints) explains(r *record.Record) bool {
	return slices.ContainsFunc(f.announced[strings.ToLower(r.Tenant)], func(a announcement) bool { return a.explains(r) })
}

func (a announcement) explains(r *record.Record) bool {
	since := r.Time.Sub(a.at)
	if since < -ahead || since > behind {
		return false
	}
	if !slices.ContainsFunc(a.ops, func(op string) bool { return strings.EqualFold(op, r.Operation) }) {
		return false
	}
	if a.nonce != "" && !a.isCanary(r, since) {
		return false
	}
	if len(r.Targets()) == 0 {
		return true
	}
	for _, t := range r.Targets() {
		// A policy has no id in some records; the tenant stands for it.
		if t.ID == "" || slices.ContainsFunc(a.objects, func(o string) bool { return o != "" && strings.EqualFold(o, t.ID) }) ||
			strings.EqualFold(t.Type, "Policy") || strings.EqualFold(t.Type, "Other") {
			return true
		}
	}
	return false
}

// isCanary says whether a record shows the canary and nothing beside it. A canary is announced every quarter of an
// hour: whoever holds Cordon's credential must not be able to hide another change of its service principal behind one.
// That Entra shows the notes in the record is unconfirmed; where it does not, the time must do.
func (a announcement) isCanary(r *record.Record, since time.Duration) bool {
	shown := false
	for _, t := range r.Targets() {
		for _, c := range t.Changes {
			switch name := strings.ToLower(c.Name); {
			case name == "notes":
				nonce, ok := canary.NonceOf(c.New)
				if !ok || nonce != a.nonce {
					return false
				}
				shown = true
			case strings.HasPrefix(name, "targetid."):
			case name == "included updated properties" && (c.New == "" || strings.EqualFold(c.New, "Notes")):
			default:
				return false
			}
		}
	}
	return shown || since <= brief
}

// judge returns the changes that still wait, and a finding for each that stays unexplained though everything announced
// before it has been read.
func (f *footprints) judge(waiting []foreign) (still []foreign, out []finding.Finding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	still = slices.DeleteFunc(waiting, func(w foreign) bool {
		if f.explains(w.record) {
			return true
		}
		if !w.asked || f.read < w.until || f.journal < w.journal {
			return false
		}
		out = append(out, unexplained(w))
		return true
	})
	return still, out
}

// unexplained is the finding that Cordon's own identity was used by somebody else. Nobody contains Cordon by itself:
// the guardrails leave it to people, at once.
func unexplained(w foreign) finding.Finding {
	r := w.record
	self := finding.Principal{Home: r.Tenant, Type: record.ServicePrincipal, ID: firstOf(r.Actor.ID, r.Actor.AppID), AppID: r.Actor.AppID, Name: r.Actor.Name, Privileged: directory.Yes}
	f := finding.Finding{ID: unexplainedRule + "/" + r.ID, Revision: 1, Rule: unexplainedRule, Title: "Change under Cordon's identity that Cordon did not make",
		Says: record.Clean(fmt.Sprintf("somebody used Cordon's identity: %s", r.Operation)), Level: "critical", Kind: "credential", Techniques: []string{"T1078.004"},
		Playbook: "malicious-application", Tenant: r.Tenant, Time: r.Time, Principal: self, Actor: self, Count: 1,
		Proof: []finding.Proof{proofOf(&event{Record: r}, []string{w.position})}}
	for _, t := range r.Targets() {
		f.Targets = append(f.Targets, finding.Object{Type: t.Type, ID: t.ID, UPN: t.UPN, Name: t.Name, Operation: r.Operation})
	}
	return f
}

const unexplainedRule = "unexplained-own-change"
