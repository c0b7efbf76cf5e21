package sigma

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"cordon/internal/record"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const excepted = `title: Our provisioning
id: 22222222-0000-4000-8000-000000000001
name: our-provisioning
date: 2026-01-10
logsource: {product: azure, service: auditlogs}
filter:
  rules: [something]
  selection:
    actor: provisioning
  condition: not selection
custom:
  owner: blake@contoso.example
  reason: The identity team's service makes these changes all day
  until: 2026-12-31
`

func parsed(t require.TestingT, text string) []*Rule {
	rules, err := Parse("a.yml", strings.NewReader(text), Lists{"ours": {"a", "b"}})
	require.NoError(t, err)
	return rules
}

func TestASoundFilter(t *testing.T) {
	rules, err := Except(parsed(t, sound+"---\n"+correlated+"---\n"+excepted))
	require.NoError(t, err)
	require.Len(t, rules, 2, "filters are no rules")
	require.Len(t, rules[0].Exceptions, 1)
	f := rules[0].Exceptions[0]
	require.Empty(t, rules[1].Exceptions)
	require.Equal(t, "our-provisioning", f.Name)
	require.Equal(t, "a.yml", f.File)
	require.Equal(t, 26, f.Line)
	require.Equal(t, "blake@contoso.example", f.Owner)
	require.Equal(t, "The identity team's service makes these changes all day", f.Reason)
	require.Equal(t, time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC), f.Until, "a date is its first moment")
	require.Equal(t, "not selection", f.Condition())
	require.Len(t, f.Clauses(), 1)

	again, err := Except(rules)
	require.NoError(t, err)
	require.Equal(t, rules, again)
	require.Len(t, again[0].Exceptions, 1)

	for text, want := range map[string]int{
		strings.Replace(excepted, "[something]", "[11111111-0000-4000-8000-000000000001]", 1):      1,
		strings.Replace(excepted, "[something]", "any", 1):                                         1,
		strings.Replace(excepted, "2026-12-31", "'2026-12-31T18:00:00+01:00'", 1):                  1,
		strings.Replace(excepted, "date: 2026-01-10", "modified: 2026-12-01", 1):                   1,
		strings.Replace(strings.Replace(excepted, "date: 2026-01-10\n", "", 1), "2026", "2099", 1): 1,
	} {
		rules, err := Except(parsed(t, sound+"---\n"+text))
		require.NoError(t, err)
		require.Len(t, rules[0].Exceptions, want, text)
	}
}

func suppressed(f *Filter, at time.Time, e given) bool { return f.Suppresses(seen{&f.search, e}, at) }

func TestWhatAFilterSuppresses(t *testing.T) {
	one := func(condition string) *Filter {
		text := strings.Replace(excepted, "condition: not selection", "condition: "+condition, 1)
		rules, err := Except(parsed(t, sound+"---\n"+text))
		require.NoError(t, err)
		return rules[0].Exceptions[0]
	}
	before := time.Date(2026, 12, 30, 23, 59, 59, 0, time.UTC)
	f := one("not selection")
	for name, c := range map[string]struct {
		e    given
		at   time.Time
		want bool
	}{
		"its own":            {given{"actor": has("provisioning")}, before, true},
		"another's":          {given{"actor": has("avery")}, before, false},
		"nobody's":           {given{}, before, false},
		"not known":          {given{"actor": record.Values{Unknown: true}}, before, false},
		"as it ends":         {given{"actor": has("provisioning")}, f.Until, false},
		"just before":        {given{"actor": has("provisioning")}, f.Until.Add(-1), true},
		"long after it":      {given{"actor": has("provisioning")}, f.Until.AddDate(1, 0, 0), false},
		"before it was made": {given{"actor": has("provisioning")}, before.AddDate(-9, 0, 0), true},
	} {
		require.Equal(t, c.want, f.Suppresses(seen{&f.search, c.e}, c.at), name)
	}
	// A condition without `not` says what is left, as the specification has it: absence is no proof there either.
	f = one("selection")
	require.False(t, f.Suppresses(seen{&f.search, given{"actor": has("provisioning")}}, before))
	require.True(t, f.Suppresses(seen{&f.search, given{"actor": has("avery")}}, before))
	require.False(t, f.Suppresses(seen{&f.search, given{}}, before))
	// What looks for an empty field cannot prove anything.
	empty := strings.Replace(excepted, "actor: provisioning", "actor: ''", 1)
	rules, err := Except(parsed(t, sound+"---\n"+empty))
	require.NoError(t, err)
	require.False(t, suppressed(rules[0].Exceptions[0], before, given{}))
	// A list that nobody has set makes no rule silent.
	unset := strings.Replace(excepted, "actor: provisioning", "actor|expand: '%nobodys%'", 1)
	rules, err = Except(parsed(t, sound+"---\n"+unset))
	require.NoError(t, err)
	require.Equal(t, []string{"nobodys"}, rules[0].Exceptions[0].Placeholders())
	require.False(t, suppressed(rules[0].Exceptions[0], before, given{"actor": has("provisioning")}))
	require.False(t, suppressed(rules[0].Exceptions[0], before, given{}))
}

// Each change of a sound filter is refused with its place and what was expected there.
func TestMalformedFilters(t *testing.T) {
	for name, c := range map[string]struct{ old, new, line, want string }{
		"no title":               {"title: Our provisioning\n", "", "1", "a filter needs a title"},
		"no logsource":           {"logsource: {product: azure, service: auditlogs}\n", "", "1", "a filter needs a logsource"},
		"another logsource":      {"product: azure", "product: windows", "5", `logsource product "windows": only azure and m365 are read`},
		"no custom":              {excepted[strings.Index(excepted, "custom:"):], "", "1", "a filter needs custom.owner: who answers for it"},
		"no owner":               {"  owner: blake@contoso.example\n", "", "12", "a filter needs custom.owner: who answers for it"},
		"a blank owner":          {"blake@contoso.example", "' '", "12", "a filter needs custom.owner"},
		"no reason":              {"  reason: The identity team's service makes these changes all day\n", "", "12", "a filter needs custom.reason: why what it suppresses is harmless"},
		"no end":                 {"  until: 2026-12-31\n", "", "12", "a filter needs custom.until: the day on which it ends, such as 2026-12-31"},
		"an end in words":        {"2026-12-31", "next year", "14", `until "next year" is no date such as 2026-12-31`},
		"no such day":            {"2026-12-31", "2026-02-30", "14", `until "2026-02-30" is no date`},
		"a far end":              {"2026-12-31", "2027-01-12", "14", "until 2027-01-12 is more than 366 days after date 2026-01-10: look at it again before"},
		"an end before":          {"2026-12-31", "2026-01-10", "14", "until 2026-01-10 is not after date 2026-01-10"},
		"a date in words":        {"date: 2026-01-10", "date: today", "4", `date "today" is no date such as 2026-01-31`},
		"modified long ago":      {"date: 2026-01-10", "date: 2026-12-01\nmodified: 2025-12-01", "15", "more than 366 days after modified 2025-12-01"},
		"no rules":               {"  rules: [something]\n", "", "7", "a filter needs rules: a list of names or ids, or any"},
		"an empty list":          {"[something]", "[]", "7", "rules are a list of names or ids, or any"},
		"one name":               {"[something]", "something", "7", "rules are a list of names or ids, or any"},
		"an empty name":          {"[something]", "['']", "7", "a rule is named by its name or its id"},
		"a name twice":           {"[something]", "[something, something]", "7", `rule "something" is listed twice`},
		"rules twice":            {"  selection:", "  rules: any\n  selection:", "8", "a filter has one list of rules"},
		"no condition":           {"  condition: not selection\n", "", "7", "a filter needs a condition, such as not selection"},
		"an empty condition":     {"condition: not selection", "condition:", "7", "a filter needs a condition, such as not selection"},
		"several conditions":     {"condition: not selection", "condition: [not selection, selection]", "10", "a filter has one condition"},
		"a condition of another": {"not selection", "not other", "10", `there is no search named "other"`},
		"no selection":           {"  selection:\n    actor: provisioning\n", "", "7", "a filter needs a selection"},
		"an unknown modifier":    {"actor: p", "actor|sounds: p", "9", `unknown modifier "sounds"`},
		"no mapping":             {excepted[strings.Index(excepted, "filter:"):strings.Index(excepted, "custom:")], "filter: [a]\n", "6", "filter is a mapping of rules, searches and a condition"},
		"a level":                {"filter:", "level: high\nfilter:", "6", `unknown key "level"`},
		"a detection":            {"filter:", "detection: {s: {a: b}, condition: s}\nfilter:", "6", "a filter has no detection: its searches and its condition stand under filter"},
		"a correlation":          {"filter:", "correlation: {type: temporal}\nfilter:", "6", "a filter has no correlation"},
		"a mode":                 {"  owner", "  mode: off\n  owner", "12", `unknown key "mode"; expected one of owner, reason, until`},
		"an owner that is many":  {"blake@contoso.example", "[a, b]", "12", "cannot unmarshal"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, excepted, c.old)
			_, err := Parse("bad.yml", strings.NewReader(strings.Replace(excepted, c.old, c.new, 1)), nil)
			require.Error(t, err)
			require.True(t, strings.HasPrefix(err.Error(), "bad.yml:"+c.line+": "), err)
			require.Contains(t, err.Error(), c.want)
		})
	}
	_, err := Parse("bad.yml", strings.NewReader(strings.Replace(sound, "kind: role", "mode: loud", 1)), nil)
	require.EqualError(t, err, `bad.yml:13: mode "loud" is none of off, audit, on`)
}

func TestFiltersOfRulesThatAreNotThere(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"an unknown rule": {"[something]", "[something, nothing]", `a.yml:32: filter our-provisioning names rule "nothing", which is not there`},
		"a correlation":   {"[something]", "[often]", "a.yml:32: filter our-provisioning names often, which is a correlation: a filter speaks of single records, so name the rules that it counts: something"},
		"by name and id":  {"[something]", "[something, 11111111-0000-4000-8000-000000000001]", "a.yml:32: filter our-provisioning names rule something twice, by name and by id"},
		"other records":   {"service: auditlogs", "service: signinlogs", "a.yml:32: filter our-provisioning names rule something, which looks at AuditLogs; the filter's logsource stands for SignInLogs, NonInteractiveUserSignInLogs"},
		"a rule's name":   {"name: our-provisioning", "name: something", "a.yml:26: something is already defined in a.yml:1"},
		"any of none":     {"service: auditlogs}\nfilter:\n  rules: [something]", "service: signinlogs}\nfilter:\n  rules: any", "a.yml:32: filter our-provisioning is for any rule, and none looks at SignInLogs"},
		"itself":          {"[something]", "[our-provisioning]", `names rule "our-provisioning", which is not there`},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, excepted, c.old)
			_, err := Except(parsed(t, sound+"---\n"+correlated+"---\n"+strings.Replace(excepted, c.old, c.new, 1)))
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := Except(parsed(t, sound+"---\n"+excepted+"---\n"+excepted))
	require.ErrorContains(t, err, "our-provisioning is already defined in a.yml:16")
}

// randomSearches writes searches and a condition over them, as below detection or filter.
func randomSearches(r *rand.Rand, prefix string) (searches, condition string) {
	names, means := []string{}, map[string]func(given) three{}
	for _, letter := range []string{"a", "b", "c"} {
		name := prefix + letter
		one := randomTest(r)
		var values []string
		for _, v := range one.values {
			values = append(values, "'"+v+"'")
		}
		list := "[" + strings.Join(values, ", ") + "]"
		if one.values == nil {
			list = "null"
		}
		searches += fmt.Sprintf("  %s:\n    '%s': %s\n", name, one.key, list)
		names, means[name] = append(names, name), one.holds
	}
	var form string
	for form == "" || strings.Contains(form, "them") || strings.Contains(form, "Them") || strings.Contains(form, "_") {
		form, _ = randomCondition(r, names, means, 2)
	}
	return searches, form
}

// A filter leaves the rule's own truth alone; it suppresses a match where, and only where, the rule and the filter
// joined with `and` are false for what the record says.
func TestAFilterOnlySuppresses(t *testing.T) {
	const head = "title: t\nname: t\nlogsource: {product: azure, service: auditlogs}\n"
	suppressed, kept := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2))
		for range 20 {
			own, condition := randomSearches(r, "own")
			others, exception := randomSearches(r, "filter")
			alone := parsed(t, head+"detection:\n"+own+"  condition: "+condition+"\n")[0]
			joined := parsed(t, head+"detection:\n"+own+others+"  condition: ("+condition+") and ("+exception+")\n")[0]
			filter := strings.Replace(head, "name: t", "name: x", 1) + "filter:\n  rules: [t]\n" + others + "  condition: " + exception + "\ncustom: {owner: o, reason: r, until: 2026-12-31}\n"
			rules, err := Except(parsed(t, head+"detection:\n"+own+"  condition: "+condition+"\n---\n"+filter))
			require.NoError(t, err)
			f := rules[0].Exceptions[0]
			for range 10 {
				e := randomEvent(r)
				truth := alone.matches(e)
				require.Equal(t, truth, rules[0].matches(e), "the rule says what it said")
				require.False(t, f.Suppresses(seen{&f.search, e}, f.Until), "it has ended")
				if !truth.Holds() {
					continue
				}
				suppresses := f.Suppresses(seen{&f.search, e}, f.Until.Add(-1))
				require.Equal(t, joined.matches(e) == False, suppresses, "%s\n%s\n%v", condition, filter, e)
				if suppresses {
					suppressed++
				} else {
					kept++
				}
			}
		}
	})
	require.Positive(t, suppressed)
	require.Positive(t, kept)
}
