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
	r.Operation = NormalOperation(first(text(find(r.root, "operationName")), text(r.value("activityDisplayName"))))
	r.Result = lower(text(r.value("result")))
	r.Correlation = text(r.value("correlationId"))
	r.Actor = r.initiator()
	dec.targets, dec.changes = dec.targets[:0], dec.changes[:0]
	for _, t := range elements(r.value("targetResources")) {
		t = unwrap(t)
		if t.Kind() != tape.Object {
			continue
		}
		dec.target(Target{Type: text(find(t, "type")), ID: text(find(t, "id")), UPN: text(find(t, "userPrincipalName")), Name: text(find(t, "displayName"))},
			unwrap(find(t, "modifiedProperties")), "displayName", "oldValue", "newValue")
	}
	r.Targets = dec.targets
}

// target adds a target with what was changed in it; the names are those of the members that tell it.
func (dec *Decoder) target(t Target, properties tape.Value, name, old, new string) {
	from := len(dec.changes)
	for _, m := range elements(properties) {
		if m.Kind() != tape.Object {
			continue
		}
		dec.changes = append(dec.changes, Change{Name: text(find(m, name)), Old: decodeOnce(scalarOrJSON(find(m, old))), New: decodeOnce(scalarOrJSON(find(m, new)))})
	}
	if to := len(dec.changes); to > from {
		t.Changes = dec.changes[from:to:to]
	}
	dec.targets = append(dec.targets, t)
}

func scalarOrJSON(v tape.Value) string {
	switch v.Kind() {
	case tape.Array, tape.Object:
		return string(v.JSON())
	}
	return text(v)
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
	by := r.value("initiatedBy")
	if u := unwrap(find(by, "user")); u.Kind() == tape.Object {
		p := Party{Type: User, ID: text(find(u, "id")), UPN: text(find(u, "userPrincipalName")), Name: text(find(u, "displayName")), Home: text(find(u, "homeTenantId")),
			Address: Address(first(text(find(u, "ipAddress")), text(find(r.root, "callerIpAddress"))))}
		if p.Key() != "" {
			return p
		}
	}
	if a := unwrap(find(by, "app")); a.Kind() == tape.Object {
		return Party{Type: ServicePrincipal, ID: text(find(a, "servicePrincipalId")), AppID: text(find(a, "appId")), Name: text(find(a, "displayName")),
			Address: Address(text(find(r.root, "callerIpAddress")))}
	}
	return Party{}
}

// intune says that a record of AuditLogs is Intune's: it names its audit log as Entra does.
func (r *Record) intune() bool {
	const provider = "microsoft.intune"
	resource := text(find(r.root, "resourceId"))
	return len(resource) >= len(provider) && strings.EqualFold(resource[len(resource)-len(provider):], provider)
}

// readIntune reads Intune's audit log (learn.microsoft.com, intune/fundamentals/review-logs-using-azure-monitor).
func (dec *Decoder) readIntune() {
	r := &dec.rec
	r.Operation = NormalOperation(first(text(find(r.root, "operationName")), text(r.value("ActivityType"))))
	r.Result = lower(first(text(find(r.root, "resultType")), text(r.value("ActivityResultStatus"))))
	r.Correlation = first(text(find(r.root, "correlationId")), text(r.value("RelationId")))
	actor := r.value("Actor")
	r.Actor = Party{Type: User, ID: text(find(actor, "ObjectId")), UPN: first(text(find(actor, "UPN")), text(find(r.root, "identity"))), Name: text(find(actor, "Name"))}
	if app := text(find(actor, "Application")); app != "" && r.Actor.ID == "" && r.Actor.UPN == "" {
		r.Actor = Party{Type: ServicePrincipal, AppID: app, Name: text(find(actor, "ApplicationName"))}
	}
	dec.targets, dec.changes = dec.targets[:0], dec.changes[:0]
	var ids []string
	for _, id := range elements(r.value("TargetObjectIds")) {
		ids = append(ids, text(id))
	}
	for i, t := range elements(r.value("Targets")) {
		target := Target{Type: text(find(r.root, "category")), Name: text(find(t, "Name"))}
		if i < len(ids) {
			target.ID = ids[i]
		}
		dec.target(target, unwrap(find(t, "ModifiedProperties")), "Name", "Old", "New")
	}
	r.Targets = dec.targets
}

// readProvisioning reads what the provisioning service did in another system, or from one (Graph: provisioningObjectSummary).
func (dec *Decoder) readProvisioning() {
	r := &dec.rec
	r.Operation = NormalOperation(first(text(find(r.root, "operationName")), text(r.value("provisioningAction"))))
	status := first(text(find(r.value("provisioningStatusInfo", "statusInfo"), "status")), text(find(r.root, "resultType")))
	r.Result = lower(status)
	r.Correlation = first(text(r.value("jobId")), text(find(r.root, "correlationId")))
	by := r.value("initiatedBy")
	r.Actor = Party{Type: ServicePrincipal, ID: text(find(by, "id")), Name: first(text(find(by, "displayName")), text(find(by, "name")))}
	if strings.EqualFold(first(text(find(by, "initiatorType")), text(find(by, "type"))), "user") {
		r.Actor.Type = User
	}
	if sp := r.value("servicePrincipal"); r.Actor.ID == "" && sp.Kind() == tape.Object {
		r.Actor.ID, r.Actor.Name = text(find(sp, "id")), text(find(sp, "displayName"))
	}
	dec.targets, dec.changes = dec.targets[:0], dec.changes[:0]
	if t := r.value("targetIdentity"); t.Kind() == tape.Object {
		dec.target(Target{Type: first(text(find(t, "identityType")), "User"), ID: text(find(t, "id")), Name: text(find(t, "displayName"))},
			r.value("modifiedProperties"), "displayName", "oldValue", "newValue")
	}
	r.Targets = dec.targets
}
