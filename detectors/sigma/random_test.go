package sigma

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cordon/internal/record"
)

// three is the naive evaluator's truth: 1 holds, -1 does not, 0 is unknown.
type three int

// spelt is a random test: how it is written, and what the specification says of it.
type spelt struct {
	key    string
	values []string
	holds  func(given) three
}

// pick is one of several.
func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func text(r *rand.Rand, alphabet string, most int) string {
	runes := []rune(alphabet)
	var out strings.Builder
	for range r.IntN(most + 1) {
		out.WriteRune(runes[r.IntN(len(runes))])
	}
	return out.String()
}

var addresses = []string{"10.1.2.3", "10.9.0.1", "192.0.2.7", "2001:db8::1", "2001:db9::1", "::ffff:10.1.2.3", "a", ""}

// fieldValue is what a record may hold: text, numbers, addresses and dates.
func fieldValue(r *rand.Rand) string {
	switch r.IntN(6) {
	case 0:
		return strconv.Itoa(r.IntN(5))
	case 1:
		return pick(r, addresses...)
	case 2:
		return fmt.Sprintf("2026-0%d-1%dT0%d:3%d:00Z", 1+r.IntN(3), r.IntN(3), r.IntN(3), r.IntN(3))
	case 3:
		return base64.StdEncoding.EncodeToString([]byte(text(r, "abAB", 3)))
	}
	return text(r, `abAB*\-/é`, 4)
}

func randomEvent(r *rand.Rand) given {
	e := given{}
	for _, field := range []string{"f", "g", "h"} {
		switch n := r.IntN(8); {
		case n == 0:
		case n == 1:
			e[field] = record.Values{Unknown: true}
		default:
			var values []string
			for range 1 + r.IntN(2) {
				values = append(values, fieldValue(r))
			}
			absent := !slices.ContainsFunc(values, func(s string) bool { return s != "" })
			e[field] = record.Values{List: values, Absent: absent}
		}
	}
	return e
}

// held are a field's values for comparing; an absent field is the empty text.
func held(v record.Values) []string {
	if v.Absent {
		return []string{""}
	}
	return v.List
}

func lifted(b bool) three {
	if b {
		return 1
	}
	return -1
}

// randomTest makes a test of a field with a modifier, and says what the specification's words mean by it.
func randomTest(r *rand.Rand) spelt {
	field := pick(r, "f", "g", "h")
	how := pick(r, "", "", "contains", "startswith", "endswith", "re", "cidr", "lt", "lte", "gt", "gte", "exists", "fieldref", "hour", "base64", "windash", "null")
	cased, all, neq := r.IntN(4) == 0, r.IntN(4) == 0, r.IntN(5) == 0
	var matches func(pattern, value string) bool
	draw := func() string { return text(r, `abAB*?\-é`, 3) }
	fold := func(s string) string {
		if cased {
			return s
		}
		return strings.ToLower(s)
	}
	wild := func(p, v string) bool { return naive([]rune(fold(p)), []rune(fold(v))) }
	key := field
	switch how {
	case "exists":
		want := r.IntN(2) == 0
		return spelt{field + "|exists", []string{fmt.Sprint(want)}, func(e given) three {
			if e[field].Unknown {
				return 0
			}
			_, there := e[field]
			return lifted(there == want)
		}}
	case "null":
		return spelt{field, nil, func(e given) three {
			if e[field].Unknown {
				return 0
			}
			return lifted(e.Field(field).Absent)
		}}
	case "fieldref":
		other := pick(r, "f", "g", "h")
		return spelt{field + "|fieldref", []string{other}, func(e given) three {
			a, b := e.Field(field), e.Field(other)
			if a.Unknown || b.Unknown {
				return 0
			}
			for _, x := range a.List {
				for _, y := range b.List {
					if !a.Absent && !b.Absent && y != "" && strings.EqualFold(x, y) {
						return 1
					}
				}
			}
			return -1
		}}
	case "re":
		cased = false
		draw = func() string { return pick(r, "^a", "b$", "a.*b", "(a|b){2}", "[a-z]+", "A") }
		insensitive := r.IntN(2) == 0
		key += "|re"
		if insensitive {
			key += "|i"
		}
		matches = func(p, v string) bool {
			if insensitive {
				p = "(?i:" + p + ")"
			}
			return regexp.MustCompile(p).MatchString(v)
		}
	case "cidr":
		cased = false
		key += "|cidr"
		draw = func() string { return pick(r, "10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "0.0.0.0/0") }
		matches = func(p, v string) bool {
			a, err := netip.ParseAddr(v)
			return err == nil && netip.MustParsePrefix(p).Contains(a.Unmap())
		}
	case "lt", "lte", "gt", "gte", "hour":
		cased = false
		key += "|" + how
		draw = func() string { return strconv.Itoa(r.IntN(4)) }
		matches = func(p, v string) bool {
			limit, _ := strconv.Atoi(p)
			if how == "hour" {
				return len(v) == 20 && v[4] == '-' && v[11:13] == fmt.Sprintf("%02d", limit)
			}
			n, err := strconv.Atoi(v)
			return err == nil && map[string]bool{"lt": n < limit, "lte": n <= limit, "gt": n > limit, "gte": n >= limit}[how]
		}
	case "base64":
		key += "|base64|startswith"
		draw = func() string { return pick(r, "a", "ab", "abA", "B") }
		matches = func(p, v string) bool {
			return strings.HasPrefix(fold(v), fold(base64.StdEncoding.EncodeToString([]byte(p))))
		}
	case "windash":
		key += "|windash"
		draw = func() string { return text(r, "ab-/", 3) }
		plain := strings.NewReplacer("/", "-")
		matches = func(p, v string) bool { return fold(plain.Replace(p)) == fold(plain.Replace(v)) }
	case "contains":
		key += "|contains"
		matches = func(p, v string) bool { return containsNaively(fold(p), fold(v)) }
	case "startswith":
		key += "|startswith"
		matches = func(p, v string) bool {
			for i := range []rune(v + "x") {
				if wild(p, string([]rune(v)[:i])) {
					return true
				}
			}
			return false
		}
	case "endswith":
		key += "|endswith"
		matches = func(p, v string) bool {
			for i := range []rune(v + "x") {
				if wild(p, string([]rune(v)[i:])) {
					return true
				}
			}
			return false
		}
	default:
		matches = wild
	}
	var values []string
	for range 1 + r.IntN(3) {
		values = append(values, draw())
	}
	if cased {
		key += "|cased"
	}
	if all {
		key += "|all"
	}
	if neq {
		key += "|neq"
	}
	return spelt{key, values, func(e given) three {
		v := e.Field(field)
		if v.Unknown {
			return 0
		}
		count := 0
		for _, p := range values {
			if v.Absent && p != "" || v.Absent && (how == "contains" || how == "startswith" || how == "endswith") {
				continue // stars ask for something, and nothing else of these is like an empty text
			}
			if slices.ContainsFunc(held(v), func(value string) bool { return matches(p, value) }) {
				count++
			}
		}
		result := lifted(count > 0 && (!all || count == len(values)))
		if neq {
			result = -result
		}
		return result
	}}
}

func containsNaively(p, v string) bool {
	runes := []rune(v)
	for i := 0; i <= len(runes); i++ {
		for j := i; j <= len(runes); j++ {
			if naive([]rune(p), runes[i:j]) {
				return true
			}
		}
	}
	return false
}

// keywords are searched in all of the record.
func randomKeywords(r *rand.Rand) spelt {
	all := r.IntN(2) == 0
	values := []string{text(r, "abé*", 2) + "a", text(r, "ab1", 2) + "b"}
	key := "|contains"
	if all {
		key = "|all"
	}
	return spelt{key, values, func(e given) three {
		count := 0
		for _, p := range values {
			found := false
			e.Each(func(v string) bool {
				found = found || containsNaively(strings.ToLower(p), strings.ToLower(v))
				return true
			})
			if found {
				count++
			}
		}
		return lifted(count == len(values) || count > 0 && !all)
	}}
}
