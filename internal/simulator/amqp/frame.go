package amqp

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Sizes which the specification fixes for all peers.
const (
	MinMaxFrameSize = 512 // the smallest limit a peer may set, and the largest SASL frame
	headerSize      = 8
)

// Protocol says which layer a protocol header opens.
type Protocol byte

// The layers a connection may open.
const (
	ProtocolAMQP Protocol = 0
	ProtocolSASL Protocol = 3
)

// AppendProtocol writes the header which opens a layer.
func AppendProtocol(dst []byte, p Protocol) []byte {
	return append(dst, 'A', 'M', 'Q', 'P', byte(p), 1, 0, 0)
}

// ReadProtocol reads the header which opens a layer.
func ReadProtocol(r io.Reader) (Protocol, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, fmt.Errorf("reading protocol header: %w", err)
	}
	p := Protocol(header[4])
	if string(header[:]) != string(AppendProtocol(nil, p)) {
		return 0, fmt.Errorf("reading protocol header: %q is not one of AMQP 1.0", header)
	}
	return p, nil
}

// FrameType is the layer a frame belongs to.
type FrameType byte

// The two frame types.
const (
	FrameAMQP FrameType = 0
	FrameSASL FrameType = 1
)

// Frame is one unit on the wire.
type Frame struct {
	Type    FrameType
	Channel uint16
	Body    Performative // nil in an empty frame, which only shows that the peer lives
	Payload []byte       // the part of a message which a transfer carries
}

// ReadFrame reads a frame of at most limit bytes. The frame owns its bytes.
func ReadFrame(r io.Reader, limit uint32) (Frame, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return Frame{}, fmt.Errorf("reading frame header: %w", err)
	}
	size, offset := binary.BigEndian.Uint32(header[:]), 4*uint32(header[4])
	if size > limit || offset < headerSize || offset > size {
		return Frame{}, fmt.Errorf("reading frame header: size %d with its body at %d exceeds limit %d or itself", size, offset, limit)
	}
	body := make([]byte, size-headerSize)
	if _, err := io.ReadFull(r, body); err != nil {
		return Frame{}, fmt.Errorf("reading frame: %w", err)
	}
	frame := Frame{Type: FrameType(header[5]), Channel: binary.BigEndian.Uint16(header[6:])}
	// What lies between header and offset is reserved for extensions.
	if err := frame.decode(body[offset-headerSize:]); err != nil {
		return Frame{}, fmt.Errorf("decoding frame: %w", err)
	}
	return frame, nil
}

func (f *Frame) decode(body []byte) error {
	if len(body) == 0 {
		return nil
	}
	value, payload, err := Decode(body)
	if err != nil {
		return err
	}
	described, _ := value.(Described)
	code, _ := described.Descriptor.(uint64)
	list, ok := described.Value.([]any)
	if f.Body = performative(code); f.Body == nil || !ok {
		return fmt.Errorf("body with descriptor %v is not a performative", described.Descriptor)
	}
	reader := fields{values: list}
	f.Body.layout(&reader)
	f.Payload = payload
	return reader.err
}

// AppendFrame writes f behind dst.
func AppendFrame(dst []byte, f Frame) ([]byte, error) {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, headerSize/4, byte(f.Type))
	dst = binary.BigEndian.AppendUint16(dst, f.Channel)
	if f.Body != nil {
		var err error
		if dst, err = Append(dst, f.Body); err != nil {
			return nil, fmt.Errorf("encoding frame: %w", err)
		}
	}
	dst = append(dst, f.Payload...)
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start))
	return dst, nil
}
