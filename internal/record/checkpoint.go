package record

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Checkpoint is how far a partition has been stored: everything before record Next of message Sequence, and the
// whole of that message where Done. It lands in one atomic batch with the records before it, so what it says of
// them is true whatever breaks.
type Checkpoint struct {
	Source    string `json:"source"`    // as the configuration calls it; the subject holds tokens alone
	Partition string `json:"partition"` // likewise
	Sequence  int64  `json:"sequence"`
	Next      int    `json:"next"`
	Done      bool   `json:"done"`
	// Seen is the source's time up to which all has been seen.
	Seen     time.Time `json:"seen"`
	CaughtUp bool      `json:"caughtUp"`
	// Written is when Cordon wrote it; a reader that lives writes one every few seconds.
	Written time.Time `json:"written"`
	// Carried is what has come through this partition since it was first opened.
	Carried []Carried `json:"carried,omitempty"`
	// Aside says that the source reads the past, beside the stream: nothing waits for it.
	Aside bool `json:"aside,omitempty"`
	// Dead counts what went to DEADLETTER.
	Dead int64 `json:"dead,omitempty"`
	// Cursor is where a polled source asks next; its form is the poller's own.
	Cursor json.RawMessage `json:"cursor,omitempty"`
	// Recent are the marks of records that a polled source may bring again (ingest.Page).
	Recent []byte `json:"recent,omitempty"`
}

// Carried counts one tenant's records of one category.
type Carried struct {
	Tenant   string    `json:"tenant"`
	Category string    `json:"category"`
	Records  int64     `json:"records"`
	Enqueued time.Time `json:"enqueued"` // when the newest reached the source
	Event    time.Time `json:"event"`    // the newest event time
}

// maxCarried bounds a checkpoint: what comes beyond is counted under the last one's place, with no category.
const maxCarried = 256

// Carry counts a record that is stored with the checkpoint. It never changes the Carried of another checkpoint that
// shares it: what is told apart has been copied by Clone.
func (c *Checkpoint) Carry(tenant, category string, enqueued, event time.Time) {
	i := slices.IndexFunc(c.Carried, func(k Carried) bool { return k.Category == category && strings.EqualFold(k.Tenant, tenant) })
	if i < 0 && len(c.Carried) >= maxCarried {
		category, tenant = "", ""
		i = slices.IndexFunc(c.Carried, func(k Carried) bool { return k.Category == "" })
	}
	if i < 0 {
		c.Carried = append(c.Carried, Carried{Tenant: strings.Clone(tenant), Category: strings.Clone(category)})
		i = len(c.Carried) - 1
	}
	k := &c.Carried[i]
	k.Records++
	if enqueued.After(k.Enqueued) {
		k.Enqueued = enqueued.UTC()
	}
	if event.After(k.Event) {
		k.Event = event
	}
}

// Clone is a checkpoint that can be carried on without changing this one.
func (c Checkpoint) Clone() Checkpoint {
	c.Carried = slices.Clone(c.Carried)
	return c
}
