package tape

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// likeTheOther says that two documents have the same nodes: kinds, places, names' hashes and members' numbers.
func likeTheOther(t require.TestingT, got, want *Doc, src []byte) {
	require.Equal(t, len(want.nodes), len(got.nodes), "%q", src)
	for i := range want.nodes {
		require.Equal(t, want.nodes[i], got.nodes[i], "node %d of %q", i, src)
	}
}

// bothRead reads what Parse accepts in both ways, and whatever else it is given in the one that trusts it.
func bothRead(t require.TestingT, strict, trusting *Doc, src []byte) {
	want, refused := strict.Parse(src)
	got, err := trusting.ParseTrusted(src)
	if refused == nil {
		require.NoError(t, err, "%q", src)
		likeTheOther(t, trusting, strict, src)
		require.Equal(t, want.Bytes(), got.Bytes())
		if want.ASCII() {
			require.True(t, got.ASCII(), "%q", src)
		}
		require.Equal(t, tree(want), tree(got), "%q", src)
		return
	}
	if err != nil {
		var bad *Error
		require.ErrorAs(t, err, &bad)
		require.LessOrEqual(t, bad.Offset, len(src)+8)
		return
	}
	walked(got, 0)
}

// walked uses all that a document offers, which must come to an end.
func walked(v Value, depth int) (n int) {
	n = len(v.Raw()) + len(v.JSON()) + len(v.Text()) + v.Bytes()
	v.Find("a")
	v.Find("createdDateTime")
	for scalars := v.Scalars(); ; {
		s, ok := scalars.Next()
		if !ok {
			break
		}
		n += len(s.Text())
		if p := s.Parsed(); p.Exists() && depth < 3 {
			n += walked(p, depth+1)
		}
	}
	v.Elements(func(e Value) bool { n += walked(e, depth); return true })
	v.Members(func(name string, m Value) bool { n += len(name) + walked(m, depth); return true })
	return n
}

// odd are documents that Parse accepts and whose quotes and blanks stand where a reader of 64 bytes may stumble, and
// some that it refuses.
func odd() (all []string) {
	all = append(all, documents...)
	for n := range 140 {
		fill := strings.Repeat("x", n)
		all = append(all, `{"`+fill+`":"`+fill+`"}`, `["`+fill+`\\","\"`+fill+`\\\"",1]`, strings.Repeat(" ", n)+`{ "a" : "b" , "c":[ ] }`+strings.Repeat("\n", n),
			`["`+fill, `{"`+fill+`\`, `["`+strings.Repeat(`\`, n)+`"]`, `{"k":"`+fill+`é"}`, strings.Repeat(`"`, n), `{"a":`+fill+`"":1}`, strings.Repeat(`[`, n)+strings.Repeat(`]`, n))
	}
	return append(all, `{"a":1]`, `[1}`, `{"a"x:1}`, `[tru]`, `[nul`, `[12"34"]`, `{"a":\"b"}`, `["\u12"]`, `["\`, `{"\x":"\q"}`, `[-]`, `{"a":1,}`, `["a" "b"]`, "[\"\x00\"]", `["\ud83d\`, `["\ud83d\u"]`, `"a`, `"`, `[,]`, `{}x`)
}

func TestTrustedReadsTheSame(t *testing.T) {
	var strict, trusting Doc
	for _, src := range odd() {
		bothRead(t, &strict, &trusting, []byte(src))
	}
	rapid.Check(t, func(t *rapid.T) {
		var value func(depth int) any
		value = func(depth int) any {
			switch k := rapid.IntRange(0, 7).Draw(t, "kind"); {
			case k == 0:
				return nil
			case k == 1:
				return rapid.Bool().Draw(t, "bool")
			case k == 2:
				return rapid.Float64().Draw(t, "number")
			case k < 5 || depth > 4:
				return rapid.OneOf(rapid.String(), rapid.StringMatching(`[\\"a]{0,80}`), memberName()).Draw(t, "text")
			case k == 5:
				list := []any{}
				for range rapid.IntRange(0, 6).Draw(t, "elements") {
					list = append(list, value(depth+1))
				}
				return list
			default:
				members := map[string]any{}
				for range rapid.IntRange(0, 12).Draw(t, "members") {
					members[memberName().Draw(t, "name")] = value(depth + 1)
				}
				return members
			}
		}
		src, err := json.Marshal(value(0))
		require.NoError(t, err)
		if rapid.Bool().Draw(t, "indented") {
			var v any
			require.NoError(t, json.Unmarshal(src, &v))
			src, err = json.MarshalIndent(v, "", rapid.SampledFrom([]string{" ", "\t", "\r"}).Draw(t, "indent"))
			require.NoError(t, err)
		}
		bothRead(t, &strict, &trusting, src)
		at, with := rapid.IntRange(0, len(src)-1).Draw(t, "at"), rapid.Byte().Draw(t, "with")
		src[at] = with
		bothRead(t, &strict, &trusting, src)
		bothRead(t, &strict, &trusting, src[:at])
	})
}

func TestTrustedBounds(t *testing.T) {
	var doc Doc
	_, err := doc.ParseTrusted([]byte(strings.Repeat("[", 100_000)))
	require.ErrorContains(t, err, "at byte 300: nested more than 300 deep")
	_, err = doc.ParseTrusted([]byte(strings.Repeat(`{"a":`, 100_000)))
	require.ErrorContains(t, err, "nested more than 300 deep")
	_, err = doc.ParseTrusted([]byte("[" + strings.Repeat("0,", MaxNodes) + "0]"))
	require.ErrorContains(t, err, "more than 200000 values")
	_, err = doc.ParseTrusted([]byte("{" + strings.Repeat(`"":"",`, MaxNodes) + `"":0}`))
	require.ErrorContains(t, err, "more than 200000 values")
	_, err = doc.ParseTrusted([]byte(`{}`))
	require.NoError(t, err)
	require.LessOrEqual(t, cap(doc.nodes), keep)
	require.LessOrEqual(t, cap(doc.quotes), keep*4)
}

func TestTrustedDoesNotAllocate(t *testing.T) {
	var b strings.Builder
	for i := range 80 {
		fmt.Fprintf(&b, `,"member%d":{"x":"a\"b"}`, i)
	}
	src := []byte(`{"a":0` + b.String() + "}")
	var doc Doc
	require.Zero(t, testing.AllocsPerRun(100, func() {
		v, err := doc.ParseTrusted(src)
		if err != nil || v.Find("member42").Find("x").Text() != `a"b` {
			t.Fatal(err)
		}
	}))
}

func FuzzTrusted(f *testing.F) {
	for _, src := range odd() {
		f.Add([]byte(src))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var strict, trusting Doc
		trusting.quotes, trusting.sets = make([]uint32, 0, 1), make([]sets, 0, 1)
		bothRead(t, &strict, &trusting, src)
		bothRead(t, &strict, &trusting, src) // into the memory of the first
	})
}

// BenchmarkTrusted is BenchmarkParse of the same document, but for what was validated before.
func BenchmarkTrusted(b *testing.B) {
	var doc Doc
	src := []byte(`{"time":"2026-03-02T08:02:05Z","category":"SignInLogs","properties":{` + strings.Repeat(`"conditionalAccessStatus":"notApplied","isInteractive":true,"status":{"errorCode":0,"failureReason":null},`, 20) + `"id":"x"}}`)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := doc.ParseTrusted(src); err != nil {
			b.Fatal(err)
		}
	}
}
