package entra

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"iter"
	"slices"
	"strings"
)

// table holds objects by id, ignoring case as Graph does, in the order in which they came: pages follow that order.
type table[T any] struct {
	rows  map[string]*T
	order []string
}

func newTable[T any]() table[T] { return table[T]{rows: map[string]*T{}} }

func (t *table[T]) put(id string, row T) *T {
	key := strings.ToLower(id)
	if _, ok := t.rows[key]; !ok {
		t.order = append(t.order, key)
	}
	t.rows[key] = &row
	return &row
}

func (t *table[T]) get(id string) *T { return t.rows[strings.ToLower(id)] }

func (t *table[T]) remove(id string) {
	key := strings.ToLower(id)
	delete(t.rows, key)
	t.order = slices.DeleteFunc(t.order, func(k string) bool { return k == key })
}

func (t *table[T]) all() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for _, key := range t.order {
			if row, ok := t.rows[key]; ok && !yield(row) {
				return
			}
		}
	}
}

func (t *table[T]) find(match func(*T) bool) *T {
	for row := range t.all() {
		if match(row) {
			return row
		}
	}
	return nil
}

// NewGUID returns a random GUID.
func NewGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return guid(b, 4)
}

// StableGUID returns the GUID of a name, so that a scenario's principals keep their ids from run to run.
func StableGUID(name ...string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(strings.Join(name, "\x00"))))
	return guid([16]byte(sum[:16]), 8)
}

func guid(b [16]byte, version byte) string {
	b[6] = b[6]&0x0f | version<<4
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// opaqueID returns an id as Graph makes them for grants and assignments: not a GUID, and with letters that want care
// in a path.
func opaqueID() string {
	var b [32]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}
