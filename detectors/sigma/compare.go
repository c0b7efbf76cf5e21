package sigma

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"time"
)

// matcher compares one value.
type matcher interface{ matches(value string) bool }

// What a regular expression may cost: its time is the product of its instructions and the value's length.
const (
	maxExpression   = 4 << 10  // bytes of its text
	maxInstructions = 2000     // of its program
	maxSearched     = 64 << 10 // bytes of a value; what stands behind them is not looked at
	maxEffort       = 20 << 20 // instructions times bytes that one test has for a record: a fifth of a second
)

// expr is a regular expression of Go's linear-time engine.
type expr struct {
	re           *regexp.Regexp
	instructions int
}

func newExpression(text, flags string) (matcher, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("a regular expression has %d bytes at most", maxExpression)
	}
	if flags != "" {
		text = "(?" + flags + ")" + text
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("expected a regular expression without look-around or back-references: %w", err)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, fmt.Errorf("expected a regular expression: %w", err)
	}
	if len(program.Inst) > maxInstructions {
		return nil, fmt.Errorf("the regular expression is too large: %d instructions, %d at most", len(program.Inst), maxInstructions)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("expected a regular expression: %w", err)
	}
	return expr{re, len(program.Inst)}, nil
}

func (x expr) matches(v string) bool {
	effort := maxEffort
	return x.within(v, &effort)
}

// within looks at as much of a value as there is effort left for; where there is none it matches nothing.
func (x expr) within(v string, effort *int) bool {
	most := min(maxSearched, *effort/x.instructions)
	if most == 0 {
		return false
	}
	v = v[:min(len(v), most)]
	*effort -= len(v) * x.instructions
	return x.re.MatchString(v)
}

// network holds addresses.
type network struct{ netip.Prefix }

func newNetwork(text string) (matcher, error) {
	p, err := netip.ParsePrefix(text)
	if a, alone := netip.ParseAddr(text); alone == nil && a.Zone() == "" {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	if err != nil {
		return nil, fmt.Errorf("cidr takes a network such as 10.0.0.0/8 or 2001:db8::/32, or an address, not %q", shortened(text))
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return network{p.Masked()}, nil
}

func (n network) matches(v string) bool {
	v = strings.TrimSpace(v)
	if len(v) < 2 || len(v) > 100 {
		return false
	}
	a, err := netip.ParseAddr(v)
	if err != nil {
		with, err := netip.ParseAddrPort(v)
		if err != nil {
			return false
		}
		a = with.Addr()
	}
	return n.Contains(a.Unmap().WithZone(""))
}

// bound compares numbers; of a date, the number of one of its parts.
type bound struct {
	how  string // "" is equal
	than float64
	part string
}

func (b bound) matches(v string) bool {
	n, ok := 0.0, false
	if b.part == "" {
		n, ok = number(v)
	} else {
		n, ok = partOf(v, b.part)
	}
	if !ok {
		return false
	}
	switch b.how {
	case "lt":
		return n < b.than
	case "lte":
		return n <= b.than
	case "gt":
		return n > b.than
	case "gte":
		return n >= b.than
	}
	return n == b.than
}

// number reads a decimal number; what else ParseFloat takes (hexadecimal, Inf, NaN) is none.
func number(v string) (float64, bool) {
	digits, seen, exponent := 0, false, false
	for i := range len(v) {
		switch c := v[i]; {
		case '0' <= c && c <= '9':
			digits++
		case (c == '-' || c == '+') && (i == 0 || v[i-1]|0x20 == 'e'):
		case c == '.' && !seen && !exponent:
			seen = true
		case c|0x20 == 'e' && digits > 0 && !exponent:
			exponent, digits = true, 0
		default:
			return 0, false
		}
	}
	if digits == 0 || len(v) > 64 {
		return 0, false
	}
	n, err := strconv.ParseFloat(v, 64)
	return n, err == nil && !math.IsInf(n, 0)
}

var dateLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05Z07:00", "2006-01-02"}

// partOf is a part of a date as it is written, whatever its time zone.
func partOf(v, part string) (float64, bool) {
	if len(v) < 10 || len(v) > 40 || v[4] != '-' {
		return 0, false
	}
	for _, layout := range dateLayouts {
		t, err := time.Parse(layout, v)
		if err != nil {
			continue
		}
		switch part {
		case "minute":
			return float64(t.Minute()), true
		case "hour":
			return float64(t.Hour()), true
		case "day":
			return float64(t.Day()), true
		case "week":
			_, week := t.ISOWeek()
			return float64(week), true
		case "month":
			return float64(t.Month()), true
		case "year":
			return float64(t.Year()), true
		}
	}
	return 0, false
}
