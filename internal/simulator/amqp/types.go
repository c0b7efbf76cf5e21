// Package amqp is the AMQP 1.0 wire codec of the simulators: values, messages,
// performatives and frames, with no sockets and no state. It is the lowest layer of
// the Event Hubs simulator and serves tests, `cordon try` and `cordon simulate`
// only; ingest itself talks to Event Hubs through the Azure SDK.
//
// Decoding treats its input as hostile: sizes are checked against the bytes which
// remain, counts against the bytes their elements need, and nesting is limited, so
// that no input makes it panic or allocate more than a small multiple of its length.
package amqp

// The Go types of the AMQP types are: nil, bool, uint8 to uint64, int8 to int64,
// float32, float64, time.Time (timestamp), []byte (binary), string, []any (list), and
// the ones below. Decimals are not supported.
type (
	// Symbol is a string out of a constrained domain, such as an error condition.
	Symbol string
	// Char is one Unicode character.
	Char rune
	// UUID is an RFC 4122 identifier.
	UUID [16]byte
	// Array is a sequence of values which all have the same type.
	Array []any
	// Map keeps the order of its entries, which makes what is written reproducible
	// and lets keys be of types a Go map cannot have.
	Map []Entry
	// Entry is one key and value of a Map.
	Entry struct{ Key, Value any }
	// Described is a value with a descriptor, which is a Symbol or an uint64 code.
	Described struct{ Descriptor, Value any }
)

// Get returns the value of the entry whose key is the string or symbol name, or nil.
func (m Map) Get(name string) any {
	for _, entry := range m {
		if entry.Key == name || entry.Key == Symbol(name) {
			return entry.Value
		}
	}
	return nil
}

// The constructor bytes of the encoding, chapter 1.6 of the specification. The high
// half of each says how wide the value is, see [decoder.body].
const (
	codeDescribed  = 0x00
	codeNull       = 0x40
	codeTrue       = 0x41
	codeFalse      = 0x42
	codeUint0      = 0x43
	codeUlong0     = 0x44
	codeList0      = 0x45
	codeUbyte      = 0x50
	codeByte       = 0x51
	codeSmallUint  = 0x52
	codeSmallUlong = 0x53
	codeSmallInt   = 0x54
	codeSmallLong  = 0x55
	codeBool       = 0x56
	codeUshort     = 0x60
	codeShort      = 0x61
	codeUint       = 0x70
	codeInt        = 0x71
	codeFloat      = 0x72
	codeChar       = 0x73
	codeUlong      = 0x80
	codeLong       = 0x81
	codeDouble     = 0x82
	codeTimestamp  = 0x83
	codeUUID       = 0x98
	codeBinary8    = 0xa0
	codeString8    = 0xa1
	codeSymbol8    = 0xa3
	codeBinary32   = 0xb0
	codeString32   = 0xb1
	codeSymbol32   = 0xb3
	codeList8      = 0xc0
	codeMap8       = 0xc1
	codeList32     = 0xd0
	codeMap32      = 0xd1
	codeArray8     = 0xe0
	codeArray32    = 0xf0
)
