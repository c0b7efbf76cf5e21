// Package ruletest runs the proof that stands beside a rule: records on which it fires, and the same records with one
// field changed, on which it does not. `go test` runs it over the rules that ship, `cordon rules test` over the user's.
package ruletest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"cordon/detectors"
	"cordon/detectors/fields"
	"cordon/detectors/sigma"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/record"
	"go.yaml.in/yaml/v3"
)

// What a case asks of a rule.
const (
	Fires       = "fires"
	Quiet       = "quiet"
	Unconfirmed = "unconfirmed"
)

// Case is one example that was run.
type Case struct {
	File  string
	Rules []string
	Kind  string
	Why   string
	Err   error // what was found instead; nil where it passed
}

// Result is what came of a folder's tests.
type Result struct {
	Cases    []Case
	Untested []string // rules that raise findings and lack a case that fires or one that is quiet
}

// Failed counts the cases that did not pass.
func (r Result) Failed() int {
	failed := 0
	for _, c := range r.Cases {
		if c.Err != nil {
			failed++
		}
	}
	return failed
}

const (
	tenant  = "7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11"
	maxFile = 8 << 20
)

// file is one *.test.yml, strict.
type file struct {
	Fires       []firing  `yaml:"fires"`
	Quiet       []variant `yaml:"quiet"`
	Unconfirmed []variant `yaml:"unconfirmed"`
}

type firing struct {
	Why       string                `yaml:"why"`
	Rule      string                `yaml:"rule"`
	Also      []string              `yaml:"also"`
	Directory []directory.Principal `yaml:"directory"`
	Records   []map[string]any      `yaml:"records"`
}

type variant struct {
	Why  string         `yaml:"why"`
	Rule string         `yaml:"rule"`
	Of   int            `yaml:"of"` // which firing example it changes
	Set  map[string]any `yaml:"set"`
}

type runner struct {
	rules  []*sigma.Rule
	table  *fields.Table
	serves func(rule string) bool // correlations, and raises nothing of its own
}

// Run runs every test of a folder against all of its rules.
func Run(rules fs.FS) (Result, error) {
	all, err := detectors.Load(rules)
	if err != nil {
		return Result{}, err
	}
	table, err := fields.Load(rules)
	if err != nil {
		return Result{}, err
	}
	r := runner{rules: all, table: table}
	engine, err := r.engine(nil)
	if err != nil {
		return Result{}, err
	}
	r.serves = engine.Serves
	var out Result
	files, err := detectors.Files(rules)
	if err != nil {
		return out, fmt.Errorf("testing rules: %w", err)
	}
	for _, name := range files {
		if !strings.HasSuffix(name, ".test"+path.Ext(name)) {
			continue
		}
		cases, err := r.file(rules, name)
		if out.Cases = append(out.Cases, cases...); err != nil {
			return out, fmt.Errorf("testing rules: %w", err)
		}
	}
	for _, rule := range all {
		has := func(kind string) bool {
			return slices.ContainsFunc(out.Cases, func(c Case) bool { return c.Kind == kind && slices.Contains(c.Rules, rule.Name) })
		}
		if !engine.Serves(rule.Name) && (!has(Fires) || !has(Quiet)) {
			out.Untested = append(out.Untested, rule.Name)
		}
	}
	return out, nil
}

func (r runner) file(rules fs.FS, name string) ([]Case, error) {
	test, err := read(rules, name)
	if err != nil {
		return nil, err
	}
	var cases []Case
	for _, f := range test.Fires {
		c := Case{File: name, Kind: Fires, Why: f.Why}
		found, err := r.run(f, nil)
		for _, ref := range append(slices.Clone(f.Also), f.Rule) {
			var rule string
			if err == nil {
				rule, err = r.named(name, ref)
			}
			if err == nil {
				c.Rules, err = append(c.Rules, rule), fired(found, rule)
			}
		}
		c.Err = err
		cases = append(cases, c)
	}
	for kind, variants := range map[string][]variant{Quiet: test.Quiet, Unconfirmed: test.Unconfirmed} {
		for _, v := range variants {
			c := Case{File: name, Kind: kind, Why: v.Why}
			var rule string
			if rule, c.Err = r.named(name, v.Rule); c.Err == nil {
				c.Rules, c.Err = []string{rule}, r.variant(test, v, kind, rule)
			}
			cases = append(cases, c)
		}
	}
	slices.SortStableFunc(cases, func(a, b Case) int { return strings.Compare(a.Kind, b.Kind) })
	return cases, nil
}

// named is the rule that a case of a file is about: where it names none, the only one of the file beside it that raises findings.
func (r runner) named(file, ref string) (string, error) {
	var here []string
	for _, rule := range r.rules {
		switch {
		case ref == "" && rule.File == strings.Replace(file, ".test.", ".", 1) && !r.serves(rule.Name):
			here = append(here, rule.Name)
		case ref == "" || !rule.Called(ref):
		case r.serves(rule.Name):
			return "", fmt.Errorf("%s raises no finding of its own: it serves correlations", ref)
		default:
			return rule.Name, nil
		}
	}
	switch {
	case ref != "":
		return "", fmt.Errorf("there is no rule %q", ref)
	case len(here) != 1:
		return "", fmt.Errorf("name the rule: the file beside it has %d that raise findings", len(here))
	}
	return here[0], nil
}

func read(rules fs.FS, name string) (test file, err error) {
	f, err := rules.Open(name)
	if err != nil {
		return test, fmt.Errorf("opening a test: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return test, fmt.Errorf("reading %s: %w", name, err)
	}
	if len(data) > maxFile {
		return test, fmt.Errorf("%s: more than %d bytes", name, maxFile)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&test); err != nil && !errors.Is(err, io.EOF) {
		return test, fmt.Errorf("%s: %w", name, err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return test, fmt.Errorf("%s: a test is one document; what follows the first would not be run", name)
	}
	return test, nil
}

func fired(found map[string]finding.Finding, rule string) error {
	f, ok := found[rule]
	switch {
	case !ok:
		return fmt.Errorf("%s did not fire", rule)
	case f.Unconfirmed:
		return fmt.Errorf("%s fired for want of a field alone: the finding is unconfirmed", rule)
	case strings.Contains(f.Says, "unknown"):
		return fmt.Errorf("the sentence is not complete: %s", f.Says)
	}
	return nil
}

func (r runner) variant(test file, v variant, kind, rule string) error {
	if kind == Quiet && len(v.Set) != 1 {
		return errors.New("a quiet record differs in one field")
	}
	if v.Of < 0 || v.Of >= len(test.Fires) {
		return fmt.Errorf("there is no firing example %d", v.Of)
	}
	found, err := r.run(test.Fires[v.Of], v.Set)
	if err != nil {
		return err
	}
	f, ok := found[rule]
	switch {
	case kind == Quiet && ok:
		return fmt.Errorf("%s fired", rule)
	case kind == Unconfirmed && !ok:
		return fmt.Errorf("%s did not fire", rule)
	case kind == Unconfirmed && !f.Unconfirmed:
		return fmt.Errorf("%s fired, and the finding is not unconfirmed", rule)
	}
	return nil
}

func (r runner) engine(holders []directory.Principal) (*detectors.Engine, error) {
	d := directory.New()
	d.Load(directory.Snapshot{Tenant: tenant, Read: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Principals: holders})
	return detectors.NewEngine(r.rules, d, detectors.WithFields(r.table), detectors.Untuned())
}

// run feeds an example's records to all rules and returns the findings by rule.
func (r runner) run(f firing, set map[string]any) (map[string]finding.Finding, error) {
	engine, err := r.engine(f.Directory)
	if err != nil {
		return nil, err
	}
	found := map[string]finding.Finding{}
	for i, rec := range f.Records {
		raw, err := changed(rec, i, set)
		if err != nil {
			return nil, err
		}
		decoded, err := record.Decode(raw, record.Defaults{})
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", i, err)
		}
		for _, f := range engine.Process(decoded, strconv.Itoa(i)) {
			found[f.Rule] = f
		}
	}
	for _, f := range engine.Flush() {
		found[f.Rule] = f
	}
	return found, nil
}

// changed is a record as JSON, with what is set for its number: `0.properties.result`.
func changed(rec map[string]any, number int, set map[string]any) ([]byte, error) {
	raw, err := json.Marshal(rec)
	if err != nil {
		return nil, fmt.Errorf("record %d: %w", number, err)
	}
	for path, value := range set {
		index, rest, _ := strings.Cut(path, ".")
		if index != strconv.Itoa(number) {
			continue
		}
		var copied any
		if err := json.Unmarshal(raw, &copied); err != nil {
			return nil, fmt.Errorf("record %d: %w", number, err)
		}
		if !change(copied, strings.Split(rest, "."), value) {
			return nil, fmt.Errorf("there is no %s to change", path)
		}
		if raw, err = json.Marshal(copied); err != nil {
			return nil, fmt.Errorf("record %d: %w", number, err)
		}
	}
	return raw, nil
}

// change sets a value that is already there.
func change(v any, path []string, value any) bool {
	switch v := v.(type) {
	case map[string]any:
		inner, ok := v[path[0]]
		if !ok {
			return false
		}
		if len(path) == 1 {
			v[path[0]] = value
			return true
		}
		return change(inner, path[1:], value)
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i < 0 || i >= len(v) {
			return false
		}
		if len(path) == 1 {
			v[i] = value
			return true
		}
		return change(v[i], path[1:], value)
	}
	return false
}
