// Package rulebook is what `cordon rules` and `cordon explain` do: they show, judge and test rules, and say why one fires
// on a record or does not. They work on files alone, without a running Cordon.
package rulebook

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"cordon/detectors"
	"cordon/detectors/check"
	"cordon/detectors/fields"
	"cordon/detectors/rules"
	"cordon/detectors/ruletest"
	"cordon/detectors/sigma"
	"cordon/detectors/spelling"
	"cordon/detectors/vocabulary"
)

// Book is a folder of rules with all that is needed to judge them.
type Book struct {
	folder  fs.FS
	rules   []*sigma.Rule
	table   *fields.Table
	reports map[string]check.Report
}

// Open reads a folder of rules; what ships where the folder is "".
func Open(folder string) (*Book, error) {
	from, err := rules.Open(folder)
	if err != nil {
		return nil, err
	}
	b := &Book{folder: from, reports: map[string]check.Report{}}
	if b.rules, err = detectors.Load(b.folder); err != nil {
		return nil, err
	}
	if b.table, err = fields.Load(b.folder); err != nil {
		return nil, err
	}
	if _, err := detectors.NewPlan(b.rules, detectors.WithFields(b.table)); err != nil {
		return nil, err
	}
	known, err := vocabulary.Load(b.folder)
	if err != nil {
		return nil, err
	}
	for _, r := range check.New(b.table, known).Check(b.rules) {
		b.reports[r.Rule] = r
	}
	return b, nil
}

// find takes a rule's name, its id, or the name of a file that holds this rule alone.
func (b *Book) find(name string) (*sigma.Rule, error) {
	var inFile []*sigma.Rule
	for _, r := range b.rules {
		if r.Called(name) {
			return r, nil
		}
		base := path.Base(filepath.ToSlash(name))
		if path.Base(r.File) == base || strings.TrimSuffix(path.Base(r.File), path.Ext(r.File)) == base {
			inFile = append(inFile, r)
		}
	}
	switch len(inFile) {
	case 1:
		return inFile[0], nil
	case 0:
		var names []string
		for _, r := range b.rules {
			names = append(names, r.Name, strings.TrimSuffix(path.Base(r.File), path.Ext(r.File)))
		}
		if like := spelling.Nearest(name, names); like != "" {
			return nil, fmt.Errorf("there is no rule %q; did you mean %s?", name, like)
		}
		return nil, fmt.Errorf("there is no rule %q; `cordon rules list` shows all", name)
	}
	return nil, fmt.Errorf("%s holds %d rules: name one of them", name, len(inFile))
}

// categories are those of the records that a rule looks at; a correlation's are its rules'.
func (b *Book) categories(r *sigma.Rule) []string {
	if r.Correlation == nil {
		return r.Categories
	}
	var all []string
	for _, name := range r.Correlation.Rules {
		for _, base := range b.rules {
			if base.Called(name) {
				all = append(all, b.categories(base)...)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

type listed struct {
	Name       string      `json:"name"`
	Title      string      `json:"title"`
	Level      string      `json:"level"`
	Mode       string      `json:"mode,omitempty"`
	Exceptions int         `json:"exceptions,omitempty"`
	Kind       string      `json:"kind,omitempty"`
	Techniques []string    `json:"techniques,omitempty"`
	Categories []string    `json:"categories,omitempty"`
	State      check.State `json:"state"`
	File       string      `json:"file"`
	Line       int         `json:"line"`
}

// List prints one line for each rule.
func (b *Book) List(out io.Writer, asJSON bool) error {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tLEVEL\tMODE\tEXCEPTIONS\tKIND\tTECHNIQUE\tCATEGORIES\tSTATE\tTITLE")
	for _, r := range b.rules {
		l := listed{r.Name, r.Title, r.Level, b.mode(r), len(r.Exceptions), r.Custom.Kind, r.Techniques, b.categories(r), b.reports[r.Name].State, r.File, r.Line}
		if asJSON {
			if err := encode(out, l); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", l.Name, l.Level, dash(l.Mode), l.Exceptions, dash(l.Kind), dash(strings.Join(l.Techniques, " ")), dash(strings.Join(l.Categories, " ")), l.State, l.Title)
	}
	if asJSON {
		return nil
	}
	return w.Flush()
}

// Show prints all there is to know of one rule; now tells which of its exceptions have ended.
func (b *Book) Show(out io.Writer, name string, now time.Time) error {
	r, err := b.find(name)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value = strings.Join(strings.Fields(value), " "); value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, value)
		}
	}
	report := b.reports[r.Name]
	fmt.Fprintln(w, r.Title)
	line("name", r.Name)
	line("id", r.ID)
	line("file", fmt.Sprintf("%s:%d", r.File, r.Line))
	line("state", string(report.State))
	line("level", r.Level)
	line("mode", b.mode(r))
	line("status", r.Status)
	line("kind", r.Custom.Kind)
	line("techniques", strings.Join(r.Techniques, " "))
	line("records", strings.Join(b.categories(r), ", "))
	line("about", r.Description)
	line("says", r.Custom.Says)
	line("false positives", strings.Join(r.FalsePositives, "; "))
	if c := r.Correlation; c != nil {
		line("correlates", c.String())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if clauses := r.Clauses(); r.Correlation == nil && len(clauses) > 0 {
		fmt.Fprintln(out, "\nclauses")
		source := fields.Name(r.LogSource().Product, r.LogSource().Service, r.LogSource().Category)
		w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
		for _, c := range clauses {
			fmt.Fprintf(w, "  %d\t%s\t%s\t%s\n", c.Line, c.Search, clause(c), b.meaning(source, c))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if err := b.exceptions(out, r, now); err != nil {
		return err
	}
	remarks(out, report)
	return nil
}

// clause is a test as the rule has it.
func clause(c sigma.Clause) string {
	values := slices.Clone(c.Values)
	if c.Null {
		values = append(values, "null")
	}
	for i, v := range values {
		if v == "" {
			values[i] = "''"
		}
	}
	if len(values) > 4 {
		values = append(values[:4], fmt.Sprintf("… (%d)", len(c.Values)))
	}
	if c.Keywords {
		return "keywords: " + strings.Join(values, ", ")
	}
	return strings.Join(append([]string{c.Field}, c.Modifiers...), "|") + ": " + strings.Join(values, ", ")
}

func (b *Book) meaning(source string, c sigma.Clause) string {
	if c.Keywords {
		return "anywhere in the record"
	}
	m := b.table.Resolve(source, c.Field)
	to := "reads " + strings.Join(m.Row.Path, ", else ")
	if m.Row.Fact != "" {
		to = "the fact " + m.Row.Fact
	}
	if m.Row.Why != "" {
		to += " (" + m.Row.Why + ")"
	}
	return to
}

func remarks(out io.Writer, r check.Report) {
	for i, m := range r.Remarks {
		if i == 0 {
			fmt.Fprintln(out)
		}
		place := fmt.Sprintf("%s:%d", cmp.Or(m.File, r.File), m.Line)
		what := m.Value
		if m.Field != "" {
			what = m.Field
			if m.Value != "" {
				what += ": " + m.Value
			}
		}
		fmt.Fprintf(out, "  %s: %s: %s: %s", place, m.Kind, what, m.Reason)
		if len(m.Instead) > 0 {
			fmt.Fprintf(out, "; real: %s", strings.Join(m.Instead, ", "))
		}
		fmt.Fprintln(out)
	}
}

// ErrWrong says that something is wrong with the rules; what it is has been printed.
var ErrWrong = errors.New("something is wrong with the rules")

// Check prints what is wrong with the rules, and ErrWrong is returned if anything is. What is inactive or wide is
// printed too, and counts as wrong only where strict.
func (b *Book) Check(out io.Writer, asJSON, strict bool) error {
	counts, wrong := map[check.State]int{}, false
	for _, rule := range b.rules {
		r := b.reports[rule.Name]
		counts[r.State]++
		wrong = wrong || r.Wrong() || strict && r.State != check.Fine
		switch {
		case asJSON:
			if err := encode(out, r); err != nil {
				return err
			}
		case len(r.Remarks) > 0:
			fmt.Fprintf(out, "%s: %s (%s)", r.State, r.Title, r.Rule)
			remarks(out, r)
		}
	}
	if !asJSON {
		fmt.Fprintf(out, "%d rules: %d fine, %d impossible, %d doubtful, %d inactive, %d wide\n", len(b.rules), counts[check.Fine],
			counts[check.Impossible], counts[check.Doubtful], counts[check.Inactive], counts[check.Wide])
	}
	if wrong {
		return ErrWrong
	}
	return nil
}

// Test runs the tests beside the rules, and ErrWrong is returned if one fails.
func (b *Book) Test(out io.Writer, verbose bool) error {
	result, err := ruletest.Run(b.folder)
	if err != nil {
		return err
	}
	for _, c := range result.Cases {
		switch {
		case c.Err != nil:
			fmt.Fprintf(out, "FAIL %s %s %s: %v\n", c.File, c.Kind, c.Why, c.Err)
		case verbose:
			fmt.Fprintf(out, "ok   %s %s %s\n", c.File, c.Kind, c.Why)
		}
	}
	for _, name := range result.Untested {
		fmt.Fprintf(out, "untested: %s has no record on which it fires, or none on which it keeps quiet\n", name)
	}
	fmt.Fprintf(out, "%d cases, %d failed, %d rules untested\n", len(result.Cases), result.Failed(), len(result.Untested))
	if result.Failed() > 0 {
		return ErrWrong
	}
	return nil
}

func encode(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
