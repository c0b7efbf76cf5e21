package ingest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What a poller brings twice, because it asks for overlapping spans, is stored once, also after a restart; a fuller
// revision is stored.
func TestAPolledRecordIsStoredOnce(t *testing.T) {
	b := openBus(t, t.TempDir(), 0)
	p := open(t, b)
	page := func(cursor string, records ...string) Page {
		out := Page{Cursor: json.RawMessage(`"` + cursor + `"`), Seen: enqueued, CaughtUp: true, Keep: enqueued.Add(-time.Hour)}
		for _, r := range records {
			out.Records = append(out.Records, []byte(r))
		}
		return out
	}
	one, two := signIn(tenantID, "one", 0), signIn(tenantID, "two", 0)
	require.NoError(t, p.StorePage(t.Context(), page("a", one)))
	require.NoError(t, p.StorePage(t.Context(), page("b", one, two)))
	p = open(t, b)
	var at string
	require.NoError(t, p.Cursor(&at))
	require.Equal(t, "b", at)
	require.NoError(t, p.StorePage(t.Context(), page("c", two, one, signIn(tenantID, "two", 7))))
	require.Equal(t, []string{"one", "two", "two"}, stored(t, b))
	require.Equal(t, enqueued, p.At().Seen)
	require.EqualValues(t, 3, p.At().Carried[0].Records)

	// What the source cannot bring again is forgotten.
	require.NotEmpty(t, p.At().Recent)
	last := page("d")
	last.Keep = enqueued.Add(240 * time.Hour)
	require.NoError(t, p.StorePage(t.Context(), last))
	require.Empty(t, p.At().Recent)
}

func TestALongPageIsStoredInParts(t *testing.T) {
	b := openBus(t, t.TempDir(), 0)
	p := open(t, b)
	records, ids := many(2500, 0)
	page := Page{Cursor: json.RawMessage(`1`), Keep: enqueued.Add(-time.Hour)}
	for _, r := range records {
		page.Records = append(page.Records, []byte(r))
	}
	require.NoError(t, p.StorePage(t.Context(), page))
	require.NoError(t, open(t, b).StorePage(t.Context(), page))
	require.Equal(t, ids, stored(t, b))
}
