// Package partnercenter is a simulated Partner Center, for tests, `cordon try` and `cordon simulate` alone: the REST
// calls that read a customer and end delegated administration (DAP), fraud events and audit records, and the token
// endpoint that turns a Secure Application Model refresh token into an App+User token. Graph can do none of it.
package partnercenter

import (
	"crypto/rand"
	"encoding/base64"
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

	"cordon/internal/clock"
)

// Customer is one customer of the partner.
type Customer struct {
	CompanyName           string
	Domain                string
	AllowDelegatedAccess  bool
	RelationshipToPartner string // reseller unless said
}

// Call is one request that would change something.
type Call struct {
	Wall, Scenario time.Time
	Method, Path   string
	Body           string
	Status         int
	RequestID      string // MS-RequestId
	Replayed       bool   // answered from memory, without a second effect
}

// Server is Partner Center: an http.Handler for /v1/… and /token.
type Server struct {
	clock  clock.Clock
	client Client
	mfa    bool
	gone   func(customerID string)

	patching sync.Mutex
	answers  map[string]stored // by MS-RequestId

	mu        sync.Mutex
	customers map[string]Customer
	tokens    map[string][]string // amr by access token
	calls     []Call
	onCall    []func(Call)
	fail      func(*http.Request) (status int, body, retryAfter string, ok bool)
	fraud     []FraudEvent
	audits    []AuditRecord
}

// Client is the partner's application and the consented user behind it.
type Client struct {
	ID           string
	Secret       string // "" asks for none
	RefreshToken string
	User         string // the user principal name that the token names
	TenantID     string // the partner's tenant
}

type stored struct {
	request string
	status  int
	body    any
}

// Option changes how the server behaves.
type Option func(*Server)

// WithClient sets whose refresh token is honoured.
func WithClient(c Client) Option { return func(s *Server) { s.client = c } }

// WithoutMFA makes tokens of a user who signed in with a password alone: every call then answers 401.
func WithoutMFA() Option { return func(s *Server) { s.mfa = false } }

// OnRemoved is called when a customer's delegated access ends, before the answer is written.
func OnRemoved(f func(customerID string)) Option { return func(s *Server) { s.gone = f } }

// New returns a Partner Center with these customers, by tenant id.
func New(c clock.Clock, customers map[string]Customer, options ...Option) *Server {
	s := &Server{clock: c, mfa: true, gone: func(string) {}, customers: map[string]Customer{},
		tokens: map[string][]string{}, answers: map[string]stored{}}
	for id, customer := range customers {
		if customer.RelationshipToPartner == "" {
			customer.RelationshipToPartner = "reseller"
		}
		s.customers[strings.ToLower(id)] = customer
	}
	for _, o := range options {
		o(s)
	}
	return s
}

// AllowDelegatedAccess says whether the partner has DAP over a customer.
func (s *Server) AllowDelegatedAccess(customerID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.customers[strings.ToLower(customerID)].AllowDelegatedAccess
}

// Calls returns every PATCH that was answered with success, replays too.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// OnCall registers a hook that runs after a change and before its answer is written.
func (s *Server) OnCall(f func(Call)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onCall = append(s.onCall, f)
}

// Fail injects faults: a function that says ok makes the request fail, with a body that Throttled or Error makes,
// before anything is done. Nil ends it.
func (s *Server) Fail(f func(r *http.Request) (status int, body, retryAfter string, ok bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = f
}

// Throttled is the body of a 429, which has a form of its own.
func Throttled(seconds int) string {
	return fmt.Sprintf(`{"statusCode":429,"message":"Rate limit is exceeded. Try again in %d seconds."}`, seconds)
}

// Error is the body of any other refusal.
func Error(code int, description string) string {
	raw, err := json.Marshal(map[string]any{"code": code, "description": description, "data": []any{}, "source": "PartnerFD"})
	if err != nil {
		return "{}"
	}
	return string(raw)
}

const (
	audience    = "https://api.partnercenter.microsoft.com"
	maxBody     = 64 << 10
	readTimeout = 10 * time.Second
)

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	fail := s.fail
	s.mu.Unlock()
	if fail != nil {
		if status, body, retryAfter, ok := fail(r); ok {
			if retryAfter != "" {
				w.Header().Set("Retry-After", retryAfter)
			}
			reply(w, r, status, json.RawMessage(body))
			return
		}
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(readTimeout)) // a recorder in a test has none
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	_ = control.SetReadDeadline(time.Time{})
	if err != nil {
		refuse(w, r, http.StatusBadRequest, 2000, "The request body cannot be read: "+err.Error())
		return
	}
	if r.URL.Path == "/token" {
		s.token(w, r, raw)
		return
	}
	s.customer(w, r, raw)
}

func reply(w http.ResponseWriter, r *http.Request, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		http.Error(w, fmt.Sprintf("encoding answer: %v", err), http.StatusInternalServerError)
		return
	}
	for _, name := range []string{"MS-RequestId", "MS-CorrelationId"} {
		if v := r.Header.Get(name); v != "" {
			w.Header().Set(name, v)
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	w.WriteHeader(status)
	_, _ = w.Write(raw) // the client may be gone, which tests do on purpose
}

func refuse(w http.ResponseWriter, r *http.Request, status, code int, why string) {
	reply(w, r, status, json.RawMessage(Error(code, why)))
}

// token is OAuth 2.0's refresh token grant.
func (s *Server) token(w http.ResponseWriter, r *http.Request, raw []byte) {
	form, err := url.ParseQuery(string(raw))
	deny := func(status int, code, why string) {
		reply(w, r, status, map[string]any{"error": code, "error_description": why})
	}
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if user, pass, ok := r.BasicAuth(); ok {
		id, secret = user, pass
	}
	switch {
	case r.Method != http.MethodPost || err != nil:
		deny(http.StatusBadRequest, "invalid_request", "AADSTS900144: The request must be a form that is posted.")
	case form.Get("grant_type") != "refresh_token":
		deny(http.StatusBadRequest, "unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type.")
	case id != s.client.ID || s.client.Secret != "" && secret != s.client.Secret:
		deny(http.StatusUnauthorized, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
	case s.client.RefreshToken == "" || form.Get("refresh_token") != s.client.RefreshToken:
		deny(http.StatusBadRequest, "invalid_grant", "AADSTS70000: The provided grant is invalid or malformed.")
	default:
		reply(w, r, http.StatusOK, map[string]any{"token_type": "Bearer", "scope": audience + "/user_impersonation",
			"expires_in": 3599, "access_token": s.issue(), "refresh_token": s.client.RefreshToken})
	}
}

// issue makes a token of JWT's shape. Nobody here checks its signature: this server knows the tokens that it made.
func (s *Server) issue() string {
	amr := []string{"pwd", "mfa"}
	if !s.mfa {
		amr = amr[:1]
	}
	now := s.clock.Now()
	part := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	token := part(map[string]any{"typ": "JWT", "alg": "none"}) + "." + part(map[string]any{
		"aud": audience, "iss": "https://sts.windows.net/" + s.client.TenantID + "/", "iat": now.Unix(), "nbf": now.Unix(),
		"exp": now.Add(time.Hour).Unix(), "amr": amr, "appid": s.client.ID, "tid": s.client.TenantID, "upn": s.client.User,
		"scp": "user_impersonation", "uti": rand.Text(),
	}) + "."
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = amr
	return token
}

var (
	guid         = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	customerPath = regexp.MustCompile(`^/v1/customers/([^/]+)$`)
)

// customer answers GET and PATCH of one customer, and hands on what asks for logs.
func (s *Server) customer(w http.ResponseWriter, r *http.Request, raw []byte) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	amr, known := s.tokens[token]
	s.mu.Unlock()
	if !known {
		refuse(w, r, http.StatusUnauthorized, 1000, "Unauthorized. The access token is missing or not valid.")
		return
	}
	if !slices.Contains(amr, "mfa") {
		refuse(w, r, http.StatusUnauthorized, 900421, "MFA required. The token was issued without multi-factor authentication.")
		return
	}
	if s.logs(w, r) {
		return
	}
	m := customerPath.FindStringSubmatch(r.URL.Path)
	if m == nil {
		refuse(w, r, http.StatusNotFound, 2000, "No such resource: "+r.URL.Path)
		return
	}
	if !guid.MatchString(m[1]) {
		refuse(w, r, http.StatusBadRequest, 800002, "The customer id is no GUID.")
		return
	}
	id := strings.ToLower(m[1])
	s.mu.Lock()
	c, ok := s.customers[id]
	s.mu.Unlock()
	switch {
	case !ok:
		refuse(w, r, http.StatusNotFound, 20002, "Access denied: the partner has no relationship with customer "+id+".")
	case r.Method == http.MethodGet:
		reply(w, r, http.StatusOK, resource(id, c))
	case r.Method == http.MethodPatch:
		s.patch(w, r, id, raw)
	default:
		refuse(w, r, http.StatusMethodNotAllowed, 2000, "The method "+r.Method+" is not allowed here.")
	}
}

func resource(id string, c Customer) any {
	return map[string]any{
		"id": id, "allowDelegatedAccess": c.AllowDelegatedAccess, "relationshipToPartner": c.RelationshipToPartner,
		"commerceId": id, "companyProfile": map[string]any{"tenantId": id, "domain": c.Domain,
			"companyName": c.CompanyName, "attributes": map[string]any{"objectType": "CustomerCompanyProfile"}},
		"links":      map[string]any{"self": map[string]any{"uri": "/customers/" + id, "method": "GET", "headers": []any{}}},
		"attributes": map[string]any{"objectType": "Customer"},
	}
}

// patch ends delegated access. The same MS-RequestId gets the same answer and no second effect; used for another
// request it is refused, so that a client which does not renew it is found.
func (s *Server) patch(w http.ResponseWriter, r *http.Request, id string, raw []byte) {
	requestID := r.Header.Get("MS-RequestId")
	out, replayed, err := s.once(requestID, r.URL.Path+"\n"+string(raw), id, raw)
	if err != nil {
		refuse(w, r, http.StatusConflict, 2001, err.Error())
		return
	}
	if out.status != http.StatusOK {
		reply(w, r, out.status, out.body)
		return
	}
	call := Call{Wall: time.Now().UTC(), Scenario: s.clock.Now(), Method: r.Method, Path: r.URL.Path, Body: string(raw),
		Status: out.status, RequestID: requestID, Replayed: replayed}
	s.mu.Lock()
	s.calls = append(s.calls, call)
	hooks := append([]func(Call){}, s.onCall...)
	s.mu.Unlock()
	for _, hook := range hooks {
		hook(call)
	}
	reply(w, r, out.status, out.body)
}

// once applies a request, or finds the answer that its id got before. Only success is remembered. Two requests with
// one id come one after the other.
func (s *Server) once(requestID, request, customer string, raw []byte) (out stored, replayed bool, err error) {
	s.patching.Lock()
	defer s.patching.Unlock()
	if before, ok := s.answers[requestID]; ok {
		if before.request != request {
			return stored{}, false, errors.New("MS-RequestId was used for another request")
		}
		return before, true, nil
	}
	status, body, removed := s.apply(customer, raw)
	out = stored{request, status, body}
	if status == http.StatusOK && requestID != "" {
		s.answers[requestID] = out
	}
	if removed {
		s.gone(customer)
	}
	return out, false, nil
}

// apply makes the one change that is supported; removed says that it changed something.
func (s *Server) apply(id string, raw []byte) (status int, body any, removed bool) {
	bad := func(why string) (int, any, bool) {
		return http.StatusBadRequest, json.RawMessage(Error(900118, why)), false
	}
	var change map[string]json.RawMessage
	if err := json.Unmarshal(raw, &change); err != nil {
		return bad("The request body is no JSON object.")
	}
	var attributes struct{ ObjectType string }
	if err := json.Unmarshal(change["attributes"], &attributes); err != nil || attributes.ObjectType != "Customer" {
		return bad(`attributes.objectType must be "Customer".`)
	}
	var allow *bool
	for name, value := range change {
		if strings.EqualFold(name, "AllowDelegatedAccess") {
			if err := json.Unmarshal(value, &allow); err != nil {
				return bad("AllowDelegatedAccess must be true or false.")
			}
		}
	}
	if allow == nil || *allow {
		return bad("Delegated access can be removed, and not given.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.customers[id]
	removed = c.AllowDelegatedAccess
	c.AllowDelegatedAccess = false
	s.customers[id] = c
	return http.StatusOK, resource(id, c), removed
}
