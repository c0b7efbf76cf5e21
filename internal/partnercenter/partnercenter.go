// Package partnercenter is a client for Partner Center's REST API: delegated admin privileges (DAP) can be removed
// there and nowhere else, with a token of a partner's user that has passed MFA (Secure Application Model). Its fraud
// events and audit records are read there too.
package partnercenter

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"cordon/internal/fault"
	"golang.org/x/oauth2"
)

// PublicURL is Partner Center's API in the public cloud.
const PublicURL = "https://api.partnercenter.microsoft.com"

const (
	answerWithin = 30 * time.Second
	maxAnswer    = 16 << 20 // a page of audit records, each with the resource before and after
)

// Config is a partner's access.
type Config struct {
	URL          string
	TokenURL     string
	ClientID     string
	ClientSecret string
	RefreshToken string // of a dedicated partner account, consented with MFA
}

// Client calls Partner Center as App+User.
type Client struct {
	url    string
	tokens oauth2.TokenSource
	web    *http.Client
}

// New returns a client; the refresh token is exchanged at the first call.
func New(cfg Config) *Client {
	web := &http.Client{Timeout: answerWithin}
	app := oauth2.Config{ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret,
		Scopes:   []string{PublicURL + "/user_impersonation", "offline_access"},
		Endpoint: oauth2.Endpoint{TokenURL: cfg.TokenURL, AuthStyle: oauth2.AuthStyleInParams}}
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, web)
	return &Client{url: strings.TrimSuffix(cfg.URL, "/"), web: web,
		tokens: app.TokenSource(ctx, &oauth2.Token{RefreshToken: cfg.RefreshToken})}
}

// Customer is what Partner Center says about a customer.
type Customer struct {
	ID                   string `json:"id"`
	AllowDelegatedAccess *bool  `json:"allowDelegatedAccess"`
	RelationshipTo       string `json:"relationshipToPartner"`
}

// Customer reads one customer; allowDelegatedAccess is only told when asking for one by id.
func (c *Client) Customer(ctx context.Context, id string) (Customer, error) {
	var out Customer
	err := c.call(ctx, http.MethodGet, "/v1/customers/"+url.PathEscape(id), nil, nil, &out)
	return out, err
}

// RemoveDAP is a planned call that switches delegated admin privileges off. request is the id under which Partner
// Center recognises a repetition: the same for every attempt at the same step.
func (c *Client) RemoveDAP(customer, request string) Request {
	return Request{c: c, path: "/v1/customers/" + url.PathEscape(customer), id: request,
		body: `{"AllowDelegatedAccess":false,"attributes":{"objectType":"Customer"}}`}
}

// Request is one call as planned.
type Request struct {
	c    *Client
	path string
	id   string
	body string
}

func (r Request) String() string { return "PATCH " + r.path + " " + r.body + " (Partner Center)" }

// Send makes the call.
func (r Request) Send(ctx context.Context) error {
	header := http.Header{}
	if r.id != "" {
		header.Set("MS-RequestId", r.id)
	}
	return r.c.call(ctx, http.MethodPatch, r.path, header, []byte(r.body), nil)
}

func (c *Client) call(ctx context.Context, method, path string, header http.Header, body []byte, into any) error {
	token, err := c.tokens.Token()
	if err != nil {
		return tokenFault(err)
	}
	if err := passedMFA(token.AccessToken); err != nil {
		return &fault.Fault{Class: fault.Forbidden, Service: "Partner Center", Message: err.Error()}
	}
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("building a request: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+token.AccessToken)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("MS-Contract-Version", "v1")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, values := range header {
		r.Header[name] = values
	}
	answer, err := c.web.Do(r)
	if err != nil {
		return &fault.Fault{Class: fault.Retryable, Service: "Partner Center", Message: "calling: " + err.Error()}
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return &fault.Fault{Class: fault.Retryable, Service: "Partner Center", Message: "reading the answer: " + err.Error()}
	}
	if len(data) > maxAnswer {
		return fmt.Errorf("reading Partner Center's answer: more than %d bytes", maxAnswer)
	}
	if answer.StatusCode/100 != 2 {
		return refusal(answer, data)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), into); err != nil {
		return fmt.Errorf("reading Partner Center's answer: %w", err)
	}
	return nil
}

func refusal(answer *http.Response, data []byte) error {
	f := &fault.Fault{Class: fault.ByStatus(answer.StatusCode), Service: "Partner Center", Status: answer.StatusCode,
		Message: http.StatusText(answer.StatusCode), Request: answer.Header.Get("MS-RequestId"),
		After: fault.RetryAfter(answer.Header.Get("Retry-After"), time.Now())}
	var body struct {
		Code        json.RawMessage `json:"code"`
		Description string          `json:"description"`
		Message     string          `json:"message"`
	}
	if json.Unmarshal(data, &body) == nil { // a gateway's page says nothing that we could use
		f.Code = strings.Trim(string(body.Code), `"`)
		if text := body.Description + body.Message; text != "" {
			f.Message = text
		}
	}
	return f
}

func tokenFault(err error) error {
	f := &fault.Fault{Class: fault.Retryable, Service: "Entra", Message: "getting a Partner Center token: " + err.Error()}
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response != nil {
		f.Status, f.Code = refused.Response.StatusCode, refused.ErrorCode
		f.Class = fault.ByStatus(f.Status)
		f.Message = "getting a Partner Center token: " + refused.ErrorDescription // the body may hold more than we may show
		if f.Status == http.StatusBadRequest {
			f.Class = fault.Forbidden // invalid_grant: the consent has lapsed
		}
	}
	return f
}

// passedMFA reads the token's amr claim: Partner Center refuses a token without mfa with a bare 401, so it is said
// here, in words. The signature is Partner Center's to check.
func passedMFA(token string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil // opaque: nothing to read
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	var claims struct {
		AMR []string `json:"amr"`
	}
	if json.Unmarshal(payload, &claims) != nil || slices.Contains(claims.AMR, "mfa") {
		return nil
	}
	return errors.New("the partner account's token was got without MFA: consent again with MFA (Secure Application Model)")
}
