package playbooks

import (
	"testing"

	"cordon/internal/finding"
	"cordon/internal/incident"
	"github.com/stretchr/testify/require"
)

const disable = "contain:\n  - do: user.disable\n    approve: auto\n"

func suppressed(f *finding.Finding) { f.Suppressed = "our-scanner" }
func audited(f *finding.Finding)    { f.Mode = finding.Audit }

func TestWhatIsInAuditOrSuppressedOpensNothingAndProvesNothing(t *testing.T) {
	s := ready(t, disable)
	id := s.ordinary(0)
	subject := s.join(id, audited)
	s.join(id, suppressed)
	s.join(id, suppressed, audited)
	s.quiet()
	require.Nil(t, s.current(subject))
	require.True(t, s.enabled(id))

	s.join(id, func(f *finding.Finding) { f.Decisive = false })
	s.quiet()
	i := s.current(subject)
	require.Len(t, i.Findings, 1, "what was quiet before is not taken along")
	require.Equal(t, "finding-4", i.Findings[0].ID)
	require.Equal(t, incident.Suspicious, i.Verdict)

	s.join(id, audited)
	s.join(id, suppressed)
	s.quiet()
	require.Len(t, s.current(subject).Findings, 1, "nor does it join later")
	require.Equal(t, incident.Suspicious, s.current(subject).Verdict)
	require.True(t, s.enabled(id))
}

func TestARevisionThatIsSuppressedNoLongerCounts(t *testing.T) {
	s := ready(t, disable)
	for n, how := range []func(*finding.Finding){suppressed, audited} {
		id := s.ordinary(n)
		var f finding.Finding
		subject := s.join(id, how, func(g *finding.Finding) { f = *g })
		s.quiet()
		require.Nil(t, s.current(subject))
		f.Revision, f.Suppressed, f.Mode = 1, "", ""
		s.publish(f)
		s.step(subject, "contain.1", incident.Verified)
		require.False(t, s.enabled(id))
		require.Len(t, s.current(subject).Findings, 1)
		require.Empty(t, s.current(subject).Findings[0].Withdrawn)
	}
}

func TestAJoinedFindingThatBecomesSuppressedIsWithdrawn(t *testing.T) {
	s := ready(t, "")
	id := s.ordinary(0)
	subject := s.join(id, func(f *finding.Finding) { f.Decisive = false })
	var second finding.Finding
	s.join(id, func(f *finding.Finding) { f.Revision, second = 1, *f })
	s.quiet()
	require.Equal(t, incident.Compromised, s.current(subject).Verdict)
	require.True(t, s.current(subject).Decisive())

	states := func() (out []string) {
		for _, f := range s.current(subject).Findings {
			out = append(out, f.Withdrawn)
		}
		return out
	}
	revised := func(revision int, change func(*finding.Finding)) {
		f := second
		f.Revision = revision
		change(&f)
		s.publish(f)
		s.quiet()
	}
	revised(2, suppressed)
	require.Equal(t, []string{"", "suppressed by the exception our-scanner"}, states())
	require.False(t, s.current(subject).Decisive(), "it proves nothing any more")
	events, err := s.store.Events(t.Context(), subject)
	require.NoError(t, err)
	require.Equal(t, incident.FindingWithdrawn, events[len(events)-1].Type)

	told := len(events)
	revised(2, suppressed)
	revised(1, suppressed)
	revised(1, func(*finding.Finding) {})
	events, err = s.store.Events(t.Context(), subject)
	require.NoError(t, err)
	require.Len(t, events, told, "told again, or of before, it changes nothing")

	revised(2, func(*finding.Finding) {})
	require.Equal(t, []string{"", ""}, states(), "the exception was taken away, and the detectors told it anew after their start")
	revised(2, audited)
	require.Equal(t, []string{"", "the rule is in audit"}, states())
	revised(3, func(*finding.Finding) {})
	require.Equal(t, []string{"", ""}, states())
	revised(4, func(f *finding.Finding) { f.Withdrawn = "contradicted"; suppressed(f) })
	require.Equal(t, []string{"", "contradicted"}, states())
}
