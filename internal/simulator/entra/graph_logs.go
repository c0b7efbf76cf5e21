package entra

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The lists of Graph that hold logs.
const (
	DirectoryAudits                = "auditLogs/directoryAudits"
	SignIns                        = "auditLogs/signIns"
	RiskDetections                 = "identityProtection/riskDetections"
	RiskyUsers                     = "identityProtection/riskyUsers"
	RiskyServicePrincipals         = "identityProtection/riskyServicePrincipals"
	ServicePrincipalRiskDetections = "identityProtection/servicePrincipalRiskDetections"
	PartnerSecurityAlerts          = "security/partner/securityAlerts"
	UnifiedAudit                   = "security/auditLog" // found by queries alone
)

// timeFields are what the lists can be filtered by.
func timeFields(list string) []string {
	switch list {
	case DirectoryAudits:
		return []string{"activityDateTime"}
	case SignIns:
		return []string{"createdDateTime"}
	case RiskyUsers, RiskyServicePrincipals:
		return []string{"riskLastUpdatedDateTime"}
	case UnifiedAudit:
		return []string{"CreationTime"}
	}
	return []string{"detectedDateTime", "lastUpdatedDateTime"}
}

// signInKinds are beta's signInEventTypes by the category of the stream.
func signInKinds() map[string]string {
	return map[string]string{"SignInLogs": "interactiveUser", "NonInteractiveUserSignInLogs": "nonInteractiveUser",
		"ServicePrincipalSignInLogs": "servicePrincipal", "ManagedIdentitySignInLogs": "managedIdentity"}
}

// logObject is one object of a list, as Graph returns it.
type logObject struct {
	id    string
	kind  string // of a sign-in
	times map[string]time.Time
	raw   json.RawMessage
}

// mostLogs bounds each list; the oldest go.
const mostLogs = 100_000

// AddLog puts an object into one of the lists; one with its id that is there already is replaced. It may be late: its
// times are its own. kind is a sign-in's signInEventType, "" for others.
func (t *Tenant) AddLog(list, kind string, raw json.RawMessage) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.addLog(list, kind, raw)
}

func (t *Tenant) addLog(list, kind string, raw json.RawMessage) error {
	var all map[string]any
	if err := json.Unmarshal(raw, &all); err != nil {
		return fmt.Errorf("reading an object of %s: %w", list, err)
	}
	o := logObject{kind: kind, raw: slices.Clone(raw), times: map[string]time.Time{}}
	if o.id, _ = all["id"].(string); o.id == "" {
		o.id, _ = all["Id"].(string)
	}
	for _, name := range timeFields(list) {
		text, _ := all[name].(string)
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
			if at, err := time.Parse(layout, text); err == nil {
				o.times[name] = at
				break
			}
		}
	}
	rows := t.logs[list]
	if rows == nil {
		empty := newTable[logObject]()
		rows, t.logs[list] = &empty, &empty
	}
	rows.put(kind+"/"+o.id, o)
	if len(rows.order) > mostLogs {
		rows.remove(rows.order[0])
	}
	return nil
}

// listed are a list's objects. The caller has the lock.
func (t *Tenant) listed(list string) (rows []logObject) {
	if t.logs[list] != nil {
		for o := range t.logs[list].all() {
			rows = append(rows, *o)
		}
	}
	return rows
}

// publish shows in Graph what a change has written to the stream. The caller has the lock.
func (t *Tenant) publish(out []emission) error {
	for _, e := range out {
		list, kind := SignIns, signInKinds()[e.category]
		if e.category == "AuditLogs" {
			list = DirectoryAudits
		} else if kind == "" {
			continue
		}
		var record struct{ Properties json.RawMessage }
		if err := json.Unmarshal(e.record, &record); err != nil {
			return fmt.Errorf("reading %s record: %w", e.category, err)
		}
		if err := t.addLog(list, kind, record.Properties); err != nil {
			return err
		}
	}
	return nil
}

// logRoutes are the lists of logs. Microsoft asks for AuditLog.Read.All and Directory.Read.All together for sign-ins;
// here the first is enough.
func logRoutes() []route {
	audit := []string{"AuditLog.Read.All"}
	events := []string{"IdentityRiskEvent.Read.All", "IdentityRiskEvent.ReadWrite.All"}
	principals := []string{"IdentityRiskyServicePrincipal.Read.All", "IdentityRiskyServicePrincipal.ReadWrite.All"}
	searching := []string{"AuditLogsQuery.Read.All"}
	return []route{
		{"GET", DirectoryAudits, audit, listLog(DirectoryAudits, "")},
		{"GET", SignIns, audit, listLog(SignIns, "interactiveUser")},
		{"GET", "beta/" + SignIns, audit, listLog(SignIns, "interactiveUser")},
		{"GET", RiskDetections, events, listLog(RiskDetections, "")},
		{"GET", RiskyUsers, []string{"IdentityRiskyUser.Read.All", "IdentityRiskyUser.ReadWrite.All"}, listLog(RiskyUsers, "")},
		{"GET", RiskyServicePrincipals, principals, listLog(RiskyServicePrincipals, "")},
		{"GET", ServicePrincipalRiskDetections, events, listLog(ServicePrincipalRiskDetections, "")},
		{"GET", "beta/" + PartnerSecurityAlerts, []string{"PartnerSecurity.Read.All", "PartnerSecurity.ReadWrite.All"}, listLog(PartnerSecurityAlerts, "")},
		{"POST", UnifiedAudit + "/queries", searching, postSearch},
		{"GET", UnifiedAudit + "/queries/{id}", searching, getSearch},
		{"GET", UnifiedAudit + "/queries/{id}/records", searching, listFound},
	}
}

var (
	logTime = regexp.MustCompile(`^(\w+) (ge|gt|le|lt) (\S+)$`)
	logKind = regexp.MustCompile(`^signInEventTypes/any\(t: ?t eq '(\w+)'\)$`)
)

// listLog answers with a page of a list: $filter by time and by kind of sign-in, joined by and; $top; $orderby by time,
// the newest first where it is not said; and a $skiptoken that names the last object, so that late ones confuse nobody.
func listLog(list, usual string) func(*request) (answer, error) {
	return func(r *request) (answer, error) {
		kind, field := usual, timeFields(list)[0]
		keep := []func(logObject) bool{}
		clauses := strings.Split(r.query.Get("$filter"), " and ")
		for _, clause := range clauses {
			clause = strings.Trim(strings.TrimSpace(clause), "()")
			if strings.HasPrefix(clause, "signInEventTypes") {
				clause += ")" // its own, which was trimmed
			}
			if m := logKind.FindStringSubmatch(clause); m != nil && list == SignIns && strings.HasPrefix(r.URL.Path, "/beta/") {
				kind = m[1]
				continue
			}
			m := logTime.FindStringSubmatch(clause)
			if m == nil && r.query.Get("$filter") == "" {
				continue
			}
			if m == nil || !slices.Contains(timeFields(list), m[1]) {
				return answer{}, badFilter("'" + clause + "' is not supported")
			}
			bound, err := time.Parse(time.RFC3339, m[3])
			if err != nil {
				return answer{}, badFilter("'" + m[3] + "' is no time")
			}
			field = m[1]
			keep = append(keep, func(o logObject) bool {
				at := o.times[m[1]]
				return !at.IsZero() && map[string]bool{"ge": !at.Before(bound), "gt": at.After(bound), "le": !at.After(bound), "lt": at.Before(bound)}[m[2]]
			})
		}
		var rows []logObject
		err := r.read(func(t *Tenant) error {
			if strings.HasPrefix(list, "identityProtection") {
				if err := t.licensed(); err != nil {
					return err
				}
			}
			rows = t.listed(list)
			if list == RiskyUsers {
				rows = append(rows, t.riskyUsers()...)
			}
			return nil
		})
		if err != nil {
			return answer{}, err
		}
		rows = slices.DeleteFunc(rows, func(o logObject) bool {
			return o.kind != kind || slices.ContainsFunc(keep, func(passes func(logObject) bool) bool { return !passes(o) })
		})
		return pageOfLog(r, list, rows, field)
	}
}

// riskyUsers are the users of whom Identity Protection has said something, in the shape of getRisky. The caller has the
// lock.
func (t *Tenant) riskyUsers() (rows []logObject) {
	for u := range t.users.all() {
		risk, ok := t.risks[strings.ToLower(u.ID)]
		if !ok {
			continue
		}
		raw, err := json.Marshal(object{"id": u.ID, "isDeleted": false, "isProcessing": false, "riskLevel": risk.RiskLevel,
			"riskState": risk.RiskState, "riskDetail": risk.RiskDetail, "userDisplayName": u.DisplayName,
			"userPrincipalName": u.UserPrincipalName, "riskLastUpdatedDateTime": graphTime(risk.RiskLastUpdatedDateTime)})
		if err == nil { // texts and times alone
			rows = append(rows, logObject{id: u.ID, raw: raw, times: map[string]time.Time{"riskLastUpdatedDateTime": risk.RiskLastUpdatedDateTime.Truncate(time.Second)}})
		}
	}
	return rows
}

// mark tells where an object stands in a list that is ordered by time and id.
func (o logObject) mark(field string) string {
	return o.times[field].UTC().Format("2006-01-02T15:04:05.000000000Z") + " " + o.id
}

func pageOfLog(r *request, list string, rows []logObject, field string) (answer, error) {
	direction := -1
	switch order := r.query.Get("$orderby"); order {
	case "", field + " desc":
	case field, field + " asc":
		direction = 1
	default:
		return answer{}, Refused{400, "BadRequest", "$orderby '" + order + "' is not supported."}
	}
	size := 1000
	if text := r.query.Get("$top"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return answer{}, Refused{400, "BadRequest", "Invalid page size specified: '" + text + "'."}
		}
		size = n
	}
	size = min(size, r.pageSize)
	slices.SortStableFunc(rows, func(a, b logObject) int { return direction * strings.Compare(a.mark(field), b.mark(field)) })
	if token := r.query.Get("$skiptoken"); token != "" {
		last, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			return answer{}, Refused{400, "BadRequest", "The skip token is not valid."}
		}
		rows = slices.DeleteFunc(rows, func(o logObject) bool { return direction*strings.Compare(o.mark(field), string(last)) <= 0 })
	}
	body := object{"@odata.context": metadata(r, list)}
	if len(rows) > size {
		rows = rows[:size]
		query := r.query
		query.Set("$skiptoken", base64.RawURLEncoding.EncodeToString([]byte(rows[size-1].mark(field))))
		body["@odata.nextLink"] = base(r) + r.URL.EscapedPath() + "?" + query.Encode()
	}
	value := []json.RawMessage{}
	for _, o := range rows {
		value = append(value, o.raw)
	}
	body["value"] = value
	return answer{http.StatusOK, body}, nil
}
