package partnercenter

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Page sizes. Fraud events are paged where size and number are both given; the most is unconfirmed for either.
const (
	fraudPage = 100
	auditPage = 50
)

// FraudEvents reads one page, counted from 1, of the fraud events of one status: Active, Investigating or Resolved, in
// the new events model, which has all types of alerts (learn.microsoft.com/partner-center/developer/get-fraud-events).
func (c *Client) FraudEvents(ctx context.Context, status string, page int) (items []json.RawMessage, more bool, err error) {
	query := url.Values{"EventStatus": {status}, "PageSize": {strconv.Itoa(fraudPage)}, "PageNumber": {strconv.Itoa(page)}}
	if err := c.call(ctx, http.MethodGet, "/v1/fraudEvents?"+query.Encode(), http.Header{"X-Neweventsmodel": {"true"}}, nil, &items); err != nil {
		return nil, false, fmt.Errorf("reading fraud events: %w", err)
	}
	return items, len(items) >= fraudPage, nil
}

// continuation is the header that names the next page.
const continuation = "MS-ContinuationToken"

// AuditRecords reads one page of a day's audit records; next is the token of the page behind it, "" where there is none.
// Partner Center keeps 90 days (learn.microsoft.com/partner-center/developer/get-a-record-of-partner-center-activity-by-user).
// Its pages are documented for other collections in this way, for audit records only in that they have a token.
func (c *Client) AuditRecords(ctx context.Context, day time.Time, token string) (items []json.RawMessage, next string, err error) {
	date := day.UTC().Format(time.DateOnly)
	query := url.Values{"startDate": {date}, "endDate": {date}, "size": {strconv.Itoa(auditPage)}}
	header := http.Header{}
	if token != "" {
		query.Set("seekOperation", "Next")
		header.Set(continuation, token)
	}
	var page struct {
		Items []json.RawMessage `json:"items"`
		Links struct {
			Next *struct {
				Headers []struct {
					Key   string `json:"key"`
					Value string `json:"value"`
				} `json:"headers"`
			} `json:"next"`
		} `json:"links"`
	}
	if err := c.call(ctx, http.MethodGet, "/v1/auditrecords?"+query.Encode(), header, nil, &page); err != nil {
		return nil, "", fmt.Errorf("reading audit records of %s: %w", date, err)
	}
	if page.Links.Next != nil { // its address is not followed: the token goes where it was
		for _, h := range page.Links.Next.Headers {
			if strings.EqualFold(h.Key, continuation) {
				next = h.Value
			}
		}
		if next == "" {
			return nil, "", fmt.Errorf("reading audit records of %s: there is a next page, and no token for it", date)
		}
	}
	return page.Items, next, nil
}
