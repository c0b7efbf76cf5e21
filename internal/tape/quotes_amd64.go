package tape

// findSets is setsOf for each of the blocks of 64 bytes at src. It uses nothing that not every amd64 has.
//
//go:noescape
func findSets(src *byte, blocks int, sets *sets)

// fill writes the sets of the blocks of 64 bytes that src has.
func fill(all []sets, src []byte) {
	if blocks := len(src) / 64; blocks > 0 {
		_ = all[blocks-1]
		findSets(&src[0], blocks, &all[0])
	}
}
