package console

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"cordon/internal/incident"
	"go.uber.org/zap"
)

func (s *Server) page(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, ok := s.door.who(r)
		if !ok {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.WriteHeader(http.StatusUnauthorized)
			s.render(w, "login", "")
			return
		}
		if err := h(w, r, p); err != nil {
			status, text := s.explain(err)
			s.fail(w, status, text)
		}
	}
}

func (s *Server) fail(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	s.render(w, "failure", text)
}

// render writes a page whole or not at all.
func (s *Server) render(w http.ResponseWriter, name string, data any) {
	var b bytes.Buffer
	if err := s.pages.ExecuteTemplate(&b, name, data); err != nil {
		s.cfg.Log.Error("rendering", zap.String("page", name), zap.Error(err))
		http.Error(w, "Cordon could not write this page; its log says why", http.StatusInternalServerError)
		return
	}
	_, _ = b.WriteTo(w) // the reader has gone if this fails
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, p incident.Person) error {
	list, err := s.summaries(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	s.render(w, "list", struct {
		Person    incident.Person
		Incidents []Summary
		Sources   bool // there is a page about them
		Rules     bool
	}{p, list, s.cfg.Sources != nil, s.cfg.Rules != nil})
	return nil
}

// phaseView is one phase of the page.
type phaseView struct {
	Name   string
	Steps  []*incident.Step
	Active bool
}

// view is the incident's page.
type view struct {
	Person  incident.Person
	I       *incident.Incident
	Phases  []phaseView
	Waiting []*incident.Step
	Links   []link
	Events  []incident.Numbered
	Now     time.Time
}

type link struct {
	incident.LinkedData
	Number uint64
}

func (s *Server) incident(w http.ResponseWriter, r *http.Request, p incident.Person) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	_, i, err := s.cfg.Store.Find(r.Context(), n)
	if err != nil {
		return err
	}
	events, err := s.cfg.Store.Events(r.Context(), i.Subject)
	if err != nil {
		return err
	}
	v := view{Person: p, I: i, Waiting: i.Waiting(), Now: s.cfg.Clock.Now()}
	for _, name := range []string{"confirm", "contain", "secure", "improve"} {
		ph := phaseView{Name: name}
		for _, step := range i.Steps {
			if step.Phase == name {
				ph.Steps = append(ph.Steps, step)
				ph.Active = ph.Active || !step.Settled()
			}
		}
		slices.SortStableFunc(ph.Steps, func(a, b *incident.Step) int { return cmp.Compare(a.Order, b.Order) })
		v.Phases = append(v.Phases, ph)
	}
	for _, l := range i.Links {
		far, err := s.cfg.Store.Load(r.Context(), l.Subject)
		if err != nil {
			return err
		}
		if other := far.Current(); other != nil {
			v.Links = append(v.Links, link{l, other.Number})
		}
	}
	for _, e := range events {
		if e.Sequence >= i.Number {
			v.Events = append(v.Events, e)
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	name := "incident"
	if r.URL.Query().Get("part") == "body" {
		name = "body"
	}
	s.render(w, name, v)
	return nil
}

func (s *Server) report(w http.ResponseWriter, r *http.Request, _ incident.Person) error {
	n, err := number(r)
	if err != nil {
		return err
	}
	_, i, err := s.cfg.Store.Find(r.Context(), n)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/markdown; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="incident-%d.md"`, n))
	_, err = w.Write([]byte(incident.Report(i, s.cfg.Clock.Now())))
	if err != nil {
		s.cfg.Log.Debug("sending a report", zap.Error(err))
	}
	return nil
}

// functions are what the templates may call.
func functions(cfg Config) template.FuncMap {
	return template.FuncMap{
		"clock": func(t any) string {
			switch t := t.(type) {
			case time.Time:
				return t.UTC().Format("15:04:05")
			case *time.Time:
				return t.UTC().Format("15:04:05")
			}
			return ""
		},
		"at": func(where string, i *incident.Incident, s *incident.Step) any {
			return struct {
				Where string // the same step may stand twice on the page
				I     *incident.Incident
				Step  *incident.Step
			}{where, i, s}
		},
		"stamp":   func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") },
		"zero":    func(t time.Time) bool { return t.IsZero() },
		"span":    span,
		"size":    size,
		"percent": func(ratio float64) string { return fmt.Sprintf("%.0f %%", 100*ratio) },
		"tenant":  cfg.Tenant,
		"mode":    cfg.Mode,
		"title":   func(s string) string { return strings.ToUpper(s[:1]) + s[1:] },
		"short": func(s string) string {
			if len(s) > 12 {
				return s[:12]
			}
			return s
		},
		"json": func(raw json.RawMessage) string {
			var b bytes.Buffer
			if json.Indent(&b, raw, "", "  ") != nil {
				return string(raw)
			}
			if b.Len() > 4000 {
				return b.String()[:4000] + "\n…"
			}
			return b.String()
		},
		"evidence": func(i *incident.Incident, name string) *incident.Evidence {
			if e, ok := i.Reading(name); ok {
				return &e
			}
			return nil
		},
		"undoable": func(s *incident.Step) bool {
			return s.Kind == incident.KindDo && s.Final == "" && s.Undo == "" && (s.State == incident.Done || s.State == incident.Verified)
		},
		"mayUndo": func(i *incident.Incident, s *incident.Step) bool { return i.Step("undo/"+s.Place) == nil },
		"closing": func(i *incident.Incident) bool { return i.Closed == nil && len(i.Waiting()) == 0 },
	}
}
