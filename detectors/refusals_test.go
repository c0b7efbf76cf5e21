package detectors

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"cordon/internal/directory"
	"github.com/stretchr/testify/require"
)

// What is wrong with a folder of rules is said with file, line and what was expected, whichever step finds it.
func TestWhatIsWrongWithRulesIsSaid(t *testing.T) {
	single := strings.TrimPrefix(failed, "---\n") // seven lines without its first
	with := func(old, now string) string { return strings.Replace(single, old, now, 1) }
	many := "title: Many\nname: many\ncorrelation:\n  type: event_count\n  rules: [failed]\n  group-by: [actor.id]\n  timespan: 5m\n  condition: {gte: 3}\n"
	for name, c := range map[string]struct{ text, place, want string }{
		"bad YAML":                   {with("title: Failed", "title: [Failed"), "bad.yml:", "a rule is YAML"},
		"unknown modifier":           {with("|neq", "|regex"), "bad.yml:5:", `unknown modifier "regex"`},
		"undefined selection":        {with("condition: s", "condition: s and other"), "bad.yml:5:", `there is no search named "other"`},
		"unbalanced brackets":        {with("condition: s", "condition: ((s)"), "bad.yml:5:", "a closing bracket is missing"},
		"giant expression":           {with("|neq: 0", "|re: "+strings.Repeat("x", 5000)), "bad.yml:5:", "4096 bytes at most"},
		"look-around":                {with("|neq: 0", "|re: '(?<!a)b'"), "bad.yml:5:", "without look-around"},
		"wrong type":                 {with("title: Failed", "title: {a: b}"), "bad.yml:1:", "cannot unmarshal"},
		"unknown key":                {with("logsource:", "log-source:"), "bad.yml:4:", `unknown key "log-source"; expected logsource`},
		"unknown service":            {with("signinlogs", "syslog"), "bad.yml:4:", "those that have one are"},
		"duplicate name":             {single + failed, "bad.yml:7:", "rule failed is already defined in bad.yml:1"},
		"duplicate id":               {single + strings.Replace(failed, "name: failed", "name: other", 1), "bad.yml:7:", "already that of rule failed in bad.yml:1"},
		"bad timespan":               {single + "---\n" + strings.Replace(many, "5m", "five minutes", 1), "bad.yml:13:", "a number with s, m, h, d"},
		"unknown correlation":        {single + "---\n" + strings.Replace(many, "event_count", "event_cont", 1), "bad.yml:10:", "is none of event_count"},
		"a rule that is not":         {single + "---\n" + strings.Replace(many, "[failed]", "[faild]", 1), "bad.yml:7:", `refers to rule "faild", which is not there`},
		"cyclic correlation":         {single + "---\n" + strings.Replace(many, "[failed]", "[failed, many]", 1), "bad.yml:7:", "refer to each other"},
		"an alias of a stranger":     {single + "---\n" + strings.Replace(many, "timespan", "aliases: {a: {x: f}}\n  timespan", 1), "bad.yml:13:", `alias a names "x", which is no rule of this correlation`},
		"an alias that says nothing": {single + "---\n" + strings.Replace(many, "timespan", "aliases: {actor.id: {}}\n  timespan", 1), "bad.yml:13:", "alias actor.id says nothing of rule failed"},
		"an alias said twice":        {single + "---\n" + strings.Replace(many, "timespan", "aliases: {actor.id: {failed: f, 11111111-0000-4000-8000-00000000000A: g}}\n  timespan", 1), "bad.yml:13:", "alias actor.id says twice, by name and by id, which field of rule failed it is"},
		"an actor of a stranger":     {single + "---\n" + many + "custom: {principal: actor of nobody}\n", "bad.yml:7:", `principal of correlation many: "nobody" is no rule of it`},
		"impossible threshold":       {single + "---\n" + strings.Replace(many, "gte: 3", "gte: 3, lt: 2", 1), "bad.yml:14:", "no count meets the condition"},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := Load(fstest.MapFS{"bad.yml": {Data: []byte(c.text)}})
			if err == nil {
				_, err = NewEngine(all, directory.New())
			}
			require.ErrorContains(t, err, c.place)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// What is hidden is no rule; every broken file says what is wrong with it; a folder without rules is a mistake.
func TestFoldersOfRules(t *testing.T) {
	good := strings.TrimPrefix(failed, "---\n")
	folder := fstest.MapFS{"r.yml": {Data: []byte(good)}}
	for _, hidden := range []string{".#r.yml", ".git/x.yml", "..data/r.yml", "sub/.github/workflows/ci.yml"} {
		folder[hidden] = &fstest.MapFile{Data: []byte("on: push")}
	}
	all, err := Load(folder)
	require.NoError(t, err)
	require.Len(t, all, 1)

	for n := range maxBroken + 3 {
		folder[fmt.Sprintf("broken/%03d.yml", n)] = &fstest.MapFile{Data: []byte(strings.Replace(good, "condition: s", "condition: t", 1))}
	}
	_, err = Load(folder)
	require.ErrorContains(t, err, "broken/000.yml:5: ")
	require.ErrorContains(t, err, fmt.Sprintf("broken/%03d.yml:5: ", maxBroken-1))
	require.ErrorContains(t, err, "and 3 more files")

	_, err = Load(fstest.MapFS{"R.txt": {Data: []byte(good)}, "r.test.yml": {}})
	require.ErrorContains(t, err, "there are none: expected files that end in .yml or .yaml")
}
