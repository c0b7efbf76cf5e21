// Package difference holds the words about replays that the application, the console and its client share: what is asked
// for, how far it has come, and in what two looks at the same records differ.
package difference

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"cordon/internal/finding"
)

// Request asks for a replay of the records of a period.
type Request struct {
	Since time.Time `json:"since"`          // event time
	Until time.Time `json:"until,omitzero"` // event time, not included; now where zero
	// Tenant is the one whose records are looked at; all where empty.
	Tenant string `json:"tenant,omitempty"`
	// Files are a folder of other rules by the files' names in it; where nil, what the rules of today find is compared
	// with what was recorded.
	Files map[string]string `json:"files,omitempty"`
	// Limit is how many findings that differ are listed; DefaultLimit where 0.
	Limit int `json:"limit,omitempty"`
}

// The bounds of a request.
const (
	DefaultLimit = 1000
	MaxLimit     = 10_000
	MaxFiles     = 5000
	MaxBytes     = 8 << 20 // of all files together
)

// Refusal is a replay that cannot be, and why, in words for a person.
type Refusal struct {
	Reason string
	Busy   bool // another one runs: later it can be
}

func (r *Refusal) Error() string { return r.Reason }

// Refuse returns a refusal of what is wrong with a request.
func Refuse(format string, args ...any) error { return &Refusal{Reason: fmt.Sprintf(format, args...)} }

// fileName is a path below the folder, of plain parts.
var fileName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9 _.,+@()-]*(/[A-Za-z0-9_][A-Za-z0-9 _.,+@()-]*){0,7}$`)

// Rules says whether a folder's file is one that rules are loaded from: YAML, and no test.
func Rules(name string) bool {
	ext := path.Ext(name)
	return (ext == ".yml" || ext == ".yaml") && !strings.HasSuffix(name, ".test"+ext)
}

// Check says what is wrong with a request.
func (r Request) Check() error {
	switch {
	case r.Since.IsZero():
		return Refuse("since: expected a time such as 2026-03-02T08:00:00Z")
	case !r.Until.IsZero() && !r.Since.Before(r.Until):
		return Refuse("since lies at or after until")
	case r.Limit < 0 || r.Limit > MaxLimit:
		return Refuse("limit: expected a number from 1 to %d", MaxLimit)
	case len(r.Tenant) > 256:
		return Refuse("tenant: expected an id")
	case r.Files != nil && len(r.Files) == 0:
		return Refuse("there are no rules in the folder")
	case len(r.Files) > MaxFiles:
		return Refuse("there are %d rule files; expected %d at most", len(r.Files), MaxFiles)
	}
	size := 0
	for name, text := range r.Files {
		if len(name) > 200 || !fileName.MatchString(name) || path.Clean(name) != name || !Rules(name) {
			return Refuse("rule file %.200q: expected a path of plain names below the folder that ends in .yml or .yaml", name)
		}
		size += len(text)
	}
	for name := range r.Files {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, both := r.Files[dir]; both {
				return Refuse("rule file %q stands where a folder does", dir)
			}
		}
	}
	if size > MaxBytes {
		return Refuse("the rule files have %d bytes together; expected %d at most", size, MaxBytes)
	}
	return nil
}

// Progress is how far a replay has come.
type Progress struct {
	Records int64         `json:"records"`         // looked at
	Total   int64         `json:"total"`           // about
	At      time.Time     `json:"at,omitzero"`     // event time of the last one
	Took    time.Duration `json:"took"`            // nanoseconds
	Rate    float64       `json:"rate"`            // records a second
	Waits   bool          `json:"waits,omitempty"` // the running detectors come first
}

// Line is one line of a replay's answer: it has one of these.
type Line struct {
	Progress *Progress `json:"progress,omitempty"`
	Report   *Report   `json:"report,omitempty"`
	Error    string    `json:"error,omitempty"`
}

// Finding is what is compared of one.
type Finding struct {
	ID          string            `json:"id"`
	Rule        string            `json:"rule"`
	Says        string            `json:"says"`
	Level       string            `json:"level"`
	Tenant      string            `json:"tenant"`
	Time        time.Time         `json:"time"`
	Principal   finding.Principal `json:"principal"`
	Count       int               `json:"count"` // of records
	Unconfirmed bool              `json:"unconfirmed,omitempty"`
	Withdrawn   string            `json:"withdrawn,omitempty"`
	Mode        string            `json:"mode,omitempty"`       // audit: it opens nothing
	Suppressed  string            `json:"suppressed,omitempty"` // by this exception

	revision int
}

// maxSays bounds the sentence that is kept.
const maxSays = 500

func of(f finding.Finding) Finding {
	says := f.Says
	if says == "" {
		says = f.Title
	}
	if len(says) > maxSays {
		says = strings.ToValidUTF8(says[:maxSays], "") + "…"
	}
	return Finding{ID: f.ID, Rule: f.Rule, Says: says, Level: f.Level, Tenant: f.Tenant, Time: f.Time, Principal: f.Principal, Count: f.Count,
		Unconfirmed: f.Unconfirmed, Withdrawn: f.Withdrawn, Mode: f.Mode, Suppressed: f.Suppressed, revision: f.Revision}
}

// stands says that the finding counts for something: what was withdrawn is as if it had never been.
func (f Finding) stands() bool { return f.Withdrawn == "" }

// differs names what two findings of one identity disagree about.
func (f Finding) differs(other Finding) (in []string) {
	for _, d := range []struct {
		name string
		is   bool
	}{
		{"level", f.Level != other.Level},
		{"count", f.Count != other.Count},
		{"unconfirmed", f.Unconfirmed != other.Unconfirmed},
		{"mode", f.Mode != other.Mode},
		{"suppressed", f.Suppressed != other.Suppressed},
		{"principal", !strings.EqualFold(f.Principal.Home, other.Principal.Home) || !strings.EqualFold(f.Principal.ID, other.Principal.ID) || f.Principal.Type != other.Principal.Type},
	} {
		if d.is {
			in = append(in, d.name)
		}
	}
	return in
}

// The signs of a change.
const (
	Added   = "+"
	Removed = "-"
	Changed = "~"
)

// Change is one finding that differs.
type Change struct {
	Sign string `json:"sign"`
	// Finding is how it stands after; where it is gone, how it stood before.
	Finding Finding  `json:"finding"`
	Before  *Finding `json:"before,omitempty"` // of one that has changed
	Differs []string `json:"differs,omitempty"`
}

// Rule counts one rule's findings that stand.
type Rule struct {
	Rule    string `json:"rule"`
	Before  int    `json:"before"`
	After   int    `json:"after"`
	Added   int    `json:"added"`
	Removed int    `json:"removed"`
	Changed int    `json:"changed"`
	// TooMany says that there were more findings than are kept: they are not compared.
	TooMany bool `json:"tooMany,omitempty"`
}

// Differs says whether the two looks disagree about the rule.
func (r Rule) Differs() bool { return r.Added+r.Removed+r.Changed > 0 || r.TooMany }

// Report is what came of a replay.
type Report struct {
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
	Tenant string    `json:"tenant,omitempty"`
	Before string    `json:"before"` // what the two are: Recorded, Running or Given
	After  string    `json:"after"`

	Records int64         `json:"records"`         // looked at
	Unread  int64         `json:"unread"`          // that could not be decoded, and were passed over
	Begins  time.Time     `json:"begins,omitzero"` // LOGS holds nothing before, and windows that were open then lack records
	Took    time.Duration `json:"took"`
	// Silenced counts, by rule, the records that it could not judge: who is privileged was not known.
	Silenced map[string]int `json:"silenced,omitempty"`

	Rules   []Rule   `json:"rules"` // all that found something
	Changes []Change `json:"changes"`
	Left    int      `json:"left,omitempty"` // changes that are not listed
}

// What is compared.
const (
	Recorded = "recorded" // in FINDINGS
	Running  = "running"  // what the rules that run find
	Given    = "given"    // what the rules that came with the request find
)

// Same says that nothing differs.
func (r *Report) Same() bool { return !slices.ContainsFunc(r.Rules, Rule.Differs) }

// compareRules orders rules by the graver change.
func compareRules(a, b Rule) int {
	return cmp.Or(cmp.Compare(b.Added+b.Removed+b.Changed, a.Added+a.Removed+a.Changed), strings.Compare(a.Rule, b.Rule))
}
