package entra

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// App is the application that a token speaks for.
type App struct {
	AppID              string
	ServicePrincipalID string
	DisplayName        string
	Permissions        []string // Microsoft Graph application permissions
	Roles              []string // template ids of directory roles that its service principal holds
}

// Graph is Microsoft Graph for a few tenants: an http.Handler for /v1.0/… and for the logs below /beta/. A token says
// whose tenant it is.
type Graph struct {
	mu       sync.Mutex
	tenants  []*Tenant
	tokens   map[string]caller
	fail     func(*http.Request) (status int, code, retryAfter string, ok bool)
	pageSize int
	routes   []route
}

type caller struct {
	tenant *Tenant
	app    App
}

// NewGraph returns a Graph that serves the tenants.
func NewGraph(tenants ...*Tenant) *Graph {
	return &Graph{tenants: tenants, tokens: map[string]caller{}, pageSize: 100, routes: routes()}
}

// Allow registers a token of an application in a tenant. The service principal, its roles and its permissions are
// put into the directory too, where a preflight reads them; the directory decides afterwards, not this list.
func (g *Graph) Allow(token string, t *Tenant, app App) {
	if app.ServicePrincipalID == "" {
		app.ServicePrincipalID = StableGUID(t.id, "servicePrincipal", app.AppID)
	}
	t.mu.Lock()
	if t.principals.get(app.ServicePrincipalID) == nil {
		t.addServicePrincipal(ServicePrincipal{ID: app.ServicePrincipalID, AppID: app.AppID, DisplayName: app.DisplayName,
			AccountEnabled: true})
	}
	for _, r := range app.Roles {
		if !t.holds(app.ServicePrincipalID, r) {
			t.addRole(&t.assignments, app.ServicePrincipalID, r)
		}
	}
	for _, p := range app.Permissions {
		if !t.permitted(app.ServicePrincipalID, p) {
			t.addAppPermission(app.ServicePrincipalID, p)
		}
	}
	t.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tokens[token] = caller{t, app}
}

// permitted says whether a service principal has one of the application permissions. The caller has the lock.
func (t *Tenant) permitted(principalID string, any ...string) bool {
	return t.appRoles.find(func(a *AppRoleAssignment) bool {
		return strings.EqualFold(a.PrincipalID, principalID) && slices.Contains(any, a.Permission)
	}) != nil
}

// Fail injects faults: a function that says ok makes the request fail with its status, code and Retry-After (as it
// stands, "" for none) before anything is done. Nil ends it.
func (g *Graph) Fail(f func(r *http.Request) (status int, code, retryAfter string, ok bool)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fail = f
}

// SetPageSize bounds the pages of collections, so that paging is exercised; the default is 100.
func (g *Graph) SetPageSize(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pageSize = max(n, 1)
}

const (
	maxBody     = 1 << 20
	readTimeout = 10 * time.Second
)

// request is one call on its way through the routes.
type request struct {
	*http.Request
	tenant   *Tenant
	app      App
	key      []string // what stood for the braces of the route
	query    url.Values
	body     map[string]any
	pageSize int
	now      time.Time
}

// answer is what a route returns: a status and a JSON body, or none.
type answer struct {
	status int
	body   any
}

// route is one operation. Any one of the permissions is enough to come to do, which may ask for more.
type route struct {
	method      string
	path        string
	permissions []string
	do          func(*request) (answer, error)
}

// ServeHTTP answers one request.
func (g *Graph) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	fail, size := g.fail, g.pageSize
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	who, known := g.tokens[token]
	known = known && bearer && slices.Contains(g.tenants, who.tenant)
	g.mu.Unlock()
	if fail != nil {
		if status, code, retryAfter, ok := fail(r); ok {
			if retryAfter != "" {
				w.Header().Set("Retry-After", retryAfter)
			}
			reply(w, r, answer{status, errorBody(r, Refused{status, code, http.StatusText(status)})})
			return
		}
	}
	if !known {
		w.Header().Set("WWW-Authenticate", `Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"`)
		reply(w, r, answer{401, errorBody(r, Refused{401, invalidToken, "Access token is empty, malformed or unknown."})})
		return
	}
	req := &request{Request: r, tenant: who.tenant, app: who.app, pageSize: size, now: who.tenant.clock.Now()}
	out, err := g.handle(w, req)
	call := Call{Wall: time.Now().UTC(), Scenario: req.now, Method: r.Method, Path: r.URL.Path, Body: redacted(req.body),
		AppID: who.app.AppID}
	if err != nil {
		var refused Refused
		if !errors.As(err, &refused) {
			refused = Refused{500, "InternalServerError", err.Error()}
		}
		out = answer{refused.Status, errorBody(r, refused)}
		call.Code = refused.Code
	}
	if r.Method != http.MethodGet {
		call.Status = out.status
		who.tenant.log(call)
	}
	reply(w, r, out)
}

func (g *Graph) handle(w http.ResponseWriter, req *request) (answer, error) {
	segments, ok := path(req.URL)
	if !ok {
		return answer{}, Refused{400, "BadRequest", "Invalid version: the simulator serves v1.0 and some of beta."}
	}
	matched := false
	for _, candidate := range g.routes {
		key, ok := match(candidate.path, segments)
		if !ok {
			continue
		}
		matched = true
		if candidate.method != req.Method {
			continue
		}
		req.key = key
		var err error
		if req.query, err = url.ParseQuery(req.URL.RawQuery); err != nil {
			return answer{}, Refused{400, "BadRequest", "The query string is malformed."}
		}
		if req.body, err = readBody(w, req.Request); err != nil {
			return answer{}, err
		}
		if !req.may(candidate.permissions...) {
			return answer{}, Refused{403, requestDenied, reasonInsufficient}
		}
		return candidate.do(req)
	}
	if matched {
		return answer{}, Refused{405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."}
	}
	return answer{}, Refused{400, "BadRequest", "Resource not found for the segment '" + segments[len(segments)-1] + "'."}
}

// may says whether the caller has one of the permissions.
func (req *request) may(any ...string) bool {
	req.tenant.mu.Lock()
	defer req.tenant.mu.Unlock()
	return req.tenant.permitted(req.app.ServicePrincipalID, any...)
}

// change runs f as the calling application.
func (req *request) change(f func(*change) error) error {
	return req.tenant.change(cause{at: req.now, app: req.app}, f)
}

// read runs f with the tenant's state locked.
func (req *request) read(f func(*Tenant) error) error {
	req.tenant.mu.Lock()
	defer req.tenant.mu.Unlock()
	return f(req.tenant)
}

var keyed = regexp.MustCompile(`^(\w+)\((?:\w+=)?'(.*)'\)$`)

// path splits the path behind /v1.0 into segments, and beta's with that word in front; the key of
// servicePrincipals(appId='…') becomes a segment of its own, behind one that is named so.
func path(u *url.URL) ([]string, bool) {
	parts := strings.Split(strings.Trim(u.EscapedPath(), "/"), "/")
	if len(parts) < 2 || parts[0] != "v1.0" && parts[0] != "beta" {
		return nil, false
	}
	if parts[0] == "v1.0" {
		parts = parts[1:]
	}
	var out []string
	for _, p := range parts {
		plain, err := url.PathUnescape(p)
		if err != nil {
			return nil, false
		}
		if m := keyed.FindStringSubmatch(plain); m != nil {
			out = append(out, m[1]+"()", strings.ReplaceAll(m[2], "''", "'"))
			continue
		}
		out = append(out, plain)
	}
	return out, true
}

// match compares a route's path with segments and returns what stands for its braces.
func match(pattern string, segments []string) ([]string, bool) {
	parts := strings.Split(pattern, "/")
	if len(parts) != len(segments) {
		return nil, false
	}
	var key []string
	for i, p := range parts {
		switch {
		case strings.HasPrefix(p, "{") && segments[i] != "":
			key = append(key, segments[i])
		case !strings.EqualFold(p, segments[i]):
			return nil, false
		}
	}
	return key, true
}

// readBody reads a JSON object, plain or gzip as the SDK sends it, bounded in size both ways and in time.
func readBody(w http.ResponseWriter, r *http.Request) (map[string]any, error) {
	if r.Method == http.MethodGet || r.Method == http.MethodDelete {
		return nil, nil
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(readTimeout)) // a recorder in a test has none
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	var in io.Reader = http.MaxBytesReader(w, r.Body, maxBody)
	if strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		unzip, err := gzip.NewReader(in)
		if err != nil {
			return nil, Refused{400, "BadRequest", "The request body is no gzip stream."}
		}
		in = unzip
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxBody+1))
	if err != nil {
		return nil, Refused{400, "BadRequest", "Unable to read the request payload: " + err.Error()}
	}
	if len(raw) > maxBody {
		return nil, Refused{413, "RequestEntityTooLarge", "The request body is larger than 1 MiB."}
	}
	body := map[string]any{}
	if len(raw) == 0 {
		return body, nil
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return nil, Refused{400, "BadRequest", "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format."}
	}
	return body, nil
}

func errorBody(r *http.Request, e Refused) any {
	return object{"error": object{"code": e.Code, "message": e.Reason, "innerError": object{
		"date":       time.Now().UTC().Format("2006-01-02T15:04:05"),
		"request-id": NewGUID(), "client-request-id": clientRequestID(r),
	}}}
}

func clientRequestID(r *http.Request) string {
	if id := r.Header.Get("client-request-id"); id != "" {
		return id
	}
	return NewGUID()
}

func reply(w http.ResponseWriter, r *http.Request, a answer) {
	w.Header().Set("request-id", NewGUID())
	w.Header().Set("client-request-id", clientRequestID(r))
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	raw, err := json.Marshal(a.body)
	if err != nil {
		http.Error(w, fmt.Sprintf("encoding answer: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	w.WriteHeader(a.status)
	_, _ = w.Write(raw) // the client may be gone, which tests do on purpose
}

// redacted is a body as it may be shown.
func redacted(body map[string]any) string {
	if len(body) == 0 {
		return ""
	}
	raw, err := json.Marshal(redact(body))
	if err != nil {
		return ""
	}
	return string(raw)
}

func redact(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := object{}
		for k, inner := range v {
			if text, ok := inner.(string); ok && text != "" && strings.Contains(strings.ToLower(k), "password") || k == "secretText" {
				inner = "(redacted)"
			}
			out[k] = redact(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = redact(inner)
		}
		return out
	}
	return v
}
