package detectors

import (
	"slices"
	"strings"
	"time"

	"cordon/internal/directory"
	"cordon/internal/finding"
)

// said is what findings of correlations tell of a record. It is kept packed: which record speaks is known only when
// the window is looked at.
type said struct {
	proof finding.Proof
	actor finding.Principal
	words map[string]string
}

// say packs what the event's record says.
func (e *Engine) say(v *event, position string, words []string) string {
	w := &writer{bytes: e.packed[:0]}
	e.position[0] = position
	p, a := proofOf(v, e.position[:]), e.principal(v, v.Actor)
	w.text(p.Category)
	w.text(p.Operation)
	w.text(p.Result)
	w.text(p.Correlation)
	w.text(p.Principal)
	w.text(p.Label, p.Principal)
	w.text(p.Address)
	w.text(p.Country)
	w.text(p.Agent)
	w.text(p.Device)
	w.text(p.Session, p.Correlation)
	w.texts(p.Positions)
	w.text(a.Home, e.homeOf(v.ID))
	w.text(a.Type)
	w.text(a.ID, p.Principal)
	w.text(a.UPN, p.Label)
	w.text(a.Name)
	w.text(a.AppID)
	w.text(string(a.Privileged))
	w.texts(a.Roles)
	var f finding.Finding
	n := 0
	for _, word := range words {
		if slices.Contains(ownWords, word) {
			continue
		}
		n++
	}
	if w.number(uint64(n)); n > 0 {
		for _, t := range v.Targets {
			f.Targets = append(f.Targets, object(e.rules[v.rule], v.Record, t))
		}
		for _, word := range words {
			if slices.Contains(ownWords, word) {
				continue
			}
			w.text(word)
			w.text(e.word(word, v, &f), p.Address, unknownWord)
		}
	}
	e.packed = w.bytes
	return string(w.bytes)
}

// ownWords are those that a correlation's finding knows by itself.
var ownWords = []string{"principal", "actor", "users", "count"}

// homeOf is the tenant that a record's id begins with, as records spell it: almost always its actor's home.
func (e *Engine) homeOf(id string) string {
	tenant, _, _ := strings.Cut(id, "/")
	return e.tenants[tenant]
}

// saidBy is what a record that the engine knows says.
func (e *Engine) saidBy(k *kept) said {
	if k == nil || k.said == "" {
		return said{}
	}
	r := &reader{bytes: k.said}
	p := finding.Proof{Record: k.id, Time: time.Unix(0, k.time).UTC()}
	p.Category = r.text()
	p.Operation = r.text()
	p.Result = r.text()
	p.Correlation = r.text()
	p.Principal = r.text()
	p.Label = r.text(p.Principal)
	p.Address = r.text()
	p.Country = r.text()
	p.Agent = r.text()
	p.Device = r.text()
	p.Session = r.text(p.Correlation)
	p.Positions = r.texts()
	a := finding.Principal{Home: r.text(e.homeOf(k.id)), Type: r.text()}
	a.ID = r.text(p.Principal)
	a.UPN = r.text(p.Label)
	a.Name, a.AppID, a.Privileged, a.Roles = r.text(), r.text(), directory.Known(r.text()), r.texts()
	var words map[string]string
	for range r.count() {
		if words == nil {
			words = map[string]string{}
		}
		word := r.text()
		words[word] = r.text(p.Address, unknownWord)
	}
	return said{p, a, words}
}

// Places of texts in what say packs.
const (
	principalAt = 4 // of the proof
	positionsAt = 11
	actorAt     = 2 // behind the positions
)

// principalOf tells the principals of records apart, whatever their spelling, without unpacking more than that.
func principalOf(k *kept) string {
	if k == nil || k.said == "" {
		return ""
	}
	r := &reader{bytes: k.said}
	for range principalAt {
		r.skip()
	}
	return r.key()
}

// actorOf does so with those who acted.
func actorOf(k *kept) string {
	if k == nil || k.said == "" {
		return ""
	}
	r := &reader{bytes: k.said}
	for range positionsAt {
		r.skip()
	}
	for range r.count() {
		r.skip()
	}
	for range actorAt {
		r.skip()
	}
	if key := r.key(); key != "" {
		return key
	}
	return principalOf(k)
}
