// Package offline runs the detectors over exported files, without any stream: `cordon detect`.
package offline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"cordon/detectors"
	"cordon/detectors/fields"
	"cordon/detectors/rules"
	"cordon/ingest/export"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/record"
	"go.yaml.in/yaml/v3"
)

// Options are the flags of `cordon detect`.
type Options struct {
	Files     []string
	Rules     string // folder; what ships where empty
	Directory string // YAML file of role holders
	Tenant    string // of records that name none
	Assume    time.Time
	JSON      bool
	In        io.Reader
	Out, Errs io.Writer
}

// Count is what became of one file's records.
type Count struct {
	File     string
	Decoded  int            // looked at by the detectors
	Taken    map[string]int // of categories without a decoder
	Passed   map[string]int // of categories that no rule looks at
	Rejected []Rejected
}

// Rejected is a line that is no record, and why.
type Rejected struct {
	Line   int
	Reason string
}

// Found is one line of the output.
type Found struct {
	Time      time.Time `json:"time"`
	Tenant    string    `json:"tenant"`
	Rule      string    `json:"rule"`
	Title     string    `json:"title"`
	Level     string    `json:"level"`
	Actor     string    `json:"actor"`
	Technique []string  `json:"technique"`
	// Mode is audit for a rule whose findings are recorded alone, and Suppressed the exception that suppresses this one.
	Mode       string  `json:"mode,omitempty"`
	Suppressed string  `json:"suppressed,omitempty"`
	Records    []Place `json:"records"`
	Says       string  `json:"-"`
}

// Place is where a proving record stands: its line, counted from 0.
type Place struct {
	File string `json:"file"`
	Line int    `json:"line"`
	ID   string `json:"id"`
}

// Result is everything that a run found.
type Result struct {
	Findings   []Found
	Counts     []Count
	Silenced   map[string]int                 // rules that an unknown fact kept from firing, and on how many records
	Suppressed map[detectors.SuppressedBy]int // records that exceptions kept from rules
}

// Detect reads the files twice: once to learn from their audit records who is privileged, once to match.
func Detect(ctx context.Context, o Options) (*Result, error) {
	folder, err := rules.Open(o.Rules)
	if err != nil {
		return nil, err
	}
	set, err := detectors.Load(folder)
	if err != nil {
		return nil, err
	}
	table, err := fields.Load(folder)
	if err != nil {
		return nil, err
	}
	dir := directory.New()
	if o.Directory != "" {
		if err := LoadDirectory(dir, o.Directory); err != nil {
			return nil, err
		}
	}
	files, cleanup, err := Spool(ctx, o.Files, o.In)
	if err != nil {
		return nil, err
	}
	defer cleanup()
	engine, err := detectors.NewEngine(set, dir, detectors.WithFields(table))
	if err != nil {
		return nil, err
	}
	defaults := record.Defaults{Tenant: o.Tenant, Assume: o.Assume}
	for i := range files {
		if err := Learn(ctx, dir, files[i], o.Files[i], defaults); err != nil {
			return nil, err
		}
	}
	out := &Result{Silenced: engine.Silenced(), Suppressed: engine.Suppressed()}
	for i := range files {
		count := Count{File: o.Files[i], Taken: map[string]int{}, Passed: map[string]int{}}
		err := export.Read(files[i], nil, func(it export.Item) error {
			if it.Err != nil {
				count.Rejected = append(count.Rejected, Rejected{it.Line, it.Err.Error()})
				return ctx.Err()
			}
			r, err := record.Decode(slices.Clone(it.Raw), defaults)
			switch {
			case err != nil:
				count.Rejected = append(count.Rejected, Rejected{it.Line, err.Error()})
			case !r.Decoded():
				count.Taken[r.Category]++
			default:
				count.Decoded++
				if !engine.LooksAt(r.Category) {
					count.Passed[r.Category]++
				}
				engine.Process(r, strconv.Itoa(i)+":"+strconv.Itoa(it.Line))
			}
			return ctx.Err()
		})
		if err != nil {
			return nil, Named(err, files[i], o.Files[i])
		}
		out.Counts = append(out.Counts, count)
	}
	engine.Settle(time.Time{}) // the end of input
	for _, f := range engine.Current() {
		if f.Withdrawn == "" {
			out.Findings = append(out.Findings, o.found(f))
		}
	}
	return out, nil
}

// Learn has a directory learn from a file's audit records who is privileged; given is what the user calls the file.
func Learn(ctx context.Context, dir *directory.Directory, file, given string, defaults record.Defaults) error {
	err := export.Read(file, nil, func(it export.Item) error {
		if it.Err == nil {
			if r, err := record.Decode(it.Raw, defaults); err == nil {
				dir.Observe(r)
			}
		}
		return ctx.Err()
	})
	return Named(err, file, given)
}

// Named puts the name that the user gave in place of a spooled file's.
func Named(err error, spooled, given string) error {
	if err == nil || spooled == given || errors.Is(err, context.Canceled) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), spooled, given))
}

func (o Options) found(f finding.Finding) Found {
	out := Found{Time: f.Time, Tenant: f.Tenant, Rule: f.Rule, Title: f.Title, Level: f.Level, Actor: f.Actor.Label(), Technique: f.Techniques, Mode: f.Mode, Suppressed: f.Suppressed, Says: f.Says}
	for _, p := range f.Proof {
		for _, position := range p.Positions {
			file, line, _ := strings.Cut(position, ":")
			i, err := strconv.Atoi(file)
			n, lineErr := strconv.Atoi(line)
			if err == nil && lineErr == nil {
				out.Records = append(out.Records, Place{File: o.Files[i], Line: n, ID: p.Record})
			}
		}
	}
	return out
}

// maxInput bounds what is kept of standard input.
const maxInput = 8 << 30

// Spool keeps standard input, which is - among the files, in a file of its own: files are read twice. The file is gone when ctx
// ends, though whoever waits for more input may have to be killed.
func Spool(ctx context.Context, given []string, in io.Reader) (files []string, cleanup func(), err error) {
	files, cleanup = slices.Clone(given), func() {}
	at := slices.Index(files, "-")
	switch {
	case at < 0:
		return files, cleanup, nil
	case slices.Contains(files[at+1:], "-"):
		return nil, nil, errors.New("reading standard input: - stands among the files more than once")
	}
	f, err := os.CreateTemp("", "cordon-detect-")
	if err != nil {
		return nil, nil, fmt.Errorf("keeping standard input: %w", err)
	}
	remove := func() { _ = os.Remove(f.Name()) }
	stop := context.AfterFunc(ctx, remove)
	cleanup = func() {
		stop()
		remove()
	}
	n, err := io.Copy(f, io.LimitReader(in, maxInput+1))
	if n > maxInput {
		err = fmt.Errorf("there are more than %d bytes", int64(maxInput))
	}
	if err := errors.Join(err, f.Close()); err != nil {
		cleanup()
		return nil, nil, fmt.Errorf("keeping standard input: %w", err)
	}
	files[at] = f.Name()
	return files, cleanup, nil
}

// LoadDirectory reads a YAML file of who holds which roles.
func LoadDirectory(d *directory.Directory, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("opening the directory: %w", err)
	}
	defer f.Close()
	dec := yaml.NewDecoder(f)
	dec.KnownFields(true)
	for {
		var s directory.Snapshot
		if err := dec.Decode(&s); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if s.Tenant == "" || s.Read.IsZero() {
			return fmt.Errorf("%s: a directory needs tenant, read (a time) and principals", file)
		}
		d.Load(s)
	}
}

// Run is `cordon detect`: findings on standard output, what became of the records on standard error.
func Run(ctx context.Context, o Options) error {
	result, err := Detect(ctx, o)
	if err != nil {
		return err
	}
	if o.JSON {
		enc := json.NewEncoder(o.Out)
		enc.SetEscapeHTML(false)
		for _, f := range result.Findings {
			if err := enc.Encode(f); err != nil {
				return fmt.Errorf("printing: %w", err)
			}
		}
	} else if err := table(o.Out, result.Findings, len(o.Files) > 1); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	read, rejected := 0, 0
	for _, c := range result.Counts {
		tell(o.Errs, c)
		read, rejected = read+c.Decoded+len(c.Taken), rejected+len(c.Rejected)
	}
	tellQuiet(o.Errs, result)
	for _, rule := range sortedKeys(result.Silenced) {
		fmt.Fprintf(o.Errs, "rule %s could not be decided for %d records: who is privileged is not known; give --directory\n", rule, result.Silenced[rule])
	}
	if read == 0 && rejected > 0 {
		return errors.New("nothing could be read")
	}
	return nil
}

func table(out io.Writer, findings []Found, several bool) error {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TIME\tTENANT\tRULE\tLEVEL\tTECHNIQUE\tRECORDS\tWHAT")
	for _, f := range findings {
		var lines []string
		for _, r := range f.Records {
			line := strconv.Itoa(r.Line)
			if several {
				line = r.File + ":" + line
			}
			lines = append(lines, line)
		}
		if len(lines) > 8 {
			lines = append(lines[:8], fmt.Sprintf("… (%d)", len(f.Records)))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", f.Time.Format(time.RFC3339), clip(f.Tenant, 8), f.Rule, f.Level, strings.Join(f.Technique, " "), strings.Join(lines, ","), f.mark()+f.Says)
	}
	return w.Flush()
}

// told is how many rejected lines of a file are listed one by one.
const told = 20

func tell(w io.Writer, c Count) {
	fmt.Fprintf(w, "%s: %d records read", c.File, c.Decoded)
	if n, which := sum(c.Passed); n > 0 {
		fmt.Fprintf(w, ", of them %d that no rule looks at (%s)", n, which)
	}
	if n, which := sum(c.Taken); n > 0 {
		fmt.Fprintf(w, ", %d taken without a decoder (%s)", n, which)
	}
	if len(c.Rejected) > 0 {
		fmt.Fprintf(w, ", %d not read:", len(c.Rejected))
	}
	fmt.Fprintln(w)
	for i, r := range c.Rejected {
		if i == told {
			fmt.Fprintf(w, "  … and %d more\n", len(c.Rejected)-told)
			break
		}
		fmt.Fprintf(w, "  line %d: %s\n", r.Line, r.Reason)
	}
}

// sum adds up counts, and lists them.
func sum(of map[string]int) (n int, which string) {
	var each []string
	for _, name := range sortedKeys(of) {
		n += of[name]
		each = append(each, fmt.Sprintf("%s %d", name, of[name]))
	}
	return n, strings.Join(each, ", ")
}

func sortedKeys(m map[string]int) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func clip(s string, most int) string {
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
