package record

import (
	"strings"

	"cordon/internal/tape"
)

// The unified audit log of Microsoft 365, as the Office 365 Management Activity API and its exports write it
// (Microsoft: "Office 365 Management Activity API schema"). Log Analytics' table OfficeActivity holds the same under
// a few other names, which are read too.

// unifiedCategory tells a unified audit record's category, "" where it is none. A record says by itself where it
// belongs, so that it is the same one whether it came alone or in an envelope.
func (r *Record) unifiedCategory(own string) string {
	enveloped := ""
	workload := find(r.root, cWorkload)
	if !workload.Exists() {
		workload = find(r.root, cOfficeWorkload)
	}
	switch {
	case len(own) >= len(UnifiedDLP) && (strings.EqualFold(own[:6], "Audit.") || strings.EqualFold(own, UnifiedDLP)):
		for i := range categories {
			if c := &categories[i]; c.kind == KindUnifiedAudit && strings.EqualFold(own, c.name) {
				enveloped = c.name
			}
		}
		if enveloped == "" {
			return ""
		}
		workload = r.value(cWorkload, cOfficeWorkload)
	case text(workload) == "" || text(find(r.root, cOperation)) == "":
		return ""
	case !find(r.root, cCreationTime).Exists() && !find(r.root, cRecordType).Exists() && !find(r.root, cOrganizationId).Exists():
		return ""
	}
	if hasPrefix(text(r.value(cOperation)), "dlp") { // DlpRuleMatch, DlpRuleUndo, DlpInfo
		return UnifiedDLP
	}
	switch name := text(workload); {
	case name == "":
		return enveloped
	case is(name, "azureactivedirectory"):
		return UnifiedEntra
	case is(name, "exchange"):
		return UnifiedExchange
	case is(name, "sharepoint"), is(name, "onedrive"):
		return UnifiedSharePoint
	}
	return UnifiedGeneral
}

// organization is the tenant that a unified audit record names.
func (r *Record) organization() string {
	if id := text(r.value(cOrganizationId)); id != "00000000-0000-0000-0000-000000000000" {
		return id
	}
	return ""
}

func (r *Record) unifiedOperation() string { return NormalOperation(text(r.value(cOperation))) }

func (r *Record) unifiedResult() string {
	if o := r.outcome(); o.signedIn {
		if is(r.Operation, "userloggedin") && o.number == 0 {
			return "success"
		}
		return "failure"
	}
	switch result := text(r.value(cResultStatus)); {
	case is(result, "success"), is(result, "succeeded"), is(result, "true"):
		return "success"
	case is(result, "failed"), is(result, "failure"), is(result, "fail"), is(result, "false"):
		return "failure"
	default:
		return strings.ToLower(result)
	}
}

// unifiedOutcome reads how a sign-in ended that the security token service writes.
func (r *Record) unifiedOutcome() outcome {
	succeeded := is(r.Operation, "userloggedin")
	if !succeeded && !is(r.Operation, "userloginfailed") {
		return outcome{}
	}
	o, ok := outcomeOf(strings.TrimSpace(text(r.value(cErrorNumber))))
	switch {
	case succeeded && !ok: // older records have no number
		return outcome{signedIn: true, known: true}
	case !succeeded && o.number == 0: // a failure of number 0 says nothing
		return outcome{signedIn: true}
	}
	o.signedIn = true
	return o
}

// unifiedSignIn reads what is said of a sign-in: not whether a second factor was used, nor from which country.
func (r *Record) unifiedSignIn() SignIn {
	o := r.outcome()
	return SignIn{
		Error: o.number, HasError: o.known,
		Address: r.Actor.Address,
		Agent:   r.named(cExtendedProperties, "UserAgent"),
		Device:  r.named(cDeviceProperties, "Id"),
		Session: r.named(cDeviceProperties, "SessionId"),
		App:     text(r.value(cApplicationId)),
	}
}

// named is the value of one pair in an array of {Name, Value}.
func (r *Record) named(list tape.Name, name string) string {
	for _, pair := range elements(r.value(list)) {
		if pair = unwrap(pair); strings.EqualFold(text(find(pair, cName)), name) {
			return text(find(pair, cValue))
		}
	}
	return ""
}

// identity is what an array of {ID, Type} says of somebody or something. The schema's IdentityType: 0 claim (in sign-ins the
// object id), 1 name, 2 other (the object id, the kind, and both joined by "_"), 3 passport id, 4 service principal
// name, 5 user principal name.
type identity struct{ kind, id, upn, name, spn string }

func (r *Record) identities(list tape.Name) []identity {
	dec := r.later.dec
	all, one := dec.identified[:0], identity{}
	for _, entry := range elements(r.value(list)) {
		if entry = unwrap(entry); !entry.Exists() {
			continue
		}
		id := known(text(find(entry, cID)))
		kind, joined := kindAndID(id)
		switch text(find(entry, cType)) {
		case "0", "2":
			switch {
			case joined != "":
				if one.id != "" && !strings.EqualFold(one.id, joined) { // the next one begins
					all, one = append(all, one), identity{}
				}
				one.id, one.kind = joined, first(one.kind, kind)
			case isGUID(id):
				one.id = first(one.id, id)
			case strings.Contains(id, "@"):
				one.upn = first(one.upn, id)
			case id != "" && !strings.ContainsAny(id, " _"):
				one.kind = id // "Other", where the joined form says AuthorizationPolicy, is how AuditLogs calls it too
			}
		case "1":
			one.name = first(one.name, id)
		case "4":
			if isGUID(id) {
				one.spn = first(one.spn, id)
			}
		case "5":
			one.upn = first(one.upn, id)
		}
	}
	if one != (identity{}) {
		all = append(all, one)
	}
	dec.identified = all
	return all
}

// kindAndID takes "ServicePrincipal_<guid>" apart.
func kindAndID(s string) (kind, id string) {
	if at := strings.LastIndex(s, "_"); at > 0 && isGUID(s[at+1:]) {
		return s[:at], s[at+1:]
	}
	return "", ""
}

// known drops what stands where the log knows nobody.
func known(s string) string {
	s = strings.TrimSpace(s)
	if is(s, "not available") || is(s, "unknown") || is(s, "n/a") || is(s, "<null>") {
		return ""
	}
	return s
}

func (r *Record) unifiedActor() Party {
	var said identity
	if all := r.identities(cActor); len(all) > 0 {
		said = all[0]
	}
	p := Party{Type: User, ID: said.id, UPN: said.upn, Name: said.name, Home: text(r.value(cActorContextId)),
		Address: unifiedAddress(first(text(r.value(cClientIP, cClientIPAddress, cOfficeClientIP)), text(r.value(cActorIpAddress))))}
	for _, s := range [...]string{known(text(r.value(cUserKey))), known(text(r.value(cUserId)))} {
		kind, joined := kindAndID(s)
		switch {
		case joined != "":
			p.ID, said.kind = first(p.ID, joined), first(said.kind, kind)
		case isGUID(s):
			p.ID = first(p.ID, s)
		}
	}
	switch id := known(text(r.value(cUserId))); {
	case strings.Contains(id, "@"):
		p.UPN = first(p.UPN, id)
	case id != "" && !isGUID(id):
		if _, joined := kindAndID(id); joined == "" {
			p.Name = first(p.Name, id) // NT AUTHORITY\SYSTEM and its like
		}
	}
	switch by := text(r.value(cUserType)); {
	case by == "5", by == "6", is(by, "application"), is(by, "serviceprincipal"):
		said.kind = "ServicePrincipal"
	}
	if strings.EqualFold(said.kind, "ServicePrincipal") || said.spn != "" && p.UPN == "" {
		p.Type, p.UPN = ServicePrincipal, ""
		p.AppID = first(said.spn, text(r.value(cAppId)), text(r.value(cClientAppId)))
		if strings.EqualFold(p.ID, p.AppID) { // an application is no service principal's object id
			p.ID = ""
		}
	}
	if p.Key() == "" {
		p.Type = ""
	}
	return p
}

// unifiedAddress also takes "[::1]" without a port.
func unifiedAddress(s string) string {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		s = s[1 : len(s)-1]
	}
	return Address(s)
}

// unifiedTargets reads what was changed: the directory's Target, else the object, the mailbox and the one it was shared with.
// What was changed of it are ModifiedProperties, and the parameters of Exchange's cmdlets and rules.
func (r *Record) unifiedTargets() {
	if r.outcome().signedIn {
		return
	}
	dec := r.later.dec
	for _, t := range r.identities(cTarget) {
		dec.targets = append(dec.targets, Target{Type: t.kind, ID: t.id, UPN: t.upn, Name: t.name})
	}
	object := text(r.value(cObjectId, cOfficeObjectId))
	if len(dec.targets) == 0 {
		dec.targets = append(dec.targets, r.unifiedObject(object))
	}
	for _, m := range elements(r.value(cModifiedProperties)) {
		if m = unwrap(m); !m.Exists() {
			continue
		}
		// Mailbox audit records list the bare names.
		c := Change{Name: first(text(find(m, cName)), text(m)), Old: decodeOnce(find(m, cOldValue)), New: decodeOnce(find(m, cNewValue))}
		if c.Name != "" {
			dec.changes = append(dec.changes, c)
		}
	}
	for _, list := range [...]tape.Name{cParameters, cOperationProperties} {
		for _, m := range elements(r.value(list)) {
			if m = unwrap(m); text(find(m, cName)) == "" {
				continue
			}
			dec.changes = append(dec.changes, Change{Name: text(find(m, cName)), New: text(find(m, cValue))})
		}
	}
	if n := len(dec.changes); n > 0 {
		dec.targets[0].Changes = dec.changes[:n:n]
	}
	if t := dec.targets[0]; t.Type == "" && t.ID == "" && t.UPN == "" && t.Name == "" && len(t.Changes) == 0 {
		dec.targets = dec.targets[:0]
	}
	if with := text(r.value(cTargetUserOrGroupName)); with != "" {
		t := Target{Type: text(r.value(cTargetUserOrGroupType)), Name: with}
		if strings.Contains(with, "@") {
			t.UPN = with
		}
		dec.targets = append(dec.targets, t)
	}
}

// unifiedObject is the one thing that a record without Target is about.
func (r *Record) unifiedObject(object string) Target {
	t := Target{Name: object}
	switch owner := text(r.value(cMailboxOwnerUPN)); {
	case owner != "":
		return Target{Type: "Mailbox", UPN: owner, ID: text(r.value(cMailboxGuid)), Name: object}
	case r.Category == UnifiedExchange:
		_, noun, _ := strings.Cut(r.Operation, "-") // Set-Mailbox, New-InboxRule
		t.Type = noun
		for _, s := range [...]string{object, r.named(cParameters, "Mailbox"), r.named(cParameters, "Identity")} {
			if strings.Contains(s, "@") && !strings.ContainsAny(s, `/\ `) {
				t.UPN = first(t.UPN, s)
			}
		}
	default:
		t.Type = text(r.value(cItemType))
	}
	if isGUID(object) {
		t.ID = object
	}
	return t
}
