package detectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"cordon/internal/bus"
	"cordon/internal/finding"
	"cordon/internal/record"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// shard is the engine of a part of the tenants, and how far it has read.
type shard struct {
	room   *Room
	number int
	log    *zap.Logger
	waits  atomic.Int64 // changes under Cordon's identity that nothing explains yet

	mu         sync.Mutex // guards what follows: messages, announcements and the clock's tick share it
	engine     *Engine    // nil while the shard is not this instance's
	decoder    record.Decoder
	watermarks *watermarks
	waiting    []foreign
	learnt     []learnt        // for whose sake nothing has been looked at again yet
	risen      map[holder]bool // of whom was read that they hold roles: nor for theirs; they wait for a turn where there is none
	unsaved    map[holder]bool // for whose sake it has been, since the snapshot: LOGS does not say of them
	moved      bool            // the watermarks, since they were applied
	cleared    time.Time
	through    uint64 // sequence of LOGS up to which all of the shard has been looked at
	delivered  uint64 // number of the last delivery
	snapshot   snapshot
	broken     bool      // findings could not be published
	said       time.Time // when it was last said that records came too late for their windows
}

// How often what a shard has gathered is looked at, by this machine's clock.
const (
	tickEvery  = time.Second
	retryAfter = 2 * time.Second
	sayEvery   = time.Minute // an old backlog may come for hours
)

// run reads the shard until ctx ends or there are other rules. After an error it begins again from the last snapshot:
// what was not published yet is found again.
func (s *shard) run(ctx context.Context) {
	for ctx.Err() == nil {
		plan, reloaded := s.room.current()
		working, cancel := context.WithCancel(ctx)
		stop := make(chan struct{})
		go func() { // ends with this turn
			defer close(stop)
			select {
			case <-reloaded:
				cancel()
			case <-working.Done():
			}
		}()
		err := s.turn(working, plan)
		cancel()
		<-stop
		if err != nil && ctx.Err() == nil {
			s.log.Warn("detecting; beginning again from the last snapshot", zap.Error(err))
			select {
			case <-time.After(retryAfter):
			case <-ctx.Done():
			}
		}
	}
}

// turn works under one plan.
func (s *shard) turn(ctx context.Context, plan *Plan) error {
	consumer := bus.Pinned{Stream: bus.Logs, Durable: durable(s.number), Filter: bus.ShardSubjects(s.number), Ahead: burst}
	pin, delivered, err := s.room.Bus.Pin(ctx, consumer)
	if err != nil {
		return err
	}
	err = s.begin(ctx, plan, delivered)
	defer s.end()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ticked := make(chan error, 1)
	go func() { ticked <- s.tick(ctx, cancel) }()
	err = s.room.Bus.RunPinned(ctx, consumer, pin, s.take)
	cancel()
	return errors.Join(err, <-ticked)
}

// take looks at messages of LOGS and publishes what they prove.
func (s *shard) take(ctx context.Context, batch []bus.Delivery) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []finding.Finding
	for _, d := range batch {
		next := d.Consumer == s.delivered+1
		if next || d.Stream > s.through {
			s.delivered = d.Consumer
		}
		if d.Stream <= s.through {
			continue // it was read back already
		}
		if !next { // another reader was given what stands between
			found, err := s.catchUp(ctx, d.Stream-1)
			if err != nil {
				s.broken = true
				return err
			}
			out = append(out, found...)
		}
		out = append(out, s.look(d.Msg, d.Stream)...)
		s.through = d.Stream
	}
	again, err := s.lookAgain(ctx)
	if err != nil {
		s.broken = true
		return err
	}
	out = append(append(out, again...), s.flush()...)
	if err := s.askAnnouncements(ctx); err != nil {
		s.broken = true
		return err
	}
	if err := s.publish(ctx, append(out, s.judged()...)); err != nil {
		return err
	}
	return s.saveIfDue(ctx)
}

// catchUp looks at what the shard has in LOGS behind what it has read, up to a sequence.
func (s *shard) catchUp(ctx context.Context, last uint64) (out []finding.Finding, err error) {
	return s.reread(ctx, bus.Span{Stream: bus.Logs, Filter: bus.ShardSubjects(s.number), After: s.through, Last: last})
}

func (s *shard) reread(ctx context.Context, span bus.Span) (out []finding.Finding, err error) {
	err = s.room.Bus.ScanSpan(ctx, span, func(m jetstream.Msg) error {
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("reading a message: %w", err)
		}
		out = append(out, s.look(m, meta.Sequence.Stream)...)
		return nil // what windows hold is asked at the end: halfway some are poorer than what was published of them
	})
	if err != nil {
		return nil, fmt.Errorf("reading back: %w", err)
	}
	s.through = max(s.through, span.Last)
	again, err := s.lookAgain(ctx)
	if err != nil {
		return nil, err
	}
	out = append(out, again...)
	return append(append(out, s.flush()...), s.engine.FlushAll()...), nil
}

// flush applies the watermarks and returns what correlations have gathered. It stands behind a burst of records: what a
// checkpoint before them would confirm they may contradict.
func (s *shard) flush() []finding.Finding {
	var out []finding.Finding
	if s.moved {
		out = s.settle()
	}
	return append(out, s.engine.Flush()...)
}

// look feeds a message to the engine: a record, or a checkpoint that moves the watermark.
func (s *shard) look(m jetstream.Msg, seq uint64) []finding.Finding {
	if m.Headers().Get(record.HeaderRecord) == "" {
		var cp record.Checkpoint
		if err := json.Unmarshal(m.Data(), &cp); err != nil {
			s.log.Error("a stored checkpoint cannot be read; it is passed over", zap.String("subject", m.Subject()), zap.Error(err))
			return nil
		}
		if meta, err := m.Metadata(); err == nil {
			cp.Written = meta.Timestamp // one clock for all readers
		}
		s.watermarks.take(cp)
		s.moved = true
		return nil
	}
	rec, position, err := s.decoder.FromLogs(m.Headers(), m.Data())
	if err == nil && s.room.footprints.isOwn(rec) {
		rec, position, err = new(record.Decoder).FromLogs(m.Headers(), m.Data()) // it is kept: the decoder's would be written over
	}
	if err != nil {
		// It was decoded when it was stored: an edition that can no longer do so must not stop the stream for ever.
		s.log.Error("a stored record cannot be read; it is passed over", zap.String("subject", m.Subject()), zap.Error(err))
		return nil
	}
	s.watermarks.brought(rec.Tenant, rec.Category, position)
	if s.room.footprints.isOwn(rec) {
		s.engine.observe(rec)
		s.waiting = append(s.waiting, foreign{record: rec, position: position, sequence: seq})
		s.waits.Store(int64(len(s.waiting)))
		return nil
	}
	return s.engine.Process(rec, position)
}

// settle confirms what the watermarks have passed.
func (s *shard) settle() []finding.Finding {
	s.moved = false
	out := s.engine.SettleEach(s.watermarks.of)
	if behind := s.watermarks.behind(); behind.Sub(s.cleared) > time.Hour {
		s.engine.pass(behind, s.watermarks.lateness)
		s.watermarks.forget()
		s.cleared = behind
	}
	return out
}

// back is how far back what was read may still be needed.
func (s *shard) back() time.Duration { return s.engine.back(s.watermarks.lateness) }

// tick looks each second at what has gathered, whether or not messages come. An error ends the turn.
func (s *shard) tick(ctx context.Context, cancel context.CancelFunc) error {
	defer cancel()
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := s.gathered(ctx); err != nil {
			return err
		}
	}
}

func (s *shard) gathered(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	again, err := s.lookAgain(ctx)
	if err != nil {
		s.broken = true
		return err
	}
	out := append(append(again, s.flush()...), s.engine.FlushAll()...)
	if err := s.publish(ctx, out); err != nil {
		return err
	}
	if n := s.engine.passed; n > 0 && time.Since(s.said) > sayEvery {
		s.log.Warn("records came after the windows of their time were forgotten: each was looked at, correlations over them were not; `cordon detect` over an export finds those",
			zap.Int("records", n), zap.Time("forgotten", s.engine.forgotten))
		s.engine.passed, s.said = 0, time.Now()
	}
	return s.saveIfDue(ctx)
}

// publish stores findings in order.
func (s *shard) publish(ctx context.Context, found []finding.Finding) error {
	err := finding.Publish(ctx, s.room.Bus, found)
	s.broken = s.broken || err != nil
	return err
}

// askAnnouncements finds out how far announcements must be read before a change that waits is unexplained: what had been
// announced when the record came may explain it.
func (s *shard) askAnnouncements(ctx context.Context) (err error) {
	for i, w := range s.waiting {
		if w.asked {
			continue
		}
		if w.until, err = s.room.Bus.LastSequence(ctx, bus.Incidents); err != nil {
			return err
		}
		if w.journal, err = s.room.Bus.LastSequence(ctx, bus.Audit); err != nil {
			return err
		}
		w.asked = true
		s.waiting[i] = w
	}
	return nil
}

// judged are the findings of changes that nothing explains.
func (s *shard) judged() []finding.Finding {
	if len(s.waiting) == 0 {
		return nil
	}
	var out []finding.Finding
	s.waiting, out = s.room.footprints.judge(s.waiting)
	s.waits.Store(int64(len(s.waiting)))
	return out
}

func (s *shard) judge(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.publish(ctx, s.judged())
}
