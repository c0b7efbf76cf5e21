package detectors

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/detectors/sigma"
	"cordon/internal/bus"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/record"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// lateRules ask who somebody is: for a finding, for its level, for an absence, and for a window.
const lateRules = `
title: An administrator signs in
name: late-admin
level: high
logsource: {product: azure, service: signinlogs}
detection: {s: {actor.privileged: "true", signIn.errorCode: 0}, condition: s}
---
title: Somebody signs in
name: late-anybody
level: low
logsource: {product: azure, service: signinlogs}
detection: {s: {signIn.errorCode: 0}, condition: s}
custom: {privileged-level: critical}
---
title: An administrator signs in from nowhere
name: late-absent
level: low
logsource: {product: azure, service: signinlogs}
detection: {s: {actor.privileged: "true"}, f: {location.countryOrRegion: NL}, condition: s and not f}
---
title: An administrator is about
name: late-only
level: low
logsource: {product: azure, service: signinlogs}
detection: {s: {actor.privileged: "true"}, condition: s}
---
title: An administrator is about twice
name: late-only-twice
level: low
correlation: {type: event_count, rules: [late-only], group-by: [actor.id], timespan: 10m, condition: {gte: 2}}
---
title: Somebody is about
name: late-base
logsource: {product: azure, service: signinlogs}
detection: {s: {signIn.errorCode: 0}, condition: s}
---
title: Somebody is about twice
name: late-base-twice
level: low
correlation: {type: event_count, rules: [late-base], group-by: [signIn.address], timespan: 10m, condition: {gte: 2}}
custom: {principal: actor of late-base, privileged-level: critical}
---
title: An administrator signs in twice
name: late-twice
level: high
correlation: {type: event_count, rules: [late-admin], group-by: [actor.id], timespan: 10m, condition: {gte: 2}}
`

// standing are findings that were not withdrawn, without what depends on the order in which records came.
func standing(found []finding.Finding) (out []string) {
	for _, f := range found {
		if f.Withdrawn == "" {
			var proof []string
			for _, p := range f.Proof {
				proof = append(proof, p.Record[strings.LastIndexByte(p.Record, '/')+1:])
			}
			out = append(out, fmt.Sprint(f.Rule, " ", proof, " ", f.Level, " ", f.Principal.Privileged == directory.Yes))
		}
	}
	slices.Sort(out)
	return out
}

// Audit records are later than sign-ins, as a rule: what they say of a role holds for the sign-ins that came before. In
// whatever order records come, the findings are those of the order in which it happened.
func TestRolesMayBeLearntInAnyOrder(t *testing.T) {
	all, err := sigma.Parse("late.yml", strings.NewReader(lateRules), nil)
	require.NoError(t, err)
	at := func(minutes int) time.Time { return morning.Add(time.Duration(minutes) * time.Minute) }
	rapid.Check(t, func(t *rapid.T) {
		var happened []*record.Record
		add := func(f fields) { happened = append(happened, decode(t, f)) }
		held, minute := map[string]bool{}, 0
		for i := range rapid.IntRange(1, 9).Draw(t, "records") {
			minute += rapid.IntRange(1, 4).Draw(t, "later")
			user := rapid.SampledFrom([]string{"u8", "u9"}).Draw(t, "user")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				operation := "Add member to role"
				if held[user] {
					operation = "Remove member from role"
				}
				held[user] = !held[user]
				add(roleChanged(fmt.Sprint("role", i), operation, user, at(minute)))
			default:
				f := signIn(fmt.Sprint("in", i), user, "198.51.100.23", 0, at(minute), twoFactor)
				if rapid.Bool().Draw(t, "revised") {
					add(f)
					f = signIn(fmt.Sprint("in", i), user, "198.51.100.23", 0, at(minute), twoFactor)
					f["properties"].(fields)["location"] = fields{"countryOrRegion": rapid.SampledFrom([]string{"NL", "RO"}).Draw(t, "country")}
				}
				add(f)
			}
		}
		who := directory.New // nobody has read who else holds what, or somebody has
		if rapid.Bool().Draw(t, "read") {
			who = func() *directory.Directory { return known() }
		}
		find := func(records []*record.Record) []string {
			e, err := NewEngine(all, who())
			require.NoError(t, err)
			var late []learnt
			e.learnt = func(l learnt) { late = append(late, l) }
			for i, r := range records {
				e.Process(r, fmt.Sprint("hub/0/", slices.Index(happened, r), "/0"))
				for _, l := range late { // as a shard reads them back from LOGS
					e.again = true
					for _, before := range records[:i+1] {
						if before.Actor.Key() == l.Key && (l.first || !before.Time.Before(l.At)) {
							e.Process(before, fmt.Sprint("hub/0/", slices.Index(happened, before), "/0"))
						}
					}
					e.again = false
				}
				late = nil
				if rapid.Bool().Draw(t, "flush") {
					e.FlushAll()
				}
			}
			e.Settle(time.Time{})
			return standing(e.Current())
		}
		// The roles first: nothing is learnt late.
		inOrder := slices.Clone(happened)
		slices.SortStableFunc(inOrder, func(a, b *record.Record) int {
			return strings.Compare(a.Category, b.Category) // AuditLogs, SignInLogs
		})
		want := find(inOrder)
		require.Equal(t, want, find(happened))
		require.Equal(t, want, find(rapid.Permutation(happened).Draw(t, "came")))
	})
}

// A shard that begins again after an error shares a directory that has learnt already what it looks at again.
func TestWhatOthersHaveLearntIsLearntAgain(t *testing.T) {
	all, err := sigma.Parse("late.yml", strings.NewReader(lateRules), nil)
	require.NoError(t, err)
	shared, given := directory.New(), decode(t, roleChanged("given", "Add member to role", "u9", morning))
	for range 2 {
		e, err := NewEngine(all, shared)
		require.NoError(t, err)
		times := 0
		e.learnt = func(learnt) { times++ }
		e.Process(given, "hub/0/1/0")
		e.Process(given, "hub/0/2/0")
		require.Equal(t, 1, times)
		require.Len(t, e.buckets.all[0].facts, 1, "its snapshot says it")
	}
}

// What Graph says late, because it did not answer before, is looked at again as well.
func TestAHolderThatIsReadLate(t *testing.T) {
	all, err := sigma.Parse("late.yml", strings.NewReader(lateRules), nil)
	require.NoError(t, err)
	w := newWorld(t)
	w.store(signIn("in", "u9", "198.51.100.23", 0, morning, twoFactor))
	w.store(signIn("other", "u8", "198.51.100.23", 0, morning.Add(time.Minute), twoFactor))
	last, err := w.bus.LastSequence(w.Context(), bus.Logs)
	require.NoError(w, err)
	who, told := directory.New(), false
	room := w.room(all, who)
	found := func() []string {
		var out []finding.Finding
		for _, text := range w.findings() {
			var f finding.Finding
			require.NoError(w, json.Unmarshal([]byte(text), &f))
			out = append(out, f)
		}
		return standing(out)
	}
	want := []string{"late-absent [in] low true", "late-anybody [in] critical true", "late-anybody [other] low false", "late-base-twice [in] critical true", "late-base-twice [other] low false"}
	w.runThis(room, func() bool {
		if handled, err := Handled(w.Context(), w.bus); err != nil || handled < last {
			return false
		}
		if !told {
			told = true
			holders := directory.Snapshot{Tenant: tenantID, Read: morning.Add(time.Hour), Principals: []directory.Principal{{ID: "u9", Roles: []directory.Role{{ID: directory.GlobalAdministrator}}}}}
			risen := who.Load(holders)
			require.Equal(w, []string{"u9"}, risen)
			require.Empty(w, who.Load(holders), "nothing new")
			room.Risen(tenantID, risen)
		}
		return slices.Equal(want, found())
	})
}

// A shard reads back what it needs for that, also where it has been taken over since.
func TestARoleThatIsLearntLate(t *testing.T) {
	all, err := sigma.Parse("late.yml", strings.NewReader(lateRules), nil)
	require.NoError(t, err)
	at := func(minutes int) time.Time { return morning.Add(time.Duration(minutes) * time.Minute) }
	given := roleChanged("given", "Add member to role", "u9", at(0))
	taken := roleChanged("taken", "Remove member from role", "u9", at(20))
	early := signIn("early", "u9", "198.51.100.23", 0, at(-90), twoFactor)
	in := signIn("in", "u9", "198.51.100.23", 0, at(3), twoFactor)
	again := signIn("again", "u9", "198.51.100.23", 0, at(5), twoFactor)
	other := signIn("other", "u8", "198.51.100.23", 0, at(3), twoFactor)
	want := []string{"late-absent [again] low true", "late-absent [in] low true", "late-anybody [again] critical true", "late-anybody [early] low false", "late-anybody [in] critical true",
		"late-anybody [other] low false", "late-base-twice [in again] critical true", "late-base-twice [other] low false", "late-only-twice [in again] low false", "late-twice [in again] high false"}
	withoutEarly := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return strings.Contains(s, "early") })
	for name, c := range map[string]struct {
		records []fields
		want    []string
	}{
		"given":             {[]fields{early, in, other, again, given}, want},
		"taken":             {[]fields{in, other, again, taken}, withoutEarly}, // he held it before
		"taken, then given": {[]fields{in, other, early, again, taken, given}, want},
	} {
		records := c.records
		for _, takenOver := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", taken over: ", takenOver), func(t *testing.T) {
				w := newWorld(t)
				run := func() {
					last, err := w.bus.LastSequence(w.Context(), bus.Logs)
					require.NoError(w, err)
					w.runThis(w.room(all, directory.New()), func() bool {
						handled, err := Handled(w.Context(), w.bus)
						return err == nil && handled >= last
					})
				}
				for i, r := range records {
					if takenOver && i == len(records)-1 {
						run()
					}
					w.store(r)
				}
				w.seen(at(60))
				run()
				var found []finding.Finding
				for _, text := range w.findings() {
					var f finding.Finding
					require.NoError(w, json.Unmarshal([]byte(text), &f))
					found = append(found, f)
				}
				require.Equal(w, c.want, standing(found))
			})
		}
	}
}

// What Graph says of roles stands in no stream: where what came of it could not be published it is looked at again.
func TestWhoHasRisenIsLookedAtAgainAfterAnError(t *testing.T) {
	all, err := sigma.Parse("late.yml", strings.NewReader(lateRules), nil)
	require.NoError(t, err)
	w := newWorld(t)
	w.store(signIn("in", "u9", "198.51.100.23", 0, morning, twoFactor))
	who := directory.New()
	room := w.room(all, who)
	s := room.shards[bus.ShardOf(tenantID)]
	ctx := t.Context()
	plan, _ := room.current()
	consumer := bus.Pinned{Stream: bus.Logs, Durable: durable(s.number), Filter: bus.ShardSubjects(s.number), Ahead: burst}
	begin := func() {
		_, delivered, err := w.bus.Pin(ctx, consumer)
		require.NoError(t, err)
		require.NoError(t, s.begin(ctx, plan, delivered))
	}
	begin()
	pin, _, err := w.bus.Pin(ctx, consumer)
	require.NoError(t, err)
	run, cancel := context.WithCancel(ctx)
	require.NoError(t, w.bus.RunPinned(run, consumer, pin, func(c context.Context, b []bus.Delivery) error { defer cancel(); return s.take(ctx, b) }))
	s.end() // a snapshot
	begin()
	room.Risen(tenantID, who.Load(directory.Snapshot{Tenant: tenantID, Read: morning.Add(time.Hour), Principals: []directory.Principal{{ID: "u9", Roles: []directory.Role{{ID: directory.GlobalAdministrator}}}}}))
	// As gathered does it, but that FINDINGS takes nothing.
	s.mu.Lock()
	out, err := s.lookAgain(ctx)
	require.NoError(t, err)
	require.NotEmpty(t, out)
	over, stop := context.WithCancel(ctx)
	stop()
	require.Error(t, s.publish(over, out))
	s.mu.Unlock()
	s.end()
	begin() // the next turn
	require.NoError(t, s.gathered(ctx))
	s.end()
	found := fmt.Sprint(w.findings())
	require.Contains(t, found, "late-absent")
	require.Contains(t, found, `"critical"`)
}
