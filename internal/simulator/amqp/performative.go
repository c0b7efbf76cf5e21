package amqp

import "math"

// Performative is a composite type of the specification: what a frame asks of its
// receiver, or a part of that. Those here have only the fields which the simulators
// read or write; others are skipped when read and null when written.
type Performative interface {
	// layout walks the fields in the order of the specification, to read or to write
	// them, and returns the descriptor. Each layout is thus stated once.
	layout(f *fields) (code uint64)
}

// The two ends of a link, as said in the role of an attach or a disposition.
const (
	RoleSender   = false
	RoleReceiver = true
)

// The performatives of connections, sessions and links, chapter 2.7 of the
// specification, and of the SASL layer, chapter 5.3.3. Pointers are optional fields
// whose absence means something else than zero.
type (
	Open struct {
		ContainerID  string
		MaxFrameSize uint32
		ChannelMax   uint16
		IdleTimeout  uint32 // in milliseconds, 0: none
	}
	Begin struct {
		RemoteChannel  *uint16
		NextOutgoingID uint32
		IncomingWindow uint32
		OutgoingWindow uint32
		HandleMax      uint32
	}
	Attach struct {
		Name                 string
		Handle               uint32
		Role                 bool
		SenderSettleMode     *uint8
		ReceiverSettleMode   *uint8
		Source               *Source
		Target               *Target
		InitialDeliveryCount *uint32
		MaxMessageSize       *uint64
		Properties           Map
	}
	Flow struct {
		NextIncomingID *uint32
		IncomingWindow uint32
		NextOutgoingID uint32
		OutgoingWindow uint32
		Handle         *uint32
		DeliveryCount  *uint32
		LinkCredit     *uint32
		Drain          bool
		Echo           bool
	}
	Transfer struct {
		Handle        uint32
		DeliveryID    *uint32
		DeliveryTag   []byte
		MessageFormat *uint32
		Settled       bool
		More          bool
		Aborted       bool
	}
	Disposition struct {
		Role    bool
		First   uint32
		Settled bool
		State   any // written as one of Accepted and Rejected
	}
	Detach struct {
		Handle uint32
		Closed bool
		Error  *Error
	}
	End            struct{ Error *Error }
	Close          struct{ Error *Error }
	SASLMechanisms struct{ Mechanisms Array }
	SASLInit       struct{ Mechanism Symbol }
	SASLOutcome    struct{ Code uint8 }
)

// The composites which occur within performatives.
type (
	Source struct {
		Address string
		Filter  Map
	}
	Target   struct{ Address string }
	Accepted struct{}
	Rejected struct{ Error *Error }
	// Error is why a link, session or connection ended or a message was refused.
	Error struct {
		Condition   Symbol
		Description string
	}
)

func (e *Error) Error() string { return string(e.Condition) + ": " + e.Description }

// performative returns the empty performative for a frame's descriptor, or nil.
func performative(code uint64) Performative {
	switch code {
	case 0x10:
		return &Open{}
	case 0x11:
		return &Begin{}
	case 0x12:
		return &Attach{}
	case 0x13:
		return &Flow{}
	case 0x14:
		return &Transfer{}
	case 0x15:
		return &Disposition{}
	case 0x16:
		return &Detach{}
	case 0x17:
		return &End{}
	case 0x18:
		return &Close{}
	case 0x40:
		return &SASLMechanisms{}
	case 0x41:
		return &SASLInit{}
	case 0x44:
		return &SASLOutcome{}
	}
	return nil
}

func (o *Open) layout(f *fields) uint64 {
	mandatory(f, &o.ContainerID)
	f.skip(1) // hostname
	withDefault(f, &o.MaxFrameSize, math.MaxUint32)
	withDefault(f, &o.ChannelMax, math.MaxUint16)
	withDefault(f, &o.IdleTimeout, 0)
	return 0x10
}

func (b *Begin) layout(f *fields) uint64 {
	optional(f, &b.RemoteChannel)
	mandatory(f, &b.NextOutgoingID)
	mandatory(f, &b.IncomingWindow)
	mandatory(f, &b.OutgoingWindow)
	withDefault(f, &b.HandleMax, math.MaxUint32)
	return 0x11
}

func (a *Attach) layout(f *fields) uint64 {
	mandatory(f, &a.Name)
	mandatory(f, &a.Handle)
	mandatory(f, &a.Role)
	optional(f, &a.SenderSettleMode)
	optional(f, &a.ReceiverSettleMode)
	nested(f, &a.Source)
	nested(f, &a.Target)
	f.skip(2) // unsettled deliveries
	optional(f, &a.InitialDeliveryCount)
	optional(f, &a.MaxMessageSize)
	f.skip(2) // capabilities
	withDefault(f, &a.Properties, nil)
	return 0x12
}

func (l *Flow) layout(f *fields) uint64 {
	optional(f, &l.NextIncomingID)
	mandatory(f, &l.IncomingWindow)
	mandatory(f, &l.NextOutgoingID)
	mandatory(f, &l.OutgoingWindow)
	optional(f, &l.Handle)
	optional(f, &l.DeliveryCount)
	optional(f, &l.LinkCredit)
	f.skip(1) // available
	withDefault(f, &l.Drain, false)
	withDefault(f, &l.Echo, false)
	return 0x13
}

func (t *Transfer) layout(f *fields) uint64 {
	mandatory(f, &t.Handle)
	optional(f, &t.DeliveryID)
	withDefault(f, &t.DeliveryTag, nil)
	optional(f, &t.MessageFormat)
	withDefault(f, &t.Settled, false)
	withDefault(f, &t.More, false)
	f.skip(3) // receiver settle mode, state and resume
	withDefault(f, &t.Aborted, false)
	return 0x14
}

func (d *Disposition) layout(f *fields) uint64 {
	mandatory(f, &d.Role)
	mandatory(f, &d.First)
	f.skip(1) // last
	withDefault(f, &d.Settled, false)
	withDefault(f, &d.State, nil)
	return 0x15
}

func (d *Detach) layout(f *fields) uint64 {
	mandatory(f, &d.Handle)
	withDefault(f, &d.Closed, false)
	nested(f, &d.Error)
	return 0x16
}

func (e *End) layout(f *fields) uint64 {
	nested(f, &e.Error)
	return 0x17
}

func (c *Close) layout(f *fields) uint64 {
	nested(f, &c.Error)
	return 0x18
}

func (s *SASLMechanisms) layout(f *fields) uint64 {
	mandatory(f, &s.Mechanisms)
	return 0x40
}

func (s *SASLInit) layout(f *fields) uint64 {
	mandatory(f, &s.Mechanism)
	return 0x41
}

func (s *SASLOutcome) layout(f *fields) uint64 {
	mandatory(f, &s.Code)
	return 0x44
}

func (s *Source) layout(f *fields) uint64 {
	withDefault(f, &s.Address, "")
	f.skip(6) // durability, expiry, dynamic nodes and distribution
	withDefault(f, &s.Filter, nil)
	return 0x28
}

func (t *Target) layout(f *fields) uint64 {
	withDefault(f, &t.Address, "")
	return 0x29
}

func (*Accepted) layout(*fields) uint64 { return 0x24 }

func (r *Rejected) layout(f *fields) uint64 {
	nested(f, &r.Error)
	return 0x25
}

func (e *Error) layout(f *fields) uint64 {
	mandatory(f, &e.Condition)
	withDefault(f, &e.Description, "")
	return 0x1d
}
