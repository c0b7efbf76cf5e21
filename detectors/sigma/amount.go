package sigma

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// Bound is what a sum or an average must be: Than, and how they compare, as conditions write it.
type Bound struct {
	How  string // gt, gte, lt, lte, eq or neq
	Than *big.Rat
}

func (b Bound) holds(n *big.Rat) bool {
	switch c := n.Cmp(b.Than); b.How {
	case "gt":
		return c > 0
	case "gte":
		return c >= 0
	case "lt":
		return c < 0
	case "lte":
		return c <= 0
	case "eq":
		return c == 0
	default:
		return c != 0
	}
}

// meetable says whether any number is within all of the bounds: one that is, is next to what one of them names or that itself.
func meetable(bounds []Bound) bool {
	for _, b := range bounds {
		for _, step := range []int64{-1, 0, 1} {
			// Half of what lies between the closest two of them is beside each without reaching another.
			n := new(big.Rat).Add(b.Than, new(big.Rat).Mul(big.NewRat(step, 2), gap(bounds)))
			if !slices.ContainsFunc(bounds, func(b Bound) bool { return !b.holds(n) }) {
				return true
			}
		}
	}
	return false
}

// gap is how far the closest two different bounds are from each other, 1 where all are the same.
func gap(bounds []Bound) *big.Rat {
	least := big.NewRat(1, 1)
	for i, a := range bounds {
		for _, b := range bounds[:i] {
			if d := new(big.Rat).Abs(new(big.Rat).Sub(a.Than, b.Than)); d.Sign() > 0 && d.Cmp(least) < 0 {
				least = d
			}
		}
	}
	return least
}

var operators = map[string]string{"gt": "more than", "gte": "at least", "lt": "less than", "lte": "at most", "eq": "exactly", "neq": "not"}

// String is the bound in words.
func (b Bound) String() string {
	return operators[b.How] + " " + strings.TrimSuffix(strings.TrimRight(b.Than.FloatString(maxDigits), "0"), ".")
}

// maxDigits bounds a number's digits on either side of the point: who writes records could make sums of any length.
const maxDigits = 30

// amount reads a number as logs write one, in decimal digits, with a point and an exponent or without. Sums of such are
// exact, in whatever order they are added.
func amount(text string) (*big.Rat, bool) {
	digits, exponent, _ := strings.Cut(strings.ToLower(strings.TrimSpace(text)), "e")
	before, after, _ := strings.Cut(strings.TrimLeft(digits, "+-"), ".")
	power := 0
	if exponent != "" {
		if _, err := fmt.Sscanf(exponent, "%d", &power); err != nil || power < -maxDigits || power > maxDigits {
			return nil, false
		}
	}
	if len(before)+max(power, 0) > maxDigits || len(after)-min(power, 0) > maxDigits || strings.Trim(digits, "+-.0123456789") != "" {
		return nil, false
	}
	return new(big.Rat).SetString(strings.TrimSpace(text))
}

// sums says that the condition is about how much the values are, and not about how many.
func (c *Correlation) sums() bool { return c.Type == "value_sum" || c.Type == "value_avg" }

// amounts adds up what a window holds while it slides.
type amounts struct {
	sum   big.Rat
	count int64
}

func (a *amounts) add(n *big.Rat) {
	a.sum.Add(&a.sum, n)
	a.count++
}

func (a *amounts) less(n *big.Rat) {
	a.sum.Sub(&a.sum, n)
	a.count--
}

// meets says whether what is in the window meets all of a correlation's bounds. Of no number nothing is known.
func (a *amounts) meets(c *Correlation) bool {
	if a.count == 0 {
		return false
	}
	is := &a.sum
	if c.Type == "value_avg" {
		is = new(big.Rat).Quo(is, new(big.Rat).SetInt64(a.count))
	}
	for _, b := range c.Bounds {
		if !b.holds(is) {
			return false
		}
	}
	return true
}
