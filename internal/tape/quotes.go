package tape

import (
	"encoding/binary"
	"math/bits"
)

// The quotes of a document are found before anything else is, and its brackets: by sets, 64 bytes at a time (Langdale and Lemire,
// "Parsing gigabytes of JSON per second", 2019). What this file does a byte or a bit at a time quotes_amd64.s does many
// at a time, where the machine can.

// sets have a bit for each byte of a block of 64 that is a quote, a backslash, a bracket of either kind that opens, and one
// that closes. Brackets in strings count until list has taken them out.
type sets struct {
	quotes, backslashes, opens, closes uint64
	// What list finds out: how many quotes stand before the block, and how many brackets would be open if all that close in
	// it came first: in the block there are never fewer.
	before uint32
	lowest int32
}

// spare is how much room a list of quotes has behind its last: for the marks of its end, and for what is written beyond.
const spare = 16

// nowhere stands behind the last quote, as often as anybody looks ahead.
const (
	nowhere = 1<<32 - 1
	ends    = 5
)

// find finds the quotes that begin and end strings.
func (d *Doc) find(s []byte) {
	whole := len(s) / 64
	all := d.sets[:0]
	if whole+1 > cap(all) {
		all = make([]sets, whole+1+whole/2)
	}
	all = all[:whole+1]
	d.sets = all
	n, backslashes := fill(all, s)
	var last [64]byte
	copy(last[:], s[whole*64:])
	more, escapes := fill(all[whole:], last[:])
	n += more
	if d.escape = len(s); backslashes|escapes != 0 {
		d.escape = backslash(s, 0)
		n = unescaped(all)
	}
	q := d.quotes
	if n+spare > cap(q) {
		q = make([]uint32, n+n/2+spare)
	}
	q = q[:n+spare]
	places(all, q)
	q[n], q[n+1], q[n+2], q[n+3], q[n+4] = nowhere, nowhere, nowhere, nowhere, nowhere
	d.quotes = q[:n+ends]
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

// list writes down where the quotes stand, takes the brackets out that stand in strings, and counts on the way.
func list(all []sets, to []uint32) {
	n, depth, inside := 0, int32(0), uint64(0)
	for i := range all {
		at := &all[i]
		at.before = uint32(n)
		in := at.quotes // with all bits from an opening quote up to before the closing one
		for shift := 1; shift < 64; shift *= 2 {
			in ^= in << shift
		}
		in ^= inside
		inside = uint64(int64(in) >> 63)
		at.opens, at.closes = at.opens&^in, at.closes&^in
		at.lowest = depth - int32(bits.OnesCount64(at.closes))
		depth = at.lowest + int32(bits.OnesCount64(at.opens))
		for set := at.quotes; set != 0; set &= set - 1 {
			to[n] = uint32(i*64 + bits.TrailingZeros64(set))
			n++
		}
	}
}

// past finds the end of the container that begins at i, by its brackets alone, and how many quotes stand before that. behind
// is -1 where it has no end.
func past(all []sets, i int) (behind, quotes int) {
	b, to := i/64, uint64(1)<<(i%64)-1
	at := &all[b]
	around := at.lowest + int32(bits.OnesCount64(at.closes&^to)+bits.OnesCount64(at.opens&to)) // so many brackets are open around it
	opens, closes, open := at.opens&^to&^(to+1), at.closes&^to, 1
	for {
		for n := bits.OnesCount64(closes); n >= open; { // so many have to close before it does
			for ; open > 1; open-- {
				n, closes = n-1, closes&(closes-1)
			}
			before := closes&-closes - 1
			if open = bits.OnesCount64(opens & before); open == 0 {
				return b*64 + bits.OnesCount64(before) + 1, int(at.before) + bits.OnesCount64(at.quotes&before)
			}
			n, closes, opens = n-1, closes&(closes-1), opens&^before
		}
		if b = reach(all, b+1, around); b < 0 {
			return -1, 0
		}
		at = &all[b]
		opens, closes = at.opens, at.closes
		open = int(at.lowest-around) + bits.OnesCount64(closes)
	}
}

// reach finds the first block from b on where so few brackets may be open, -1 where there is none.
func reach(all []sets, b int, open int32) int {
	rest := all[b:]
	for i := range rest {
		if rest[i].lowest <= open {
			return b + i
		}
	}
	return -1
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
		all.opens |= (equal(s, i, '{') | equal(s, i, '[')) << i
		all.closes |= (equal(s, i, '}') | equal(s, i, ']')) << i
	}
	return all
}

// equal has a bit for each of the eight bytes at i that is c.
func equal(s *[64]byte, i int, c uint64) uint64 {
	x := binary.LittleEndian.Uint64(s[i:]) ^ ones*c
	x = ^((x&sevens + sevens) | x | sevens) // the high bit of each byte that was one
	return (x >> 7) * 0x0102040810204080 >> 56
}
