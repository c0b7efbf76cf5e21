package silence

import "time"

const (
	keptDays   = 14 // so that the weekend before is always among them
	learntDays = 3
	leastQuiet = time.Hour
	day        = 24 * time.Hour
)

// Rhythm is how long one category of one tenant is used to be quiet in one source: the longest quiet of each of the
// last fourteen days that brought records. It is learnt from the times at which records reached the source, and
// measured by what was seen to be quiet: hours in which nobody read teach nothing.
type Rhythm struct {
	Began time.Time `json:"began"` // the first record
	Last  time.Time `json:"last"`  // when the newest reached the source
	Seen  time.Time `json:"seen"`  // up to when all had been seen, by the source's time
	Days  []Day     `json:"days,omitempty"`
}

// Day is the longest quiet that ended on one day.
type Day struct {
	Date  int64         `json:"date"` // days since 1970, UTC
	Quiet time.Duration `json:"quiet"`
}

func date(t time.Time) int64 { return t.Unix() / int64(day/time.Second) }

// Look takes what is known now: when the newest record reached the source, and up to when all has been seen. Older
// knowledge than it has changes nothing.
func (r *Rhythm) Look(newest, seen time.Time) {
	switch {
	case newest.IsZero():
		return
	case r.Last.IsZero():
		r.Began, r.Last, r.Days = newest, newest, []Day{{Date: date(newest)}}
	case newest.After(r.Last):
		until := newest
		if newest.Sub(r.Seen) > leastQuiet {
			until = r.Seen // nobody read in between: more may have come than the newest
		}
		r.learn(date(newest), max(until.Sub(r.Last), 0))
		r.Last = newest
	}
	if seen.After(r.Seen) {
		r.Seen = seen
	}
}

func (r *Rhythm) learn(date int64, quiet time.Duration) {
	if n := len(r.Days) - 1; n >= 0 && r.Days[n].Date == date {
		r.Days[n].Quiet = max(r.Days[n].Quiet, quiet)
		return
	}
	r.Days = append(r.Days, Day{Date: date, Quiet: quiet})
	for r.Days[0].Date <= date-keptDays {
		r.Days = r.Days[1:]
	}
}

// Restart forgets what was learnt: what comes from now on has another rhythm than what came before.
func (r *Rhythm) Restart() { r.Began, r.Days = r.Last, nil }

// Usual is the longest quiet that was learnt. ok says that enough has been: records on three days, over three days.
// Nothing may be concluded from the absence of what comes more seldom.
func (r Rhythm) Usual() (longest time.Duration, ok bool) {
	for _, d := range r.Days {
		longest = max(longest, d.Quiet)
	}
	return longest, len(r.Days) >= learntDays && r.Seen.Sub(r.Began) >= learntDays*day
}

// Allowed is how long it may be quiet: half as long again as it ever was, and never less than least or an hour.
func (r Rhythm) Allowed(least time.Duration) time.Duration {
	usual, _ := r.Usual()
	return max(usual+usual/2, least, leastQuiet)
}

// Quiet is how long it has been quiet, as far as was seen.
func (r Rhythm) Quiet() time.Duration { return max(r.Seen.Sub(r.Last), 0) }

// Silent says that it has been quiet for longer than is allowed.
func (r Rhythm) Silent(least time.Duration) bool {
	_, learnt := r.Usual()
	return learnt && r.Quiet() > r.Allowed(least)
}
