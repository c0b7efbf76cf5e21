package record

import (
	"strings"

	"cordon/internal/tape"
)

// readAudit reads a record of AuditLogs, or of a log in its shape (domain notes, logs 4.4).
func (dec *Decoder) readAudit() {
	r := &dec.rec
	// Where both are written the envelope's name is the one that detections are written for; some relays put a
	// localised activity beside it.
	r.Operation = NormalOperation(first(text(find(r.root, nOperationName)), text(r.value(nActivityDisplayName))))
	r.Result = lower(text(r.value(nResult)))
	r.Correlation = text(r.value(nCorrelationId))
	r.Actor = r.initiator()
	for _, t := range elements(r.value(nTargetResources)) {
		t = unwrap(t)
		if t.Kind() != tape.Object {
			continue
		}
		dec.target(Target{Type: text(find(t, nType)), ID: text(find(t, nId)), UPN: text(find(t, nUserPrincipalName)), Name: text(find(t, nDisplayName))},
			unwrap(find(t, nModifiedProperties)), nDisplayName, nOldValue, nNewValue)
	}
	r.Targets = dec.targets
}

// target adds a target with what was changed in it; the names are those of the members that tell it.
func (dec *Decoder) target(t Target, properties tape.Value, name, old, new tape.Name) {
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

// readIntune reads Intune's audit log (learn.microsoft.com, intune/fundamentals/review-logs-using-azure-monitor).
func (dec *Decoder) readIntune() {
	r := &dec.rec
	r.Operation = NormalOperation(first(text(find(r.root, nOperationName)), text(r.value(cActivityType))))
	r.Result = lower(first(text(find(r.root, nResultType)), text(r.value(cActivityResultStatus))))
	r.Correlation = first(text(find(r.root, nCorrelationId)), text(r.value(cRelationId)))
	actor := r.value(cActor)
	r.Actor = Party{Type: User, ID: text(find(actor, cObjectId)), UPN: first(text(find(actor, cUPN)), text(find(r.root, nIdentity))), Name: text(find(actor, cName))}
	if app := text(find(actor, cApplication)); app != "" && r.Actor.ID == "" && r.Actor.UPN == "" {
		r.Actor = Party{Type: ServicePrincipal, AppID: app, Name: text(find(actor, cApplicationName))}
	}
	var ids []string
	for _, id := range elements(r.value(cTargetObjectIds)) {
		ids = append(ids, text(id))
	}
	for i, t := range elements(r.value(cTargets)) {
		target := Target{Type: text(find(r.root, nCategory)), Name: text(find(t, cName))}
		if i < len(ids) {
			target.ID = ids[i]
		}
		dec.target(target, unwrap(find(t, cModifiedProperties)), cName, cOld, cNew)
	}
	r.Targets = dec.targets
}

// readProvisioning reads what the provisioning service did in another system, or from one (Graph: provisioningObjectSummary).
func (dec *Decoder) readProvisioning() {
	r := &dec.rec
	r.Operation = NormalOperation(first(text(find(r.root, nOperationName)), text(r.value(nProvisioningAction))))
	status := first(text(find(r.value(nProvisioningStatusInfo, nStatusInfo), nStatus)), text(find(r.root, nResultType)))
	r.Result = lower(status)
	r.Correlation = first(text(r.value(nJobId)), text(find(r.root, nCorrelationId)))
	by := r.value(nInitiatedBy)
	r.Actor = Party{Type: ServicePrincipal, ID: text(find(by, nId)), Name: first(text(find(by, nDisplayName)), text(find(by, nName)))}
	if strings.EqualFold(first(text(find(by, nInitiatorType)), text(find(by, nType))), "user") {
		r.Actor.Type = User
	}
	if sp := r.value(nServicePrincipal); r.Actor.ID == "" && sp.Kind() == tape.Object {
		r.Actor.ID, r.Actor.Name = text(find(sp, nId)), text(find(sp, nDisplayName))
	}
	if t := r.value(nTargetIdentity); t.Kind() == tape.Object {
		dec.target(Target{Type: first(text(find(t, nIdentityType)), "User"), ID: text(find(t, nId)), Name: text(find(t, nDisplayName))},
			r.value(nModifiedProperties), nDisplayName, nOldValue, nNewValue)
	}
	r.Targets = dec.targets
}
