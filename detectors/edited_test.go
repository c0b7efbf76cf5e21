package detectors

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	fieldtable "cordon/detectors/fields"
	"cordon/detectors/rules"
	"cordon/detectors/sigma"
	"cordon/internal/bus"
	"cordon/internal/finding"
	"cordon/internal/record"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

func planned(t *testing.T, text string, o ...Option) *Plan {
	t.Helper()
	all, err := sigma.Parse("r.yml", strings.NewReader(text), nil)
	require.NoError(t, err)
	p, err := NewPlan(all, o...)
	require.NoError(t, err)
	return p
}

// loaded is an engine under other rules, with what e has.
func (p *Plan) loadedFrom(t *testing.T, e *Engine) (next *Engine, same bool) {
	t.Helper()
	next = p.Engine(known())
	same, err := next.load(e.whole())
	require.NoError(t, err)
	return next, same
}

// A restart is no change of the rules: else each shard would read LOGS back as far as windows go.
func TestTheShippedRulesAreTheSameAfterARestart(t *testing.T) {
	load := func() map[string]string {
		all, err := Load(rules.Shipped)
		require.NoError(t, err)
		p, err := NewPlan(all)
		require.NoError(t, err)
		return p.digests()
	}
	first := load()
	for range 20 {
		require.Equal(t, first, load())
	}
}

// What a rule's field means is part of the rule.
func TestAnotherTableOfFieldsIsAnotherRule(t *testing.T) {
	all, err := sigma.Parse("r.yml", strings.NewReader("title: Signed in\nname: entered\nlogsource: {product: azure, service: signinlogs}\ndetection: {s: {Place: RO}, condition: s}\ncustom: {mode: on}\n"), nil)
	require.NoError(t, err)
	plan := func(reads string) *Plan {
		table, err := fieldtable.With("fields.yml", strings.NewReader("signinlogs:\n  rows:\n    - {field: Place, path: "+reads+", holds: text, why: x}\n"))
		require.NoError(t, err)
		p, err := NewPlan(all, WithFields(table))
		require.NoError(t, err)
		return p
	}
	e := plan("location.city").Engine(known())
	_, same := plan("location.city").loadedFrom(t, e)
	require.True(t, same)
	_, same = plan("location.countryOrRegion").loadedFrom(t, e)
	require.False(t, same)
}

// What the old rules need no more the new ones may.
func TestANewRuleOfLongerWindowsSees(t *testing.T) {
	entered := entering("entered", "on")
	three := "---\ntitle: three\nname: three\ncorrelation: {type: event_count, rules: [entered], group-by: [actor.id], timespan: 7d, generate: true, condition: {gte: 3}}\ncustom: {mode: on}\n"
	e := planned(t, entered).Engine(known())
	e.Process(decode(t, signIn("first", "u", "192.0.2.1", 0, morning, oneFactor)), "x")
	e.pass(morning, record.DefaultLateness())
	next, same := planned(t, entered+three).loadedFrom(t, e)
	require.False(t, same)
	for n := range 3 { // one a day: the first of them are read back
		next.Process(decode(t, signIn(fmt.Sprint("s", n), "u", "192.0.2.1", 0, morning.Add(time.Duration(n-2)*24*time.Hour), oneFactor)), "x")
	}
	require.Len(t, only(next.FlushAll(), "three"), 1)
}

func TestAnEditedRuleCountsWhatIsSuppressedOnce(t *testing.T) {
	text := entering("entered", "on") + except("our-scanner", "[entered]", scanner)
	feed := func(e *Engine) {
		for n := range 10 {
			e.Process(decode(t, signIn(fmt.Sprint("s", n), "u", "192.0.2.1", 0, morning.Add(time.Duration(n)*time.Second), noDetails)), fmt.Sprint(n))
		}
	}
	e := planned(t, text).Engine(known())
	feed(e)
	for i := range 3 {
		var same bool
		e, same = planned(t, strings.Replace(text, "title: Signed in", fmt.Sprint("title: Signed in, edition ", i), 1)).loadedFrom(t, e)
		require.False(t, same)
		feed(e)
	}
	require.Equal(t, map[SuppressedBy]int{{"entered", "our-scanner"}: 10}, e.Suppressed())
}

const withoutCountry = `---
title: No country
name: nocountry
logsource: {product: azure, service: signinlogs}
detection: {s: {signIn.errorCode: 0}, f: {location.countryOrRegion: NO}, condition: s and not f}
custom: {mode: %[1]s}
---
title: Without a country
name: once
correlation: {timespan: 10m, type: event_count, rules: [nocountry], group-by: [actor.id], condition: {gte: %[2]d}, generate: true}
custom: {mode: %[1]s}
`

// A mode holds from when it is set: also for what waits for the watermark.
func TestWhatSettlesHasTheModeOfItsRuleNow(t *testing.T) {
	for _, mode := range []string{"audit", "off"} {
		for _, how := range []string{"in the file", "in the configuration"} {
			t.Run(mode+" "+how, func(t *testing.T) {
				next := planned(t, fmt.Sprintf(withoutCountry, "on", 1), WithModes(map[string]string{"nocountry": mode, "once": mode}))
				if how == "in the file" {
					next = planned(t, fmt.Sprintf(withoutCountry, mode, 1))
				}
				e := planned(t, fmt.Sprintf(withoutCountry, "on", 1)).Engine(known())
				r := decode(t, signIn("s1", "u1", "192.0.2.1", 0, morning, noDetails))
				require.Len(t, append(e.Process(r, "1"), e.FlushAll()...), 2)
				now, same := next.loadedFrom(t, e)
				if !same {
					now.Process(r, "1")
					now.FlushAll()
				}
				settled := append(now.Settle(time.Time{}), now.FlushAll()...)
				if mode == "off" {
					require.Empty(t, settled)
					return
				}
				require.NotEmpty(t, settled)
				for _, f := range settled {
					require.Equal(t, "audit", f.Mode, f.Rule)
				}
			})
		}
	}
}

// What waited for the watermark under a rule that has become stricter is withdrawn: LOGS has been read again, and no window
// holds any more.
func TestAnUnconfirmedWindowOfAStricterRuleIsWithdrawn(t *testing.T) {
	for least, stands := range map[int]bool{2: true, 3: false} {
		feed := func(e *Engine) {
			for i := range 2 {
				e.Process(decode(t, signIn(fmt.Sprint("s", i), "u1", "192.0.2.1", 0, morning.Add(time.Duration(i)*time.Second), noDetails)), fmt.Sprint(i))
			}
		}
		e := planned(t, fmt.Sprintf(withoutCountry, "on", 2)).Engine(known())
		feed(e)
		require.Len(t, only(e.FlushAll(), "once"), 1)
		next, same := planned(t, strings.Replace(fmt.Sprintf(withoutCountry, "on", least), "title: Without", "title: Really without", 1)).loadedFrom(t, e)
		require.False(t, same)
		require.Empty(t, only(next.FlushAll(), "once"), "nothing has been read yet")
		feed(next)
		told := next.FlushAll()
		next.reread(false, time.Time{})
		told = append(append(told, next.FlushAll()...), next.Settle(time.Time{})...)
		told = only(append(told, next.FlushAll()...), "once")
		require.NotEmpty(t, told)
		last := told[len(told)-1]
		require.Equal(t, stands, last.Withdrawn == "")
		require.False(t, last.Unconfirmed && stands)
	}
}

// Consumers keep the highest revision: a rule that comes back goes on from where it was.
func TestARuleThatIsPutBackGoesOnCounting(t *testing.T) {
	const twice = `---
title: No country
name: nocountry
logsource: {product: azure, service: signinlogs}
detection: {s: {signIn.errorCode: 0}, f: {location.countryOrRegion: NO}, condition: s and not f}
---
title: Twice
name: twice
correlation: {timespan: 10m, type: event_count, rules: [nocountry], group-by: [actor.id], condition: {gte: 2}}
custom: {mode: on}
`
	w := newWorld(t)
	in := func(n int, country string) {
		f := signIn(fmt.Sprint("s", n), "u1", "192.0.2.1", 0, morning.Add(time.Duration(n)*time.Second), noDetails)
		if country != "" {
			f["properties"].(fields)["location"] = fields{"countryOrRegion": country}
		}
		w.store(f)
	}
	with, without := planned(t, twice+entering("entered", "on")), planned(t, entering("entered", "on"))
	room := New(Config{Bus: w.bus, Plan: with, Directory: known(), Lateness: record.DefaultLateness(), Log: zap.NewNop()})
	last := func() (last finding.Finding) { // as consumers see it
		require.NoError(t, w.bus.Scan(t.Context(), bus.Findings, "findings.>", time.Time{}, func(m jetstream.Msg) error {
			var f finding.Finding
			require.NoError(t, json.Unmarshal(m.Data(), &f))
			if strings.HasPrefix(f.ID, "twice/") && f.Revision > last.Revision {
				last = f
			}
			return nil
		}))
		return last
	}
	is := func(what func(finding.Finding) bool) {
		t.Helper()
		require.Eventually(t, func() bool { return what(last()) }, 15*time.Second, 20*time.Millisecond)
	}
	handled := func() {
		t.Helper()
		until, err := w.bus.LastSequence(t.Context(), bus.Logs)
		require.NoError(t, err)
		s := room.shards[bus.ShardOf(tenantID)]
		require.Eventually(t, func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.engine != nil && s.through >= until
		}, 15*time.Second, 20*time.Millisecond)
	}
	under := func(p *Plan) {
		t.Helper()
		room.Reload(p)
		s := room.shards[bus.ShardOf(tenantID)]
		require.Eventually(t, func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.engine != nil && s.engine.Plan == p && !s.broken
		}, 15*time.Second, 20*time.Millisecond)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- room.Run(ctx) }()
	defer func() {
		cancel()
		require.NoError(t, <-ended)
	}()
	for n := range 3 {
		if in(n, ""); n > 0 {
			is(func(f finding.Finding) bool { return f.Count == n+1 })
		}
	}
	in(0, "NO")
	is(func(f finding.Finding) bool { return f.Count == 2 && f.Withdrawn == "" })
	in(1, "NO")
	is(func(f finding.Finding) bool { return f.Withdrawn != "" })
	before := last().Revision
	under(without)
	in(3, "NO") // life goes on
	handled()
	under(with)
	in(4, "RO")
	in(5, "RO")
	is(func(f finding.Finding) bool { return f.Withdrawn == "" && f.Count == 3 })
	require.Greater(t, last().Revision, before)
}

// What was read from FINDINGS alone is forgotten as all else.
func TestPublishedWindowsAreForgotten(t *testing.T) {
	p := planned(t, entering("entered", "on")+over("twice", "type: event_count, rules: [entered], group-by: [actor.id], generate: true, condition: {gte: 2}"))
	e := p.Engine(known())
	for i := range 2 {
		e.Process(decode(t, signIn(fmt.Sprint("s", i), "u", "192.0.2.1", 0, morning.Add(time.Duration(i)*time.Second), oneFactor)), fmt.Sprint(i))
	}
	found := e.FlushAll()
	require.Len(t, found, 1)
	next := p.Engine(known())
	next.published(found[0])
	next.Forget(morning.Add(1000 * time.Hour))
	require.Empty(t, next.slots)
}

// A part of a snapshot that no Cordon writes is no reason to stand still.
func TestAPartOfASnapshotThatIsNone(t *testing.T) {
	w := newWorld(t)
	w.store(signIn("a", adminID, "198.51.100.23", 0, morning, oneFactor))
	w.run(0)
	for _, name := range []string{fmt.Sprint(maxBuckets + 1), "x", "-1"} {
		w.publish(bus.Message{Subject: bus.SnapshotSubject(w.shard(), bucketPart+name)})
	}
	w.store(signIn("b", adminID, "198.51.100.23", 0, morning.Add(time.Minute), oneFactor))
	w.run(0)
	require.Len(t, w.findings(), 2)
}

// A partition may lag by days: what waits for it, and was found before what LOGS is read again for, is not withdrawn for want
// of records that nobody has read.
func TestWhatIsOlderThanWhatIsReadAgainWaitsAsItStands(t *testing.T) {
	text := fmt.Sprintf(withoutCountry, "on", 1)
	e := planned(t, text).Engine(known())
	e.Process(decode(t, signIn("s", "u", "192.0.2.1", 0, morning, noDetails)), "x")
	require.True(t, only(e.FlushAll(), "once")[0].Unconfirmed)
	next, same := planned(t, strings.Replace(text, "title: Without", "title: Still without", 1)).loadedFrom(t, e)
	require.False(t, same)
	next.reread(false, morning.Add(time.Minute))
	require.Empty(t, only(next.FlushAll(), "once"))
	settled := only(next.Settle(time.Time{}), "once")
	require.Len(t, settled, 1)
	require.Empty(t, settled[0].Withdrawn)
	require.False(t, settled[0].Unconfirmed)
}
