package incident

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/internal/finding"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

// hostile is a display name as an attacker would choose it.
const hostile = "<script>alert(1)</script> | [click](http://evil) \\[click\\](http://evil) `code` **bold**\n# Heading\r\x1b[31m"

func TestReport(t *testing.T) {
	c := &chain{t: t}
	o := opened()
	o.Principal.UPN, o.Principal.Roles = hostile, []string{"Global Administrator", hostile}
	c.add(Opened, Cordon, start, o)
	c.add(FindingJoined, Cordon, start, proof("a", "sign-in", func(f *finding.Finding) {
		f.Rule, f.Says, f.Count = "admin-without-mfa", hostile+" signed in without MFA", 1
		f.Unconfirmed = true
	}))
	c.add(FindingJoined, Cordon, start, proof("b", "method", func(f *finding.Finding) {
		f.Rule, f.Says, f.Withdrawn, f.Count = "method-registered", "a method was registered", hostile, 2
	}))
	c.add(VerdictGiven, Cordon, start, VerdictData{Verdict: Compromised, Why: "decisive: " + hostile})
	c.add(Linked, Cordon, start, LinkedData{Subject: "s", Label: hostile, Why: hostile})
	disable, remove, task := step("contain.1", "user.disable", Auto, Compromised), step("contain.2", "partner.remove-dap", Two, Compromised), step("contain.3", "", One, "")
	disable.Says, remove.Says, task.Says, task.Kind = "Disable "+hostile, "Remove DAP", "Call the contact", KindTask
	for _, s := range []*Spec{&disable, &remove, &task} {
		s.Seal()
		c.add(StepProposed, Cordon, start, s)
	}
	c.add(StepStarted, Cordon, start.Add(time.Minute), StartedData{Ref: disable.Ref, Attempt: 1, Before: json.RawMessage(`{}`)})
	c.add(StepDone, Cordon, start.Add(time.Minute), FinishedData{Ref: disable.Ref, Attempt: 1})
	c.add(StepVerified, Cordon, start.Add(time.Minute), FinishedData{Ref: disable.Ref, Note: "the account reads as disabled"})
	c.add(StepApproved, "alex", start, DecisionData{Ref: remove.Ref, Digest: remove.Digest})
	c.add(StepApproved, hostile, start, DecisionData{Ref: remove.Ref, Digest: remove.Digest})
	c.add(StepFailed, Cordon, start, FinishedData{Ref: remove.Ref, Attempt: 1, Error: "Partner Center answered 403: " + hostile})
	c.add(TaskDone, "sam", start.Add(2*time.Minute), NoteData{Place: task.Place, Text: "called"})

	got := Report(c.history().Current(), start.Add(time.Hour))
	golden := filepath.Join("testdata", "report.golden.md")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err, "make it with -update")
	require.Equal(t, string(want), got)

	require.NotContains(t, got, "<script")
	require.NotContains(t, got, "\x1b")
	require.NotContains(t, got, "\n# Heading")
	require.NotRegexp(t, `(^|[^\\])\[click`, strings.ReplaceAll(got, `\\`, ""), "a bracket behind an escaped backslash is a link again")
	for _, line := range strings.Split(got, "\n") {
		if strings.HasPrefix(line, "| ") {
			require.Equal(t, 5, strings.Count(strings.ReplaceAll(strings.ReplaceAll(line, `\\`, ""), `\|`, ""), "|"), "a row of four cells: %s", line)
		}
	}
}
