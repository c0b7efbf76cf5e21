package chaos

import (
	"strconv"
	"testing"
	"time"

	"cordon/ingest"
	"cordon/internal/bus"
	"cordon/internal/clock"
	"github.com/stretchr/testify/require"
)

// The faults for which the SDK's own Processor is not used (azeventhubs v2.0.2). Each is injected at the one connection
// that it needs: the reader's to NATS, where checkpoints and leases are.

const heals = 30 * time.Second

// apart starts NATS and an instance of Cordon, with a door between them.
func apart(t *testing.T, h *hub, s spec) (b *bus.Bus, door *proxy, c *child) {
	t.Helper()
	server, url := startNATS(t)
	b, err := bus.Open(t.Context(), bus.Config{URL: url})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	door = openProxy(t, "127.0.0.1:"+strconv.Itoa(server.Server.Port))
	s.URL, s.Connection = "nats://"+door.addr, h.connection()
	return b, door, start(t, s)
}

func (h *hub) requireFlow(t *testing.T, b *bus.Bus) {
	t.Helper()
	for i := range h.counts {
		h.put(i, 3)
	}
	began := time.Now()
	require.Eventually(t, func() bool { return stored(t.Context(), b, h.last()) }, heals, 20*time.Millisecond)
	t.Logf("every partition flows after %s", time.Since(began).Round(time.Millisecond))
	h.requireOnce(t, b)
}

// The Processor: "after one failed ListCheckpoints a partition stays owned and is never read again". Here the readers
// have lost their partitions to a stranger, and can read no checkpoint when they come back.
func TestCheckpointsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	h := openHub(t, 4)
	b, door, c := apart(t, h, spec{})
	h.requireFlow(t, b)
	door.shut()
	for i := range h.counts {
		require.NoError(t, h.steal(t.Context(), i))
	}
	require.Eventually(t, func() bool { return c.count("opening checkpoint") >= 4 }, heals, 20*time.Millisecond)
	door.open(t)
	h.requireFlow(t, b)
}

// A firewall forgets the connections to the hub: nobody says so, and nothing comes.
func TestAHubThatHasFallenSilent(t *testing.T) {
	t.Parallel()
	h := openHub(t, 4)
	b, _, _ := apart(t, h, spec{})
	h.requireFlow(t, b)
	h.door.mute()
	h.requireFlow(t, b)
}

// "One failed ListOwnership ends Run." Here the leases can neither be read nor renewed for longer than they last, while
// another instance goes on.
func TestLeasesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	h := openHub(t, 4)
	b, door, c := apart(t, h, spec{Crew: "a"})
	start(t, spec{URL: "nats://" + door.to, Connection: h.connection(), Crew: "b"})
	require.Eventually(t, func() bool { s := h.shares(); return len(s) == 2 && s[0] == 2 }, heals, 20*time.Millisecond)
	h.requireFlow(t, b)
	door.shut()
	require.Eventually(t, func() bool { return c.count("keeping the lease; trying again") >= 1 }, heals, 20*time.Millisecond)
	h.requireFlow(t, b) // the other has all of it
	door.open(t)
	require.Eventually(t, func() bool { s := h.shares(); return len(s) == 2 && s[0] == 2 }, heals, 20*time.Millisecond, "it has come back")
	h.requireFlow(t, b)
}

// "SetCheckpoint carries no fence." Whoever has lost a partition writes neither records nor checkpoint any more, even
// where he has not been told yet.
func TestNothingIsWrittenAfterAPartitionWasLost(t *testing.T) {
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	defer b.Close()
	source := ingest.Source{Name: "simulated/" + hubName, Clock: clock.Wall{}}
	open := func() *ingest.Partition {
		p, _, err := ingest.Open(t.Context(), b, source, "0")
		require.NoError(t, err)
		return p
	}
	message := func(sequence int64) []ingest.Message {
		return []ingest.Message{{Sequence: sequence, Enqueued: time.Now(), Body: []byte(`{"records":[{"time":"2026-03-02T08:10:00Z","category":"SignInLogs","tenantId":"` + tenantID + `","properties":{"id":"x"}}]}`)}}
	}
	loser := open()
	require.NoError(t, loser.Store(t.Context(), message(0)))
	winner := open()
	require.NoError(t, winner.Store(t.Context(), message(1)))
	end, err := b.LastSequence(t.Context(), bus.Logs)
	require.NoError(t, err)

	require.ErrorIs(t, loser.Store(t.Context(), message(1)), bus.ErrConflict)
	require.ErrorIs(t, loser.Idle(t.Context(), time.Now()), bus.ErrConflict)
	after, err := b.LastSequence(t.Context(), bus.Logs)
	require.NoError(t, err)
	require.Equal(t, end, after)
	require.NoError(t, winner.Store(t.Context(), message(2)), "it goes on undisturbed")
	require.Equal(t, int64(2), open().At().Sequence)
}
