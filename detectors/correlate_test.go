package detectors

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cordon/detectors/sigma"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/record"
	"github.com/stretchr/testify/require"
)

// engine runs rules that a test writes.
func engine(t *testing.T, text string) *Engine {
	t.Helper()
	all, err := sigma.Parse("r.yml", strings.NewReader(text), nil)
	require.NoError(t, err)
	e, err := NewEngine(all, known())
	require.NoError(t, err)
	return e
}

const (
	failed = `---
title: Failed
name: failed
id: 11111111-0000-4000-8000-00000000000a
logsource: {product: azure, service: signinlogs}
detection: {s: {signIn.errorCode|neq: 0}, condition: s}
`
	succeeded = `---
title: Succeeded
name: succeeded
logsource: {product: azure, service: signinlogs}
detection: {s: {signIn.errorCode: 0}, condition: s}
`
)

func over(name, text string) string {
	return fmt.Sprintf("---\ntitle: %s\nname: %s\ncorrelation: {timespan: 10m, %s}\n", name, name, text)
}

// feed gives the engine sign-ins: a minute, a user, an error and an address each.
func feed(t *testing.T, e *Engine, signIns ...string) {
	t.Helper()
	for _, s := range signIns {
		var minute, code int
		var user, address string
		_, err := fmt.Sscanf(s, "%d %s %d %s", &minute, &user, &code, &address)
		require.NoError(t, err)
		e.Process(decode(t, signIn("r"+strings.ReplaceAll(s, " ", "-"), user, address, code, morning.Add(time.Duration(minute)*time.Minute), noDetails)), s)
	}
}

func names(found []finding.Finding) (out []string) {
	for _, f := range found {
		if f.Withdrawn == "" {
			out = append(out, fmt.Sprintf("%s %d", f.Rule, f.Count))
		}
	}
	return out
}

func TestEventCountByIDOfTheRule(t *testing.T) {
	e := engine(t, failed+over("many", "type: event_count, rules: [11111111-0000-4000-8000-00000000000A], group-by: [actor.id], condition: {gte: 3}"))
	feed(t, e, "1 u 50126 192.0.2.1", "2 v 50126 192.0.2.1", "3 u 50126 192.0.2.2")
	require.Empty(t, e.Flush())
	feed(t, e, "0 u 50126 192.0.2.3", "20 u 50126 192.0.2.3")
	require.Equal(t, []string{"many 3"}, names(e.Flush()))
	require.Empty(t, e.Flush())
}

func TestAFewWaitForTheWatermark(t *testing.T) {
	e := engine(t, failed+over("few", "type: event_count, rules: [failed], group-by: [actor.id], condition: {lte: 2, gt: 1}"))
	feed(t, e, "1 u 50126 192.0.2.1", "3 u 50126 192.0.2.1")
	require.Empty(t, e.Flush())
	begun := func(minute int) func(tenant, category string) time.Time {
		return func(_, category string) time.Time {
			if category == record.SignInLogs {
				return morning.Add(time.Duration(minute) * time.Minute)
			}
			return time.Unix(0, 0) // nobody brings the others
		}
	}
	e.SettleEach(begun(2))
	require.Empty(t, e.Flush())
	e.SettleEach(begun(3))
	require.Equal(t, []string{"few 2"}, names(e.Flush()))
	feed(t, e, "2 u 50126 192.0.2.9") // late: the window of minute 3 has three, that of minute 2 has two
	require.Equal(t, []string{"few 2"}, names(e.Flush()))
	feed(t, e, "0 u 50126 192.0.2.9")
	later := e.Flush()
	require.Equal(t, []string{"few 2"}, names(later), "minutes 0 and 1")
	feed(t, e, "-1 u 50126 192.0.2.9", "-2 u 50126 192.0.2.9", "-3 u 50126 192.0.2.9")
	withdrawn := e.Flush()
	require.NotEmpty(t, withdrawn)
	for _, f := range withdrawn {
		if f.ID == later[0].ID {
			require.NotEmpty(t, f.Withdrawn)
			require.Greater(t, f.Revision, later[0].Revision)
		}
	}
	other := engine(t, failed+over("few", "type: event_count, rules: [failed], group-by: [actor.id], condition: {lt: 2}"))
	feed(t, other, "1 u 50126 192.0.2.1")
	other.Settle(time.Time{})
	require.Equal(t, []string{"few 1"}, names(other.Current()), "the end of input passes all")
}

func TestAliases(t *testing.T) {
	for _, text := range []string{
		`type: temporal_ordered, rules: [failed, succeeded], group-by: [who], aliases: {who: {failed: actor.id, succeeded: signIn.address}}`,
		`type: temporal_ordered, rules: [11111111-0000-4000-8000-00000000000a, succeeded], group-by: [who], aliases: {who: {failed: actor.id, succeeded: signIn.address}}`,
		`type: temporal_ordered, rules: [failed, succeeded], group-by: [who], aliases: {who: {11111111-0000-4000-8000-00000000000A: actor.id, succeeded: signIn.address}}`,
	} {
		e := engine(t, failed+succeeded+over("hit", text))
		feed(t, e, "5 192.0.2.8 50126 192.0.2.1", "6 other 0 192.0.2.7", "4 other 0 192.0.2.8")
		require.Empty(t, e.Flush())
		feed(t, e, "6 other 0 192.0.2.8")
		require.Equal(t, []string{"hit 3"}, names(e.Flush()), "the window as a whole is the proof")
	}
}

// An alias stands for a field wherever a correlation names one.
func TestAnAliasIsCounted(t *testing.T) {
	const counts = `type: value_count, rules: [failed, succeeded], group-by: [actor.id], aliases: {ip: {failed: signIn.address, succeeded: ipAddress}}, condition: {field: ip, gte: 2}, generate: true`
	e := engine(t, failed+succeeded+over("hit", counts))
	feed(t, e, "1 u 50126 192.0.2.1", "2 u 0 192.0.2.1")
	require.NotContains(t, fmt.Sprint(names(e.Flush())), "hit")
	feed(t, e, "3 u 0 192.0.2.2")
	require.Contains(t, names(e.Flush()), "hit 3")

	above := engine(t, failed+succeeded+
		over("many", "type: event_count, rules: [failed], group-by: [actor.id, signIn.address], condition: {gte: 2}")+
		over("hit", "type: value_count, rules: [many], group-by: [actor.id], aliases: {ip: {many: signIn.address}}, condition: {field: ip, gte: 2}"))
	feed(t, above, "1 u 50126 192.0.2.1", "2 u 50126 192.0.2.1", "3 u 50126 192.0.2.2")
	require.NotContains(t, fmt.Sprint(names(above.Flush())), "hit")
	feed(t, above, "4 u 50126 192.0.2.2")
	require.Contains(t, names(above.Flush()), "hit 4")
}

// The specification: even if the correlation below groups by another field, the one above uses its own.
func TestACorrelationAboveGroupsByAFieldOfItsOwn(t *testing.T) {
	e := engine(t, failed+succeeded+
		over("hit", "type: temporal_ordered, rules: [many, succeeded], group-by: [actor.id]")+
		over("many", "type: event_count, rules: [failed], group-by: [signIn.address], condition: {gte: 3}"))
	feed(t, e, "1 a 50126 192.0.2.1", "2 b 50126 192.0.2.1", "3 u 50126 192.0.2.1", "4 b 0 192.0.2.9")
	require.Equal(t, []string{"many 3"}, names(e.Flush()))
	feed(t, e, "5 u 0 192.0.2.9")
	found := e.Flush()
	require.Equal(t, []string{"hit 4"}, names(found), "the window's records are its proof")
	require.Equal(t, 20*time.Minute, e.Reach())
	feed(t, e, "6 u 50126 192.0.2.1", "2 u 50126 192.0.2.1")
	require.ElementsMatch(t, []string{"hit 4", "hit 6", "many 5"}, names(e.Flush()), "b closes a window too, since the second minute has three")
}

func TestGenerate(t *testing.T) {
	many := over("many", "type: event_count, rules: [failed], group-by: [actor.id], condition: {gte: 1}")
	for generate, want := range map[string][]string{"": {"many 1", "top 1"}, ", generate: true": {"many 1", "top 1"}, ", generate: false": {"top 1"}} {
		e := engine(t, failed+many+over("top", "type: event_count, rules: [many], group-by: [actor.id], condition: {gte: 1}"+generate))
		feed(t, e, "1 u 50126 192.0.2.1")
		require.ElementsMatch(t, want, names(e.Current()), generate)
	}
	e := engine(t, failed+over("top", "type: event_count, rules: [failed], group-by: [actor.id], condition: {gte: 1}, generate: true"))
	feed(t, e, "1 u 50126 192.0.2.1")
	require.ElementsMatch(t, []string{"failed 1", "top 1"}, names(e.Current()))
}

// What rests on an empty field counts for nothing until the record's revision, or ten minutes of watermark.
func TestACorrelationOverAbsenceIsUnconfirmed(t *testing.T) {
	text := strings.Replace(failed, "signIn.errorCode|neq: 0", "location.countryOrRegion: null", 1) +
		over("many", "type: event_count, rules: [failed], group-by: [actor.id], condition: {gte: 2}")
	e := engine(t, text)
	feed(t, e, "1 u 50126 192.0.2.1", "2 u 50126 192.0.2.1")
	found := e.Flush()
	require.Len(t, found, 1)
	require.True(t, found[0].Unconfirmed)
	require.Empty(t, e.Settle(morning.Add(11*time.Minute)))
	settled := e.Settle(morning.Add(12 * time.Minute))
	require.Len(t, settled, 1)
	require.False(t, settled[0].Unconfirmed)
	require.Greater(t, settled[0].Revision, found[0].Revision)
	require.Empty(t, e.Flush())

	e = engine(t, text)
	feed(t, e, "1 u 50126 192.0.2.1", "2 u 50126 192.0.2.1")
	require.Len(t, e.Flush(), 1)
	fuller := signIn("r2-u-50126-192.0.2.1", "u", "192.0.2.1", 50126, morning.Add(2*time.Minute), noDetails)
	fuller["properties"].(fields)["location"] = fields{"countryOrRegion": "RO"}
	e.Process(decode(t, fuller), "again")
	withdrawn := e.Flush()
	require.Len(t, withdrawn, 1)
	require.NotEmpty(t, withdrawn[0].Withdrawn)
}

func TestGroupsThatAnAttackerNames(t *testing.T) {
	key := func(a, b string) string {
		k, ok := groupKey(2, func(i int) string { return []string{a, b}[i] })
		require.True(t, ok)
		return k
	}
	require.NotEqual(t, key("x|y", "z"), key("x", "y|z"))
	require.NotEqual(t, key("x%7c", "z"), key("x|", "z"))
	require.Equal(t, key("X", "y"), key("x", "Y"))
}

func TestIDsThatStandThereTwice(t *testing.T) {
	all, err := sigma.Parse("r.yml", strings.NewReader(failed+strings.Replace(failed, "name: failed", "name: again", 1)), nil)
	require.NoError(t, err)
	_, err = NewEngine(all, known())
	require.ErrorContains(t, err, "r.yml:8: the id 11111111-0000-4000-8000-00000000000a of rule again is already that of rule failed in r.yml:2")

	all, err = sigma.Parse("r.yml", strings.NewReader(failed+over("c", "type: temporal, rules: [failed, 11111111-0000-4000-8000-00000000000a], group-by: [x]")), nil)
	require.NoError(t, err)
	_, err = NewEngine(all, known())
	require.ErrorContains(t, err, "refers to rule failed twice")
}

// One who gets a role in the midst of a window is as grave as one who always had it, before and after.
func TestARoleThatIsGotWithinAWindow(t *testing.T) {
	text := succeeded + strings.Replace(over("twice", "type: event_count, rules: [succeeded], group-by: [actor.id], condition: {gte: 2}"), "name: twice\n",
		"name: twice\nlevel: low\ncustom: {principal: actor of succeeded, privileged-level: critical}\n", 1)
	for name, minutes := range map[string][]int{"never": {20}, "before the window": {-1}, "within": {2}, "at its end": {3}, "after": {4}} {
		t.Run(name, func(t *testing.T) {
			e := engine(t, text)
			for _, minute := range minutes {
				e.Process(decode(t, roleChanged(fmt.Sprint("role", minute), "Add member to role", "u9", morning.Add(time.Duration(minute)*time.Minute))), "role")
			}
			feed(t, e, "1 u9 0 192.0.2.1", "3 u9 0 192.0.2.1")
			found := e.Flush()
			require.Len(t, found, 1)
			held := minutes[0] <= 3
			require.Equal(t, held, found[0].Principal.Privileged == directory.Yes)
			require.Equal(t, map[bool]string{true: "critical", false: "low"}[held], found[0].Level)
		})
	}
}
