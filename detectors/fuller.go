package detectors

import (
	"context"
	"fmt"
	"hash/maphash"
	"time"

	"cordon/internal/bus"
	"cordon/internal/record"
	"github.com/nats-io/nats.go/jetstream"
)

// Of two revisions of a record the fuller counts, whichever comes first: where a poor one lacks the field for whose want a rule
// holds, a fuller one that came before contradicts it. So of every record is remembered how much its fullest revision said,
// for as long as it takes others to come, whether or not it has left anything else behind. Of the privileged a snapshot knows it,
// too (kept.fullest).

const (
	// manyFuller is how many records are remembered at most before those before them are forgotten: of a large shard those of hours.
	manyFuller = 1 << 16
	// fullerFor is how far back they are read after a takeover: sign-ins and audit records come within half an hour.
	fullerFor = time.Hour
)

// fuller are the fullest revisions that came lately.
type fuller struct {
	seed        maphash.Seed
	now, before map[uint64]int32
	turned      time.Time
}

func newFuller() fuller { return fuller{seed: maphash.MakeSeed(), now: map[uint64]int32{}} }

// see takes note of a revision, and returns how much the fullest one says.
func (f *fuller) see(id string, size int) (most int) {
	key := maphash.String(f.seed, id)
	had, is := f.now[key]
	if !is {
		had = f.before[key]
	}
	if is && had >= int32(size) {
		return int(had)
	}
	if len(f.now) >= manyFuller {
		f.turn()
	}
	f.now[key] = max(had, int32(size))
	return int(max(had, int32(size)))
}

// turn forgets those before the last turn.
func (f *fuller) turn() { f.now, f.before = make(map[uint64]int32, len(f.now)), f.now }

// passed says how far all partitions have been read, and how late a record may come: what is older is forgotten.
func (f *fuller) passed(behind time.Time, late time.Duration) {
	if behind.Sub(f.turned) > late {
		f.turn()
		f.turned = behind
	}
}

// of is how much the fullest revision says that is remembered, 0 where none is.
func (f *fuller) of(id string) int {
	key := maphash.String(f.seed, id)
	return int(max(f.now[key], f.before[key]))
}

// remember reads how much the records said that have been looked at lately: a snapshot does not know it.
func (s *shard) remember(ctx context.Context) error {
	if s.through == 0 {
		return nil
	}
	span := bus.Span{Stream: bus.Logs, Filter: bus.ShardSubjects(s.number), Since: time.Now().Add(-fullerFor), Last: s.through}
	err := s.room.Bus.ScanSpan(ctx, span, func(m jetstream.Msg) error {
		if id, size, ok := record.StoredFullness(m.Headers()); ok {
			s.engine.fuller.see(id, size)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading what was looked at lately: %w", err)
	}
	return nil
}
