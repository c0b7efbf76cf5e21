package eventhubs

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"cordon/internal/simulator/amqp"
)

const (
	handshakeTimeout  = 10 * time.Second
	handshakeFrame    = 4096 // frames up to and including open are small
	writeTimeout      = 30 * time.Second
	maxFrameSize      = 65536 // what Event Hubs itself announces
	maxChannel        = 1023
	shortestHeartbeat = 50 * time.Millisecond
)

// errClosed says that the client closed the connection in good order.
var errClosed = errors.New("connection closed by the client")

// connection serves one client. All of its state, with its sessions and links, belongs
// to the goroutine which runs serve; a second one only reads frames.
type connection struct {
	namespace *Namespace
	socket    net.Conn
	in        *bufio.Reader
	out       *bufio.Writer
	scratch   []byte        // the frame being written
	wake      chan struct{} // holds a token if a source may have something new
	sessions  map[uint16]*session
	replies   map[string]*replies // by their addresses, which clients make up
	frameSize int                 // what the client can read
	heartbeat time.Duration       // how often the client must hear of us, 0: need not
}

func newConnection(n *Namespace, socket net.Conn) *connection {
	return &connection{
		namespace: n,
		socket:    socket,
		in:        bufio.NewReaderSize(socket, maxFrameSize),
		out:       bufio.NewWriterSize(timedWriter{socket}, maxFrameSize),
		wake:      make(chan struct{}, 1),
		sessions:  map[uint16]*session{},
		replies:   map[string]*replies{},
		frameSize: amqp.MinMaxFrameSize,
	}
}

// timedWriter fails writes to clients which do not read: they would hold up Close.
type timedWriter struct{ socket net.Conn }

func (w timedWriter) Write(b []byte) (int, error) {
	if err := w.socket.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return w.socket.Write(b)
}

// wakeUp is called by partitions, on whatever goroutine appends to them.
func (c *connection) wakeUp() {
	select {
	case c.wake <- struct{}{}:
	default: // it is awake already
	}
}

// serve talks to the client until one of both closes the connection. Errors have no
// other reader than the client, which is told in the close frame.
func (c *connection) serve() {
	arrivals, done := make(chan arrival, 16), make(chan struct{})
	var reader sync.WaitGroup
	err := c.handshake()
	if err == nil {
		reader.Go(func() { c.read(arrivals, done) })
		err = c.run(arrivals)
		c.close(err)
	}
	close(done)
	_ = c.socket.Close() // makes the reader stop; there is nothing left to lose
	reader.Wait()
}

// arrival is a frame of the client, or why there will be no more.
type arrival struct {
	frame amqp.Frame
	err   error
}

func (c *connection) read(arrivals chan<- arrival, done <-chan struct{}) {
	for {
		frame, err := amqp.ReadFrame(c.in, maxFrameSize)
		select {
		case arrivals <- arrival{frame, err}:
		case <-done:
			return
		}
		if err != nil {
			return
		}
	}
}

// run handles frames and sends messages, in turn so that neither keeps the other
// waiting. Output is flushed when there is nothing else to do.
func (c *connection) run(arrivals <-chan arrival) error {
	defer func() {
		for _, s := range c.sessions {
			s.release()
		}
	}()
	var beat <-chan time.Time
	if c.heartbeat > 0 {
		ticker := time.NewTicker(c.heartbeat)
		defer ticker.Stop()
		beat = ticker.C
	}
	for {
		sent, err := c.pump()
		if err != nil {
			return err
		}
		select {
		case a := <-arrivals:
			err = c.handle(a)
		default:
			if sent {
				continue
			}
			if err = c.out.Flush(); err != nil {
				return fmt.Errorf("writing frames: %w", err)
			}
			select {
			case a := <-arrivals:
				err = c.handle(a)
			case <-c.wake:
			case <-beat:
				err = c.send(0, nil, nil)
			}
		}
		if err != nil {
			return err
		}
	}
}

// pump lets every link send a little, and reports whether any of them did.
func (c *connection) pump() (sent bool, err error) {
	for _, s := range c.sessions {
		for _, l := range s.senders {
			more, err := l.pump()
			if err != nil {
				return false, err
			}
			sent = sent || more
		}
	}
	return sent, nil
}

func (c *connection) handle(a arrival) error {
	if a.err != nil {
		return a.err
	}
	channel := a.frame.Channel
	s := c.sessions[channel]
	switch body := a.frame.Body.(type) {
	case nil: // a heartbeat
		return nil
	case *amqp.Close:
		return errClosed
	case *amqp.Begin:
		if s != nil || channel > maxChannel {
			return fmt.Errorf("beginning session: channel %d is in use or above %d", channel, maxChannel)
		}
		return c.begin(channel, body)
	case *amqp.End:
		if s == nil {
			return fmt.Errorf("ending session: channel %d has none", channel)
		}
		delete(c.sessions, channel)
		return s.end(nil)
	default:
		if s == nil {
			return fmt.Errorf("handling frame: channel %d has no session", channel)
		}
		return s.handle(body, a.frame.Payload)
	}
}

// send writes a frame, or a heartbeat if it has no body.
func (c *connection) send(channel uint16, body amqp.Performative, payload []byte) error {
	frame, err := amqp.AppendFrame(c.scratch[:0], amqp.Frame{Channel: channel, Body: body, Payload: payload})
	if err != nil {
		return err
	}
	if len(frame) > c.frameSize {
		return fmt.Errorf("writing frame: %d bytes are more than the client's limit of %d", len(frame), c.frameSize)
	}
	c.scratch = frame
	if _, err := c.out.Write(frame); err != nil {
		return fmt.Errorf("writing frame: %w", err)
	}
	return nil
}

// close says goodbye. It is of no interest whether the client still hears it.
func (c *connection) close(cause error) {
	body := &amqp.Close{}
	if !errors.Is(cause, errClosed) {
		body.Error = refusal(conditionFraming, "%v", cause)
	}
	if c.send(0, body, nil) == nil {
		_ = c.out.Flush()
	}
}
