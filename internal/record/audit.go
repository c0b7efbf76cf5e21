package record

import (
	"strings"

	"cordon/internal/tape"
)

// A record of AuditLogs, or of a log in its shape (domain notes, logs 4.4).

// auditOperation is, where both are written, the envelope's name: it is the one that detections are written for; some
// relays put a localised activity beside it.
func (r *Record) auditOperation() string {
	name := text(find(r.root, nOperationName))
	if name == "" {
		name = text(r.value(nActivityDisplayName))
	}
	return NormalOperation(name)
}

func (r *Record) auditResult() string { return lower(text(r.value(nResult))) }

func (r *Record) auditTargets() {
	for _, t := range elements(r.value(nTargetResources)) {
		t = unwrap(t)
		if t.Kind() != tape.Object {
			continue
		}
		r.target(Target{Type: text(find(t, nType)), ID: text(find(t, nId)), UPN: text(find(t, nUserPrincipalName)), Name: text(find(t, nDisplayName))},
			unwrap(find(t, nModifiedProperties)), nDisplayName, nOldValue, nNewValue)
	}
}

// target adds a target with what was changed in it; the names are those of the members that tell it.
func (r *Record) target(t Target, properties tape.Value, name, old, new tape.Name) {
	dec := r.later.dec
	from := len(dec.changes)
	for _, m := range elements(properties) {
		if m.Kind() != tape.Object {
			continue
		}
		dec.changes = append(dec.changes, Change{Name: text(find(m, name)), Old: textOf(find(m, old)), New: textOf(find(m, new))})
	}
	if to := len(dec.changes); to > from {
		t.Changes = dec.changes[from:to:to]
	}
	dec.targets = append(dec.targets, t)
}

// textOf is a property's value as one text.
func textOf(v tape.Value) string {
	switch v.Kind() {
	case tape.Array, tape.Object:
		return v.Literal()
	}
	return decodeOnce(v)
}

// lower folds the few words that results are written in.
func lower(s string) string {
	switch s {
	case "success", "failure", "timeout":
		return s
	}
	return strings.ToLower(s)
}

func (r *Record) initiator() Party {
	by := r.value(nInitiatedBy)
	if u := unwrap(find(by, nUser)); u.Kind() == tape.Object {
		p := Party{Type: User, ID: text(find(u, nId)), UPN: text(find(u, nUserPrincipalName)), Name: text(find(u, nDisplayName)), Home: text(find(u, nHomeTenantId)),
			Address: Address(first(text(find(u, nIpAddress)), text(find(r.root, nCallerIpAddress))))}
		if p.Key() != "" {
			return p
		}
	}
	if a := unwrap(find(by, nApp)); a.Kind() == tape.Object {
		return Party{Type: ServicePrincipal, ID: text(find(a, nServicePrincipalId)), AppID: text(find(a, nAppId)), Name: text(find(a, nDisplayName)),
			Address: Address(text(find(r.root, nCallerIpAddress)))}
	}
	return Party{}
}

// intune says that a record of AuditLogs is Intune's: it names its audit log as Entra does.
func (r *Record) intune() bool {
	const provider = "microsoft.intune"
	resource := text(find(r.root, nResourceId))
	return len(resource) >= len(provider) && strings.EqualFold(resource[len(resource)-len(provider):], provider)
}

// Intune's audit log (learn.microsoft.com, intune/fundamentals/review-logs-using-azure-monitor).

func (r *Record) intuneOperation() string {
	return NormalOperation(first(text(find(r.root, nOperationName)), text(r.value(cActivityType))))
}

func (r *Record) intuneResult() string {
	return lower(first(text(find(r.root, nResultType)), text(r.value(cActivityResultStatus))))
}

func (r *Record) intuneCorrelation() string {
	return first(text(find(r.root, nCorrelationId)), text(r.value(cRelationId)))
}

func (r *Record) intuneActor() Party {
	actor := r.value(cActor)
	p := Party{Type: User, ID: text(find(actor, cObjectId)), UPN: first(text(find(actor, cUPN)), text(find(r.root, nIdentity))), Name: text(find(actor, cName))}
	if app := text(find(actor, cApplication)); app != "" && p.ID == "" && p.UPN == "" {
		return Party{Type: ServicePrincipal, AppID: app, Name: text(find(actor, cApplicationName))}
	}
	return p
}

func (r *Record) intuneTargets() {
	var ids []string
	for _, id := range elements(r.value(cTargetObjectIds)) {
		ids = append(ids, text(id))
	}
	for i, t := range elements(r.value(cTargets)) {
		target := Target{Type: text(find(r.root, nCategory)), Name: text(find(t, cName))}
		if i < len(ids) {
			target.ID = ids[i]
		}
		r.target(target, unwrap(find(t, cModifiedProperties)), cName, cOld, cNew)
	}
}

// What the provisioning service did in another system, or from one (Graph: provisioningObjectSummary).

func (r *Record) provisioningOperation() string {
	return NormalOperation(first(text(find(r.root, nOperationName)), text(r.value(nProvisioningAction))))
}

func (r *Record) provisioningResult() string {
	return lower(first(text(find(r.value(nProvisioningStatusInfo, nStatusInfo), nStatus)), text(find(r.root, nResultType))))
}

func (r *Record) provisioningCorrelation() string {
	return first(text(r.value(nJobId)), text(find(r.root, nCorrelationId)))
}

func (r *Record) provisioningActor() Party {
	by := r.value(nInitiatedBy)
	p := Party{Type: ServicePrincipal, ID: text(find(by, nId)), Name: first(text(find(by, nDisplayName)), text(find(by, nName)))}
	if strings.EqualFold(first(text(find(by, nInitiatorType)), text(find(by, nType))), "user") {
		p.Type = User
	}
	if sp := r.value(nServicePrincipal); p.ID == "" && sp.Kind() == tape.Object {
		p.ID, p.Name = text(find(sp, nId)), text(find(sp, nDisplayName))
	}
	return p
}

func (r *Record) provisioningTargets() {
	if t := r.value(nTargetIdentity); t.Kind() == tape.Object {
		r.target(Target{Type: first(text(find(t, nIdentityType)), "User"), ID: text(find(t, nId)), Name: text(find(t, nDisplayName))},
			r.value(nModifiedProperties), nDisplayName, nOldValue, nNewValue)
	}
}
