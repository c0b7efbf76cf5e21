package sigma

import (
	"math"
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

var summed = strings.Replace(correlated, "value_count", "value_sum", 1)

func TestASoundRule(t *testing.T) {
	rules, err := Parse("a.yml", strings.NewReader(sound+"---\n"+correlated), nil)
	require.NoError(t, err)
	require.Len(t, rules, 2)
	require.Equal(t, []string{"T1098.003"}, rules[0].Techniques)
	require.Equal(t, []string{"AuditLogs"}, rules[0].Categories)
	require.Equal(t, "role", rules[0].Custom.Kind)
	require.Equal(t, &Correlation{Type: "value_count", Rules: []string{"something"}, GroupBy: []string{"actor.id"}, Timespan: 20 * time.Minute, Fields: []string{"f"},
		Range: Range{Least: 5, Most: math.MaxInt}}, rules[1].Correlation)
	require.Equal(t, 16, rules[1].Line)

	rules, err = Parse("a.yml", strings.NewReader(strings.Replace(correlated, "gte: 5", "gt: 5", 1)), nil)
	require.NoError(t, err)
	require.Equal(t, 6, rules[0].Correlation.Range.Least)
}

// Each change of a sound rule is refused with its place and what was expected there.
func TestMalformedRules(t *testing.T) {
	for name, c := range map[string]struct{ of, old, new, line, want string }{
		"unknown modifier":            {sound, "f: x", "f|regex: x", "8", `unknown modifier "regex" of field f; supported are contains, startswith, endswith, all, exists, expand`},
		"unknown modifier of exists":  {sound, "f: x", "f|exists|bogus: true", "8", `modifier exists of field f stands alone`},
		"modifiers that exclude":      {sound, "f: x", "f|contains|endswith: x", "8", "exclude each other"},
		"exists of something":         {sound, "f: x", "f|exists: maybe", "8", "exists takes true or false"},
		"no field":                    {sound, "f: x", "'|gt': 5", "8", "needs a field name"},
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
		"a timeframe, as old rules":   {sound, "  condition: s", "  timeframe: 5m\n  condition: s", "9", "a count within a time is a correlation"},
		"an empty search":             {sound, "    f: x", "    {}", "8", "a search needs at least one field"},
		"unknown level":               {sound, "level: high", "level: grave", "11", `level "grave" is none of informational, low, medium, high, critical`},
		"unknown level of privileged": {strings.Replace(sound, "level: high\n", "", 1), "kind: role", "privileged-level: grave", "12", `level "grave" is none of`},
		"unknown kind":                {sound, "kind: role", "kind: rolle", "13", `kind "rolle" is none of sign-in, method`},
		"unknown principal":           {sound, "kind: role", "principal: targett", "13", `principal "targett" is none of actor, target, tenant`},
		"unknown key":                 {sound, "level: high", "levle: high", "11", `unknown key "levle"; expected level`},
		"unknown key of custom":       {sound, "kind: role", "knid: role", "13", `unknown key "knid"`},
		"unknown key of logsource":    {sound, "service: auditlogs", "service: auditlogs, servcie: x", "5", `unknown key "servcie"`},
		"no logsource":                {sound, "logsource: {product: azure, service: auditlogs}\n", "", "1", "a rule needs a logsource"},
		"no title":                    {sound, "title: Something happened", "status: test", "1", "a rule needs a title"},
		"no rule":                     {sound, sound, "[1]", "1", "a rule is a mapping"},
		"an empty document":           {sound, sound, "---\n...\n", "2", "a rule is a mapping"},
		"tags that are no list":       {sound, "tags: [attack.persistence, attack.t1098.003]", "tags: {a: b}", "4", "cannot unmarshal"},
		"a threshold in words":        {correlated, "gte: 5", "gte: five", "8", `gte takes a whole number, not "five"`},
		"no timespan":                 {correlated, "  timespan: 20m\n", "", "4", "a correlation needs a timespan"},
		"an unknown service":          {sound, "auditlogs", "firewall", "5", `logsource "firewall" of product azure has no decoder; those that have one are auditlogs, pim`},
		"an unknown product":          {sound, "azure", "windows", "5", `logsource product "windows": only azure and m365 are read`},
		"services without a record":   {sound, "service: auditlogs", "service: auditlogs, category: signinlogs", "5", "have no record in common"},
		"a modifier twice":            {sound, "f: x", "f|all|all: x", "8", `modifier "all" of field f stands there twice`},
		"a flag without re":           {sound, "f: x", "f|i: x", "8", `modifier "i" of field f belongs behind re`},
		"an encoding behind":          {sound, "f: x", "f|contains|base64: x", "8", `modifier "base64" of field f belongs before contains`},
		"an encoded wildcard":         {sound, "f: x", "f|base64: x*", "8", "base64 takes no wildcard"},
		"an encoded nothing":          {sound, "f: x", "f|wide: ''", "8", "wide takes a text"},
		"a giant expression":          {sound, "f: x", "f|re: " + strings.Repeat("x", 5000), "8", "a regular expression has 4096 bytes at most"},
		"an expression that explodes": {sound, "f: x", "f|re: '(((a{30}){30}){30}){30}'", "8", "expected a regular expression"},
		"an expression that is large": {sound, "f: x", "f|re: '(abcdefghij){500}'", "8", "the regular expression is too large"},
		"look-ahead":                  {sound, "f: x", "f|re: '(?=a)b'", "8", "without look-around or back-references"},
		"a back-reference":            {sound, "f: x", `f|re: '(a)\1'`, "8", "without look-around or back-references"},
		"an unclosed expression":      {sound, "f: x", "f|re: '(a'", "8", "missing closing )"},
		"no network":                  {sound, "f: x", "f|cidr: 10.0.0.300/8", "8", "cidr takes a network such as 10.0.0.0/8"},
		"no number":                   {sound, "f: x", "f|gte: many", "8", `gte of field f takes a number, not "many"`},
		"no number of a date":         {sound, "f: x", "f|hour: noon", "8", `hour of field f takes a number, not "noon"`},
		"null compared":               {sound, "f: x", "f|contains: null", "8", "null of field f takes no modifier that compares"},
		"null as a keyword":           {sound, "    f: x", "    - null", "8", "null of a keyword"},
		"a reference to nothing":      {sound, "f: x", "f|fieldref: ''", "8", "fieldref of field f takes the name of a field"},
		"a reference of an encoding":  {sound, "f: x", "f|base64|fieldref: g", "8", "modifier fieldref of field f goes with"},
		"cased numbers":               {sound, "f: x", "f|cased|gt: 5", "8", `modifiers "cased" and "gt" exclude each other`},
		"an endless value":            {sound, "f: x", "f: " + strings.Repeat("x", 40_000), "8", "a value of field f has 32768 bytes at most"},
		"dashes without end":          {sound, "f: x", "f|windash|base64: -a-b-c-d-e", "8", "takes 4 dashes at most"},
		"a field twice":               {sound, "f: x", "f: x\n    f: y", "9", "f is already tested in line 8"},
		"a list in a search":          {sound, "    f: x", "    - [a]", "8", "a member of a search is a mapping of fields or a keyword"},
		"an anchor that holds itself": {sound, "f: x", "f: &a [*a]", "8", "nested too deeply, or an anchor that holds itself"},
		"a merge of no mapping":       {sound, "f: x", "<<: x", "8", "<< takes a mapping, or a list of mappings"},
		"a modifier that is missing":  {sound, "f: x", "f|: x", "8", `a modifier is missing behind "f|"`},
		"generate, and not":           {strings.Replace(correlated, "level: high", "generate: false", 1), "timespan: 20m", "timespan: 20m\n  generate: true", "10", "generate stands in the correlation too, and says the opposite"},
		"a field of counts, twice":    {correlated, "field: f", "field: f, field: g", "8", "field stands in line 8 already"},
		"a bound of sums, twice":      {summed, "gte: 5", "gte: 5, gte: 7", "8", "gte stands in line 8 already"},
		"no sum is left":              {summed, "gte: 5", "gt: 5, lt: 2", "8", "no number meets the condition"},
		"no sum between":              {summed, "gte: 5", "gt: 5, lte: 5", "8", "no number meets the condition"},
		"only documents of nothing":   {sound, sound, "---\n---\n", "3", "a rule is a mapping"},
		"a condition that is null":    {sound, "condition: s", "condition:", "9", "detection needs a condition"},
		"conditions, one of them bad": {sound, "condition: s", "condition: [s, t]", "9", `there is no search named "t"`},
		"both":                        {sound, "level: high", "correlation: {type: event_count}", "7", "a detection or a correlation, not both"},
		"event_count of nothing":      {correlated, "value_count", "event_count", "8", "unknown key \"field\""},
		"unknown correlation":         {correlated, "value_count", "value_percentile", "4", `correlation type "value_percentile" is none of event_count, value_count, value_sum, value_avg, temporal, temporal_ordered`},
		"a fraction of a record":      {correlated, "gte: 5", "gte: 2.5", "8", `gte takes a whole number, not "2.5"`},
		"a bound twice":               {correlated, "gte: 5", "gte: 5, gte: 1", "8", "gte stands in line 8 already"},
		"no count is left":            {correlated, "gte: 5", "gte: 2, lte: 2, neq: 2", "8", "no count meets the condition"},
		"a sum that is no number":     {summed, "gte: 5", "gte: many", "8", `gte takes a number of 30 digits at most, not "many"`},
		"a sum without end":           {summed, "gte: 5", "gte: 1e999999999", "8", "gte takes a number of 30 digits at most"},
		"a sum of two fields":         {summed, "field: f", "field: [f, g]", "8", "value_sum needs a condition with one field and one of"},
		"a sum of nothing":            {summed, "field: f, ", "", "8", "value_sum needs a condition with one field and one of"},
		"temporal with one rule":      {strings.Replace(correlated, "  condition: {field: f, gte: 5}\n", "", 1), "value_count", "temporal", "4", "temporal needs two rules or more"},
		"more rules than there are":   {correlated, "value_count\n  rules: [something]", "temporal\n  rules: [a, b]", "8", "unknown key \"field\""},
		"a rule listed twice":         {correlated, "[something]", "[something, something]", "5", `rule "something" is listed twice`},
		"an alias of no field":        {correlated, "timespan: 20m", "timespan: 20m\n  aliases: {a: {something: ''}}", "8", "alias a needs a field of rule something"},
		"no count at all":             {correlated, "gte: 5", "gte: 5, lt: 3", "8", "no count meets the condition"},
		"an impossible count":         {correlated, "gte: 5", "gte: -1", "8", "a count of -1 never is"},
		"no operator":                 {correlated, ", gte: 5", "", "8", "a condition needs one of gt, gte"},
		"bad timespan":                {correlated, "20m", "20 minutes", "7", `timespan "20 minutes" is not a number with s, m, h, d, w, M or y`},
		"an endless timespan":         {correlated, "20m", "900000d", "7", "longer than a year"},
		"a condition without field":   {correlated, "field: f, ", "", "8", "needs a condition with field and one of"},
		"no rules":                    {correlated, "  rules: [something]\n", "", "4", "a correlation needs rules"},
		"unknown key of correlation":  {correlated, "group-by", "groupby", "6", `unknown key "groupby"`},
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

// What the specification, its schema or other rules write in another way.
func TestOtherWaysOfWriting(t *testing.T) {
	parsed := func(of, old, now string) *Rule {
		t.Helper()
		require.Contains(t, of, old)
		all, err := Parse("r.yml", strings.NewReader(strings.Replace(of, old, now, 1)), nil)
		require.NoError(t, err)
		require.Len(t, all, 1)
		return all[0]
	}
	require.True(t, parsed(correlated, "level: high", "generate: true").Correlation.Generate)
	require.True(t, parsed(correlated, "level: high", "generate: false").Correlation.Silences)
	require.Equal(t, []string{"something"}, parsed(correlated, "[something]", "something").Correlation.Rules)
	require.Equal(t, []string{"actor.id"}, parsed(correlated, "[actor.id]", "actor.id").Correlation.GroupBy)
	require.Equal(t, []string{"Unlikely"}, parsed(correlated, "level: high", "falsepositives: Unlikely").FalsePositives)
	require.Equal(t, []string{"Nothing"}, parsed(sound, "level: high", "owner: soc\nmaturity: {stage: 3}").FalsePositives, "keys of somebody's own")
	require.Equal(t, []string{"AuditLogs"}, parsed(sound, "service: auditlogs", "service: auditlogs, vendor: Microsoft").Categories)
	all, err := Parse("r.yml", strings.NewReader("---\n"+sound+"---\n"), nil)
	require.NoError(t, err)
	require.Len(t, all, 1, "separators before and behind")
}

func TestAliasesOfYAML(t *testing.T) {
	event := given{"f": has("x"), "g": has("y")}
	for detection, want := range map[string]Truth{
		"s: &s {f: x}\nt: *s\ncondition: s and t":                           True,
		"s: {f: &v x}\nt: {g: *v}\ncondition: s and t":                      False,
		"s: &s {f: x, g: z}\nt: {<<: *s, g: y}\ncondition: t":               True,
		"s: &s {f: x}\nu: &u {f: z, g: y}\nt: {<<: [*s, *u]}\ncondition: t": True,
		"s: &s [{f: z}, {g: y}]\nt: *s\ncondition: t":                       True,
	} {
		require.Equal(t, want, rule(t, detection).matches(event), detection)
	}
	bomb := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 8 {
		name, of := string(rune('b'+i)), string(rune('a'+i))
		bomb += name + ": &" + name + " [*" + of + strings.Repeat(", *"+of, 9) + "]\n"
	}
	_, err := Parse("bad.yml", strings.NewReader(strings.Replace(sound, "level: high\n", bomb, 1)), nil)
	require.ErrorContains(t, err, "the aliases of a document stand for 200000 values at most")
}

func TestHiddenSearches(t *testing.T) {
	const searches = "_h: {f: a}\nsel: {g: b}\n_my_sel: {f: c}\n"
	for condition, want := range map[string]Truth{"all of *": True, "1 of *": True, "all of them": True, "1 of *sel": True, "all of *sel": True, "1 of _*": False, "all of _*": False} {
		require.Equal(t, want, rule(t, searches+"condition: "+condition).matches(given{"f": has("z"), "g": has("b")}), condition)
	}
}

func TestBrokenYAML(t *testing.T) {
	_, err := Parse("bad.yml", strings.NewReader(strings.Replace(sound, "level: high", "level: [", 1)), nil)
	require.ErrorContains(t, err, "bad.yml:10: a rule is YAML: ") // where the parser of YAML noticed
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
	f.Add(sound + "---\n" + excepted)
	f.Add(strings.Replace(excepted, "[something]", "any", 1))
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
		if linked, err := Except(rules); err == nil {
			rules = linked
		} else if !strings.HasPrefix(err.Error(), "f.yml:") {
			t.Fatalf("an error without its place: %v", err)
		}
		for _, r := range rules {
			for _, f := range r.Exceptions {
				suppressed(f, f.Until.Add(-1), given{"f": has("x")})
			}
			if r.Correlation == nil {
				r.matches(given{"f": has("x")})
				r.explained(given{"f": has("x")})
				r.Possible(func(Clause) Truth { return True })
			}
		}
	})
}
