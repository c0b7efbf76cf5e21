package detectors

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	fieldtable "cordon/detectors/fields"
	"cordon/detectors/sigma"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// whole packs all of an engine's state, whatever has changed.
func (e *Engine) whole() (head []byte, buckets map[int][]byte) {
	for _, b := range e.buckets.all {
		b.changed = true
	}
	head, buckets = e.save()
	return head, filled(buckets)
}

// ids are those of the records that an engine knows.
func (e *Engine) ids() (out []string) {
	for k := range e.records.All() {
		out = append(out, k.id())
	}
	return out
}

// filled are the buckets that hold anything.
func filled(buckets map[int][]byte) map[int][]byte {
	buckets = maps.Clone(buckets)
	maps.DeleteFunc(buckets, func(_ int, b []byte) bool { return len(b) == 0 })
	return buckets
}

// halves are an engine that has looked at half of what a story tells, and the rest.
func (s *story) halves(t require.TestingT, r *rand.Rand) (*Engine, []arrival) {
	e := s.plan.Engine(s.directory())
	arrivals := s.arrivals(t, r, s.tenants)
	for _, a := range arrivals[:len(arrivals)/2] {
		s.feed(e, a)
		if r.IntN(3) == 0 {
			e.Flush()
		}
	}
	return e, arrivals[len(arrivals)/2:]
}

func (s *story) feed(e *Engine, a arrival) {
	if a.marks == nil {
		e.Process(a.record, a.position)
		return
	}
	e.SettleEach(func(tenant, category string) time.Time {
		if m, ok := a.marks[tenant+category]; ok {
			return m
		}
		return time.Unix(0, 0)
	})
}

func eachStory(t *testing.T, check func(t *rapid.T, r *rand.Rand, s *story)) {
	table, err := fieldtable.Standard()
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 11))
		for range 3 {
			check(t, r, randomStory(t, r, table))
		}
	})
}

// What waits to be confirmed waits under rules of other words too.
func TestAnUnconfirmedFindingUnderAnEditedRule(t *testing.T) {
	plan := func(description string) *Plan {
		all, err := sigma.Parse("r.yml", strings.NewReader(`---
title: No country
name: nocountry
logsource: {product: azure, service: signinlogs}
description: `+description+`
detection: {s: {actor.privileged: "true"}, f: {location.countryOrRegion: NO}, condition: s and not f}
---
title: many
name: many
correlation: {timespan: 10m, type: event_count, rules: [nocountry], group-by: [actor.id], condition: {gte: 2}}
custom: {mode: on}
`), nil)
		require.NoError(t, err)
		p, err := NewPlan(all)
		require.NoError(t, err)
		return p
	}
	d := admins()
	feed := func(e *Engine) {
		for i := range 2 {
			id := fmt.Sprint("s", i)
			e.Process(decode(t, signIn(id, adminID, "192.0.2.1", 0, morning.Add(time.Duration(i)*time.Second), noDetails)), id)
		}
		e.FlushAll()
	}
	e := plan("before").Engine(d)
	feed(e)
	require.True(t, e.Current()[0].Unconfirmed)
	after := plan("after").Engine(d)
	same, err := after.load(e.whole())
	require.NoError(t, err)
	require.False(t, same)
	feed(after)
	after.Settle(time.Time{})
	current := after.Current()
	require.Len(t, current, 1)
	require.False(t, current[0].Unconfirmed)
}

func TestASnapshotIsTheEngine(t *testing.T) {
	eachStory(t, func(t *rapid.T, r *rand.Rand, s *story) {
		e, rest := s.halves(t, r)
		e.FlushAll()
		head, buckets := e.whole()
		other := s.plan.Engine(s.directory())
		same, err := other.load(head, buckets)
		require.NoError(t, err)
		require.True(t, same)
		require.Equal(t, e.Current(), other.Current())
		once, all := other.whole()
		again := s.plan.Engine(s.directory())
		_, err = again.load(once, all)
		require.NoError(t, err)
		twice, allAgain := again.whole()
		require.Equal(t, once, twice)
		require.Equal(t, e.Current(), again.Current())
		require.Equal(t, len(all), len(allAgain))
		other.fuller = fuller{seed: e.fuller.seed, now: maps.Clone(e.fuller.now), before: maps.Clone(e.fuller.before)} // as a shard reads it back
		for _, a := range rest {
			s.feed(e, a)
			s.feed(other, a)
			require.Equal(t, e.FlushAll(), other.FlushAll())
		}
		require.Equal(t, e.Settle(time.Time{}), other.Settle(time.Time{}))
		require.Equal(t, e.Current(), other.Current())
		require.Equal(t, e.Suppressed(), other.Suppressed())
	})
}

// What changed since the last time, one after another, comes to all of it.
func TestSmallSnapshotsComeToAWholeOne(t *testing.T) {
	eachStory(t, func(t *rapid.T, r *rand.Rand, s *story) {
		e, kept := s.plan.Engine(s.directory()), map[int][]byte{}
		for _, a := range s.arrivals(t, r, s.tenants) {
			s.feed(e, a)
			switch r.IntN(6) {
			case 0:
				e.Flush()
			case 1:
				_, changed := e.save()
				maps.Copy(kept, changed)
			}
		}
		e.FlushAll()
		head, changed := e.save()
		maps.Copy(kept, changed)
		composed := s.plan.Engine(s.directory())
		_, err := composed.load(head, kept)
		require.NoError(t, err)
		require.Equal(t, e.Current(), composed.Current())
		_, whole := e.whole()
		other := s.plan.Engine(s.directory())
		_, err = other.load(head, whole)
		require.NoError(t, err)
		require.Equal(t, other.Current(), composed.Current())
		require.ElementsMatch(t, other.ids(), composed.ids())
	})
}

func TestWhatIsForgottenIsInNoSnapshot(t *testing.T) {
	eachStory(t, func(t *rapid.T, r *rand.Rand, s *story) {
		e, _ := s.halves(t, r)
		kept := map[int][]byte{}
		_, changed := e.save()
		maps.Copy(kept, changed)
		before := morning.Add(time.Duration(r.IntN(40)-20) * time.Minute)
		e.FlushAll()
		e.Forget(before)
		head, changed := e.save()
		maps.Copy(kept, changed)
		other := s.plan.Engine(s.directory())
		_, err := other.load(head, kept)
		require.NoError(t, err)
		for k := range other.records.All() {
			require.GreaterOrEqual(t, k.time, before.UnixNano())
		}
		for _, f := range other.slots {
			require.False(t, f.finding.Time.Before(before))
		}
		require.Equal(t, e.records.Len(), other.records.Len())
		require.Equal(t, len(e.slots), len(other.slots))
		e.Forget(morning.Add(24 * time.Hour))
		_, changed = e.save()
		maps.Copy(kept, changed)
		require.Empty(t, filled(kept))
	})
}

// Other rules load what rests on none of those that changed.
func TestOtherRulesLoadTheRest(t *testing.T) {
	eachStory(t, func(t *rapid.T, r *rand.Rand, s *story) {
		e, _ := s.halves(t, r)
		e.FlushAll()
		want := e.Current()
		head, buckets := e.whole()
		text := strings.Replace(s.text, "name: r0\n", "name: r0\ndescription: other\n", 1) +
			"---\ntitle: new\nname: new\nlogsource: {product: azure, service: signinlogs}\ndetection: {s: {signIn.errorCode: 0}, condition: s}\n"
		if !strings.Contains(s.text, "rules: [") {
			text = "---\n" + strings.SplitN(text, "---\n", 3)[2] // r0 is gone
		}
		rules, err := sigma.Parse("r.yml", strings.NewReader(text), nil)
		require.NoError(t, err)
		plan, err := NewPlan(rules, WithFields(s.plan.table))
		require.NoError(t, err)
		other := plan.Engine(s.directory())
		same, err := other.load(head, buckets)
		require.NoError(t, err)
		require.False(t, same)
		before, now := s.plan.digests(), plan.digests()
		got := map[string]bool{}
		for _, f := range other.Current() {
			got[f.ID] = true
		}
		for _, f := range want {
			if before[f.Rule] == now[f.Rule] {
				require.True(t, got[f.ID], f.ID)
			}
		}
		for _, h := range s.all {
			other.Process(h.full, "again")
		}
		other.Settle(time.Time{})
		other.FlushAll()
	})
}

func FuzzLoad(f *testing.F) {
	table, err := fieldtable.Standard()
	require.NoError(f, err)
	r := rand.New(rand.NewPCG(1, 1))
	var s *story
	for seed := uint64(1); s == nil || len(s.plan.correlations) < 3 || len(s.all) < 15; seed++ {
		r = rand.New(rand.NewPCG(seed, 1))
		s = randomStory(f, r, table)
	}
	e, _ := s.halves(f, r)
	head, buckets := e.whole()
	f.Add(head, buckets[0])
	f.Add(head, []byte{})
	f.Add([]byte{1}, []byte{0, 0})
	f.Add([]byte{edition, 0, 0, 0, 0, 0}, append([]byte{1}, buckets[0]...))
	f.Fuzz(func(t *testing.T, head, bucket []byte) {
		e := s.plan.Engine(s.directory())
		if _, err := e.load(head, map[int][]byte{0: bucket}); err != nil {
			return
		}
		e.Current()
		for _, h := range s.all[:5] {
			e.Process(h.full, "1")
		}
		e.FlushAll()
		e.Settle(time.Time{})
		again, all := e.whole()
		if _, err := s.plan.Engine(s.directory()).load(again, all); err != nil {
			t.Fatalf("what was loaded cannot be saved and loaded again: %v", err)
		}
		e.Forget(morning.Add(100 * 24 * time.Hour))
	})
}
