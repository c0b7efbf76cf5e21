package graphlogs

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"cordon/ingest"
	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/record"
	"go.uber.org/zap"
)

// searchWithin bounds one search: Graph takes minutes for it, sometimes hours.
const searchWithin = 12 * time.Hour

// Ask puts a search of a tenant on record; the poller of that tenant, whichever instance runs it, makes it, also after
// a restart. Asked for again, a search that is under way or done is left alone.
func Ask(ctx context.Context, b *bus.Bus, c clock.Clock, tenant string, s Search) error {
	source := ingest.Source{Name: Config{Tenant: tenant}.searches(), Tenants: []string{tenant}, Clock: c, Aside: true}
	partition, asked, err := ingest.Open(ctx, b, source, s.Name())
	if err != nil || asked {
		return err
	}
	raw, err := json.Marshal(searched{Search: s})
	if err != nil {
		return fmt.Errorf("encoding a search: %w", err)
	}
	return partition.StorePage(ctx, ingest.Page{Cursor: raw})
}

// makeSearches makes the searches that were asked for, one after the other, until ctx ends.
func (p *Poller) makeSearches(ctx context.Context) {
	for ctx.Err() == nil {
		open, err := p.openSearches(ctx)
		if err != nil && ctx.Err() == nil {
			p.log.Warn("looking for searches; trying again", zap.Error(err))
		}
		for _, s := range open {
			within, cancel := context.WithTimeout(ctx, searchWithin)
			found, err := p.Search(within, s)
			cancel()
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				p.log.Warn("searching the unified audit log; trying again", zap.String("user", s.User), zap.Error(err))
			default:
				p.log.Info("searched the unified audit log", zap.String("user", s.User), zap.Int64("records", found))
			}
		}
		_ = p.sleep(ctx, p.pace.searches) // only ctx ends it early
	}
}

// openSearches are those that were asked for and are not done.
func (p *Poller) openSearches(ctx context.Context) ([]Search, error) {
	root := strings.TrimSuffix(bus.CheckpointSubject(p.cfg.searches(), "x"), "x")
	subjects, err := p.bus.Subjects(ctx, bus.Logs, root+"*")
	if err != nil {
		return nil, err
	}
	var open []Search
	for subject := range subjects {
		msg, err := p.bus.Last(ctx, bus.Logs, subject)
		if err != nil {
			return nil, err
		}
		var at record.Checkpoint
		var cursor searched
		if msg == nil || json.Unmarshal(msg.Data, &at) != nil || json.Unmarshal(at.Cursor, &cursor) != nil {
			continue // none of ours
		}
		if !cursor.Done && cursor.Search.User != "" {
			open = append(open, cursor.Search)
		}
	}
	return open, nil
}
