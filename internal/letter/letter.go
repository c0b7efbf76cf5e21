// Package letter holds the words about dead letters that ingest, the console and its client share: what a letter says
// of itself, which ones are asked for, and what a replay has done.
package letter

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"cordon/internal/record"
)

// ErrNone says that DEADLETTER holds no such letter.
var ErrNone = errors.New("there is no such dead letter")

// Refusal is a replay that cannot be, or is not to be, and why. It is safe to show.
type Refusal struct{ Reason string }

func (r *Refusal) Error() string { return r.Reason }

// Refuse returns a refusal.
func Refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// ID names a letter: the position of what could not be stored. A polled source may after a crash bring something else
// at a position; the second letter then bears the beginning of its digest as well.
type ID struct {
	record.Position
	Digest string
}

func (id ID) String() string {
	if id.Digest == "" {
		return id.Position.String()
	}
	return id.Position.String() + "/" + id.Digest
}

// ParseID reads what String wrote.
func ParseID(s string) (ID, error) {
	var id ID
	position := s
	if strings.Count(s, "/") == 4 {
		cut := strings.LastIndexByte(s, '/')
		position, id.Digest = s[:cut], s[cut+1:]
		if strings.Trim(id.Digest, "0123456789abcdef") != "" || id.Digest == "" {
			return ID{}, errors.New("a dead letter is named by source/partition/sequence/index")
		}
	}
	var err error
	if id.Position, err = record.ParsePosition(position); err != nil {
		return ID{}, errors.New("a dead letter is named by source/partition/sequence/index, as `list` shows it")
	}
	return id, nil
}

// Letter is what could not be stored as a record, and why.
type Letter struct {
	ID        string `json:"id"`
	Source    string `json:"source"`
	Partition string `json:"partition"`
	Sequence  int64  `json:"sequence"`
	Index     int    `json:"index"`
	// Rest says that it is the end of a message, from record Index on, which may hold several records.
	Rest     bool      `json:"rest,omitempty"`
	Reason   string    `json:"reason"`
	Enqueued time.Time `json:"enqueued"` // when it reached the source
	Stored   time.Time `json:"stored"`   // when Cordon gave up on it
	Tenant   string    `json:"tenant,omitempty"`
	Size     int64     `json:"size"`
	Body     []byte    `json:"body,omitempty"` // in Show alone
}

// Filter selects letters.
type Filter struct {
	Source string    `json:"source,omitempty"`
	Since  time.Time `json:"since,omitzero"` // stored at or after it
	Limit  int       `json:"limit,omitempty"`
}

// Page is a part of the letters that were asked for, the newest first, and how many there are.
type Page struct {
	Letters []Letter `json:"letters"`
	Total   int      `json:"total"`
}

// Outcome is what a replay has done.
type Outcome struct {
	ID     string `json:"id"`
	Stored int    `json:"stored"` // records
	// Before says that an earlier replay had stored them.
	Before bool `json:"before,omitempty"`
	// Left are the letters of the parts that still could not be stored.
	Left  []string `json:"left,omitempty"`
	Error string   `json:"error,omitempty"` // in a replay of many: why this one stays
}
