package azuremonitor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"cordon/internal/tape"
	"github.com/stretchr/testify/require"
)

// parts collects what a message consists of.
type parts struct {
	all     []string // broken ones in «»
	reasons []string
	stop    error
	bytes   int
}

func (p *parts) Record(index int, raw []byte, root tape.Value) error {
	if index != len(p.all) || !json.Valid(raw) || !bytes.Equal(root.JSON(), raw) {
		return fmt.Errorf("record %d of %d is %q", index, len(p.all), raw)
	}
	p.all = append(p.all, string(raw))
	p.bytes += len(raw)
	return p.stop
}

func (p *parts) Broken(index int, raw []byte, _ bool, reason error) error {
	if index != len(p.all) {
		return fmt.Errorf("part %d of %d", index, len(p.all))
	}
	p.all = append(p.all, "«"+string(raw)+"»")
	p.reasons = append(p.reasons, reason.Error())
	p.bytes += len(raw)
	return nil
}

const one, two, three = `{"time":"1","category":"a"}`, `{"time":"2","properties":{"x":[1,{"time":"7","category":"inner"}]}}`, `{"category":"c","time":"3"}`

func TestSplit(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		parts  []string
		reason string
	}{
		"envelope":          {`{"records":[` + one + `,` + two + `]}`, []string{one, two}, ""},
		"other members":     {`{"version":1,"x":{"records":[]},"records":[` + one + `],"more":[1,{}]}`, []string{one}, ""},
		"empty":             {`{"records":[]}`, nil, ""},
		"blanks":            {" {\n\"records\" : [ " + one + " , " + two + " ] } \r\n", []string{one, two}, ""},
		"bare record":       {` ` + one + ` `, []string{one}, ""},
		"bare array":        {`[` + one + `]`, []string{one}, ""},
		"byte order mark":   {"\xef\xbb\xbf" + `{"records":[1]}`, []string{`1`}, ""},
		"several envelopes": {`{"records":[` + one + `]}` + "\n" + `{"records":[` + two + `]}`, []string{one, two}, ""},
		"two bare records":  {one + two, []string{one, two}, ""},
		"records twice":     {`{"records":[` + one + `],"v":2,"records":[` + two + `]}`, []string{one, two}, ""},
		"records no array":  {`{"records":{"a":1}}`, []string{`{"records":{"a":1}}`}, ""},
		"a number":          {`7`, []string{"«7»"}, "expected an object with records"},
		"noise":             {"\x00\x01\x02", []string{"«\x00\x01\x02»"}, "expected an object with records"},
		"a bracket":         {"}", []string{"«}»"}, "expected an object with records"},
		"a comma":           {",]", []string{"«,]»"}, "expected an object with records"},
		"nothing":           {"", []string{"«»"}, "the message is empty"},
		"noise behind":      {`[` + one + `] x`, []string{one, "«x»"}, "expected an object with records"},

		// One bad record never takes the others with it.
		"bad in between":      {`{"records":[` + one + `,{b},` + two + `]}`, []string{one, "«{b}»", two}, "reading record 1: at byte 1: expected a member's name"},
		"bad at first":        {`{"records":[{"time":01,"x":{}},` + one + `]}`, []string{`«{"time":01,"x":{}}»`, one}, "reading record 0"},
		"a quote too many":    {`{"records":[` + one + `,{"a":"x"y"},` + two + `,` + three + `]}`, []string{one, `«{"a":"x"y"}»`, two, three}, "reading record 1"},
		"a quote too few":     {`{"records":[` + one + `,{"a":"x},` + two + `,` + three + `]}`, []string{one, `«{"a":"x}»`, two, three}, "reading record 1"},
		"a bracket too few":   {`{"records":[` + one + `,{"a":{"b":1},` + two + `]}`, []string{one, `«{"a":{"b":1}»`, two}, "reading record 1"},
		"a bracket too many":  {`{"records":[` + one + `,{"a":1}},` + two + `]}`, []string{one, `{"a":1}`, "«}»", two}, "expected , or ] behind a record"},
		"control characters":  {`{"records":[{"a":"` + "\n" + `"},` + one + `]}`, []string{"«{\"a\":\"\n\"}»", one}, "a control character in a string"},
		"a comma too many":    {`{"records":[` + one + `,,` + two + `]}`, []string{one, "«»", two}, "expected a value"},
		"truncated":           {`{"records":[` + one + `,{"a":`, []string{one, `«{"a":»`}, "the document ends"},
		"end missing":         {`{"records":[` + one, []string{one, "«»"}, "the message ends in the middle of its records"},
		"object not closed":   {`{"records":[` + one + `]`, []string{one, "«»"}, "expected the end of the message's object"},
		"broken member":       {`{"records":[` + one + `],"v":}`, []string{one, `«,"v":}»`}, "what stands behind the records"},
		"broken before":       {`{"v":"x"y","records":[` + one + `,` + two + `]}`, []string{`«{"v":"x"y","records":[` + one + `»`, two}, "reading record 0"},
		"nested deeply":       {`{"records":[` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `,` + one + `]}`, []string{"«" + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "»", one}, "nested more than 300 deep"},
		"a nested look-alike": {`{"records":[{"x":[1,{"time":"7","category":"inner"}],"time":"2"},` + one + `]}`, []string{`{"x":[1,{"time":"7","category":"inner"}],"time":"2"}`, one}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var got parts
			require.NoError(t, new(Splitter).Split([]byte(c.body), &got))
			require.Equal(t, c.parts, got.all)
			if c.reason == "" {
				require.Empty(t, got.reasons)
				return
			}
			require.NotEmpty(t, got.reasons)
			require.Contains(t, got.reasons[0], c.reason)
		})
	}
}

func TestSplitEndsWithTheVisitorsError(t *testing.T) {
	stop := errors.New("stop")
	require.ErrorIs(t, new(Splitter).Split([]byte(`{"records":[1,2]}`), &parts{stop: stop}), stop)
}

// A message made to send the search for the next record over the whole of it again and again ends all the same.
func TestAHostileMessageCostsLittle(t *testing.T) {
	body := []byte(`{"records":[{"a":"` + strings.Repeat(`,{"x":[`, 200_000))
	var got parts
	require.NoError(t, new(Splitter).Split(body, &got))
	require.NotEmpty(t, got.reasons)
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte(`{"records":[` + one + `,` + two + `]}`))
	f.Add([]byte(`{"records":[` + one + `,{"a":"x},` + two + `]}`))
	f.Add([]byte(`{"records":[{"a":1},{"a":`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var got parts
		if err := new(Splitter).Split(body, &got); err != nil {
			t.Fatal(err)
		}
		if len(got.all) == 0 && len(bytes.TrimSpace(body)) > 0 && !bytes.Contains(body, []byte("[")) {
			t.Fatalf("nothing came of %q", body)
		}
		if got.bytes > len(body) {
			t.Fatalf("%d bytes came of %d", got.bytes, len(body))
		}
	})
}
