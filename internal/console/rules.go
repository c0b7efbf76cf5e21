package console

import (
	"net/http"

	"cordon/detectors/ledger"
	"cordon/internal/incident"
)

func (s *Server) apiRules(w http.ResponseWriter, _ *http.Request, _ incident.Person) error {
	write(w, http.StatusOK, s.cfg.Rules.Report())
	return nil
}

func (s *Server) rules(w http.ResponseWriter, _ *http.Request, p incident.Person) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	s.render(w, "rules", struct {
		Person incident.Person
		ledger.Report
	}{p, s.cfg.Rules.Report()})
	return nil
}
