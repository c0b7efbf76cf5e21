package eventhubs_test

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"cordon/internal/simulator/amqp"
	"cordon/internal/simulator/eventhubs"
)

// The tests of this file look at the wire, for what the SDK hides or never does.

const partitionAddress = hubName + "/ConsumerGroups/$Default/Partitions/0"

// wire is a client which says and hears single frames.
type wire struct {
	t      *testing.T
	socket net.Conn
	in     *bufio.Reader
}

func dial(t *testing.T, n *eventhubs.Namespace) *wire {
	t.Helper()
	socket, err := net.Dial("tcp", n.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = socket.Close() })
	require.NoError(t, socket.SetDeadline(time.Now().Add(20*time.Second)))
	return &wire{t, socket, bufio.NewReader(socket)}
}

func (w *wire) write(s string) {
	w.t.Helper()
	_, err := io.WriteString(w.socket, s)
	require.NoError(w.t, err)
}

func (w *wire) say(body amqp.Performative, payload ...string) {
	w.t.Helper()
	b, err := amqp.AppendFrame(nil, amqp.Frame{Body: body, Payload: []byte(strings.Join(payload, ""))})
	require.NoError(w.t, err)
	w.write(string(b))
}

// hear returns the next frame, which must have a body of type T.
func hear[T amqp.Performative](w *wire) T {
	w.t.Helper()
	frame, err := amqp.ReadFrame(w.in, 1<<16)
	require.NoError(w.t, err)
	require.IsType(w.t, *new(T), frame.Body)
	return frame.Body.(T)
}

func (w *wire) open(idle uint32) {
	w.t.Helper()
	w.write("AMQP\x00\x01\x00\x00") // the SASL layer may be left out
	w.say(&amqp.Open{ContainerID: "test", MaxFrameSize: 1 << 16, IdleTimeout: idle})
	_, err := amqp.ReadProtocol(w.in)
	require.NoError(w.t, err)
	hear[*amqp.Open](w)
}

// begin also opens a session, whose window has room for some transfers.
func (w *wire) begin(room uint32) {
	w.t.Helper()
	w.open(0)
	w.say(&amqp.Begin{IncomingWindow: room})
	hear[*amqp.Begin](w)
}

func (w *wire) attach(a amqp.Attach) *amqp.Attach {
	w.t.Helper()
	w.say(&a)
	return hear[*amqp.Attach](w)
}

var receiving = amqp.Attach{Name: "r", Role: amqp.RoleReceiver, Source: &amqp.Source{Address: partitionAddress}}

func TestWindowsAndCreditAreHonoured(t *testing.T) {
	n, hub := listen(t, 1)
	for i := range 10 {
		hub.Enqueue(0, fmt.Append(nil, i), time.Now())
	}
	w := dial(t, n)
	w.begin(2)
	w.attach(receiving)
	var received, handle uint32
	take := func(want, room, credit uint32) {
		t.Helper()
		w.say(&amqp.Flow{NextIncomingID: &received, IncomingWindow: room, Handle: &handle, DeliveryCount: &received, LinkCredit: &credit})
		for range want {
			transfer := hear[*amqp.Transfer](w)
			require.True(t, transfer.Settled)
			require.Equal(t, received, *transfer.DeliveryID)
			received++
		}
		// The echo comes instead of any further transfer.
		credit -= want
		w.say(&amqp.Flow{NextIncomingID: &received, IncomingWindow: room - want, Handle: &handle, DeliveryCount: &received, LinkCredit: &credit, Echo: true})
		echo := hear[*amqp.Flow](w)
		require.Equal(t, received, *echo.DeliveryCount)
		require.Equal(t, credit, *echo.LinkCredit)
		require.Equal(t, received, echo.NextOutgoingID)
	}
	take(0, 0, 100) // no room
	take(2, 2, 100) // room for less than the credit
	take(3, 100, 3) // credit for less than the room
	take(0, 100, 0)
	take(5, 100, 100)
}

func TestHeartbeats(t *testing.T) {
	n, _ := listen(t, 1)
	w := dial(t, n)
	w.open(100)
	for range 3 {
		frame, err := amqp.ReadFrame(w.in, 8)
		require.NoError(t, err)
		require.Nil(t, frame.Body)
	}
	w.say(&amqp.Close{})
	for {
		frame, err := amqp.ReadFrame(w.in, 512)
		require.NoError(t, err)
		if frame.Body != nil {
			require.Equal(t, &amqp.Close{}, frame.Body)
			return
		}
	}
}

func TestGarbageClosesTheConnection(t *testing.T) {
	n, hub := listen(t, 1)
	opened := "AMQP\x00\x01\x00\x00\x00\x00\x00\x13\x02\x00\x00\x00\x00\x53\x10\xc0\x06\x01\xa1\x03abc"
	for _, garbage := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"AMQP\x02\x01\x00\x00", // TLS is not offered
		"AMQP\x03\x01\x00\x00" + strings.Repeat("\xff", 64),
		"AMQP\x03\x01\x00\x00\x00\x00\x00\x13\x02\x01\x00\x00\x00\x53\x41\xc0\x06\x01\xa3\x03abc", // no such mechanism
		"AMQP\x00\x01\x00\x00\x7f\xff\xff\xff\x02\x00\x00\x00",
		opened + strings.Repeat("\xff", 64),
		opened + "\x00\x00\x00\x0b\x02\x00\x00\x00\x00\x53\x11\x45",
		opened + strings.Repeat("\x00", 64),
	} {
		w := dial(t, n)
		w.write(garbage)
		_, err := io.Copy(io.Discard, w.socket) // ends when the namespace closes the connection
		if err != nil {
			require.ErrorContains(t, err, "reset", "%q", garbage)
		}
	}
	hub.Enqueue(0, []byte("well"), time.Now())
	w := dial(t, n)
	w.begin(10)
	w.attach(receiving)
}

func TestProtocolErrors(t *testing.T) {
	n, _ := listen(t, 1)
	sending := amqp.Attach{Name: "s", Target: &amqp.Target{Address: hubName}}
	id := uint32(0)
	t.Run("frame without a session", func(t *testing.T) {
		w := dial(t, n)
		w.open(0)
		w.say(&receiving)
		require.EqualValues(t, "amqp:connection:framing-error", hear[*amqp.Close](w).Error.Condition)
	})
	t.Run("session begun twice", func(t *testing.T) {
		w := dial(t, n)
		w.begin(1)
		w.say(&amqp.Begin{})
		require.EqualValues(t, "amqp:connection:framing-error", hear[*amqp.Close](w).Error.Condition)
	})
	t.Run("handle in use", func(t *testing.T) {
		w := dial(t, n)
		w.begin(1)
		w.attach(receiving)
		w.say(&receiving)
		require.EqualValues(t, "amqp:session:handle-in-use", hear[*amqp.End](w).Error.Condition)
		w.say(&amqp.Detach{}) // crosses the end
		w.say(&amqp.End{})
		w.say(&amqp.Begin{IncomingWindow: 1}) // the channel is free again
		hear[*amqp.Begin](w)
		w.attach(receiving)
	})
	t.Run("message without a delivery id", func(t *testing.T) {
		w := dial(t, n)
		w.begin(1)
		require.NotZero(t, *w.attach(sending).MaxMessageSize)
		require.NotZero(t, *hear[*amqp.Flow](w).LinkCredit)
		w.say(&amqp.Transfer{})
		require.NotNil(t, hear[*amqp.Detach](w).Error)
		w.say(&amqp.Detach{Closed: true}) // answers, and frees the handle
		w.attach(sending)
	})
	t.Run("message which is none", func(t *testing.T) {
		w := dial(t, n)
		w.begin(1)
		w.attach(sending)
		hear[*amqp.Flow](w)
		w.say(&amqp.Transfer{DeliveryID: &id}, "nonsense")
		state := hear[*amqp.Disposition](w).State.(amqp.Described)
		require.Equal(t, uint64(0x25), state.Descriptor, "rejected")
	})
	t.Run("message given up", func(t *testing.T) {
		w := dial(t, n)
		w.begin(1)
		w.attach(sending)
		hear[*amqp.Flow](w)
		w.say(&amqp.Transfer{DeliveryID: &id, More: true}, "half")
		w.say(&amqp.Transfer{Aborted: true})
		w.say(&amqp.Detach{Closed: true})
		require.Equal(t, &amqp.Detach{Closed: true}, hear[*amqp.Detach](w))
	})
}

// Frames which are well-formed, but make no sense one after the other.
func TestRandomFramesDoNoHarm(t *testing.T) {
	n, hub := listen(t, 1)
	random := rand.New(rand.NewPCG(1, 2))
	number := func() uint32 { return []uint32{0, 1, 2, math.MaxUint32}[random.IntN(4)] }
	pointer := func() *uint32 {
		if value := number(); random.IntN(3) > 0 {
			return &value
		}
		return nil
	}
	flag := func() bool { return random.IntN(2) == 0 }
	address := func() string {
		return []string{"", "$cbs", "$management", hubName, hubName + "/Partitions/0", partitionAddress}[random.IntN(6)]
	}
	bodies := []func() amqp.Performative{
		func() amqp.Performative { return &amqp.Begin{IncomingWindow: number()} },
		func() amqp.Performative { return &amqp.End{} },
		func() amqp.Performative { return &amqp.Open{} },
		func() amqp.Performative { return &amqp.Disposition{Role: flag()} },
		func() amqp.Performative { return &amqp.Detach{Handle: number(), Closed: flag()} },
		func() amqp.Performative {
			a := &amqp.Attach{Handle: number(), Role: flag(), InitialDeliveryCount: pointer()}
			if random.IntN(10) > 0 {
				a.Source, a.Target = &amqp.Source{Address: address()}, &amqp.Target{Address: address()}
				a.Properties = amqp.Map{{Key: amqp.Symbol("com.microsoft:epoch"), Value: int64(number())}}
			}
			return a
		},
		func() amqp.Performative {
			return &amqp.Flow{
				NextIncomingID: pointer(), IncomingWindow: number(), Handle: pointer(),
				DeliveryCount: pointer(), LinkCredit: pointer(), Drain: flag(), Echo: flag(),
			}
		},
		func() amqp.Performative {
			return &amqp.Transfer{
				Handle: number(), DeliveryID: pointer(), MessageFormat: pointer(),
				Settled: flag(), More: flag(), Aborted: random.IntN(5) == 0,
			}
		},
	}
	payload, err := amqp.Message{ReplyTo: partitionAddress, Data: [][]byte{{}}}.Append(nil)
	require.NoError(t, err)
	hub.Enqueue(0, payload, time.Now())
	for range 300 {
		w := dial(t, n)
		w.begin(100)
		var frames []byte
		for range 100 {
			body := bodies[random.IntN(len(bodies))]()
			if len(frames) == 0 || random.IntN(3) == 0 {
				body = bodies[5+random.IntN(3)]()
			}
			frames, err = amqp.AppendFrame(frames, amqp.Frame{Body: body, Payload: payload})
			require.NoError(t, err)
		}
		frames, err = amqp.AppendFrame(frames, amqp.Frame{Body: &amqp.Close{}})
		require.NoError(t, err)
		_, _ = w.socket.Write(frames) // fails if the namespace had enough of it before the end
		_, _ = io.Copy(io.Discard, w.socket)
	}
	w := dial(t, n)
	w.begin(10)
	w.attach(receiving)
}

func TestCloseEndsEverything(t *testing.T) {
	before := goleak.IgnoreCurrent()
	n, err := eventhubs.Listen("127.0.0.1:0")
	require.NoError(t, err)
	n.AddHub(hubName, 1)
	dial(t, n).write("AMQP\x00") // a handshake which never ends
	w := dial(t, n)
	w.begin(1)
	w.attach(receiving)
	dropped := dial(t, n)
	dropped.open(0)
	n.DropConnections()
	_, err = dropped.in.ReadByte()
	require.ErrorIs(t, err, io.EOF)

	dial(t, n).write("AMQP\x00")
	w = dial(t, n)
	w.begin(1)
	w.attach(receiving)
	require.NoError(t, n.Close())
	_, err = w.in.ReadByte()
	require.Error(t, err)
	require.NoError(t, n.Close(), "closing twice does no harm")
	goleak.VerifyNone(t, before)
	_, err = eventhubs.Listen("127.0.0.1:99999")
	require.Error(t, err)
}
