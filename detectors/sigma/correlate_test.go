package sigma

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var start = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// slots is the union of the records of all windows that meet the condition, by the slot in which they close.
type slots map[int64]map[string]bool

func (s slots) add(slot int64, ids ...string) {
	if s[slot] == nil {
		s[slot] = map[string]bool{}
	}
	for _, id := range ids {
		s[slot][id] = true
	}
}

// naively evaluates the definition: each record closes one window (t − timespan, t].
func naively(c *Correlation, items []Item) slots {
	out := slots{}
	for _, closer := range items {
		var ids []string
		values, rules := map[string]bool{}, map[string]bool{}
		for _, it := range items {
			if it.Time.After(closer.Time.Add(-c.Timespan)) && !it.Time.After(closer.Time) {
				ids = append(ids, it.ID)
				values[it.Value], rules[it.Rule] = true, true
			}
		}
		delete(values, "")
		met := len(values) >= c.AtLeast
		if c.Type == "temporal" {
			met = !slices.ContainsFunc(c.Rules, func(r string) bool { return !rules[r] })
		}
		if met {
			out.add(c.Slot(closer.Time), ids...)
		}
	}
	return out
}

func arriving(c *Correlation, items []Item) slots {
	out, correlator := slots{}, NewCorrelator(c)
	for _, it := range items {
		for _, closed := range correlator.Add("g", it) {
			for _, in := range closed.Items {
				out.add(c.Slot(closed.Time), in.ID)
			}
		}
	}
	return out
}

func TestTheOrderOfArrivalDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &Correlation{Type: "value_count", Timespan: time.Minute, AtLeast: rapid.IntRange(1, 4).Draw(t, "at least")}
		if rapid.Bool().Draw(t, "temporal") {
			c = &Correlation{Type: "temporal", Timespan: time.Minute, Rules: []string{"a", "b"}}
		}
		n := rapid.IntRange(0, 14).Draw(t, "records")
		var items []Item
		for i := range n {
			items = append(items, Item{
				ID: fmt.Sprint("r", i), Rule: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "rule"), Value: rapid.SampledFrom([]string{"", "u", "v", "w", "x"}).Draw(t, "value"),
				// Often at one time, often exactly a timespan apart.
				Time: start.Add(time.Duration(rapid.IntRange(-12, 12).Draw(t, "time")) * 15 * time.Second),
			})
		}
		want := naively(c, items)
		order := rapid.Permutation(items).Draw(t, "order")
		require.Equal(t, want, arriving(c, order))
		require.Equal(t, want, arriving(c, append(order, order...)), "the same record again changes nothing")
	})
}

func TestSlots(t *testing.T) {
	c := &Correlation{Timespan: time.Minute}
	epoch := time.Unix(0, 0)
	for after, slot := range map[time.Duration]int64{0: 0, time.Minute - 1: 0, time.Minute: 1, -1: -1, -time.Minute: -1, -time.Minute - 1: -2} {
		require.Equal(t, slot, c.Slot(epoch.Add(after)), after)
	}
}

func TestGroupsAreApart(t *testing.T) {
	c := NewCorrelator(&Correlation{Type: "value_count", Timespan: time.Minute, AtLeast: 2})
	require.Empty(t, c.Add("one", Item{ID: "1", Value: "u", Time: start}))
	require.Empty(t, c.Add("two", Item{ID: "2", Value: "v", Time: start}))
	require.Empty(t, c.Add("one", Item{ID: "3", Value: "U", Time: start}), "values are compared without regard to case")
	require.NotEmpty(t, c.Add("one", Item{ID: "4", Value: "w", Time: start}))
}

func TestForget(t *testing.T) {
	c := NewCorrelator(&Correlation{Type: "value_count", Timespan: time.Hour, AtLeast: 2})
	c.Add("g", Item{ID: "1", Value: "u", Time: start})
	c.Add("g", Item{ID: "2", Value: "u", Time: start.Add(time.Minute)})
	c.Add("h", Item{ID: "3", Value: "u", Time: start})
	c.Forget(start.Add(time.Second))
	require.Equal(t, []string{"g"}, slices.Collect(maps.Keys(c.groups)))
	closed := c.Add("g", Item{ID: "4", Value: "v", Time: start.Add(2 * time.Minute)})
	require.Len(t, closed, 1)
	require.Len(t, closed[0].Items, 2)
}
