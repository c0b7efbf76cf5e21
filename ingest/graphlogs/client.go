package graphlogs

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
	"time"

	"cordon/internal/fault"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

const (
	answerWithin = 100 * time.Second // sign-ins of a busy hour are slow to come
	maxAnswer    = 32 << 20
	maxRefusal   = 64 << 10
)

// errTooLarge says that a page must be asked for in smaller ones.
var errTooLarge = errors.New("the answer is larger than a page may be")

// client sends raw requests to Graph: the SDK would take the objects apart, and the log keeps them as they came.
type client struct {
	base       *url.URL
	scope      string
	credential azcore.TokenCredential
	web        *http.Client
	most       int64 // bytes of one answer
}

// newClient takes Graph's URL without a version.
func newClient(base string, credential azcore.TokenCredential) (*client, error) {
	u, err := url.Parse(strings.TrimSuffix(base, "/"))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.User != nil {
		return nil, errors.New("reading Graph's URL: it must be https://host, with no version behind it")
	}
	scope := "https://graph.microsoft.com/.default" // the simulator's tokens name the public cloud
	if u.Scheme == "https" {
		scope = "https://" + u.Host + "/.default"
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 2
	return &client{base: u, scope: scope, credential: credential, most: maxAnswer, web: &http.Client{
		Timeout: answerWithin, Transport: transport,
		// A token goes to the host that was configured, and is carried nowhere else by an answer.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// first is the address of a question's first page.
func (c *client) first(path string, query url.Values) string {
	address := c.base.String() + "/" + path
	if len(query) > 0 {
		address += "?" + strings.ReplaceAll(query.Encode(), "+", "%20")
	}
	return address
}

// same says whether an address that an answer gave is one that the token may be sent to.
func (c *client) same(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("the next page's address cannot be read")
	}
	if u.Scheme != c.base.Scheme || !strings.EqualFold(u.Host, c.base.Host) || u.User != nil {
		return fmt.Errorf("the next page is said to be at %s://%.100s, not at %s://%s: not followed", u.Scheme, u.Host, c.base.Scheme, c.base.Host)
	}
	return nil
}

// send makes one request and returns the answer's body. The error is a *fault.Fault where the service answered.
func (c *client) send(ctx context.Context, method, address string, body []byte) ([]byte, error) {
	if err := c.same(address); err != nil {
		return nil, err
	}
	// No continuous access evaluation: a token of an hour is never challenged, and nothing is changed with it.
	token, err := c.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{c.scope}})
	if err != nil {
		return nil, tokenFault(err)
	}
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("building a request: the address cannot be used")
	}
	r.Header.Set("Authorization", "Bearer "+token.Token)
	r.Header.Set("Accept", "application/json")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.web.Do(r)
	if err != nil {
		var inner *url.Error // its text repeats the address, whose $skiptoken is nobody's business
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return nil, &fault.Fault{Class: fault.Retryable, Service: "Graph", Message: "calling: " + err.Error()}
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return nil, refusal(answer)
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, c.most+1))
	if err != nil {
		return nil, &fault.Fault{Class: fault.Retryable, Service: "Graph", Message: "reading the answer: " + err.Error()}
	}
	if int64(len(data)) > c.most {
		return nil, fmt.Errorf("%w: more than %d bytes", errTooLarge, c.most)
	}
	return data, nil
}

// tokenFault tells a refusal, which a person must mend, from a service that could not be reached.
func tokenFault(err error) error {
	f := &fault.Fault{Class: fault.Retryable, Service: "Entra", Message: "getting a token: " + clip(err.Error())}
	var refused *azidentity.AuthenticationFailedError
	if errors.As(err, &refused) && refused.RawResponse != nil && refused.RawResponse.StatusCode/100 == 4 && refused.RawResponse.StatusCode != http.StatusTooManyRequests {
		f.Class = fault.Forbidden
	}
	return f
}

func refusal(answer *http.Response) error {
	f := &fault.Fault{Class: fault.ByStatus(answer.StatusCode), Service: "Graph", Status: answer.StatusCode, Message: http.StatusText(answer.StatusCode),
		Request: clip(answer.Header.Get("request-id")), After: fault.RetryAfter(answer.Header.Get("Retry-After"), time.Now())}
	var body struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxRefusal))
	if err == nil && json.Unmarshal(data, &body) == nil && body.Error.Message != "" { // a gateway's page says nothing of use
		f.Code, f.Message = clip(body.Error.Code), clip(body.Error.Message)
	}
	return f
}

func clip(s string) string {
	if len(s) > 300 {
		return strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}

// decodePage takes an answer apart: its objects as they came, and the address of the next page, "" where there is none.
func decodePage(data []byte) (items []json.RawMessage, next string, err error) {
	var page struct {
		Value *[]json.RawMessage `json:"value"`
		Next  string             `json:"@odata.nextLink"`
	}
	if err := json.Unmarshal(data, &page); err != nil {
		return nil, "", fmt.Errorf("reading a page: %w", err)
	}
	if page.Value == nil {
		return nil, "", errors.New("reading a page: it has no value")
	}
	return *page.Value, page.Next, nil
}
