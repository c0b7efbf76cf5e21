package eventhubs

import (
	"encoding/binary"

	"cordon/internal/simulator/amqp"
)

const (
	// turnFrames is how many frames a link sends before it is the turn of others.
	turnFrames = 64
	// transferOverhead is more than a transfer frame takes without its payload.
	transferOverhead = 128
)

// sender is the sending end of a link: its client receives.
type sender struct {
	session   *session
	handle    uint32
	source    source
	delivered uint32 // how many messages were begun, which is the delivery count
	credit    int64  // how many more the client wants
	drain     bool   // the client wants its unused credit back
	rest      []byte // what is left of the message being sent
}

func (s *session) attachSender(a, answer *amqp.Attach) error {
	src, cause := s.connection.source(a)
	if cause != nil {
		return s.refuse(answer, cause)
	}
	// The position is fixed before the client hears of the link: it counts on events
	// which are appended from then on, if it asked for the latest.
	cause = src.open()
	if cause == nil {
		s.senders[a.Handle] = &sender{session: s, handle: a.Handle, source: src}
	}
	answer.InitialDeliveryCount = new(uint32)
	if err := s.connection.send(s.channel, answer, nil); err != nil || cause == nil {
		return err
	}
	// The SDK takes a receiver for dispossessed only if it had a link before.
	return s.drop(a.Handle, cause)
}

// flow takes the client's credit, which counts from the messages it has seen so far.
func (l *sender) flow(f *amqp.Flow) error {
	var seen, credit uint32
	if f.DeliveryCount != nil {
		seen = *f.DeliveryCount
	}
	if f.LinkCredit != nil {
		credit = *f.LinkCredit
	}
	l.credit = int64(credit) - int64(l.delivered-seen)
	l.drain = f.Drain
	if f.Echo {
		return l.announce()
	}
	return nil
}

func (l *sender) announce() error {
	credit := uint32(max(l.credit, 0))
	return l.session.announce(amqp.Flow{
		Handle: &l.handle, DeliveryCount: &l.delivered, LinkCredit: &credit, Drain: l.drain,
	})
}

// pump sends what credit and window admit, up to a turn's worth, and reports whether
// that was anything.
func (l *sender) pump() (sent bool, err error) {
	if cause := l.source.lost(); cause != nil {
		return false, l.session.drop(l.handle, cause)
	}
	for range turnFrames {
		if l.session.room <= 0 {
			break
		}
		first := len(l.rest) == 0
		if first && !l.next() {
			return sent, l.dry()
		}
		if err := l.transfer(first); err != nil {
			return false, err
		}
		sent = true
	}
	return sent, nil
}

// next starts with the next message, if there is one and the client wants it.
func (l *sender) next() bool {
	if l.credit <= 0 {
		return false
	}
	message, ok := l.source.take()
	if ok {
		l.rest = message
		l.credit--
		l.delivered++
	}
	return ok
}

// transfer sends the next frame of the message. It is settled: a receiver's credit
// would never be replenished if the SDK had to settle messages itself.
func (l *sender) transfer(first bool) error {
	s := l.session
	n := min(len(l.rest), s.connection.frameSize-transferOverhead)
	t := &amqp.Transfer{Handle: l.handle, Settled: true, More: n < len(l.rest)}
	if first {
		id := s.nextDelivery
		s.nextDelivery++
		t.DeliveryID, t.DeliveryTag, t.MessageFormat = &id, binary.BigEndian.AppendUint32(nil, id), new(uint32)
	}
	payload := l.rest[:n]
	l.rest = l.rest[n:]
	s.nextOutgoing++
	s.room--
	return s.connection.send(s.channel, t, payload)
}

// dry returns unused credit once there are no messages, if the client asked for that;
// go-amqp does so with a flow whose credit is 0, and waits for the answer all the same.
func (l *sender) dry() error {
	if !l.drain {
		return nil
	}
	l.delivered += uint32(max(l.credit, 0))
	l.credit = 0
	err := l.announce()
	l.drain = false
	return err
}
