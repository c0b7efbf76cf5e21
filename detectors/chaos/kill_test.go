package chaos

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/internal/record"
	"github.com/stretchr/testify/require"
)

// TestKilledDetectorsLoseNothing kills instances again and again while records stream in: FINDINGS ends with what an
// engine finds that reads the same records at once. One that was killed is started again; now and then that takes so
// long that the others have taken over its shards, and give them back.
func TestKilledDetectorsLoseNothing(t *testing.T) {
	const instances = 3
	repeat(t, func(t *testing.T, r *rand.Rand) {
		f := figures{Kills: setting("KILLS", 20)}
		b, url := startNATS(t)
		records := story(r, setting("RECORDS", 4_000))
		f.Records = len(records)
		killed := make(chan struct{}, f.Kills)
		w := &writer{bus: b}
		var hands sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		defer hands.Wait()
		defer cancel()
		pieces := chance(r.Int())
		hands.Go(func() {
			kills := 0
			for at := 0; at < len(records) && ctx.Err() == nil; {
				if at*(f.Kills+1) > (kills+1)*len(records) { // some for each instance that is yet to die
					select {
					case <-killed:
						kills++
					case <-ctx.Done():
					}
					continue
				}
				n := min(len(records)-at, 1+pieces.IntN(60))
				w.write(t, records[at:at+n], records[at+n-1].came.Add(-4*late*step))
				at += n
				time.Sleep(between(pieces, 0, 30*time.Millisecond))
			}
		})
		dir := t.TempDir()
		var crew []*child
		for i := range instances {
			name := fmt.Sprint("instance-", i)
			crew = append(crew, start(t, spec{URL: url, Crew: name, Log: filepath.Join(dir, name)}))
		}
		for kill := range f.Kills {
			pause, who := between(r, 100*time.Millisecond, 1200*time.Millisecond), r.IntN(instances)
			time.Sleep(pause)
			crew[who].kill()
			killed <- struct{}{}
			away := time.Duration(0)
			if kill%20 == 7 {
				away = 9 * time.Second
			}
			t.Logf("kill %d: after %s instance %d, away for %s", kill, pause.Round(time.Millisecond), who, away)
			time.Sleep(away)
			crew[who] = start(t, crew[who].spec)
		}
		hands.Wait()
		end := morning.Add(12 * time.Hour)
		w.write(t, nil, end)
		// How far all is handled (detectors.Handled) the server says only when it has given to others what the dead had in
		// hand, half a minute later.
		watermark := end.Add(-record.DefaultLateness().Of(record.SignInLogs))
		want := undisturbed(t, b, watermark)
		for _, rule := range []string{"admin-without-mfa", "privileged-role-assigned", "password-spray", "password-spray-hit"} {
			require.True(t, slices.ContainsFunc(slices.Collect(maps.Keys(want)), func(id string) bool { return strings.HasPrefix(id, rule+"/") }), rule)
		}
		poll(100*time.Millisecond, time.Minute, func() bool { have, _, _ := published(t, b); return maps.Equal(have, want) }) // else the figures say what is missing
		for _, c := range crew {
			c.stop(t)
		}
		f.tally = compare(t, b, want)
		f.report(t)
		require.Zero(t, f.Lost, "%s", logs(crew))
		require.Zero(t, f.Differing)
		require.Zero(t, f.FellBack)
	})
}
