package detectors

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cordon/internal/finding"
	"github.com/stretchr/testify/require"
)

// An office behind one address, where somebody mistypes his password all the time, is told of once in a while, not by
// thousands of findings a second; who is new is told at once, and in the end all is told.
func TestManyHitsAreNotToldEverySecond(t *testing.T) {
	const office, workers = "203.0.113.77", 200
	n := 0
	in := func(user string, code int) fields {
		n++
		return signIn(fmt.Sprint("s", n), user, office, code, morning.Add(time.Duration(n)*time.Millisecond), twoFactor)
	}
	var all []fields
	e := shipped(t, known())
	e.crowds.patient = true
	feed := func(f fields) {
		all = append(all, f)
		e.Process(decode(t, f), fmt.Sprint(len(all)))
	}
	hits := func(found []finding.Finding) (users []string) {
		for _, f := range found {
			if f.Rule == "password-spray-hit" {
				users = append(users, f.Principal.ID)
			}
		}
		return users
	}
	for i := range 100 {
		feed(in(fmt.Sprint("mistypes", i), 50126))
	}
	for i := range workers {
		feed(in(fmt.Sprint("worker", i), 0))
	}
	require.Len(t, hits(e.FlushAll()), workers)
	for i := range 30 {
		feed(in(fmt.Sprint("mistypes", i), 50126))
		require.Empty(t, hits(e.FlushAll()))
	}
	feed(in("late", 0))
	require.Equal(t, []string{"late"}, hits(e.FlushAll()), "a new one is told at once")
	feed(in("worker7", 0))
	require.Equal(t, []string{"worker7"}, hits(e.FlushAll()), "and what he does himself")
	told := 0
	for range 2 * postponedFor {
		told += len(hits(e.FlushAll()))
	}
	require.Equal(t, workers-1, told, "and the others after a while, once")
	for i := range 400 { // more than a half
		feed(in(fmt.Sprint("mistypes", i), 50126))
	}
	require.Len(t, hits(e.FlushAll()), workers+1)
	feed(in("mistypes0", 50126))
	require.Empty(t, hits(e.FlushAll()))

	other := shipped(t, known())
	for i, f := range all {
		other.Process(decode(t, f), fmt.Sprint(i+1))
	}
	require.Equal(t, contents(other.Current()), contents(e.Current()), "what stands is what all the records say")
	last := in("mistypes1", 50126)
	other.Process(decode(t, last), "last")
	require.Len(t, hits(other.FlushAll()), workers+1, "a replay, which publishes nothing, waits for nothing")
}

// contents are findings without their revisions.
func contents(found []finding.Finding) (out []string) {
	for _, f := range found {
		f.Revision = 0
		out = append(out, strings.ReplaceAll(fmt.Sprintf("%+v", f), "\n", " "))
	}
	return out
}
