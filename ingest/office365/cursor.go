package office365

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

const (
	// overlap is how far before the end of what was read the next listing begins: blobs appear out of order.
	overlap = 2 * time.Hour
	// longest is what one listing may span.
	longest = 24 * time.Hour
	// reach is how far back content can be listed: seven days, less what two clocks may differ by.
	reach = 7*24*time.Hour - 10*time.Minute
	// giveUp is when a blob that never could be fetched is given up, while it can still be listed.
	giveUp = reach - 12*time.Hour
)

// cursor is how far a content type has been read, in contentCreated time.
type cursor struct {
	Read time.Time // all before has been listed and stored
	From time.Time // where the next listing begins; it never goes back
	// taken are the blobs from From on that have been stored, by the digest of their contentId.
	taken map[uint64]time.Time
}

// stored is a cursor in a checkpoint.
type stored struct {
	Read  time.Time `json:"read"`
	From  time.Time `json:"from"`
	Taken []byte    `json:"taken,omitempty"` // eight bytes of digest and four of seconds each
}

const takenSize = 12

func (c *cursor) UnmarshalJSON(data []byte) error {
	var s stored
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	if len(s.Taken)%takenSize != 0 {
		return fmt.Errorf("reading a cursor: %d bytes of blobs taken", len(s.Taken))
	}
	*c = cursor{Read: s.Read, From: s.From, taken: map[uint64]time.Time{}}
	for data := s.Taken; len(data) > 0; data = data[takenSize:] {
		c.taken[binary.BigEndian.Uint64(data)] = time.Unix(int64(binary.BigEndian.Uint32(data[8:])), 0).UTC()
	}
	return nil
}

func (c *cursor) MarshalJSON() ([]byte, error) {
	s := stored{Read: c.Read, From: c.From}
	keys := make([]uint64, 0, len(c.taken))
	for key := range c.taken {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		s.Taken = binary.BigEndian.AppendUint64(s.Taken, key)
		s.Taken = binary.BigEndian.AppendUint32(s.Taken, uint32(max(0, c.taken[key].Unix())))
	}
	return json.Marshal(s)
}

func digest(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	return binary.BigEndian.Uint64(sum[:])
}

// has says whether a blob has been stored.
func (c *cursor) has(it item) bool {
	_, ok := c.taken[digest(it.id)]
	return ok
}

func (c *cursor) take(it item) { c.taken[digest(it.id)] = it.created }

// advance says that all before to has been listed, and stored but for what was created at held or later; zero is
// nothing. What no listing can bring again is forgotten.
func (c *cursor) advance(to, held time.Time) {
	c.Read = to
	from := to.Add(-overlap)
	if !held.IsZero() && held.Before(to) {
		c.Read = held
		if held.Before(from) {
			from = held.Truncate(time.Second)
		}
	}
	if from.After(c.From) {
		c.From = from
	}
	for key, created := range c.taken {
		if created.Before(c.From.Truncate(time.Second)) { // taken are kept in whole seconds
			delete(c.taken, key)
		}
	}
}
