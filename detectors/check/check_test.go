package check

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cordon/detectors/fields"
	"cordon/detectors/rules"
	"cordon/detectors/sigma"
	"cordon/detectors/vocabulary"
	"github.com/stretchr/testify/require"
)

func checker(t *testing.T) *Checker {
	t.Helper()
	table, err := fields.Standard()
	require.NoError(t, err)
	known, err := vocabulary.Standard()
	require.NoError(t, err)
	return New(table, known)
}

func parse(t *testing.T, file, text string) []*sigma.Rule {
	t.Helper()
	parsed, err := sigma.Parse(file, strings.NewReader(text), sigma.Lists{"risky-scopes": {"Mail.Read"}})
	require.NoError(t, err)
	return parsed
}

// impossibleOfSigmaHQ are the rules of the shared set that cannot match a real record (domain notes, detections), by file.
var impossibleOfSigmaHQ = []string{
	"azure_app_end_user_consent.yml", "azure_app_end_user_consent_blocked.yml", "azure_auditlogs_laps_credential_dumping.yml",
	"azure_group_user_addition_ca_modification.yml", "azure_pim_activation_approve_deny.yml", "azure_privileged_account_creation.yml",
	"azure_subscription_permissions_elevation_via_auditlogs.yml",
	"azure_blocked_account_attempt.yml", "azure_legacy_authentication_protocols.yml",
	"azure_pim_account_stale.yml", "azure_pim_invalid_license.yml", "azure_pim_role_assigned_outside_of_pim.yml", "azure_pim_role_frequent_activation.yml",
	"azure_pim_role_no_mfa_required.yml", "azure_pim_role_not_used.yml", "azure_pim_too_many_global_admins.yml",
	"azure_device_or_configuration_modified_or_deleted.yml",
}

// Correlations refer to rules by id as well, and may stand before them.
func TestCorrelationsOfWhatCannotMatch(t *testing.T) {
	const never = "---\ntitle: Never\nname: never\nid: 7b0d1f7a-0002-4c1e-8a53-111111111111\nlogsource: {product: azure, service: auditlogs}\ndetection: {s: {OperationName: Add member from group}, condition: s}\n"
	const sound = "---\ntitle: Sound\nname: sound\nlogsource: {product: azure, service: auditlogs}\ndetection: {s: {OperationName: Add user, initiatedBy.user.id: x}, condition: s}\n"
	of := func(name, of, refs, condition string) string {
		return "---\ntitle: Over\nname: " + name + "\nlevel: low\ncorrelation: {type: " + of + ", rules: [" + refs + "], timespan: 5m" + condition + "}\n"
	}
	all := parse(t, "r.yml", of("top", "event_count", "by-id", ", condition: {gte: 2}")+of("by-id", "event_count", "7B0D1F7A-0002-4c1e-8a53-111111111111", ", condition: {gte: 2}")+
		of("each", "temporal", "sound, never", "")+of("in-order", "temporal_ordered", "sound, never", "")+of("any", "temporal", "sound, never", ", condition: {gte: 1}")+never+sound)
	got := map[string]State{}
	for _, r := range checker(t).Check(all) {
		got[r.Rule] = r.State
	}
	require.Equal(t, map[string]State{"never": Impossible, "sound": Fine, "top": Impossible, "by-id": Impossible, "each": Impossible, "in-order": Impossible, "any": Fine}, got)
}

// Placeholders are judged by what they stand for.
func TestPlaceholdersAreJudgedByTheirLists(t *testing.T) {
	lists := sigma.Lists{"apps": {"5f0c1e52-0000-4000-8000-000000000001"}, "ops": {"Add user"}, "wrong": {"no GUID"}, "none": {}}
	for value, want := range map[string]State{
		"properties.appId|expand: '%apps%'": Fine, "operationName|expand: '%ops%'": Wide, "ResultType|expand: '%wrong%'": Impossible,
		"actor.upn|expand: '%none%'": Impossible, "properties.appId|expand: '%unset%'": Inactive, "properties.appId: '%apps%'": Impossible,
	} {
		service := "signinlogs"
		if strings.HasPrefix(value, "operationName") {
			service = "auditlogs"
		}
		all, err := sigma.Parse("r.yml", strings.NewReader("title: R\nlogsource: {product: azure, service: "+service+"}\ndetection:\n  s:\n    "+value+"\n  condition: s\n"), lists)
		require.NoError(t, err)
		require.Equal(t, want, checker(t).Check(all)[0].State, value)
	}
}

func TestTheSharedRules(t *testing.T) {
	shared := os.Getenv("CORDON_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	root := filepath.Join(shared, "data", "sigma")
	if _, err := os.Stat(root); err != nil {
		t.Skipf("the shared rules are not here: %v", err)
	}
	var all []*sigma.Rule
	require.NoError(t, filepath.WalkDir(root, func(file string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(file) != ".yml" {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		all = append(all, parse(t, filepath.Base(file), string(text))...)
		return nil
	}))
	require.Len(t, all, 98)
	for _, r := range all {
		require.NotEmpty(t, r.Categories, "%s is routed nowhere", r.File)
	}
	by := map[State][]string{}
	for _, r := range checker(t).Check(all) {
		by[r.State] = append(by[r.State], r.File)
		for _, m := range r.Remarks {
			require.NotEmpty(t, m.Reason, r.File)
		}
	}
	want := slices.Sorted(slices.Values(impossibleOfSigmaHQ))
	require.Equal(t, want, slices.Sorted(slices.Values(by[Impossible])))
	require.Len(t, by[Inactive], 7)
}

func TestShippedRulesAreSound(t *testing.T) {
	var all []*sigma.Rule
	entries, err := rules.Shipped.ReadDir(".")
	require.NoError(t, err)
	for _, dir := range entries {
		files, _ := rules.Shipped.ReadDir(dir.Name())
		for _, f := range files {
			if strings.HasSuffix(f.Name(), ".test.yml") {
				continue
			}
			text, err := rules.Shipped.ReadFile(path.Join(dir.Name(), f.Name()))
			require.NoError(t, err)
			parsed, err := sigma.Parse(f.Name(), strings.NewReader(string(text)), sigma.Lists{})
			require.NoError(t, err)
			all = append(all, parsed...)
		}
	}
	for _, r := range checker(t).Check(all) {
		require.False(t, r.Wrong(), "%s: %+v", r.Rule, r.Remarks)
	}
}

func TestExceptionsAreJudged(t *testing.T) {
	const rule = `title: Role given
name: role-given
logsource: {product: azure, service: auditlogs}
detection: {s: {OperationName: Add member to role}, condition: s}
`
	for name, c := range map[string]struct {
		filter string
		state  State
		want   []Remark // but for their reasons
		reason string
	}{
		"good": {filter: "{rules: [role-given], s: {actor.upn: deploy@contoso.example}, condition: not s}", state: Fine},
		"suppresses nothing": {filter: "{rules: [role-given], s: {OperationName: Add member too role}, condition: not s}", state: Doubtful,
			want: []Remark{{Kind: UnknownValue, File: "filters.yml", Line: 4, Field: "OperationName", Value: "Add member too role"}}, reason: "exception ours: "},
		"suppresses nothing for sure": {filter: "{rules: [role-given], s: {OperationName: Add member from group}, condition: not s}", state: Doubtful,
			want: []Remark{{Kind: Dead, File: "filters.yml", Line: 4, Field: "OperationName", Value: "Add member from group"}, {Kind: Idle, File: "filters.yml", Line: 1, Value: "not s"}}, reason: "exception ours: "},
		"suppresses all": {filter: "{rules: [role-given], s: {OperationName: Add member from group}, condition: s}", state: Impossible,
			want: []Remark{{Kind: Silenced, File: "filters.yml", Line: 1, Value: "s"}, {Kind: Dead, File: "filters.yml", Line: 4, Field: "OperationName", Value: "Add member from group"}}, reason: "exception ours: "},
		"no such field": {filter: "{rules: [role-given], s: {NoSuchThing: x}, condition: not s}", state: Doubtful,
			want: []Remark{{Kind: UnknownField, File: "filters.yml", Line: 4, Field: "NoSuchThing"}}, reason: "has a field of this name"},
		"a list is unset": {filter: "{rules: [role-given], s: {actor.upn|expand: '%ours%'}, condition: not s}", state: Fine,
			want: []Remark{{Kind: Unset, File: "filters.yml", Line: 1, Value: "ours"}}, reason: "it suppresses nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			filters := parse(t, "filters.yml", "title: Ours\nname: ours\nlogsource: {product: azure, service: auditlogs}\nfilter: "+c.filter+"\ncustom: {owner: blake, reason: It is ours, until: 2027-01-01}\n")
			linked, err := sigma.Except(append(parse(t, "rules.yml", rule), filters...))
			require.NoError(t, err)
			report := checker(t).Check(linked)[0]
			t.Log(report)
			require.Equal(t, c.state, report.State)
			for i := range report.Remarks {
				require.Contains(t, report.Remarks[i].Reason, c.reason)
				report.Remarks[i].Reason, report.Remarks[i].Instead = "", nil
			}
			if c.want != nil || c.state == Fine {
				require.Equal(t, c.want, report.Remarks)
			}
		})
	}
}
