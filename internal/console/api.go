package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"cordon/internal/difference"
	"cordon/internal/incident"
	"cordon/internal/letter"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// Summary is one incident of the list.
type Summary struct {
	Number    uint64    `json:"number"`
	Principal string    `json:"principal"`
	Tenant    string    `json:"tenant"`
	Playbook  string    `json:"playbook"`
	Verdict   string    `json:"verdict"`
	Severity  string    `json:"severity"`
	Opened    time.Time `json:"opened"`
	Closed    bool      `json:"closed"`
	Waiting   int       `json:"waiting"`
	Says      string    `json:"says"`
}

// Decision is what a person sends.
type Decision struct {
	Verb   string `json:"verb"` // approve, refuse, undo, ask, done, note, close
	Place  string `json:"place,omitempty"`
	Digest string `json:"digest,omitempty"` // of the step as it was shown
	Why    string `json:"why,omitempty"`
	// Confirm answers the challenge of a decision that gives access back.
	Confirm string `json:"confirm,omitempty"`
}

// Answer is what the API says to a decision.
type Answer struct {
	OK        bool   `json:"ok"`
	Error     string `json:"error,omitempty"`
	Challenge string `json:"challenge,omitempty"` // send it back as confirm to go on
}

type handler func(w http.ResponseWriter, r *http.Request, p incident.Person) error

// api answers in JSON; page (below) in HTML. Both turn away whom the door does not know.
func (s *Server) api(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, ok := s.door.who(r)
		if !ok {
			write(w, http.StatusUnauthorized, Answer{Error: "send an analyst's token as a bearer token"})
			return
		}
		if err := h(w, r, p); err != nil {
			status, text := s.explain(err)
			write(w, status, Answer{Error: text})
		}
	}
}

// explain turns an error into what a person may read; what is inside goes to the log.
func (s *Server) explain(err error) (int, string) {
	var refusal *incident.Refusal
	var letters *letter.Refusal
	var replay *difference.Refusal
	switch {
	case errors.As(err, &refusal):
		return http.StatusConflict, refusal.Reason
	case errors.As(err, &letters):
		return http.StatusConflict, letters.Reason
	case errors.As(err, &replay) && replay.Busy:
		return http.StatusConflict, replay.Reason
	case errors.As(err, &replay):
		return http.StatusBadRequest, replay.Reason
	case errors.Is(err, letter.ErrNone):
		return http.StatusNotFound, letter.ErrNone.Error()
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return http.StatusNotFound, "there is no such incident"
	case errors.Is(err, errBadRequest):
		return http.StatusBadRequest, err.Error()
	}
	s.cfg.Log.Error("answering", zap.Error(err))
	return http.StatusInternalServerError, "Cordon could not do it; its log says why"
}

var errBadRequest = errors.New("bad request")

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has gone if this fails
}

func number(r *http.Request) (uint64, error) {
	n, err := strconv.ParseUint(r.PathValue("number"), 10, 64)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%w: an incident is a number", errBadRequest)
	}
	return n, nil
}

// Summaries lists all incidents: open ones first, the newest on top.
func (s *Server) summaries(r *http.Request) ([]Summary, error) {
	all, err := s.cfg.Store.All(r.Context())
	if err != nil {
		return nil, err
	}
	out := []Summary{}
	for _, h := range all {
		for _, i := range h.Incidents {
			sum := Summary{Number: i.Number, Principal: i.Principal.Label(), Tenant: s.cfg.Tenant(i.Tenant), Playbook: i.Playbook, Verdict: i.Verdict,
				Severity: i.Severity(), Opened: i.OpenedAt, Closed: i.Closed != nil, Waiting: len(i.Waiting())}
			if n := len(i.Findings); n > 0 {
				sum.Says = i.Findings[n-1].Says
			}
			out = append(out, sum)
		}
	}
	slices.SortFunc(out, func(a, b Summary) int {
		if a.Closed != b.Closed {
			return map[bool]int{true: 1, false: -1}[a.Closed]
		}
		return int(b.Number) - int(a.Number)
	})
	return out, nil
}

func (s *Server) apiList(w http.ResponseWriter, r *http.Request, _ incident.Person) error {
	list, err := s.summaries(r)
	if err == nil {
		write(w, http.StatusOK, list)
	}
	return err
}

func (s *Server) apiShow(w http.ResponseWriter, r *http.Request, _ incident.Person) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	_, i, err := s.cfg.Store.Find(r.Context(), n)
	if err == nil {
		write(w, http.StatusOK, i)
	}
	return err
}

func (s *Server) apiEvents(w http.ResponseWriter, r *http.Request, _ incident.Person) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	_, i, err := s.cfg.Store.Find(r.Context(), n)
	if err != nil {
		return err
	}
	events, err := s.cfg.Store.Events(r.Context(), i.Subject)
	if err == nil {
		write(w, http.StatusOK, events)
	}
	return err
}

func (s *Server) apiDecide(w http.ResponseWriter, r *http.Request, p incident.Person) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	var d Decision
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return fmt.Errorf("%w: the decision is no JSON of the known form", errBadRequest)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: there is more than one decision", errBadRequest)
	}
	if (d.Verb == "approve" || d.Verb == "refuse") && d.Digest == "" {
		return fmt.Errorf("%w: send the digest of the step as you saw it", errBadRequest)
	}
	if len(d.Why) > 4000 {
		return fmt.Errorf("%w: the reason is longer than 4,000 characters", errBadRequest)
	}
	err = s.decide(r.Context(), n, d, p)
	if errors.Is(err, incident.ErrSecondProof) {
		challenge, askErr := s.proof.Ask(p.Name, decisionKey(n, d))
		if askErr != nil {
			return askErr
		}
		write(w, http.StatusPreconditionRequired, Answer{Error: err.Error(), Challenge: challenge})
		return nil
	}
	if err == nil {
		write(w, http.StatusOK, Answer{OK: true})
	}
	return err
}

func decisionKey(n uint64, d Decision) string {
	return fmt.Sprintf("%d %s %s %s", n, d.Verb, d.Place, d.Digest)
}

func (s *Server) decide(ctx context.Context, n uint64, d Decision, p incident.Person) error {
	proof := ""
	if d.Confirm != "" {
		how, ok := s.proof.Met(p.Name, decisionKey(n, d), d.Confirm)
		if !ok {
			return &incident.Refusal{Reason: "the confirmation is not the one that was asked for, or came too late"}
		}
		proof = how
	}
	switch d.Verb {
	case "approve":
		return s.desk.Approve(ctx, n, d.Place, d.Digest, p, proof)
	case "refuse":
		return s.desk.Refuse(ctx, n, d.Place, d.Digest, d.Why, p)
	case "undo":
		return s.desk.Undo(ctx, n, d.Place, p, proof)
	case "ask":
		return s.desk.Ask(ctx, n, d.Place, p)
	case "done":
		return s.desk.Done(ctx, n, d.Place, d.Why, p)
	case "note":
		return s.desk.Note(ctx, n, d.Why, p)
	case "close":
		return s.desk.Close(ctx, n, d.Why, p)
	}
	return fmt.Errorf("%w: verb %q is none of approve, refuse, undo, ask, done, note, close", errBadRequest, d.Verb)
}
