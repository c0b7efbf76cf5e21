package crew

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"cordon/internal/bus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestShareIsEvenAndSteady(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,8}`), 1, 8, rapid.ID[string]).Draw(t, "members")
		slices.Sort(members)
		items := make([]string, rapid.IntRange(0, 100).Draw(t, "items"))
		for i := range items {
			items[i] = fmt.Sprintf("hub/%d", i)
		}
		load := map[string]int{}
		before := Share(members, items)
		for _, m := range before {
			require.Contains(t, members, m)
			load[m]++
		}
		for _, m := range members {
			require.LessOrEqual(t, load[m], (len(items)+len(members)-1)/len(members))
			require.GreaterOrEqual(t, load[m], len(items)/len(members))
		}
		require.Equal(t, before, Share(members, items), "everybody computes the same")
	})
}

// Three instances share twelve items; one goes, its items go to the others; each item has one keeper at the end.
func TestItemsMoveWithTheInstances(t *testing.T) {
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	defer b.Close()
	items := make([]string, 12)
	for i := range items {
		items[i] = fmt.Sprintf("hub/%d", i)
	}
	var mu sync.Mutex
	keepers := make([][]string, len(items))
	var all sync.WaitGroup
	defer all.Wait()
	ends := map[string]context.CancelFunc{}
	for _, name := range []string{"a", "b", "c"} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ends[name] = cancel
		c := New(b, name, zap.NewNop())
		all.Go(func() { require.NoError(t, c.Run(ctx)) })
		for i := range items {
			all.Go(func() {
				c.Keep(ctx, items, i, func(ctx context.Context) {
					mu.Lock()
					keepers[i] = append(keepers[i], name)
					mu.Unlock()
					<-ctx.Done()
					mu.Lock()
					keepers[i] = slices.DeleteFunc(keepers[i], func(n string) bool { return n == name })
					mu.Unlock()
				})
			})
		}
	}
	settled := func(names ...string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			for i, want := range Share(names, items) {
				if !slices.Equal(keepers[i], []string{want}) {
					return false
				}
			}
			return true
		}
	}
	require.Eventually(t, settled("a", "b", "c"), 10*time.Second, 10*time.Millisecond)
	ends["b"]() // it says good-bye
	require.Eventually(t, settled("a", "c"), 5*time.Second, 10*time.Millisecond)
}

// One that says nothing any more is given up after its lease, and not before.
func TestASilentInstanceIsGivenUp(t *testing.T) {
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	defer b.Close()
	kv, err := b.KeyValue(t.Context(), bus.LeasesBucket)
	require.NoError(t, err)
	_, err = kv.PutString(t.Context(), member+"dead", "dead")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	c := New(b, "living", zap.NewNop())
	var run sync.WaitGroup
	run.Go(func() { _ = c.Run(ctx) })
	alive := func() []string { names, _ := c.Alive(); return names }
	require.Eventually(t, func() bool { return len(alive()) == 2 }, 5*time.Second, 5*time.Millisecond)
	require.Eventually(t, func() bool { return slices.Equal(alive(), []string{"living"}) }, lapsesIn+5*time.Second, 20*time.Millisecond)
	cancel()
	run.Wait()
}
