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

	maxCounted  = 1000 // values of a record that a window counts
	countedText = 128  // bytes of one of them

	largestBucket = 2 << 20 // bytes of a part of a snapshot that is halved, if it can be
)

// clipped is a text as findings tell it.
func clipped(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}

// keptValue is a value as windows keep it.
func keptValue(s string) string { return shortened(s, maxText) }

// shortened is a value that is known, where it is longer than most, by its begin and its digest: no two are taken for one.
func shortened(s string, most int) string {
	if len(s) <= most {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return strings.ToValidUTF8(s[:64], "") + "…" + hex.EncodeToString(sum[:])
}
