package tape

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// likeTheOther says that two values are the same, and all that stands in them: kinds, places, marks, names' hashes and
// members' numbers.
func likeTheOther(t require.TestingT, got, want Value, src []byte) {
	g, w := got.doc.nodes[got.i], want.doc.nodes[want.i]
	require.Equal(t, [...]any{w.kind, w.start, w.end, w.marks & escaped}, [...]any{g.kind, g.start, g.end, g.marks & escaped}, "%q", src)
	require.Equal(t, want.Bytes(), got.Bytes(), "%q", src)
	i, end, _ := want.doc.inside(want.i)
	j, behind, _ := got.doc.inside(got.i)
	switch w.kind {
	case Array:
		for ; i < end; i, j = want.doc.after(i), got.doc.after(j) {
			require.Less(t, j, behind, "%q", src)
			likeTheOther(t, Value{got.doc, j}, Value{want.doc, i}, src)
		}
	case Object:
		require.Equal(t, want.doc.nodes[want.i].tag, got.doc.nodes[got.i].tag, "%q", src)
		for ; i < end; i, j = want.doc.after(i+1), got.doc.after(j+1) {
			require.Less(t, j, behind, "%q", src)
			require.Equal(t, want.doc.nodes[i].tag, got.doc.nodes[j].tag, "%q", src)
			likeTheOther(t, Value{got.doc, j}, Value{want.doc, i}, src)
			likeTheOther(t, Value{got.doc, j + 1}, Value{want.doc, i + 1}, src)
		}
	default:
		return
	}
	require.Equal(t, behind, j, "%q", src)
}

// bothRead reads what Parse accepts in both ways, and whatever else it is given in the one that trusts it.
func bothRead(t require.TestingT, strict, trusting *Doc, src []byte) {
	want, refused := strict.Parse(src)
	got, err := trusting.ParseTrusted(src)
	if refused == nil {
		require.NoError(t, err, "%q", src)
		require.Equal(t, want.Bytes(), got.Bytes(), "%q", src) // nothing is laid out for it
		likeTheOther(t, got, want, src)
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
	if depth == 0 {
		v.Scalars(func(s Value) bool {
			n += len(s.Text())
			n += walked(s.Parsed(), 1)
			return true
		})
	}
	v.Elements(func(e Value) bool { n += walked(e, depth+1); return true })
	v.Members(func(name string, m Value) bool { n += len(name) + walked(m, depth+1); return true })
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
	return append(all, `{"a":1]`, `[1}`, `{"a"x:1}`, `[tru]`, `[nul`, `[12"34"]`, `{"a":\"b"}`, `["\u12"]`, `["\`, `{"\x":"\q"}`, `[-]`, `{"a":1,}`, `["a" "b"]`, "[\"\x00\"]", `["\ud83d\`, `["\ud83d\u"]`, `"a`, `"`, `[,]`, `{}x`, `{"a":{"b"0]"0`, `{"a":{"b":]"`, `{"a":{"b"]"`, `{"a":["b"]"`, `{"a":{"b" }"`, `{"a":{"b":"]"`)
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

// What nobody has looked at keeps to the bounds, too.
func TestTrustedBounds(t *testing.T) {
	var doc Doc
	depth := func(v Value, inside func(Value) Value) (n int) {
		for v.Exists() {
			v, n = inside(v), n+1
		}
		return n
	}
	v, err := doc.ParseTrusted([]byte(strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)))
	require.NoError(t, err)
	require.Equal(t, MaxDepth+1, depth(v, func(v Value) Value { items := v.Items(); e, _ := items.Next(); return e }), "the last is empty")
	v, err = doc.ParseTrusted([]byte(strings.Repeat(`{"a":`, 100_000) + "0" + strings.Repeat("}", 100_000)))
	require.NoError(t, err)
	require.Equal(t, MaxDepth+1, depth(v, func(v Value) Value { return v.Find("a") }))
	v, err = doc.ParseTrusted([]byte("[" + strings.Repeat("0,", 3*MaxNodes) + "0]"))
	require.NoError(t, err)
	v.Items()
	require.LessOrEqual(t, len(doc.nodes), 2*MaxNodes)
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
