package office365

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"cordon/internal/record"
)

// maxPages bounds one listing; a service that names ever another page would hold the reader for ever.
const maxPages = 10_000

// item is one blob in a listing.
type item struct {
	id      string
	uri     string
	created time.Time
	raw     json.RawMessage // as it was listed
	wrong   error           // why it cannot be fetched
}

// readListing reads a page of a listing. An item that cannot be read stands among the others with its reason: it must
// not hold them up, and must not be forgotten.
func readListing(data []byte) ([]item, error) {
	var raws []json.RawMessage
	if err := json.Unmarshal(data, &raws); err != nil {
		return nil, fmt.Errorf("reading a listing: %w", err)
	}
	items := make([]item, 0, len(raws))
	for _, raw := range raws {
		var listed struct {
			ContentID      string `json:"contentId"`
			ContentURI     string `json:"contentUri"`
			ContentCreated string `json:"contentCreated"`
		}
		it := item{raw: raw}
		if err := json.Unmarshal(raw, &listed); err != nil {
			it.wrong = fmt.Errorf("reading a listed item: %w", err)
		}
		it.id, it.uri = listed.ContentID, listed.ContentURI
		var timed bool
		if it.created, timed = record.ParseTime(listed.ContentCreated); it.wrong == nil && (it.id == "" || it.uri == "" || !timed) {
			it.wrong = errors.New("reading a listed item: it has no contentId, contentUri or contentCreated")
		}
		if it.id == "" {
			it.id = string(raw)
		}
		items = append(items, it)
	}
	return items, nil
}

// list returns what became available from a time until before another, at most a day later, each blob once, oldest
// first. The service takes whole seconds.
func (c *client) list(ctx context.Context, content string, from, to time.Time) ([]item, error) {
	const layout = "2006-01-02T15:04:05"
	at := c.operation("subscriptions/content", url.Values{"contentType": {content}, "startTime": {from.UTC().Format(layout)}, "endTime": {to.UTC().Format(layout)}})
	var all []item
	seen, asked := map[string]bool{}, map[string]bool{}
	for range maxPages {
		asked[at.String()] = true
		data, header, err := c.call(ctx, http.MethodGet, at, nil, maxListing)
		if err != nil {
			return nil, fmt.Errorf("listing content: %w", err)
		}
		items, err := readListing(data)
		if err != nil {
			return nil, err
		}
		for _, it := range items {
			if it.created.IsZero() {
				it.created = to // so that it is remembered for as long as it can be listed
			}
			if !seen[it.id] {
				seen[it.id] = true
				all = append(all, it)
			}
		}
		next := header.Get("NextPageUri")
		if next == "" {
			slices.SortStableFunc(all, func(a, b item) int {
				if d := a.created.Compare(b.created); d != 0 {
					return d
				}
				return strings.Compare(a.id, b.id)
			})
			return all, nil
		}
		if at, err = c.own(next); err != nil {
			return nil, fmt.Errorf("following NextPageUri: %w", err)
		}
		if asked[at.String()] {
			return nil, errors.New("following NextPageUri: it leads in a circle")
		}
	}
	return nil, fmt.Errorf("listing content: there are more than %d pages", maxPages)
}
