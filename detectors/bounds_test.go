package detectors

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"cordon/detectors/sigma"
	"cordon/internal/bus"
	"cordon/internal/directory"
	"cordon/internal/record"
	"github.com/stretchr/testify/require"
)

// hostile are records of almost a mebibyte, and what is hostile about each.
func hostile(t testing.TB) map[string]*record.Record {
	name := strings.Repeat("<", 600<<10) // six times as long as Go writes it in JSON
	out := map[string]*record.Record{}
	add := func(what string, f fields) {
		r, err := record.Decode(bytes.ReplaceAll(encode(t, f), []byte(`\u003c`), []byte("<")), record.Defaults{})
		require.NoError(t, err)
		require.Greater(t, len(r.Raw), record.MaxBytes/2, what)
		out[what] = r
	}
	long := signIn("long", adminID, "198.51.100.23", 0, morning, oneFactor)
	p := long["properties"].(fields)
	p["userPrincipalName"], p["userDisplayName"], p["userAgent"] = name[:250<<10], name[:250<<10], name[:250<<10]
	add("a long name", long)
	for n := range 12 { // their findings lie in one bucket
		many := roleChanged(fmt.Sprint("many-", n), "Update user", "u", morning)
		var targets []fields
		for i := range 3000 {
			targets = append(targets, fields{"type": "User", "id": fmt.Sprint("target-", i), "userPrincipalName": fmt.Sprintf("%s%d@contoso.example", strings.Repeat("u", 150), i)})
		}
		many["properties"].(fields)["targetResources"] = targets
		add(fmt.Sprint("many targets ", n), many)
	}
	for n := range 12 { // a window counts what stands in them
		many := roleChanged(fmt.Sprint("values-", n), "Update user", "u", morning.Add(time.Duration(n)*time.Second))
		var targets []fields
		for i := range 1000 {
			targets = append(targets, fields{"type": "User", "id": strings.Repeat("x", 900) + fmt.Sprint(n, "-", i)})
		}
		many["properties"].(fields)["targetResources"] = targets
		add(fmt.Sprint("many values ", n), many)
	}
	roles := roleChanged("roles", "Add member to role", "u", morning)
	var targets, details []fields
	for i := range 1000 {
		targets = append(targets, fields{"type": "User", "id": fmt.Sprint("holder-", i), "userPrincipalName": strings.Repeat("h", 300) + fmt.Sprint(i)})
		details = append(details, fields{"key": "TemplateId", "value": strings.Repeat("r", 400) + fmt.Sprint(i)})
	}
	for i := range directory.PrivilegedRoles {
		details = append(details, fields{"key": "TemplateId", "value": directory.PrivilegedRoles[i].ID})
	}
	roles["properties"].(fields)["targetResources"], roles["properties"].(fields)["additionalDetails"] = targets, details
	add("many roles of many", roles)
	return out
}

const hostileRules = `---
title: "{actor} changed {target}"
name: changed
logsource: {product: azure, service: auditlogs}
detection: {s: {operationName: Update user}, condition: s}
custom: {mode: on}
---
title: Someone came in
name: entered
logsource: {product: azure, service: signinlogs}
detection: {s: {signIn.errorCode: 0}, condition: s}
custom: {mode: on}
---
title: "{principal} came in, from {signIn.address}"
name: entered-once
correlation: {timespan: 10m, type: value_count, rules: [entered], group-by: [actor.upn, userAgent], condition: {field: userDisplayName, gte: 1}, generate: true}
custom: {mode: on}
---
title: many targets
name: many-targets
correlation: {timespan: 10m, type: value_count, rules: [changed], group-by: [actor.id], condition: {field: target.id, gte: 3500}, generate: true}
custom: {mode: on}
`

// No record makes a finding, or a part of a snapshot, that is too large for the bus: its shard would stand still.
func TestNoRecordIsTooLargeForItsShard(t *testing.T) {
	rules, err := sigma.Parse("hostile.yml", strings.NewReader(hostileRules), nil)
	require.NoError(t, err)
	w := newWorld(t)
	records := hostile(t)
	for _, r := range records {
		w.storeRecord(r)
	}
	w.store(signIn("after", adminID, "198.51.100.23", 0, morning.Add(time.Minute), oneFactor))
	want := len(records) - 1 + 1 + 1 + 1 // no rule looks at the roles; the one after them, and one each of two correlations
	w.runThis(w.room(rules, admins()), func() bool { return len(w.findings()) == want })
	last, err := w.bus.LastSequence(t.Context(), bus.SnapshotsStream)
	require.NoError(t, err)
	require.NotZero(t, last, "a snapshot was written")
	found := w.findings()
	w.runThis(w.room(rules, admins()), func() bool { // and is read
		last, err := w.bus.LastSequence(w.Context(), bus.Logs)
		handled, handledErr := Handled(w.Context(), w.bus)
		return err == nil && handledErr == nil && handled == last
	})
	require.Equal(t, found, w.findings())
}

// What was small when it came into a bucket may grow there: then the bucket is halved, and the state is the same.
func TestABucketThatGrowsIsHalved(t *testing.T) {
	all, err := sigma.Parse("hostile.yml", strings.NewReader(hostileRules), nil)
	require.NoError(t, err)
	e, err := NewEngine(all, known())
	require.NoError(t, err)
	tell := func(text string) {
		for n := range 200 {
			f := roleChanged(fmt.Sprint("r", n), "Update user", "u", morning.Add(time.Duration(n)*time.Second))
			var targets []fields
			for i := range maxTargets {
				targets = append(targets, fields{"type": "User", "id": fmt.Sprint("t", i), "displayName": text})
			}
			f["properties"].(fields)["targetResources"] = targets
			e.Process(decode(t, f), fmt.Sprint(text[:1], n))
		}
		e.FlushAll()
	}
	head, buckets := []byte(nil), map[int][]byte{}
	save := func() {
		var changed map[int][]byte
		head, changed = e.save()
		for number, bytes := range changed {
			buckets[number] = bytes
			require.LessOrEqual(t, len(bytes), largestBucket)
		}
	}
	tell("x")
	save()
	before := len(buckets)
	tell(strings.Repeat("y", 300))
	save()
	require.Greater(t, len(buckets), before)
	other := e.Plan.Engine(known())
	same, err := other.load(head, buckets)
	require.NoError(t, err)
	require.True(t, same)
	require.Equal(t, contents(e.Current()), contents(other.Current()))
}

func TestLongValuesAreKeptApart(t *testing.T) {
	long := strings.Repeat("a", 2*maxText)
	require.NotEqual(t, keptValue(long+"b"), keptValue(long+"c"))
	require.Equal(t, keptValue(long), keptValue(long))
	require.LessOrEqual(t, len(keptValue(long)), maxText)
	require.Equal(t, long[:maxText], keptValue(long[:maxText]))
	require.Equal(t, "é", strings.TrimRight(clipped(strings.Repeat("é", maxText))[:2], "…"))
	require.True(t, strings.HasSuffix(clipped("x"+strings.Repeat("é", maxText)), "é…"), "no half of a character")
}

// One of each kind is halved as well, and a part may come to stand in a bucket that was free.
func TestHalvingEnds(t *testing.T) {
	changed := func(e *Engine, id string, at time.Time, targets int, text string) {
		f := roleChanged(id, "Update user", "u", at)
		var all []fields
		for i := range targets {
			all = append(all, fields{"type": "User", "id": fmt.Sprint("t", i, text), "displayName": text, "userPrincipalName": text})
		}
		f["properties"].(fields)["targetResources"] = all
		e.Process(decode(t, f), id+text[:1])
	}
	small := func(e *Engine, one int) {
		t.Helper()
		_, buckets := e.save()
		for number, bytes := range buckets {
			if b := e.buckets.all[number]; b.left > one {
				require.LessOrEqual(t, len(bytes), largestBucket)
			}
		}
		for _, b := range e.buckets.all {
			require.False(t, b.changed)
		}
	}
	var text strings.Builder
	for n := range 8 {
		fmt.Fprintf(&text, "---\ntitle: \"{actor} changed {target}\"\nname: changed%d\nlogsource: {product: azure, service: auditlogs}\ndetection: {s: {operationName: Update user}, condition: s}\ncustom: {mode: on}\n", n)
	}
	text.WriteString("---\ntitle: many\nname: many\ncorrelation: {timespan: 10m, type: event_count, rules: [changed0], group-by: [actor.id], condition: {gte: 1}, generate: true}\ncustom: {mode: on}\n")
	e := planned(t, text.String()).Engine(known())
	changed(e, "small", morning, 1, "x")
	e.FlushAll()
	changed(e, "large", morning, maxTargets, strings.Repeat("y", 1000))
	e.FlushAll()
	small(e, 1)

	e = planned(t, hostileRules).Engine(known())
	for n := range 300 { // more than a bucket holds
		changed(e, fmt.Sprint("old", n), morning.Add(-50*time.Hour), 1, "x")
	}
	small(e, 0)
	for _, to := range []string{"x", strings.Repeat("y", 950)} {
		for n := range 250 {
			changed(e, fmt.Sprint("r", n), morning.Add(time.Duration(n)*time.Second), maxTargets, to)
		}
		e.FlushAll()
		if to == "x" {
			small(e, 0)
			e.Forget(morning.Add(-time.Hour))
			require.NotEmpty(t, e.buckets.free)
		}
	}
	small(e, 0)
}
