package eventhubs

import (
	"fmt"
	"time"

	"cordon/internal/simulator/amqp"
)

// handshake opens the connection. Until it is done the client may be anyone, a port
// scanner for instance: it gets little time and small frames.
func (c *connection) handshake() error {
	if err := c.socket.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return fmt.Errorf("limiting handshake: %w", err)
	}
	protocol, err := amqp.ReadProtocol(c.in)
	if err != nil {
		return err
	}
	if protocol == amqp.ProtocolSASL {
		if err := c.authenticate(); err != nil {
			return err
		}
		if protocol, err = amqp.ReadProtocol(c.in); err != nil {
			return err
		}
	}
	if protocol != amqp.ProtocolAMQP {
		return fmt.Errorf("opening connection: protocol %d is not offered", protocol)
	}
	if err := c.open(); err != nil {
		return err
	}
	if err := c.socket.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("lifting handshake limit: %w", err)
	}
	return nil
}

// authenticate admits everyone; it is the token of $cbs which counts in Event Hubs.
func (c *connection) authenticate() error {
	const anonymous = amqp.Symbol("ANONYMOUS")
	greeting := amqp.AppendProtocol(nil, amqp.ProtocolSASL)
	if err := c.write(greeting, amqp.FrameSASL, &amqp.SASLMechanisms{Mechanisms: amqp.Array{anonymous}}); err != nil {
		return err
	}
	frame, err := amqp.ReadFrame(c.in, handshakeFrame)
	if err != nil {
		return err
	}
	if init, ok := frame.Body.(*amqp.SASLInit); !ok || init.Mechanism != anonymous {
		return fmt.Errorf("authenticating: %T is not sasl-init for mechanism %s", frame.Body, anonymous)
	}
	return c.write(nil, amqp.FrameSASL, &amqp.SASLOutcome{Code: 0})
}

// open exchanges the limits of both ends. Clients wait for the header before they open.
func (c *connection) open() error {
	if _, err := c.socket.Write(amqp.AppendProtocol(nil, amqp.ProtocolAMQP)); err != nil {
		return fmt.Errorf("writing protocol header: %w", err)
	}
	frame, err := amqp.ReadFrame(c.in, handshakeFrame)
	if err != nil {
		return err
	}
	open, ok := frame.Body.(*amqp.Open)
	if !ok || open.MaxFrameSize < amqp.MinMaxFrameSize {
		return fmt.Errorf("opening connection: %T is not an open with a valid frame size", frame.Body)
	}
	c.frameSize = int(min(open.MaxFrameSize, maxFrameSize))
	if open.IdleTimeout > 0 {
		// Half of it, because a frame which leaves in time may still arrive too late.
		c.heartbeat = max(time.Duration(open.IdleTimeout)*time.Millisecond/2, shortestHeartbeat)
	}
	return c.write(nil, amqp.FrameAMQP, &amqp.Open{
		ContainerID: "simulator", MaxFrameSize: maxFrameSize, ChannelMax: min(open.ChannelMax, maxChannel),
	})
}

// write sends a frame of the handshake behind prefix.
func (c *connection) write(prefix []byte, kind amqp.FrameType, body amqp.Performative) error {
	b, err := amqp.AppendFrame(prefix, amqp.Frame{Type: kind, Body: body})
	if err != nil {
		return err
	}
	if _, err := c.socket.Write(b); err != nil {
		return fmt.Errorf("writing handshake: %w", err)
	}
	return nil
}
