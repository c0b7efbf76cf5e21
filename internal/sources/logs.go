package sources

import (
	"context"
	"time"

	"cordon/internal/bus"
	"go.uber.org/zap"
)

const (
	lookEvery = 15 * time.Second
	fullAt    = 0.80 // where the alarm is given
	clearAt   = 0.75 // where it ends: a stream at the brink must not give it again and again
)

// Logs is how full LOGS is. Full means that ingest waits, for nothing is dropped.
type Logs struct {
	Bytes    int64   `json:"bytes"`
	MaxBytes int64   `json:"maxBytes,omitempty"` // 0: without bound
	Ratio    float64 `json:"ratio"`
	Alarm    bool    `json:"alarm,omitempty"`
}

func (b *Board) logs(ctx context.Context) (Logs, error) {
	held, most, err := b.bus.Fill(ctx, bus.Logs)
	l := Logs{Bytes: held, MaxBytes: most}
	if most > 0 {
		l.Ratio = float64(held) / float64(most)
	}
	l.Alarm = l.Ratio >= fullAt
	return l, err
}

// watch says once in the log when LOGS crosses the mark, and again only after it has been well below it.
func (b *Board) watch(ctx context.Context) {
	tick := time.NewTicker(b.every)
	defer tick.Stop()
	alarmed := false
	for {
		l, err := b.logs(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			b.log.Warn("asking how full LOGS is", zap.Error(err))
		case l.Alarm && !alarmed:
			alarmed = true
			b.log.Warn("LOGS is filling up: when it is full, ingest waits; raise logs-max", zap.Int64("bytes", l.Bytes), zap.Int64("max", l.MaxBytes), zap.Float64("ratio", l.Ratio))
		case l.Ratio < clearAt:
			alarmed = false
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
