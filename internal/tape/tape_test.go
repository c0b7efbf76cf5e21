package tape

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// tree is the document as encoding/json would give it, built from the tape.
func tree(v Value) any {
	switch v.Kind() {
	case True, False:
		return v.Kind() == True
	case Number:
		return json.Number(v.Text())
	case String:
		return v.Text()
	case Array:
		out := []any{}
		v.Elements(func(e Value) bool { out = append(out, tree(e)); return true })
		return out
	case Object:
		out := map[string]any{}
		v.Members(func(name string, m Value) bool { out[name] = tree(m); return true })
		return out
	}
	return nil
}

func same(t testing.TB, doc *Doc, src []byte) {
	v, err := doc.Parse(src)
	var bound *Error
	if errors.As(err, &bound) && (strings.Contains(bound.Reason, "deep") || strings.Contains(bound.Reason, "more than")) {
		return
	}
	if json.Valid(src) != (err == nil) {
		t.Fatalf("encoding/json says valid=%v of %q, we say %v", json.Valid(src), src, err)
	}
	if err != nil {
		return
	}
	dec := json.NewDecoder(bytes.NewReader(src))
	dec.UseNumber()
	var want any
	if err := dec.Decode(&want); err != nil {
		t.Fatal(err)
	}
	if !utf8.Valid(src) {
		return // encoding/json writes one U+FFFD for each broken byte, ToValidUTF8 one for a run
	}
	if got := tree(v); !reflect.DeepEqual(got, want) {
		t.Fatalf("%q: got %v, want %v", src, got, want)
	}
}

var documents = []string{
	`{}`, `[]`, ` {"a" : [1, -2.5e+3, 0, "x", null, true, false, {"b":{}}]} `, `"a\"b\\c\/\b\f\n\r\té😀\ud800x"`,
	`{"a":1,"a":2}`, `01`, `-`, `1.`, `1e`, `[1,]`, `{"a"}`, `{"a":}`, `{,}`, `"`, `"\x"`, `"\u12"`, "\"\n\"", `tru`, `nul`, `[1 2]`, ``, ` `, `{"a":1} x`,
	`"` + strings.Repeat("long ", 40) + `\n"`, strings.Repeat("[", 299) + strings.Repeat("]", 299), "\"\xff\"", `"é"`, `[[[`, `{"\u0061":1}`, `{"\uDb0FLuDF0F\u0FFF6F":1}`, `"\ud83d\u0041"`, `"\ud83d"`,
}

func TestReadsWhatEncodingJSONReads(t *testing.T) {
	var doc Doc
	for _, src := range documents {
		same(t, &doc, []byte(src))
	}
}

func TestBounds(t *testing.T) {
	var doc Doc
	_, err := doc.Parse([]byte(strings.Repeat("[", 100_000)))
	require.ErrorContains(t, err, "at byte 300: nested more than 300 deep")
	_, err = doc.Parse([]byte("[" + strings.Repeat("0,", MaxNodes) + "0]"))
	require.ErrorContains(t, err, "more than 200000 values")
}

func TestFind(t *testing.T) {
	var doc Doc
	v, err := doc.Parse([]byte(`{"TenantId":"a","tenantid":"b","properties":{"id":7},"é":1,"\u0069d":"x"}`))
	require.NoError(t, err)
	require.Equal(t, "b", v.Find("tenantid").Text())
	require.Equal(t, "a", v.Find("tenantId").Text(), "the first of several spellings")
	require.Equal(t, "7", v.Find("PROPERTIES").Find("id").Text())
	require.Equal(t, "x", v.Find("id").Text())
	require.False(t, v.Find("properties").Find("nothing").Find("deeper").Exists())
	require.Equal(t, `{"id":7}`, string(v.Find("properties").JSON()))
	require.Equal(t, `"a"`, string(v.Find("TenantId").JSON()))
}

func TestBytesCountWhatIsSaid(t *testing.T) {
	var doc Doc
	for src, want := range map[string]int{`{}`: 0, `{"long name":null,"b":""}`: 0, `{"a":"xy","b":[1,true,{"c":"z"}]}`: 8} {
		v, err := doc.Parse([]byte(src))
		require.NoError(t, err)
		require.Equal(t, want, v.Bytes(), src)
	}
}

func TestADocIsUsedAgainWithoutAllocating(t *testing.T) {
	var doc Doc
	src := []byte(`{"a":[1,2,{"b":"c\n"}],"d":"` + strings.Repeat("x", 2000) + `"}`)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		v, err := doc.Parse(src)
		if err != nil || v.Find("d").Text() == "" {
			t.Fatal(err)
		}
	}))
}

func FuzzParse(f *testing.F) {
	for _, src := range documents {
		f.Add([]byte(src))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var doc Doc
		same(t, &doc, src)
	})
}
