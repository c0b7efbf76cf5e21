package entra

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// search is a query of the unified audit log, which Graph works at after it has answered.
type search struct {
	id, name   string
	users      []string
	operations []string
	from, to   time.Time
	asked      int // how often somebody asked how far it is
}

// status is where the search stands: it begins at the first question after it, and has succeeded at the third.
func (s search) status() string {
	return []string{"notStarted", "running", "running", "succeeded"}[min(s.asked, 3)]
}

func (s search) entity() object {
	return object{"id": s.id, "displayName": s.name, "filterStartDateTime": graphTime(s.from), "filterEndDateTime": graphTime(s.to),
		"userPrincipalNameFilters": s.users, "operationFilters": s.operations, "status": s.status()}
}

func postSearch(r *request) (answer, error) {
	s := search{id: NewGUID(), name: r.text("displayName"), users: texts(r.body["userPrincipalNameFilters"]), operations: texts(r.body["operationFilters"])}
	var errFrom, errTo error
	s.from, errFrom = time.Parse(time.RFC3339, r.text("filterStartDateTime"))
	s.to, errTo = time.Parse(time.RFC3339, r.text("filterEndDateTime"))
	if errFrom != nil || errTo != nil || !s.from.Before(s.to) {
		return answer{}, Refused{400, "BadRequest", "filterStartDateTime must be a time before filterEndDateTime."}
	}
	return answer{http.StatusCreated, s.entity()}, r.read(func(t *Tenant) error {
		t.searches.put(s.id, s)
		return nil
	})
}

func texts(v any) []string {
	list, _ := v.([]any)
	out := []string{}
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func getSearch(r *request) (answer, error) {
	var out object
	err := r.read(func(t *Tenant) error {
		s := t.searches.get(r.key[0])
		if s == nil {
			return notFound(r.key[0])
		}
		s.asked++
		out = s.entity()
		return nil
	})
	return answer{http.StatusOK, out}, err
}

// listFound are the records that a search has found, each with the unified audit record in its auditData.
func listFound(r *request) (answer, error) {
	var rows []logObject
	err := r.read(func(t *Tenant) error {
		s := t.searches.get(r.key[0])
		if s == nil {
			return notFound(r.key[0])
		}
		if s.status() != "succeeded" {
			return Refused{400, "BadRequest", "The query has not succeeded."}
		}
		for _, o := range t.listed(UnifiedAudit) {
			var data struct{ UserID, Operation, Workload string }
			if err := json.Unmarshal(o.raw, &data); err != nil {
				return err
			}
			at := o.times["CreationTime"]
			mine := len(s.users) == 0 || slices.ContainsFunc(s.users, func(u string) bool { return strings.EqualFold(u, data.UserID) })
			if !mine || at.Before(s.from) || at.After(s.to) || len(s.operations) > 0 && !slices.Contains(s.operations, data.Operation) {
				continue
			}
			raw, err := json.Marshal(object{"@odata.type": "#microsoft.graph.security.auditLogRecord", "id": o.id, "createdDateTime": graphTime(at),
				"operation": data.Operation, "service": data.Workload, "userPrincipalName": data.UserID, "organizationId": t.id, "auditData": o.raw})
			if err != nil {
				return err
			}
			rows = append(rows, logObject{id: o.id, times: o.times, raw: raw})
		}
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return pageOfLog(r, "security/auditLog/queries/records", rows, "CreationTime")
}
