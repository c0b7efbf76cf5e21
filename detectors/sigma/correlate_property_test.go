package sigma

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// correlationsACheck: with rapid's 100 checks, 40,000 correlations, each in a random order and random batches.
const correlationsACheck = 400

// grouped is an item and the group that it belongs to.
type grouped struct {
	group string
	Item
}

// found is what correlations conclude: of each group and slot the ids of the records in all its windows that meet the
// condition, and whether any does so by what is confirmed.
type found map[string]string

func (f found) put(group string, slot int64, ids []string, unconfirmed bool) {
	slices.Sort(ids)
	f[fmt.Sprint(group, " ", slot)] = fmt.Sprint(slices.Compact(ids), " ", unconfirmed)
}

// naively evaluates the definition: each record closes one window (t − timespan, t] of its group.
func naively(c *Correlation, items []grouped) found {
	type place struct {
		group string
		slot  int64
	}
	ids, proven := map[place][]string{}, map[place]bool{}
	for _, closer := range items {
		var window, sure []Item
		for _, it := range items {
			if it.group == closer.group && it.Time.After(closer.Time.Add(-c.Timespan)) && !it.Time.After(closer.Time) {
				window = append(window, it.Item)
				if !it.Unconfirmed {
					sure = append(sure, it.Item)
				}
			}
		}
		if !holdsNaively(c, window) {
			continue
		}
		at := place{closer.group, c.Slot(closer.Time)}
		for _, it := range window {
			ids[at] = append(ids[at], it.Of.Key())
		}
		proven[at] = proven[at] || !closer.Unconfirmed && holdsNaively(c, sure)
	}
	out := found{}
	for at := range ids {
		out.put(at.group, at.slot, ids[at], !proven[at])
	}
	return out
}

// tenths of what the values of random items say; others are no numbers.
var tenths = map[string]int{"1": 10, "2.5": 25, "-1.0": -10, "1e1": 100, "0": 0}

func holdsNaively(c *Correlation, window []Item) bool {
	if !c.sums() {
		return c.Range.Holds(countNaively(c, window))
	}
	sum, count := 0, 0
	for _, it := range window {
		for _, v := range it.Values {
			if n, ok := tenths[v]; ok {
				sum, count = sum+n, count+1
			}
		}
	}
	for _, b := range c.Bounds {
		than, _ := b.Than.Float64() // halves, which are exact
		than *= 10
		if c.Type == "value_avg" {
			than *= float64(count)
		}
		holds := map[string]bool{"gt": float64(sum) > than, "gte": float64(sum) >= than, "lt": float64(sum) < than,
			"lte": float64(sum) <= than, "eq": float64(sum) == than, "neq": float64(sum) != than}[b.How]
		if !holds {
			return false
		}
	}
	return count > 0
}

func countNaively(c *Correlation, window []Item) int {
	seen := map[string]bool{}
	for _, it := range window {
		switch c.Type {
		case "event_count":
			seen[it.Of.Key()] = true
		case "value_count":
			for _, v := range it.Values {
				seen[strings.ToLower(v)] = true
			}
		case "temporal":
			seen[it.Rule] = true
		}
	}
	delete(seen, "")
	if c.Type != "temporal_ordered" {
		return len(seen)
	}
	// The most of the rules, in their order, that have items none of which is earlier than the one before.
	most := 0
	for subset := range 1 << len(c.Rules) {
		last, links := time.Time{}, 0
		possible := true
		for i, rule := range c.Rules {
			if subset>>i&1 == 0 {
				continue
			}
			best := time.Time{}
			for _, it := range window {
				if it.Rule == rule && !it.Time.Before(last) && (best.IsZero() || it.Time.Before(best)) {
					best = it.Time
				}
			}
			if best.IsZero() {
				possible = false
				break
			}
			last, links = best, links+1
		}
		if possible {
			most = max(most, links)
		}
	}
	return most
}

func randomCorrelation(r *rand.Rand) *Correlation {
	c := &Correlation{Type: pick(r, correlationTypes...), Rules: []string{"a", "b", "c"}[:2+r.IntN(2)], Timespan: time.Minute}
	n := 1 + r.IntN(4)
	if strings.HasPrefix(c.Type, "temporal") {
		n = 1 + r.IntN(len(c.Rules))
	}
	if c.sums() {
		for range 1 + r.IntN(2) {
			c.Bounds = append(c.Bounds, Bound{pick(r, "gt", "gte", "gte", "lt", "lte", "eq", "neq"), big.NewRat(int64(r.IntN(12)-2), 2)})
		}
		return c
	}
	switch r.IntN(4) {
	case 0, 1:
		c.Range = Range{Least: n, Most: math.MaxInt}
	case 2:
		c.Range = Range{Least: r.IntN(2), Most: n}
	default:
		c.Range = Range{Least: 1, Most: math.MaxInt, Except: []int{n}}
	}
	return c
}

func TestCorrelationsMeanWhatTheSpecificationSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2))
		for range correlationsACheck {
			c := randomCorrelation(r)
			var items, arriving []grouped
			for i := range r.IntN(10) {
				it := grouped{pick(r, "g", "h"), Item{Of: id(fmt.Sprint("r", i)), Rule: pick(r, c.Rules...), Values: []string{pick(r, "", "u", "U", "v", "w", "x")}, Size: 9,
					// Often at one time, often exactly a timespan apart.
					Unconfirmed: r.IntN(4) == 0, Time: start.Add(time.Duration(r.IntN(24)-12) * 15 * time.Second)}}
				if c.sums() {
					it.Values = []string{pick(r, "", "1", "2.5", "-1.0", "1e1", "0", "ten")}
					for range r.IntN(2) {
						it.Values = append(it.Values, it.Values[0])
					}
				}
				items = append(items, it)
				if arriving = append(arriving, it); r.IntN(4) == 0 {
					arriving = append(arriving, it) // again
				}
				if r.IntN(4) == 0 { // a revision that says less, of another group and time
					poorer := it
					poorer.group, poorer.Size, poorer.Time, poorer.Values = pick(r, "g", "h"), 3, it.Time.Add(15*time.Second), []string{"y"}
					arriving = append(arriving, poorer)
				}
			}
			r.Shuffle(len(arriving), func(i, j int) { arriving[i], arriving[j] = arriving[j], arriving[i] })

			correlator, got := NewCorrelator("top", c, true), found{}
			look := func() {
				for _, s := range correlator.Changed() {
					delete(got, fmt.Sprint(s.Group.Key, " ", s.Number))
					var ids []string
					for _, it := range Records(s.Items) {
						ids = append(ids, it.Of.Key())
					}
					if len(ids) > 0 {
						got.put(s.Group.Key, s.Number, ids, s.Unconfirmed)
					}
				}
			}
			mark := start.Add(-5 * time.Minute)
			for _, it := range arriving {
				correlator.Add(Group{Key: it.group}, it.Item)
				if r.IntN(3) == 0 {
					look()
				}
				if r.IntN(5) == 0 { // late items count too
					mark = mark.Add(time.Duration(r.IntN(90)) * time.Second)
					correlator.PassTo("", mark)
				}
			}
			correlator.PassTo("", time.Time{})
			look()
			if want := naively(c, items); !maps.Equal(want, got) {
				t.Fatalf("%+v\n%+v\nwant %v\ngot  %v", c, arriving, want, got)
			}
		}
	})
}

// Windows of a correlation are items of another: each closing record is one, at its time, and stands for its window.
func TestACorrelationOfACorrelation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 3))
		for range 50 {
			below := &Correlation{Type: "event_count", Rules: []string{"a"}, Timespan: time.Minute, Range: Range{Least: 1 + r.IntN(3), Most: math.MaxInt}}
			if r.IntN(2) == 0 {
				below.Range.Most = below.Range.Least
			}
			above := &Correlation{Type: pick(r, "temporal", "temporal_ordered", "event_count"), Rules: []string{"below", "b"}, Timespan: 2 * time.Minute, Range: Range{Least: 2, Most: math.MaxInt}}
			low, high := NewCorrelator("below", below, true), NewCorrelator("above", above, false)
			var items []Item
			for i := range r.IntN(12) {
				items = append(items, Item{Of: id(fmt.Sprint("r", i)), Rule: pick(r, "a", "a", "b"), Time: start.Add(time.Duration(r.IntN(24)-12) * 15 * time.Second)})
			}
			got := map[int64][]string{}
			look := func() {
				for _, s := range low.Changed() {
					for _, it := range s.Gone {
						high.Remove(it)
					}
					for _, it := range s.Closings {
						high.Add(Group{}, it)
					}
				}
				for _, s := range high.Changed() {
					var ids []string
					for _, it := range Records(s.Items) {
						ids = append(ids, it.Of.Key())
					}
					slices.Sort(ids)
					if got[s.Number] = slices.Compact(ids); len(ids) == 0 {
						delete(got, s.Number)
					}
				}
			}
			order := slices.Clone(items)
			r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			for _, it := range order {
				if it.Rule == "a" {
					low.Add(Group{}, it)
				} else {
					high.Add(Group{}, it)
				}
				if r.IntN(3) == 0 {
					look()
				}
			}
			low.PassTo("", time.Time{})
			look()

			inWindow := func(it, closer Item, span time.Duration) bool {
				return it.Time.After(closer.Time.Add(-span)) && !it.Time.After(closer.Time)
			}
			stands := map[string][]string{} // records behind each item of the one above
			var upper []Item
			for _, closer := range items {
				if closer.Rule == "b" {
					upper = append(upper, closer)
					stands["b"+closer.Of.Key()] = []string{closer.Of.Key()}
					continue
				}
				var ids []string
				for _, it := range items {
					if it.Rule == "a" && inWindow(it, closer, below.Timespan) {
						ids = append(ids, it.Of.Key())
					}
				}
				if below.Range.Holds(len(ids)) {
					upper = append(upper, Item{Of: closer.Of, Time: closer.Time, Rule: "below"})
					stands["below"+closer.Of.Key()] = ids
				}
			}
			want := map[int64][]string{}
			for _, closer := range upper {
				var window []Item
				for _, it := range upper {
					if inWindow(it, closer, above.Timespan) {
						window = append(window, it)
					}
				}
				if !above.Range.Holds(countNaively(above, window)) {
					continue
				}
				slot := above.Slot(closer.Time)
				for _, it := range window {
					want[slot] = append(want[slot], stands[it.Rule+it.Of.Key()]...)
				}
				slices.Sort(want[slot])
				want[slot] = slices.Compact(want[slot])
			}
			require.Equal(t, want, got, "%+v %+v %+v", below, above, items)
		}
	})
}
