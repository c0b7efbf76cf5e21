package record

import (
	"slices"
	"strings"

	"cordon/internal/tape"
)

// The claims of Azure Activity that have a URI for a name; the others are named as in the token (domain notes, logs
// 4.5).
const (
	claimUPN      = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"
	claimName     = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"
	claimObjectID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
	claimTenant   = "http://schemas.microsoft.com/identity/claims/tenantid"
)

// activity reads a record of Azure Activity. One operation is usually two records, its start and its end, with one
// correlation id: the result tells them apart.
func (r *Record) activity() {
	r.Operation = NormalOperation(r.localised("operationName"))
	r.Result = activityResult(first(r.localised("resultType"), r.localised("status")))
	r.Correlation = text(r.value("correlationId"))
	r.Actor = r.caller()
	if id := first(text(find(r.root, "resourceId")), r.scope()); id != "" {
		r.Targets = []Target{{Type: "Resource", ID: id, Name: id[strings.LastIndex(strings.TrimRight(id, "/"), "/")+1:]}}
	}
}

// localised reads what the hub writes as a text and the REST API as {value, localizedValue}.
func (r *Record) localised(name string) string {
	v := r.value(name)
	for _, e := range elements(v) {
		return first(text(e), text(find(e, "value")))
	}
	return ""
}

// activityResult folds the services' words for one outcome: Success, Succeeded, Failure, Failed, Start, Started.
func activityResult(s string) string {
	switch s = strings.ToLower(s); {
	case strings.HasPrefix(s, "succe"):
		return "success"
	case strings.HasPrefix(s, "fail"):
		return "failure"
	case strings.HasPrefix(s, "start"):
		return "start"
	case strings.HasPrefix(s, "accept"):
		return "accept"
	}
	return s
}

// scope is the resource that the authorization names.
func (r *Record) scope() string {
	return text(find(unwrap(find(r.value("identity"), "authorization")), "scope"))
}

// caller is who acted, by the claims of his token. An application has no UPN there; the appid of a person's token is
// the client that he used (the portal), and is not him.
func (r *Record) caller() Party {
	p := Party{Address: Address(text(find(r.root, "callerIpAddress")))}
	var client, kind string
	identity := r.value("identity")
	kind = text(find(unwrap(find(unwrap(find(identity, "authorization")), "evidence")), "principalType"))
	for _, c := range [...]tape.Value{r.value("claims"), unwrap(find(identity, "claims"))} {
		p.ID = first(p.ID, text(find(c, claimObjectID)), text(find(c, "oid")))
		p.UPN = first(p.UPN, text(find(c, claimUPN)), text(find(c, "upn")), text(find(c, "unique_name")), address(text(find(c, claimName))))
		p.Name = first(p.Name, text(find(c, "name")))
		p.Home = first(p.Home, text(find(c, claimTenant)), text(find(c, "tid")))
		p.Address = first(p.Address, Address(text(find(c, "ipaddr"))))
		client = first(client, text(find(c, "appid")))
		if strings.EqualFold(text(find(c, "idtyp")), "app") {
			kind = "ServicePrincipal"
		}
	}
	if by := text(r.value("caller")); p.ID == "" && p.UPN == "" {
		if p.UPN = address(by); p.UPN == "" {
			p.ID = by
		}
	}
	switch {
	case p.UPN != "":
		p.Type = User
	case strings.EqualFold(kind, "User") && p.ID != "":
		p.Type = User
	case p.ID != "" || client != "":
		p.Type, p.AppID = ServicePrincipal, client
	}
	return p
}

// address is a name if it has the form of a user principal name.
func address(name string) string {
	if strings.Contains(name, "@") {
		return name
	}
	return ""
}

// activityKey is the record's own id, else what tells it from the others of its correlation; "" where it has neither
// (domain notes, logs 4.1).
func (r *Record) activityKey() string {
	if id := text(r.value("eventDataId")); id != "" {
		return id
	}
	correlation := text(r.value("correlationId"))
	if correlation == "" {
		return ""
	}
	return strings.Join([]string{correlation, strings.ToLower(r.Operation), r.Result, r.Time.Format("20060102T150405.999999999Z")}, "/")
}

// Diagnostic is what a record of Azure Activity says of a diagnostic setting as it was written.
type Diagnostic struct {
	Known    bool     // the record carries the setting
	Disabled []string // log categories that it leaves disabled
	Hub      bool     // it still sends to an event hub
}

// Diagnostic reads the write of a diagnostic setting: from what was asked for, else from what was answered. The shape
// is that of the resource type microsoft.insights/diagnosticSettings and of microsoft.aadiam/diagnosticSettings:
// properties.logs[] with category and enabled, properties.eventHubAuthorizationRuleId. That Activity records carry it
// as requestbody is how it was seen for other resources; for these two it is unconfirmed.
func (r *Record) Diagnostic() (d Diagnostic) {
	for _, body := range elements(r.value("requestbody", "responseBody")) {
		inner := unwrap(find(body, "properties"))
		if !inner.Exists() {
			inner = body
		}
		for _, setting := range elements(inner) {
			logs := unwrap(find(setting, "logs"))
			d.Hub = d.Hub || text(find(setting, "eventHubAuthorizationRuleId")) != ""
			d.Known = d.Known || d.Hub || logs.Exists() || text(find(setting, "workspaceId")) != "" || text(find(setting, "storageAccountId")) != ""
			for _, l := range elements(logs) {
				name := first(text(find(l, "category")), text(find(l, "categoryGroup")))
				if strings.EqualFold(text(find(l, "enabled")), "false") && name != "" && !slices.Contains(d.Disabled, name) {
					d.Disabled = append(d.Disabled, name)
				}
			}
		}
	}
	return d
}
