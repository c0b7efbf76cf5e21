package detectors

import (
	"testing"
	"time"

	"cordon/internal/finding"
	"cordon/internal/record"
	"github.com/stretchr/testify/require"
)

// The checkpoints of the time are gone: the records say in their place how far their partitions had been read, and a
// partition that brings nothing for an hour holds nobody back.
func TestRereadingSettlesByWhatCame(t *testing.T) {
	var settled []finding.Finding
	r := NewReread(admins(), []string{ownApp}, record.DefaultLateness(), func(_ int, found []finding.Finding) {
		for _, f := range only(found, noMFA) {
			if !f.Unconfirmed {
				settled = append(settled, f)
			}
		}
	}, shipped(t, admins()))
	at := func(partition string) record.Position { return record.Position{Source: "hub", Partition: partition} }
	came := func(partition string, f fields, when time.Time) { r.Record(decode(t, f), at(partition), when, when) }
	came("1", signIn("quiet", "u1", "198.51.100.23", 0, morning, oneFactor), morning.Add(time.Minute))
	came("0", signIn("a", adminID, "198.51.100.23", 0, morning, noDetails), morning.Add(time.Minute))
	came("0", signIn("b", "u1", "198.51.100.23", 0, morning.Add(time.Hour), oneFactor), morning.Add(time.Hour))
	require.Empty(t, settled, "the other partition may bring a revision yet")
	came("0", signIn("c", "u1", "198.51.100.23", 0, morning.Add(4*time.Hour), oneFactor), morning.Add(4*time.Hour))
	require.Len(t, settled, 1)
}
