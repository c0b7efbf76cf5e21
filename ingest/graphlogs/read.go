package graphlogs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"cordon/ingest"
)

// cursor is where a log is asked next.
type cursor struct {
	// Until is the time before which everything has been read, and nothing more is expected.
	Until time.Time `json:"until"`
}

// reader reads one log.
type reader struct {
	*Poller
	Log
	top int // objects a page, less where they were too large
}

// read asks for one span after the other, then for what is new, until something fails. works is called after each
// span that has been stored.
func (r *reader) read(ctx context.Context, works func()) error {
	partition, err := r.partition(ctx, r.cfg.Name(), r.Name)
	if err != nil {
		return err
	}
	for {
		caughtUp, err := r.span(ctx, partition)
		if err != nil {
			return fmt.Errorf("reading %s: %w", r.Name, err)
		}
		works()
		if !caughtUp {
			continue
		}
		r.top = r.Top
		pause := r.Every
		if r.cfg.Every > 0 {
			pause = r.cfg.Every
		}
		if err := r.sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// span reads one span of time and stores it.
func (r *reader) span(ctx context.Context, partition *ingest.Partition) (caughtUp bool, err error) {
	var at cursor
	if err := partition.Cursor(&at); err != nil {
		return false, err
	}
	now := r.clock.Now().UTC().Truncate(time.Second) // a filter's time has whole seconds
	from := at.Until.UTC()
	if at.Until.IsZero() {
		from = now.Add(-r.cfg.Since)
	}
	if from.After(now) {
		from = now // the clock has gone back
	}
	to := now
	if end := from.Add(r.Overlap + r.Slice); end.Before(now) {
		to = end
	}
	next := now.Add(-r.Overlap)
	if to.Before(next) {
		next = to
	}
	if next.Before(from) {
		next = from
	}
	before, err := json.Marshal(at)
	if err != nil {
		return false, fmt.Errorf("encoding the cursor: %w", err)
	}
	behind, err := json.Marshal(cursor{next})
	if err != nil {
		return false, fmt.Errorf("encoding the cursor: %w", err)
	}
	pages := r.graphPages
	if r.PartnerCenter {
		pages = r.partnerPages
	}
	err = pages(ctx, from, to, func(items []json.RawMessage, last bool) error {
		page := ingest.Page{Cursor: before, Keep: from.Add(-r.Lag)}
		if partition.At().Seen.IsZero() {
			page.Seen = from // what came before nobody asks for
		}
		for _, item := range items {
			page.Records = append(page.Records, r.wrap(r.cfg.Tenant, item))
		}
		if last {
			page.Cursor, page.Seen, page.CaughtUp = behind, to, to.Equal(now)
		}
		return partition.StorePage(ctx, page)
	})
	return to.Equal(now), err
}

// visit takes one page's objects, in the order in which they came; last says that it is the span's last page.
type visit func(items []json.RawMessage, last bool) error

// filterTime is how a filter writes a time.
const filterTime = "2006-01-02T15:04:05Z"

// graphPages asks Graph for what lies between two times, both included.
func (r *reader) graphPages(ctx context.Context, from, to time.Time, store visit) error {
	filter := fmt.Sprintf("%s ge %s and %s le %s", r.TimeField, from.UTC().Format(filterTime), r.TimeField, to.UTC().Format(filterTime))
	if r.Where != "" {
		filter += " and " + r.Where
	}
	query := url.Values{"$filter": {filter}}
	if r.Ordered {
		query.Set("$orderby", r.TimeField+" asc")
	}
	if r.top > 0 {
		query.Set("$top", strconv.Itoa(r.top))
	}
	return r.chain(ctx, r.client.first(r.Path, query), store)
}

// mostPages ends a chain of pages that leads nowhere: at 500 objects each, five million.
const mostPages = 10_000

// chain reads pages until there is no next one.
func (p *Poller) chain(ctx context.Context, address string, store visit) error {
	for range mostPages {
		var data []byte
		err := p.ask(ctx, p.graph, func(ctx context.Context) (err error) {
			data, err = p.client.send(ctx, http.MethodGet, address, nil)
			return err
		})
		if err != nil {
			return err
		}
		items, next, err := decodePage(data)
		if err != nil {
			return err
		}
		if next == address {
			return errors.New("the next page is said to be the same one")
		}
		if next != "" {
			if err := p.client.same(next); err != nil {
				return err
			}
		}
		if err := store(items, next == ""); err != nil {
			return err
		}
		if next == "" {
			return nil
		}
		address = next
	}
	return fmt.Errorf("the answer has more than %d pages", mostPages)
}
