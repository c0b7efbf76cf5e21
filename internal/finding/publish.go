package finding

import (
	"context"
	"encoding/json"
	"fmt"

	"cordon/internal/bus"
)

// Publish puts findings on FINDINGS, in their order.
func Publish(ctx context.Context, b *bus.Bus, found []Finding) error {
	for _, f := range found {
		data, err := json.Marshal(f)
		if err != nil {
			return fmt.Errorf("encoding finding %s: %w", f.ID, err)
		}
		if _, err := b.Publish(ctx, bus.Message{Subject: bus.FindingSubject(f.Tenant), Data: data}); err != nil {
			return err
		}
	}
	return nil
}
