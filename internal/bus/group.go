package bus

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// group commits the batches of several writers as one. A batch costs the server some milliseconds however small it is
// (it is staged in files of its own), and commits stand in line: at low rates that would be most of the latency, with
// many partitions all of it. What comes while a commit is under way goes with the next one.
type group struct {
	mu      sync.Mutex
	queue   []*commit
	queued  int // messages in it
	working int
	workers sync.WaitGroup
}

// Small batches wait for the commit that is under way and go together; one that is large by itself need not wait: while
// the server writes one, others are handed to it.
const large = MaxBatch / 4 // messages

// commit is one writer's batch.
type commit struct {
	msgs  []Message
	bytes int
	done  chan struct{} // closed when the outcome is there
	seq   uint64
	err   error
}

// PublishTogether is PublishBatch for many writers: the batch lands whole or not at all, perhaps in one commit with
// others. Another writer's conflict is not its own. A writer whose ctx ends does not wait for an outcome that may
// still come: it reads its checkpoint again, as after any failure.
func (b *Bus) PublishTogether(ctx context.Context, msgs []Message) (uint64, error) {
	g := &b.group
	c := &commit{msgs: msgs, done: make(chan struct{})}
	for _, m := range msgs {
		c.bytes += len(m.Data) + 512 // headers are of about that size
	}
	g.mu.Lock()
	g.queue = append(g.queue, c)
	g.queued += len(msgs)
	if g.working == 0 || g.queued >= large && g.working < inFlight {
		g.working++
		g.workers.Go(func() { b.commitQueue() })
	}
	g.mu.Unlock()
	select {
	case <-c.done:
		return c.seq, c.err
	case <-ctx.Done():
	}
	g.mu.Lock()
	if i := slices.Index(g.queue, c); i >= 0 {
		g.queue = slices.Delete(g.queue, i, i+1) // nobody has begun with it
		g.queued -= len(msgs)
	}
	g.mu.Unlock()
	return 0, ctx.Err()
}

// commitQueue commits what waits, until nothing does.
func (b *Bus) commitQueue() {
	g := &b.group
	for {
		g.mu.Lock()
		count, bytes, n := 0, 0, 0
		for _, c := range g.queue {
			if n > 0 && (count+len(c.msgs) > MaxBatch || bytes+c.bytes > MaxPayload) {
				break
			}
			count, bytes, n = count+len(c.msgs), bytes+c.bytes, n+1
		}
		if n == 0 {
			g.working--
			g.mu.Unlock()
			return
		}
		mine := slices.Clone(g.queue[:n])
		g.queue = slices.Delete(g.queue, 0, n)
		g.queued -= count
		g.mu.Unlock()
		b.commitAll(mine)
	}
}

// commitAll stores the batches together; where one of them is refused, each by itself, so that the others are not.
func (b *Bus) commitAll(group []*commit) {
	ctx := context.Background() // the request has a bound of its own; a writer that gives up takes no other with it
	if len(group) > 1 {
		var all []Message
		for _, c := range group {
			all = append(all, c.msgs...)
		}
		last, err := b.PublishBatch(ctx, all)
		if !errors.Is(err, ErrConflict) {
			seq := last - uint64(len(all)) // a batch's sequences follow one another
			for _, c := range group {
				seq += uint64(len(c.msgs))
				if c.err = err; err == nil {
					c.seq = seq
				}
				close(c.done)
			}
			return
		}
	}
	for _, c := range group {
		for _, m := range c.msgs { // what the attempt together has written into them
			for _, name := range []string{headerBatch, headerBatchSequence, headerBatchCommit} {
				m.Header.Del(name)
			}
		}
		c.seq, c.err = b.PublishBatch(ctx, c.msgs)
		close(c.done)
	}
}
