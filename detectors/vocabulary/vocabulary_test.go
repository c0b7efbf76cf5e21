package vocabulary

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func standard(t *testing.T) *Vocabulary {
	t.Helper()
	v, err := Standard()
	require.NoError(t, err)
	return v
}

func TestEveryKindHasItsSource(t *testing.T) {
	v := standard(t)
	require.Greater(t, len(v.Kind("audit.operation").Values), 850)
	for _, name := range v.Kinds() {
		k := v.Kind(name)
		require.NotEmpty(t, k.Source, name)
		require.NotEmpty(t, k.Why, name)
		require.True(t, k.Form != Any || k.Free || len(k.Values)+len(k.Never) > 0, "%s says nothing", name)
		for _, n := range k.Never {
			require.NotEmpty(t, n.Why, n.Value)
			_, real := k.Has(n.Value)
			require.False(t, real, "%s is both real and not", n.Value)
			if k.Form == Any && !k.Free {
				for _, real := range n.Real {
					_, ok := v.Kind("audit.operation").Has(real)
					_, own := k.Has(real)
					require.True(t, ok || own, "%s: %s is suggested and not known", n.Value, real)
				}
			}
		}
	}
	for _, source := range []string{"auditlogs", "activitylogs", "signinlogs"} {
		require.NotEmpty(t, v.Ordinary(source))
	}
	for _, name := range v.Ordinary("auditlogs") {
		_, ok := v.Kind("audit.operation").Has(name)
		require.True(t, ok, name)
	}
}

func TestHas(t *testing.T) {
	k := standard(t).Kind("audit.operation")
	for value, want := range map[string]string{
		"add member to role": "Add member to role", "Add member to role.": "Add member to role",
		"Update application – Certificates and secrets management ": "Update application - Certificates and secrets management",
		"DSR Delete: MFA.PostgreSQL.blocked_users":                  "DSR Delete: *",
	} {
		got, ok := k.Has(value)
		require.True(t, ok, value)
		require.Equal(t, want, got)
	}
	_, ok := k.Has("Add member from group")
	require.False(t, ok)
}

func TestSuggestions(t *testing.T) {
	k := standard(t).Kind("audit.operation")
	for value, want := range map[string]string{"Add membr to role": "Add member to role", "Add the member of group": "Add member to group", "Frobnicate": "", "Delete something else": ""} {
		got, _ := k.Twin(value)
		require.Equal(t, want, got, value)
	}
}

func TestAFolderAddsValues(t *testing.T) {
	v, err := Load(fstest.MapFS{File: {Data: []byte("audit.operation: [Frobnicate, Add member from group]\n")}})
	require.NoError(t, err)
	_, ok := v.Kind("audit.operation").Has("frobnicate")
	require.True(t, ok)
	_, never := v.Kind("audit.operation").NeverHolds("Add member from group")
	require.False(t, never, "what somebody has seen is not impossible")
	_, never = standard(t).Kind("audit.operation").NeverHolds("Add member from group")
	require.True(t, never)
	_, err = Load(fstest.MapFS{})
	require.NoError(t, err)
}

func TestMalformedValues(t *testing.T) {
	for text, want := range map[string]string{
		"[a]":                          "vocabulary.yml:1: expected kinds",
		"\nnobody: [a]":                `vocabulary.yml:2: unknown kind "nobody"; expected one of activity.category`,
		"audit.operation: {}":          "vocabulary.yml:1: audit.operation is a list of values",
		"a: [":                         "vocabulary.yml: yaml",
		strings.Repeat("#", maxFile+1): "more than",
	} {
		_, err := Load(fstest.MapFS{File: {Data: []byte(text)}})
		require.ErrorContains(t, err, want)
	}
	_, err := Load(fstest.MapFS{File: {Data: nil}})
	require.NoError(t, err)
}

func FuzzRead(f *testing.F) {
	f.Add("audit.operation: [New name]")
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		v := &Vocabulary{kinds: map[string]*Kind{"audit.operation": {Name: "audit.operation", operation: true, known: map[string]string{}}}}
		if err := v.read("f.yml", strings.NewReader(text)); err != nil && !strings.HasPrefix(err.Error(), "f.yml") {
			t.Fatalf("an error without its place: %v", err)
		}
	})
}
