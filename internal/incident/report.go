package incident

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Report writes the incident as Markdown for the people who were not there: what happened, what was done by whom,
// what is still open.
func Report(i *Incident, now time.Time) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Incident %d: %s", i.Number, escape(i.Principal.Label()))
	line("")
	line("- Verdict: **%s** (%s)", i.Verdict, escape(i.Why))
	line("- Tenant: %s", escape(i.Tenant))
	if len(i.Principal.Roles) > 0 {
		line("- Roles: %s", escape(strings.Join(i.Principal.Roles, ", ")))
	}
	line("- Began (t0): %s", stamp(i.T0))
	line("- Opened: %s, playbook %s", stamp(i.OpenedAt), i.Playbook)
	line("- Written: %s", stamp(now))
	for _, l := range i.Links {
		line("- Linked with %s: %s", escape(l.Label), escape(l.Why))
	}
	line("")
	line("## What was seen")
	line("")
	line("| time | finding | level | proof |")
	line("| --- | --- | --- | --- |")
	for _, f := range i.Findings {
		state := f.Level
		switch {
		case f.Withdrawn != "":
			state += ", withdrawn: " + f.Withdrawn
		case f.Unconfirmed:
			state += ", unconfirmed"
		}
		line("| %s | %s (%s) | %s | %d records |", stamp(f.Time), escape(f.Says), f.Rule, escape(state), f.Count)
	}
	for _, phase := range []string{"contain", "secure", "improve"} {
		line("")
		line("## %s", strings.ToUpper(phase[:1])+phase[1:])
		line("")
		for _, s := range i.Steps {
			if s.Phase != phase || s.Kind == KindRead {
				continue
			}
			line("- **%s**: %s", escape(s.Says), describe(s))
		}
	}
	return b.String()
}

func describe(s *Step) string {
	out := s.State
	if !s.DoneAt.IsZero() {
		out += " " + stamp(s.DoneAt)
	}
	var names []string
	for _, a := range s.Approvals {
		names = append(names, escape(a.By))
	}
	if len(names) > 0 {
		out += ", by " + strings.Join(names, " and ")
	} else if s.Need == Auto && s.Tried() {
		out += ", by itself"
	}
	if s.Note != "" {
		out += "; " + escape(s.Note)
	}
	if s.Error != "" {
		out += "; " + escape(s.Error)
	}
	return out
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// markup is what an attacker's names could use: a backslash of his own would take the effect of ours away.
var markup = strings.NewReplacer("\\", "\\\\", "|", "\\|", "<", "&lt;", ">", "&gt;", "[", "\\[", "]", "\\]", "`", "'", "*", "\\*")

// escape keeps what an attacker named from becoming markup, a line of its own, or a terminal's command.
func escape(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
	return markup.Replace(s)
}
