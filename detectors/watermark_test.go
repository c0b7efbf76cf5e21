package detectors

import (
	"fmt"
	"testing"
	"time"

	"cordon/detectors/rules"
	"cordon/internal/record"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// seenBy is a checkpoint of a partition whose reader stood there at a time.
func seenBy(source, partition string, seen, written time.Time, tenants ...string) record.Checkpoint {
	cp := record.Checkpoint{Source: source, Partition: partition, Seen: seen, Written: written}
	for _, tenant := range tenants {
		cp.Carried = append(cp.Carried, record.Carried{Tenant: tenant, Category: record.SignInLogs})
	}
	return cp
}

func TestASourceThatNobodyReadsHoldsNobodyBack(t *testing.T) {
	w := newWatermarks(record.Lateness{})
	for n := range 300 {
		now := morning.Add(time.Duration(n) * 30 * time.Minute)
		w.take(seenBy("hub", "0", now, now, "a"))
		if n == 0 {
			w.take(seenBy("taken out", "0", now, now, "a"))
		}
		want := now
		if now.Sub(morning) <= goneAfter {
			want = morning
		}
		require.Equal(t, want, w.behind(), "%s", now)
		require.Equal(t, want, w.of("a", record.SignInLogs), "%s", now)
	}
	var h head
	w.save(&h)
	again := newWatermarks(record.Lateness{})
	again.load(h)
	require.Equal(t, w.behind(), again.behind(), "a snapshot knows it too")
	w.take(seenBy("taken out", "0", morning.Add(time.Hour), morning.Add(240*time.Hour)))
	require.Equal(t, morning.Add(time.Hour), w.behind(), "somebody reads it again")
}

// After an outage of all there is the one that speaks first does not take the others for gone.
func TestAnOutageTakesNobodyForGone(t *testing.T) {
	w := newWatermarks(record.Lateness{})
	w.take(seenBy("first", "0", morning, morning, "a"))
	w.take(seenBy("second", "0", morning, morning, "a"))
	late := morning.Add(10 * goneAfter)
	w.take(seenBy("first", "0", late, late, "a"))
	require.Equal(t, morning, w.behind())
	require.Equal(t, morning, w.of("a", record.SignInLogs))
}

func TestAPartitionThatHasNotBegun(t *testing.T) {
	for range 50 { // maps have no order
		w := newWatermarks(record.Lateness{})
		w.take(seenBy("hub", "0", morning, morning, "a"))
		w.take(seenBy("hub", "1", morning.Add(time.Hour), morning))
		w.take(seenBy("new", "0", time.Time{}, morning, "b"))
		require.Equal(t, morning, w.of("a", record.SignInLogs))
		require.Equal(t, time.Unix(0, 0), w.of("b", record.SignInLogs))
		require.Equal(t, morning, w.behind())
		w.take(seenBy("new", "0", time.Time{}, morning, "a"))
		require.Equal(t, time.Unix(0, 0), w.of("a", record.SignInLogs), "it may bring some yet")
	}
}

func TestASearchOfThePastHoldsNobodyBack(t *testing.T) {
	w := newWatermarks(record.Lateness{})
	w.take(seenBy("hub", "0", morning, morning, "a"))
	search := seenBy("search", "0", time.Time{}, morning, "a", "b")
	search.Aside = true
	w.take(search)
	w.brought("b", record.SignInLogs, "search/0/1/0")
	require.Equal(t, morning, w.of("a", record.SignInLogs))
	require.Equal(t, morning, w.behind())
	require.Equal(t, time.Unix(0, 0), w.of("b", record.SignInLogs))
}

// A checkpoint has no room for what a hub of many tenants brings: the records say it.
func TestTheWatermarkOfTheLastOfManyTenants(t *testing.T) {
	w := newWatermarks(record.Lateness{})
	cp := seenBy("a hub", "0", morning, morning)
	for i := range 1000 {
		tenant := fmt.Sprint("tenant-", i)
		cp.Carry(tenant, record.SignInLogs, morning, morning)
		w.take(cp)
		w.brought(tenant, record.SignInLogs, record.Position{Source: "a hub", Partition: "0", Sequence: int64(i)}.String())
		require.Equal(t, morning, w.of(tenant, record.SignInLogs))
	}
}

// Nobody waits for a source that is gone, not even those who had nothing but it.
func TestTheLastFindingsOfASourceThatIsGoneSettle(t *testing.T) {
	for _, restart := range []bool{false, true} {
		e := shipped(t, admins())
		w := newWatermarks(record.DefaultLateness())
		s := &shard{engine: e, watermarks: w}
		w.take(seenBy("old hub", "0", morning, morning, tenantID))
		w.take(seenBy("other hub", "0", morning, morning, "b"))
		found := only(e.Process(decode(t, signIn("a", adminID, "198.51.100.23", 0, morning, noDetails)), "1"), noMFA)
		require.Len(t, found, 1)
		require.True(t, found[0].Unconfirmed)
		settled := 0
		for at := time.Duration(0); at <= 8*24*time.Hour; at += 30 * time.Minute {
			if restart && at == 7*24*time.Hour {
				var h head
				s.watermarks.save(&h)
				s.watermarks = newWatermarks(record.DefaultLateness())
				s.watermarks.load(h)
			}
			s.watermarks.take(seenBy("other hub", "0", morning.Add(at), morning.Add(at), "b"))
			settled += len(s.settle())
		}
		require.Equal(t, 1, settled)
		require.Len(t, s.watermarks.seen, 1, "it is forgotten itself")
		s.watermarks.take(seenBy("old hub", "0", morning, morning.Add(8*24*time.Hour), tenantID))
		require.Equal(t, morning.Add(-record.DefaultLateness().Of(record.SignInLogs)), s.watermarks.of(tenantID, record.SignInLogs), "until it comes back")
	}
}

func TestSourcesThatAreGoneAreForgotten(t *testing.T) {
	w := newWatermarks(record.Lateness{})
	for n := range 1000 { // a source that is renamed each hour
		now := morning.Add(time.Duration(n) * time.Hour)
		w.take(seenBy("hub", "0", now, now, "a"))
		w.take(seenBy(fmt.Sprint("file-", n), "0", now, now, "a"))
		w.forget()
	}
	require.Less(t, len(w.seen), 200)
	require.Less(t, len(w.heardAt), 200)
	require.Less(t, len(w.carries[carried{"a", record.SignInLogs}]), 200)
}

// What is to be settled, and windows that the latest records may still fall in, are not forgotten before.
func TestNothingIsForgottenThatMayStillBeNeeded(t *testing.T) {
	e := shipped(t, admins())
	late := record.Lateness{record.KindSignIn: 26 * time.Hour}
	w := newWatermarks(late)
	s := &shard{engine: e, watermarks: w}
	e.Process(decode(t, signIn("a", adminID, "198.51.100.23", 0, morning, noDetails)), "1")
	confirmed := 0
	for at := time.Duration(0); at <= 30*time.Hour; at += 30 * time.Minute {
		w.take(seenBy("hub", "0", morning.Add(at), morning.Add(at), tenantID))
		for _, f := range s.settle() {
			require.False(t, f.Unconfirmed)
			confirmed++
		}
	}
	require.Equal(t, 1, confirmed)
}

// Who comes back after its windows are closed is told of, in the log: nothing else shows it.
func TestWhatComesTooLateForItsWindowsIsSaid(t *testing.T) {
	w := newWorld(t)
	all, err := Load(rules.Shipped)
	require.NoError(t, err)
	room := w.room(all, known())
	core, logs := observer.New(zap.WarnLevel)
	for _, s := range room.shards {
		s.log = zap.New(core)
	}
	w.store(signIn("a", "u", "198.51.100.23", 0, morning, twoFactor))
	w.seen(morning.Add(30 * 24 * time.Hour))
	w.store(signIn("b", "u", "198.51.100.23", 0, morning.Add(time.Hour), twoFactor))
	w.runThis(room, func() bool {
		if logs.Len() == 0 { // behind the watermark has come another of those days
			w.store(signIn(fmt.Sprint("c", w.next), "u", "198.51.100.23", 0, morning.Add(2*time.Hour), twoFactor))
		}
		return logs.Len() > 0
	})
	require.Contains(t, logs.All()[0].Message, "records came after the windows of their time were forgotten")
}

// LOGS keeps the last checkpoint of each partition: to read it again is not to hear of the partition.
func TestAnOldCheckpointBringsNoSourceBack(t *testing.T) {
	for _, forgotten := range []bool{false, true} {
		w := newWatermarks(record.Lateness{})
		old := seenBy("old", "0", morning, morning, "a")
		w.take(old)
		at := morning
		for range 24 * 8 {
			at = at.Add(time.Hour)
			w.take(seenBy("new", "0", at, at, "a"))
		}
		if forgotten {
			w.forget()
		}
		w.take(old)
		require.Equal(t, at, w.of("a", record.SignInLogs))
		require.Equal(t, at, w.behind())
		w.take(seenBy("old", "0", morning, at.Add(time.Hour), "a"))
		require.Equal(t, morning, w.behind(), "until it is really read again")
	}
}
