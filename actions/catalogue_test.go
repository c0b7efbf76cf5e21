package actions

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/internal/incident"
	"cordon/internal/simulator/entra"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	goodName       = regexp.MustCompile(`^[a-z]+\.[a-z]+(-[a-z]+)*$`)
	goodPermission = regexp.MustCompile(`^[A-Z][A-Za-z]*(-[A-Z][A-Za-z]*)?(\.[A-Z][A-Za-z]*)+$`)
)

func TestEveryActionDescribesItself(t *testing.T) {
	names := map[string]bool{}
	phases := []string{"confirm", "contain", "secure", "improve"}
	last := 0
	for _, a := range Catalogue {
		t.Run(a.Name, func(t *testing.T) {
			require.Regexp(t, goodName, a.Name)
			require.False(t, names[a.Name], "there is another")
			names[a.Name] = true
			require.Contains(t, phases, a.Phase)
			require.GreaterOrEqual(t, slices.Index(phases, a.Phase), last, "the catalogue is in the order of the phases")
			last = slices.Index(phases, a.Phase)
			require.True(t, strings.HasSuffix(a.Summary, "."), "a sentence: %q", a.Summary)
			require.NotEmpty(t, a.Says)
			require.NotEmpty(t, a.Target)
			require.NotNil(t, a.Read)
			require.Contains(t, []string{"", incident.Suspicious, incident.Exposed, incident.Compromised}, a.Verdict)
			for _, p := range a.Params {
				require.NotEmpty(t, p.Name)
				require.NotEmpty(t, p.Summary, p.Name)
			}
			for _, p := range a.Permissions {
				require.Regexp(t, goodPermission, p)
				if !a.Changes() {
					require.NotContains(t, p, "ReadWrite", "reading needs no more")
				}
			}

			var example []map[string]any
			require.NoError(t, yaml.Unmarshal([]byte(a.Example), &example), a.Example)
			require.Len(t, example, 1)
			require.Equal(t, a.Name, example[0][map[bool]string{true: "do", false: "read"}[a.Changes()]])

			if !a.Changes() {
				require.Equal(t, "confirm", a.Phase)
				require.Nil(t, a.Verify)
				require.Nil(t, a.Undo)
				require.Empty(t, a.Footprint)
				return
			}
			require.NotEqual(t, "confirm", a.Phase)
			require.NotNil(t, a.Verify)
			require.NotEmpty(t, a.Blast)
			require.NotEqual(t, a.Undo == nil, a.Irrevocable == "", "an action has an undo, or says why there is none")
			if !a.Returns {
				require.NotEmpty(t, a.Verdict, "an automatic run needs a verdict")
			}
			if a.Name != reportWrite.Name && a.Name != "user.revoke-sessions" {
				require.NotEqual(t, incident.Suspicious, a.Verdict, "on suspicion alone Cordon only revokes sessions")
			}
		})
	}
}

func TestEveryGraphActionNamesItsPermission(t *testing.T) {
	apart := map[string]string{ // these do not call Graph as the tenant's application
		"user.sign-ins": "Cordon's own store", "report.write": "nobody", "partner.remove-dap": "Partner Center",
	}
	for _, a := range Catalogue {
		if _, ok := apart[a.Name]; ok {
			require.Empty(t, a.Permissions, a.Name)
			continue
		}
		require.NotEmpty(t, a.Permissions, a.Name)
	}
	for name := range apart {
		_, ok := Find(name)
		require.True(t, ok, name)
	}
	_, ok := Find("user.vaporise")
	require.False(t, ok)
}

func TestTheGravestNeedTwoPeople(t *testing.T) {
	for _, a := range Catalogue {
		require.Equal(t, strings.HasPrefix(a.Name, "partner."), a.Tier0, a.Name)
		require.Equal(t, a.Name == "user.enable", a.Returns, a.Name)
	}
}

// What Entra writes for a change is explained by the action that makes it, or Cordon would raise an alarm on itself.
func TestFootprintsCoverWhatEntraWrites(t *testing.T) {
	changes := map[string][]string{
		"user.disable":                  {"disable a user"},
		"user.enable":                   {"enable a user"},
		"user.reset-password":           {"reset a password"},
		"user.revoke-sessions":          {"revoke sessions"},
		"user.confirm-compromised":      {"confirm a user compromised"},
		"method.restore":                {"delete a phone or authenticator", "delete another method", "change a phone"},
		"role.remove":                   {"take a role", "take a role through PIM"},
		"application.disable":           {"disable or enable a service principal"},
		"application.remove-credential": {"remove a service principal's credential", "remove an application's credential"},
		"grant.delete":                  {"delete a grant, narrow one"},
		"partner.terminate-gdap":        {"end GDAP"},
		"partner.remove-dap":            {"remove DAP"},
		"policy.disable-user-consent":   {"restrict user consent"},
		"report.write":                  {},
	}
	undo := map[string][]string{
		"user.disable":                {"enable a user"},
		"user.enable":                 {"disable a user"},
		"user.confirm-compromised":    {"dismiss a user's risk"},
		"role.remove":                 {"give a role"},
		"application.disable":         {"disable or enable a service principal"},
		"grant.delete":                {"add a grant, widen one"},
		"policy.disable-user-consent": {"restrict user consent"},
	}
	written := map[string][]string{}
	for _, f := range entra.Footprints() {
		written[f.Change] = f.Operations
	}
	covers := func(t *testing.T, have []string, changes []string) {
		for _, change := range changes {
			operations, ok := written[change]
			require.True(t, ok, change)
			for _, op := range operations {
				require.Contains(t, have, plain(op), change)
			}
		}
	}
	for _, a := range Catalogue {
		if !a.Changes() {
			continue
		}
		t.Run(a.Name, func(t *testing.T) {
			list, ok := changes[a.Name]
			require.True(t, ok, "a new action: say here which changes it makes")
			covers(t, a.Footprint, list)
			require.Equal(t, a.Undo != nil, undo[a.Name] != nil, "say here what its undo makes")
			covers(t, footprint(&incident.Step{Spec: incident.Spec{Undo: "x"}}, a), undo[a.Name])
		})
	}
}

// plain spells an operation as records do once they are decoded: trimmed, dashes folded.
func plain(operation string) string {
	return strings.TrimSpace(strings.ReplaceAll(operation, "–", "-"))
}

func TestWhichRecordsAreTheAttackers(t *testing.T) {
	start := time.Date(2026, 3, 4, 3, 0, 0, 0, time.UTC)
	at := func(hours int) time.Time { return start.Add(time.Duration(hours) * time.Hour) }
	for name, c := range map[string]struct {
		all        []trace
		attributed int
		t0         time.Time
	}{
		"nobody's":                       {[]trace{{id: "a", at: at(0), address: "1"}}, 0, time.Time{}},
		"what is known":                  {[]trace{{id: "known", at: at(0)}}, 1, at(0)},
		"one address is not enough":      {[]trace{{id: "known", at: at(0), address: "1"}, {id: "a", at: at(-1), address: "1"}}, 1, at(0)},
		"an address and an agent are":    {[]trace{{id: "known", at: at(0), address: "1", agent: "x"}, {id: "a", at: at(-1), address: "1", agent: "x"}}, 2, at(-1)},
		"a device and an agent are":      {[]trace{{id: "known", at: at(0), device: "d", agent: "x"}, {id: "a", at: at(-1), device: "d", agent: "x"}}, 2, at(-1)},
		"a session alone is":             {[]trace{{id: "known", at: at(0), session: "s"}, {id: "a", at: at(-23), session: "s"}}, 2, at(-23)},
		"not a day away":                 {[]trace{{id: "known", at: at(0), session: "s"}, {id: "a", at: at(-25), session: "s"}}, 1, at(0)},
		"but over another of his":        {[]trace{{id: "known", at: at(0), session: "s"}, {id: "a", at: at(-20), session: "s"}, {id: "b", at: at(-40), session: "s"}}, 3, at(-40)},
		"what is missing is not shared":  {[]trace{{id: "known", at: at(0)}, {id: "a", at: at(-1)}}, 1, at(0)},
		"whatever the order they are in": {[]trace{{id: "b", at: at(-40), session: "s"}, {id: "known", at: at(0), session: "s"}, {id: "a", at: at(-20), session: "s"}}, 3, at(-40)},
	} {
		got := attribute(c.all, map[string]bool{"known": true})
		require.Equal(t, c.attributed, got.Attributed, name)
		require.Equal(t, c.t0, got.T0, name)
		require.Equal(t, len(c.all), got.Records, name)
	}
	got := attribute([]trace{{id: "known", at: at(0), signedIn: true, address: "1", country: "NL"}, {id: "mine", at: at(5), signedIn: true, address: "2"}}, map[string]bool{"known": true})
	require.Equal(t, SignIns{T0: at(0), Records: 2, Attributed: 1, Addresses: []string{"1"}, Countries: []string{"NL"}, LastSuccess: at(0)}, got)
}

func TestAPasswordIsRandomAndNeverShown(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		p, err := randomPassword()
		require.NoError(t, err)
		require.Regexp(t, `^Aa1![0-9a-f]{32}$`, p)
		require.False(t, seen[p])
		seen[p] = true
	}
}

func TestWhatAnActionCannotReadFromTheStateBeforeIsAnError(t *testing.T) {
	for _, a := range Catalogue {
		if a.Undo == nil || a.Name == "user.confirm-compromised" || a.Name == "user.enable" { // these need nothing from it
			continue
		}
		_, err := a.Undo(context.Background(), &Call{}, json.RawMessage(`"nonsense"`))
		require.ErrorContains(t, err, "reading the state before", a.Name)
	}
}
