//go:build !amd64

package tape

func fill(all []sets, src []byte) (quotes int, backslashes uint64) { return findSets(all, src) }

func places(all []sets, to []uint32) { list(all, to) }
