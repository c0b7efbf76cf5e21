package detectors

import (
	"cmp"
	"slices"

	"cordon/detectors/sigma"
	"cordon/internal/finding"
)

// gathered are the records that findings of one slot stand on, each once. Where there are many findings in a slot, one
// for each principal, most of their records are the same: those are gathered once, and each adds its own.
type gathered struct {
	set
	round   uint32    // in which its records are marked
	base    *gathered // whose records are these as well
	wait    bool      // findings that differ by them alone are told later
	records []*kept

	first []*kept // the first by time and id, once anybody has asked
	said  []said
	proof []finding.Proof
	who   map[string]struct{}
}

func keptOf(it *sigma.Entry) *kept {
	k, _ := it.Of.(*kept)
	return k
}

// gather takes the records of items that the engine knows.
func (e *Engine) gather(items []*sigma.Entry) *gathered {
	e.nextRound()
	g := &gathered{round: e.round, records: make([]*kept, 0, len(items))}
	g.take(items, g.round)
	return g
}

func (e *Engine) nextRound() {
	if e.round++; e.round == 0 { // once in four thousand million
		for k := range e.records.All() {
			k.mark = 0
		}
		e.round = 1
	}
}

func (g *gathered) take(items []*sigma.Entry, but uint32) {
	for _, it := range items {
		k := keptOf(it)
		if k == nil || k.said() == "" || k.mark == g.round || k.mark == but {
			continue
		}
		k.mark = g.round
		g.records = append(g.records, k)
		g.count++
		g.sum += k.sum
	}
}

// with are the records together with those of other items. Until the next call alone.
func (g *gathered) with(e *Engine, own []*sigma.Entry) *gathered {
	if len(own) == 0 {
		return g
	}
	e.nextRound()
	out := &gathered{set: g.set, round: e.round, base: g}
	out.take(own, g.round)
	return out
}

func compareKept(a, b *kept) int {
	if c := cmp.Compare(a.time, b.time); c != 0 {
		return c
	}
	return a.Compare(b)
}

// earliest are the first records by time and id.
func (g *gathered) earliest() []*kept {
	if g.first != nil {
		return g.first
	}
	var best []*kept // those that may be among them
	if g.base != nil {
		best = slices.Clone(g.base.earliest())
	}
	var bar *kept // what comes later than it is not
	if len(best) == finding.MaxProof {
		bar = best[len(best)-1]
	}
	for _, k := range g.records {
		if bar != nil && compareKept(bar, k) < 0 {
			continue
		}
		if best = append(best, k); len(best) >= 4*finding.MaxProof {
			slices.SortFunc(best, compareKept)
			best = best[:finding.MaxProof]
			bar = best[finding.MaxProof-1]
		}
	}
	slices.SortFunc(best, compareKept)
	g.first = best[:min(len(best), finding.MaxProof)]
	return g.first
}

// tell is what the first records say. Those who ask share it.
func (g *gathered) tell(e *Engine) ([]said, []finding.Proof) {
	if g.said != nil {
		return g.said, g.proof
	}
	first := g.earliest()
	if g.base != nil && slices.Equal(first, g.base.earliest()) {
		return g.base.tell(e)
	}
	g.said, g.proof = make([]said, 0, len(first)), make([]finding.Proof, 0, len(first))
	at := 0
	for _, k := range first {
		var says said
		if g.base != nil && at < len(g.base.first) && g.base.first[at] == k {
			all, _ := g.base.tell(e)
			says = all[at]
			at++
		} else {
			says = e.saidBy(k)
		}
		g.said, g.proof = append(g.said, says), append(g.proof, says.proof)
	}
	return g.said, g.proof
}

// users are how many principals the records are of.
func (g *gathered) users() int {
	if g.base == nil {
		return len(g.names())
	}
	known, more := g.base.names(), map[string]struct{}{}
	for _, k := range g.records {
		if name := principalOf(k); !has(known, name) {
			more[name] = struct{}{}
		}
	}
	return len(known) + len(more)
}

func has(set map[string]struct{}, name string) bool { _, there := set[name]; return there }

func (g *gathered) names() map[string]struct{} {
	if g.who == nil {
		g.who = map[string]struct{}{}
		last := ""
		for i, k := range g.records {
			if name := principalOf(k); i == 0 || name != last { // many are of one
				g.who[name], last = struct{}{}, name
			}
		}
	}
	return g.who
}
