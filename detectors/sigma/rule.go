// Package sigma reads Sigma rules and correlations, compiles them and matches them against records. It knows the
// Sigma language and nothing of Cordon's streams: detectors feed it records and make findings of what matches.
//
// The language is that of the Sigma specification 2.1 (github.com/SigmaHQ/sigma-specification).
package sigma

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"cordon/internal/finding"
	"go.yaml.in/yaml/v3"
)

// maxFile bounds a rule file.
const maxFile = 4 << 20

// Kinds are what a rule's finding is about; two findings of one kind are never independent proofs.
var Kinds = []string{"sign-in", "method", "role", "grant", "credential", "policy", "account", "mailbox", "device", "azure"}

// Custom is Cordon's part of a rule, under `custom`.
type Custom struct {
	Idea            int    `yaml:"idea"`             // row of the list of detection ideas
	Kind            string `yaml:"kind"`             // what independence of proofs is told by
	Principal       string `yaml:"principal"`        // actor (default), target, tenant, or `actor of RULE` in a correlation
	Child           bool   `yaml:"child"`            // the target was made by the actor
	Decisive        bool   `yaml:"decisive"`         // alone enough for the verdict compromised
	Playbook        string `yaml:"playbook"`         // where the playbook's own opens-on is not enough
	PrivilegedLevel string `yaml:"privileged-level"` // level where the principal is privileged
	Says            string `yaml:"says"`             // the finding in one sentence, with {fields}
	Mode            string `yaml:"mode"`             // off, audit (where nothing is said) or on
}

// Rule is a Sigma rule or, where Correlation is set, a correlation, or, where Filter is set, an exception from others.
type Rule struct {
	Name           string
	ID             string
	Title          string
	Description    string
	Level          string
	Status         string
	Techniques     []string // T1110.003
	FalsePositives []string
	Custom         Custom
	File           string
	Line           int
	Digest         string // of all that it says, lists that it names included

	Categories  []string // record categories that the log source stands for
	Correlation *Correlation
	Filter      *Filter
	Exceptions  []*Filter // that name it, once Except has linked them

	source    LogSource
	condition string
	match     expression
	quick     expression // the same truth, what is cheap first
	clauses   []*test    // in the order of the file
	fields    []string
	unset     []string
}

// document is a rule file's YAML, strict.
type document struct {
	Title          string       `yaml:"title"`
	ID             string       `yaml:"id"`
	Name           string       `yaml:"name"`
	Status         string       `yaml:"status"`
	Description    string       `yaml:"description"`
	References     texts        `yaml:"references"`
	Author         string       `yaml:"author"`
	Date           string       `yaml:"date"`
	Modified       string       `yaml:"modified"`
	Tags           texts        `yaml:"tags"`
	LogSource      *logSource   `yaml:"logsource"`
	Detection      yaml.Node    `yaml:"detection"`
	Correlation    *correlation `yaml:"correlation"`
	Generate       *bool        `yaml:"generate"` // the schema has it beside the correlation, the text in it
	Fields         texts        `yaml:"fields"`
	FalsePositives texts        `yaml:"falsepositives"`
	Level          string       `yaml:"level"`
	Custom         Custom       `yaml:"custom"`
}

type logSource struct {
	Product    string `yaml:"product"`
	Category   string `yaml:"category"`
	Service    string `yaml:"service"`
	Definition string `yaml:"definition"`
}

// Lists are the values of placeholders: `field|expand: '%privileged-role-ids%'`.
type Lists map[string][]string

// ParseLists reads a YAML file of placeholder lists.
func ParseLists(file string, in io.Reader) (Lists, error) {
	dec := yaml.NewDecoder(in)
	var l Lists
	if err := dec.Decode(&l); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return l, nil
}

// Parse reads the rules, correlations and filters of one file, which may hold several documents. Errors name file and line and what was
// expected there.
func Parse(file string, in io.Reader, lists Lists) ([]*Rule, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s:1: a rule file has %d bytes at most", file, maxFile)
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var rules []*Rule
	var nothing *yaml.Node // the last document, where it is empty: a separator stands behind each
	for {
		var node yaml.Node
		err := dec.Decode(&node)
		if errors.Is(err, io.EOF) && (nothing == nil || len(rules) > 0) {
			return rules, nil
		}
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s:%w", file, at(nothing, "a rule is a mapping with title, logsource, detection"))
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%w", file, broken(err))
		}
		if nothing = empty(&node); nothing != nil {
			continue
		}
		rule, err := parseDocument(&node, lists)
		if err != nil {
			return nil, fmt.Errorf("%s:%w", file, err)
		}
		rule.File = file
		if rule.Filter != nil {
			rule.Filter.File = file
		}
		rules = append(rules, rule)
	}
}

// empty is the value of a document in which nothing stands, nil of any other.
func empty(node *yaml.Node) *yaml.Node {
	if root := node.Content[0]; root.Kind == yaml.ScalarNode && root.Tag == "!!null" && root.Value == "" {
		return root
	}
	return nil
}

func parseDocument(node *yaml.Node, lists Lists) (*Rule, error) {
	root, err := writtenOut(node.Content[0])
	if err != nil {
		return nil, err
	}
	if root.Kind != yaml.MappingNode {
		return nil, at(root, "a rule is a mapping with title, logsource, detection")
	}
	if member(root, "filter") != nil {
		f, err := parseFilter(root, lists)
		if err != nil {
			return nil, err
		}
		return &Rule{Name: f.Name, ID: f.ID, Title: f.Title, Description: f.Description, Line: f.Line, Filter: f}, f.search.digest(root)
	}
	if err := own(root, "title", "id", "name", "status", "description", "references", "author", "date", "modified", "tags", "logsource",
		"detection", "correlation", "fields", "falsepositives", "level", "custom", "taxonomy", "license", "related", "scope",
		"simulation", "regression_tests_path", "generate"); err != nil {
		return nil, err
	}
	if c := member(root, "custom"); c != nil {
		if err := known(c, "idea", "kind", "principal", "child", "decisive", "playbook", "privileged-level", "says", "mode"); err != nil {
			return nil, err
		}
	}
	var d document
	if err := root.Decode(&d); err != nil {
		return nil, mistyped(root, err)
	}
	r := &Rule{Name: d.Name, ID: d.ID, Title: d.Title, Description: d.Description, Level: d.Level, Status: d.Status,
		FalsePositives: d.FalsePositives, Custom: d.Custom, Line: root.Line}
	if r.Title == "" {
		return nil, at(root, "a rule needs a title")
	}
	if r.Name == "" {
		r.Name = r.ID
	}
	if r.Name == "" {
		r.Name = slug(r.Title) // both are optional in Sigma; findings need an identity
	}
	if r.Name == "" {
		return nil, at(root, "a rule needs a name or an id")
	}
	if r.Level == "" {
		r.Level = "medium"
	}
	if !slices.Contains(finding.Levels, r.Level) {
		return nil, at(member(root, "level"), "level %q is none of %s", r.Level, strings.Join(finding.Levels, ", "))
	}
	if err := checkCustom(member(root, "custom"), r.Custom, d.Correlation); err != nil {
		return nil, err
	}
	if r.Custom.Mode == "" {
		r.Custom.Mode = finding.Audit
	}
	for _, tag := range d.Tags {
		if t, ok := strings.CutPrefix(strings.ToLower(tag), "attack.t"); ok && t != "" && unicode.IsDigit(rune(t[0])) {
			r.Techniques = append(r.Techniques, "T"+t)
		}
	}
	switch {
	case d.Correlation != nil && member(root, "detection") != nil:
		return nil, at(member(root, "detection"), "a rule has a detection or a correlation, not both")
	case d.Correlation != nil && d.Generate != nil && d.Correlation.Generate != nil && *d.Generate != *d.Correlation.Generate:
		return nil, at(member(root, "generate"), "generate stands in the correlation too, and says the opposite")
	case d.Correlation != nil:
		if d.Generate != nil {
			d.Correlation.Generate = d.Generate
		}
		c, err := parseCorrelation(member(root, "correlation"), d.Correlation)
		if err != nil {
			return nil, err
		}
		r.Correlation = c
	case d.LogSource == nil:
		return nil, at(root, "a rule needs a logsource")
	case member(root, "detection") == nil:
		return nil, at(root, "a rule needs a detection")
	default:
		categories, err := route(member(root, "logsource"), d.LogSource)
		if err != nil {
			return nil, err
		}
		r.Categories, r.source = categories, LogSource{products[strings.ToLower(d.LogSource.Product)], d.LogSource.Category, d.LogSource.Service}
		if err := compile(r, member(root, "detection"), lists); err != nil {
			return nil, err
		}
	}
	return r, r.digest(root)
}

// Called says whether a reference, by name or by id, is to this rule.
func (r *Rule) Called(ref string) bool {
	return ref == r.Name || r.ID != "" && strings.EqualFold(ref, r.ID)
}

// digest tells this edition of the rule from any other.
func (r *Rule) digest(root *yaml.Node) error {
	text, err := yaml.Marshal(root)
	if err != nil {
		return at(root, "this cannot be written again as YAML: %v", err)
	}
	sum := sha256.New()
	sum.Write(text) // a hash never fails
	for _, t := range r.clauses {
		if !t.expand {
			continue
		}
		for _, value := range t.Compared {
			fmt.Fprintf(sum, "%q", value)
		}
	}
	r.Digest = hex.EncodeToString(sum.Sum(nil)[:16])
	return nil
}

func slug(title string) string {
	words := strings.FieldsFunc(strings.ToLower(title), func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) })
	return strings.Join(words, "-")
}

// principals are who a finding may name: the incident it joins is his.
var principals = []string{"actor", "target", "tenant"}

func checkCustom(n *yaml.Node, c Custom, over *correlation) error {
	if l := c.PrivilegedLevel; l != "" && !slices.Contains(finding.Levels, l) {
		return at(member(n, "privileged-level"), "level %q is none of %s", l, strings.Join(finding.Levels, ", "))
	}
	if k := c.Kind; k != "" && !slices.Contains(Kinds, k) {
		return at(member(n, "kind"), "kind %q is none of %s", k, strings.Join(Kinds, ", "))
	}
	if m := c.Mode; m != "" && !slices.Contains(finding.Modes, m) {
		return at(member(n, "mode"), "mode %q is none of %s", m, strings.Join(finding.Modes, ", "))
	}
	if of, each := strings.CutPrefix(c.Principal, "actor of "); each {
		if over == nil { // which rules a correlation has is known when all are there
			return at(member(n, "principal"), "principal %q: %s is no rule of this correlation", c.Principal, of)
		}
	} else if c.Principal != "" && !slices.Contains(principals, c.Principal) {
		return at(member(n, "principal"), "principal %q is none of %s, or `actor of RULE` in a correlation", c.Principal, strings.Join(principals, ", "))
	}
	return nil
}
