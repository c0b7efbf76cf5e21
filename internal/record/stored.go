package record

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
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
	HeaderRecord    = "Cordon-Record"
	HeaderPrincipal = "Cordon-Principal"
	HeaderTime      = "Cordon-Time"
	HeaderPosition  = "Cordon-Position"
	HeaderEnqueued  = "Cordon-Enqueued"
	HeaderTenant    = "Cordon-Tenant"
	HeaderMarks     = "Cordon-Marks" // what is odd about the record; most have none
)

const markNotUTF8 = "not-utf8"

// Headers are what LOGS keeps beside the bytes.
func (r *Record) Headers(p Position, enqueued time.Time) map[string][]string {
	// One array holds the values, and there is room for what an atomic batch adds: a record's headers are made for each.
	values := [...]string{
		url.QueryEscape(r.ID),
		url.QueryEscape(strings.Clone(shorten(r.Actor.Key()))), // a Decoder writes its texts over
		r.Time.Format(time.RFC3339Nano),
		p.String(),
		enqueued.UTC().Format(time.RFC3339Nano),
		url.QueryEscape(strings.Clone(r.Tenant)),
	}
	all := values[:]
	h := make(map[string][]string, 12)
	for i, name := range [...]string{HeaderRecord, HeaderPrincipal, HeaderTime, HeaderPosition, HeaderEnqueued, HeaderTenant} {
		h[name] = all[i : i+1 : i+1]
	}
	if r.Clamped {
		h[HeaderMarks] = append(h[HeaderMarks], "clamped")
	}
	if r.NotUTF8 {
		h[HeaderMarks] = append(h[HeaderMarks], markNotUTF8)
	}
	return h
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
// hold until the Decoder's next call. It believes that ingest has looked at the bytes: nobody else writes into LOGS.
func (dec *Decoder) FromLogs(header map[string][]string, data []byte) (r *Record, position string, err error) {
	enqueued, err := storedTime(one(header, HeaderEnqueued))
	if err != nil {
		return nil, "", fmt.Errorf("reading a stored record's enqueued time: %w", err)
	}
	tenant, err := url.QueryUnescape(one(header, HeaderTenant))
	if err != nil {
		return nil, "", fmt.Errorf("reading a stored record's tenant: %w", err)
	}
	if position = one(header, HeaderPosition); position == "" {
		return nil, "", errors.New("reading a stored record: it has no position")
	}
	r, err = dec.DecodeStored(data, Defaults{Tenant: tenant, Enqueued: enqueued},
		Stored{NotUTF8: slices.Contains(header[HeaderMarks], markNotUTF8), Hash: func() string { return hashIn(one(header, HeaderRecord)) }})
	return r, position, err
}

func one(header map[string][]string, name string) string {
	if v := header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// storedTime reads what Headers wrote.
func storedTime(s string) (time.Time, error) {
	if strings.HasSuffix(s, "Z") && strings.Contains(s, "T") {
		if t, ok := plainTime(s); ok {
			return t, nil
		}
	}
	return time.Parse(time.RFC3339Nano, s)
}

// hashIn is the hash that an escaped ID of three parts ends in, if it does: identify believes it only of a record that
// has no key of its own.
func hashIn(id string) string {
	at := strings.LastIndex(id, "%2F") + len("%2F")
	if at < len("%2F") || len(id)-at != hex.EncodedLen(sha256.Size) {
		return ""
	}
	for i := at; i < len(id); i++ {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	return id[at:]
}

// PrincipalOf reads the principal from a LOGS message's headers, without decoding the record.
func PrincipalOf(header map[string][]string) string {
	if v := header[HeaderPrincipal]; len(v) > 0 {
		p, _ := url.QueryUnescape(v[0]) // what cannot be unescaped matches nobody
		return p
	}
	return ""
}
