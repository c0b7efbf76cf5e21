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

var (
	nClaimUPN      = tape.NameOf(claimUPN)
	nClaimName     = tape.NameOf(claimName)
	nClaimObjectID = tape.NameOf(claimObjectID)
	nClaimTenant   = tape.NameOf(claimTenant)
)

// A record of Azure Activity. One operation is usually two records, its start and its end, with one correlation id: the result
// tells them apart.

func (r *Record) activityOperation() string { return NormalOperation(r.localised(nOperationName)) }

func (r *Record) activityTargets() {
	id := text(find(r.root, nResourceId))
	if id == "" {
		if id = r.scope(); id == "" {
			return
		}
	}
	dec := r.later.dec
	dec.targets = append(dec.targets, Target{Type: "Resource", ID: id, Name: id[strings.LastIndex(strings.TrimRight(id, "/"), "/")+1:]})
}

// localised reads what the hub writes as a text and the REST API as {value, localizedValue}.
func (r *Record) localised(name tape.Name) string {
	v := r.value(name)
	items := v.Items()
	e, _ := items.Next()
	return first(text(e), text(find(e, nValue)))
}

// activityResult folds the services' words for one outcome: Success, Succeeded, Failure, Failed, Start, Started.
func (r *Record) activityResult() string {
	s := r.localised(nResultType)
	if s == "" {
		s = r.localised(nStatus)
	}
	switch {
	case hasPrefix(s, "succe"):
		return "success"
	case hasPrefix(s, "fail"):
		return "failure"
	case hasPrefix(s, "start"):
		return "start"
	case hasPrefix(s, "accept"):
		return "accept"
	}
	return strings.ToLower(s)
}

// scope is the resource that the authorization names.
func (r *Record) scope() string {
	return text(find(unwrap(find(r.value(nIdentity), nAuthorization)), nScope))
}

// caller is who acted, by the claims of his token. An application has no UPN there; the appid of a person's token is
// the client that he used (the portal), and is not him.
func (r *Record) caller() Party {
	p := Party{Address: Address(text(find(r.root, nCallerIpAddress)))}
	var client, kind string
	identity := r.value(nIdentity)
	kind = text(find(unwrap(find(unwrap(find(identity, nAuthorization)), nEvidence)), nPrincipalType))
	for _, c := range [...]tape.Value{r.value(nClaims), unwrap(find(identity, nClaims))} {
		p.ID = first(p.ID, text(find(c, nClaimObjectID)), text(find(c, nOid)))
		p.UPN = first(p.UPN, text(find(c, nClaimUPN)), text(find(c, nUpn)), text(find(c, nUniqueName)), address(text(find(c, nClaimName))))
		p.Name = first(p.Name, text(find(c, nName)))
		p.Home = first(p.Home, text(find(c, nClaimTenant)), text(find(c, nTid)))
		p.Address = first(p.Address, Address(text(find(c, nIpaddr))))
		client = first(client, text(find(c, nAppid)))
		if strings.EqualFold(text(find(c, nIdtyp)), "app") {
			kind = "ServicePrincipal"
		}
	}
	if by := text(r.value(nCaller)); p.ID == "" && p.UPN == "" {
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

// appendActivityKey adds the record's own id, else what tells it from the others of its correlation, if it has one
// (domain notes, logs 4.1).
func (r *Record) appendActivityKey(to []byte) []byte {
	if id := text(r.value(nEventDataId)); id != "" {
		return append(to, id...)
	}
	correlation := text(r.value(nCorrelationId))
	if correlation == "" {
		return to
	}
	to = append(append(to, correlation...), '/')
	to = append(AppendLower(to, r.Operation), '/')
	to = append(append(to, r.Result()...), '/')
	return r.Time.AppendFormat(to, "20060102T150405.999999999Z")
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
func (r *Record) Diagnostic() Diagnostic {
	bodies := r.value(nRequestbody, nResponseBody)
	if !bodies.Exists() {
		return Diagnostic{}
	}
	return diagnosticIn(bodies)
}

func diagnosticIn(bodies tape.Value) (d Diagnostic) {
	for _, body := range elements(bodies) {
		inner := unwrap(find(body, nProperties))
		if !inner.Exists() {
			inner = body
		}
		for _, setting := range elements(inner) {
			logs := unwrap(find(setting, nLogs))
			d.Hub = d.Hub || text(find(setting, nEventHubAuthorizationRuleId)) != ""
			d.Known = d.Known || d.Hub || logs.Exists() || text(find(setting, nWorkspaceId)) != "" || text(find(setting, nStorageAccountId)) != ""
			for _, l := range elements(logs) {
				name := first(text(find(l, nCategory)), text(find(l, nCategoryGroup)))
				if strings.EqualFold(text(find(l, nEnabled)), "false") && name != "" && !slices.Contains(d.Disabled, name) {
					d.Disabled = append(d.Disabled, name)
				}
			}
		}
	}
	return d
}
