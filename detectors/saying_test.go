package detectors

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"cordon/internal/directory"
	"cordon/internal/finding"
	"github.com/stretchr/testify/require"
)

// More user agents than have numbers, some of them again and again: findings tell each as it was, also after a restart.
func TestPhrasesAreToldAsTheyWere(t *testing.T) {
	e := engine(t, failed+over("many", "type: event_count, rules: [failed], group-by: [signIn.address], condition: {gte: 1}"))
	want := map[string][2]string{}
	look := func(e *Engine, i int) {
		r := decode(t, signIn(fmt.Sprint("r", i), fmt.Sprint("u", i), fmt.Sprint("10.0.0.", i%20), 50126, morning.Add(time.Duration(i)*time.Millisecond), noDetails))
		r.SignIn().Agent, r.SignIn().Country = fmt.Sprint("agent ", i%5*i), []string{"", "RO", "NL"}[i%3]
		want[r.ID] = [2]string{r.SignIn().Agent, r.SignIn().Country}
		e.Process(r, "p")
	}
	check := func(found []finding.Finding, records int) {
		seen := 0
		for _, f := range found {
			for _, p := range f.Proof {
				require.Equal(t, want[p.Record], [2]string{p.Agent, p.Country}, p.Record)
				require.Equal(t, "SignInLogs", p.Category)
				seen++
			}
		}
		require.Equal(t, records, seen)
	}
	for i := range 200 {
		look(e, i)
	}
	check(e.FlushAll(), 200)
	require.Len(t, e.buckets.all[0].phrases, maxPhrases)
	head, buckets := e.whole()
	other := e.Plan.Engine(directory.New())
	_, err := other.load(head, buckets)
	require.NoError(t, err)
	for i := range 20 {
		look(other, 200+i)
	}
	found := other.FlushAll()
	check(found, 220)
	other.Forget(morning.Add(time.Hour))
	require.Zero(t, other.records.Len())
	require.False(t, slices.ContainsFunc(other.buckets.all, func(b *bucket) bool { return b != other.buckets.filling && b.phrases != nil }))
}

func TestOriginsOfIDs(t *testing.T) {
	o := origins{by: map[string]*origin{}}
	for _, id := range []string{"t/c/x", "t/c/x/y", "t/c/", "t//x", "t/x", "x", "", "/c/x", "//x", "t/c", "t/c2/x", "t/c/7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11"} {
		known, at := o.split(id)
		from, end := o.of(id)
		require.Equal(t, end, at)
		require.Equal(t, from.text, id[:at])
		require.True(t, known == nil || known == from)
		again, _ := o.split(id)
		require.Same(t, from, again)
		key := string(from.appendKey(nil, id[at:]))
		k := &kept{text: key + "said", key: uint32(len(key)), origin: from}
		require.Equal(t, id, k.id())
		require.Equal(t, "said", k.said())
		require.Equal(t, key, k.Key())
	}
}
