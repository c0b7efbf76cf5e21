package detectors

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"cordon/detectors/rules"
	"cordon/detectors/sigma"
	"cordon/internal/finding"
	"cordon/internal/record"
	"github.com/stretchr/testify/require"
)

// except is a filter over sign-ins, which ends half an hour after morning.
func except(name, of, selection string) string {
	return fmt.Sprintf("---\ntitle: Ours\nname: %s\nlogsource: {product: azure, service: signinlogs}\nfilter: {rules: %s, selection: {%s}, condition: not selection}\n"+
		"custom: {owner: blake, reason: It is ours, until: %s}\n", name, of, selection, morning.Add(30*time.Minute).Format(time.RFC3339))
}

// entering is a rule over sign-ins that is on.
func entering(name, mode string) string {
	return fmt.Sprintf("---\ntitle: Signed in\nname: %s\nlogsource: {product: azure, service: signinlogs}\ndetection: {s: {signIn.errorCode: 0}, condition: s}\ncustom: {mode: %s}\n", name, mode)
}

const scanner = "signIn.address|cidr: 192.0.2.0/24"

// The portal's names for a sign-in's fields are those of every log source of sign-ins.
func TestFieldsOfEverySourceOfSignIns(t *testing.T) {
	for _, source := range []string{"service: signinlogs", "category: signinlogs", "service: noninteractiveusersigninlogs"} {
		all, err := sigma.Parse("r.yml", strings.NewReader("title: R\nname: r\nlogsource: {product: azure, "+source+"}\ndetection: {s: {Status: failure, Username: u1@contoso.example, ResultType: 50126}, condition: s}\n"), nil)
		require.NoError(t, err)
		e, err := NewEngine(all, known())
		require.NoError(t, err)
		in := signIn("s1", "u1", "192.0.2.1", 50126, morning, oneFactor)
		if strings.Contains(source, "noninteractive") {
			in["category"] = record.NonInteractiveUserSignInLogs
		}
		in["properties"].(fields)["userPrincipalName"] = "u1@contoso.example"
		require.Len(t, e.Process(decode(t, in), "1"), 1, source)
	}
}

// What an exception suppressed is told once it is taken away, and suppressed again when it is made again.
func TestAnExceptionThatIsTakenAway(t *testing.T) {
	const in = `---
title: In
name: in
logsource: {product: azure, service: signinlogs}
detection: {s: {signIn.errorCode: 0}, condition: s}
custom: {mode: on}
`
	const but = `---
title: Not u1
name: but
logsource: {product: azure, service: signinlogs}
filter: {rules: [in], s: {actor.id: u1}, condition: not s}
custom: {owner: o, reason: r, until: 2030-01-01T00:00:00Z}
`
	var e *Engine
	for i, step := range []struct{ rules, suppressed string }{{in + but, "but"}, {in, ""}, {in + but, "but"}} {
		all, err := sigma.Parse("r.yml", strings.NewReader(step.rules), nil)
		require.NoError(t, err)
		next, err := NewEngine(all, known())
		require.NoError(t, err)
		if e != nil {
			_, err = next.load(e.whole())
			require.NoError(t, err)
		}
		e = next
		for range 2 { // a second time it says nothing new
			e.Process(decode(t, signIn("s1", "u1", "192.0.2.1", 0, morning, noDetails)), "1")
		}
		current := e.Current()
		require.Len(t, current, 1)
		require.Equal(t, step.suppressed, current[0].Suppressed)
		require.Equal(t, i+1, current[0].Revision)
	}
}

func TestASuppressedRecordIsRecordedUntilTheExceptionEnds(t *testing.T) {
	e := engine(t, entering("entered", "on")+except("our-scanner", "[entered]", scanner)+except("twin", "any", "signIn.address: 192.0.2.1"))
	plain := engine(t, entering("entered", "on"))
	for n, c := range []struct {
		address string
		after   time.Duration
		want    string
	}{
		{"192.0.2.1", 0, "our-scanner"},
		{"192.0.2.9", 29 * time.Minute, "our-scanner"},
		{"198.51.100.1", 0, ""},
		{"192.0.2.1", 30 * time.Minute, ""}, // by the time of the event, whenever it is read
		{"", 0, ""},                         // nobody says where from
	} {
		signed := signIn(fmt.Sprint("s", n), "u", c.address, 0, morning.Add(c.after), noDetails)
		if c.address == "" {
			delete(signed["properties"].(fields), "ipAddress")
		}
		found := e.Process(decode(t, signed), fmt.Sprint(n))
		require.Len(t, found, 1)
		require.Equal(t, c.want, found[0].Suppressed, n)
		require.Empty(t, found[0].Mode)
		same := plain.Process(decode(t, signed), fmt.Sprint(n))[0]
		same.Suppressed = c.want
		require.Equal(t, same, found[0], "nothing else is different, its identity least of all")
	}
	require.Equal(t, map[SuppressedBy]int{{"entered", "our-scanner"}: 2}, e.Suppressed(), "the first of them counts")
	for n := range 2 { // told again, a record is counted once
		e.Process(decode(t, signIn("s0", "u", "192.0.2.1", 0, morning, noDetails)), fmt.Sprint("again", n))
	}
	require.Equal(t, 2, e.Suppressed()[SuppressedBy{"entered", "our-scanner"}])
	e.Forget(morning.Add(time.Hour))
	require.Zero(t, e.records.Len())
	require.Equal(t, 2, e.Suppressed()[SuppressedBy{"entered", "our-scanner"}])
}

func TestTheFullestRevisionDecides(t *testing.T) {
	text := entering("entered", "on") + over("twice", "type: event_count, rules: [entered], group-by: [actor.id], condition: {gte: 1}") +
		except("trusted", "[entered]", "properties.deviceDetail.trustType: Joined")
	text = strings.Replace(text, "rules: [entered], group-by", "generate: true, rules: [entered], group-by", 1)
	poor := signIn("s", "u", "192.0.2.1", 0, morning, noDetails)
	full := signIn("s", "u", "192.0.2.1", 0, morning, oneFactor)
	full["properties"].(fields)["deviceDetail"] = fields{"trustType": "Joined", "deviceId": "d", "displayName": "laptop"}
	require.Greater(t, decode(t, full).Fullness(), decode(t, poor).Fullness())

	e := engine(t, text)
	require.Empty(t, only(e.Process(decode(t, poor), "1"), "entered")[0].Suppressed)
	require.Equal(t, []string{"twice 1"}, names(e.Flush()))
	second := only(e.Process(decode(t, full), "2"), "entered")[0]
	require.Equal(t, "trusted", second.Suppressed)
	require.Equal(t, 2, second.Revision)
	gone := e.Flush()
	require.Len(t, gone, 1)
	require.NotEmpty(t, gone[0].Withdrawn, "the correlation counts it no more")

	e = engine(t, text)
	require.Equal(t, "trusted", only(e.Process(decode(t, full), "2"), "entered")[0].Suppressed)
	require.Equal(t, "trusted", only(e.Process(decode(t, poor), "1"), "entered")[0].Suppressed, "read in the other order, it comes to the same")
	require.Empty(t, e.Flush())
	other := signIn("s", "u", "192.0.2.1", 0, morning, oneFactor)
	other["properties"].(fields)["deviceDetail"] = fields{"trustType": "Registered", "deviceId": "d", "displayName": "laptop", "browser": "b"}
	require.Empty(t, only(e.Process(decode(t, other), "3"), "entered")[0].Suppressed)
	require.Equal(t, []string{"twice 1"}, names(e.Flush()))
	require.Equal(t, map[SuppressedBy]int{{"entered", "trusted"}: 1}, e.Suppressed())
}

func TestACorrelationDoesNotCountWhatIsSuppressed(t *testing.T) {
	many := over("many", "type: event_count, rules: [failed], group-by: [actor.id], condition: {gte: 3}")
	tries := []string{"1 u 50126 192.0.2.1", "2 u 50126 192.0.2.1", "3 u 50126 198.51.100.1", "4 u 50126 198.51.100.1"}
	e := engine(t, failed+many)
	feed(t, e, tries...)
	require.Equal(t, []string{"many 4"}, names(e.Flush()))

	e = engine(t, failed+many+except("our-scanner", "[failed]", scanner))
	feed(t, e, tries...)
	require.Empty(t, e.Flush())
	require.Equal(t, map[SuppressedBy]int{{"failed", "our-scanner"}: 2}, e.Suppressed(), "though its rule raises nothing of its own")
	feed(t, e, "5 u 50126 198.51.100.1")
	require.Equal(t, []string{"many 3"}, names(e.Flush()))
}

// The names of an exception's fields mean what they mean in the rule.
func TestAnExceptionReadsTheFieldsOfTheRule(t *testing.T) {
	e := engine(t, entering("entered", "on")+except("ours", "[entered]", "IpAddress: 192.0.2.1"))
	require.Equal(t, "ours", e.Process(decode(t, signIn("s", "u", "192.0.2.1", 0, morning, noDetails)), "1")[0].Suppressed)
}

func TestModes(t *testing.T) {
	text := entering("silent", "off") + entering("recorded", "audit") + entering("loud", "on") + strings.Replace(entering("unsaid", "on"), "custom: {mode: on}", "", 1) +
		over("often", "type: event_count, rules: [silent], group-by: [actor.id], generate: true, condition: {gte: 1}") +
		over("said", "type: event_count, rules: [silent], group-by: [actor.id], condition: {gte: 1}") + "custom: {mode: on}\n"
	modes := func(e *Engine) map[string]string {
		out := map[string]string{}
		found := e.Process(decode(t, signIn("s", "u", "192.0.2.1", 0, morning, noDetails)), "1")
		for _, f := range append(found, e.Flush()...) {
			out[f.Rule] = f.Mode
		}
		return out
	}
	e := engine(t, text)
	require.Equal(t, map[string]string{"recorded": "audit", "loud": "", "unsaid": "audit", "often": "audit", "said": ""}, modes(e))
	require.Equal(t, []string{"off", "on", "audit"}, []string{e.Mode("silent"), e.Mode("loud"), e.Mode("unsaid")})
	require.True(t, e.Serves("silent"))

	all, err := sigma.Parse("r.yml", strings.NewReader(text+except("ours", "any", scanner)), nil)
	require.NoError(t, err)
	e, err = NewEngine(all, known(), WithModes(map[string]string{"silent": "on", "recorded": "on", "loud": "off", "said": "off"}))
	require.NoError(t, err)
	require.Len(t, e.rules, 3, "nobody asks for what is off and serves nothing")
	require.Equal(t, map[string]string{"recorded": "", "unsaid": "audit"}, modes(e), "and correlations do not count what is suppressed")

	e, err = NewEngine(all, known(), WithModes(map[string]string{"loud": "off"}), Untuned())
	require.NoError(t, err)
	require.Equal(t, map[string]string{"recorded": "", "loud": "", "unsaid": "", "often": "", "said": ""}, modes(e), "tests hear every rule")
	require.Empty(t, e.Suppressed())

	for asked, want := range map[string]string{"recorted": "modes.recorted: there is no rule of that name; did you mean recorded?", "ours": "modes.ours: there is no rule of that name"} {
		_, err = NewEngine(all, known(), WithModes(map[string]string{asked: "on"}))
		require.ErrorContains(t, err, want)
	}
	_, err = NewEngine(all, known(), WithModes(map[string]string{"loud": "quiet"}))
	require.EqualError(t, err, `modes.loud: "quiet" is none of off, audit, on`)
}

func TestEveryShippedRuleSaysItsMode(t *testing.T) {
	all, err := Load(rules.Shipped)
	require.NoError(t, err)
	e := shipped(t, known())
	for _, r := range all {
		if !e.Serves(r.Name) {
			require.Equal(t, finding.On, r.Custom.Mode, "%s: what ships in audit is not read by any playbook", r.Name)
		}
		require.Empty(t, r.Exceptions)
	}
}

func TestTheRoomRecordsWhatIsSuppressed(t *testing.T) {
	w := newWorld(t)
	all, err := sigma.Parse("r.yml", strings.NewReader(entering("entered", "on")+except("our-scanner", "[entered]", scanner)), nil)
	require.NoError(t, err)
	var counted map[SuppressedBy]int
	run := func(until uint64) *Room {
		room := w.room(all, known())
		w.runThis(room, func() bool {
			handled, err := Handled(t.Context(), w.bus)
			counted = room.Suppressed()
			return err == nil && handled >= until
		})
		return room
	}
	w.store(signIn("a", "u", "192.0.2.1", 0, morning, noDetails))
	run(1)
	require.Equal(t, map[SuppressedBy]int{{"entered", "our-scanner"}: 1}, counted)
	before := w.findings()
	require.Len(t, before, 1)
	for _, text := range before {
		var f finding.Finding
		require.NoError(t, json.Unmarshal([]byte(text), &f))
		require.Equal(t, "our-scanner", f.Suppressed)
	}
	w.store(signIn("b", "u", "192.0.2.2", 0, morning, noDetails))
	room := run(2)
	require.Equal(t, map[SuppressedBy]int{{"entered", "our-scanner"}: 2}, counted, "the count goes on after a restart")
	require.Len(t, w.findings(), 2)
	require.Equal(t, []any{"on", false}, []any{room.Mode("entered"), room.Serves("entered")})
}
