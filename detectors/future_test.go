package detectors

import (
	"testing"
	"time"

	"cordon/internal/record"
	"github.com/stretchr/testify/require"
)

// A record that claims to be of the year 2099 is one of now: it closes no window of the future, and confirms nothing.
func TestARecordFromTheFutureSettlesNothing(t *testing.T) {
	e := engine(t, failed+over("few", "type: event_count, rules: [failed], group-by: [actor.id], condition: {eq: 1}")+
		over("many", "type: event_count, rules: [failed], group-by: [actor.id], condition: {gte: 2}")+entering("entered", "on"))
	e.directory = admins()
	watermark := func(string, string) time.Time { return morning }
	feed(t, e, "1 u 50126 192.0.2.1")
	future := signIn("future", "u", "192.0.2.1", 50126, time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), noDetails)
	r, err := record.Decode(encode(t, future), record.Defaults{Enqueued: morning.Add(2 * time.Minute)})
	require.NoError(t, err)
	require.True(t, r.Clamped)
	require.Equal(t, morning.Add(2*time.Minute), r.Time)
	e.Process(r, "future")
	require.Empty(t, e.SettleEach(watermark))
	require.Equal(t, []string{"many 2"}, names(e.Flush()), "what waits for the watermark waits on")
	for _, f := range e.Current() {
		require.Less(t, f.Time.Year(), 2099)
	}
	shipping := shipped(t, admins())
	shipping.Process(decode(t, signIn("s1", adminID, "198.51.100.23", 0, morning, noDetails)), "1")
	shipping.Process(r, "future")
	for _, f := range only(shipping.Current(), noMFA) {
		require.True(t, f.Unconfirmed)
	}
	require.Empty(t, shipping.SettleEach(watermark))
}
