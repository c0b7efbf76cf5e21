package bus

import (
	"context"
	"sync"
	"time"
)

// What the embedded server keeps in memory of LOGS: each block of its file for 10 s after it was last written or read
// (nats-server v2.15.2, defaultCacheBufferExpiration; no option shortens it), and its timers are a little late. What is
// stored in that time is therefore what Cordon takes of memory, and must be bounded.
const kept = 10500 * time.Millisecond

// RecentOf is what of a process's memory, in bytes, is left for what was stored lately: what else the server, the
// readers and the program need was measured. Little memory means slow catching up after an outage, nothing else.
func RecentOf(memory int) int { return max(memory-176<<20, 16<<20) }

// DefaultMemory is what a process may take where nobody says: 80 MiB in ten seconds are some 2,500 records a second,
// after as much at full speed.
const DefaultMemory = 256 << 20

// recent bounds how many bytes are stored within the time for which the server keeps them in memory.
type recent struct {
	most int

	mu     sync.Mutex
	sum    int
	stored []entry // oldest first
}

type entry struct {
	at    time.Time
	bytes int
}

// admit waits until so many more bytes may be stored, or ctx ends. One that alone exceeds the bound waits until there
// are no others.
func (r *recent) admit(ctx context.Context, bytes int) error {
	for {
		wait := r.try(bytes, time.Now())
		if wait <= 0 {
			return nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// try takes the bytes in and returns 0, or says how long to wait for the oldest to be forgotten.
func (r *recent) try(bytes int, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.stored) > 0 && now.Sub(r.stored[0].at) >= kept {
		r.sum -= r.stored[0].bytes
		r.stored = r.stored[1:]
	}
	if len(r.stored) > 0 && r.sum+bytes > r.most {
		return kept - now.Sub(r.stored[0].at)
	}
	r.sum += bytes
	r.stored = append(r.stored, entry{now, bytes})
	return 0
}

// Admit waits until a batch for LOGS of so many bytes may be stored without the embedded server taking more memory than
// it may. A server elsewhere looks after its own.
func (b *Bus) Admit(ctx context.Context, bytes int) error {
	if b.srv == nil {
		return nil
	}
	return b.recent.admit(ctx, bytes)
}
