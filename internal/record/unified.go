package record

import (
	"regexp"
	"strconv"
	"strings"
)

// The unified audit log of Microsoft 365, as the Office 365 Management Activity API and its exports write it
// (Microsoft: "Office 365 Management Activity API schema"). Log Analytics' table OfficeActivity holds the same under
// a few other names, which are read too.

// unifiedCategory tells a unified audit record's category, "" where it is none. A record says by itself where it
// belongs, so that it is the same one whether it came alone or in an envelope.
func (r *Record) unifiedCategory(own string) string {
	enveloped := ""
	workload := find(r.root, "Workload")
	if !workload.Exists() {
		workload = find(r.root, "OfficeWorkload")
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
		workload = r.value("Workload", "OfficeWorkload")
	case text(workload) == "" || text(find(r.root, "Operation")) == "":
		return ""
	case !find(r.root, "CreationTime").Exists() && !find(r.root, "RecordType").Exists() && !find(r.root, "OrganizationId").Exists():
		return ""
	}
	if strings.HasPrefix(strings.ToLower(text(r.value("Operation"))), "dlp") { // DlpRuleMatch, DlpRuleUndo, DlpInfo
		return UnifiedDLP
	}
	switch strings.ToLower(text(workload)) {
	case "":
		return enveloped
	case "azureactivedirectory":
		return UnifiedEntra
	case "exchange":
		return UnifiedExchange
	case "sharepoint", "onedrive":
		return UnifiedSharePoint
	}
	return UnifiedGeneral
}

// organization is the tenant that a unified audit record names.
func (r *Record) organization() string {
	if KindOf(r.Category) != KindUnifiedAudit {
		return ""
	}
	if id := text(r.value("OrganizationId")); id != "00000000-0000-0000-0000-000000000000" {
		return id
	}
	return ""
}

// readUnified reads a unified audit record.
func (dec *Decoder) readUnified() {
	r := &dec.rec
	r.Operation = NormalOperation(text(r.value("Operation")))
	r.Correlation = text(r.value("InterSystemsId"))
	switch result := strings.ToLower(text(r.value("ResultStatus"))); result {
	case "success", "succeeded", "true":
		r.Result = "success"
	case "failed", "failure", "fail", "false":
		r.Result = "failure"
	default:
		r.Result = result
	}
	r.Actor = r.unifiedActor()
	switch strings.ToLower(r.Operation) {
	case "userloggedin":
		dec.unifiedSignIn(true)
	case "userloginfailed":
		dec.unifiedSignIn(false)
	default:
		r.unifiedTargets()
	}
}

// unifiedSignIn reads what the security token service writes. Nothing in it says whether a second factor was used, nor
// from which country.
func (dec *Decoder) unifiedSignIn(succeeded bool) {
	r := &dec.rec
	r.Result = "failure"
	r.SignIn = &dec.signIn
	dec.signIn = SignIn{
		Address: r.Actor.Address,
		Agent:   r.named("ExtendedProperties", "UserAgent"),
		Device:  r.named("DeviceProperties", "Id"),
		Session: r.named("DeviceProperties", "SessionId"),
		App:     text(r.value("ApplicationId")),
	}
	number, err := strconv.Atoi(strings.TrimSpace(text(r.value("ErrorNumber"))))
	switch {
	case succeeded && err != nil: // older records have no number
		r.SignIn.HasError = true
	case err == nil && (succeeded || number != 0): // a failure of number 0 says nothing
		r.SignIn.Error, r.SignIn.HasError = number, true
	}
	if succeeded && r.SignIn.Error == 0 {
		r.Result = "success"
	}
}

// named is the value of one pair in an array of {Name, Value}.
func (r *Record) named(list, name string) string {
	for _, pair := range elements(r.value(list)) {
		if pair = unwrap(pair); strings.EqualFold(text(find(pair, "Name")), name) {
			return text(find(pair, "Value"))
		}
	}
	return ""
}

var guid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// identity is what an array of {ID, Type} says of somebody or something. The schema's IdentityType: 0 claim (in sign-ins the
// object id), 1 name, 2 other (the object id, the kind, and both joined by "_"), 3 passport id, 4 service principal
// name, 5 user principal name.
type identity struct{ kind, id, upn, name, spn string }

func (r *Record) identities(list string) (all []identity) {
	var one identity
	for _, entry := range elements(r.value(list)) {
		if entry = unwrap(entry); !entry.Exists() {
			continue
		}
		id := known(text(find(entry, "ID")))
		kind, joined := kindAndID(id)
		switch text(find(entry, "Type")) {
		case "0", "2":
			switch {
			case joined != "":
				if one.id != "" && !strings.EqualFold(one.id, joined) { // the next one begins
					all, one = append(all, one), identity{}
				}
				one.id, one.kind = joined, first(one.kind, kind)
			case guid.MatchString(id):
				one.id = first(one.id, id)
			case strings.Contains(id, "@"):
				one.upn = first(one.upn, id)
			case id != "" && !strings.ContainsAny(id, " _"):
				one.kind = id // "Other", where the joined form says AuthorizationPolicy, is how AuditLogs calls it too
			}
		case "1":
			one.name = first(one.name, id)
		case "4":
			if guid.MatchString(id) {
				one.spn = first(one.spn, id)
			}
		case "5":
			one.upn = first(one.upn, id)
		}
	}
	if one != (identity{}) {
		all = append(all, one)
	}
	return all
}

// kindAndID takes "ServicePrincipal_<guid>" apart.
func kindAndID(s string) (kind, id string) {
	if at := strings.LastIndex(s, "_"); at > 0 && guid.MatchString(s[at+1:]) {
		return s[:at], s[at+1:]
	}
	return "", ""
}

// known drops what stands where the log knows nobody.
func known(s string) string {
	s = strings.TrimSpace(s)
	switch strings.ToLower(s) {
	case "not available", "unknown", "n/a", "<null>":
		return ""
	}
	return s
}

func (r *Record) unifiedActor() Party {
	var said identity
	if all := r.identities("Actor"); len(all) > 0 {
		said = all[0]
	}
	p := Party{Type: User, ID: said.id, UPN: said.upn, Name: said.name, Home: text(r.value("ActorContextId")),
		Address: unifiedAddress(first(text(r.value("ClientIP", "ClientIPAddress", "Client_IPAddress")), text(r.value("ActorIpAddress"))))}
	for _, s := range []string{known(text(r.value("UserKey"))), known(text(r.value("UserId")))} {
		kind, joined := kindAndID(s)
		switch {
		case joined != "":
			p.ID, said.kind = first(p.ID, joined), first(said.kind, kind)
		case guid.MatchString(s):
			p.ID = first(p.ID, s)
		}
	}
	switch id := known(text(r.value("UserId"))); {
	case strings.Contains(id, "@"):
		p.UPN = first(p.UPN, id)
	case id != "" && !guid.MatchString(id):
		if _, joined := kindAndID(id); joined == "" {
			p.Name = first(p.Name, id) // NT AUTHORITY\SYSTEM and its like
		}
	}
	switch strings.ToLower(text(r.value("UserType"))) {
	case "5", "application", "6", "serviceprincipal":
		said.kind = "ServicePrincipal"
	}
	if strings.EqualFold(said.kind, "ServicePrincipal") || said.spn != "" && p.UPN == "" {
		p.Type, p.UPN = ServicePrincipal, ""
		p.AppID = first(said.spn, text(r.value("AppId")), text(r.value("ClientAppId")))
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
	for _, t := range r.identities("Target") {
		r.Targets = append(r.Targets, Target{Type: t.kind, ID: t.id, UPN: t.upn, Name: t.name})
	}
	object := text(r.value("ObjectId", "OfficeObjectId"))
	if len(r.Targets) == 0 {
		r.Targets = append(r.Targets, r.unifiedObject(object))
	}
	for _, m := range elements(r.value("ModifiedProperties")) {
		if m = unwrap(m); !m.Exists() {
			continue
		}
		// Mailbox audit records list the bare names.
		c := Change{Name: first(text(find(m, "Name")), text(m)), Old: decodeOnce(text(find(m, "OldValue"))), New: decodeOnce(text(find(m, "NewValue")))}
		if c.Name != "" {
			r.Targets[0].Changes = append(r.Targets[0].Changes, c)
		}
	}
	for _, list := range []string{"Parameters", "OperationProperties"} {
		for _, m := range elements(r.value(list)) {
			if m = unwrap(m); text(find(m, "Name")) == "" {
				continue
			}
			r.Targets[0].Changes = append(r.Targets[0].Changes, Change{Name: text(find(m, "Name")), New: text(find(m, "Value"))})
		}
	}
	if t := r.Targets[0]; t.Type == "" && t.ID == "" && t.UPN == "" && t.Name == "" && len(t.Changes) == 0 {
		r.Targets = nil
	}
	if with := text(r.value("TargetUserOrGroupName")); with != "" {
		t := Target{Type: text(r.value("TargetUserOrGroupType")), Name: with}
		if strings.Contains(with, "@") {
			t.UPN = with
		}
		r.Targets = append(r.Targets, t)
	}
}

// unifiedObject is the one thing that a record without Target is about.
func (r *Record) unifiedObject(object string) Target {
	t := Target{Name: object}
	switch owner := text(r.value("MailboxOwnerUPN")); {
	case owner != "":
		return Target{Type: "Mailbox", UPN: owner, ID: text(r.value("MailboxGuid")), Name: object}
	case r.Category == UnifiedExchange:
		_, noun, _ := strings.Cut(r.Operation, "-") // Set-Mailbox, New-InboxRule
		t.Type = noun
		for _, s := range []string{object, r.named("Parameters", "Mailbox"), r.named("Parameters", "Identity")} {
			if strings.Contains(s, "@") && !strings.ContainsAny(s, `/\ `) {
				t.UPN = first(t.UPN, s)
			}
		}
	default:
		t.Type = text(r.value("ItemType"))
	}
	if guid.MatchString(object) {
		t.ID = object
	}
	return t
}
