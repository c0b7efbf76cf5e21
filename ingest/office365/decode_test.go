package office365

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"cordon/internal/record"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestListings(t *testing.T) {
	items, err := readListing([]byte(`[{"contentType":"Audit.Exchange","contentId":"a","contentUri":"https://x/","contentCreated":"2026-03-02T08:00:00.123Z","contentExpiration":"2026-03-09T08:00:00Z"},
		{"contentId":"b"},{"contentId":"c","contentUri":"u","contentCreated":"then"},7,{"contentId":{}}]`))
	require.NoError(t, err)
	require.Len(t, items, 5)
	require.NoError(t, items[0].wrong)
	require.Equal(t, time.Date(2026, 3, 2, 8, 0, 0, 123e6, time.UTC), items[0].created)
	for _, it := range items[1:] {
		require.Error(t, it.wrong)
		require.NotEmpty(t, it.id)
		_, err := record.Decode(letter(it, it.wrong, nil), record.Defaults{Tenant: tenantID, Enqueued: time.Now()})
		require.Error(t, err, "a letter is no record")
	}
	for _, body := range []string{``, `{"error":{}}`, `[`, `<html>`} {
		_, err := readListing([]byte(body))
		require.Error(t, err, body)
	}
}

func TestARecordIsWrappedAsItCame(t *testing.T) {
	raw := `{"CreationTime":"2026-03-02T08:10:04","Id":"1","Operation":"Add member to role.","Workload":"AzureActiveDirectory","big":12345678901234567890.10}`
	wrapped, at, err := wrap(record.UnifiedEntra, tenantID, []byte(raw))
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 3, 2, 8, 10, 4, 0, time.UTC), at)
	require.Equal(t, `{"time":"2026-03-02T08:10:04Z","category":"Audit.AzureActiveDirectory","tenantId":"`+tenantID+`","operationName":"Add member to role.","properties":`+raw+`}`, string(wrapped))
	again, _, err := wrap(record.UnifiedEntra, tenantID, []byte(raw))
	require.NoError(t, err)
	require.Equal(t, wrapped, again)
}

func TestACursorRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
		c := cursor{Read: start, From: start, taken: map[uint64]time.Time{}}
		var items []item
		for i := range rapid.IntRange(0, 30).Draw(t, "blobs") {
			it := item{id: fmt.Sprint("blob ", i), created: start.Add(time.Duration(rapid.IntRange(0, 1e6).Draw(t, "created")) * time.Millisecond * 36)}
			items = append(items, it)
			c.take(it)
		}
		from := c.From
		to := start.Add(time.Duration(rapid.IntRange(0, 36000).Draw(t, "to")) * time.Second)
		var held time.Time
		if rapid.Bool().Draw(t, "failed") {
			held = start.Add(time.Duration(rapid.IntRange(0, 36000).Draw(t, "held")) * time.Second)
		}
		c.advance(to, held)
		data, err := json.Marshal(&c)
		require.NoError(t, err)
		var again cursor
		require.NoError(t, json.Unmarshal(data, &again))
		require.Equal(t, c.Read, again.Read)
		require.Equal(t, c.From, again.From)
		require.False(t, c.From.Before(from), "it never goes back")
		require.True(t, held.IsZero() || !c.From.After(held) || c.From.Equal(from), "it does not pass what failed")
		for _, it := range items {
			if !it.created.Before(c.From) {
				require.True(t, again.has(it), "what can be listed again is known")
			}
		}
	})
	require.Error(t, json.Unmarshal([]byte(`{"taken":"AAAA"}`), new(cursor)))
}

func FuzzListing(f *testing.F) {
	f.Add([]byte(`[{"contentId":"a","contentUri":"https://x/","contentCreated":"2026-03-02T08:00:00Z"}]`))
	f.Add([]byte(`[null,{"contentId":1},[]]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		items, err := readListing(data)
		if err != nil {
			return
		}
		for _, it := range items {
			if it.wrong == nil && (it.uri == "" || it.created.IsZero()) || it.id == "" {
				t.Fatalf("an item without what it needs: %+v", it)
			}
			if !json.Valid(letter(it, errTooLarge, data)) {
				t.Fatal("a letter that is no JSON")
			}
		}
	})
}

func FuzzBlob(f *testing.F) {
	f.Add([]byte(`[{"CreationTime":"2026-03-02T08:10:04","Id":"1","Operation":"X","Workload":"Exchange"},7,"x"]`))
	f.Add([]byte(`[{"CreationTime":7},{"a":`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := readBlob(data, func(raw []byte) error {
			wrapped, _, err := wrap(record.UnifiedExchange, tenantID, raw)
			if err != nil {
				return err
			}
			r, err := record.Decode(wrapped, record.Defaults{Tenant: tenantID, Enqueued: time.Now()})
			if err == nil && (!r.Decoded() || r.ID == "" || !strings.HasPrefix(r.ID, strings.ToLower(r.Tenant))) {
				t.Fatalf("decoded as %q", r.ID)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
