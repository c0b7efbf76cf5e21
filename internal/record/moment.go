package record

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"cordon/internal/tape"
)

// The members that tell when something happened, the best first. Risk records have two more of their own.
var (
	times              = []tape.Name{nCreatedDateTime, nActivityDateTime}
	timesOfRisk        = []tape.Name{nActivityDateTime, nDetectedDateTime, nRiskLastUpdatedDateTime, nLastUpdatedDateTime, nCreatedDateTime}
	timesOfGraph       = []tape.Name{nTimeGenerated}
	timesOfDefender    = []tape.Name{cTimestamp}
	timesOfUnified     = []tape.Name{cCreationTime} // it bears no zone, and is UTC
	timesOfPartner     = []tape.Name{nFirstObservedDateTime, nEventTime, nOperationDate, nCreatedDateTime}
	timesOfTheEnvelope = []tape.Name{nTime, cTimeGenerated}
)

func timesOf(kind Kind) []tape.Name {
	switch kind {
	case KindRisk:
		return timesOfRisk
	case KindGraphActivity:
		return timesOfGraph
	case KindDefender:
		return timesOfDefender
	case KindUnifiedAudit:
		return timesOfUnified
	case KindPartner:
		return timesOfPartner
	}
	return times
}

// AheadAtMost is how far an event time may lie ahead of the time at which the record reached its source.
const AheadAtMost = 5 * time.Minute

// latest is what an int64 of nanoseconds can tell: windows are counted in them.
var latest = time.Unix(0, math.MaxInt64)

func (r *Record) setTime(kind Kind, d Defaults) error {
	seen, found := "", false
	for _, name := range timesOf(kind) {
		if found = r.takeTime(r.value(name), &seen); found {
			break
		}
	}
	for _, name := range timesOfTheEnvelope {
		if found {
			break
		}
		found = r.takeTime(find(r.root, name), &seen)
	}
	switch {
	case found:
	case !d.Enqueued.IsZero():
		r.Time = d.Enqueued.UTC()
	case !d.Assume.IsZero():
		r.Time = d.Assume.UTC()
	case seen != "":
		return fmt.Errorf("event time %q is in no form that Azure writes", clip(seen))
	default:
		return errors.New("no event time: neither createdDateTime, activityDateTime nor time")
	}
	if d.Enqueued.IsZero() && r.Time.After(latest) {
		if d.Assume.IsZero() {
			return fmt.Errorf("event time %s lies after %s, the last that windows can count with", r.Time.Format(time.RFC3339), latest.UTC().Format(time.RFC3339))
		}
		r.Time, r.Clamped = d.Assume.UTC(), true
	}
	if !d.Enqueued.IsZero() && r.Time.After(d.Enqueued.Add(AheadAtMost)) {
		r.Time, r.Clamped = d.Enqueued.UTC(), true
	}
	return nil
}

// takeTime takes a value for the event time, if it is one; seen is the last that was none.
func (r *Record) takeTime(v tape.Value, seen *string) bool {
	s := text(v)
	if s == "" {
		return false
	}
	t, ok := ParseTime(s)
	if ok {
		r.Time = t
	} else {
		*seen = s
	}
	return ok
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

// The forms of time that were seen in real records (domain notes, logs 4.2). No zone is UTC.
var (
	layouts = [...]string{
		time.RFC3339Nano,
		"2006-01-02T15:04:05.999999999",
		"2006-01-02 15:04:05.999999999",
		"2006-01-02 15:04:05.999999999Z07:00",
	}
	slashed = [...]string{
		"1/2/2006 3:04:05 PM",
		"1/2/2006 3:04:05 PM -07:00",
		"1/2/2006 15:04:05",
		"1/2/2006 15:04:05 -07:00",
	}
)

// ParseTime reads a time in any form that Azure is known to write.
func ParseTime(s string) (time.Time, bool) {
	s = strings.TrimSpace(s)
	if t, ok := plainTime(s); ok {
		return t, true
	}
	all := layouts[:]
	if at := strings.IndexByte(s, '/'); at == 1 || at == 2 {
		all = slashed[:]
	}
	for _, layout := range all {
		if t, err := time.Parse(layout, s); err == nil {
			if y := t.UTC().Year(); y < 1970 || y > 9998 {
				return time.Time{}, false // not a time that JSON or a query can carry
			}
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// plainTime reads what nearly all records have: 2006-01-02T15:04:05 with a point and up to nine digits or none, and Z
// or no zone. What it does not take may be a time in another form.
func plainTime(s string) (time.Time, bool) {
	if len(s) < 19 || s[4] != '-' || s[7] != '-' || s[10] != 'T' && s[10] != ' ' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, false
	}
	century, ok1 := twoDigits(s[0:])
	year, ok2 := twoDigits(s[2:])
	month, ok3 := twoDigits(s[5:])
	day, ok4 := twoDigits(s[8:])
	hour, ok5 := twoDigits(s[11:])
	minute, ok6 := twoDigits(s[14:])
	second, ok7 := twoDigits(s[17:])
	if year += century * 100; !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 || !ok7 ||
		year < 1970 || year > 9998 || month < 1 || month > 12 || day < 1 || day > 28 && day > daysIn(month, year) || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	rest, nanos := strings.TrimSuffix(s[19:], "Z"), 0
	if rest != "" {
		n, ok := digits(rest[1:])
		if !ok || rest[0] != '.' {
			return time.Time{}, false
		}
		nanos = n
		for range len(".123456789") - len(rest) {
			nanos *= 10
		}
	}
	return time.Unix(int64(days(year, month, day))*86_400+int64(hour*3600+minute*60+second), int64(nanos)).UTC(), true
}

// days counts those since 1970 began. A year begins in March here, so that a leap day is its last.
func days(year, month, day int) int {
	if month -= 3; month < 0 {
		year, month = year-1, month+12
	}
	return year*365 + year/4 - year/100 + year/400 + (month*153+2)/5 + day - 719_469
}

func twoDigits(s string) (n int, ok bool) {
	tens, ones := s[0]-'0', s[1]-'0'
	return int(tens)*10 + int(ones), tens <= 9 && ones <= 9
}

func daysIn(month, year int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}
