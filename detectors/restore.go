package detectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"cordon/internal/bus"
	"cordon/internal/finding"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// head is the part of a shard's snapshot that says where it stands. It is written last, and expects the head before it:
// of two instances that both believe the shard to be theirs one is refused.
type head struct {
	Logs     uint64                          `json:"logs"`     // what stands in LOGS up to here has been looked at
	Findings uint64                          `json:"findings"` // what stands in FINDINGS behind this was published since
	Seen     map[string]map[string]time.Time `json:"seen"`
	Heard    heard                           `json:"heard,omitzero"`
	Carries  []carriedBy                     `json:"carries"`
	Engine   []byte                          `json:"engine"`
}

type heard struct {
	At     map[string]map[string]time.Duration `json:"at"`
	AtWork time.Duration                       `json:"atWork"`
	Newest time.Time                           `json:"newest"`
}

type carriedBy struct {
	Tenant   string   `json:"tenant"`
	Category string   `json:"category"`
	Sources  []string `json:"sources"`
}

// snapshot is what is known of the one that stands.
type snapshot struct {
	sequence uint64 // of its head; 0 where there is none
	head     []byte
	written  time.Time
	logs     uint64
}

// When a snapshot is written: after so long, or as soon as so many buckets have changed, or so much was read, that writing
// or reading them again would take long.
const (
	saveEvery   = 5 * time.Second
	saveBuckets = 64
	saveBehind  = 20_000
	idleBehind  = 2_000 // messages after which it is written though nothing changed, so that less is read back
)

const (
	headPart   = "head"
	bucketPart = "b."
	maxBatch   = 6 << 20 // bytes of one atomic batch
)

// begin takes the shard over: from the snapshot, from the findings that were published since, and from the records since
// then that were handed out to anybody.
func (s *shard) begin(ctx context.Context, plan *Plan, delivered uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	began := time.Now()
	s.reset(plan)
	s.broken = true // until it has begun
	h, buckets, err := s.read(ctx)
	if err != nil {
		return err
	}
	fresh := bus.Span{Stream: bus.Findings, Filter: []string{bus.ShardFindings(s.number)}}
	same := false
	if h != nil {
		if same, err = s.engine.load(h.Engine, buckets); err != nil {
			s.log.Warn("the snapshot cannot be read; reading back instead", zap.Error(err))
			sequence := s.snapshot.sequence
			s.reset(plan)
			s.snapshot.sequence, s.broken = sequence, true
			h = nil
		}
	}
	if h == nil {
		s.engine.buckets.discard(buckets)
	}
	if h != nil {
		s.through, fresh.After = h.Logs, h.Findings
		s.watermarks.load(*h)
		s.snapshot.logs = h.Logs
	}
	if delivered == 0 && h == nil {
		s.broken = false
		return nil
	}
	if err := s.remember(ctx); err != nil {
		return err
	}
	if !same {
		fresh.After = 0 // of rules that are back the snapshot knows nothing
	}
	if err := s.published(ctx, fresh, !same); err != nil {
		return err
	}
	out := append(s.settle(), s.engine.FlushAll()...) // nothing, but for what the snapshot had not been asked yet
	var found []finding.Finding
	var since time.Time
	if h != nil && same {
		found, err = s.catchUp(ctx, max(delivered, s.through))
	} else { // nothing is kept, or other rules kept it: what they saw is looked at again, as far back as windows go
		span := bus.Span{Stream: bus.Logs, Filter: bus.ShardSubjects(s.number), Last: max(delivered, s.through)}
		if at := s.storedAt(ctx, span.Last); !at.IsZero() { // else from the beginning
			since = at.Add(-s.back())
		}
		span.Since = since
		found, err = s.reread(ctx, span)
	}
	if err != nil {
		return err
	}
	s.engine.reread(h != nil && same, since)
	found = append(found, s.engine.FlushAll()...)
	if err := s.askAnnouncements(ctx); err != nil {
		return err
	}
	if err := s.publish(ctx, latest(append(append(out, found...), s.judged()...))); err != nil {
		return err
	}
	s.broken, s.engine.passed = false, 0 // what was read back is no news
	s.log.Debug("a shard has been taken over", zap.Uint64("through", s.through), zap.Bool("snapshot", h != nil), zap.Duration("took", time.Since(began)))
	return nil
}

// storedAt is when a message of LOGS was stored, or the next that is still there: checkpoints take the place of those before
// them.
func (s *shard) storedAt(ctx context.Context, sequence uint64) time.Time {
	msg, err := s.room.Bus.Stream(bus.Logs).GetMsg(ctx, sequence, jetstream.WithGetMsgSubject(">"))
	if err != nil {
		return time.Time{}
	}
	return msg.Time
}

func (s *shard) reset(plan *Plan) {
	s.engine = plan.Engine(s.room.Directory)
	s.engine.crowds.patient = true
	s.learnt = nil
	maps.Copy(s.risen, s.unsaved)
	clear(s.unsaved)
	s.engine.learnt = func(l learnt) { s.learnt = append(s.learnt, l) }
	s.watermarks = newWatermarks(s.room.Lateness)
	s.waiting, s.through, s.delivered, s.cleared, s.moved = nil, 0, 0, time.Time{}, false
	s.snapshot, s.broken = snapshot{written: time.Now()}, false
	s.waits.Store(0)
}

// end writes what has changed and lets the shard go. Where findings could not be published the snapshot that stands
// must stay: from it they are found again.
func (s *shard) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if !s.broken && (s.engine.buckets.changed > 0 || s.standing()-s.snapshot.logs >= idleBehind) {
		if err := s.save(ctx); err != nil && !errors.Is(err, bus.ErrConflict) {
			s.log.Warn("writing the last snapshot; more will be read back", zap.Error(err))
		}
	}
	s.engine = nil
	s.waiting = nil
	s.waits.Store(0)
}

// read reads the snapshot: no head where there is none, or none that can be read.
func (s *shard) read(ctx context.Context) (*head, map[int][]byte, error) {
	msg, err := s.room.Bus.Last(ctx, bus.SnapshotsStream, bus.SnapshotSubject(s.number, headPart))
	if err != nil || msg == nil {
		return nil, nil, err
	}
	s.snapshot.sequence, s.snapshot.head = msg.Sequence, msg.Data
	h := &head{}
	if err := json.Unmarshal(msg.Data, h); err != nil {
		s.log.Warn("the snapshot cannot be read; reading back instead", zap.Error(err))
		h = nil
	}
	buckets := map[int][]byte{}
	prefix := bus.SnapshotSubject(s.number, bucketPart)
	last, err := s.room.Bus.LastSequence(ctx, bus.SnapshotsStream)
	if err != nil {
		return nil, nil, err
	}
	err = s.room.Bus.ScanSpan(ctx, bus.Span{Stream: bus.SnapshotsStream, Filter: []string{prefix + "*"}, Last: last}, func(m jetstream.Msg) error {
		n, err := strconv.Atoi(strings.TrimPrefix(m.Subject(), prefix))
		if err != nil || n < 0 || n > maxBuckets {
			s.log.Warn("the snapshot cannot be read; reading back instead", zap.String("no bucket", m.Subject()))
			h = nil
			return nil
		}
		buckets[n] = m.Data()
		return nil
	})
	return h, buckets, err
}

// maxBuckets bounds the numbers of buckets: sixty-four million records in the windows of one shard, or four million findings of
// correlations.
const maxBuckets = 1 << 18

// published tells the engine what findings were published that its snapshot does not know of, so that none comes again
// under a lower revision.
func (s *shard) published(ctx context.Context, span bus.Span, all bool) (err error) {
	if span.Last, err = s.room.Bus.LastSequence(ctx, bus.Findings); err != nil {
		return err
	}
	if all {
		span.Since = time.Now().Add(-s.back())
	}
	return s.room.Bus.ScanSpan(ctx, span, func(m jetstream.Msg) error {
		var f finding.Finding
		if err := json.Unmarshal(m.Data(), &f); err != nil {
			return fmt.Errorf("reading a finding: %w", err)
		}
		s.engine.published(f)
		return nil
	})
}

// standing is the sequence from behind which LOGS must be read again: a change that waits for its explanation is read
// again as well.
func (s *shard) standing() uint64 {
	through := s.through
	for _, w := range s.waiting {
		through = min(through, w.sequence-1)
	}
	return through
}

func (s *shard) saveIfDue(ctx context.Context) error {
	changed, read := s.engine.buckets.changed, s.standing()-s.snapshot.logs
	old := time.Since(s.snapshot.written) >= saveEvery
	if changed >= saveBuckets || read >= saveBehind || old && (changed > 0 || read >= idleBehind) {
		return s.save(ctx)
	}
	return nil
}

// save writes the buckets that have changed and the head: in one atomic batch, as a rule. Where they are too much for
// one, the head comes with the last: until then the head that stands tells readers to look at records again whose traces
// some buckets show already, which changes nothing.
func (s *shard) save(ctx context.Context) (err error) {
	defer func() { s.broken = s.broken || err != nil }() // buckets that are taken for written may not be
	findings, err := s.room.Bus.LastSequence(ctx, bus.Findings)
	if err != nil {
		return err
	}
	state, changed := s.engine.save()
	h := head{Logs: s.standing(), Findings: findings, Engine: state}
	s.watermarks.save(&h)
	text, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("encoding the snapshot: %w", err)
	}
	var batch []bus.Message
	size := 0
	write := func(head []byte) error {
		expect := s.snapshot.sequence
		batch = append(batch, bus.Message{Subject: bus.SnapshotSubject(s.number, headPart), Data: head, ExpectLast: &expect})
		seq, err := s.room.Bus.PublishBatch(ctx, batch)
		if err != nil {
			return fmt.Errorf("writing the snapshot: %w", err)
		}
		s.snapshot.sequence, s.snapshot.head = seq, head
		batch, size = batch[:0], 0
		return nil
	}
	for number, bytes := range changed {
		if len(bytes) > bus.MaxPayload-1<<10 { // one thing alone, which bounds.go should not let happen: nothing stands still for it
			s.log.Error("a part of the snapshot is too large and is left out: what it holds is lost to whoever takes the shard over", zap.Int("bytes", len(bytes)))
			continue
		}
		if len(batch) > 0 && (size+len(bytes) > maxBatch || len(batch) >= bus.MaxBatch-1) {
			before := s.snapshot.head
			if before == nil { // none stands: this one says that all must be read
				if before, err = json.Marshal(head{}); err != nil {
					return fmt.Errorf("encoding the snapshot: %w", err)
				}
			}
			if err := write(before); err != nil {
				return err
			}
		}
		batch = append(batch, bus.Message{Subject: bus.SnapshotSubject(s.number, bucketPart+strconv.Itoa(number)), Data: bytes})
		size += len(bytes)
	}
	if err := write(text); err != nil {
		return err
	}
	s.snapshot.written, s.snapshot.logs = time.Now(), h.Logs
	clear(s.unsaved)
	return nil
}
