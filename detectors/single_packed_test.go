package detectors

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"cordon/internal/finding"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// What is kept of a finding is all of it: a field that somebody adds must not be lost on the way.
func TestAPackedFindingIsTheSame(t *testing.T) {
	e := shipped(t, known())
	rapid.Check(t, func(r *rapid.T) {
		var memory [][]byte // of the texts: it is written over
		text := rapid.StringMatching(`.{0,5}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
		var fill func(v reflect.Value)
		fill = func(v reflect.Value) {
			switch at := v.Addr().Interface().(type) {
			case *time.Time:
				*at = time.Unix(rapid.Int64Range(0, 1<<37).Draw(r, "s"), rapid.Int64Range(0, 999_999_999).Draw(r, "ns")).UTC()
				return
			}
			switch v.Kind() {
			case reflect.String:
				drawn := append([]byte(text.Draw(r, "text")), 0)
				memory = append(memory, drawn)
				v.SetString(unsafe.String(&drawn[0], len(drawn)-1))
			case reflect.Bool:
				v.SetBool(rapid.Bool().Draw(r, "flag"))
			case reflect.Int:
				v.SetInt(rapid.Int64Range(0, 1<<40).Draw(r, "number"))
			case reflect.Slice:
				if n := rapid.IntRange(0, 3).Draw(r, "n"); n > 0 {
					v.Set(reflect.MakeSlice(v.Type(), n, n))
				}
				for i := range v.Len() {
					fill(v.Index(i))
				}
			case reflect.Struct:
				for i := range v.NumField() {
					fill(v.Field(i))
				}
			default:
				r.Fatalf("a finding has a %s", v.Type())
			}
		}
		var f finding.Finding
		fill(reflect.ValueOf(&f).Elem())
		if rapid.Bool().Draw(r, "acted himself") {
			f.Principal = f.Actor
		}
		rule := e.rules[0]
		f.Rule, f.Title, f.Kind, f.Techniques = rule.Name, rule.Title, rule.Custom.Kind, rule.Techniques
		f.Decisive, f.Playbook, f.Mode, f.Count = rule.Custom.Decisive, rule.Custom.Playbook, e.mode[0], 1
		var proof finding.Proof
		fill(reflect.ValueOf(&proof).Elem())
		if rapid.Bool().Draw(r, "as before") {
			f.Actor.Home, f.Principal.Home, proof.Principal, proof.Label = f.Tenant, f.Tenant, f.Actor.ID, f.Actor.UPN
			for i := range f.Targets {
				f.Targets[i].Operation = proof.Operation
			}
		}
		f.Proof, f.ID = []finding.Proof{proof}, f.Rule+"/"+proof.Record
		f.Withdrawn = strings.Clone(f.Withdrawn)
		want, err := json.Marshal(f)
		require.NoError(r, err)
		s := &single{packed: e.pack(&f, []byte(f.Says)), revision: f.Revision, unconfirmed: f.Unconfirmed, withdrawn: f.Withdrawn}
		for _, m := range memory {
			clear(m)
		}
		left, err := json.Marshal(f)
		require.NoError(r, err)
		require.Equal(r, string(want), string(left), "it is no longer the record's")
		if got := e.finding(s); !reflect.DeepEqual(f, got) {
			require.Equal(r, f, got)
		}
	})
}
