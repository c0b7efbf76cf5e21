package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"cordon/detectors/ledger"
	"cordon/internal/console"
	"cordon/internal/letter"
	"cordon/internal/sources"
)

// replayTime is how long a replay of many letters may take: each is synced to disk.
const replayTime = 10 * time.Minute

const deadletters = "/api/v1/deadletters"

// Letters lists the dead letters that wait.
func (c *Client) Letters(ctx context.Context, f letter.Filter) (letter.Page, error) {
	q := url.Values{}
	if f.Source != "" {
		q.Set("source", f.Source)
	}
	if !f.Since.IsZero() {
		q.Set("since", f.Since.UTC().Format(time.RFC3339Nano))
	}
	if f.Limit > 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	var out letter.Page
	err := c.call(ctx, http.MethodGet, deadletters+"?"+q.Encode(), nil, &out)
	return out, err
}

// Letter returns one dead letter with its bytes.
func (c *Client) Letter(ctx context.Context, id string) (letter.Letter, error) {
	var out letter.Letter
	err := c.call(ctx, http.MethodGet, deadletters+"/"+url.PathEscape(id), nil, &out)
	return out, err
}

// Replay replays one dead letter, from other bytes where mended is not nil.
func (c *Client) Replay(ctx context.Context, id string, mended []byte) (letter.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, replayTime)
	defer cancel()
	var out letter.Outcome
	err := c.patiently(ctx, http.MethodPost, deadletters+"/"+url.PathEscape(id)+"/replay", console.Mended{Bytes: mended}, &out)
	return out, err
}

// ReplayAll replays every dead letter that a filter selects.
func (c *Client) ReplayAll(ctx context.Context, f letter.Filter) ([]letter.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, replayTime)
	defer cancel()
	var out []letter.Outcome
	err := c.patiently(ctx, http.MethodPost, deadletters+"/replay", f, &out)
	return out, err
}

// Rules shows what each rule has found lately, and what each exception has suppressed.
func (c *Client) Rules(ctx context.Context) (ledger.Report, error) {
	var out ledger.Report
	err := c.call(ctx, http.MethodGet, "/api/v1/rules", nil, &out)
	return out, err
}

// Sources shows how far each source has been read, and how full LOGS is.
func (c *Client) Sources(ctx context.Context) (sources.Report, error) {
	var out sources.Report
	err := c.call(ctx, http.MethodGet, "/api/v1/sources", nil, &out)
	return out, err
}
