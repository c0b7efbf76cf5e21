package offline

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	"cordon/detectors"
	"cordon/internal/finding"
	"cordon/internal/record"
)

// mark stands before what would open nothing in a running Cordon.
func (f Found) mark() string {
	switch {
	case f.Suppressed != "":
		return "suppressed by " + record.Clean(f.Suppressed) + ": "
	case f.Mode == finding.Audit:
		return "audit: "
	}
	return ""
}

// tellQuiet says how much of what was found would open nothing, and which exceptions had a part in it.
func tellQuiet(w io.Writer, r *Result) {
	audit := 0
	for _, f := range r.Findings {
		if f.Suppressed == "" && f.Mode == finding.Audit {
			audit++
		}
	}
	if audit > 0 {
		fmt.Fprintf(w, "%d findings are of rules in audit: they would open nothing\n", audit)
	}
	order := func(a, b detectors.SuppressedBy) int {
		return cmp.Or(cmp.Compare(a.Exception, b.Exception), cmp.Compare(a.Rule, b.Rule))
	}
	for _, by := range slices.SortedFunc(maps.Keys(r.Suppressed), order) {
		fmt.Fprintf(w, "exception %s suppressed %d records that rule %s matched\n", record.Clean(by.Exception), r.Suppressed[by], by.Rule)
	}
}
