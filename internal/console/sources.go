package console

import (
	"fmt"
	"net/http"
	"time"

	"cordon/internal/incident"
	"cordon/internal/sources"
)

func (s *Server) apiSources(w http.ResponseWriter, r *http.Request, _ incident.Person) error {
	report, err := s.cfg.Sources.Report(r.Context())
	if err == nil {
		write(w, http.StatusOK, report)
	}
	return err
}

func (s *Server) sources(w http.ResponseWriter, r *http.Request, p incident.Person) error {
	report, err := s.cfg.Sources.Report(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	s.render(w, "sources", struct {
		Person incident.Person
		sources.Report
	}{p, report})
	return nil
}

// metrics are for who may look.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request, _ incident.Person) error {
	s.cfg.Metrics.ServeHTTP(w, r)
	return nil
}

// span is a number of seconds as people say it.
func span(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}

// size is a number of bytes as people say it.
func size(bytes int64) string {
	const units = "KMGT"
	if bytes < 1024 {
		return fmt.Sprintf("%d B", bytes)
	}
	v, unit := float64(bytes)/1024, 0
	for v >= 1024 && unit < len(units)-1 {
		v, unit = v/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[unit])
}
