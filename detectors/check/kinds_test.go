package check

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rule is a rule of one search.
func rule(source, search string) string {
	return fmt.Sprintf("title: T\nname: t\nlogsource: {product: azure, service: %s}\ndetection:\n  s:\n    %s\n  condition: s\n", source, strings.ReplaceAll(search, "\n", "\n    "))
}

func TestEachKindOfRemark(t *testing.T) {
	c := checker(t)
	for name, tt := range map[string]struct {
		source, search string
		state          State
		kind, reason   string
		instead        string
	}{
		"a real operation":                   {"auditlogs", "operationName: Add member to role", Fine, "", "", ""},
		"spelt as the log does":              {"auditlogs", "operationName: 'Update application – Certificates and secrets management '", Fine, "", "", ""},
		"a family of names":                  {"auditlogs", "operationName: 'DSR Export: MFA.x'", Fine, "", "", ""},
		"a part of a name":                   {"auditlogs", "operationName|contains: something new", Fine, "", "", ""},
		"a name that is known not to be":     {"auditlogs", "properties.message: add member FROM group", Impossible, NeverMatches, "a mixture of two operations", "Add member to group"},
		"a name that is cut short":           {"auditlogs", "properties.message: Remove eligible member (permanent)", Impossible, NeverMatches, "abbreviated", "Remove eligible member from role in PIM completed (permanent)"},
		"a name nobody knows":                {"auditlogs", "operationName: Frobnicate the tenant", Doubtful, UnknownValue, "no such operation of AuditLogs is known; if records bear it, add it to vocabulary.yml", ""},
		"a slip":                             {"auditlogs", "operationName: Add membr to role", Doubtful, UnknownValue, `"Add member to role" differs by a slip`, "Add member to role"},
		"other small words":                  {"auditlogs", "operationName: Add member of role", Doubtful, UnknownValue, "differs by a slip", "Add member to role"},
		"one of two":                         {"auditlogs", "operationName: [Add member to role, Add member from group]", Doubtful, "", "", ""},
		"two operations in one":              {"auditlogs", "operationName|contains|all: [Disable account, Delete device]", Impossible, NeverMatches, "none holds all", ""},
		"parts of one":                       {"auditlogs", "operationName|contains|all: [Add, member to role]", Fine, "", "", ""},
		"a category of another log":          {"auditlogs", "Category: Administrative\noperationName: Add member to role", Impossible, NeverMatches, `"Administrative" is a category of Azure Activity`, ""},
		"an operation of Azure in AuditLogs": {"auditlogs", "operationName: Action", Impossible, NeverMatches, "an operation's last part", ""},
		"into a list of key and value":       {"auditlogs", "additionalDetails.userAgent: curl\noperationName: Add user", Impossible, NeverMatches, "it has no member userAgent", "additionalDetails.key"},
		"its keys":                           {"auditlogs", "additionalDetails.key: User-Agent", Fine, "", "", ""},
		"a modified property as a field":     {"auditlogs", "ConsentContext.OnBehalfOfAll: 'true'", Impossible, NeverMatches, "the name of a modified property", "consent.admin"},
		"a type with a blank":                {"auditlogs", "targetResources.type: Service Principal", Impossible, NeverMatches, "without a blank", "ServicePrincipal"},
		"the word for a name":                {"auditlogs", "Initiatedby: UPN", Impossible, NeverMatches, "never the word UPN", ""},
		"a result that is none":              {"auditlogs", "result: succes\noperationName: Delete policy", Doubtful, UnknownValue, "differs by a slip", "success"},
		"an alert of PIM":                    {"pim", "riskEventType: staleSignInAlertIncident", Impossible, NeverMatches, "diagnostic settings export no such record", "Triggered PIM alert"},
		"a risk event in AuditLogs":          {"pim", "riskEventType: passwordSpray", Impossible, NeverMatches, "a type of risk event", ""},
		"a risk event":                       {"riskdetection", "riskEventType: passwordspray", Fine, "", "", ""},
		"a risk event nobody knows":          {"riskdetection", "riskEventType: passwordShower", Doubtful, UnknownValue, "no such type of risk event is known", "passwordSpray"},
		"a code in words":                    {"signinlogs", "ResultType: Failure", Impossible, NeverMatches, "it is a number", ""},
		"a code":                             {"signinlogs", "ResultType: 53003", Fine, "", "", ""},
		"part of a code in words":            {"signinlogs", "ResultType|startswith: AADSTS", Impossible, NeverMatches, "it is a number", ""},
		"a text that says nothing":           {"signinlogs", "ResultType: 50057\nResultDescription: Failure", Impossible, NeverMatches, "the text explains the error", ""},
		"an id that is none":                 {"signinlogs", "appId: Azure CLI", Impossible, NeverMatches, "it is a GUID", ""},
		"the only operation":                 {"signinlogs", "operationName: Sign-ins\nResultType: 1", Impossible, NeverMatches, "the only one is Sign-in activity", ""},
		"part of the only operation":         {"signinlogs", "operationName|contains: logon", Impossible, NeverMatches, "the only one is Sign-in activity", ""},
		"a field that is misspelt":           {"signinlogs", "AuthenticationRequirment: x", Doubtful, UnknownField, "has a field of this name", "AuthenticationRequirement"},
		"audit in Azure Activity":            {"activitylogs", "properties.message: Delete device", Impossible, NeverMatches, "an operation of AuditLogs", ""},
		"no path":                            {"activitylogs", "operationName: Elevate access", Impossible, NeverMatches, "such as Microsoft.Authorization/roleAssignments/write", ""},
		"a sentence":                         {"activitylogs", "properties.message: Something was moved", Fine, "", "", ""},
		"wide":                               {"auditlogs", "operationName: Update application", Wide, TooWide, "fires on every one", ""},
		"wide with what goes with it":        {"auditlogs", "operationName: [Update user, Set Partnership]\nCategory: UserManagement\nresult: success", Wide, TooWide, "fires on every one", ""},
		"narrowed":                           {"auditlogs", "operationName: Update application\ntargetResources.modifiedProperties.displayName: AppAddress", Fine, "", "", ""},
		"a failure is not ordinary":          {"auditlogs", "operationName: Update application\nresult: failure", Fine, "", "", ""},
		"every sign-in":                      {"signinlogs", "ResultType: 0", Wide, TooWide, "fires on every one", ""},
		"wide in Azure":                      {"activitylogs", "operationName|startswith: MICROSOFT.NETWORK/VIRTUALNETWORKS/", Wide, TooWide, "fires on every one", ""},
		"a modifier that is not judged":      {"signinlogs", "ResultType|exists: true\nuserAgent: curl", Fine, "", "", ""},
		"several at once":                    {"signinlogs", "riskEventTypes_v2|contains|all: [unfamiliarFeatures, anonymizedIPAddress]", Fine, "", "", ""},
		"not what never is":                  {"auditlogs", "operationName: Set Partnership\nConsentContext.IsAdminConsent|neq: 'true'", Fine, Dead, "the name of a modified property", ""},
		"what never is, and exists":          {"auditlogs", "operationName: Set Partnership\nConsentContext.IsAdminConsent|exists: true", Impossible, NeverMatches, "the name of a modified property", ""},
		"what never is, and exists not":      {"auditlogs", "operationName: Set Partnership\nConsentContext.IsAdminConsent|exists: false", Fine, Dead, "the name of a modified property", ""},
		"all keywords":                       {"auditlogs", "'|all': [Add user, svc-evil]", Fine, "", "", ""},
		"a keyword":                          {"auditlogs", "'|contains': [Add user, svc-evil]", Wide, TooWide, "fires on every one", ""},
		"wide but for its letters":           {"auditlogs", "operationName|cased: add USER", Fine, "", "", ""},
		"inactive":                           {"auditlogs", "actor.upn|expand: '%admins%'", Inactive, Unset, "no list is named admins", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "one of two" {
				tt.state, tt.kind, tt.reason = Fine, Dead, "a mixture of two operations"
			}
			reports := c.Check(parse(t, "r.yml", rule(tt.source, tt.search)))
			require.Len(t, reports, 1)
			require.Equal(t, tt.state, reports[0].State, "%+v", reports[0].Remarks)
			if tt.kind == "" {
				require.Empty(t, reports[0].Remarks)
				return
			}
			m := reports[0].Remarks[0]
			require.Equal(t, tt.kind, m.Kind)
			require.Contains(t, m.Reason, tt.reason)
			require.NotZero(t, m.Line)
			if tt.instead != "" {
				require.Contains(t, m.Instead, tt.instead)
			}
			require.Equal(t, tt.kind != TooWide && tt.kind != Unset, reports[0].Wrong())
		})
	}
}

// What cannot be counts only where the rule rests on it.
func TestConditions(t *testing.T) {
	c := checker(t)
	for condition, state := range map[string]State{"never": Impossible, "never or real": Fine, "real and not never": Fine, "not never": Fine, "real and never": Impossible, "1 of *": Fine, "all of them": Impossible} {
		text := "title: T\nname: t\nlogsource: {product: azure, service: auditlogs}\ndetection:\n  never: {operationName: Add member from group}\n  real: {operationName: Set Partnership}\n  condition: " + condition + "\n"
		report := c.Check(parse(t, "r.yml", text))[0]
		if state == Fine { // `not never` alone holds for everyday work
			require.Contains(t, []State{Fine, Wide}, report.State, condition)
			require.Equal(t, Dead, report.Remarks[0].Kind)
			continue
		}
		require.Equal(t, state, report.State, condition)
	}
}

func TestCorrelationsRestOnTheirRules(t *testing.T) {
	never := rule("auditlogs", "operationName: Add member from group")
	real := strings.Replace(rule("auditlogs", "operationName: Update application"), "name: t", "name: u", 1)
	correlation := func(kind, rules, condition string) string {
		return fmt.Sprintf("title: C\nname: c\ncorrelation: {type: %s, rules: [%s], group-by: [actor.id], timespan: 1h%s}\n", kind, rules, condition)
	}
	for text, state := range map[string]State{
		correlation("temporal", "t, u", ""):                                           Impossible,
		correlation("value_count", "t, u", ", condition: {field: target.id, gte: 2}"): Fine,
		correlation("value_count", "t", ", condition: {field: target.id, gte: 2}"):    Impossible,
	} {
		reports := checker(t).Check(parse(t, "r.yml", never+"---\n"+real+"---\n"+text))
		require.Equal(t, state, reports[2].State)
	}
	reports := checker(t).Check(parse(t, "r.yml", never+"---\n"+real+"---\n"+correlation("temporal", "t, u", "")))
	require.Equal(t, Fine, reports[1].State, "what only serves a correlation may be wide")
}

// A name that no record has groups nothing, and is mostly a slip.
func TestCorrelationsAskForFieldsThatAreThere(t *testing.T) {
	signIns := strings.Replace(rule("signinlogs", "ResultType: 50126"), "name: t", "name: u", 1)
	for over, want := range map[string]struct {
		state State
		kind  string
		says  string
	}{
		"{type: event_count, rules: [u], group-by: [ipAddress], timespan: 1h, condition: {gte: 2}}":                                   {Fine, "", ""},
		"{type: event_count, rules: [u], group-by: [actor.id], timespan: 1h, condition: {gte: 2}}":                                    {Fine, "", ""},
		"{type: event_count, rules: [u], group-by: [ipAdress], timespan: 1h, condition: {gte: 2}}":                                    {Doubtful, UnknownField, "ipAddress"},
		"{type: value_count, rules: [u], group-by: [actor.id], timespan: 1h, condition: {field: userPrincipelName, gte: 2}}":          {Doubtful, UnknownField, "userPrincipalName"},
		"{type: event_count, rules: [u], aliases: {who: {u: userPrincipelName}}, group-by: [who], timespan: 1h, condition: {gte: 2}}": {Doubtful, UnknownField, "userPrincipalName"},
		"{type: event_count, rules: [u], aliases: {who: {u: userPrincipalName}}, group-by: [who], timespan: 1h, condition: {gte: 2}}": {Fine, "", ""},
	} {
		reports := checker(t).Check(parse(t, "r.yml", signIns+"---\ntitle: C\nname: c\ncorrelation: "+over+"\n"))
		require.Equal(t, want.state, reports[1].State, over)
		if want.kind != "" {
			require.Equal(t, want.kind, reports[1].Remarks[0].Kind, over)
			require.Contains(t, reports[1].Remarks[0].Instead, want.says, over)
		}
	}
	audit := strings.Replace(rule("auditlogs", "operationName: Update application"), "name: t", "name: u", 1)
	over := "---\ntitle: C\nname: c\ncorrelation: {type: event_count, rules: [u], group-by: [additionalDetails.userAgent], timespan: 1h, condition: {gte: 2}}\n"
	reports := checker(t).Check(parse(t, "r.yml", audit+over))
	require.Equal(t, Impossible, reports[1].State, "a list of key and value has no such member")
	require.Equal(t, Dead, reports[1].Remarks[0].Kind)
	require.Contains(t, reports[1].Remarks[1].Reason, "rests on u, whose records never have what it groups by or counts")
}

func TestLike(t *testing.T) {
	for _, c := range []struct {
		how    string
		all    bool
		values []string
		text   string
		want   bool
	}{
		{"", false, []string{"a", "B"}, "b", true},
		{"", false, []string{"a*c"}, "abbc", true},
		{"", false, []string{"a?c"}, "ac", false},
		{"contains", true, []string{"b", "c"}, "abc", true},
		{"contains", true, []string{"b", "d"}, "abc", false},
		{"startswith", false, []string{"ab"}, "abc", true},
		{"endswith", false, []string{"ab"}, "abc", false},
	} {
		require.Equal(t, c.want, matches(c.how, c.all, c.values, c.text), c)
	}
}
