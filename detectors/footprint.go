package detectors

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/incident"
	"cordon/internal/record"
)

// footprints tells Cordon's own changes from an attacker's who holds Cordon's credential: each change under its
// identity must have been announced in INCIDENTS before it was made.
type footprints struct {
	own       []string // application ids
	announced []incident.StartedData
	times     []time.Time
	read      uint64 // INCIDENTS sequence that has been read
	waiting   []foreign
}

// foreign is a change under Cordon's identity that has not been explained yet.
type foreign struct {
	record   *record.Record
	position string
	until    uint64 // it is unexplained once INCIDENTS has been read up to here
}

// How long a change may stand in the log before or after it was announced (architecture, rule 8).
const (
	ahead  = time.Minute
	behind = 24 * time.Hour
)

// isOwn says whether a record is a change under Cordon's identity.
func (f *footprints) isOwn(r *record.Record) bool {
	return r.Category == record.AuditLogs && r.Actor.Type == record.ServicePrincipal &&
		slices.ContainsFunc(f.own, func(id string) bool { return id != "" && strings.EqualFold(id, r.Actor.AppID) })
}

// announce takes an event of INCIDENTS.
func (f *footprints) announce(data []byte, seq uint64) error {
	f.read = seq
	var e incident.Event
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("reading event %d: %w", seq, err)
	}
	if e.Type != incident.StepStarted {
		return nil
	}
	var s incident.StartedData
	if err := json.Unmarshal(e.Data, &s); err != nil {
		return fmt.Errorf("reading event %d: %w", seq, err)
	}
	f.announced, f.times = append(f.announced, s), append(f.times, e.At)
	for len(f.times) > 0 && e.At.Sub(f.times[0]) > 2*behind {
		f.announced, f.times = f.announced[1:], f.times[1:]
	}
	return nil
}

func (f *footprints) explains(r *record.Record) bool {
	for i, s := range f.announced {
		since := r.Time.Sub(f.times[i])
		if since < -ahead || since > behind || !strings.EqualFold(s.Tenant, r.Tenant) {
			continue
		}
		if !slices.ContainsFunc(s.Footprint, func(op string) bool { return strings.EqualFold(op, r.Operation) }) {
			continue
		}
		if len(r.Targets) == 0 {
			return true
		}
		for _, t := range r.Targets {
			// A policy has no id in some records; the tenant stands for it.
			if t.ID == "" || slices.ContainsFunc(s.Objects, func(o string) bool { return o != "" && strings.EqualFold(o, t.ID) }) ||
				strings.EqualFold(t.Type, "Policy") || strings.EqualFold(t.Type, "Other") {
				return true
			}
		}
	}
	return false
}

// judge returns a finding for each change that stays unexplained though everything announced before it has been
// read.
func (f *footprints) judge() []finding.Finding {
	var out []finding.Finding
	f.waiting = slices.DeleteFunc(f.waiting, func(w foreign) bool {
		if f.explains(w.record) {
			return true
		}
		if f.read < w.until {
			return false
		}
		out = append(out, unexplained(w))
		return true
	})
	return out
}

// unexplained is the finding that Cordon's own identity was used by somebody else. Nobody contains Cordon by itself:
// the guardrails leave it to people, at once.
func unexplained(w foreign) finding.Finding {
	r := w.record
	self := finding.Principal{Home: r.Tenant, Type: record.ServicePrincipal, ID: firstOf(r.Actor.ID, r.Actor.AppID), AppID: r.Actor.AppID, Name: r.Actor.Name, Privileged: directory.Yes}
	f := finding.Finding{ID: unexplainedRule + "/" + r.ID, Revision: 1, Rule: unexplainedRule, Title: "Change under Cordon's identity that Cordon did not make",
		Says: record.Clean(fmt.Sprintf("somebody used Cordon's identity: %s", r.Operation)), Level: "critical", Kind: "credential", Techniques: []string{"T1078.004"},
		Playbook: "malicious-application", Tenant: r.Tenant, Time: r.Time, Principal: self, Actor: self, Count: 1,
		Proof: []finding.Proof{proofOf(event{Record: r}, w.position)}}
	for _, t := range r.Targets {
		f.Targets = append(f.Targets, finding.Object{Type: t.Type, ID: t.ID, UPN: t.UPN, Name: t.Name, Operation: r.Operation})
	}
	return f
}

const unexplainedRule = "unexplained-own-change"
