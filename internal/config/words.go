package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// mistyped is what the YAML library says of a value of the wrong kind.
var mistyped = regexp.MustCompile("(?s)^(line \\d+): cannot unmarshal !!(\\w+)(?: `.*`)? into (.*)$")

// clearer takes the names of Go types out of the YAML library's words, and the values: one may be a secret that
// stands where keys were expected.
func clearer(err error) error {
	var typed *yaml.TypeError
	if !errors.As(err, &typed) {
		return err
	}
	var lines []string
	for _, l := range typed.Errors {
		if i := strings.Index(l, " not found in type "); i >= 0 {
			l = strings.Replace(l[:i], "field ", "unknown key ", 1)
		} else if m := mistyped.FindStringSubmatch(l); m != nil {
			stands := map[string]string{"map": "keys and values", "seq": "a list"}[m[2]]
			if stands == "" {
				stands = "a word"
			}
			l = fmt.Sprintf("%s: expected %s here, not %s", m[1], wanted(m[3]), stands)
		}
		lines = append(lines, l)
	}
	return errors.New(strings.Join(lines, "; "))
}

// wanted says in words what a type of ours holds.
func wanted(goType string) string {
	switch {
	case goType == "time.Duration":
		return "a duration such as 1h"
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	case strings.HasPrefix(goType, "int"):
		return "a number"
	case goType == "string":
		return "a word"
	}
	return "keys and values"
}
