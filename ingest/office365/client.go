package office365

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"cordon/internal/clock"
	"cordon/internal/fault"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

const (
	service      = "Office 365"
	answerWithin = 2 * time.Minute
	maxListing   = 16 << 20
	maxBlob      = 64 << 20
	maxRefusal   = 64 << 10
	tries        = 3
	throttledFor = 30 * time.Second // where a 429 does not say for how long
)

// The service's own codes that say more than their HTTP status. AF20024 is in no table of the reference; the service
// answers with it where a start would change nothing (unconfirmed).
const (
	codePermission   = "AF10001"
	codeBadWebhook   = "AF20021"
	codeNoneStarted  = "AF20022"
	codeDisabled     = "AF20023"
	codeStarted      = "AF20024"
	codeNoContent    = "AF20050"
	codeExpired      = "AF20051"
	codeBadContentID = "AF20052"
	codeThrottled    = "AF429"
)

// client calls one tenant's feed. Whatever address the service answers with, the token goes to the configured host
// alone.
type client struct {
	base       *url.URL
	feed       string // path of the tenant's feed
	tenant     string
	publisher  string
	scope      string
	credential azcore.TokenCredential
	clock      clock.Clock
	web        *http.Client
	transport  *http.Transport
	retry      time.Duration

	mu        sync.Mutex
	notBefore time.Time // on the wall: the service has asked to be left alone until then
}

func newClient(base *url.URL, cfg Config, c clock.Clock) *client {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 2 * concurrent,
		IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 15 * time.Second, ResponseHeaderTimeout: time.Minute}
	return &client{base: &url.URL{Scheme: base.Scheme, Host: base.Host}, feed: "/api/v1.0/" + cfg.Tenant + "/activity/feed/", tenant: cfg.Tenant,
		publisher: cfg.Publisher, scope: cfg.Scope, credential: cfg.Credential, clock: c, transport: transport, retry: time.Second,
		web: &http.Client{Transport: transport, Timeout: answerWithin,
			// A redirection would carry the token away; its answer is a refusal.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (c *client) close() { c.transport.CloseIdleConnections() }

// operation is the address of one of the feed's operations.
func (c *client) operation(name string, query url.Values) *url.URL {
	return &url.URL{Scheme: c.base.Scheme, Host: c.base.Host, Path: c.feed + name, RawQuery: query.Encode()}
}

// own reads an address that the service has named. It must be this tenant's feed on the configured host: another
// would be sent our token.
func (c *client) own(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the address cannot be read")
	}
	if u.Scheme != c.base.Scheme || !strings.EqualFold(u.Host, c.base.Host) || u.User != nil || u.Opaque != "" {
		return nil, fmt.Errorf("the address is on %q and not on %q", clip(u.Scheme+"://"+u.Host), c.base)
	}
	// The version is written v1.0 and v1 in the reference's own samples.
	rest, ok := strings.CutPrefix(u.Path, "/api/")
	version, rest, _ := strings.Cut(rest, "/")
	tenant, rest, _ := strings.Cut(rest, "/")
	if !ok || version == "" || !strings.EqualFold(tenant, c.tenant) || !strings.HasPrefix(rest, "activity/feed/") || strings.Contains(u.Path, "/../") {
		return nil, errors.New("the address is not in this tenant's feed")
	}
	u.Fragment = ""
	return u, nil
}

// call asks, a few times where the service fails or is too busy.
func (c *client) call(ctx context.Context, method string, to *url.URL, body []byte, most int64) ([]byte, http.Header, error) {
	at := *to
	if query := at.Query(); c.publisher != "" && query.Get("PublisherIdentifier") == "" {
		query.Set("PublisherIdentifier", c.publisher)
		at.RawQuery = query.Encode()
	}
	wait := c.retry
	for try := 1; ; try++ {
		if err := c.hold(ctx); err != nil {
			return nil, nil, err
		}
		data, header, err := c.once(ctx, method, &at, body, most)
		if err == nil || ctx.Err() != nil {
			return data, header, err
		}
		class := fault.Of(err)
		if class == fault.Throttled {
			c.throttle(fault.Wait(err))
		}
		if class != fault.Throttled && class != fault.Retryable || errors.Is(err, errTooLarge) || try == tries {
			return nil, nil, err
		}
		if class == fault.Retryable {
			if err := sleep(ctx, max(wait, fault.Wait(err))); err != nil {
				return nil, nil, err
			}
			wait *= 2
		}
	}
}

// hold waits until the service wants to hear from us again.
func (c *client) hold(ctx context.Context) error {
	c.mu.Lock()
	wait := time.Until(c.notBefore)
	c.mu.Unlock()
	return sleep(ctx, wait)
}

func (c *client) throttle(wait time.Duration) {
	if wait <= 0 {
		wait = throttledFor
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if until := time.Now().Add(wait); until.After(c.notBefore) {
		c.notBefore = until
	}
}

func sleep(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errTooLarge = errors.New("the answer is larger than any that is read")

func (c *client) once(ctx context.Context, method string, to *url.URL, body []byte, most int64) ([]byte, http.Header, error) {
	token, err := c.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{c.scope}})
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		return nil, nil, &fault.Fault{Class: fault.Forbidden, Service: "Entra", Message: "getting a token for Office 365: " + clip(err.Error())}
	}
	r, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("building a request: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+token.Token)
	r.Header.Set("Accept", "application/json")
	if body != nil {
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	answer, err := c.web.Do(r)
	if err != nil {
		return nil, nil, &fault.Fault{Class: fault.Retryable, Service: service, Message: "calling: " + clip(err.Error())}
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		data, _ := io.ReadAll(io.LimitReader(answer.Body, maxRefusal)) // a refusal without its words is one still
		return nil, nil, c.refusal(answer, data)
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, most+1))
	if err != nil {
		return nil, nil, &fault.Fault{Class: fault.Retryable, Service: service, Message: "reading the answer: " + err.Error()}
	}
	if int64(len(data)) > most {
		return nil, nil, errTooLarge
	}
	return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), answer.Header, nil
}

// refusal reads what the service says. Its codes come first: which HTTP status stands beside them is not documented.
func (c *client) refusal(answer *http.Response, data []byte) error {
	f := &fault.Fault{Class: fault.ByStatus(answer.StatusCode), Service: service, Status: answer.StatusCode,
		Message: http.StatusText(answer.StatusCode), After: fault.RetryAfter(answer.Header.Get("Retry-After"), c.clock.Now())}
	var body struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), &body) == nil && body.Error.Code != "" { // a gateway's page says nothing of use
		f.Code, f.Message = clip(body.Error.Code), clip(body.Error.Message)
	}
	switch f.Code {
	case codePermission:
		f.Class = fault.Forbidden
	case codeThrottled:
		f.Class = fault.Throttled
	case codeNoContent, codeExpired, codeBadContentID:
		f.Class = fault.NotFound
	case codeNoneStarted, codeDisabled, codeStarted, codeBadWebhook:
		f.Class = fault.Permanent // what to do about them is told by the code
	}
	if f.Class == fault.Forbidden {
		f.Message += " (Cordon's application needs the permission ActivityFeed.Read of Office 365 Management APIs, with an administrator's consent, and the tenant's unified audit log switched on)"
	}
	return f
}

// code is the service's own code in an error, "" where it has none.
func code(err error) string {
	var f *fault.Fault
	if errors.As(err, &f) {
		return f.Code
	}
	return ""
}

// clip keeps somebody else's words short, and on one line.
func clip(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, s)
	if len(s) > 300 {
		return s[:300] + "…"
	}
	return s
}
