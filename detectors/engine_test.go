package detectors

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/detectors/rules"
	"cordon/detectors/sigma"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/record"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const (
	tenantID = "7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11"
	adminID  = "0a4e6a1e-1111-4c6e-9d43-0d8a5c1f0001"
)

var morning = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

type fields = map[string]any

func encode(t require.TestingT, f fields) []byte {
	raw, err := json.Marshal(f)
	require.NoError(t, err)
	return raw
}

func decode(t require.TestingT, f fields) *record.Record {
	r, err := record.Decode(encode(t, f), record.Defaults{})
	require.NoError(t, err)
	return r
}

// signIn is an interactive sign-in; details are its authentication steps, in JSON.
func signIn(id, user, address string, code int, at time.Time, details string) fields {
	return fields{"time": at.Add(time.Minute), "category": "SignInLogs", "tenantId": tenantID, "properties": fields{
		"id": id, "createdDateTime": at, "userId": user, "userPrincipalName": user + "@contoso.example", "ipAddress": address,
		"status": fields{"errorCode": code}, "authenticationRequirement": "singleFactorAuthentication", "authenticationDetails": details}}
}

const (
	noDetails = "[]"
	oneFactor = `[{"authenticationMethod":"Password","succeeded":true,"authenticationStepRequirement":"Primary authentication"}]`
	twoFactor = `[{"authenticationMethod":"Password","succeeded":true},{"authenticationMethod":"Mobile app notification","succeeded":true,"authenticationStepRequirement":"Multi-factor authentication"}]`
)

// roleChanged is the audit record of a role given or taken.
func roleChanged(id, operation, target string, at time.Time) fields {
	return fields{"time": at, "category": "AuditLogs", "tenantId": tenantID, "operationName": operation, "properties": fields{
		"id": id, "activityDateTime": at, "result": "success", "initiatedBy": fields{"user": fields{"id": "u1", "userPrincipalName": "avery@contoso.example"}},
		"targetResources": []any{fields{"id": target, "type": "User", "modifiedProperties": []any{
			fields{"displayName": "Role.DisplayName", "newValue": `"Global Administrator"`},
			fields{"displayName": "Role.TemplateId", "newValue": `"` + directory.GlobalAdministrator + `"`}}}}}}
}

func known(holders ...directory.Principal) *directory.Directory {
	d := directory.New()
	d.Load(directory.Snapshot{Tenant: tenantID, Read: morning.Add(-24 * time.Hour), Principals: holders})
	return d
}

func admins() *directory.Directory {
	return known(directory.Principal{ID: adminID, Roles: []directory.Role{{ID: directory.GlobalAdministrator, Name: "Global Administrator"}}})
}

func shipped(t require.TestingT, d *directory.Directory) *Engine {
	all, err := Load(rules.Shipped)
	require.NoError(t, err)
	e, err := NewEngine(all, d)
	require.NoError(t, err)
	return e
}

// only are the findings of one rule.
func only(found []finding.Finding, rule string) (out []finding.Finding) {
	for _, f := range found {
		if f.Rule == rule {
			out = append(out, f)
		}
	}
	return out
}

const noMFA = "admin-without-mfa"

func TestAnUnconfirmedFindingIsConfirmedByAFullerRevision(t *testing.T) {
	e := shipped(t, admins())
	first := only(e.Process(decode(t, signIn("s1", adminID, "198.51.100.23", 0, morning, noDetails)), "hub/0/1/0"), noMFA)
	require.Len(t, first, 1)
	require.True(t, first[0].Unconfirmed)
	require.Equal(t, 1, first[0].Revision)

	fuller := signIn("s1", adminID, "198.51.100.23", 0, morning, oneFactor)
	fuller["properties"].(fields)["location"] = fields{"countryOrRegion": "RO"}
	second := only(e.Process(decode(t, fuller), "hub/0/2/0"), noMFA)
	require.Len(t, second, 1)
	require.False(t, second[0].Unconfirmed)
	require.Equal(t, 2, second[0].Revision)
	require.Equal(t, first[0].ID, second[0].ID)
	require.Equal(t, 1, second[0].Count, "it is one record")
	require.Equal(t, []string{"hub/0/1/0", "hub/0/2/0"}, second[0].Proof[0].Positions)
	require.Equal(t, "RO", second[0].Proof[0].Country, "the fuller revision is what is shown")
	require.Contains(t, second[0].Says, "RO")
	require.Contains(t, first[0].Says, "unknown", "a revision changes no finding that was published before")
	require.Empty(t, e.Settle(time.Time{}))
}

func TestAnUnconfirmedFindingIsWithdrawnByAContradiction(t *testing.T) {
	e := shipped(t, admins())
	e.Process(decode(t, signIn("s1", adminID, "198.51.100.23", 0, morning, noDetails)), "1")
	second := only(e.Process(decode(t, signIn("s1", adminID, "198.51.100.23", 0, morning, twoFactor)), "2"), noMFA)
	require.Len(t, second, 1)
	require.NotEmpty(t, second[0].Withdrawn)
	require.Equal(t, 2, second[0].Revision)
	require.Empty(t, e.Settle(time.Time{}), "what was withdrawn does not settle")
	require.Empty(t, e.Process(decode(t, signIn("s1", adminID, "198.51.100.23", 0, morning, noDetails)), "3"), "the poorer record says nothing new")
}

// `exists` asks for the field alone: a record that has it, empty, proves that it is there, and one that has it not may be a
// poor revision.
func TestAFieldExistsWhateverStandsInIt(t *testing.T) {
	rule := func(want bool) *Engine {
		return engine(t, fmt.Sprintf("title: Device\nname: device\nlogsource: {product: azure, service: signinlogs}\ndetection: {s: {deviceDetail.deviceId|exists: %t}, condition: s}\n", want))
	}
	for name, c := range map[string]struct {
		device                any
		exists, missing, sure bool
	}{
		"an id":    {"d1", true, false, true},
		"empty":    {"", true, false, true},
		"null":     {nil, true, false, true},
		"no field": {missing, false, true, false},
	} {
		in := signIn("s1", "u1", "192.0.2.1", 0, morning, oneFactor)
		if in["properties"].(fields)["deviceDetail"] = (fields{"deviceId": c.device}); c.device == missing {
			in["properties"].(fields)["deviceDetail"] = fields{"browser": "b"}
		}
		for want, fires := range map[bool]bool{true: c.exists, false: c.missing} {
			found := rule(want).Process(decode(t, in), "hub/0/1/0")
			require.Equal(t, fires, len(found) == 1, "%s, exists: %t", name, want)
			for _, f := range found {
				require.Equal(t, !c.sure, f.Unconfirmed, name)
			}
		}
	}
}

const missing = "missing"

// After a restart, and from two sources, revisions come in any order.
func TestAPoorerRevisionThatComesLaterProvesNothing(t *testing.T) {
	e := shipped(t, admins())
	require.Empty(t, e.Process(decode(t, signIn("s1", adminID, "198.51.100.23", 0, morning, twoFactor)), "2"))
	found := only(e.Process(decode(t, signIn("s1", adminID, "198.51.100.23", 0, morning, noDetails)), "1"), noMFA)
	require.Len(t, found, 1, "it may have been published before the restart")

	other := shipped(t, admins())
	other.Process(decode(t, signIn("s1", adminID, "198.51.100.23", 0, morning, noDetails)), "1")
	require.Equal(t, only(other.Process(decode(t, signIn("s1", adminID, "198.51.100.23", 0, morning, twoFactor)), "2"), noMFA), found)
	require.Empty(t, e.Settle(time.Time{}))
	e.Forget(morning.Add(time.Hour))
	require.Zero(t, e.records.Len())
}

func TestAnUnconfirmedFindingIsSettledByTheWatermark(t *testing.T) {
	e := shipped(t, admins())
	e.Process(decode(t, signIn("s1", adminID, "198.51.100.23", 0, morning, noDetails)), "1")
	require.Empty(t, e.Settle(morning.Add(10*time.Minute-1)))
	settled := e.Settle(morning.Add(10 * time.Minute))
	require.Len(t, settled, 1)
	require.False(t, settled[0].Unconfirmed)
	require.Equal(t, 2, settled[0].Revision)
	require.Empty(t, e.Settle(morning.Add(time.Hour)), "once")
	require.Empty(t, e.Process(decode(t, signIn("s1", adminID, "198.51.100.23", 0, morning, twoFactor)), "2"), "what has counted is not taken back")
}

func TestOneRecordFromTwoSourcesCountsOnce(t *testing.T) {
	e := shipped(t, admins())
	r := signIn("s1", adminID, "198.51.100.23", 0, morning, oneFactor)
	require.Len(t, only(e.Process(decode(t, r), "hub/0/1/0"), noMFA), 1)
	require.Empty(t, e.Process(decode(t, r), "export/0/7/0"))

	spray := spraying(e.Flush) // nothing pending
	require.Empty(t, spray)
	for i := range 4 {
		for range 3 {
			e.Process(decode(t, signIn(fmt.Sprint("f", i), fmt.Sprint("user", i), "203.0.113.7", 50126, morning, noDetails)), "x")
		}
	}
	// The fifth user's failure is another record; the same user's second failure is not another user.
	e.Process(decode(t, signIn("f0-again", "user0", "203.0.113.7", 50126, morning, noDetails)), "x")
	require.Empty(t, spraying(e.Flush))
	e.Process(decode(t, signIn("f4", "user4", "203.0.113.7", 50126, morning, noDetails)), "x")
	found := spraying(e.Flush)
	require.Len(t, found, 1)
	require.Equal(t, 6, found[0].Count)
	require.Contains(t, found[0].Says, "tried 5 users")
}

func spraying(flush func() []finding.Finding) []finding.Finding {
	return only(flush(), "password-spray")
}

func TestWhatIsNotKnownProvesNothing(t *testing.T) {
	negated, err := sigma.Parse("n.yml", strings.NewReader(`{title: n, name: ordinary, logsource: {product: azure, service: signinlogs}, detection: {admin: {actor.privileged: "true"}, condition: not admin}}`), nil)
	require.NoError(t, err)
	all, err := Load(rules.Shipped)
	require.NoError(t, err)
	e, err := NewEngine(append(all, negated...), directory.New())
	require.NoError(t, err)
	require.Empty(t, e.Process(decode(t, signIn("s1", adminID, "198.51.100.23", 0, morning, oneFactor)), "1"))
	require.Equal(t, map[string]int{noMFA: 1, "ordinary": 1}, e.Silenced())

	e, err = NewEngine(negated, known())
	require.NoError(t, err)
	require.Len(t, e.Process(decode(t, signIn("s1", adminID, "198.51.100.23", 0, morning, oneFactor)), "1"), 1)
}

func TestARoleHoldsFromItsTimeOn(t *testing.T) {
	e := shipped(t, known())
	given, taken := morning.Add(time.Hour), morning.Add(2*time.Hour)
	e.Process(decode(t, roleChanged("r2", "Remove member from role", "u9", taken)), "r2") // in any order
	e.Process(decode(t, roleChanged("r1", "Add member to role", "u9", given)), "r1")
	for at, want := range map[time.Time]bool{
		given.Add(-time.Second): false, given: true, given.Add(30 * time.Minute): true, taken.Add(-time.Second): true, taken: false, taken.Add(time.Hour): false,
	} { // late records: all of these come after both changes
		found := only(e.Process(decode(t, signIn(fmt.Sprint("s", at.Unix()), "u9", "198.51.100.23", 0, at, oneFactor)), "s"), noMFA)
		require.Equal(t, want, len(found) == 1, at)
		if want {
			require.Equal(t, []string{"Global Administrator"}, found[0].Principal.Roles)
		}
	}
}

// attack is a spray of n users from one address and its hit, which comes this long after the first failure.
func attack(n int, hit time.Duration, every time.Duration) (out []fields) {
	for i := range n {
		out = append(out, signIn(fmt.Sprint("f", i), fmt.Sprint("user", i), "203.0.113.7", 50126, morning.Add(time.Duration(i)*every), noDetails))
	}
	return append(out, signIn("hit", "victim", "203.0.113.7", 50076, morning.Add(hit), noDetails))
}

func TestAHitBeforeAmidAndAfterTheFailures(t *testing.T) {
	for name, c := range map[string]struct {
		hit  time.Duration
		want bool
	}{
		"long before":              {-time.Hour, false},
		"before":                   {-30 * time.Second, true},
		"amid":                     {90 * time.Second, true},
		"after":                    {5 * time.Minute, true},
		"as the window ends":       {20*time.Minute + 3*time.Minute, true}, // the fifth failure closes at 4 min; its spray counts for 20 min
		"when the window is over":  {24 * time.Minute, false},
		"a timespan before, still": {4*time.Minute - 20*time.Minute + time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := shipped(t, known())
			for _, r := range attack(5, c.hit, time.Minute) {
				e.Process(decode(t, r), "x")
			}
			found := e.Flush()
			require.NotEmpty(t, only(found, "password-spray"))
			hits := only(found, "password-spray-hit")
			require.Equal(t, c.want, len(hits) > 0)
			for _, h := range hits {
				require.Equal(t, "victim", h.Principal.ID)
				require.Equal(t, record.User, h.Principal.Type)
			}
			for _, s := range only(found, "password-spray") {
				require.Equal(t, finding.Principal{Type: record.Tenant, ID: tenantID, Home: tenantID}, s.Principal)
			}
		})
	}
}

func TestFindingsDoNotDependOnTheOrderOfArrival(t *testing.T) {
	records := append(attack(7, 3*time.Minute, 4*time.Minute), // over a slot's end
		signIn("hit2", "user3", "203.0.113.7", 0, morning.Add(19*time.Minute), noDetails),
		signIn("s1", adminID, "203.0.113.7", 0, morning.Add(21*time.Minute), oneFactor),
		roleChanged("r1", "Add member to role", "u9", morning.Add(time.Minute)))
	var decoded []*record.Record
	for _, r := range records {
		decoded = append(decoded, decode(t, r))
	}
	state := func(t require.TestingT, order []*record.Record) string {
		e := shipped(t, admins())
		for _, r := range order {
			e.Process(r, "hub/"+r.ID)
		}
		data, err := json.MarshalIndent(e.Current(), "", " ")
		require.NoError(t, err)
		return string(data)
	}
	want := state(t, decoded)
	require.Contains(t, want, "password-spray-hit")
	rapid.Check(t, func(t *rapid.T) {
		require.Equal(t, want, state(t, rapid.Permutation(decoded).Draw(t, "order")))
	})
}

func TestProofIsTheFirstFifty(t *testing.T) {
	e := shipped(t, known())
	for i := range 70 {
		at := morning.Add(time.Duration(i*37%70) * time.Second) // in no order
		e.Process(decode(t, signIn(fmt.Sprint("f", i), fmt.Sprint("user", i), "203.0.113.7", 50126, at, noDetails)), "x")
	}
	found := spraying(e.Flush)
	require.Len(t, found, 1)
	require.Equal(t, 70, found[0].Count)
	require.Len(t, found[0].Proof, finding.MaxProof)
	require.True(t, slices.IsSortedFunc(found[0].Proof, func(a, b finding.Proof) int { return a.Time.Compare(b.Time) }))
	require.Equal(t, morning, found[0].Proof[0].Time)
	require.Equal(t, morning.Add(49*time.Second), found[0].Proof[49].Time)
}

func TestForgetDropsWhatNoWindowCanHold(t *testing.T) {
	e := shipped(t, admins())
	for _, r := range attack(5, time.Minute, time.Minute) {
		e.Process(decode(t, r), "x")
	}
	e.Process(decode(t, signIn("s1", adminID, "198.51.100.23", 0, morning, oneFactor)), "1")
	require.NotEmpty(t, e.Current())
	e.Forget(morning.Add(24 * time.Hour))
	require.Empty(t, e.Current())
	require.Zero(t, e.records.Len())
	require.Empty(t, e.slots)
}

func TestRulesThatCannotWorkTogether(t *testing.T) {
	rule := func(name string) string {
		return fmt.Sprintf("---\ntitle: t\nname: %s\nlogsource: {product: azure, service: signinlogs}\ndetection: {s: {a: b}, condition: s}\n", name)
	}
	over := func(name, by string, rules ...string) string {
		return fmt.Sprintf("---\ntitle: t\nname: %s\ncorrelation: {type: temporal, rules: [%s], group-by: [%s], timespan: 5m}\n", name, strings.Join(rules, ","), by)
	}
	for name, c := range map[string]struct{ text, want string }{
		"a name twice":         {rule("a") + rule("a"), "r.yml:7: rule a is already defined in r.yml:2"},
		"an unknown rule":      {rule("a") + over("c", "x", "a", "b"), `correlation c refers to rule "b", which is not there`},
		"itself":               {rule("a") + over("c", "x", "a", "c"), "correlations c and c refer to each other"},
		"each other":           {rule("a") + over("c", "x", "a", "d") + over("d", "x", "a", "c"), "refer to each other"},
		"each other, by a way": {rule("a") + over("c", "x", "a", "d") + over("d", "x", "a", "e") + over("e", "x", "a", "c"), "refer to each other"},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := sigma.Parse("r.yml", strings.NewReader(c.text), nil)
			require.NoError(t, err)
			_, err = NewEngine(all, directory.New())
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "r.yml:")
		})
	}
	// Three levels, in whatever order the file has them.
	all, err := sigma.Parse("r.yml", strings.NewReader(over("top", "X", "a", "mid")+over("mid", "x", "a", "low")+over("low", "x", "a", "b")+rule("a")+rule("b")), nil)
	require.NoError(t, err)
	e, err := NewEngine(all, directory.New())
	require.NoError(t, err)
	var names []string
	for _, c := range e.correlations {
		names = append(names, c.rule.Name)
	}
	require.Equal(t, []string{"low", "mid", "top"}, names)
}

func TestSentencesCannotBreakALine(t *testing.T) {
	e := shipped(t, admins())
	r := signIn("s1", adminID, "198.51.100.23", 0, morning, oneFactor)
	r["properties"].(fields)["userPrincipalName"] = "a\n\x1b[2J\u202e{address}" + strings.Repeat("x", 500)
	found := only(e.Process(decode(t, r), "1"), noMFA)
	require.Len(t, found, 1)
	require.NotContains(t, found[0].Says, "\n")
	require.NotContains(t, found[0].Says, "\x1b")
	require.NotContains(t, found[0].Says, "\u202e")
	require.Contains(t, found[0].Says, "{address}", "what an attacker chose is not expanded")
	require.Less(t, len(found[0].Says), 300)
}

// A hub and the Graph poller both bring the sign-in; Graph's says less. It counts once, and the fuller one is told.
func TestTheSameLogFromTwoSourcesCountsOnce(t *testing.T) {
	stream := signIn("s1", adminID, "198.51.100.23", 0, morning, oneFactor)
	stream["properties"].(fields)["location"] = fields{"countryOrRegion": "RO"}
	polled := fields{"category": "SignInLogs", "tenantId": tenantID, "properties": signIn("s1", adminID, "198.51.100.23", 0, morning, oneFactor)["properties"]}
	for name, order := range map[string][]int{"the hub first": {0, 1}, "Graph first": {1, 0}} {
		t.Run(name, func(t *testing.T) {
			e := shipped(t, admins())
			for _, i := range order {
				if i == 0 {
					e.Process(decode(t, stream), "hub/0/1/0")
					continue
				}
				e.Process(decode(t, polled), "graph/sign-ins/1/0")
			}
			found := only(e.Current(), noMFA)
			require.Len(t, found, 1)
			require.Equal(t, 1, found[0].Count)
			require.Equal(t, "RO", found[0].Proof[0].Country)
			require.ElementsMatch(t, []string{"hub/0/1/0", "graph/sign-ins/1/0"}, found[0].Proof[0].Positions)
		})
	}
}
