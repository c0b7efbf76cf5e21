package detectors

import (
	"slices"
	"strings"
	"time"

	"cordon/detectors/packed"
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

// phrases are texts that many records say: countries, user agents. What is kept of a record names one by its number
// among those of its bucket, of which only the first few have one: where all is different nothing is lost.
type phrases []string

// maxPhrases have numbers of one byte, together with the likely texts.
const maxPhrases = 56

func (p *phrases) number(s string) (int, bool) {
	at := slices.Index(*p, s)
	if at < 0 && s != "" && len(*p) < maxPhrases {
		at = len(*p)
		*p = append(*p, strings.Clone(s))
	}
	return at, at >= 0
}

func (w *writer) phrase(of *phrases, s string, likely ...string) {
	if slices.Contains(likely, s) {
		w.text(s, likely...)
	} else if at, ok := of.number(s); ok {
		w.bytes = packed.Like(w.bytes, len(likely)+at)
	} else {
		w.text(s)
	}
}

func (r *reader) phrase(of phrases, likely ...string) string {
	if at, rest, ok := packed.CutLike(r.bytes); ok && at >= len(likely) && at-len(likely) < len(of) {
		r.bytes = rest
		return of[at-len(likely)]
	}
	return r.text(likely...)
}

// say keeps what the event's record says.
func (e *Engine) say(k *kept, v *event, position string, words []string) {
	w, often := &writer{bytes: append(e.packed[:0], k.Key()...)}, &k.bucket.phrases
	e.position[0] = position
	p, a := proofOf(v, e.position[:]), e.principal(v, v.Actor)
	w.phrase(often, p.Category, k.origin.category)
	w.phrase(often, p.Operation)
	w.phrase(often, p.Result)
	w.text(p.Correlation)
	w.text(p.Principal)
	w.text(p.Label, p.Principal)
	w.text(p.Address)
	w.phrase(often, p.Country)
	w.phrase(often, p.Agent)
	w.text(p.Device)
	w.text(p.Session, p.Correlation)
	w.texts(p.Positions)
	w.phrase(often, a.Home, e.tenants[k.origin.tenant])
	w.phrase(often, a.Type)
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
		targets := v.Targets()
		for _, t := range targets[:min(len(targets), maxTargets)] {
			f.Targets = append(f.Targets, object(e.rules[v.rule], v.Record, t))
		}
		for _, word := range words {
			if slices.Contains(ownWords, word) {
				continue
			}
			w.phrase(often, word)
			w.text(e.word(word, v, &f), p.Address, unknownWord)
		}
	}
	e.packed, k.text, v.said = w.bytes, e.texts.Keep(w.bytes), true
	k.bucket.bytes += len(w.bytes)
}

// ownWords are those that a correlation's finding knows by itself.
var ownWords = []string{"principal", "actor", "users", "count"}

// saidBy is what a record that the engine knows says.
func (e *Engine) saidBy(k *kept) said {
	if k == nil || k.said() == "" {
		return said{}
	}
	r, often := &reader{bytes: k.said()}, k.bucket.phrases
	p := finding.Proof{Record: k.id(), Time: time.Unix(0, k.time).UTC()}
	p.Category = r.phrase(often, k.origin.category)
	p.Operation = r.phrase(often)
	p.Result = r.phrase(often)
	p.Correlation = r.text()
	p.Principal = r.text()
	p.Label = r.text(p.Principal)
	p.Address = r.text()
	p.Country = r.phrase(often)
	p.Agent = r.phrase(often)
	p.Device = r.text()
	p.Session = r.text(p.Correlation)
	p.Positions = r.texts()
	a := finding.Principal{Home: r.phrase(often, e.tenants[k.origin.tenant]), Type: r.phrase(often)}
	a.ID = r.text(p.Principal)
	a.UPN = r.text(p.Label)
	a.Name, a.AppID, a.Privileged, a.Roles = r.text(), r.text(), directory.Known(r.text()), r.texts()
	var words map[string]string
	for range r.count() {
		if words == nil {
			words = map[string]string{}
		}
		word := r.phrase(often)
		words[word] = r.text(p.Address, unknownWord)
	}
	return said{p, a, words}
}

// Places of texts in what say packs.
const (
	principalAt = 4 // of the proof
	positionsAt = 11
	actorAt     = 2 // behind the positions
	standingAt  = 6
)

// principalOf tells the principals of records apart, whatever their spelling, without unpacking more than that.
func principalOf(k *kept) string {
	if k == nil || k.said() == "" {
		return ""
	}
	r := &reader{bytes: k.said()}
	for range principalAt {
		r.skip()
	}
	return r.key()
}

// behindPositions skips what say packs up to there, and n texts more.
func (r *reader) behindPositions(n int) {
	for range positionsAt {
		r.skip()
	}
	for range r.count() {
		r.skip()
	}
	for range n {
		r.skip()
	}
}

// standingOf is what the directory knew of who acted.
func standingOf(k *kept) directory.Known {
	if k == nil || k.said() == "" {
		return directory.Unknown
	}
	r := &reader{bytes: k.said()}
	r.behindPositions(standingAt)
	return directory.Known(r.text())
}

// actorOf does so with those who acted.
func actorOf(k *kept) string {
	if k == nil || k.said() == "" {
		return ""
	}
	r := &reader{bytes: k.said()}
	r.behindPositions(actorAt)
	if key := r.key(); key != "" {
		return key
	}
	return principalOf(k)
}
