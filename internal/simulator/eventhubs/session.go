package eventhubs

import (
	"fmt"

	"cordon/internal/simulator/amqp"
)

const (
	maxHandle = 255
	window    = 2048 // transfer frames which a session takes before it says that it takes more
)

// session is one conversation on a connection: it counts the transfer frames of its
// links in both directions. The simulator answers with the channel and the handles
// which the client chose, so that each number means one thing only.
type session struct {
	connection *connection
	channel    uint16
	senders    map[uint32]*sender
	receivers  map[uint32]*receiver
	detached   map[uint32]int // how often a handle was detached here and not yet by the client
	ended      bool           // the end was sent, the client's is due

	nextOutgoing uint32 // the number of the next transfer frame to be sent
	nextDelivery uint32 // the number of the next message to be sent
	room         int64  // how many transfer frames the client takes
	nextIncoming uint32 // the number of the next transfer frame to be received
	unannounced  int    // how many were received since the client heard of the window
}

func (c *connection) begin(channel uint16, b *amqp.Begin) error {
	c.sessions[channel] = &session{
		connection:   c,
		channel:      channel,
		senders:      map[uint32]*sender{},
		receivers:    map[uint32]*receiver{},
		detached:     map[uint32]int{},
		room:         int64(b.IncomingWindow),
		nextIncoming: b.NextOutgoingID,
	}
	return c.send(channel, &amqp.Begin{
		RemoteChannel: &channel, IncomingWindow: window, OutgoingWindow: window, HandleMax: maxHandle,
	}, nil)
}

// end answers the client's end, or ends the session because of an error.
func (s *session) end(cause *amqp.Error) error {
	s.release()
	if s.ended {
		return nil
	}
	s.ended = true
	return s.connection.send(s.channel, &amqp.End{Error: cause}, nil)
}

func (s *session) release() {
	for handle, l := range s.senders {
		l.source.release()
		delete(s.senders, handle)
	}
	clear(s.receivers)
}

func (s *session) handle(body amqp.Performative, payload []byte) error {
	if s.ended {
		return nil // sent before the client saw the end
	}
	switch body := body.(type) {
	case *amqp.Attach:
		return s.attach(body)
	case *amqp.Flow:
		return s.flow(body)
	case *amqp.Transfer:
		return s.transfer(body, payload)
	case *amqp.Detach:
		return s.detach(body)
	case *amqp.Disposition:
		return nil // all messages are sent settled
	}
	return fmt.Errorf("handling frame: %T is not for sessions", body)
}

func (s *session) attach(a *amqp.Attach) error {
	if a.Handle > maxHandle || s.senders[a.Handle] != nil || s.receivers[a.Handle] != nil {
		return s.end(refusal(conditionHandleInUse, "handle %d is in use or above %d", a.Handle, maxHandle))
	}
	// The answer repeats the settle modes, or the client would give up the link.
	answer := &amqp.Attach{
		Name: a.Name, Handle: a.Handle, Role: !a.Role, Source: a.Source, Target: a.Target,
		SenderSettleMode: a.SenderSettleMode, ReceiverSettleMode: a.ReceiverSettleMode,
	}
	if a.Role == amqp.RoleReceiver {
		return s.attachSender(a, answer)
	}
	return s.attachReceiver(a, answer)
}

// refuse answers an attach with a link which leads nowhere and ends at once, which is
// how links to unknown addresses are turned down.
func (s *session) refuse(answer *amqp.Attach, cause *amqp.Error) error {
	answer.Source, answer.Target = nil, nil
	if err := s.connection.send(s.channel, answer, nil); err != nil {
		return err
	}
	return s.drop(answer.Handle, cause)
}

// drop detaches a link of its own accord.
func (s *session) drop(handle uint32, cause *amqp.Error) error {
	s.detached[handle]++
	return s.remove(handle, cause)
}

// detach takes the client's detach, which either answers ours or asks for one.
func (s *session) detach(d *amqp.Detach) error {
	if s.detached[d.Handle] > 0 {
		s.detached[d.Handle]--
		return nil
	}
	return s.remove(d.Handle, nil)
}

func (s *session) remove(handle uint32, cause *amqp.Error) error {
	if l := s.senders[handle]; l != nil {
		l.source.release()
	}
	delete(s.senders, handle)
	delete(s.receivers, handle)
	return s.connection.send(s.channel, &amqp.Detach{Handle: handle, Closed: true, Error: cause}, nil)
}

// flow takes news of what the client can receive. Frames for unknown handles crossed
// the detach of their link on the way.
func (s *session) flow(f *amqp.Flow) error {
	var seen uint32 // the client sends none before it has seen the first transfer
	if f.NextIncomingID != nil {
		seen = *f.NextIncomingID
	}
	s.room = int64(f.IncomingWindow) - int64(s.nextOutgoing-seen)
	if f.Handle == nil {
		if f.Echo {
			return s.announce(amqp.Flow{})
		}
		return nil
	}
	l := s.senders[*f.Handle]
	if l == nil {
		return nil
	}
	return l.flow(f)
}

// announce sends a flow, with which the client always learns the session's state.
func (s *session) announce(f amqp.Flow) error {
	f.NextIncomingID, f.IncomingWindow = &s.nextIncoming, window
	f.NextOutgoingID, f.OutgoingWindow = s.nextOutgoing, window
	s.unannounced = 0
	return s.connection.send(s.channel, &f, nil)
}

func (s *session) transfer(t *amqp.Transfer, payload []byte) error {
	s.nextIncoming++
	if s.unannounced++; s.unannounced >= window/2 {
		if err := s.announce(amqp.Flow{}); err != nil {
			return err
		}
	}
	l := s.receivers[t.Handle]
	if l == nil {
		return nil
	}
	return l.transfer(t, payload)
}
