package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"cordon/detectors"
	"cordon/detectors/fields"
	"cordon/detectors/rules"
	"cordon/ingest"
	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/difference"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/record"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tenantID = "7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11"
	adminID  = "0a4e6a1e-1111-4c6e-9d43-0d8a5c1f0001"
	address  = "203.0.113.7"
	ownApp   = "5e1f0000-0000-4000-8000-000000000001"
)

var morning = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

type object = map[string]any

// signIn is an interactive sign-in with details of the authentication, in JSON.
func signIn(id, user, from string, code int, at time.Time, details string) object {
	return object{"time": at.Add(time.Minute), "category": "SignInLogs", "tenantId": tenantID, "properties": object{
		"id": id, "createdDateTime": at, "userId": user, "userPrincipalName": user + "@contoso.example", "ipAddress": from,
		"status": object{"errorCode": code}, "authenticationRequirement": "singleFactorAuthentication", "authenticationDetails": details}}
}

func roleGiven(id, target string, at time.Time) object {
	return object{"time": at, "category": "AuditLogs", "tenantId": tenantID, "operationName": "Add member to role", "properties": object{
		"id": id, "activityDateTime": at, "result": "success", "initiatedBy": object{"user": object{"id": "u1", "userPrincipalName": "avery@contoso.example"}},
		"targetResources": []any{object{"id": target, "type": "User", "modifiedProperties": []any{
			object{"displayName": "Role.TemplateId", "newValue": `"` + directory.GlobalAdministrator + `"`}}}}}}
}

func ownChange(id string, at time.Time) object {
	return object{"time": at, "category": "AuditLogs", "tenantId": tenantID, "operationName": "Disable account", "properties": object{
		"id": id, "activityDateTime": at, "result": "success", "initiatedBy": object{"app": object{"appId": ownApp, "servicePrincipalId": "sp-own"}},
		"targetResources": []any{object{"id": "u1", "type": "User"}}}}
}

// house is a bus, with what a replay stands on.
type house struct {
	*testing.T
	bus       *bus.Bus
	dir       *directory.Directory
	partition *ingest.Partition
	replayer  *Replayer
	next      int64
}

func open(t *testing.T) *house {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	h := &house{T: t, bus: b, dir: directory.New()}
	h.dir.Load(directory.Snapshot{Tenant: tenantID, Read: morning.Add(-24 * time.Hour), Principals: []directory.Principal{{ID: adminID, Roles: []directory.Role{{ID: directory.GlobalAdministrator}}}}})
	h.partition, _, err = ingest.Open(t.Context(), b, ingest.Source{Name: "ns/hub", Tenants: []string{tenantID}, Clock: clock.Wall{}}, "0")
	require.NoError(t, err)
	set := shipped(t)
	h.replayer = New(Config{Bus: b, Directory: h.dir, Own: []string{ownApp}, Lateness: record.DefaultLateness(), Running: func() Set { return set }, Clock: clock.Wall{}, Log: zap.NewNop()})
	return h
}

func shipped(t testing.TB) Set {
	all, err := detectors.Load(rules.Shipped)
	require.NoError(t, err)
	table, err := fields.Load(rules.Shipped)
	require.NoError(t, err)
	return Set{Rules: all, Table: table}
}

// store takes records in as ingest does, each in a message of its own; they reach the hub a minute after they happened.
func (h *house) store(records ...object) {
	h.Helper()
	var messages []ingest.Message
	for _, r := range records {
		body, err := json.Marshal(object{"records": []any{r}})
		require.NoError(h, err)
		h.next++
		messages = append(messages, ingest.Message{Sequence: h.next, Enqueued: r["time"].(time.Time).Add(time.Minute), Body: body})
	}
	require.NoError(h, h.partition.Store(h.Context(), messages))
}

// detect runs the detectors until they have handled all there is.
func (h *house) detect() {
	h.Helper()
	set := shipped(h)
	plan, err := detectors.NewPlan(set.Rules, detectors.WithFields(set.Table))
	require.NoError(h, err)
	room := detectors.New(detectors.Config{Bus: h.bus, Plan: plan, Directory: h.dir.Clone(), Own: []string{ownApp}, Lateness: record.DefaultLateness(), Log: zap.NewNop()})
	ctx, cancel := context.WithCancel(h.Context())
	ended := make(chan error, 1)
	go func() { ended <- room.Run(ctx) }()
	last, err := h.bus.LastSequence(h.Context(), bus.Logs)
	require.NoError(h, err)
	require.Eventually(h, func() bool {
		floor, err := detectors.Handled(ctx, h.bus)
		return err == nil && floor >= last
	}, 20*time.Second, 20*time.Millisecond)
	cancel()
	require.NoError(h, <-ended)
}

func (h *house) replay(r difference.Request) *difference.Report {
	h.Helper()
	told := 0
	report, err := h.replayer.Replay(h.Context(), r, func(difference.Progress) error { told++; return nil })
	require.NoError(h, err)
	require.NotZero(h, told)
	return report
}

// files are the rules that ship, changed.
func files(t testing.TB, change func(name, text string) string) map[string]string {
	out := map[string]string{}
	require.NoError(t, fs.WalkDir(rules.Shipped, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !difference.Rules(name) {
			return err
		}
		text, err := fs.ReadFile(rules.Shipped, name)
		if changed := change(name, string(text)); changed != "" {
			out[name] = changed
		}
		return err
	}))
	return out
}

func same(_, text string) string { return text }

// day stores a morning: a spray of four that five would be needed for, another of six, an administrator whose record comes
// without details and another whose revision explains it, a role, and changes under Cordon's own name.
func (h *house) day() {
	h.store(signIn("early", "user0", address, 50126, morning.Add(-10*time.Minute), "[]"))
	var records []object
	for i := range 4 {
		records = append(records, signIn(fmt.Sprint("f", i), fmt.Sprint("four", i), "198.51.100.4", 50126, morning.Add(time.Duration(i)*time.Minute), "[]"))
	}
	for i := range 6 { // the last comes first
		at := morning.Add(time.Duration(5-i) * time.Minute)
		records = append(records, signIn(fmt.Sprint("s", i), fmt.Sprint("user", i), address, 50126, at, "[]"))
	}
	records = append(records,
		signIn("a1", adminID, "198.51.100.23", 0, morning, "[]"),
		signIn("a2", adminID, "198.51.100.23", 0, morning.Add(time.Minute), "[]"),
		roleGiven("r1", "u9", morning.Add(2*time.Minute)),
		ownChange("o1", morning.Add(2*time.Minute)),
		signIn("a1", adminID, "198.51.100.23", 0, morning, `[{"authenticationMethod":"Password","succeeded":true},{"authenticationMethod":"Mobile app notification","succeeded":true,"authenticationStepRequirement":"Multi-factor authentication"}]`),
		signIn("a3", "u9", "198.51.100.23", 0, morning.Add(3*time.Minute), "[]"),
		signIn("hit", "user2", address, 0, morning.Add(6*time.Minute), "[]"))
	h.store(records...)
	require.NoError(h, h.partition.Idle(h.Context(), morning.Add(3*time.Hour)))
}

func signs(r *difference.Report) (out []string) {
	for _, c := range r.Changes {
		out = append(out, c.Sign+" "+c.Finding.Rule+" "+strings.Join(c.Differs, ","))
	}
	return out
}

func TestTheSameRulesFindTheSame(t *testing.T) {
	h := open(t)
	h.day()
	for name, since := range map[string]time.Time{"a whole day": morning.Add(-time.Hour), "from amid the spray": morning.Add(2*time.Minute + 30*time.Second)} {
		t.Run(name, func(t *testing.T) {
			r := h.replay(difference.Request{Since: since, Until: morning.Add(time.Hour), Files: files(t, same)})
			require.True(t, r.Same(), signs(r))
			require.Empty(t, r.Changes)
			require.EqualValues(t, 18, r.Records)
			require.NotEmpty(t, r.Rules)
			again := h.replay(difference.Request{Since: since, Until: morning.Add(time.Hour), Files: files(t, same)})
			again.Took = r.Took
			require.Equal(t, r, again)
		})
	}
	known, _ := h.dir.Privileged(tenantID, record.Party{Type: record.User, ID: "u9"}, morning.Add(time.Hour))
	require.Equal(t, directory.No, known, "the running directory has learnt nothing")
}

func TestOtherRulesFindOthers(t *testing.T) {
	h := open(t)
	h.day()
	given := files(t, func(name, text string) string {
		switch {
		case strings.HasSuffix(name, "password-spray.yml"):
			return strings.Replace(text, "gte: 5", "gte: 4", 1)
		case strings.Contains(text, "name: admin-without-mfa"):
			return "" // removed
		}
		return text
	})
	given["added.yml"] = "title: A sign-in from there\nname: from-there\nlogsource: {product: azure, service: signinlogs}\ndetection:\n  a:\n    signIn.address: 198.51.100.4\n  condition: a\nlevel: low\n"
	r := h.replay(difference.Request{Since: morning.Add(-time.Hour), Until: morning.Add(time.Hour), Files: given})
	require.Equal(t, difference.Running, r.Before)
	byRule := map[string]difference.Rule{}
	for _, rule := range r.Rules {
		byRule[rule.Rule] = rule
	}
	require.Equal(t, difference.Rule{Rule: "from-there", After: 4, Added: 4}, byRule["from-there"])
	require.Equal(t, difference.Rule{Rule: "admin-without-mfa", Before: 2, Removed: 2}, byRule["admin-without-mfa"], "a1 was withdrawn: it counts on neither side")
	require.Equal(t, 1, byRule["password-spray"].Added)
	require.False(t, byRule["privileged-role-assigned"].Differs())
	require.Contains(t, signs(r), "+ password-spray ")

	r = h.replay(difference.Request{Since: morning.Add(-time.Hour), Until: morning.Add(time.Hour), Files: given, Limit: 1})
	require.Len(t, r.Changes, 1)
	require.Equal(t, "medium", r.Changes[0].Finding.Level, "the gravest, not the first")
	require.NotZero(t, r.Left)

	level := files(t, func(_, text string) string {
		return strings.Replace(text, "level: medium\ncustom:\n  mode: on\n  idea: 1\n", "level: high\ncustom:\n  mode: on\n  idea: 1\n", 1)
	})
	r = h.replay(difference.Request{Since: morning.Add(-time.Hour), Until: morning.Add(time.Hour), Files: level})
	require.Equal(t, []string{"~ password-spray level"}, signs(r))
	require.Equal(t, "medium", r.Changes[0].Before.Level)

	r = h.replay(difference.Request{Since: morning.Add(-time.Hour), Until: morning.Add(time.Hour), Files: given, Tenant: "another"})
	require.True(t, r.Same())
	require.Zero(t, r.Records)
	r = h.replay(difference.Request{Since: morning.Add(30 * time.Minute), Until: morning.Add(time.Hour), Files: given})
	require.Empty(t, r.Changes, "nothing happened then")
}

// What the configuration has turned off stays off on both sides.
func TestTheModesOfTheConfigurationHold(t *testing.T) {
	h := open(t)
	h.day()
	set := shipped(t)
	set.Modes = map[string]string{"admin-without-mfa": "off", "password-spray": "on"}
	h.replayer.cfg.Running = func() Set { return set }
	r := h.replay(difference.Request{Since: morning.Add(-time.Hour), Until: morning.Add(time.Hour), Files: files(t, func(name, text string) string {
		if strings.HasSuffix(name, "password-spray.yml") {
			return "" // a mode for a rule that is not given is no error
		}
		return text
	})})
	for _, rule := range r.Rules {
		require.NotEqual(t, "admin-without-mfa", rule.Rule)
		require.Equal(t, strings.HasPrefix(rule.Rule, "password-spray"), rule.Differs(), rule.Rule)
	}
}

func TestWhatWasRecordedAgainstTodaysRules(t *testing.T) {
	h := open(t)
	h.day()
	h.detect()
	ask := difference.Request{Since: morning.Add(-time.Hour), Until: morning.Add(time.Hour)}
	r := h.replay(ask)
	require.Equal(t, difference.Recorded, r.Before)
	require.Empty(t, signs(r))
	require.True(t, r.Same())
	require.NotEmpty(t, r.Rules)

	// A rule of the time that is gone, and one whose finding never was published.
	require.NoError(t, finding.Publish(t.Context(), h.bus, []finding.Finding{
		{ID: "gone/1", Revision: 1, Rule: "gone", Level: "high", Tenant: tenantID, Time: morning},
		{ID: "gone/2", Revision: 1, Rule: "gone", Level: "high", Tenant: tenantID, Time: morning.Add(2 * time.Hour)},
		{ID: "source-silent/1", Revision: 1, Rule: "source-silent", Level: "high", Tenant: tenantID, Time: morning},
	}))
	set := shipped(t)
	added, err := load(map[string]string{"added.yml": "title: A\nname: from-there\nlogsource: {product: azure, service: signinlogs}\ndetection:\n  a:\n    signIn.address: 198.51.100.4\n  condition: a\nlevel: low\n"})
	require.NoError(t, err)
	set.Rules = append(set.Rules, added.Rules...)
	h.replayer.cfg.Running = func() Set { return set }
	require.ElementsMatch(t, []string{"- gone ", "+ from-there ", "+ from-there ", "+ from-there ", "+ from-there "}, signs(h.replay(ask)))

	h.store(signIn("later", "four9", "198.51.100.4", 50126, morning.Add(4*time.Minute), "[]"))
	require.NoError(t, h.partition.Idle(t.Context(), morning.Add(3*time.Hour)))
	require.Len(t, h.replay(ask).Changes, 5, "what the detectors have not come to is not held against them")
}

func TestRecordsThatCannotBeReadArePassedOver(t *testing.T) {
	h := open(t)
	_, err := h.bus.Publish(t.Context(), bus.Message{Subject: bus.LogSubject(tenantID, "SignInLogs", "x"), Header: nats.Header{record.HeaderRecord: {"x"}}, Data: []byte("{")})
	require.NoError(t, err)
	h.day()
	r := h.replay(difference.Request{Since: morning.Add(-time.Hour), Until: morning.Add(time.Hour), Files: files(t, same)})
	require.True(t, r.Same())
	require.EqualValues(t, 1, r.Unread)
	require.False(t, r.Begins.IsZero())
}

func TestBrokenRulesAreRefusedWithTheirPlace(t *testing.T) {
	h := open(t)
	const head = "title: x\nname: x\nlogsource: {product: azure, service: signinlogs}\ndetection:\n  a:\n"
	for says, given := range map[string]map[string]string{
		`rules/bad.yml:6: unknown modifier "sounds-like"`: {"rules/bad.yml": head + "    operationName|sounds-like: y\n  condition: a\n"},
		`two.yml:1: rule x is already defined in one.yml`: {"one.yml": head + "    operationName: y\n  condition: a\n", "two.yml": head + "    operationName: y\n  condition: a\n"},
		"fields.yml":            {"fields.yml": "unknown: {rows: {}}\n", "one.yml": head + "    operationName: y\n  condition: a\n"},
		"lists.yml":             {"lists.yml": "- x"},
		"ends in .yml or .yaml": {"a.test.yml": ""},
	} {
		_, err := h.replayer.Replay(t.Context(), difference.Request{Since: morning, Files: given}, func(difference.Progress) error { t.Error("it began"); return nil })
		refusal := (*difference.Refusal)(nil)
		require.ErrorAs(t, err, &refusal, says)
		require.Contains(t, refusal.Reason, says)
		require.False(t, refusal.Busy)
	}
}

func TestOneAtATimeAndItEndsWithItsClient(t *testing.T) {
	h := open(t)
	h.day()
	ctx, cancel := context.WithCancel(t.Context())
	ask := difference.Request{Since: morning.Add(-time.Hour)}
	_, err := h.replayer.Replay(ctx, difference.Request{Since: morning.Add(-time.Hour), Files: files(t, same)}, func(difference.Progress) error {
		_, err := h.replayer.Replay(t.Context(), ask, nil)
		refusal := (*difference.Refusal)(nil)
		require.ErrorAs(t, err, &refusal)
		require.True(t, refusal.Busy)
		cancel()
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	require.NotNil(t, h.replay(ask), "the next one may")
}

// BenchmarkReplay replays sign-ins of 2 KiB, most of them of no interest, through the rules that ship, twice.
func BenchmarkReplay(b *testing.B) {
	const records = 20_000
	s, err := bus.Open(b.Context(), bus.Config{Dir: b.TempDir()})
	require.NoError(b, err)
	defer s.Close()
	p, _, err := ingest.Open(b.Context(), s, ingest.Source{Name: "ns/hub", Tenants: []string{tenantID}, Clock: clock.Wall{}}, "0")
	require.NoError(b, err)
	for n := 0; n < records; n += 500 {
		var list []any
		for i := range 500 {
			r := signIn(fmt.Sprint("s", n+i), fmt.Sprint("user", (n+i)%500), fmt.Sprintf("198.51.100.%d", i%200), []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 50126}[i%10], morning.Add(time.Duration(n+i)*time.Second/10), "[]")
			r["properties"].(object)["userAgent"] = strings.Repeat("agent ", 200)
			list = append(list, r)
		}
		body, err := json.Marshal(object{"records": list})
		require.NoError(b, err)
		require.NoError(b, p.Store(b.Context(), []ingest.Message{{Sequence: int64(n), Enqueued: morning.Add(time.Hour), Body: body}}))
	}
	set := shipped(b)
	r := New(Config{Bus: s, Directory: directory.New(), Lateness: record.DefaultLateness(), Running: func() Set { return set }, Clock: clock.Wall{}, Log: zap.NewNop()})
	given := files(b, same)
	for b.Loop() {
		report, err := r.Replay(b.Context(), difference.Request{Since: morning.Add(-time.Hour), Files: given}, func(difference.Progress) error { return nil })
		require.NoError(b, err)
		require.EqualValues(b, records, report.Records)
		require.True(b, report.Same())
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
