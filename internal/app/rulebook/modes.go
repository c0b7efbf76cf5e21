package rulebook

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"cordon/detectors/sigma"
)

// mode is a rule's mode as its file has it; a rule that only serves correlations has none, for it raises nothing.
func (b *Book) mode(r *sigma.Rule) string {
	serves := slices.ContainsFunc(b.rules, func(c *sigma.Rule) bool {
		return c.Correlation != nil && r.Correlation == nil && !c.Correlation.Generate &&
			slices.ContainsFunc(c.Correlation.Rules, r.Called)
	})
	if serves {
		return ""
	}
	return r.Custom.Mode
}

// exceptions prints what a rule is kept from, by whom, why and for how long.
func (b *Book) exceptions(out io.Writer, r *sigma.Rule, now time.Time) error {
	if len(r.Exceptions) == 0 {
		return nil
	}
	fmt.Fprintln(out, "\nexceptions")
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	for _, f := range r.Exceptions {
		line := func(name, value string) {
			if value = strings.Join(strings.Fields(value), " "); value != "" {
				fmt.Fprintf(w, "    %s\t%s\n", name, value)
			}
		}
		until := f.Until.UTC().Format(time.RFC3339)
		if !f.Holds(now) {
			until += " (expired)"
		}
		fmt.Fprintf(w, "  %s\n", f.Name)
		line("title", f.Title)
		line("file", fmt.Sprintf("%s:%d", f.File, f.Line))
		line("owner", f.Owner)
		line("reason", f.Reason)
		line("until", until)
		line("condition", f.Condition())
		if unset := f.Placeholders(); len(unset) > 0 {
			line("inactive", "no list is named "+strings.Join(unset, ", "))
		}
	}
	return w.Flush()
}
