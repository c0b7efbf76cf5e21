package keyed

import (
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type thing struct{ key string }

func (t *thing) Key() string { return t.key }

// A set does what a map does, also while it grows and shrinks.
func TestASetIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, m := New[*thing](), map[string]*thing{}
		for range rapid.IntRange(1, 6).Draw(t, "waves") {
			keys := rapid.IntRange(1, 1000).Draw(t, "keys")
			deleting := rapid.IntRange(0, 10).Draw(t, "deleting")
			for i := range 2 * keys {
				x := &thing{fmt.Sprint(i * 7919 % keys)}
				old := m[x.key]
				require.True(t, old == s.Get([]byte(x.key)))
				if i%10 < deleting {
					s.Delete(x.key)
					delete(m, x.key)
					require.False(t, s.Has(x))
				} else {
					s.Put(x)
					m[x.key] = x
					require.True(t, s.Has(x))
					require.True(t, old == nil || !s.Has(old))
				}
			}
			require.Equal(t, len(m), s.Len())
			all := map[string]*thing{}
			for x := range s.All() {
				all[x.key] = x
			}
			require.True(t, maps.Equal(m, all))
		}
		for key := range m {
			s.Delete(key)
		}
		require.Zero(t, s.Len())
		for i := range s.parts {
			require.LessOrEqual(t, len(s.parts[i].tags), 4, "nothing takes room any more")
		}
	})
}
