package eventhubs

import "cordon/internal/simulator/amqp"

const (
	maxMessageSize = 20 << 20 // that of dedicated clusters; others take 1 MiB
	linkCredit     = 512
)

// receiver is the receiving end of a link: its client sends.
type receiver struct {
	session  *session
	handle   uint32
	sink     sink
	received uint32 // the delivery count
	credit   int    // how many messages the client may still send

	// The message being received.
	partial  bool
	delivery uint32
	format   uint32
	settled  bool
	message  []byte
}

func (s *session) attachReceiver(a, answer *amqp.Attach) error {
	snk, cause := s.connection.sink(a)
	if cause != nil {
		return s.refuse(answer, cause)
	}
	limit := uint64(maxMessageSize) // without it the SDK makes no batches
	answer.MaxMessageSize = &limit
	if err := s.connection.send(s.channel, answer, nil); err != nil {
		return err
	}
	l := &receiver{session: s, handle: a.Handle, sink: snk}
	if a.InitialDeliveryCount != nil {
		l.received = *a.InitialDeliveryCount
	}
	s.receivers[a.Handle] = l
	return l.grant()
}

// grant tells the client that it may send on.
func (l *receiver) grant() error {
	l.credit = linkCredit
	credit := uint32(linkCredit)
	return l.session.announce(amqp.Flow{Handle: &l.handle, DeliveryCount: &l.received, LinkCredit: &credit})
}

// transfer takes one frame of a message.
func (l *receiver) transfer(t *amqp.Transfer, payload []byte) error {
	if !l.partial {
		if t.DeliveryID == nil || l.credit == 0 {
			return l.session.drop(l.handle, refusal(conditionOverCredit, "delivery without an id or credit"))
		}
		l.partial, l.delivery, l.format, l.settled, l.message = true, *t.DeliveryID, 0, false, nil
		if t.MessageFormat != nil {
			l.format = *t.MessageFormat
		}
		l.received++
		l.credit--
	}
	if len(l.message)+len(payload) > maxMessageSize {
		return l.session.drop(l.handle, refusal(conditionTooLarge, "message is larger than %d bytes", maxMessageSize))
	}
	l.message = append(l.message, payload...)
	l.settled = l.settled || t.Settled
	if t.More && !t.Aborted {
		return nil
	}
	l.partial = false
	if !t.Aborted {
		if err := l.deliver(); err != nil {
			return err
		}
	}
	if l.credit <= linkCredit/2 {
		return l.grant()
	}
	return nil
}

// deliver hands the message on and tells its sender what became of it.
func (l *receiver) deliver() error {
	cause := l.sink(l.format, l.message)
	l.message = nil
	if l.settled {
		return nil
	}
	var state any = &amqp.Accepted{}
	if cause != nil {
		state = &amqp.Rejected{Error: cause}
	}
	return l.session.connection.send(l.session.channel, &amqp.Disposition{
		Role: amqp.RoleReceiver, First: l.delivery, Settled: true, State: state,
	}, nil)
}
