// Package fault classifies what goes wrong with a call to a service, so that the worker can decide what to do
// next without reading messages.
package fault

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// Class says what to do about a fault.
type Class string

// The classes.
const (
	Retryable Class = "retryable" // time may heal it: try again
	Throttled Class = "throttled" // try again, not before After
	Forbidden Class = "forbidden" // a permission or role is missing: a person must act
	NotFound  Class = "not found"
	Conflict  Class = "conflict"  // the state has changed meanwhile: read again
	Guarded   Class = "guardrail" // Cordon itself refuses
	Drifted   Class = "drifted"   // an undo would overwrite somebody's later change
	Permanent Class = "permanent"
)

// Fault is a service's refusal, with its own words.
type Fault struct {
	Class   Class
	Service string // Graph, Partner Center
	Status  int    // HTTP status, 0 where none came
	Code    string // the service's own
	Message string
	Request string        // the service's request id, for its support
	After   time.Duration // how long the service asks to wait; 0 where it says nothing
}

func (f *Fault) Error() string {
	s := f.Message
	if f.Code != "" {
		s = f.Code + ": " + s
	}
	if f.Status != 0 {
		s = fmt.Sprintf("%s answered %d: %s", f.Service, f.Status, s)
	}
	if f.Request != "" {
		s += " (request " + f.Request + ")"
	}
	return s
}

// Guard is a refusal by one of Cordon's guardrails.
func Guard(format string, args ...any) error {
	return &Fault{Class: Guarded, Message: fmt.Sprintf(format, args...)}
}

// Drift is the refusal of an undo.
func Drift(format string, args ...any) error {
	return &Fault{Class: Drifted, Message: fmt.Sprintf(format, args...)}
}

// Of returns an error's class; what no service classified may heal with time, as a broken connection does.
func Of(err error) Class {
	var f *Fault
	if errors.As(err, &f) {
		return f.Class
	}
	return Retryable
}

// Wait is how long a service asked to wait, 0 where it did not say.
func Wait(err error) time.Duration {
	var f *Fault
	if errors.As(err, &f) {
		return f.After
	}
	return 0
}

// ByStatus classifies an HTTP status.
func ByStatus(status int) Class {
	switch {
	case status == http.StatusTooManyRequests:
		return Throttled
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return Forbidden
	case status == http.StatusNotFound, status == http.StatusGone:
		return NotFound
	case status == http.StatusConflict, status == http.StatusPreconditionFailed:
		return Conflict
	case status == http.StatusRequestTimeout, status == http.StatusLocked, status >= 500 && status != http.StatusNotImplemented:
		return Retryable
	}
	return Permanent
}

// RetryAfter reads the header of that name: seconds, which Graph writes with a fraction ("2.128"), or a date.
func RetryAfter(value string, now time.Time) time.Duration {
	if s, err := strconv.ParseFloat(value, 64); err == nil && s > 0 && s < 86400 {
		return time.Duration(math.Ceil(s*1000)) * time.Millisecond
	}
	if t, err := http.ParseTime(value); err == nil && t.After(now) {
		return min(t.Sub(now), 24*time.Hour)
	}
	return 0
}
