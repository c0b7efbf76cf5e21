//go:build !amd64

package tape

// fill writes the sets of the blocks of 64 bytes that src has.
func fill(all []sets, src []byte) {
	for i := range len(src) / 64 {
		all[i] = setsOf((*[64]byte)(src[i*64:]))
	}
}
