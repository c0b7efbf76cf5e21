package sigma

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// id is a record that is nothing but its id.
type id string

func (a id) Key() string          { return string(a) }
func (a id) Compare(b Record) int { return cmp.Compare(a, b.(id)) }

var start = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func TestSlots(t *testing.T) {
	c := &Correlation{Timespan: time.Minute}
	epoch := time.Unix(0, 0)
	for after, slot := range map[time.Duration]int64{0: 0, time.Minute - 1: 0, time.Minute: 1, -1: -1, -time.Minute: -1, -time.Minute - 1: -2} {
		require.Equal(t, slot, c.Slot(epoch.Add(after)), after)
	}
}

// at are the slots that changed, for a group.
func at1(c *Correlator, key string, it Item) []Slot {
	c.Add(Group{Key: key}, it)
	return slices.DeleteFunc(c.Changed(), func(s Slot) bool { return len(s.Items) == 0 })
}

func atLeast(n int) Range { return Range{Least: n, Most: math.MaxInt} }

func valueCount(span time.Duration, n int) *Correlation {
	return &Correlation{Type: "value_count", Rules: []string{""}, Timespan: span, Range: atLeast(n)}
}

func TestGroupsAreApart(t *testing.T) {
	c := NewCorrelator("c", valueCount(time.Minute, 2), false)
	require.Empty(t, at1(c, "one", Item{Of: id("1"), Values: []string{"u"}, Time: start}))
	require.Empty(t, at1(c, "two", Item{Of: id("2"), Values: []string{"v"}, Time: start}))
	require.Empty(t, at1(c, "one", Item{Of: id("3"), Values: []string{"U"}, Time: start}), "values are compared without regard to case")
	require.NotEmpty(t, at1(c, "one", Item{Of: id("4"), Values: []string{"w"}, Time: start}))
}

func TestForget(t *testing.T) {
	c := NewCorrelator("c", valueCount(time.Hour, 2), false)
	at1(c, "g", Item{Of: id("1"), Values: []string{"u"}, Time: start})
	at1(c, "g", Item{Of: id("2"), Values: []string{"u"}, Time: start.Add(time.Minute)})
	at1(c, "h", Item{Of: id("3"), Values: []string{"u"}, Time: start})
	c.Forget(start.Add(time.Second))
	require.Equal(t, 1, c.groups.Len())
	require.Equal(t, "g", c.group(Group{Key: "g"}).name().Key)
	require.Equal(t, 1, c.groups.Len())
	require.Len(t, c.places, 1)
	require.Empty(t, at1(c, "g", Item{Of: id("4"), Values: []string{"v"}, Time: start.Add(2 * time.Minute)}), "its windows reach behind what was forgotten")
	require.Empty(t, at1(c, "g", Item{Of: id("5"), Values: []string{"v"}, Time: start.Add(65 * time.Minute)}))
	require.Len(t, at1(c, "g", Item{Of: id("6"), Values: []string{"w"}, Time: start.Add(2*time.Hour + time.Minute)}), 1)
}

func TestARevisionReplacesWhatSaysLess(t *testing.T) {
	c := NewCorrelator("c", valueCount(time.Hour, 2), false)
	at1(c, "g", Item{Of: id("1"), Values: []string{"u"}, Time: start, Size: 5})
	require.Len(t, at1(c, "g", Item{Of: id("2"), Values: []string{"v"}, Time: start, Size: 5}), 1)
	require.Empty(t, at1(c, "g", Item{Of: id("2"), Values: []string{"w"}, Time: start, Size: 4}), "it says less")
	require.Empty(t, at1(c, "g", Item{Of: id("2"), Values: []string{"u"}, Time: start, Size: 6}), "it says otherwise")
	require.NotEmpty(t, at1(c, "g", Item{Of: id("3"), Values: []string{"v"}, Time: start}))
	require.Empty(t, at1(c, "h", Item{Of: id("3"), Values: []string{"v"}, Time: start}), "in another group now")
}

// A burst in one group: time linear in the window for each look, not for each record.
func TestManyRecordsInOneWindow(t *testing.T) {
	c := NewCorrelator("c", valueCount(time.Hour, 5), true)
	for i := range 100_000 {
		c.Add(Group{}, Item{Of: id(fmt.Sprint(i)), Values: []string{fmt.Sprint(i % 1000)}, Time: start.Add(-time.Duration(i) * 10 * time.Millisecond)})
		if i%10_000 == 0 {
			c.Changed()
		}
	}
	require.NotEmpty(t, c.Changed())
}
