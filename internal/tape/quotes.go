package tape

import (
	"encoding/binary"
	"math/bits"
)

// The quotes of a document are found before anything else is: by sets, 64 bytes at a time (Langdale and Lemire,
// "Parsing gigabytes of JSON per second", 2019). What this file does a byte or a bit at a time quotes_amd64.s does many
// at a time, where the machine can.

// sets have a bit for each byte of a block of 64 that is a quote, and that is a backslash.
type sets struct{ quotes, backslashes uint64 }

// spare is how much room a list of quotes has behind its last: for the marks of its end, and for what is written beyond.
const spare = 16

// nowhere stands behind the last quote.
const nowhere = 1<<32 - 1

// find finds the quotes that begin and end strings.
func (f *follower) find(s []byte) {
	whole := len(s) / 64
	all := f.doc.sets[:0]
	if whole+1 > cap(all) {
		all = make([]sets, whole+1+whole/2)
		f.doc.sets = all
	}
	all = all[:whole+1]
	n, backslashes := fill(all, s)
	var last [64]byte
	copy(last[:], s[whole*64:])
	all[whole] = setsOf(&last)
	n += bits.OnesCount64(all[whole].quotes)
	if f.escape = len(s); backslashes|all[whole].backslashes != 0 {
		f.escape = backslash(s, 0)
		n = unescaped(all)
	}
	q := f.doc.quotes
	if n+spare > cap(q) {
		q = make([]uint32, n+n/2+spare)
		f.doc.quotes = q
	}
	q = q[:n+spare]
	places(all, q)
	q[n], q[n+1], q[n+2], q[n+3], q[n+4] = nowhere, nowhere, nowhere, nowhere, nowhere
	f.quotes = q[:n+5]
}

// findSets writes the sets of the blocks of 64 bytes that src has, counts the quotes, and or's the backslashes.
func findSets(all []sets, src []byte) (quotes int, backslashes uint64) {
	for i := range len(src) / 64 {
		all[i] = setsOf((*[64]byte)(src[i*64:]))
		quotes += bits.OnesCount64(all[i].quotes)
		backslashes |= all[i].backslashes
	}
	return quotes, backslashes
}

// list writes down where the quotes stand.
func list(all []sets, to []uint32) {
	n := 0
	for i := range all {
		for set := all[i].quotes; set != 0; set &= set - 1 {
			to[n] = uint32(i*64 + bits.TrailingZeros64(set))
			n++
		}
	}
}

// unescaped takes the quotes out that a backslash stands before which is no part of an escape itself (3.1.1 there), and
// counts the others.
func unescaped(all []sets) (quotes int) {
	const even = 0x5555555555555555
	before := uint64(0) // 1 if what stands before the block escapes its first byte
	for i := range all {
		at := &all[i]
		backslashes := at.backslashes &^ before
		follows := backslashes<<1 | before
		sum, carry := bits.Add64(backslashes&^even&^follows, backslashes, 0)
		before = carry
		at.quotes &^= (even ^ sum<<1) & follows
		quotes += bits.OnesCount64(at.quotes)
	}
	return quotes
}

const sevens = ones * 0x7f

func setsOf(s *[64]byte) (all sets) {
	for i := 0; i < 64; i += 8 {
		all.quotes |= equal(s, i, '"') << i
		all.backslashes |= equal(s, i, '\\') << i
	}
	return all
}

// equal has a bit for each of the eight bytes at i that is c.
func equal(s *[64]byte, i int, c uint64) uint64 {
	x := binary.LittleEndian.Uint64(s[i:]) ^ ones*c
	x = ^((x&sevens + sevens) | x | sevens) // the high bit of each byte that was one
	return (x >> 7) * 0x0102040810204080 >> 56
}
