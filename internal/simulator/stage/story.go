package stage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"cordon/internal/incident"
)

// story remembers what has been told, so that each settled moment tells what is new: what was seen, what Cordon
// concluded, what it did by itself.
type story struct {
	findings map[string]bool
	verdicts map[uint64]string
	steps    map[string]bool
}

func newStory() *story {
	return &story{findings: map[string]bool{}, verdicts: map[uint64]string{}, steps: map[string]bool{}}
}

// verbs are short words for what was done, for one line of the story.
var verbs = map[string]string{
	"user.disable": "disabled", "user.revoke-sessions": "sessions revoked", "user.confirm-compromised": "marked compromised",
	"user.reset-password": "password reset", "method.restore": "method removed", "role.remove": "role taken away",
	"application.disable": "application disabled", "application.remove-credential": "credential removed", "grant.delete": "grant deleted",
	"partner.terminate-gdap": "GDAP terminated", "partner.remove-dap": "DAP removed", "policy.disable-user-consent": "user consent off",
	"user.enable": "enabled again", "report.write": "report written",
}

func (s *Stage) tellNews(ctx context.Context) error {
	if s.Tell == nil {
		return nil
	}
	all, err := s.App.Store().All(ctx)
	if err != nil {
		return err
	}
	var open []*incident.Incident
	for _, h := range all {
		open = append(open, h.Incidents...)
	}
	slices.SortFunc(open, func(a, b *incident.Incident) int { return int(a.Number) - int(b.Number) })
	for _, i := range open {
		s.tellIncident(i)
	}
	return nil
}

func (s *Stage) tellIncident(i *incident.Incident) {
	t := s.told
	for _, f := range i.Findings {
		key := fmt.Sprint(i.Number, f.Rule, f.Kind, f.Time.Truncate(time.Minute))
		if t.findings[key] {
			continue // the same act, written twice
		}
		t.findings[key] = true
		level := f.Level
		if f.Unconfirmed {
			level += ", unconfirmed"
		}
		s.Tell("%s  %-96s %s  %s", f.Time.Format("15:04:05"), clip(f.Says, 96), f.Rule, level)
	}
	var did []string
	for _, step := range i.Steps {
		key := fmt.Sprint(i.Number, step.Place, step.Round)
		if step.Kind != incident.KindDo || t.steps[key] || step.State != incident.Done && step.State != incident.Verified {
			continue
		}
		t.steps[key] = true
		word := verbs[step.Action]
		if step.Target.ID != i.Principal.ID && (step.Action == "user.disable" || step.Action == "user.revoke-sessions") {
			name, _, _ := strings.Cut(step.Target.Label, "@")
			word = name + " " + word
		}
		if !slices.Contains(did, word) {
			did = append(did, word)
		}
	}
	news := t.verdicts[i.Number] != i.Verdict
	if !news && len(did) == 0 {
		return
	}
	t.verdicts[i.Number] = i.Verdict
	line := fmt.Sprintf("─ incident %d · %s", i.Number, i.Principal.Label())
	if len(i.Principal.Roles) > 0 {
		line += ", " + i.Principal.Roles[0]
	}
	if news {
		line += " · " + i.Verdict
		if i.Why != "" {
			line += " (" + clip(i.Why, 70) + ")"
		}
	}
	if len(did) > 0 {
		line += " · " + strings.Join(did, ", ")
	}
	s.Tell("          %s", line)
}

func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// TellWaiting tells what waits for whom.
func (s *Stage) TellWaiting(ctx context.Context) error {
	all, err := s.App.Store().All(ctx)
	if err != nil {
		return err
	}
	for _, h := range all {
		for _, i := range h.Incidents {
			for _, step := range i.Waiting() {
				who := "a person"
				if step.Need == incident.Two {
					who = "two people"
				}
				if step.Kind == incident.KindTask {
					who = "a person to do it"
				}
				s.Tell("  waits for %s: %s   cordon incidents %s %d %s", who, step.Says, map[bool]string{true: "done", false: "approve"}[step.Kind == incident.KindTask], i.Number, step.Place)
			}
		}
	}
	return nil
}
