package amqp

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	client "github.com/Azure/go-amqp"
	"github.com/stretchr/testify/require"
)

// samples has a value of each type, in the forms which Decode returns.
func samples() []any {
	id := UUID{1, 2, 3, 15: 16}
	return []any{
		nil, true, false, uint8(200), uint16(60000), uint32(4e9), uint64(1 << 63), int8(-100), int16(-30000),
		int32(-2e9), int64(math.MinInt64), float32(1.5), float64(-2.25), Char('ü'),
		time.UnixMilli(1700000000123).UTC(), time.UnixMilli(-62135596800000).UTC(), id, []byte("binary"), []byte{},
		"string", strings.Repeat("long", 100), Symbol("symbol"), []any{}, []any{"a", nil, []any{uint8(1)}},
		Map{}, Map{{"k", int32(1)}, {Symbol("s"), Map{{uint64(7), nil}}}},
		Array{}, Array{"a", "b"}, Array{Symbol("x")}, Array{[]any{"a"}, []any{}}, Array{Array{true, false}},
		Described{uint64(0x24), []any{}}, Described{Symbol("named"), "v"}, Described{uint64(0x468C00000004), "filter"},
	}
}

func TestValuesComeBackAsTheyWere(t *testing.T) {
	for _, want := range samples() {
		b, err := Append([]byte("x"), want)
		require.NoError(t, err, "%#v", want)
		got, rest, err := Decode(append(b[1:], "rest"...))
		require.NoError(t, err, "%#v", want)
		require.Equal(t, want, got)
		require.Equal(t, []byte("rest"), rest)
	}
}

func TestShortFormsAreRead(t *testing.T) {
	for encoded, want := range map[string]any{
		"\x41":                           true,
		"\x42":                           false,
		"\x43":                           uint32(0),
		"\x44":                           uint64(0),
		"\x45":                           []any{},
		"\x52\xff":                       uint32(255),
		"\x53\xff":                       uint64(255),
		"\x54\xff":                       int32(-1),
		"\x55\xff":                       int64(-1),
		"\xa0\x01b":                      []byte("b"),
		"\xa1\x01s":                      "s",
		"\xa3\x01s":                      Symbol("s"),
		"\xc0\x03\x02\x40\x41":           []any{nil, true},
		"\xc1\x05\x02\xa1\x01k\x41":      Map{{"k", true}},
		"\xe0\x06\x02\xa3\x01a\x01b":     Array{Symbol("a"), Symbol("b")},
		"\x00\x53\x24\x45":               Described{uint64(0x24), []any{}},
		"\x00\xa3\x01d\x00\xa3\x01e\x40": Described{Symbol("d"), Described{Symbol("e"), nil}},
		"\xf0\x00\x00\x00\x05\x00\x00\x00\x00\x40": Array{},
	} {
		got, rest, err := Decode([]byte(encoded))
		require.NoError(t, err, "%x", encoded)
		require.Equal(t, want, got, "%x", encoded)
		require.Empty(t, rest)
	}
}

func TestHostileValuesAreErrors(t *testing.T) {
	for name, encoded := range map[string]string{
		"nothing":                    "",
		"unknown type":               "\x3f",
		"unknown wide type":          "\xff\x00\x00\x00\x01x",
		"decimal":                    "\x74\x00\x00\x00\x00",
		"string beyond its bytes":    "\xb1\xff\xff\xff\xffx",
		"list beyond its bytes":      "\xd0\x00\x00\x00\x05\x00\x00\x00\x09\x40",
		"list shorter than its size": "\xc0\x03\x01\x40\x40",
		"map without a value":        "\xc1\x02\x01\x40",
		"array of many nulls":        "\xf0\x00\x00\x00\x05\xff\xff\xff\xff\x40",
		"array without constructor":  "\xe0\x01\x00",
		"array of described values":  "\xe0\x05\x01\x00\x53\x24\x45",
		"deep lists":                 strings.Repeat("\xc0\xf0\x01", 80),
		"deep descriptors":           strings.Repeat("\x00", 1000),
	} {
		_, _, err := Decode([]byte(encoded))
		require.Error(t, err, name)
	}
}

func TestUnknownGoTypesAreErrors(t *testing.T) {
	for _, value := range []any{1, struct{}{}, []any{1}, Map{{1, 2}}, Array{"a", 1}, Array{"a", Symbol("b")}, Array{1}, Described{1, nil}} {
		_, err := Append(nil, value)
		require.Error(t, err, "%#v", value)
	}
}

func performatives() []Performative {
	one, two, mode, limit := uint32(1), uint16(2), uint8(1), uint64(1<<20)
	failure := &Error{Condition: "amqp:not-found", Description: "gone"}
	return []Performative{
		&Open{ContainerID: "c", MaxFrameSize: 65536, ChannelMax: 9, IdleTimeout: 30000},
		&Begin{RemoteChannel: &two, NextOutgoingID: 1, IncomingWindow: 2, OutgoingWindow: 3, HandleMax: 4},
		&Attach{
			Name: "n", Handle: 1, Role: RoleReceiver, SenderSettleMode: &mode, ReceiverSettleMode: &mode,
			Source: &Source{Address: "a", Filter: Map{{Symbol("f"), Described{uint64(1 << 40), "x"}}}},
			Target: &Target{Address: "t"}, InitialDeliveryCount: &one, MaxMessageSize: &limit,
			Properties: Map{{Symbol("p"), int64(3)}},
		},
		&Attach{Name: "bare"},
		&Flow{NextIncomingID: &one, IncomingWindow: 5, Handle: &one, DeliveryCount: &one, LinkCredit: &one, Drain: true, Echo: true},
		&Transfer{Handle: 1, DeliveryID: &one, DeliveryTag: []byte("t"), MessageFormat: &one, Settled: true, More: true, Aborted: true},
		&Disposition{Role: RoleReceiver, First: 1, Settled: true},
		&Detach{Handle: 1, Closed: true, Error: failure},
		&End{Error: failure}, &Close{},
		&SASLMechanisms{Mechanisms: Array{Symbol("ANONYMOUS")}}, &SASLInit{Mechanism: "ANONYMOUS"}, &SASLOutcome{Code: 1},
	}
}

func TestFramesComeBackAsTheyWere(t *testing.T) {
	var wire []byte
	var want []Frame
	for i, body := range performatives() {
		frame := Frame{Type: FrameAMQP, Channel: uint16(i), Body: body, Payload: []byte("payload")}
		want = append(want, frame)
		var err error
		wire, err = AppendFrame(wire, frame)
		require.NoError(t, err)
	}
	wire, err := AppendFrame(wire, Frame{Channel: 9})
	require.NoError(t, err)
	want = append(want, Frame{Channel: 9})

	r := bytes.NewReader(wire)
	for _, frame := range want {
		got, err := ReadFrame(r, 512)
		require.NoError(t, err)
		require.Equal(t, frame, got)
	}
	_, err = ReadFrame(r, 512)
	require.ErrorIs(t, err, io.EOF)
}

func TestStatesAreWrittenAsComposites(t *testing.T) {
	b, err := AppendFrame(nil, Frame{Body: &Disposition{State: &Rejected{Error: &Error{Condition: "c"}}}})
	require.NoError(t, err)
	frame, err := ReadFrame(bytes.NewReader(b), 512)
	require.NoError(t, err)
	failure := Described{uint64(0x1d), []any{Symbol("c"), ""}}
	require.Equal(t, Described{uint64(0x25), []any{failure}}, frame.Body.(*Disposition).State)
}

func TestHostileFramesAreErrors(t *testing.T) {
	for name, encoded := range map[string]string{
		"above the limit":      "\x00\x00\x02\x01\x02\x00\x00\x00" + strings.Repeat("x", 505),
		"smaller than itself":  "\x00\x00\x00\x07\x02\x00\x00\x00",
		"body before its end":  "\x00\x00\x00\x08\x01\x00\x00\x00",
		"body behind its end":  "\x00\x00\x00\x08\x03\x00\x00\x00",
		"cut off":              "\x00\x00\x00\x0a\x02\x00\x00\x00x",
		"not described":        "\x00\x00\x00\x09\x02\x00\x00\x00\x40",
		"unknown performative": "\x00\x00\x00\x0c\x02\x00\x00\x00\x00\x53\x19\x45",
		"not a list":           "\x00\x00\x00\x0c\x02\x00\x00\x00\x00\x53\x10\x40",
		"without a field":      "\x00\x00\x00\x0c\x02\x00\x00\x00\x00\x53\x10\x45",
		"with a wrong field":   "\x00\x00\x00\x0f\x02\x00\x00\x00\x00\x53\x10\xc0\x02\x01\x41",
		"with a wrong source":  "\x00\x00\x00\x1c\x02\x00\x00\x00\x00\x53\x12\xc0\x0f\x06\xa1\x01n\x43\x41\x40\x40\x00\x53\x29\xc0\x02\x01\x40",
	} {
		_, err := ReadFrame(strings.NewReader(encoded), 512)
		require.Error(t, err, name)
	}
}

func TestProtocolHeaders(t *testing.T) {
	for _, want := range []Protocol{ProtocolAMQP, ProtocolSASL} {
		got, err := ReadProtocol(bytes.NewReader(AppendProtocol(nil, want)))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, header := range []string{"", "AMQP", "GET / HT", "AMQP\x00\x00\x09\x01"} {
		_, err := ReadProtocol(strings.NewReader(header))
		require.Error(t, err)
	}
}

// The client library is the judge of what messages look like.
func TestMessagesAgreeWithTheClient(t *testing.T) {
	id, reply := "id-1", "reply"
	sent := client.Message{
		Annotations:           client.Annotations{"x-opt-partition-key": "key"},
		Properties:            &client.MessageProperties{MessageID: id, ReplyTo: &reply, CorrelationID: uint64(7)},
		ApplicationProperties: map[string]any{"operation": "READ"},
		Data:                  [][]byte{[]byte("one"), []byte("two")},
	}
	encoded, err := sent.MarshalBinary()
	require.NoError(t, err)
	m, err := DecodeMessage(encoded)
	require.NoError(t, err)
	require.Equal(t, "key", m.Annotations.Get("x-opt-partition-key"))
	require.Equal(t, id, m.MessageID)
	require.Equal(t, reply, m.ReplyTo)
	require.Equal(t, uint64(7), m.CorrelationID)
	require.Equal(t, "READ", m.ApplicationProperties.Get("operation"))
	require.Equal(t, sent.Data, m.Data)

	for _, bare := range [][]byte{m.Bare, nil} {
		m.Bare = bare
		m.Annotations = Map{{Symbol("x-opt-sequence-number"), int64(42)}}
		again, err := m.Append(nil)
		require.NoError(t, err)
		var received client.Message
		require.NoError(t, received.UnmarshalBinary(again))
		require.Equal(t, client.Annotations{"x-opt-sequence-number": int64(42)}, received.Annotations)
		require.Equal(t, sent.Properties, received.Properties)
		require.Equal(t, sent.ApplicationProperties, received.ApplicationProperties)
		require.Equal(t, sent.Data, received.Data)
	}

	again, err := Message{Value: Map{{"ids", Array{"0", "1"}}}}.Append(nil)
	require.NoError(t, err)
	var received client.Message
	require.NoError(t, received.UnmarshalBinary(again))
	require.Equal(t, map[string]any{"ids": []string{"0", "1"}}, received.Value)
}

func TestMessagesOutOfOrderAreErrors(t *testing.T) {
	for _, sections := range [][]any{
		{"not a section"},
		{Described{uint64(0x79), nil}},
		{Described{uint64(sectionData), []byte("x")}, Described{uint64(sectionProperties), []any{}}},
		{Described{uint64(sectionAnnotations), "not a map"}},
		{Described{uint64(sectionProperties), "not a list"}},
	} {
		b, err := appendAll(nil, sections...)
		require.NoError(t, err)
		_, err = DecodeMessage(b)
		require.Error(t, err, "%v", sections)
	}
	b, err := appendAll(nil, Described{uint64(sectionValue), "v"}, Described{uint64(sectionFooter), Map{}})
	require.NoError(t, err)
	m, err := DecodeMessage(b)
	require.NoError(t, err)
	require.Equal(t, "v", m.Value)
	require.Less(t, len(m.Bare), len(b), "the footer is not part of the bare message")
}

// FuzzDecode feeds bytes to all that reads from a socket. What is read must be written
// such that it is read as the same again.
func FuzzDecode(f *testing.F) {
	for _, value := range samples() {
		b, err := Append(nil, value)
		require.NoError(f, err)
		f.Add(b)
	}
	for _, body := range performatives() {
		b, err := AppendFrame(nil, Frame{Body: body, Payload: []byte("p")})
		require.NoError(f, err)
		f.Add(b)
	}
	f.Add([]byte("\xf0\x00\x00\x00\x05\xff\xff\xff\xff\x40"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if value, _, err := Decode(b); err == nil {
			first, err := Append(nil, value)
			require.NoError(t, err)
			again, rest, err := Decode(first)
			require.NoError(t, err)
			require.Empty(t, rest)
			second, err := Append(nil, again)
			require.NoError(t, err)
			require.Equal(t, first, second)
		}
		if frame, err := ReadFrame(bytes.NewReader(b), 1<<16); err == nil {
			first, err := AppendFrame(nil, frame)
			require.NoError(t, err)
			again, err := ReadFrame(bytes.NewReader(first), math.MaxUint32)
			require.NoError(t, err)
			second, err := AppendFrame(nil, again)
			require.NoError(t, err)
			require.Equal(t, first, second)
		}
		if m, err := DecodeMessage(b); err == nil {
			_, err := m.Append(nil)
			require.NoError(t, err)
		}
		if _, err := ReadProtocol(bytes.NewReader(b)); err == nil && len(b) < headerSize {
			require.NoError(t, errors.New("read a header out of too few bytes"))
		}
	})
}
