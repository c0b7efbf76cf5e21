package azuremonitor

import "bytes"

// Resume takes apart what Split has left over, once it can be read: a message of its own, or the end of one, from the
// middle of the records on ("…},{…}]}"). Indices count from its first record. Of the ways to read it the one is taken
// that leaves nothing over, else the one that finds the most records.
func Resume(rest []byte, visit func(index int, raw []byte) error) (*Rest, error) {
	tail := bytes.TrimLeft(rest, " \t\r\n")
	tail, cut := bytes.CutPrefix(tail, []byte(","))
	ways := [][]byte{rest}
	if cut {
		ways = nil
	}
	for _, head := range []string{`{"records":[`, `[`} {
		ways = append(ways, append([]byte(head), tail...))
	}
	best, most := 0, -1
	for i, body := range ways {
		found := 0
		left, _ := Split(body, func(int, []byte) error { found++; return nil }) // this visitor has no error
		if left == nil {
			best = i
			break
		}
		if found > most {
			best, most = i, found
		}
	}
	return Split(ways[best], visit)
}
