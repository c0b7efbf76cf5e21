package tape

// quoteSets writes a set of quotesIn for each of the blocks of 64 bytes at src. It uses nothing that not every amd64
// has.
//
//go:noescape
func quoteSets(src *byte, blocks int, sets *uint64)

// quoteSet fills sets with quotesIn of the blocks of 64 bytes that src has.
func quoteSet(src []byte, sets []uint64) {
	if blocks := len(src) / 64; blocks > 0 {
		_ = sets[blocks-1]
		quoteSets(&src[0], blocks, &sets[0])
	}
}
