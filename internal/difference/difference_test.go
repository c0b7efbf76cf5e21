package difference

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cordon/internal/finding"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var morning = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func TestRequestsAreChecked(t *testing.T) {
	many := map[string]string{}
	for n := range MaxFiles + 1 {
		many[fmt.Sprint(n, ".yml")] = ""
	}
	file := func(names ...string) Request {
		files := map[string]string{}
		for _, name := range names {
			files[name] = "x"
		}
		return Request{Since: morning, Files: files}
	}
	const hostile = "expected a path of plain names"
	for says, requests := range map[string][]Request{
		"since: expected a time":        {{}},
		"since lies at or after until":  {{Since: morning, Until: morning}},
		"limit: expected":               {{Since: morning, Limit: -1}, {Since: morning, Limit: MaxLimit + 1}},
		"tenant: expected an id":        {{Since: morning, Tenant: strings.Repeat("x", 300)}},
		"there are no rules":            {file()},
		"5001 rule files":               {{Since: morning, Files: many}},
		"bytes together":                {{Since: morning, Files: map[string]string{"a.yml": strings.Repeat("x", MaxBytes), "b.yml": "x"}}},
		`"a.yml" stands where a folder`: {file("a.yml", "a.yml/b.yml")},
		hostile: {file("../a.yml"), file("/etc/a.yml"), file("a/../../b.yml"), file(`..\a.yml`), file("a//b.yml"), file("./a.yml"), file("a.yml\x00"), file("a\n.yml"), file(""),
			file("a.txt"), file("a.test.yml"), file(".git/a.yml"), file("C:/a.yml"), file(strings.Repeat("a/", 9) + "a.yml"), file(strings.Repeat("a", 300) + ".yml"), file("\u202egnp.yml")},
	} {
		for _, r := range requests {
			err := r.Check()
			require.ErrorContains(t, err, says)
			require.IsType(t, &Refusal{}, err)
		}
	}
	require.NoError(t, file("lists.yml", "fields.yml", "signin/password-spray.yml", "a b/c (2).yaml").Check())
}

func FuzzCheck(f *testing.F) {
	f.Add("a/b.yml", "x")
	f.Add("../b.yml", "x")
	f.Fuzz(func(t *testing.T, name, text string) {
		if (Request{Since: morning, Files: map[string]string{name: text}}).Check() == nil {
			require.NotContains(t, "/"+name+"/", "/../")
			require.False(t, strings.HasPrefix(name, "/"))
		}
	})
}

func found(id, level string, revision int, change ...func(*finding.Finding)) finding.Finding {
	rule, _, _ := strings.Cut(id, "/")
	f := finding.Finding{ID: id, Rule: rule, Level: level, Revision: revision, Time: morning, Count: 1, Principal: finding.Principal{Home: "t", ID: "p"}}
	for _, c := range change {
		c(&f)
	}
	return f
}

func side(all ...finding.Finding) *Side {
	s := NewSide(morning.Add(-time.Hour), morning.Add(time.Hour))
	s.Add(all)
	return s
}

func TestWhatDiffers(t *testing.T) {
	unconfirmed := func(f *finding.Finding) { f.Unconfirmed = true }
	withdrawn := func(f *finding.Finding) { f.Withdrawn = "why" }
	at := func(d time.Duration) func(*finding.Finding) {
		return func(f *finding.Finding) { f.Time = morning.Add(d) }
	}
	one := found("r/1", "low", 1)
	for name, c := range map[string]struct {
		before, after []finding.Finding
		want          string
	}{
		"nothing":                 {[]finding.Finding{one}, []finding.Finding{one}, ""},
		"another revision":        {[]finding.Finding{one}, []finding.Finding{found("r/1", "low", 7)}, ""},
		"come":                    {nil, []finding.Finding{one}, "+"},
		"gone":                    {[]finding.Finding{one}, nil, "-"},
		"level":                   {[]finding.Finding{one}, []finding.Finding{found("r/1", "high", 1)}, "~level"},
		"an older revision":       {[]finding.Finding{one}, []finding.Finding{found("r/1", "low", 2), found("r/1", "high", 1)}, ""},
		"confirmation":            {[]finding.Finding{found("r/1", "low", 1, unconfirmed)}, []finding.Finding{one}, "~unconfirmed"},
		"count":                   {[]finding.Finding{one}, []finding.Finding{found("r/1", "low", 1, func(f *finding.Finding) { f.Count = 2 })}, "~count"},
		"principal":               {[]finding.Finding{one}, []finding.Finding{found("r/1", "low", 1, func(f *finding.Finding) { f.Principal.ID = "q" })}, "~principal"},
		"principal in capitals":   {[]finding.Finding{one}, []finding.Finding{found("r/1", "low", 1, func(f *finding.Finding) { f.Principal.ID = "P" })}, ""},
		"withdrawn":               {[]finding.Finding{one}, []finding.Finding{one, found("r/1", "low", 2, withdrawn)}, "-"},
		"withdrawn before":        {[]finding.Finding{found("r/1", "low", 2, withdrawn)}, []finding.Finding{one}, "+"},
		"withdrawn on one alone":  {[]finding.Finding{found("r/1", "low", 2, withdrawn)}, nil, ""},
		"before the period":       {nil, []finding.Finding{found("r/1", "low", 1, at(-time.Hour-1))}, ""},
		"at its beginning":        {nil, []finding.Finding{found("r/1", "low", 1, at(-time.Hour))}, "+"},
		"at its end":              {nil, []finding.Finding{found("r/1", "low", 1, at(time.Hour))}, ""},
		"moved out of the period": {nil, []finding.Finding{one, found("r/1", "low", 2, at(-2*time.Hour))}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			rules, changes, left := Compare(side(c.before...), side(c.after...), 10)
			require.Zero(t, left)
			got := ""
			for _, change := range changes {
				got += change.Sign + strings.Join(change.Differs, ",")
			}
			require.Equal(t, c.want, got)
			require.Equal(t, c.want == "", (&Report{Rules: rules}).Same())
		})
	}
}

func TestARuleWithTooManyFindingsIsLeftOut(t *testing.T) {
	s := side()
	s.most = 10
	s.Add([]finding.Finding{found("narrow/1", "high", 1)})
	for n := range 50 {
		s.Add([]finding.Finding{found(fmt.Sprint("wide/", n), "low", 1)})
	}
	rules, changes, _ := Compare(side(), s, 10)
	require.Len(t, changes, 1)
	require.Equal(t, []Rule{{Rule: "narrow", After: 1, Added: 1}, {Rule: "wide", TooMany: true}}, rules)
	_, changes, _ = Compare(side(found("wide/1", "low", 1)), s, 10)
	require.Len(t, changes, 1, "it counts as neither come nor gone")
}

func TestTheOrderOfFindingsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var before, after []finding.Finding
		for n := range rapid.IntRange(0, 12).Draw(t, "findings") {
			f := found(fmt.Sprintf("r%d/%d", n%3, n), rapid.SampledFrom(finding.Levels).Draw(t, "level"), 1)
			switch rapid.IntRange(0, 3).Draw(t, "where") {
			case 0:
				before = append(before, f)
			case 1:
				after = append(after, f)
			case 2:
				before, after = append(before, f), append(after, f)
			default:
				before, after = append(before, f), append(after, found(f.ID, "high", 2))
			}
		}
		limit := rapid.IntRange(1, 12).Draw(t, "limit")
		rules, changes, left := Compare(side(before...), side(after...), limit)
		rules2, changes2, left2 := Compare(side(rapid.Permutation(before).Draw(t, "b")...), side(rapid.Permutation(after).Draw(t, "a")...), limit)
		require.Equal(t, rules, rules2)
		require.Equal(t, changes, changes2)
		require.Equal(t, left, left2)
		n := 0
		for _, r := range rules {
			n += r.Added + r.Removed + r.Changed
		}
		require.Equal(t, n, len(changes)+left)
	})
}

// What opens incidents and what is recorded alone are not the same, though the records are.
func TestModesAndExceptionsMakeADifference(t *testing.T) {
	on := of(finding.Finding{ID: "r/t/1", Rule: "r"})
	require.Equal(t, []string{"mode"}, on.differs(of(finding.Finding{ID: "r/t/1", Rule: "r", Mode: finding.Audit})))
	require.Equal(t, []string{"suppressed"}, on.differs(of(finding.Finding{ID: "r/t/1", Rule: "r", Suppressed: "ours"})))
	require.Empty(t, on.differs(on))
}
