package sources

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"cordon/internal/record"
)

// tally adds up what the partitions of a source have carried.
type tally struct {
	by map[string]*count // by category
}

type count struct {
	records, recent int64
	newest          time.Time
	tenants         map[string]*Tenant // tenants are written in both cases
}

func newTally() *tally { return &tally{map[string]*count{}} }

// add counts one partition: all it has carried, and how much of that since before.
func (t *tally) add(carried, before []record.Carried) {
	for _, c := range carried {
		n := t.by[c.Category]
		if n == nil {
			n = &count{tenants: map[string]*Tenant{}}
			t.by[c.Category] = n
		}
		n.records += c.Records
		n.recent += c.Records - was(before, c)
		if c.Event.After(n.newest) {
			n.newest = c.Event
		}
		key := strings.ToLower(c.Tenant)
		if n.tenants[key] == nil {
			n.tenants[key] = &Tenant{ID: c.Tenant}
		}
		n.tenants[key].Records += c.Records
	}
}

func was(before []record.Carried, c record.Carried) int64 {
	for _, b := range before {
		if b.Category == c.Category && strings.EqualFold(b.Tenant, c.Tenant) {
			return b.Records
		}
	}
	return 0
}

// categories are sorted by name, and their tenants by id.
func (t *tally) categories() []Category {
	var out []Category
	for name, n := range t.by {
		c := Category{Name: name, Records: n.records, Newest: n.newest, Rate: float64(n.recent) / window.Seconds()}
		for _, tenant := range n.tenants {
			c.Tenants = append(c.Tenants, *tenant)
		}
		slices.SortFunc(c.Tenants, func(a, b Tenant) int { return cmp.Compare(a.ID, b.ID) })
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Category) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
