package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"cordon/internal/difference"
	"cordon/internal/incident"
)

// Replayer runs stored records through rules again. It tells how far it has come once it is clear that nothing is wrong
// with what was asked for, and at least every few seconds from then on.
type Replayer interface {
	Replay(ctx context.Context, r difference.Request, told func(difference.Progress) error) (*difference.Report, error)
}

// maxReplay bounds a request: the rules' bytes, escaped in JSON.
const maxReplay = 3 * difference.MaxBytes

// What AUDIT holds of a replay of records: who asked for what, and what came of it.
const (
	recordsAsked = "records.replay"
	recordsDone  = "records.replayed"
)

type recordsAskedData struct {
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"`
	Tenant string    `json:"tenant,omitempty"`
	Files  int       `json:"files,omitempty"`
	Rules  string    `json:"rules,omitempty"` // SHA-256 of the files, by name
}

type recordsDoneData struct {
	Records int64  `json:"records"`
	Added   int    `json:"added"`
	Removed int    `json:"removed"`
	Changed int    `json:"changed"`
	Error   string `json:"error,omitempty"`
}

// apiReplayRecords answers with a line of JSON for each step: how far it has come, and at last in what the findings
// differ. Nothing is changed; but it reads much, and shows the findings of a tenant's every user.
func (s *Server) apiReplayRecords(w http.ResponseWriter, r *http.Request, p incident.Person) error {
	if len(p.May) == 0 {
		return &incident.Refusal{Reason: p.Name + " may look, and replay nothing"}
	}
	body, err := io.ReadAll(r.Body)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return difference.Refuse("the request is larger than %d MiB", maxReplay>>20)
	}
	if err != nil {
		return fmt.Errorf("%w: reading the request: %w", errBadRequest, err)
	}
	var ask difference.Request
	if err := strictly(bytes.NewReader(body), &ask); err != nil {
		return err
	}
	if err := ask.Check(); err != nil {
		return err
	}
	asked := recordsAskedData{Since: ask.Since, Until: ask.Until, Tenant: ask.Tenant, Files: len(ask.Files), Rules: digestOf(ask.Files)}
	if err := s.journal(r.Context(), p.Name, recordsAsked, asked); err != nil {
		return err
	}
	out := &lines{to: w, control: http.NewResponseController(w)}
	_ = out.control.SetReadDeadline(time.Time{}) // the request is in; that the client has gone is heard as long as it runs
	report, err := s.cfg.Replay.Replay(r.Context(), ask, func(p difference.Progress) error { return out.write(difference.Line{Progress: &p}) })
	err = s.recordsReplayed(r.Context(), p, report, err)
	switch {
	case err == nil:
		_ = out.write(difference.Line{Report: report}) // the client has gone if this fails
	case r.Context().Err() != nil: // the client has gone, or Cordon stops: nobody hears
	case out.begun:
		_, text := s.explain(err)
		_ = out.write(difference.Line{Error: text})
	default:
		return err
	}
	return nil
}

// recordsReplayed puts on the record what came of a replay, and returns its error. It is written also where the person
// has gone meanwhile.
func (s *Server) recordsReplayed(ctx context.Context, p incident.Person, report *difference.Report, failed error) error {
	var done recordsDoneData
	switch {
	case failed == nil:
		done.Records = report.Records
		for _, r := range report.Rules {
			done.Added, done.Removed, done.Changed = done.Added+r.Added, done.Removed+r.Removed, done.Changed+r.Changed
		}
	case ctx.Err() != nil:
		done.Error = "broken off"
	default:
		done.Error = failed.Error()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(failed, s.journal(ctx, p.Name, recordsDone, done))
}

// digestOf tells one folder of rules from another; a file's name and its text cannot be mistaken for one another.
func digestOf(files map[string]string) string {
	if len(files) == 0 {
		return ""
	}
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(sum, "%d %s %d %s\n", len(name), name, len(files[name]), files[name])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// lineTime is how long a client may take to read a line.
const lineTime = 30 * time.Second

// lines writes an answer line by line, each as soon as it is there.
type lines struct {
	to      http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

func (l *lines) write(line difference.Line) error {
	if !l.begun {
		l.to.Header().Set("Content-Type", "application/x-ndjson")
		l.begun = true
	}
	_ = l.control.SetWriteDeadline(time.Now().Add(lineTime)) // not every writer can; a stuck client then ends with its connection
	if err := json.NewEncoder(l.to).Encode(line); err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	if err := l.control.Flush(); err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	return nil
}
