package partnercenter

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// FraudEvent is one fraud event, as the API shows it.
type FraudEvent struct {
	Status string // Active, Investigating, Resolved
	Object json.RawMessage
}

// AuditRecord is one audit record, as the API shows it.
type AuditRecord struct {
	Date   time.Time // operationDate
	Object json.RawMessage
}

// AddFraudEvent adds one to the list.
func (s *Server) AddFraudEvent(e FraudEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fraud = append(s.fraud, e)
}

// AddAuditRecord adds one to the list; it may be late.
func (s *Server) AddAuditRecord(a AuditRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.audits = append(s.audits, a)
}

// logs answers what asks for fraud events or audit records, and says whether it did.
func (s *Server) logs(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case !strings.EqualFold(r.URL.Path, "/v1/fraudEvents") && !strings.EqualFold(r.URL.Path, "/v1/auditrecords"):
		return false
	case r.Method != http.MethodGet:
		refuse(w, r, http.StatusMethodNotAllowed, 2000, "The method "+r.Method+" is not allowed here.")
	case strings.EqualFold(r.URL.Path, "/v1/fraudEvents"):
		s.fraudEvents(w, r)
	default:
		s.auditRecords(w, r)
	}
	return true
}

// fraudEvents pages by number, in the new events model alone.
func (s *Server) fraudEvents(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	out := []json.RawMessage{}
	s.mu.Lock()
	for _, e := range s.fraud {
		if status := query.Get("EventStatus"); status == "" || strings.EqualFold(status, e.Status) {
			out = append(out, e.Object)
		}
	}
	s.mu.Unlock()
	if query.Has("PageSize") || query.Has("PageNumber") {
		size, errSize := strconv.Atoi(query.Get("PageSize"))
		number, errNumber := strconv.Atoi(query.Get("PageNumber"))
		if errSize != nil || errNumber != nil || size < 1 || number < 1 || number > 1<<20 || size > 1000 || r.Header.Get("X-NewEventsModel") != "true" {
			refuse(w, r, http.StatusBadRequest, 2000, "PageSize and PageNumber must both be positive, with the header X-NewEventsModel.")
			return
		}
		from := min((number-1)*size, len(out))
		out = out[from:min(from+size, len(out))]
	}
	reply(w, r, http.StatusOK, out)
}

const auditPage = 50

// auditRecords answers with the records of some days, the newest first, and a token for what is behind the page.
func (s *Server) auditRecords(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	start, errStart := time.Parse(time.DateOnly, query.Get("startDate"))
	end, errEnd := time.Parse(time.DateOnly, query.Get("endDate"))
	size := auditPage
	if text := query.Get("size"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 500 {
			refuse(w, r, http.StatusBadRequest, 2000, "The size is no page size.")
			return
		}
		size = n
	}
	if errStart != nil || errEnd != nil || end.Before(start) || s.clock.Now().Sub(start) > 91*24*time.Hour {
		refuse(w, r, http.StatusBadRequest, 2000, "The dates must lie within the last 90 days.")
		return
	}
	from := 0
	if token := r.Header.Get("MS-ContinuationToken"); token != "" {
		raw, err := base64.StdEncoding.DecodeString(token)
		n, errNumber := strconv.Atoi(string(raw))
		if err != nil || errNumber != nil || n < 0 || query.Get("seekOperation") != "Next" {
			refuse(w, r, http.StatusBadRequest, 2000, "The continuation token is not valid.")
			return
		}
		from = n
	}
	all := []json.RawMessage{}
	s.mu.Lock()
	for _, a := range s.audits {
		if !a.Date.Before(start) && a.Date.Before(end.Add(24*time.Hour)) {
			all = append(all, a.Object)
		}
	}
	s.mu.Unlock()
	from = min(from, len(all))
	to := min(from+size, len(all))
	uri := "/auditrecords?" + r.URL.RawQuery
	links := map[string]any{"self": map[string]any{"uri": uri, "method": "GET", "headers": []any{}}}
	if to < len(all) {
		links["next"] = map[string]any{"uri": uri + "&seekOperation=Next", "method": "GET", "headers": []any{
			map[string]any{"key": "MS-ContinuationToken", "value": base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(to)))}}}
	}
	reply(w, r, http.StatusOK, map[string]any{"totalCount": to - from, "items": all[from:to], "links": links,
		"attributes": map[string]any{"objectType": "Collection"}})
}
