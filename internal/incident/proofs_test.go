package incident

import (
	"slices"
	"testing"
	"time"

	"cordon/internal/finding"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// proof is a finding of a kind with one record of its own.
func proof(id, kind string, change ...func(*finding.Finding)) finding.Finding {
	f := finding.Finding{ID: id, Kind: kind, Level: "high", Time: start, Actor: principal(),
		Proof: []finding.Proof{{Record: "record of " + id, Correlation: "correlation of " + id}}}
	for _, c := range change {
		c(&f)
	}
	return f
}

func TestIndependence(t *testing.T) {
	record := func(r, c string) func(*finding.Finding) {
		return func(f *finding.Finding) {
			f.Proof = append(f.Proof, finding.Proof{Record: r, Correlation: c})
		}
	}
	act := func(target, operation string, minutes int) func(*finding.Finding) {
		return func(f *finding.Finding) {
			f.Targets = []finding.Object{{ID: target, Operation: operation}}
			f.Time = start.Add(time.Duration(minutes) * time.Minute)
		}
	}
	stranger := func(f *finding.Finding) { f.Actor.ID = "somebody else" }
	for name, c := range map[string]struct {
		a, b finding.Finding
		want bool
	}{
		"apart in all":               {proof("a", "sign-in"), proof("b", "method"), true},
		"of one kind":                {proof("a", "role"), proof("b", "role"), false},
		"share a record":             {proof("a", "role", record("r", "x")), proof("b", "account", record("r", "y")), false},
		"share a correlation id":     {proof("a", "role", record("r", "x")), proof("b", "account", record("s", "x")), false},
		"no correlation id to share": {proof("a", "role", record("r", "")), proof("b", "account", record("s", "")), true},
		"one act":                    {proof("a", "role", act("T", "Add", 0)), proof("b", "account", act("t", "add", 10)), false},
		"one act, other order":       {proof("a", "role", act("t", "add", 10)), proof("b", "account", act("t", "add", 0)), false},
		"the same act later":         {proof("a", "role", act("t", "add", 0)), proof("b", "account", act("t", "add", 11)), true},
		"another operation":          {proof("a", "role", act("t", "add", 0)), proof("b", "account", act("t", "remove", 0)), true},
		"another target":             {proof("a", "role", act("t", "add", 0)), proof("b", "account", act("u", "add", 0)), true},
		"another actor":              {proof("a", "role", act("t", "add", 0)), proof("b", "account", act("t", "add", 0), stranger), true},
	} {
		require.Equal(t, c.want, Independent(c.a, c.b), name)
		require.Equal(t, c.want, Independent(c.b, c.a), name+", turned round")
	}
}

func TestProofs(t *testing.T) {
	low := func(f *finding.Finding) { f.Level = "low" }
	medium := func(f *finding.Finding) { f.Level = "medium" }
	unconfirmed := func(f *finding.Finding) { f.Unconfirmed = true }
	withdrawn := func(f *finding.Finding) { f.Withdrawn = "a revision contradicts it" }
	decisive := func(f *finding.Finding) { f.Decisive = true }
	for name, c := range map[string]struct {
		findings    []finding.Finding
		proofs      int
		independent int
		decisive    bool
	}{
		"none":                            {},
		"two kinds":                       {[]finding.Finding{proof("a", "sign-in"), proof("b", "method", medium)}, 2, 2, false},
		"a low one does not count":        {[]finding.Finding{proof("a", "sign-in"), proof("b", "account", low)}, 1, 1, false},
		"low ones alone":                  {[]finding.Finding{proof("a", "sign-in", low)}, 0, 0, false},
		"unconfirmed alone":               {[]finding.Finding{proof("a", "sign-in", unconfirmed), proof("b", "method", unconfirmed)}, 0, 0, false},
		"unconfirmed beside a confirmed":  {[]finding.Finding{proof("a", "sign-in", unconfirmed), proof("b", "method")}, 2, 2, false},
		"unconfirmed beside a low one":    {[]finding.Finding{proof("a", "sign-in", unconfirmed), proof("b", "account", low)}, 0, 0, false},
		"withdrawn":                       {[]finding.Finding{proof("a", "sign-in", withdrawn), proof("b", "method")}, 1, 1, false},
		"beside a withdrawn confirmed":    {[]finding.Finding{proof("a", "sign-in", unconfirmed), proof("b", "method", withdrawn)}, 0, 0, false},
		"decisive":                        {[]finding.Finding{proof("a", "grant", decisive)}, 1, 1, true},
		"decisive but unconfirmed":        {[]finding.Finding{proof("a", "grant", decisive, unconfirmed)}, 0, 0, false},
		"decisive but withdrawn":          {[]finding.Finding{proof("a", "grant", decisive, withdrawn)}, 0, 0, false},
		"three, two of them of one kind":  {[]finding.Finding{proof("a", "role"), proof("b", "role"), proof("c", "grant")}, 3, 2, false},
		"the first in the way of nothing": {[]finding.Finding{proof("a", "role"), proof("b", "role"), proof("c", "grant"), proof("d", "policy")}, 4, 3, false},
	} {
		i := &Incident{Findings: c.findings}
		require.Len(t, i.Proofs(), c.proofs, name)
		require.Equal(t, c.independent, i.IndependentProofs(), name)
		require.Equal(t, c.decisive, i.Decisive(), name)
	}
}

func TestTheLargestIndependentSetIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := &Incident{}
		for n := range rapid.IntRange(0, 7).Draw(t, "findings") {
			kind := rapid.SampledFrom([]string{"role", "grant", "method", "sign-in", "policy"}).Draw(t, "kind")
			i.Findings = append(i.Findings, proof(string(rune('a'+n)), kind, func(f *finding.Finding) {
				f.Proof[0].Record = rapid.SampledFrom([]string{"1", "2", "3", "4", "5"}).Draw(t, "record")
			}))
		}
		most := 0
		for subset := range 1 << len(i.Findings) {
			var set []finding.Finding
			fits := true
			for n, f := range i.Findings {
				if subset&(1<<n) != 0 {
					fits = fits && !slices.ContainsFunc(set, func(g finding.Finding) bool { return !Independent(f, g) })
					set = append(set, f)
				}
			}
			if fits {
				most = max(most, len(set))
			}
		}
		require.Equal(t, min(most, 2), min(i.IndependentProofs(), 2), "the verdict asks for two")
		require.LessOrEqual(t, i.IndependentProofs(), most)
	})
}

func TestSeverity(t *testing.T) {
	medium := func(f *finding.Finding) { f.Level = "medium" }
	withdrawn := func(f *finding.Finding) { f.Withdrawn, f.Level = "x", "critical" }
	i := &Incident{Findings: []finding.Finding{proof("a", "role", medium), proof("b", "role", withdrawn)}, Verdict: Suspicious}
	require.Equal(t, "medium", i.Severity())
	i.Verdict = Compromised
	require.Equal(t, "critical", i.Severity())
}

func TestChildrenAndCredentialsAreTheActorsOwnSinceT0(t *testing.T) {
	child := func(id string) func(*finding.Finding) {
		return func(f *finding.Finding) { f.Targets = []finding.Object{{ID: id, Child: true}} }
	}
	i := &Incident{Principal: principal(), T0: start, Findings: []finding.Finding{
		proof("a", "account", child("mine")),
		proof("b", "account", child("mine")),
		proof("c", "account", child("before"), func(f *finding.Finding) { f.Time = start.Add(-time.Second) }),
		proof("d", "account", child("another's"), func(f *finding.Finding) { f.Actor.ID = "x" }),
		proof("e", "account", child("withdrawn"), func(f *finding.Finding) { f.Withdrawn = "x" }),
		proof("f", "credential", func(f *finding.Finding) { f.Targets = []finding.Object{{ID: "app", KeyIDs: []string{"k1", "k2"}}} }),
	}}
	require.Equal(t, []finding.Object{{ID: "mine", Child: true}}, i.Children())
	require.Equal(t, []finding.Object{{ID: "app", KeyIDs: []string{"k1"}}, {ID: "app", KeyIDs: []string{"k2"}}}, i.Credentials())
}
