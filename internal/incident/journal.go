package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"cordon/internal/bus"
	"github.com/nats-io/nuid"
)

// The types of events in AUDIT that announce a change of Cordon's own outside any incident, and what came of it. The
// data is that of a step: StartedData, FinishedData.
const (
	CanarySent   = "canary.sent"
	CanaryDone   = "canary.done"
	CanaryFailed = "canary.failed"
)

// Journal puts an act outside any incident on the record: e is appended to the subject in AUDIT, behind what is the
// last there. It returns once the event is stored.
func Journal(ctx context.Context, b *bus.Bus, subject string, e Event) error {
	for {
		last, err := b.Last(ctx, bus.Audit, subject)
		if err != nil {
			return fmt.Errorf("journalling %s: %w", e.Type, err)
		}
		expect := uint64(0)
		e.ID, e.Prev = nuid.Next(), ""
		if last != nil {
			e.Prev, expect = Hash(last.Data), last.Sequence
		}
		data, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("encoding %s: %w", e.Type, err)
		}
		_, err = b.Publish(ctx, bus.Message{Subject: subject, Data: data, ExpectLast: &expect})
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, bus.ErrConflict):
			return fmt.Errorf("journalling %s: %w", e.Type, err)
		}
	}
}
