package console

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"cordon/internal/incident"
)

// SearchRequest asks for what a service's own audit log holds of an incident's principal, where no source brings it.
type SearchRequest struct {
	Days int `json:"days"` // back from now
}

// maxSearch is how far back the unified audit log is searched: Microsoft keeps it 180 days.
const maxSearch = 180

// searchAsked is what AUDIT holds of it.
const searchAsked = "unified-audit.search"

type searchAskedData struct {
	Incident uint64    `json:"incident"`
	User     string    `json:"user"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
}

// apiSearch puts a search of the unified audit log on record. What it finds comes as records, minutes later.
func (s *Server) apiSearch(w http.ResponseWriter, r *http.Request, p incident.Person) error {
	if len(p.May) == 0 {
		return &incident.Refusal{Reason: p.Name + " may look, and ask for no search"}
	}
	number, err := number(r)
	if err != nil {
		return err
	}
	var ask SearchRequest
	if err := strictly(r.Body, &ask); err != nil {
		return err
	}
	if ask.Days < 1 || ask.Days > maxSearch {
		return fmt.Errorf("%w: days is a number from 1 to %d", errBadRequest, maxSearch)
	}
	_, i, err := s.cfg.Store.Find(r.Context(), number)
	if err != nil {
		return err
	}
	if i.Principal.UPN == "" {
		return &incident.Refusal{Reason: i.Principal.Label() + " has no user principal name to search for"}
	}
	// Whole hours: asked twice in a row it is one search.
	to := s.cfg.Clock.Now().UTC().Truncate(time.Hour).Add(time.Hour)
	asked := searchAskedData{Incident: number, User: i.Principal.UPN, From: to.AddDate(0, 0, -ask.Days), To: to}
	if err := s.journal(r.Context(), p.Name, searchAsked, asked); err != nil {
		return err
	}
	if err := s.cfg.Search(r.Context(), i.Principal.Home, asked.User, asked.From, asked.To); err != nil {
		return err
	}
	write(w, http.StatusAccepted, Answer{OK: true})
	return nil
}

// Searcher asks a tenant's unified audit log for what a user did.
type Searcher func(ctx context.Context, tenant, user string, from, to time.Time) error
