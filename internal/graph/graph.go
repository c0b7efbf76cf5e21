// Package graph reaches Microsoft Graph through sub-packages of msgraph-sdk-go over one core adapter; the SDK's
// root package would cost minutes of build. Retries belong to the worker, so no middleware of the SDK retries.
package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"cordon/internal/fault"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoft/kiota-abstractions-go/serialization"
	khttp "github.com/microsoft/kiota-http-go"
	kjson "github.com/microsoft/kiota-serialization-json-go"
	core "github.com/microsoftgraph/msgraph-sdk-go-core"
	"github.com/microsoftgraph/msgraph-sdk-go/applications"
	"github.com/microsoftgraph/msgraph-sdk-go/identityprotection"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/models/odataerrors"
	"github.com/microsoftgraph/msgraph-sdk-go/oauth2permissiongrants"
	"github.com/microsoftgraph/msgraph-sdk-go/policies"
	"github.com/microsoftgraph/msgraph-sdk-go/rolemanagement"
	"github.com/microsoftgraph/msgraph-sdk-go/serviceprincipals"
	"github.com/microsoftgraph/msgraph-sdk-go/subscribedskus"
	"github.com/microsoftgraph/msgraph-sdk-go/tenantrelationships"
	"github.com/microsoftgraph/msgraph-sdk-go/users"
)

// PublicURL is Graph's base URL in the public cloud.
const PublicURL = "https://graph.microsoft.com/v1.0"

// answerWithin bounds one call, in the service and on the wire.
const answerWithin = 30 * time.Second

// Client calls Graph in one tenant.
type Client struct {
	adapter *core.GraphRequestAdapterBase
	path    map[string]string
}

var jsonOnce sync.Once

// New returns a client for one tenant: base is Graph's URL with the version, credential the identity in it.
func New(base string, credential azcore.TokenCredential) (*Client, error) {
	jsonOnce.Do(func() { // the SDK's root package would do this
		abstractions.RegisterDefaultSerializer(func() serialization.SerializationWriterFactory { return kjson.NewJsonSerializationWriterFactory() })
		abstractions.RegisterDefaultDeserializer(func() serialization.ParseNodeFactory { return kjson.NewJsonParseNodeFactory() })
	})
	web := khttp.GetDefaultClient(khttp.NewParametersNameDecodingHandler(), priority{})
	web.Timeout = answerWithin
	scope := PublicURL
	if host, ok := strings.CutPrefix(base, "https://"); ok {
		host, _, _ = strings.Cut(host, "/")
		scope = "https://" + host
	}
	scope = strings.TrimSuffix(scope, "/v1.0") + "/.default"
	adapter, err := core.NewGraphRequestAdapterBaseWithParseNodeFactoryAndSerializationWriterFactoryAndHttpClient(
		authenticator{credential, scope}, core.GraphClientOptions{}, nil, nil, web)
	if err != nil {
		return nil, fmt.Errorf("building the Graph client: %w", err)
	}
	adapter.SetBaseUrl(strings.TrimSuffix(base, "/"))
	return &Client{adapter: adapter, path: map[string]string{"baseurl": adapter.GetBaseUrl()}}, nil
}

// authenticator hands tokens of an Azure credential to the adapter, and a claims challenge back to the credential.
type authenticator struct {
	credential azcore.TokenCredential
	scope      string
}

func (a authenticator) AuthenticateRequest(ctx context.Context, r *abstractions.RequestInformation, extra map[string]interface{}) error {
	claims, _ := extra["claims"].(string)
	token, err := a.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{a.scope}, EnableCAE: true, Claims: claims})
	if err != nil {
		return &fault.Fault{Class: fault.Forbidden, Service: "Entra", Message: "getting a token: " + err.Error()}
	}
	r.Headers.Add("Authorization", "Bearer "+token.Token)
	return nil
}

// priority asks Graph to drop others' calls before ours when the tenant is throttled.
type priority struct{}

func (priority) Intercept(p khttp.Pipeline, index int, r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		r.Header.Set("x-ms-throttle-priority", "high")
	}
	return p.Next(r, index)
}

// The request builders of the sub-packages that Cordon uses.

func (c *Client) Users() *users.UsersRequestBuilder {
	return users.NewUsersRequestBuilderInternal(c.path, c.adapter)
}

func (c *Client) ServicePrincipals() *serviceprincipals.ServicePrincipalsRequestBuilder {
	return serviceprincipals.NewServicePrincipalsRequestBuilderInternal(c.path, c.adapter)
}

func (c *Client) Applications() *applications.ApplicationsRequestBuilder {
	return applications.NewApplicationsRequestBuilderInternal(c.path, c.adapter)
}

func (c *Client) Grants() *oauth2permissiongrants.Oauth2PermissionGrantsRequestBuilder {
	return oauth2permissiongrants.NewOauth2PermissionGrantsRequestBuilderInternal(c.path, c.adapter)
}

func (c *Client) Policies() *policies.PoliciesRequestBuilder {
	return policies.NewPoliciesRequestBuilderInternal(c.path, c.adapter)
}

func (c *Client) IdentityProtection() *identityprotection.IdentityProtectionRequestBuilder {
	return identityprotection.NewIdentityProtectionRequestBuilderInternal(c.path, c.adapter)
}

func (c *Client) Roles() *rolemanagement.DirectoryRequestBuilder {
	return rolemanagement.NewRoleManagementRequestBuilderInternal(c.path, c.adapter).Directory()
}

// Members are the first page of who is in a group, at any depth. The SDK's package of groups is left out for this one call:
// it is its largest.
func (c *Client) Members(ctx context.Context, group string) (models.DirectoryObjectCollectionResponseable, error) {
	info := abstractions.NewRequestInformation()
	info.Method, info.UrlTemplate = abstractions.GET, "{+baseurl}/groups/{group}/transitiveMembers?%24top=999"
	info.PathParameters = map[string]string{"baseurl": c.adapter.GetBaseUrl(), "group": group}
	info.Headers.Add("Accept", "application/json")
	page, err := c.adapter.Send(ctx, info, models.CreateDirectoryObjectCollectionResponseFromDiscriminatorValue, abstractions.ErrorMappings{"XXX": odataerrors.CreateODataErrorFromDiscriminatorValue})
	if err != nil {
		return nil, Fault(err)
	}
	members, ok := page.(models.DirectoryObjectCollectionResponseable)
	if !ok {
		return nil, fmt.Errorf("reading the members of group %s: the answer is no list of objects", group)
	}
	return members, nil
}

func (c *Client) Relationships() *tenantrelationships.DelegatedAdminRelationshipsRequestBuilder {
	return tenantrelationships.NewTenantRelationshipsRequestBuilderInternal(c.path, c.adapter).DelegatedAdminRelationships()
}

func (c *Client) Skus() *subscribedskus.SubscribedSkusRequestBuilder {
	return subscribedskus.NewSubscribedSkusRequestBuilderInternal(c.path, c.adapter)
}

// Request is one call as planned: what is shown to an approver is what is sent.
type Request struct {
	info *abstractions.RequestInformation
	c    *Client
	gone bool
}

// Plan makes a request of what an SDK builder's To…RequestInformation returns.
func (c *Client) Plan(info *abstractions.RequestInformation, err error) (Request, error) {
	if err != nil {
		return Request{}, fmt.Errorf("building a request: %w", err)
	}
	return Request{info: info, c: c}, nil
}

// GoneIsDone takes "not found" for success: what was to be removed is not there.
func (r Request) GoneIsDone() Request {
	r.gone = true
	return r
}

// Send makes the call. The error is a *fault.Fault where the service answered.
func (r Request) Send(ctx context.Context) error {
	err := Fault(r.c.adapter.SendNoContent(ctx, r.info, abstractions.ErrorMappings{"XXX": odataerrors.CreateODataErrorFromDiscriminatorValue}))
	if err != nil && r.gone && fault.Of(err) == fault.NotFound {
		return nil
	}
	return err
}

// String shows the call as it goes over the wire; secrets are left out.
func (r Request) String() string {
	uri := "?"
	if u, err := r.info.GetUri(); err == nil {
		uri = strings.TrimPrefix(u.String(), r.c.adapter.GetBaseUrl())
	}
	s := r.info.Method.String() + " " + uri
	if len(r.info.Content) == 0 {
		return s
	}
	var body any
	if json.Unmarshal(r.info.Content, &body) != nil {
		return s
	}
	shown, err := json.Marshal(redact(body))
	if err != nil {
		return s
	}
	return s + " " + string(shown)
}

func redact(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if strings.EqualFold(key, "password") || strings.EqualFold(key, "secretText") {
				v[key] = "(random, kept nowhere)"
				continue
			}
			v[key] = redact(inner)
		}
	case []any:
		for i := range v {
			v[i] = redact(v[i])
		}
	}
	return v
}

// Fault classifies an error of the SDK.
func Fault(err error) error {
	if err == nil {
		return nil
	}
	var classified *fault.Fault
	if errors.As(err, &classified) {
		return err
	}
	var netErr net.Error
	if errors.Is(err, context.Canceled) || errors.As(err, &netErr) {
		return &fault.Fault{Class: fault.Retryable, Service: "Graph", Message: err.Error()}
	}
	var odata *odataerrors.ODataError
	if errors.As(err, &odata) {
		f := &fault.Fault{Class: fault.ByStatus(odata.ResponseStatusCode), Service: "Graph", Status: odata.ResponseStatusCode, Message: "no message"}
		if main := odata.GetErrorEscaped(); main != nil {
			f.Code, f.Message = deref(main.GetCode()), deref(main.GetMessage())
			if inner := main.GetInnerError(); inner != nil {
				f.Request = deref(inner.GetRequestId())
			}
		}
		f.After = wait(odata.ResponseHeaders)
		return f
	}
	var api *abstractions.ApiError
	if errors.As(err, &api) {
		return &fault.Fault{Class: fault.ByStatus(api.ResponseStatusCode), Service: "Graph", Status: api.ResponseStatusCode, Message: api.Error(), After: wait(api.ResponseHeaders)}
	}
	return err
}

func wait(h *abstractions.ResponseHeaders) time.Duration {
	if h == nil {
		return 0
	}
	for _, v := range h.Get("Retry-After") {
		return fault.RetryAfter(v, time.Now())
	}
	return 0
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Each visits every item of a collection, over all its pages.
func Each[T serialization.Parsable](ctx context.Context, c *Client, first any, create serialization.ParsableFactory, visit func(T)) error {
	pages, err := core.NewPageIterator[T](first, c.adapter, create)
	if err != nil {
		return fmt.Errorf("reading pages: %w", err)
	}
	if err := pages.Iterate(ctx, func(item T) bool { visit(item); return true }); err != nil {
		return Fault(err)
	}
	return nil
}
