package detectors

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cordon/detectors/sigma"
	"cordon/internal/bus"
	"cordon/internal/record"
	"github.com/stretchr/testify/require"
)

const absentRules = `---
title: No country
name: nocountry
logsource: {product: azure, service: signinlogs}
detection: {s: {signIn.errorCode: 0}, f: {location.countryOrRegion: NO}, condition: s and not f}
custom: {mode: on}
---
title: No device
name: nodevice
logsource: {product: azure, service: signinlogs}
detection: {s: {signIn.errorCode: 0, deviceDetail.deviceId: ''}, condition: s}
custom: {mode: on}
---
title: Without a country
name: once
correlation: {timespan: 10m, type: event_count, rules: [nocountry], group-by: [actor.id], condition: {gte: 1}, generate: true}
custom: {mode: on}
`

// revisions are one sign-in of somebody unprivileged, ever fuller.
func revisions(n int) (all []fields) {
	for i := range 3 {
		f := signIn(fmt.Sprint("s", n), "u1", "192.0.2.1", 0, morning.Add(time.Duration(n)*time.Second), noDetails)
		p := f["properties"].(fields)
		if i > 0 {
			p["location"] = fields{"countryOrRegion": "NO"}
		}
		if i > 1 {
			p["deviceDetail"] = fields{"deviceId": "d-1"}
		}
		all = append(all, f)
	}
	return all
}

// What a fuller revision contradicts does not stand, whichever comes first and whoever it is about.
func TestAFullerRevisionThatCameFirst(t *testing.T) {
	rules, err := sigma.Parse("absent.yml", strings.NewReader(absentRules), nil)
	require.NoError(t, err)
	revision := revisions(0)
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}, {2, 0, 1, 0, 2}} {
		e, err := NewEngine(rules, known())
		require.NoError(t, err)
		for _, i := range order {
			e.Process(decode(t, revision[i]), fmt.Sprint(i))
		}
		e.FlushAll()
		e.Settle(time.Time{})
		for _, f := range e.Current() {
			require.NotEmpty(t, f.Withdrawn, "%s, %v", f.ID, order)
		}
	}
}

// Also where the shard was taken over in between.
func TestAFullerRevisionBeforeATakeover(t *testing.T) {
	rules, err := sigma.Parse("absent.yml", strings.NewReader(absentRules), nil)
	require.NoError(t, err)
	w := newWorld(t)
	handled := func() bool {
		last, err := w.bus.LastSequence(w.Context(), bus.Logs)
		at, handledErr := Handled(w.Context(), w.bus)
		return err == nil && handledErr == nil && at >= last
	}
	revision := revisions(0)
	w.store(revision[2])
	w.store(signIn("other", "u2", "192.0.2.1", 0, morning, noDetails)) // which a snapshot tells of
	w.runThis(w.room(rules, admins()), handled)
	last, err := w.bus.LastSequence(t.Context(), bus.SnapshotsStream)
	require.NoError(t, err)
	require.NotZero(t, last)
	w.store(revision[0])
	w.seen(morning.Add(2 * time.Hour))
	w.runThis(w.room(rules, admins()), func() bool { return handled() && len(w.findings()) >= 5 })
	for id, text := range w.findings() {
		require.Equal(t, strings.Contains(id, "/s0") || strings.Contains(id, "once/") && strings.Contains(id, "u1"), strings.Contains(text, `"withdrawn"`), text)
	}
}

func TestTheFullestIsRemembered(t *testing.T) {
	f := newFuller()
	require.Equal(t, 5, f.see("a", 5))
	require.Equal(t, 5, f.see("a", 3))
	require.Equal(t, 9, f.see("a", 9))
	for i := range manyFuller {
		f.see(fmt.Sprint(i), 1)
	}
	require.Equal(t, 9, f.see("a", 1), "the half before is remembered")
	for i := range 2 * manyFuller {
		f.see(fmt.Sprint("b", i), 1)
	}
	require.Equal(t, 1, f.see("a", 1))
	require.LessOrEqual(t, len(f.now)+len(f.before), 2*manyFuller)

	f.see("c", 7)
	f.passed(morning, time.Hour)
	f.passed(morning.Add(time.Hour), time.Hour)
	require.Equal(t, 7, f.of("c"), "another may come yet")
	f.passed(morning.Add(time.Hour+1), time.Hour)
	require.Zero(t, f.of("c"))
	require.Empty(t, f.now)
}

func TestFullnessWithoutDecoding(t *testing.T) {
	r := decode(t, revisions(0)[1])
	id, size, ok := record.StoredFullness(r.Headers(record.Position{Source: "a hub", Partition: "0"}, morning))
	require.True(t, ok)
	require.Equal(t, r.ID, id)
	require.Equal(t, r.Fullness(), size)
	_, _, ok = record.StoredFullness(map[string][]string{record.HeaderRecord: {"x"}})
	require.False(t, ok)
}
