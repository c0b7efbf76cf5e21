package detectors

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// What of a record findings tell and windows keep: a record may hold a mebibyte in one name, or in six thousand targets, and
// what it leaves must fit a message of the bus many times over. Real names and identifiers are shorter.
const (
	maxText    = 1024 // bytes of a text
	maxTargets = 100
	maxKeyIDs  = 20 // of a target
)

// clipped is a text as findings tell it.
func clipped(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}

// keptValue is a value as windows keep it: a long one is known by its begin and its digest, so that no two are taken for one.
func keptValue(s string) string {
	if len(s) <= maxText {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return strings.ToValidUTF8(s[:64], "") + "…" + hex.EncodeToString(sum[:])
}
