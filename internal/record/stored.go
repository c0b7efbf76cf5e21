package record

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Position is where a record stood in its source: a message's sequence number, and the record's index in it.
type Position struct {
	Source    string
	Partition string
	Sequence  int64
	Index     int
}

func (p Position) String() string {
	return url.PathEscape(p.Source) + "/" + url.PathEscape(p.Partition) + "/" + strconv.FormatInt(p.Sequence, 10) + "/" + strconv.Itoa(p.Index)
}

// ParsePosition reads what String wrote.
func ParsePosition(s string) (p Position, err error) {
	parts := strings.Split(s, "/")
	if len(parts) != 4 {
		return p, fmt.Errorf("position %q is not source/partition/sequence/index", clip(s))
	}
	if p.Source, err = url.PathUnescape(parts[0]); err != nil {
		return p, fmt.Errorf("reading position: %w", err)
	}
	if p.Partition, err = url.PathUnescape(parts[1]); err != nil {
		return p, fmt.Errorf("reading position: %w", err)
	}
	if p.Sequence, err = strconv.ParseInt(parts[2], 10, 64); err != nil {
		return p, fmt.Errorf("reading position: %w", err)
	}
	p.Index, err = strconv.Atoi(parts[3])
	return p, err
}

// The headers of a message in LOGS. Values are escaped: a name in a record must not be able to end a header.
const (
	// HeaderRecord is what ingest found out, so that nobody need find it out again: the record's ID, its position, its event
	// time, its tenant, its category, its fullness and its sum, and what is odd about it; most have nothing.
	HeaderRecord    = "Cordon-Record"
	HeaderPrincipal = "Cordon-Principal"
	HeaderEnqueued  = "Cordon-Enqueued"
)

// The headers of a dead letter, of which nothing could be found out. An edition before had them in LOGS too.
const (
	HeaderPosition = "Cordon-Position"
	HeaderTenant   = "Cordon-Tenant"
)

const (
	markClamped = "clamped"
	markNotUTF8 = "not-utf8"
)

// Headers are what LOGS keeps beside the bytes.
func (r *Record) Headers(p Position, enqueued time.Time) map[string][]string {
	// One array holds the values, and there is room for what an atomic batch adds: a record's headers are made for each.
	values := [...]string{
		r.facts(p),
		EscapeHeader(strings.Clone(shorten(r.Actor.Key()))), // a Decoder writes its texts over
		enqueued.UTC().Format(time.RFC3339Nano),
	}
	all := values[:]
	h := make(map[string][]string, 6)
	for i, name := range [...]string{HeaderRecord, HeaderPrincipal, HeaderEnqueued} {
		h[name] = all[i : i+1 : i+1]
	}
	return h
}

// facts are what HeaderRecord says.
func (r *Record) facts(p Position) string {
	var room [256]byte
	to := append(append(room[:0], EscapeHeader(r.ID)...), ' ')
	to = append(append(to, p.String()...), ' ')
	to = append(r.Time.AppendFormat(to, time.RFC3339Nano), ' ')
	to = append(append(to, EscapeHeader(r.Tenant)...), ' ')
	to = append(append(to, EscapeHeader(r.Category)...), ' ')
	to = append(strconv.AppendInt(to, int64(r.Fullness()), 16), '.')
	to = strconv.AppendUint(to, r.Sum(), 16)
	if r.Clamped {
		to = append(to, " "+markClamped...)
	}
	if r.NotUTF8 {
		to = append(to, " "+markNotUTF8...)
	}
	return string(to)
}

// EscapeHeader writes a text so that it is one header's value, as it is where nothing in it needs escaping.
func EscapeHeader(s string) string {
	const hex = "0123456789ABCDEF"
	plain := func(c byte) bool { return c > ' ' && c < 0x7f && c != '%' }
	for i := 0; i < len(s); i++ {
		if plain(s[i]) {
			continue
		}
		out := append(make([]byte, 0, len(s)+16), s[:i]...)
		for ; i < len(s); i++ {
			if c := s[i]; plain(c) {
				out = append(out, c)
			} else {
				out = append(out, '%', hex[c>>4], hex[c&15])
			}
		}
		return string(out)
	}
	return s
}

// UnescapeHeader reads what EscapeHeader wrote.
func UnescapeHeader(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 {
		return s, nil
	}
	return url.PathUnescape(s)
}

func shorten(s string) string {
	if len(s) > 512 {
		return s[:512]
	}
	return s
}

// FromLogs decodes a message of LOGS: the same record that ingest decoded, and where it came from. The record is its
// caller's for good.
func FromLogs(header map[string][]string, data []byte) (*Record, Position, error) {
	r, at, err := new(Decoder).FromLogs(header, data)
	if err != nil {
		return nil, Position{}, err
	}
	position, err := ParsePosition(at)
	return r, position, err
}

// FromLogs decodes a message of LOGS, and tells its position as Position.String writes it; the record and all its texts
// hold until the Decoder's next call. It believes what ingest found out: nobody else writes into LOGS.
func (dec *Decoder) FromLogs(header map[string][]string, data []byte) (r *Record, position string, err error) {
	facts := one(header, HeaderRecord)
	id, rest := word(facts)
	if rest == "" { // an edition before stored it
		return dec.fromBytes(header, data)
	}
	position, rest = word(rest)
	known, err := readFacts(id, rest, strings.IndexByte(facts, '%') >= 0)
	if err != nil {
		return nil, "", fmt.Errorf("reading a stored record's header %s: %w", HeaderRecord, err)
	}
	r, err = dec.DecodeStored(data, known)
	return r, position, err
}

// StoredFullness reads from a LOGS message's headers which record it is and how full, without decoding it.
func StoredFullness(header map[string][]string) (id string, fullness int, ok bool) {
	facts := one(header, HeaderRecord)
	id, rest := word(facts)
	_, rest = word(rest) // the position
	known, err := readFacts(id, rest, strings.IndexByte(facts, '%') >= 0)
	return known.ID, known.revision.fullness, err == nil && known.revision.fullness > 0
}

// fromBytes finds out again what the headers do not say.
func (dec *Decoder) fromBytes(header map[string][]string, data []byte) (*Record, string, error) {
	position := one(header, HeaderPosition)
	if position == "" {
		return nil, "", errors.New("reading a stored record: its headers do not say where it comes from")
	}
	enqueued, err := storedTime(one(header, HeaderEnqueued))
	if err != nil {
		return nil, "", fmt.Errorf("reading a stored record's enqueued time: %w", err)
	}
	tenant, err := UnescapeHeader(one(header, HeaderTenant))
	if err != nil {
		return nil, "", fmt.Errorf("reading a stored record's tenant: %w", err)
	}
	r, err := dec.Decode(data, Defaults{Tenant: tenant, Enqueued: enqueued})
	return r, position, err
}

// readFacts reads what facts wrote, but for the position. escaped says that something in it may be.
func readFacts(id, rest string, escaped bool) (known Stored, err error) {
	at, rest := word(rest)
	tenant, rest := word(rest)
	category, marks := word(rest)
	known.Time, err = storedTime(at)
	known.ID, known.Tenant, known.Category = id, tenant, category
	if escaped {
		for _, s := range [...]*string{&known.ID, &known.Tenant, &known.Category} {
			if err == nil {
				*s, err = UnescapeHeader(*s)
			}
		}
	}
	for marks != "" {
		var mark string
		mark, marks = word(marks)
		switch mark {
		case markClamped:
			known.Clamped = true
		case markNotUTF8:
			known.NotUTF8 = true
		default: // an edition before wrote none
			if says, ok := readRevision(mark); ok {
				known.revision = says
			}
		}
	}
	return known, err
}

// word cuts off the text before the next blank.
func word(s string) (first, rest string) {
	if at := strings.IndexByte(s, ' '); at >= 0 {
		return s[:at], s[at+1:]
	}
	return s, ""
}

// readRevision reads a fullness and a sum.
func readRevision(s string) (r revision, ok bool) {
	full, n := hexadecimal(s)
	if n == 0 || full == 0 || full > MaxBytes || n == len(s) || s[n] != '.' {
		return r, false
	}
	sum, digits := hexadecimal(s[n+1:])
	if digits == 0 || n+1+digits < len(s) {
		return r, false
	}
	return revision{int(full), sum, true}, true
}

// hexadecimal reads the number that s begins with, and how many digits it has: 0 where there is none, or where they are more
// than a number can have.
func hexadecimal(s string) (n uint64, digits int) {
	for ; digits < len(s); digits++ {
		digit := digits16[s[digits]]
		if digit > 15 {
			break
		}
		n = n<<4 | uint64(digit)
	}
	if digits > 16 {
		return 0, 0
	}
	return n, digits
}

// digits16 are the values of digits, 16 of what is none.
var digits16 = func() (of [256]uint8) {
	for c := range of {
		of[c] = 16
	}
	for value, c := range []byte("0123456789abcdef") {
		of[c] = uint8(value)
	}
	return of
}()

func one(header map[string][]string, name string) string {
	if v := header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// storedTime reads what Headers wrote.
func storedTime(s string) (time.Time, error) {
	if len(s) > 10 && s[10] == 'T' && s[len(s)-1] == 'Z' {
		if t, ok := plainTime(s); ok {
			return t, nil
		}
	}
	return time.Parse(time.RFC3339Nano, s)
}

// PrincipalOf reads the principal from a LOGS message's headers, without decoding the record.
func PrincipalOf(header map[string][]string) string {
	if v := header[HeaderPrincipal]; len(v) > 0 {
		p, _ := UnescapeHeader(v[0]) // what cannot be unescaped matches nobody
		return p
	}
	return ""
}
