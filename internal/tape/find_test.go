package tape

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// slowly is Find as it is defined: one member after another.
func slowly(v Value, name string) (folded Value) {
	if v.Kind() != Object {
		return Value{}
	}
	d := v.doc
	for i, end, _ := d.inside(v.i); i < end; i = d.after(i + 1) {
		n := &d.nodes[i]
		text := Value{d, i}.Text()
		if text == name {
			return Value{d, i + 1}
		}
		if n.marks&escaped == 0 && EqualFold([]byte(text), name) && folded.doc == nil {
			folded = Value{d, i + 1}
		}
	}
	return folded
}

// names are few enough to come twice, in several spellings, short and long, and beyond ASCII.
func memberName() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", "id", "ID", "Id", "iD", "time", "TIME", "é", "É", "a@b", "a`b", "[", "{", "k", "K", "\u212a", "exactly8", "EXACTLY8", "exactly9c", "middle-0000-differs-only", "middle-1111-differs-only",
			"a\"b", "a\\b", "n\nl", strings.Repeat("long", 60), strings.Repeat("LONG", 60)}),
		rapid.StringMatching(`[a-cA-C]{0,3}`), rapid.StringMatching(`[a-bA-B]{7,9}`), rapid.String())
}

func TestFindIsALinearSearch(t *testing.T) {
	var doc Doc
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(memberName(), 0, 60).Draw(t, "names")
		var b strings.Builder
		b.WriteString(`[{"around":{`)
		for i, name := range names {
			text, err := json.Marshal(name)
			require.NoError(t, err)
			if name != "" && name[0] < 0x80 && name[0] >= 'A' && name[0] != '\\' && rapid.IntRange(0, 4).Draw(t, "escape") == 0 {
				text = append([]byte(fmt.Sprintf(`"\u%04x`, name[0])), text[2:]...)
			}
			value := rapid.SampledFrom([]string{`{"id":[1,{"id":2}]}`, `[[],{}]`, `"x"`, `null`}).Draw(t, "value")
			fmt.Fprintf(&b, "%s%s:%s", strings.Repeat(",", min(i, 1)), text, value)
		}
		b.WriteString(`}}]`)
		read := doc.Parse
		if rapid.Bool().Draw(t, "trusted") {
			read = doc.ParseTrusted
		}
		root, err := read([]byte(b.String()))
		require.NoError(t, err, b.String())
		items := root.Items()
		first, _ := items.Next()
		v := first.Find("around")
		for range 2 { // the table is made by the first look
			for _, name := range append(names, rapid.SliceOf(memberName()).Draw(t, "asked")...) {
				require.Equal(t, slowly(v, name), v.Find(name), "%q in %s", name, b.String())
				require.Equal(t, slowly(v, name), v.FindName(NameOf(name)))
			}
		}
		n := 0
		v.Members(func(string, Value) bool { n++; return true })
		require.Equal(t, len(names), n)
	})
}

// Names of one hash cost what a linear search costs, and a table of them is made in one pass.
func TestNamesOfOneHash(t *testing.T) {
	var b strings.Builder
	const many = 60_000
	b.WriteString(`{"other":0`)
	for i := range many {
		fmt.Fprintf(&b, `,"sameHead%06dsameTail":%d`, i, i)
	}
	b.WriteString(`}`)
	require.Equal(t, NameOf("sameHead000000sameTail").tag, NameOf("SAMEHEAD999999SAMETAIL").tag)
	var doc Doc
	v, err := doc.Parse([]byte(b.String()))
	require.NoError(t, err)
	began := time.Now()
	require.Equal(t, "59999", v.Find("sameHead059999sameTail").Text())
	require.Equal(t, "7", v.Find("SAMEHEAD000007SAMETAIL").Text())
	require.False(t, v.Find("sameHead999999sameTail").Exists())
	require.Equal(t, "0", v.Find("other").Text())
	require.Less(t, time.Since(began), 5*time.Second, "60000 names squared would take longer")
}

// An object may have more members than a node can count.
func TestMoreMembersThanCounted(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"first":-1`)
	for i := range manyMembers + 5_000 {
		fmt.Fprintf(&b, `,"%d":%d`, i, i)
	}
	b.WriteString(`}`)
	var doc Doc
	v, err := doc.Parse([]byte(b.String()))
	require.NoError(t, err)
	for _, name := range []string{"0", "65535", "65536", "70000"} {
		require.Equal(t, name, v.Find(name).Text())
	}
	require.Equal(t, "-1", v.Find("FIRST").Text())
}

func TestParsedStrings(t *testing.T) {
	var doc Doc
	v, err := doc.Parse([]byte(`{"plain":"[1,2]","escaped":"{\"a\":\"b\\n\"}","deep":"[\"[\\\"x\\\"]\"]","text":"\"q\"","broken":"[1","name":"x"}`))
	require.NoError(t, err)
	for range 2 {
		require.Equal(t, "[1,2]", v.Find("plain").Parsed().Literal())
		require.Equal(t, "b\n", v.Find("escaped").Parsed().Find("a").Text())
		items := v.Find("deep").Parsed().Items()
		inner, ok := items.Next()
		require.True(t, ok)
		require.Equal(t, `["x"]`, inner.Parsed().Literal())
		require.Equal(t, "q", v.Find("text").Parsed().Text())
		require.False(t, v.Find("broken").Parsed().Exists())
		require.False(t, v.Find("name").Parsed().Exists())
		require.False(t, v.Parsed().Exists())
	}
	once := v.Find("plain").Parsed()
	require.True(t, once == v.Find("plain").Parsed(), "it is read once")
}

// More strings than are remembered, and than documents are kept for, are read all the same.
func TestManyParsedStrings(t *testing.T) {
	var doc Doc
	for range 2 {
		v, err := doc.Parse([]byte(`[` + strings.Repeat(`"[\"\\u0061\"]",`, maxNotes+10) + `0]`))
		require.NoError(t, err)
		n := 0
		for items := v.Items(); ; {
			e, ok := items.Next()
			if !ok {
				break
			}
			if e.Parsed().Kind() == Array {
				require.Equal(t, `["\u0061"]`, e.Text())
				n++
			}
		}
		require.Equal(t, maxNotes+10, n)
	}
	_, err := doc.Parse([]byte(`0`))
	require.NoError(t, err)
	require.LessOrEqual(t, len(doc.inner.docs), spares)
	require.LessOrEqual(t, cap(doc.notes), keep)
}

func TestScalarsAndItems(t *testing.T) {
	var doc Doc
	v, err := doc.Parse([]byte(`{"a":[1,null,{"b":"x","c":[]}],"d":true,"e":false}`))
	require.NoError(t, err)
	var all []string
	take := func(s Value) bool { all = append(all, s.Text()); return len(all) < 4 }
	require.False(t, v.Scalars(take))
	require.Equal(t, []string{"1", "x", "true", "false"}, all)
	require.False(t, v.Find("a").Scalars(func(s Value) bool { return s.Text() != "x" }))
	require.True(t, v.Find("a").Scalars(func(Value) bool { return true }))
	count := func(v Value) (n int) {
		for items := v.Items(); ; n++ {
			if _, ok := items.Next(); !ok {
				return n
			}
		}
	}
	require.Equal(t, 3, count(v.Find("a")))
	require.Equal(t, 1, count(v.Find("d")))
	require.Equal(t, 1, count(v))
	require.Zero(t, count(Value{}))
	require.True(t, Value{}.Scalars(take))
	require.Len(t, all, 4)
}

func TestASCII(t *testing.T) {
	var doc Doc
	for src, want := range map[string]bool{`{"a":"b"}`: true, `{"a":"é"}`: false, `{"é":1}`: false, `{"a":"a long text with one at its end é"}`: false, "\"\xff\"": false, `"\u00e9"`: true, `12`: true} {
		v, err := doc.Parse([]byte(src))
		require.NoError(t, err)
		require.Equal(t, want, v.ASCII(), src)
	}
	require.False(t, Value{}.ASCII())
}

func TestLookingUpDoesNotAllocate(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"\u006eame":"\u0061","json":"{\"a\":[1,2],\"b\":\"[3]\"}"`)
	for i := range 80 {
		fmt.Fprintf(&b, `,"member%d":{"x":%d}`, i, i)
	}
	src := []byte(b.String() + "}")
	var doc Doc
	want := NameOf("Member42")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		v, err := doc.Parse(src)
		if err != nil || v.FindName(want).Find("X").Text() != "42" || v.Find("name").Text() != "a" || v.Find("json").Parsed().Find("b").Parsed().Kind() != Array {
			t.Fatal(err)
		}
	}))
}

func BenchmarkParse(b *testing.B) {
	var doc Doc
	src := []byte(`{"time":"2026-03-02T08:02:05Z","category":"SignInLogs","properties":{` + strings.Repeat(`"conditionalAccessStatus":"notApplied","isInteractive":true,"status":{"errorCode":0,"failureReason":null},`, 20) + `"id":"x"}}`)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := doc.Parse(src); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	var text strings.Builder
	text.WriteString(`{"id":0`)
	for i := range 80 {
		fmt.Fprintf(&text, `,"someMember%d":{"x":%d}`, i, i)
	}
	var doc Doc
	v, err := doc.Parse([]byte(text.String() + "}"))
	require.NoError(b, err)
	for _, name := range []string{"someMember70", "SOMEMEMBER70", "nothing"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			n := NameOf(name)
			for b.Loop() {
				v.FindName(n)
			}
		})
	}
}
