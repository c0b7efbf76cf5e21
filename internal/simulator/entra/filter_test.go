package entra

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestFilters(t *testing.T) {
	entity := object{"name": "O'Neil", "on": true, "n": 3, "none": nil, "at": "2026-03-04T03:00:00Z",
		"customer": object{"tenantId": "ABC"}}
	for text, want := range map[string]bool{
		"name eq 'o''neil'":                             true,
		"name ne 'x' and on eq true":                    true,
		"(on eq false) or (customer/tenantId eq 'abc')": true,
		"not (n gt 2)":                                  false,
		"n in (1,2,3)":                                  true,
		"startswith(name,'o')":                          true,
		"none eq null":                                  true,
		"name eq null":                                  false,
		"at ge 2026-03-04T02:59:59Z and at lt 2026-03-04T04:00:00+01:00": false,
		"at le 2026-03-04T04:00:00+01:00":                                true,
	} {
		keep, err := parseFilter(text)
		if assert.NoError(t, err, text) {
			got, err := keep(entity)
			assert.NoError(t, err, text)
			assert.Equal(t, want, got, text)
		}
	}
	for _, text := range []string{"name", "name eq", "name eq 'x' 'y'", "(name eq 'x'", "name like 'x'", "n in (1", "startswith(name)", "'"} {
		_, err := parseFilter(text)
		assert.ErrorAs(t, err, &Refused{}, text)
	}
}

func FuzzFilter(f *testing.F) {
	f.Add("(status eq 'active') AND (customer/tenantId eq 'x')")
	f.Add("not startswith(a,'b') or n in (1,2)")
	f.Fuzz(func(t *testing.T, text string) {
		keep, err := parseFilter(text)
		if err == nil {
			_, err = keep(object{"status": "active", "customer": object{"tenantId": "x"}, "a": nil, "n": 1})
		}
		if err != nil && !errors.As(err, &Refused{}) {
			t.Errorf("%q: %v is no refusal", text, err)
		}
	})
}
