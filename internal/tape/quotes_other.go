//go:build !amd64

package tape

// quoteSet fills sets with quotesIn of the blocks of 64 bytes that src has.
func quoteSet(src []byte, sets []uint64) {
	for i := range len(src) / 64 {
		sets[i] = quotesIn((*[64]byte)(src[i*64:]))
	}
}
