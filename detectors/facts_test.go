package detectors

import (
	"fmt"
	"testing"
	"time"

	"cordon/internal/directory"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A fact is new once, however many records have spoken of the role; the earliest is the first.
func TestAFactIsNewOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, said, earliest := facts{}, map[string]bool{}, map[string]time.Time{}
		for range rapid.IntRange(1, 60).Draw(t, "facts") {
			key, record := fmt.Sprint("u", rapid.IntRange(0, 1).Draw(t, "key")), fmt.Sprint("r", rapid.IntRange(0, 30).Draw(t, "record"))
			f := directory.Fact{Tenant: "t", Key: key, Record: record, At: morning.Add(time.Duration(rapid.IntRange(0, 9).Draw(t, "at")) * time.Hour)}
			before, known := earliest[key]
			isNew := !said[key+record]
			isFirst := isNew && (!known || f.At.Before(before))
			fresh, first := all.add(f)
			require.Equal(t, isNew, fresh)
			require.Equal(t, isFirst, first)
			if said[key+record] = true; isFirst {
				earliest[key] = f.At
			}
		}
	})
}
