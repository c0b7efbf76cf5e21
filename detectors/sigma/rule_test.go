package sigma

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const sound = `title: Something happened
id: 11111111-0000-4000-8000-000000000001
name: something
tags: [attack.persistence, attack.t1098.003]
logsource: {product: azure, service: auditlogs}
detection:
  s:
    f: x
  condition: s
falsepositives: [Nothing]
level: high
custom:
  kind: role
  says: "{actor} did it"
`

const correlated = `title: Often
name: often
correlation:
  type: value_count
  rules: [something]
  group-by: [actor.id]
  timespan: 20m
  condition: {field: f, gte: 5}
level: high
`

func TestASoundRule(t *testing.T) {
	rules, err := Parse("a.yml", strings.NewReader(sound+"---\n"+correlated), nil)
	require.NoError(t, err)
	require.Len(t, rules, 2)
	require.Equal(t, []string{"T1098.003"}, rules[0].Techniques)
	require.Equal(t, []string{"AuditLogs"}, rules[0].Categories)
	require.Equal(t, "role", rules[0].Custom.Kind)
	require.Equal(t, &Correlation{Type: "value_count", Rules: []string{"something"}, GroupBy: []string{"actor.id"}, Timespan: 20 * time.Minute, Field: "f", AtLeast: 5}, rules[1].Correlation)
	require.Equal(t, 16, rules[1].Line)

	rules, err = Parse("a.yml", strings.NewReader(strings.Replace(correlated, "gte: 5", "gt: 5", 1)), nil)
	require.NoError(t, err)
	require.Equal(t, 6, rules[0].Correlation.AtLeast)
}

// Each change of a sound rule is refused with its place and what was expected there.
func TestMalformedRules(t *testing.T) {
	for name, c := range map[string]struct{ of, old, new, line, want string }{
		"unknown modifier":            {sound, "f: x", "f|regex: x", "8", `unknown modifier "regex" of field f; supported are contains, startswith, endswith, all, exists, expand`},
		"unknown modifier of exists":  {sound, "f: x", "f|exists|bogus: true", "8", `modifier exists of field f stands alone`},
		"modifiers that exclude":      {sound, "f: x", "f|contains|endswith: x", "8", "exclude each other"},
		"exists of something":         {sound, "f: x", "f|exists: maybe", "8", "exists takes true or false"},
		"no field":                    {sound, "f: x", "'|contains': x", "8", "needs a field name"},
		"a mapping as a value":        {sound, "f: x", "f: {g: x}", "8", "a value of field f is a text, a number, true, false or null"},
		"no value":                    {sound, "f: x", "f: []", "8", "field f needs a value"},
		"undefined search":            {sound, "condition: s", "condition: s and other", "9", `there is no search named "other"`},
		"undefined pattern":           {sound, "condition: s", "condition: 1 of x_*", "9", `no search is named like "x_*"`},
		"nothing behind not":          {sound, "condition: s", "condition: s and not", "9", "a search is missing at the end"},
		"no closing bracket":          {sound, "condition: s", "condition: (s", "9", "a closing bracket is missing"},
		"what does not belong":        {sound, "condition: s", "condition: s s", "9", `"s" does not belong here`},
		"a pipe, as old rules have":   {sound, "condition: s", "condition: s | count() > 5", "9", `"|" does not belong here`},
		"a bottomless condition":      {sound, "condition: s", "condition: " + strings.Repeat("(", 5000) + "s", "9", "nested too deeply"},
		"bottomless nots":             {sound, "condition: s", "condition: " + strings.Repeat("not ", 5000) + "s", "9", "nested too deeply"},
		"no condition":                {sound, "  condition: s\n", "", "7", "detection needs a condition"},
		"a search twice":              {sound, "  condition: s", "  s: {g: x}\n  condition: s", "9", `search "s" is already defined`},
		"an empty search":             {sound, "    f: x", "    {}", "8", "a search needs at least one field"},
		"unknown level":               {sound, "level: high", "level: grave", "11", `level "grave" is none of informational, low, medium, high, critical`},
		"unknown level of privileged": {strings.Replace(sound, "level: high\n", "", 1), "kind: role", "privileged-level: grave", "12", `level "grave" is none of`},
		"unknown kind":                {sound, "kind: role", "kind: rolle", "13", `kind "rolle" is none of sign-in, method`},
		"unknown principal":           {sound, "kind: role", "principal: targett", "13", `principal "targett" is none of actor, target, tenant`},
		"actor of another rule":       {correlated, "level: high", "level: high\ncustom: {principal: actor of nobody}", "10", "nobody is no rule of this correlation"},
		"unknown key":                 {sound, "level: high", "lvl: high", "11", `unknown key "lvl"; expected one of title, id, name`},
		"unknown key of custom":       {sound, "kind: role", "knid: role", "13", `unknown key "knid"`},
		"unknown key of logsource":    {sound, "service: auditlogs", "service: auditlogs, servcie: x", "5", `unknown key "servcie"`},
		"no logsource":                {sound, "logsource: {product: azure, service: auditlogs}\n", "", "1", "a rule needs a logsource"},
		"unsupported product":         {sound, "azure", "windows", "5", `logsource product "windows": only azure is read`},
		"no title":                    {sound, "title: Something happened", "status: test", "1", "a rule needs a title"},
		"no rule":                     {sound, sound, "[1]", "1", "a rule is a mapping"},
		"an empty document":           {sound, sound, "---\n...\n", "2", "a rule is a mapping"},
		"tags that are no list":       {sound, "tags: [attack.persistence, attack.t1098.003]", "tags: {a: b}", "4", "cannot unmarshal"},
		"a threshold in words":        {correlated, "gte: 5", "gte: five", "8", "cannot unmarshal !!str"},
		"bad timespan":                {correlated, "20m", "20 minutes", "7", `timespan "20 minutes" is not a number with s, m, h or d`},
		"no timespan":                 {correlated, "  timespan: 20m\n", "", "4", "a correlation needs a timespan"},
		"no rules":                    {correlated, "  rules: [something]\n", "", "4", "a correlation needs rules"},
		"unknown correlation":         {correlated, "value_count", "event_count", "4", `correlation type "event_count": value_count and temporal are supported`},
		"unknown key of correlation":  {correlated, "group-by", "groupby", "6", `unknown key "groupby"`},
		"a condition without field":   {correlated, "field: f, ", "", "8", "needs a condition with field and gte"},
		"an unsupported condition":    {correlated, "gte: 5", "lte: 5", "8", `unknown key "lte"`},
		"temporal with one rule":      {correlated, "value_count", "temporal", "4", "temporal needs two rules or more"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, c.of, c.old)
			_, err := Parse("bad.yml", strings.NewReader(strings.Replace(c.of, c.old, c.new, 1)), nil)
			require.Error(t, err)
			require.True(t, strings.HasPrefix(err.Error(), "bad.yml:"+c.line+": "), err)
			require.Contains(t, err.Error(), c.want)
		})
	}
}

func TestBrokenYAML(t *testing.T) {
	_, err := Parse("bad.yml", strings.NewReader(strings.Replace(sound, "level: high", "level: [", 1)), nil)
	require.ErrorContains(t, err, "bad.yml: yaml: line 1") // where the parser of YAML noticed
}

func TestBrokenLists(t *testing.T) {
	_, err := ParseLists("lists.yml", strings.NewReader("a: [1\n"))
	require.ErrorContains(t, err, "lists.yml: ")
	l, err := ParseLists("lists.yml", strings.NewReader(""))
	require.NoError(t, err)
	require.Empty(t, l)
}

// Whatever the file says: rules or an error with its name, no panic.
func FuzzParse(f *testing.F) {
	f.Add(sound)
	f.Add(correlated)
	f.Add("---\n---\n")
	f.Add("title: &a [*a]\n")
	f.Add(strings.Replace(sound, "f: x", "f|contains|all: [a, '*?\\\\']", 1))
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := Parse("f.yml", strings.NewReader(text), Lists{"l": nil})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f.yml:") {
				t.Fatalf("an error without its place: %v", err)
			}
			return
		}
		for _, r := range rules {
			if r.Correlation == nil {
				r.Match(given{"f": has("x")})
			}
		}
	})
}
