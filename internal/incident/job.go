package incident

import "fmt"

// Job is a message on STEPS: run this round of this step now. It is derived from INCIDENTS; who gets it folds the
// incident again before believing it.
type Job struct {
	Subject string `json:"subject"`
	Number  uint64 `json:"number"`
	Ref
	Attempt int    `json:"attempt"` // how often it had been tried when the job was derived
	Action  string `json:"action"`
	Verify  bool   `json:"verify,omitempty"` // done, but not yet read back
	// Approved says that a person has said yes: another job than the one upon which the worker asked for him.
	Approved bool `json:"approved,omitempty"`
}

// ID is the same for the same work, however often it is derived.
func (j Job) ID() string {
	return fmt.Sprintf("%d/%s/%d/%d/%t/%t", j.Number, j.Place, j.Round, j.Attempt, j.Verify, j.Approved)
}
