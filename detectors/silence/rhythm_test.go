package silence

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// live feeds a rhythm as a reader does that looks each minute: what has come, and that all up to now was seen. It
// returns the first minute that was silent.
func live(r *Rhythm, from, to time.Time, least time.Duration, comes func(time.Time) bool) (silent time.Time) {
	newest := r.Last
	for at := from; at.Before(to); at = at.Add(time.Minute) {
		if comes(at) {
			newest = at
		}
		r.Look(newest, at)
		if silent.IsZero() && r.Silent(least) {
			silent = at
		}
	}
	return silent
}

// office is a tenant that speaks every ten minutes from eight to six.
func office(at time.Time) bool { return at.Hour() >= 8 && at.Hour() < 18 && at.Minute()%10 == 0 }

func weekdays(at time.Time) bool {
	return office(at) && at.Weekday() != time.Saturday && at.Weekday() != time.Sunday
}

func TestNightsAreLearnt(t *testing.T) {
	var r Rhythm
	require.Zero(t, live(&r, monday, monday.Add(10*day), 0, office))
	usual, ok := r.Usual()
	require.True(t, ok)
	require.InDelta(t, 14*time.Hour+10*time.Minute, usual, float64(2*time.Minute))
	// It stops at six in the evening of the eleventh day: half a night later than it would have spoken again.
	last := r.Last
	silent := live(&r, monday.Add(10*day), monday.Add(12*day), 0, func(time.Time) bool { return false })
	require.InDelta(t, usual+usual/2, silent.Sub(last), float64(2*time.Minute))
}

func TestTheSecondWeekendIsNoAlarm(t *testing.T) {
	var r Rhythm
	first := live(&r, monday, monday.Add(7*day), 0, weekdays)
	require.Equal(t, time.Saturday, first.Weekday(), "nobody knew of weekends")
	require.Zero(t, live(&r, monday.Add(7*day+10*time.Hour), monday.Add(28*day), 0, weekdays))
	require.NotZero(t, live(&r, monday.Add(28*day), monday.Add(35*day), 0, func(time.Time) bool { return false }))
}

func TestNothingIsSaidBeforeThreeDays(t *testing.T) {
	every := func(at time.Time) bool { return at.Minute() == 0 }
	stops := func(after time.Duration) time.Time {
		var r Rhythm
		return live(&r, monday, monday.Add(after+2*day), 0, func(at time.Time) bool { return at.Before(monday.Add(after)) && every(at) })
	}
	require.Zero(t, stops(0), "nothing ever came")
	require.Zero(t, stops(47*time.Hour), "records on two days")
	require.NotZero(t, stops(72*time.Hour+time.Minute))
	var seldom Rhythm
	require.Zero(t, live(&seldom, monday, monday.Add(13*day), 0, func(at time.Time) bool { return at.Equal(monday) || at.Equal(monday.Add(5*day)) }))
}

func TestWhatNobodyReadTeachesNothing(t *testing.T) {
	var r Rhythm
	live(&r, monday, monday.Add(4*day), 0, func(at time.Time) bool { return at.Minute()%10 == 0 })
	before, _ := r.Usual()
	r.Look(monday.Add(6*day), monday.Add(6*day)) // two days later somebody reads again; what came between is counted in one
	after, _ := r.Usual()
	require.Equal(t, before, after)
}

func TestAStraightenedRhythmIsLearntAnew(t *testing.T) {
	var r Rhythm
	live(&r, monday, monday.Add(5*day), 0, office)
	r.Restart()
	_, ok := r.Usual()
	require.False(t, ok)
	require.False(t, r.Silent(0))
}

// pattern is a day's minutes at which records come, the same each day but for some jitter.
func pattern(t *rapid.T) func(time.Time) bool {
	hours := rapid.SliceOfNDistinct(rapid.IntRange(0, 23), 1, 24, rapid.ID[int]).Draw(t, "hours")
	jitter := rapid.IntRange(0, 9).Draw(t, "jitter")
	on := map[int]bool{}
	for _, h := range hours {
		on[h] = true
	}
	return func(at time.Time) bool { return on[at.Hour()] && at.Minute() == (at.YearDay()*7*jitter)%60 }
}

func TestPropertyNeverInsideItsOwnDailyQuiet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Rhythm
		comes := pattern(t)
		// Jitter moves a record by less than an hour: with an hour of least quiet no day is a surprise.
		if at := live(&r, monday, monday.Add(16*day), 2*time.Hour, comes); !at.IsZero() {
			t.Fatalf("an alarm at %s: %+v", at, r)
		}
		if len(r.Days) > keptDays {
			t.Fatalf("%d days are kept", len(r.Days))
		}
	})
}

func TestPropertyWhatStopsIsToldInTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Rhythm
		comes := pattern(t)
		least := time.Duration(rapid.IntRange(0, 48).Draw(t, "least")) * time.Hour
		live(&r, monday, monday.Add(5*day), least, comes)
		last, allowed := r.Last, r.Allowed(least)
		at := live(&r, monday.Add(5*day), monday.Add(10*day), least, func(time.Time) bool { return false })
		if at.IsZero() || at.Sub(last) <= allowed || at.Sub(last) > allowed+time.Minute {
			t.Fatalf("it was last heard at %s, %s is allowed, told at %s", last, allowed, at)
		}
	})
}

func TestPropertyARestartForgetsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a, b Rhythm
		newest, seen := monday, monday
		for range rapid.IntRange(1, 60).Draw(t, "looks") {
			seen = seen.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "minutes")) * time.Minute)
			if rapid.Bool().Draw(t, "comes") {
				newest = seen.Add(-time.Duration(rapid.IntRange(0, 60).Draw(t, "ago")) * time.Minute)
			}
			a.Look(newest, seen)
			b.Look(newest, seen)
			b.Look(newest, seen)                                 // told again
			b.Look(newest.Add(-time.Hour), seen.Add(-time.Hour)) // and late
			data, err := json.Marshal(b)
			if err != nil {
				t.Fatal(err)
			}
			b = Rhythm{}
			if err := json.Unmarshal(data, &b); err != nil {
				t.Fatal(err)
			}
		}
		if a.Silent(0) != b.Silent(0) || a.Allowed(0) != b.Allowed(0) || !a.Last.Equal(b.Last) {
			t.Fatalf("%+v is not %+v", a, b)
		}
	})
}
