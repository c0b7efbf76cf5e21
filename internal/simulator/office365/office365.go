// Package office365 is a simulated Office 365 Management Activity API of one tenant, for tests, `cordon try` and
// `cordon simulate` alone: subscriptions, the listing of content with its pages, content blobs, notifications to a
// webhook, and the service's refusals (Microsoft: "Office 365 Management Activity API reference"). The HTTP statuses
// beside the documented error codes are unconfirmed.
package office365

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cordon/internal/clock"
)

// Keeps is how long content can be had.
const Keeps = 7 * 24 * time.Hour

// Blob is one content blob.
type Blob struct {
	ID      string
	Type    string // the content type
	Created time.Time
	URI     string // "" is the server's own
	Body    []byte // a JSON array of records
	Gone    bool   // listed, and not to be had
}

// Call is one request as it came.
type Call struct {
	Method, Path string
	Query        map[string]string
	Status       int
}

// Subscription is one content type's.
type Subscription struct {
	Status  string   `json:"status,omitempty"` // enabled, disabled
	Webhook *Webhook `json:"webhook"`
}

// Webhook is where a subscription's notifications go.
type Webhook struct {
	Status     string `json:"status"`
	Address    string `json:"address"`
	AuthID     string `json:"authId"`
	Expiration string `json:"expiration"`
}

// Server is the API: an http.Handler for /api/v1.0/{tenant}/activity/feed.
type Server struct {
	clock  clock.Clock
	tenant string
	page   int
	web    *http.Client

	mu            sync.Mutex
	subscriptions map[string]Subscription
	blobs         []Blob
	calls         []Call
	made          int
	fail          func(*http.Request) (status int, body, retryAfter string, ok bool)
}

// New returns an API of a tenant, with pages of so many blobs.
func New(c clock.Clock, tenant string, page int) *Server {
	return &Server{clock: c, tenant: tenant, page: page, web: &http.Client{Timeout: 5 * time.Second}, subscriptions: map[string]Subscription{}}
}

// Add puts records into a new blob that was created at a time, which may have passed: such a blob is late.
func (s *Server) Add(contentType string, created time.Time, records ...string) Blob {
	return s.AddBlob(Blob{Type: contentType, Created: created, Body: []byte("[" + strings.Join(records, ",") + "]")})
}

// AddBlob adds a blob as it is, and gives it an id where it has none.
func (s *Server) AddBlob(b Blob) Blob {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	if b.ID == "" {
		b.ID = fmt.Sprintf("%012d$%s$%s$04", s.made, strings.ReplaceAll(s.tenant, "-", ""), strings.ToLower(strings.ReplaceAll(b.Type, ".", "")))
	}
	s.blobs = append(s.blobs, b)
	return b
}

// Change alters a blob that was added.
func (s *Server) Change(id string, change func(*Blob)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.blobs {
		if s.blobs[i].ID == id {
			change(&s.blobs[i])
		}
	}
}

// Disable is what an administrator can do to a subscription.
func (s *Server) Disable(contentType string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.subscriptions[contentType]
	sub.Status = "disabled"
	s.subscriptions[contentType] = sub
}

// Subscription is a content type's subscription as it stands.
func (s *Server) Subscription(contentType string) Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subscriptions[contentType]
}

// Calls are the requests so far whose path holds part.
func (s *Server) Calls(part string) (all []Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if strings.Contains(c.Path, part) {
			all = append(all, c)
		}
	}
	return all
}

// Fail injects faults: a function that says ok makes the request fail, with a body that Error makes. Nil ends it.
func (s *Server) Fail(f func(r *http.Request) (status int, body, retryAfter string, ok bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = f
}

// Error is the body of a refusal.
func Error(code, message string) string {
	raw, err := json.Marshal(map[string]any{"error": map[string]string{"code": code, "message": message}})
	if err != nil {
		return "{}"
	}
	return string(raw)
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	fail := s.fail
	s.mu.Unlock()
	status, body, header := 0, "", http.Header{}
	if fail != nil {
		if code, text, after, ok := fail(r); ok {
			status, body = code, text
			if after != "" {
				header.Set("Retry-After", after)
			}
		}
	}
	if status == 0 {
		status, body = s.answer(r, header)
	}
	call := Call{Method: r.Method, Path: r.URL.Path, Query: map[string]string{}, Status: status}
	for name := range r.URL.Query() {
		call.Query[name] = r.URL.Query().Get(name)
	}
	s.mu.Lock()
	s.calls = append(s.calls, call)
	s.mu.Unlock()
	for name := range header {
		w.Header()[name] = header[name]
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // the client may be gone
}

func (s *Server) answer(r *http.Request, header http.Header) (int, string) {
	if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
		return http.StatusUnauthorized, Error("AF10000", "Authorization has been denied for this request.")
	}
	operation, ok := strings.CutPrefix(r.URL.Path, "/api/v1.0/"+s.tenant+"/activity/feed/")
	if !ok {
		return http.StatusBadRequest, Error("AF20010", "The tenant ID passed in the URL does not match the tenant ID passed in the access token.")
	}
	switch {
	case r.Method == http.MethodPost && operation == "subscriptions/start":
		return s.start(r)
	case r.Method == http.MethodGet && operation == "subscriptions/list":
		return s.list()
	case r.Method == http.MethodGet && operation == "subscriptions/content":
		return s.content(r, header)
	case r.Method == http.MethodGet && strings.HasPrefix(operation, "audit/"):
		return s.blob(strings.TrimPrefix(operation, "audit/"))
	}
	return http.StatusNotFound, Error("AF20001", "Missing parameter.")
}

func (s *Server) list() (int, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	type listed struct {
		ContentType string `json:"contentType"`
		Subscription
	}
	all := []listed{}
	for name, sub := range s.subscriptions {
		all = append(all, listed{name, sub})
	}
	return encoded(all)
}

// item is a blob in a listing and in a notification.
func (s *Server) item(b Blob, host string) map[string]string {
	uri := b.URI
	if uri == "" {
		uri = "http://" + host + "/api/v1.0/" + s.tenant + "/activity/feed/audit/" + b.ID
	}
	const layout = "2006-01-02T15:04:05.000Z"
	return map[string]string{"contentType": b.Type, "contentId": b.ID, "contentUri": uri,
		"contentCreated": b.Created.UTC().Format(layout), "contentExpiration": b.Created.Add(Keeps).UTC().Format(layout)}
}

func (s *Server) content(r *http.Request, header http.Header) (int, string) {
	q := r.URL.Query()
	from, errFrom := time.Parse("2006-01-02T15:04:05", q.Get("startTime"))
	to, errTo := time.Parse("2006-01-02T15:04:05", q.Get("endTime"))
	if errFrom != nil || errTo != nil || to.Sub(from) > 24*time.Hour || from.Before(s.clock.Now().Add(-Keeps)) {
		return http.StatusBadRequest, Error("AF20030", "Start time and end time must both be specified (or both omitted) and must be less than or equal to 24 hours apart, with the start time no more than 7 days in the past.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.subscriptions[q.Get("contentType")].Status {
	case "":
		return http.StatusBadRequest, Error("AF20022", "No subscription found for the specified content type.")
	case "disabled":
		return http.StatusBadRequest, Error("AF20023", "The subscription was disabled by a tenant admin")
	}
	var found []Blob
	for _, b := range s.blobs {
		if b.Type == q.Get("contentType") && !b.Created.Before(from) && b.Created.Before(to) {
			found = append(found, b)
		}
	}
	slices.SortStableFunc(found, func(a, b Blob) int { return a.Created.Compare(b.Created) })
	skip, err := strconv.Atoi(q.Get("nextPage"))
	if q.Get("nextPage") != "" && (err != nil || skip < 0 || skip > len(found)) {
		return http.StatusBadRequest, Error("AF20031", "Invalid nextPage Input: "+q.Get("nextPage"))
	}
	found = found[skip:]
	if len(found) > s.page {
		found = found[:s.page]
		q.Set("nextPage", strconv.Itoa(skip+s.page))
		header.Set("NextPageUri", "http://"+r.Host+r.URL.Path+"?"+q.Encode())
	}
	all := []map[string]string{}
	for _, b := range found {
		all = append(all, s.item(b, r.Host))
	}
	return encoded(all)
}

func (s *Server) blob(id string) (int, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.blobs {
		switch {
		case b.ID != id:
		case b.Gone || s.clock.Now().After(b.Created.Add(Keeps)):
			return http.StatusNotFound, Error("AF20051", "Content requested with the key "+id+" has already expired. Content older than 7 days cannot be retrieved.")
		default:
			return http.StatusOK, string(b.Body)
		}
	}
	return http.StatusNotFound, Error("AF20050", "The specified content ("+id+") does not exist.")
}

func encoded(v any) (int, string) {
	raw, err := json.Marshal(v)
	if err != nil {
		return http.StatusInternalServerError, Error("AF50000", "An internal error occurred. Retry the request.")
	}
	return http.StatusOK, string(raw)
}
