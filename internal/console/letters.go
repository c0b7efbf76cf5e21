package console

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"cordon/internal/incident"
	"cordon/internal/letter"
)

// Letters is DEADLETTER: what could not be stored as a record, and the way to replay it.
type Letters interface {
	List(ctx context.Context, f letter.Filter) (letter.Page, error)
	Show(ctx context.Context, id string) (letter.Letter, error)
	Replay(ctx context.Context, id string, fixed []byte) (letter.Outcome, error)
	ReplayAll(ctx context.Context, f letter.Filter) ([]letter.Outcome, error)
}

const (
	lettersShown = 100      // where nobody names a limit
	maxMended    = 48 << 20 // of a request: 32 MiB of mended bytes, in base64
)

// Mended is the body of a replay.
type Mended struct {
	// Bytes are what a person has made of the letter's; null replays the letter as it is.
	Bytes []byte `json:"bytes"`
}

// What AUDIT holds of a replay: who asked for what, before it is tried, and what came of it.
const (
	replayAsked = "deadletter.replay"
	replayDone  = "deadletter.replayed"
)

// replayAskedData says what is to be replayed. Mended is the SHA-256 of the bytes that a person put in place.
type replayAskedData struct {
	Letter string         `json:"letter,omitempty"`
	Mended string         `json:"mended,omitempty"`
	All    *letter.Filter `json:"all,omitempty"`
}

type replayDoneData struct {
	Outcomes []letter.Outcome `json:"outcomes"`
	Error    string           `json:"error,omitempty"`
}

func (s *Server) apiLetters(w http.ResponseWriter, r *http.Request, _ incident.Person) error {
	f := letter.Filter{Source: r.URL.Query().Get("source"), Limit: lettersShown}
	var err error
	if limit := r.URL.Query().Get("limit"); limit != "" {
		if f.Limit, err = strconv.Atoi(limit); err != nil || f.Limit < 1 {
			return fmt.Errorf("%w: limit is a number from 1 on", errBadRequest)
		}
	}
	if since := r.URL.Query().Get("since"); since != "" {
		if f.Since, err = time.Parse(time.RFC3339Nano, since); err != nil {
			return fmt.Errorf("%w: since is a time such as 2026-03-02T08:00:00Z", errBadRequest)
		}
	}
	page, err := s.cfg.Letters.List(r.Context(), f)
	if err == nil {
		write(w, http.StatusOK, page)
	}
	return err
}

func (s *Server) apiLetter(w http.ResponseWriter, r *http.Request, _ incident.Person) error {
	l, err := s.cfg.Letters.Show(r.Context(), r.PathValue("id"))
	if err == nil {
		write(w, http.StatusOK, l)
	}
	return err
}

// mayReplay lets in who may decide: mended bytes become records, which open incidents.
func mayReplay(p incident.Person) error {
	if len(p.May) == 0 {
		return &incident.Refusal{Reason: p.Name + " may look, and replay nothing"}
	}
	return nil
}

func (s *Server) apiReplay(w http.ResponseWriter, r *http.Request, p incident.Person) error {
	if err := mayReplay(p); err != nil {
		return err
	}
	var m Mended
	if err := strictly(r.Body, &m); err != nil {
		return err
	}
	asked := replayAskedData{Letter: r.PathValue("id")}
	if _, err := letter.ParseID(asked.Letter); err != nil {
		return fmt.Errorf("%w: %w", errBadRequest, err)
	}
	if m.Bytes != nil {
		sum := sha256.Sum256(m.Bytes)
		asked.Mended = hex.EncodeToString(sum[:])
	}
	if err := s.journal(r.Context(), p.Name, replayAsked, asked); err != nil {
		return err
	}
	out, err := s.cfg.Letters.Replay(r.Context(), asked.Letter, m.Bytes)
	if err := s.replayed(r.Context(), p, []letter.Outcome{out}, err); err != nil {
		return err
	}
	write(w, http.StatusOK, out)
	return nil
}

func (s *Server) apiReplayAll(w http.ResponseWriter, r *http.Request, p incident.Person) error {
	if err := mayReplay(p); err != nil {
		return err
	}
	var f letter.Filter
	if err := strictly(r.Body, &f); err != nil {
		return err
	}
	if err := s.journal(r.Context(), p.Name, replayAsked, replayAskedData{All: &f}); err != nil {
		return err
	}
	all, err := s.cfg.Letters.ReplayAll(r.Context(), f)
	if err := s.replayed(r.Context(), p, all, err); err != nil {
		return err
	}
	write(w, http.StatusOK, all)
	return nil
}

// replayed puts on the record what came of a replay, and returns its error. It is written also where the person has
// gone meanwhile.
func (s *Server) replayed(ctx context.Context, p incident.Person, outcomes []letter.Outcome, failed error) error {
	done := replayDoneData{Outcomes: outcomes}
	if failed != nil {
		done.Error = failed.Error()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(failed, s.journal(ctx, p.Name, replayDone, done))
}

// strictly reads one JSON value of a known form.
func strictly(in io.Reader, into any) error {
	dec := json.NewDecoder(in)
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("%w: the request is no JSON of the known form", errBadRequest)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: there is more than one request", errBadRequest)
	}
	return nil
}
