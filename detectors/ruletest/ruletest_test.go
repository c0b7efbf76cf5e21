package ruletest

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

const (
	rule = "title: R\nname: r\nlogsource: {product: azure, service: auditlogs}\ndetection:\n  s: {operationName: Add user, result: success}\n  not-us: {actor.upn: us@contoso.example}\n  condition: s and not not-us\nlevel: low\ncustom: {says: \"{actor} added {target}\"}\n"
	test = `fires:
  - why: somebody does
    records:
      - {time: "2026-03-02T08:10:05Z", category: AuditLogs, tenantId: t, operationName: Add user, properties: {id: "1", activityDateTime: "2026-03-02T08:10:05Z", result: success, initiatedBy: {user: {id: u1, userPrincipalName: a@contoso.example}}, targetResources: [{type: User, id: u2}]}}
quiet:
  - {why: it failed, set: {0.properties.result: failure}}
unconfirmed:
  - {why: nobody is named, set: {0.properties.initiatedBy: {}}}
`
)

func run(t *testing.T, text string) (Result, error) {
	t.Helper()
	return Run(fstest.MapFS{"a/r.yml": {Data: []byte(rule)}, "a/r.test.yml": {Data: []byte(text)}})
}

func TestWhatPasses(t *testing.T) {
	result, err := run(t, test)
	require.NoError(t, err)
	require.Len(t, result.Cases, 3)
	for _, c := range result.Cases {
		require.NoError(t, c.Err, c.Kind)
		require.Equal(t, []string{"r"}, c.Rules)
	}
	require.Zero(t, result.Failed())
	require.Empty(t, result.Untested)
}

// A proof that proves nothing says so.
func TestWhatFails(t *testing.T) {
	for change, want := range map[[2]string]string{
		{"result: success, init", "result: failure, init"}:                    "r did not fire",
		{"{user: {id: u1, userPrincipalName: a@contoso.example}}", "{}"}:      "r fired for want of a field alone",
		{"targetResources: [{type: User, id: u2}]", "targetResources: []"}:    "the sentence is not complete: a@contoso.example added unknown",
		{"0.properties.result: failure", "0.properties.id: \"2\""}:            "r fired",
		{"0.properties.result: failure", "0.properties.none: \"2\""}:          "there is no 0.properties.none to change",
		{"0.properties.result: failure", "0.properties.targetResources.1: x"}: "there is no 0.properties.targetResources.1 to change",
		{"{0.properties.result: failure}", "{}"}:                              "a quiet record differs in one field",
		{"why: it failed,", "why: it failed, of: 1,"}:                         "there is no firing example 1",
		{"0.properties.initiatedBy: {}", "0.properties.result: failure"}:      "r did not fire",
		{"0.properties.initiatedBy: {}", "0.properties.id: \"2\""}:            "the finding is not unconfirmed",
		{"category: AuditLogs, tenantId: t", "tenantId: t"}:                   "record 0: ",
		{"why: it failed,", "why: it failed, rule: rr,"}:                      `there is no rule "rr"`,
	} {
		text := strings.Replace(test, change[0], change[1], 1)
		if strings.HasPrefix(want, "record 0") {
			text = strings.Replace(text, `activityDateTime: "2026-03-02T08:10:05Z", `, "", 1)
		}
		require.NotEqual(t, test, text)
		result, err := run(t, text)
		require.NoError(t, err)
		var said []string
		for _, c := range result.Cases {
			if c.Err != nil {
				said = append(said, c.Err.Error())
			}
		}
		require.Contains(t, strings.Join(said, "\n"), want, change[1])
	}
}

// Of several rules a case says which it is about, by name or by id, and it is one that raises findings.
func TestACaseNamesItsRule(t *testing.T) {
	rules := "id: 0000-1\n" + rule + "---\n" + strings.NewReplacer("title: R", "title: S", "name: r", "name: s").Replace(rule) + "---\n" +
		strings.NewReplacer("title: R", "title: Base", "name: r", "name: base").Replace(rule) +
		"---\ntitle: Often\nname: often\nlevel: low\ncorrelation: {type: event_count, rules: [base], timespan: 5m, condition: {gte: 2}}\n"
	for named, want := range map[string]string{"": "name the rule: the file beside it has 3 that raise findings", "rule: base, ": "base raises no finding of its own", "rule: 0000-1, ": "", "rule: s, ": ""} {
		firing := "  - " // with the rule's line before the others
		if named != "" {
			firing += strings.TrimSuffix(named, ", ") + "\n    "
		}
		text := strings.NewReplacer("{why", "{"+named+"why", "  - why: somebody does", firing+"why: somebody does").Replace(test)
		result, err := Run(fstest.MapFS{"a/r.yml": {Data: []byte(rules)}, "a/r.test.yml": {Data: []byte(text)}})
		require.NoError(t, err, named)
		for _, c := range result.Cases {
			if want == "" {
				require.NoError(t, c.Err, named)
			} else {
				require.ErrorContains(t, c.Err, want, named)
			}
		}
	}
}

func TestFilesThatAreNoTests(t *testing.T) {
	for text, want := range map[string]string{test + "---\nfires: []\n": "a test is one document", "fire: []": "a/r.test.yml: ", "fires: [": "a/r.test.yml: ", strings.Repeat("#", maxFile+1): "more than"} {
		_, err := run(t, text)
		require.ErrorContains(t, err, want)
	}
	result, err := run(t, "")
	require.NoError(t, err)
	require.Equal(t, []string{"r"}, result.Untested)
}
