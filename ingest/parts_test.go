package ingest

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each batch carries the cursor behind its own last part: what is stored again after a crash is nothing.
func TestPartsCarryTheCursorBehindThem(t *testing.T) {
	b := openBus(t, t.TempDir(), 0)
	p := open(t, b)
	records, ids := many(2500, 0)
	var parts []Part
	for _, r := range records {
		parts = append(parts, Part{Raw: []byte(r)})
	}
	parts[1200] = Part{Raw: []byte("row"), Err: errors.New("a reason")}
	ids = append(ids[:1200:1200], ids[1201:]...)

	var asked []int
	p.source.Tenants = nil
	require.NoError(t, p.StoreParts(t.Context(), parts, func(taken int) any {
		asked = append(asked, taken)
		return taken
	}))
	require.Equal(t, ids, stored(t, b))
	require.Equal(t, []int{999, 1999, 2500}, asked, "a dead letter takes no place in a batch")
	got := letters(t, b)
	require.Len(t, got, 1)
	require.Equal(t, "a reason", got[0].reason)
	require.Equal(t, "row", got[0].body)

	p = open(t, b)
	var at int
	require.NoError(t, p.Cursor(&at))
	require.Equal(t, 2500, at)
	require.EqualValues(t, 1, p.At().Dead)

	before := p.At().Sequence
	require.NoError(t, p.StoreParts(t.Context(), nil, func(int) any { return json.RawMessage(`7`) }))
	require.Equal(t, before+1, p.At().Sequence, "a file given up leaves its number behind")
	require.Error(t, p.StoreParts(t.Context(), nil, func(int) any { return func() {} }))
}
