package letter

import (
	"testing"

	"cordon/internal/record"
	"github.com/stretchr/testify/require"
)

func TestAnIDIsReadAsItWasWritten(t *testing.T) {
	for _, id := range []ID{
		{Position: record.Position{Source: "ns.example/hub", Partition: "0", Sequence: 7, Index: 3}},
		{Position: record.Position{Source: "a b%/\n", Partition: "x/y", Sequence: -1}, Digest: "0123abcd"},
	} {
		got, err := ParseID(id.String())
		require.NoError(t, err)
		require.Equal(t, id, got)
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("hub/0/1/2")
	f.Add("ns%2Fhub/0/1/2/abcdef")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err != nil {
			return
		}
		again, err := ParseID(id.String())
		if err != nil || again != id {
			t.Fatalf("%q is %+v, then %+v (%v)", s, id, again, err)
		}
	})
}

func TestWhatIsNoID(t *testing.T) {
	for _, s := range []string{"", "hub", "hub/0/1", "hub/0/x/1", "hub/0/1/x", "hub/0/1/2/", "hub/0/1/2/*.>", "hub/0/1/2/3/4", "%zz/0/1/2"} {
		_, err := ParseID(s)
		require.ErrorContains(t, err, "source/partition/sequence/index", s)
	}
}
