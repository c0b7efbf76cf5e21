package check

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cordon/detectors/sigma"
	"cordon/detectors/spelling"
	"cordon/detectors/vocabulary"
)

// verdict is what is known of one value of a clause.
type verdict int

const (
	possible verdict = iota
	unknown
	impossible
)

// judge says whether a clause can hold at all: False where that is proven not to be, else Unknown.
func (c *Checker) judge(source string, clause sigma.Clause) (sigma.Truth, []Remark) {
	if clause.Keywords || clause.Field == "" || clause.Field == "actor.privileged" {
		return sigma.Unknown, nil
	}
	remark := Remark{Kind: NeverMatches, Line: clause.Line, Field: clause.Field}
	empty := holdsForNothing(clause)
	if never, ok := c.known.NeverField(source, clause.Field); ok {
		remark.Reason, remark.Instead = never.Why, never.Real
		return falseUnless(empty), []Remark{remark}
	}
	if list, rest, ok := c.inList(source, clause.Field); ok {
		remark.Reason = fmt.Sprintf("%s is a list of key and value: it has no member %s", list, rest)
		remark.Instead = []string{list + ".key", list + ".value"}
		return falseUnless(empty), []Remark{remark}
	}
	meaning := c.table.Resolve(source, clause.Field)
	if !meaning.Known && source == "" {
		return sigma.Unknown, nil // of a whole product nobody knows all names
	}
	if !meaning.Known {
		remark.Kind, remark.Reason = UnknownField, "neither the table of fields nor the documentation of "+source+" has a field of this name"
		if like := spelling.Nearest(clause.Field, c.table.Names(source)); like != "" {
			remark.Instead = []string{like}
		}
		return sigma.Unknown, []Remark{remark}
	}
	if clause.Unset {
		return sigma.Unknown, nil
	}
	if len(clause.Values) > 0 && len(clause.Compared) == 0 {
		remark.Value, remark.Reason = strings.Join(clause.Values, ", "), "its list is empty"
		return falseUnless(empty), []Remark{remark}
	}
	kind := c.known.Kind(meaning.Row.Holds)
	if kind == nil || !compares(clause.Modifiers) || clause.Null && len(clause.Values) == 0 {
		return sigma.Unknown, nil
	}
	return c.values(kind, clause, remark)
}

// holdsForNothing says whether a clause may hold where there is no such field.
func holdsForNothing(clause sigma.Clause) bool {
	exists := slices.Contains(clause.Modifiers, "exists") && !slices.ContainsFunc(clause.Values, func(v string) bool { return strings.EqualFold(v, "true") })
	return clause.Null || exists || slices.Contains(clause.Values, "") || slices.Contains(clause.Modifiers, "neq")
}

func falseUnless(empty bool) sigma.Truth {
	if empty {
		return sigma.Unknown
	}
	return sigma.False
}

// values judges what a clause compares a field with.
func (c *Checker) values(kind *vocabulary.Kind, clause sigma.Clause, remark Remark) (sigma.Truth, []Remark) {
	how := modifier(clause.Modifiers)
	all := slices.Contains(clause.Modifiers, "all")
	clause.Values = clause.Compared
	if all {
		if names := wholeNames(kind, clause); names != "" {
			remark.Value, remark.Reason = strings.Join(clause.Values, ", "), names
			return sigma.False, []Remark{remark}
		}
	}
	var remarks []Remark
	lost := 0
	for _, value := range clause.Values {
		v, reason, instead := c.value(kind, how, value)
		if v == possible {
			continue
		}
		m := remark
		m.Value, m.Reason, m.Instead = value, reason, instead
		if v == unknown {
			m.Kind = UnknownValue
		} else {
			lost++
		}
		remarks = append(remarks, m)
	}
	switch {
	case lost == 0, clause.Null:
		return sigma.Unknown, remarks
	case all, lost == len(clause.Values):
		return sigma.False, remarks
	}
	return sigma.Unknown, remarks
}

// wholeNames says why `contains|all` of several whole names of operations cannot be: a record bears one.
func wholeNames(kind *vocabulary.Kind, clause sigma.Clause) string {
	if !strings.HasSuffix(kind.Name, ".operation") || kind.Free || len(kind.Values) == 0 || len(clause.Values) < 2 || modifier(clause.Modifiers) != "contains" {
		return ""
	}
	for _, value := range clause.Values {
		if _, ok := kind.Has(value); !ok {
			return ""
		}
	}
	for _, real := range kind.Values {
		if matches("contains", true, clause.Values, real) {
			return ""
		}
	}
	return fmt.Sprintf("each of them is %s of its own, none holds all, and a record has one", kind.What)
}

// value judges one value.
func (c *Checker) value(kind *vocabulary.Kind, how, value string) (verdict, string, []string) {
	if value == "" {
		return possible, "", nil
	}
	if how != "" || strings.ContainsAny(value, "*?") {
		if kind.Complete && !slices.ContainsFunc(kind.Values, func(real string) bool { return matches(how, false, []string{value}, real) }) {
			return impossible, fmt.Sprintf("no %s is like that: %s", plain(kind), only(kind)), nil
		}
		if kind.Form == vocabulary.Number && strings.Trim(value, "0123456789*?") != "" {
			return impossible, "it is a number", nil
		}
		return possible, "", nil
	}
	if _, ok := kind.Has(value); ok {
		return possible, "", nil
	}
	if never, ok := kind.NeverHolds(value); ok {
		return impossible, never.Why, never.Real
	}
	if other, real, ok := c.known.Elsewhere(kind, value); ok {
		return impossible, fmt.Sprintf("%q is %s, and this is %s", real, other.What, kind.What), nil
	}
	if reason := malformed(kind.Form, value); reason != "" {
		return impossible, reason, nil
	}
	switch {
	case kind.Complete:
		return impossible, fmt.Sprintf("there is no such %s: %s", plain(kind), only(kind)), nil
	case kind.Form != vocabulary.Any:
		return possible, "", nil
	}
	if twin, ok := kind.Twin(value); ok {
		return unknown, fmt.Sprintf("no such %s is known, and %q differs by a slip", plain(kind), twin), []string{twin}
	}
	if kind.Free {
		return possible, "", nil
	}
	var instead []string
	if like := kind.Nearest(value); like != "" {
		instead = []string{like}
	}
	return unknown, fmt.Sprintf("no such %s is known; if records bear it, add it to %s", plain(kind), vocabulary.File), instead
}

// only lists a complete kind.
func only(kind *vocabulary.Kind) string {
	if len(kind.Values) == 1 {
		return "the only one is " + kind.Values[0]
	}
	return "there are " + strings.Join(kind.Values, ", ")
}

// plain is a kind's name without its article.
func plain(kind *vocabulary.Kind) string {
	for _, article := range []string{"an ", "a ", "the "} {
		if rest, ok := strings.CutPrefix(kind.What, article); ok {
			return rest
		}
	}
	return kind.What
}

var guid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// words stand in documentation where a name or an id is meant.
var words = []string{"upn", "user", "username", "userprincipalname", "user principal name", "email", "guid", "id", "objectid", "user id"}

// malformed says why a value has not the form of its kind.
func malformed(form vocabulary.Form, value string) string {
	switch form {
	case vocabulary.Number:
		if _, err := strconv.Atoi(strings.TrimSpace(value)); err != nil {
			return "it is a number"
		}
	case vocabulary.GUID:
		if !guid.MatchString(value) {
			return "it is a GUID"
		}
	case vocabulary.Identity:
		if slices.Contains(words, strings.ToLower(strings.TrimSpace(value))) {
			return fmt.Sprintf("a record has somebody's name or id there, never the word %s", value)
		}
	case vocabulary.Path:
		if !strings.Contains(value, "/") {
			return "it is an operation of a resource provider, such as Microsoft.Authorization/roleAssignments/write"
		}
	}
	return ""
}

// inList finds a field that reaches into a list of key and value for a member that is neither.
func (c *Checker) inList(source, field string) (list, rest string, ok bool) {
	for i := range len(field) {
		if field[i] != '.' {
			continue
		}
		list, rest = field[:i], field[i+1:]
		kind := c.known.Kind(c.table.Resolve(source, list).Row.Holds)
		if kind != nil && kind.Form == vocabulary.KeyValue && !strings.EqualFold(rest, "key") && !strings.EqualFold(rest, "value") {
			return list, rest, true
		}
	}
	return "", "", false
}

// compares says that the modifiers leave a comparison of texts: others are not judged.
func compares(modifiers []string) bool {
	return !slices.ContainsFunc(modifiers, func(m string) bool {
		return !slices.Contains([]string{"contains", "startswith", "endswith", "all", "expand", "cased"}, m)
	})
}

func modifier(modifiers []string) string {
	for _, m := range modifiers {
		if m == "contains" || m == "startswith" || m == "endswith" {
			return m
		}
	}
	return ""
}

// ordinary are the everyday operations that satisfy a rule by themselves: whatever else it asks for is taken for not
// there, but what goes with each such operation.
func (c *Checker) ordinary(source string, r *sigma.Rule) (on []string) {
	for _, operation := range c.known.Ordinary(source) {
		truth := r.Possible(func(clause sigma.Clause) sigma.Truth {
			if c.ordinarily(source, operation, clause) {
				return sigma.True
			}
			return sigma.False
		})
		if truth == sigma.True {
			on = append(on, operation)
		}
	}
	return on
}

func (c *Checker) ordinarily(source, operation string, clause sigma.Clause) bool {
	if !compares(clause.Modifiers) || slices.Contains(clause.Modifiers, "cased") {
		return false
	}
	how, all := modifier(clause.Modifiers), slices.Contains(clause.Modifiers, "all")
	if clause.Keywords {
		return matches("contains", all, clause.Compared, operation)
	}
	row := c.table.Resolve(source, clause.Field).Row
	var said []string
	switch row.Holds {
	case "audit.operation", "activity.operation", "activity.message", "signIn.operation":
		said = []string{operation}
	case "audit.category", "audit.service", "activity.category", "signIn.category":
		return true // such a record has one, and a rule names the one that goes with the operation
	case "activity.provider":
		provider, _, _ := strings.Cut(operation, "/")
		said = []string{provider}
	case "audit.result", "audit.outcome", "signIn.outcome":
		said = []string{"success"}
	case "number":
		said = []string{"0"}
	case "signIn.requirement":
		said = []string{"singleFactorAuthentication", "multiFactorAuthentication"}
	case "signIn.conditionalAccess":
		said = []string{"success", "notApplied"}
	default:
		if row.Fact != "activity.outcome" {
			return false
		}
		said = []string{"Success", "Succeeded", "Start", "Started", "Accept", "Accepted"}
	}
	return slices.ContainsFunc(said, func(s string) bool { return matches(how, all, clause.Compared, s) })
}
