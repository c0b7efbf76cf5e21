package playbooks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"cordon/internal/incident"
	"cordon/internal/record"
	"cordon/playbooks/library"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// head begins a playbook; what is tested begins at line 6.
const head = `playbook: p
summary: s
for: user
opens-on:
  - level: high
`

func parseText(t testing.TB, text string) *Playbook {
	t.Helper()
	p, err := Parse("p.yml", strings.NewReader(text))
	require.NoError(t, err)
	return p
}

func TestBadPlaybooks(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":                     {"", "p.yml: the file is empty"},
		"nothing but a remark":      {"# nothing\n", "p.yml: the file is empty"},
		"no YAML":                   {"playbook: [", "p.yml: yaml: line 1"},
		"a list":                    {"- a\n- b\n", "p.yml:1: expected a mapping with playbook, summary"},
		"two documents":             {head + "---\n" + head, "p.yml:6: there is a second document; expected one playbook a file"},
		"no name":                   {"for: user\n", "p.yml:1: a playbook needs a name under `playbook`"},
		"for nobody":                {"playbook: p\nfor: device\n", `p.yml:1: playbook p: for is "device"; expected user, application or tenant`},
		"unknown key":               {head + "confrim:\n  - read: user.profile\n", `p.yml:6: unknown key "confrim"; expected one of playbook, summary, for, opens-on, confirm, contain`},
		"unknown key in secure":     {head + "secure:\n  hardn:\n    - do: user.enable\n", `p.yml:7: unknown key "hardn"; expected one of recover, harden`},
		"unknown key of a step":     {head + "contain:\n  - do: user.disable\n    aprove: one\n", `p.yml:8: unknown key "aprove"; expected one of read, do, task`},
		"unknown key of an opening": {"playbook: p\nfor: user\nopens-on:\n  - levle: high\n", `p.yml:4: unknown key "levle"; expected one of level, rules, when`},
		"steps that are no list":    {head + "contain: user.disable\n", "p.yml:6: contain: expected a list of steps"},
		"openings that are no list": {"playbook: p\nfor: user\nopens-on: high\n", "p.yml:3: opens-on: expected a list"},
		"opens on nothing":          {"playbook: p\nfor: user\nopens-on:\n  - when: actor.privileged\n", "p.yml:4: an opening names either a level or rules"},
		"opens on an unknown level": {"playbook: p\nfor: user\nopens-on:\n  - level: hihg\n", `p.yml:4: level "hihg" is none of informational, low, medium, high, critical`},
		"opens on a misspelt fact":  {"playbook: p\nfor: user\nopens-on:\n  - level: high\n    when: actor.priviledged\n", "p.yml:4: when: \"actor.priviledged\": type playbooks.ActorFacts has no field priviledged"},
		"unknown action":            {head + "contain:\n  - do: user.vaporise\n", `p.yml:7: there is no action "user.vaporise"; expected one of user.disable, user.revoke-sessions`},
		"unknown reading":           {head + "confirm:\n  - read: user.thoughts\n", `p.yml:7: there is no action "user.thoughts"; expected one of user.profile, user.roles`},
		"wrong parameter":           {head + "confirm:\n  - read: user.sign-ins\n    with: {sicne: 30d}\n", `p.yml:7: action user.sign-ins has no parameter "sicne"; expected since`},
		"a parameter of none":       {head + "contain:\n  - do: user.disable\n    with: {hard: yes}\n", `p.yml:7: action user.disable has no parameter "hard"; it takes none`},
		"a parameter is missing":    {head + "contain:\n  - do: role.remove\n", "p.yml:7: action role.remove needs parameter \"user\", from `with` or from the object of a `for-each`"},
		"a parameter that is a map": {head + "confirm:\n  - read: user.sign-ins\n    with: {since: {days: 30}}\n", "p.yml:7:"},
		"misspelt fact":             {head + "contain:\n  - do: user.disable\n    when: not actor.priviledged\n", `p.yml:7: when: "not actor.priviledged": type playbooks.ActorFacts has no field priviledged`},
		"unknown function":          {head + "contain:\n  - do: user.disable\n    when: succesAfter(t0)\n", `p.yml:7: when: "succesAfter(t0)": unknown name succesAfter`},
		"no yes or no":              {head + "contain:\n  - do: user.disable\n    when: independentProofs\n", "p.yml:7: when: \"independentProofs\": expected bool, but got int"},
		"known of no fact":          {head + "contain:\n  - do: user.disable\n    when: known(incident.children)\n", `p.yml:7: when: "known(incident.children)": known(incident.children): that is no fact whose being known can be asked; expected one of actor.privileged, actor.synced`},
		"known of a misspelt name":  {head + "contain:\n  - do: user.disable\n    when: known(\"nonsense\")\n", "p.yml:7:"},
		"for-each over no list":     {head + "contain:\n  - do: user.disable\n    for-each: actor.synced\n", `p.yml:7: for-each: "actor.synced" is no list of objects, such as evidence.methods`},
		"for-each over words":       {head + "contain:\n  - do: user.disable\n    for-each: tenant.licences\n", "p.yml:7: for-each: \"tenant.licences\" is no list of objects"},
		"two kinds in a line":       {head + "contain:\n  - do: user.disable\n    task: call\n", "p.yml:7: a step is one of read, do, task, watch and verdict"},
		"no kind in a line":         {head + "contain:\n  - approve: one\n", "p.yml:7: a step is one of read, do, task, watch and verdict"},
		"a step that is a word":     {head + "contain:\n  - user.disable\n", "p.yml:7: expected a mapping with read, do, task"},
		"read in contain":           {head + "contain:\n  - read: user.profile\n", "p.yml:7: read does not belong in contain"},
		"do in confirm":             {head + "confirm:\n  - do: user.disable\n", "p.yml:7: do does not belong in confirm"},
		"verdict in contain":        {head + "contain:\n  - verdict: exposed\n", "p.yml:7: verdict does not belong in contain"},
		"unknown verdict":           {head + "confirm:\n  - verdict: benign\n", `p.yml:7: verdict "benign" is none of suspicious, exposed, compromised`},
		"a reading is done":         {head + "contain:\n  - do: user.profile\n", "p.yml:7: action user.profile is used with read"},
		"a change is read":          {head + "confirm:\n  - read: user.disable\n", "p.yml:7: action user.disable is used with do"},
		"bad approve":               {head + "contain:\n  - do: user.disable\n    approve: three\n", `p.yml:7: approve is "three"; expected auto, one or two`},
		"tier 0 with one":           {head + "contain:\n  - do: partner.remove-dap\n    approve: one\n", "p.yml:7: partner.remove-dap always needs two approvals"},
		"tier 0 by itself":          {head + "contain:\n  - do: partner.remove-dap\n    approve: auto\n", "p.yml:7: partner.remove-dap always needs two approvals"},
		"access back by itself":     {head + "secure:\n  recover:\n    - do: user.enable\n      approve: auto\n", "p.yml:8: user.enable gives access back and never runs by itself"},
		"bad duration":              {head + "contain:\n  - do: user.revoke-sessions\n    again-after: soon\n", `p.yml:7: "soon" is no duration such as 5m, 2h or 30d`},
		"no duration at all":        {head + "contain:\n  - task: call\n    due: 0m\n", `p.yml:7: "0m" is no duration`},
		"a duration of the past":    {head + "improve:\n  - watch: -30d\n", `p.yml:7: "-30d" is no duration`},
		"after what":                {head + "contain:\n  - do: user.disable\n    after: contain.1\n", `p.yml:7: after is "contain.1"; expected previous`},
		"duplicate id":              {head + "contain:\n  - do: user.disable\n    id: x\n  - do: user.revoke-sessions\n    id: x\n", `p.yml:9: there is another step with the id "x"`},
		"an id like a place":        {head + "contain:\n  - do: user.disable\n    id: contain.2\n  - do: user.revoke-sessions\n", `p.yml:9: there is another step with the id "contain.2"`},
		"an id like an object":      {head + "contain:\n  - do: user.disable\n    id: a/b\n", `p.yml:7: id is "a/b"; expected lower-case letters, digits, dots and dashes`},
		"duplicate key":             {head + "contain:\n  - do: user.disable\n    do: user.disable\n", "p.yml:7:"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("p.yml", strings.NewReader(c.text))
			require.ErrorContains(t, err, c.want)
			require.True(t, strings.HasPrefix(err.Error(), "p.yml:"), err.Error())
		})
	}
}

func TestLoadWantsAFileOfThePlaybooksName(t *testing.T) {
	_, err := Load(fstest.MapFS{"other.yml": {Data: []byte(head)}})
	require.ErrorContains(t, err, `other.yml: playbook "p" must stand in a file of its name`)
	_, err = Load(fstest.MapFS{"p.yml": {Data: []byte("playbook: p\nfor: nobody\n")}})
	require.ErrorContains(t, err, "p.yml:1:")
}

func TestTheLibraryIsGood(t *testing.T) {
	books, err := Load(library.Shipped)
	require.NoError(t, err)
	names := []string{}
	for _, p := range books {
		names = append(names, p.Name)
		require.NotEmpty(t, p.Summary)
		require.NotEmpty(t, p.OpensOn)
		phases := map[string]bool{}
		order := map[string]int{}
		for n, l := range p.Lines {
			phases[l.Phase] = true
			if _, seen := order[l.Action.Name]; !seen {
				order[l.Action.Name] = n
			}
		}
		wanted := []string{"confirm", "contain", "secure", "improve"}
		if p.For == record.Tenant {
			wanted = wanted[:1] // there is nobody to contain
		}
		for _, phase := range wanted {
			require.True(t, phases[phase], "%s has no %s", p.Name, phase)
		}
		if p.For != "user" {
			continue
		}
		disable, revoke, reset, enable := order["user.disable"], order["user.revoke-sessions"], order["user.reset-password"], order["user.enable"]
		require.Less(t, disable, revoke, "Microsoft's order")
		require.False(t, p.Lines[revoke].After, "revoking never waits for disabling")
		require.Equal(t, incident.Auto, p.Lines[revoke].Approve)
		require.Less(t, reset, enable, "reset before enabling")
		require.True(t, p.Lines[enable].Offered)
	}
	require.Equal(t, []string{"compromised-administrator", "compromised-user", "log-silence", "malicious-application"}, names)

	admin := books[0]
	for n, l := range admin.Lines {
		if strings.HasPrefix(l.Action.Name, "partner.") {
			require.Equal(t, incident.Two, l.Approve)
			require.True(t, l.After)
			for _, later := range admin.Lines[n+1:] {
				require.True(t, later.Phase != "contain" || strings.HasPrefix(later.Action.Name, "partner."), "%s stands behind the partner's access", later.Place)
			}
		}
	}
}

// The playbook of the sketches, as far as its actions and facts exist.
func TestTheSketchedPlaybookIsUnderstood(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "sketch.yml"))
	require.NoError(t, err)
	p := parseText(t, string(data))
	line := func(place string) Line {
		for _, l := range p.Lines {
			if l.Place == place {
				return l
			}
		}
		require.Fail(t, "there is no line "+place)
		return Line{}
	}
	require.Equal(t, 5*time.Minute, line("contain.2").Again)
	require.Equal(t, 30*time.Minute, line("contain.8").Due)
	require.Equal(t, 30*24*time.Hour, line("improve.2").Watch)
	require.Equal(t, "user.disable", line("disable-children").Action.Name)
	require.True(t, line("secure.recover.1").Offered)
	require.Equal(t, incident.Auto, line("improve.1").Approve, "a report changes nothing")
	require.Equal(t, incident.Compromised, line("confirm.7").Verdict)
}

func TestWhoMustApproveWhereThePlaybookDoesNotSay(t *testing.T) {
	p := parseText(t, head+"contain:\n  - do: user.disable\n  - do: partner.remove-dap\nimprove:\n  - do: report.write\n")
	require.Equal(t, incident.One, p.Lines[0].Approve)
	require.Equal(t, incident.Two, p.Lines[1].Approve)
	require.Equal(t, incident.Auto, p.Lines[2].Approve)
}
