package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"cordon/detectors"
	"cordon/detectors/rules"
	"cordon/internal/difference"
	"cordon/internal/finding"
	"github.com/spf13/cobra"
)

// differs is the exit status of a replay that worked and found a difference.
const differs exitStatus = 2

func replayCommand() *cobra.Command {
	var since, until, folder, tenant string
	var limit int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "replay --since TIME",
		Short: "Run stored records through other rules, and see which findings would come, go or change",
		Long: "Has the running Cordon look at the records of a period again, from what it has stored. With --rules, the findings of the rules that run\n" +
			"are compared with those of the folder's: try a rule on the last weeks before you turn it on. Without, what was recorded at the time is\n" +
			"compared with what the rules of today find. Nothing is changed, and no incident is opened. Findings that were withdrawn count as none.\n\n" +
			"Progress goes to standard error. The exit status is 0 where nothing differs, 2 where something does, 1 where the replay could not be made.",
		Example: "  cordon replay --since 168h --rules my-rules/\n  cordon replay --since 2026-03-01 --until 2026-03-02 --json",
		Args:    cobra.NoArgs,
	}
	connect := connecting(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		now := time.Now()
		ask := difference.Request{Tenant: tenant, Limit: limit}
		var err error
		if ask.Since, err = moment("--since", since, now); err != nil {
			return err
		}
		if until != "" {
			if ask.Until, err = moment("--until", until, now); err != nil {
				return err
			}
		}
		if folder != "" {
			if ask.Files, err = ruleFiles(folder); err != nil {
				return err
			}
		}
		if limit < 1 {
			return fmt.Errorf("--limit %d: expected a number from 1 to %d", limit, difference.MaxLimit)
		}
		if err := ask.Check(); err != nil {
			return err
		}
		c, err := connect()
		if err != nil {
			return err
		}
		errs := cmd.ErrOrStderr()
		report, err := c.ReplayRecords(cmd.Context(), ask, func(p difference.Progress) { printProgress(errs, p) })
		if err != nil {
			if cmd.Context().Err() != nil {
				return cmd.Context().Err()
			}
			return err
		}
		out := cmd.OutOrStdout()
		if asJSON {
			enc := json.NewEncoder(out)
			enc.SetIndent("", "  ")
			err = enc.Encode(report)
		} else {
			err = printReport(out, report)
		}
		if err == nil && !report.Same() {
			return differs
		}
		return err
	}
	f := cmd.Flags()
	f.StringVar(&since, "since", "", "only what happened since this `time`: 2026-03-02T08:00:00Z, 2026-03-02, or 24h for a day ago")
	f.StringVar(&until, "until", "", "only what happened before this `time`; now otherwise")
	f.StringVar(&folder, "rules", "", "`folder` of the Sigma rules to compare with those that run; otherwise with what was recorded")
	f.StringVar(&tenant, "tenant", "", "only the records of this tenant `id`")
	f.IntVar(&limit, "limit", difference.DefaultLimit, "list this `number` of differing findings at most, the gravest")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	_ = cmd.MarkFlagRequired("since") // it is there
	return cmd
}

// moment reads a time, a date, or how long ago something was.
func moment(flag, s string, now time.Time) (time.Time, error) {
	if back, err := time.ParseDuration(s); err == nil && back > 0 {
		return now.Add(-back).UTC(), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%s %q: expected a time such as 2026-03-02T08:00:00Z, a date such as 2026-03-02, or a duration such as 24h", flag, s)
}

// ruleFiles reads what rules are loaded from: the running Cordon may see other disks.
func ruleFiles(folder string) (map[string]string, error) {
	from, err := rules.Open(folder)
	if err != nil {
		return nil, err
	}
	files, size := map[string]string{}, 0
	names, err := detectors.Files(from)
	if err != nil {
		return nil, fmt.Errorf("reading the rules: %w", err)
	}
	for _, name := range names {
		if !difference.Rules(name) {
			continue
		}
		text, err := readRule(filepath.Join(folder, filepath.FromSlash(name)))
		if err != nil {
			return nil, fmt.Errorf("reading the rules: %w", err)
		}
		files[name] = text
		if size += len(text); size > difference.MaxBytes || len(files) > difference.MaxFiles {
			return nil, fmt.Errorf("%s: expected %d files of rules with %d bytes together, at most", folder, difference.MaxFiles, difference.MaxBytes)
		}
	}
	return files, nil
}

func readRule(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, difference.MaxBytes+1))
	return string(text), err
}

func printProgress(out io.Writer, p difference.Progress) {
	if p.Records == 0 && !p.Waits {
		return
	}
	of := ""
	if p.Total > p.Records {
		of = fmt.Sprintf(" of %d", p.Total)
	}
	waits := ""
	if p.Waits {
		waits = ", waiting for the running detectors"
	}
	fmt.Fprintf(out, "%d%s records, %.0f/s, at %s%s\n", p.Records, of, p.Rate, stamp(p.At), waits)
}

// sides are how the two looks are called.
var sides = map[string]string{difference.Recorded: "what was recorded", difference.Running: "the rules that run", difference.Given: "the rules given"}

// printReport prints the sums by rule, then each finding that differs.
func printReport(out io.Writer, r *difference.Report) error {
	fmt.Fprintf(out, "%s to %s, %d records in %s: %s (-) against %s (+)\n", stamp(r.Since), stamp(r.Until), r.Records, r.Took.Round(time.Millisecond), sides[r.Before], sides[r.After])
	if r.Unread > 0 {
		fmt.Fprintf(out, "%d records could not be decoded and were passed over\n", r.Unread)
	}
	if !r.Begins.IsZero() {
		fmt.Fprintf(out, "nothing is stored from before %s: what began earlier is not seen whole\n", stamp(r.Begins))
	}
	same := 0
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	for _, rule := range r.Rules {
		if !rule.Differs() {
			same += rule.After
			continue
		}
		if rule.TooMany {
			fmt.Fprintf(w, "\n%s\ttoo many findings to compare", escape(rule.Rule, false))
			continue
		}
		fmt.Fprintf(w, "\n%s\t%d → %d\t+%d\t-%d\t~%d", escape(rule.Rule, false), rule.Before, rule.After, rule.Added, rule.Removed, rule.Changed)
	}
	if !r.Same() {
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if r.Same() {
		fmt.Fprintf(out, "\nno difference: %d findings are the same\n", same)
	} else if same > 0 {
		fmt.Fprintf(out, "other rules: %d findings are the same\n", same)
	}
	if len(r.Changes) > 0 {
		fmt.Fprintln(out)
	}
	for _, c := range r.Changes {
		f := c.Finding
		fmt.Fprintf(out, "%s %s  %s  %s  %s  %s%s\n    %s\n", c.Sign, stamp(f.Time), f.Level, escape(f.Tenant, false), escape(f.Principal.Label(), false), escape(f.Says, false), changed(c), escape(f.ID, false))
	}
	if r.Left > 0 {
		fmt.Fprintf(out, "%d more differ, none of them graver; --limit shows more\n", r.Left)
	}
	return printSilenced(out, r)
}

// changed says in what a finding differs from what it was.
func changed(c difference.Change) string {
	if c.Before == nil {
		var all []string
		if c.Finding.Unconfirmed {
			all = append(all, "unconfirmed")
		}
		if c.Finding.Mode != "" {
			all = append(all, "in "+c.Finding.Mode)
		}
		if c.Finding.Suppressed != "" {
			all = append(all, "suppressed by "+escape(c.Finding.Suppressed, false))
		}
		if len(all) == 0 {
			return ""
		}
		return " (" + strings.Join(all, ", ") + ")"
	}
	confirmed := map[bool]string{true: "unconfirmed", false: "confirmed"}
	var all []string
	for _, what := range c.Differs {
		switch what {
		case "level":
			all = append(all, fmt.Sprintf("level %s → %s", c.Before.Level, c.Finding.Level))
		case "count":
			all = append(all, fmt.Sprintf("%d → %d records", c.Before.Count, c.Finding.Count))
		case "unconfirmed":
			all = append(all, confirmed[c.Before.Unconfirmed]+" → "+confirmed[c.Finding.Unconfirmed])
		case "mode":
			all = append(all, fmt.Sprintf("mode %s → %s", cmp.Or(c.Before.Mode, finding.On), cmp.Or(c.Finding.Mode, finding.On)))
		case "suppressed":
			all = append(all, fmt.Sprintf("suppressed by %s → %s", cmp.Or(escape(c.Before.Suppressed, false), "nothing"), cmp.Or(escape(c.Finding.Suppressed, false), "nothing")))
		case "principal":
			all = append(all, fmt.Sprintf("principal %s → %s", escape(c.Before.Principal.Label(), false), escape(c.Finding.Principal.Label(), false)))
		default:
			all = append(all, what)
		}
	}
	return " (" + strings.Join(all, ", ") + ")"
}

// printSilenced says what could not be judged.
func printSilenced(out io.Writer, r *difference.Report) error {
	n := 0
	for _, records := range r.Silenced {
		n += records
	}
	if n == 0 {
		return nil
	}
	_, err := fmt.Fprintf(out, "%d rules could not judge %d records: who was privileged then is not known\n", len(r.Silenced), n)
	return err
}

// exitStatus ends a command that has said all it has to say.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// statusOf is the exit status of a command that returned an error, and whether there is something left to say.
func statusOf(err error) (status int, silent bool) {
	var s exitStatus
	if errors.As(err, &s) {
		return int(s), true
	}
	return 1, false
}
