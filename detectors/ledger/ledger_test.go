package ledger

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"cordon/detectors"
	"cordon/detectors/sigma"
	"cordon/internal/bus"
	"cordon/internal/finding"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Now().UTC().Truncate(time.Second)

type still struct{}

func (still) Now() time.Time { return noon }

// room is where two rules work: one in audit, one that serves correlations.
type room map[detectors.SuppressedBy]int

func (room) Mode(rule string) string {
	return map[string]string{"entered": "on", "wide": "audit", "base": "audit", "gone-off": "off"}[rule]
}
func (room) Serves(rule string) bool                      { return rule == "base" || rule == "gone-off" }
func (r room) Suppressed() map[detectors.SuppressedBy]int { return r }

const text = `---
title: Entered
name: entered
tags: [attack.t1078.004]
level: high
logsource: {product: azure, service: signinlogs}
detection: {s: {a: b}, condition: s}
---
title: Wide
name: wide
logsource: {product: azure, service: signinlogs}
detection: {s: {a: b}, condition: s}
---
title: Base
name: base
logsource: {product: azure, service: signinlogs}
detection: {s: {a: b}, condition: s}
---
title: Gone off
name: gone-off
logsource: {product: azure, service: signinlogs}
detection: {s: {a: b}, condition: s}
---
title: Our scanner
name: our-scanner
logsource: {product: azure, service: signinlogs}
filter: {rules: [entered, base], selection: {a: c}, condition: not selection}
custom: {owner: blake, reason: It is ours, until: 2999-01-01}
---
title: The move
name: the-move
logsource: {product: azure, service: signinlogs}
filter: {rules: [wide], selection: {a: c}, condition: not selection}
custom: {owner: avery, reason: We moved, until: 2020-01-01}
`

type world struct {
	*testing.T
	bus   *bus.Bus
	rules []*sigma.Rule
	log   *zap.Logger
	said  *observer.ObservedLogs
}

func open(t *testing.T) *world {
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	all, err := sigma.Parse("r.yml", strings.NewReader(text), nil)
	require.NoError(t, err)
	rules, err := sigma.Except(all)
	require.NoError(t, err)
	core, said := observer.New(zapcore.WarnLevel)
	return &world{t, b, rules, zap.New(core), said}
}

func (w *world) run(r Room) (*Ledger, func()) {
	l := New(w.bus, w.rules, r, still{}, w.log)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	<-l.Ready()
	return l, func() { cancel(); require.NoError(w, <-done) }
}

func (w *world) publish(id, rule string, revision int, change ...func(*finding.Finding)) {
	f := finding.Finding{ID: id, Rule: rule, Revision: revision, Title: "Title of " + rule, Level: "low", Tenant: "t", Time: noon.Add(-time.Hour)}
	for _, c := range change {
		c(&f)
	}
	require.NoError(w, finding.Publish(w.Context(), w.bus, []finding.Finding{f}))
}

func audited(f *finding.Finding)    { f.Mode = finding.Audit }
func suppressed(f *finding.Finding) { f.Suppressed = "our-scanner" }
func withdrawn(f *finding.Finding)  { f.Withdrawn = "contradicted" }
func before(d time.Duration) func(*finding.Finding) {
	return func(f *finding.Finding) { f.Time = noon.Add(-d) }
}

// row is a rule of the report without what the folder says of it.
func row(r Report, name string) [3]int {
	for _, one := range r.Rules {
		if one.Name == name {
			return [3]int{one.On, one.Audit, one.Suppressed}
		}
	}
	return [3]int{-1, -1, -1}
}

func TestTheLedgerCountsEachFindingAsItStands(t *testing.T) {
	w := open(t)
	w.publish("1", "entered", 1)
	w.publish("2", "entered", 1)
	w.publish("2", "entered", 2, suppressed)
	w.publish("2", "entered", 1) // of before
	w.publish("3", "entered", 1, suppressed)
	w.publish("4", "entered", 1, suppressed, before(25*time.Hour))
	w.publish("5", "entered", 1, suppressed, before(8*24*time.Hour))
	w.publish("6", "entered", 2, withdrawn)
	w.publish("7", "wide", 1, audited)
	w.publish("8", "wide", 1, audited, before(25*time.Hour))
	w.publish("9", "built-in", 1)
	_, err := w.bus.Publish(t.Context(), bus.Message{Subject: bus.FindingSubject("t"), Data: []byte("{")})
	require.NoError(t, err)
	l, stop := w.run(room{{Rule: "base", Exception: "our-scanner"}: 7, {Rule: "entered", Exception: "our-scanner"}: 2})
	defer stop()
	r := l.Report()
	require.Equal(t, Report{At: noon,
		Rules: []Rule{
			{Name: "entered", Title: "Entered", Level: "high", Mode: "on", Techniques: []string{"T1078.004"}, Exceptions: 1, On: 1, Suppressed: 2},
			{Name: "wide", Title: "Wide", Level: "medium", Mode: "audit", Exceptions: 1, Audit: 1},
			{Name: "base", Title: "Base", Level: "medium", Mode: "audit", Serves: true, Exceptions: 1},
			{Name: "gone-off", Title: "Gone off", Level: "medium", Mode: "off", Serves: true},
			{Name: "built-in", Title: "Title of built-in", Level: "low", Unlisted: true, On: 1},
		},
		Exceptions: []Exception{
			{Name: "our-scanner", Title: "Our scanner", Owner: "blake", Reason: "It is ours", Until: time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC), Rules: []string{"entered", "base"}, Findings: 3, Records: 9},
			{Name: "the-move", Title: "The move", Owner: "avery", Reason: "We moved", Until: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), Expired: true, Rules: []string{"wide"}},
		}}, r)
	require.Equal(t, 1, w.said.Len(), "what cannot be read hides nobody")
	require.Equal(t, map[Total]int{{"entered", "on"}: 0, {"wide", "audit"}: 0}, l.Totals(), "what was there before is no news")
	require.Equal(t, map[detectors.SuppressedBy]int{{Rule: "base", Exception: "our-scanner"}: 7, {Rule: "entered", Exception: "our-scanner"}: 2, {Rule: "wide", Exception: "the-move"}: 0}, l.Suppressed())

	w.publish("1", "entered", 1) // told again
	w.publish("10", "entered", 1)
	w.publish("10", "entered", 2)
	w.publish("10", "entered", 3, suppressed)
	w.publish("11", "wide", 1, audited)
	require.Eventually(t, func() bool { return row(l.Report(), "wide") == [3]int{0, 2, 0} }, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, [3]int{1, 0, 3}, row(l.Report(), "entered"))
	require.Equal(t, map[Total]int{{"entered", "on"}: 1, {"entered", Suppressed}: 1, {"wide", "audit"}: 1}, l.Totals())
}

func TestTheCountsSurviveARestart(t *testing.T) {
	w := open(t)
	w.publish("1", "entered", 1, suppressed)
	l, stop := w.run(room{})
	w.publish("2", "wide", 1, audited)
	require.Eventually(t, func() bool { return row(l.Report(), "wide") == [3]int{0, 1, 0} }, 10*time.Second, 5*time.Millisecond)
	want, err := json.Marshal(l.Report())
	require.NoError(t, err)
	stop()
	l, stop = w.run(room{})
	defer stop()
	got, err := json.Marshal(l.Report())
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(got))
}

func TestALedgerThatIsEmpty(t *testing.T) {
	w := open(t)
	w.rules = nil
	l, stop := w.run(room{})
	defer stop()
	raw, err := json.Marshal(l.Report())
	require.NoError(t, err)
	require.Contains(t, string(raw), `"rules":[],"exceptions":[]`)
}
