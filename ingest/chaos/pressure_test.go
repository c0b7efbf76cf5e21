package chaos

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cordon/internal/bus"
	"github.com/stretchr/testify/require"
)

// heap enqueues so many bytes, in messages of about 256 KiB and 1 MiB that hold records of 3 KB or, each eighth, one
// record alone.
func (h *hub) heap(bytes int) {
	record := func(size int) string {
		return fmt.Sprintf(`{"time":"2026-03-02T08:10:00Z","category":"SignInLogs","tenantId":%q,"properties":{"id":"x","userId":"u","padding":%q}}`, tenantID, strings.Repeat("padding ", size/8))
	}
	small, large := record(3_000), record(1_000_000)
	for i := 0; bytes > 0; i++ {
		count := []int{80, 80, 80, 330}[i/len(h.counts)%4]
		body := `{"records":[` + strings.Repeat(small+",", count-1) + small + `]}`
		if i/len(h.counts)%8 == 7 {
			count, body = 1, `{"records":[`+large+`]}`
		}
		p := i % len(h.counts)
		h.Enqueue(p, []byte(body), time.Now())
		h.counts[p] = append(h.counts[p], count)
		h.records += count
		bytes -= len(body)
	}
}

// TestMemory gives Cordon far more than it can store at once, from a hub at the other end of the loopback: it takes what
// it can hold.
func TestMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		require.NotEqual(t, "1", os.Getenv("CORDON_CI"), "CI runs on Linux")
		t.Skip("the most memory that a process ever had is asked of /proc")
	}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector takes several times as much")
	}
	for _, partitions := range []int{4, 32} {
		t.Run(strconv.Itoa(partitions), func(t *testing.T) {
			t.Parallel()
			h := openHub(t, partitions)
			h.heap(setting("HEAP", 70) << 20)
			s := spec{Dir: t.TempDir(), Connection: h.connection(), Until: h.last(), Memory: true}
			began := time.Now()
			c := start(t, s)
			c.wait(t, 5*time.Minute)
			peak, err := strconv.Atoi(strings.TrimSpace(c.output.String()))
			require.NoError(t, err)
			t.Logf("%d records in %s, at most %d MiB", h.records, time.Since(began).Round(time.Millisecond), peak>>10)
			require.Less(t, peak, 256<<10, "KiB")
			b, err := bus.Open(t.Context(), bus.Config{Dir: s.Dir})
			require.NoError(t, err)
			defer b.Close()
			h.requireOnce(t, b)
		})
	}
}
