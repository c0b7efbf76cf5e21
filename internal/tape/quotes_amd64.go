package tape

import "golang.org/x/sys/cpu"

// wide says that the machine has what the functions below use, as nearly all since 2013 have.
var wide = cpu.X86.HasAVX2 && cpu.X86.HasBMI1 && cpu.X86.HasPOPCNT && cpu.X86.HasPCLMULQDQ

// findSetsWide is findSets for the blocks of 64 bytes at src.
//
//go:noescape
func findSetsWide(src *byte, blocks int, sets *sets) (quotes int, backslashes uint64)

// listWide is list. It writes up to 16 places beyond the last.
//
//go:noescape
func listWide(sets *sets, blocks int, places *uint32)

// fill is findSets, the fastest that the machine can.
func fill(all []sets, src []byte) (quotes int, backslashes uint64) {
	blocks := len(src) / 64
	if !wide || blocks == 0 {
		return findSets(all, src)
	}
	_ = all[blocks-1]
	return findSetsWide(&src[0], blocks, &all[0])
}

// places is list, likewise.
func places(all []sets, to []uint32) {
	if !wide {
		list(all, to)
		return
	}
	listWide(&all[0], len(all), &to[0])
}
