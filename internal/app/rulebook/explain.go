package rulebook

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"cordon/detectors"
	"cordon/detectors/sigma"
	"cordon/ingest/export"
	"cordon/internal/app/offline"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/record"
)

// Explained is one record under one rule.
type Explained struct {
	File   string    `json:"file"`
	Line   int       `json:"line"`
	Record string    `json:"record,omitempty"`
	Time   time.Time `json:"time,omitzero"`
	Rule   string    `json:"rule"`
	Mode   string    `json:"mode,omitempty"` // where it is off
	Fires  bool      `json:"fires"`
	// Suppressed names the exception that keeps the match from counting.
	Suppressed string `json:"suppressed,omitempty"`
	// Not says why the rule does not look at the record at all.
	Not string `json:"not,omitempty"`
	Why *Step  `json:"why,omitempty"`
}

// Step is one clause, or several joined, and what the record has there.
type Step struct {
	Text   string   `json:"text"`
	Truth  string   `json:"truth"`
	Field  string   `json:"field,omitempty"`
	Values []string `json:"values,omitempty"`
	Parts  []Step   `json:"parts,omitempty"`
}

// Explain are the flags of `cordon explain`.
type Explain struct {
	Rule      string
	Files     []string
	Directory string // YAML file of role holders
	Defaults  record.Defaults
	JSON      bool
	In        io.Reader
	Out, Errs io.Writer
}

// Explain says for each record of some files which clause of a rule held and which failed.
func (b *Book) Explain(ctx context.Context, o Explain) error {
	rule, err := b.find(o.Rule)
	if err != nil {
		return err
	}
	rules := []*sigma.Rule{rule}
	if rule.Correlation != nil {
		if rules = b.under(rule); len(rules) == 0 {
			return fmt.Errorf("the correlation %s rests on no rule that looks at records", rule.Name)
		}
		fmt.Fprintf(o.Errs, "%s counts what %s match; each is explained\n", rule.Name, strings.Join(rule.Correlation.Rules, ", "))
	}
	dir := directory.New()
	if o.Directory != "" {
		if err := offline.LoadDirectory(dir, o.Directory); err != nil {
			return err
		}
	}
	engine, err := detectors.NewEngine(b.rules, dir, detectors.WithFields(b.table), detectors.Unmuted())
	if err != nil {
		return err
	}
	files, cleanup, err := offline.Spool(ctx, o.Files, o.In)
	if err != nil {
		return err
	}
	defer cleanup()
	for i := range files { // who is privileged a later record may say
		if err := offline.Learn(ctx, dir, files[i], o.Files[i], o.Defaults); err != nil {
			return err
		}
	}
	for i, file := range o.Files {
		err := export.Read(files[i], nil, func(it export.Item) error {
			if it.Err != nil {
				fmt.Fprintf(o.Errs, "%s: line %d: %v\n", file, it.Line, it.Err)
				return ctx.Err()
			}
			r, err := record.Decode(slices.Clone(it.Raw), o.Defaults)
			if err != nil {
				fmt.Fprintf(o.Errs, "%s: line %d: %v\n", file, it.Line, err)
				return ctx.Err()
			}
			for _, rule := range rules {
				if err := o.print(explained(engine, rule, r, file, it.Line)); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
		if err != nil {
			return offline.Named(err, files[i], file)
		}
	}
	return nil
}

// under are the rules for single records that a correlation rests on.
func (b *Book) under(r *sigma.Rule) (all []*sigma.Rule) {
	for _, name := range r.Correlation.Rules {
		for _, base := range b.rules {
			switch {
			case !base.Called(name):
			case base.Correlation == nil:
				all = append(all, base)
			default:
				all = append(all, b.under(base)...)
			}
		}
	}
	return all
}

func explained(engine *detectors.Engine, rule *sigma.Rule, r *record.Record, file string, line int) Explained {
	out := Explained{File: file, Line: line, Record: r.ID, Time: r.Time, Rule: rule.Name}
	if rule.Custom.Mode == finding.Off {
		out.Mode = rule.Custom.Mode
	}
	switch {
	case !slices.Contains(rule.Categories, r.Category):
		out.Not = fmt.Sprintf("the record is of %s, the rule looks at %s", r.Category, strings.Join(rule.Categories, ", "))
	case len(rule.Placeholders()) > 0:
		out.Not = "the rule is inactive: no list is named " + strings.Join(rule.Placeholders(), ", ")
	default:
		why := engine.Explain(rule, r)
		s := step(why)
		out.Fires, out.Why, out.Suppressed = why.Truth.Holds(), &s, engine.Suppressor(rule, r)
	}
	return out
}

var truths = map[sigma.Truth]string{sigma.False: "fails", sigma.FalseAbsent: "fails: empty", sigma.Unknown: "not known", sigma.TrueAbsent: "holds: empty", sigma.True: "holds"}

// shown bounds what is printed of a value: some are whole documents.
const shown = 160

func step(e sigma.Explanation) Step {
	s := Step{Text: e.Text, Truth: truths[e.Truth], Field: e.Field}
	for _, v := range e.Values {
		v = record.Clean(v)
		if runes := []rune(v); len(runes) > shown {
			v = string(runes[:shown]) + "…"
		}
		s.Values = append(s.Values, v)
	}
	for _, p := range e.Parts {
		s.Parts = append(s.Parts, step(p))
	}
	return s
}

func (o Explain) print(e Explained) error {
	if o.JSON {
		return encode(o.Out, e)
	}
	verdict := "does not fire"
	switch {
	case e.Not != "":
		verdict = "is not looked at: " + e.Not
	case e.Fires:
		verdict = "fires"
		if e.Why.Truth == truths[sigma.TrueAbsent] {
			verdict = "fires, unconfirmed: for want of a field alone"
		}
	}
	if e.Fires && e.Mode == finding.Off {
		verdict += ", but is off"
	}
	if e.Suppressed != "" {
		verdict += ", suppressed by " + e.Suppressed
	}
	fmt.Fprintf(o.Out, "%s line %d: %s %s\n", e.File, e.Line, e.Rule, verdict)
	if e.Why != nil {
		return tree(o.Out, *e.Why, 1)
	}
	return nil
}

// marks stand before a step, so that what failed is found at a glance.
var marks = map[string]string{"fails": "✗", "fails: empty": "✗", "not known": "?", "holds: empty": "✓", "holds": "✓"}

func tree(out io.Writer, s Step, depth int) error {
	line := strings.Repeat("  ", depth) + marks[s.Truth] + " " + s.Text
	switch {
	case len(s.Parts) > 0:
	case len(s.Values) == 0 || len(s.Values) == 1 && s.Values[0] == "":
		if s.Field != "" {
			line += "   (empty)"
		}
	default:
		line += "   is " + strings.Join(s.Values, " | ")
	}
	if _, err := fmt.Fprintln(out, line); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	for _, p := range s.Parts {
		if err := tree(out, p, depth+1); err != nil {
			return err
		}
	}
	return nil
}
