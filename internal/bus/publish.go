package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// ErrConflict says that somebody else wrote to the subject first: read again, decide again.
var ErrConflict = errors.New("the subject has moved on")

// MaxBatch is the most messages one atomic batch may hold; the server's own limit is 1,000.
const MaxBatch = 1000

// Message is one message to publish.
type Message struct {
	Subject string
	Header  nats.Header
	Data    []byte
	// ExpectLast, where set, is the sequence that the subject's last message must have (0: there is none).
	ExpectLast *uint64
}

func (m Message) toNATS() *nats.Msg {
	msg := &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}
	if msg.Header == nil {
		msg.Header = nats.Header{}
	}
	if m.ExpectLast != nil {
		msg.Header.Set("Nats-Expected-Last-Subject-Sequence", strconv.FormatUint(*m.ExpectLast, 10))
	}
	return msg
}

// The headers of an atomic batch.
const (
	headerBatch         = "Nats-Batch-Id"
	headerBatchSequence = "Nats-Batch-Sequence"
	headerBatchCommit   = "Nats-Batch-Commit"
)

// Publish stores one message and returns its sequence. With ExpectLast it fails with ErrConflict where the
// subject has moved on.
func (b *Bus) Publish(ctx context.Context, m Message) (uint64, error) {
	ack, err := b.js.PublishMsg(ctx, m.toNATS())
	if err != nil {
		return 0, fmt.Errorf("publishing on %s: %w", m.Subject, conflict(err))
	}
	return ack.Sequence, nil
}

// conflict recognises the server's two ways to say "wrong last sequence".
func conflict(err error) error {
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == 10071 || api.ErrorCode == 10164) {
		return fmt.Errorf("%w (%s)", ErrConflict, api.Description)
	}
	return err
}

// PublishBatch stores all messages together or none of them, in order, and returns the last one's sequence.
// The server has written and synced them when it returns.
func (b *Bus) PublishBatch(ctx context.Context, msgs []Message) (uint64, error) {
	switch len(msgs) {
	case 0:
		return 0, nil
	case 1:
		return b.Publish(ctx, msgs[0])
	}
	if len(msgs) > MaxBatch {
		return 0, fmt.Errorf("publishing a batch: %d messages, at most %d", len(msgs), MaxBatch)
	}
	select {
	case b.batches <- struct{}{}:
		defer func() { <-b.batches }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	id := nuid.Next()
	last := len(msgs) - 1
	for i, m := range msgs {
		msg := m.toNATS()
		msg.Header.Set(headerBatch, id)
		msg.Header.Set(headerBatchSequence, strconv.Itoa(i+1))
		if i == last {
			msg.Header.Set(headerBatchCommit, "1")
			return b.commit(ctx, msg)
		}
		// The first message asks for an answer, so that a refusal (no stream, too many batches) is seen at once.
		if i == 0 {
			if err := b.open(ctx, msg); err != nil {
				return 0, err
			}
		} else if err := b.nc.PublishMsg(msg); err != nil {
			return 0, fmt.Errorf("publishing a batch: %w", err)
		}
	}
	return 0, nil
}

func (b *Bus) open(ctx context.Context, msg *nats.Msg) error {
	answer, err := b.request(ctx, msg)
	if err != nil {
		return fmt.Errorf("opening a batch: %w", err)
	}
	if len(answer) == 0 {
		return nil
	}
	_, err = pubAck(answer)
	return err
}

func (b *Bus) commit(ctx context.Context, msg *nats.Msg) (uint64, error) {
	answer, err := b.request(ctx, msg)
	if err != nil {
		return 0, fmt.Errorf("committing a batch: %w", err)
	}
	seq, err := pubAck(answer)
	if err != nil {
		return 0, fmt.Errorf("committing a batch: %w", err)
	}
	return seq, nil
}

func (b *Bus) request(ctx context.Context, msg *nats.Msg) ([]byte, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
	}
	answer, err := b.nc.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return nil, err
	}
	return answer.Data, nil
}

func pubAck(answer []byte) (uint64, error) {
	var ack struct {
		Error *jetstream.APIError `json:"error"`
		Seq   uint64              `json:"seq"`
	}
	if err := json.Unmarshal(answer, &ack); err != nil {
		return 0, fmt.Errorf("reading the server's answer: %w", err)
	}
	if ack.Error != nil {
		return 0, conflict(ack.Error)
	}
	return ack.Seq, nil
}

// Last returns the newest message on a subject of a stream, nil where there is none. It is a read from the leader.
func (b *Bus) Last(ctx context.Context, stream, subject string) (*jetstream.RawStreamMsg, error) {
	s := b.Stream(stream)
	msg, err := s.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the last message on %s: %w", subject, err)
	}
	return msg, nil
}

// After calls visit with each message on a subject whose sequence is greater than seq, in order, read from the
// leader, until there is none left.
func (b *Bus) After(ctx context.Context, stream, subject string, seq uint64, visit func(*jetstream.RawStreamMsg) error) error {
	s := b.Stream(stream)
	for {
		msg, err := s.GetMsg(ctx, seq+1, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", subject, err)
		}
		if err := visit(msg); err != nil {
			return err
		}
		seq = msg.Sequence
	}
}
