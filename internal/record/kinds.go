package record

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"
)

// audit reads an AuditLogs record.
func (r *Record) audit() {
	// Where both are written the envelope's name is the one that detections are written for; some relays put a
	// localised activity beside it.
	r.Operation = NormalOperation(first(text(find(r.root, "operationName")), text(r.value("activityDisplayName"))))
	r.Result = strings.ToLower(text(r.value("result")))
	r.Correlation = text(r.value("correlationId"))
	r.Actor = r.initiator()
	for _, t := range elements(r.value("targetResources")) {
		t = unwrap(t)
		if t.Type() != fastjson.TypeObject {
			continue
		}
		target := Target{Type: text(find(t, "type")), ID: text(find(t, "id")), UPN: text(find(t, "userPrincipalName")), Name: text(find(t, "displayName"))}
		for _, m := range elements(unwrap(find(t, "modifiedProperties"))) {
			if m.Type() != fastjson.TypeObject {
				continue
			}
			target.Changes = append(target.Changes, Change{Name: text(find(m, "displayName")),
				Old: decodeOnce(scalarOrJSON(find(m, "oldValue"))), New: decodeOnce(scalarOrJSON(find(m, "newValue")))})
		}
		r.Targets = append(r.Targets, target)
	}
}

func scalarOrJSON(v *fastjson.Value) string {
	if v == nil || v.Type() == fastjson.TypeNull {
		return ""
	}
	if v.Type() == fastjson.TypeString {
		return text(v)
	}
	return v.String()
}

func (r *Record) initiator() Party {
	by := r.value("initiatedBy")
	if by == nil || by.Type() != fastjson.TypeObject {
		return Party{}
	}
	if u := unwrap(find(by, "user")); u != nil && u.Type() == fastjson.TypeObject {
		p := Party{Type: User, ID: text(find(u, "id")), UPN: text(find(u, "userPrincipalName")), Name: text(find(u, "displayName")), Home: text(find(u, "homeTenantId")),
			Address: Address(first(text(find(u, "ipAddress")), text(find(r.root, "callerIpAddress"))))}
		if p.Key() != "" {
			return p
		}
	}
	if a := unwrap(find(by, "app")); a != nil && a.Type() == fastjson.TypeObject {
		return Party{Type: ServicePrincipal, ID: text(find(a, "servicePrincipalId")), AppID: text(find(a, "appId")), Name: text(find(a, "displayName")),
			Address: Address(text(find(r.root, "callerIpAddress")))}
	}
	return Party{}
}

// signIn reads an interactive or non-interactive user sign-in.
func (r *Record) signIn() {
	r.Operation = "Sign-in activity"
	r.Correlation = first(text(r.value("correlationId")), text(find(r.root, "correlationId")))
	s := &SignIn{
		Address: Address(first(text(r.value("ipAddress")), text(find(r.root, "callerIpAddress")))),
		Agent:   text(r.value("userAgent")),
		Session: text(r.value("sessionId")),
		App:     first(text(r.value("appDisplayName")), text(r.value("appId"))),
	}
	r.SignIn = s
	r.Actor = Party{Type: User, ID: text(r.value("userId")), UPN: text(r.value("userPrincipalName")), Name: text(r.value("userDisplayName")),
		Home: text(r.value("homeTenantId")), Address: s.Address}
	if loc := r.value("location", "locationDetails"); loc != nil {
		s.Country = first(text(find(loc, "countryOrRegion")), text(loc))
	}
	if dev := r.value("deviceDetail"); dev != nil {
		s.Device = text(find(dev, "deviceId"))
	}
	status := r.value("status")
	for _, v := range []*fastjson.Value{find2(status, "errorCode"), find(r.root, "resultType"), r.value("resultType")} {
		if n, err := strconv.Atoi(strings.TrimSpace(text(v))); err == nil {
			s.Error, s.HasError = n, true
			break
		}
	}
	switch {
	case !s.HasError:
	case s.Error == 0:
		r.Result = "success"
	default:
		r.Result = "failure"
	}
	s.MFA, s.Previously = r.mfa(status)
}

func find2(v *fastjson.Value, name string) *fastjson.Value {
	if v == nil {
		return nil
	}
	return find(v, name)
}

// strongMethods prove two factors in one step (domain notes, logs 4.3).
var strongMethods = []string{"fido2", "passkey", "windows hello", "x.509", "certificate", "passwordless"}

// spelling takes out what differs between "Multi-factor authentication" and "multiFactorAuthentication".
var spelling = strings.NewReplacer("-", "", " ", "")

// mfa says whether a second factor was proved. authenticationDetails is often empty when a record is first
// written: then nothing is known, and only a revision can say No.
func (r *Record) mfa(status *fastjson.Value) (mfa MFA, previously bool) {
	steps := 0 // an empty text in place of the details says as little as none
	for _, step := range elements(r.value("authenticationDetails")) {
		step = unwrap(step)
		if step.Type() != fastjson.TypeObject || text(find(step, "authenticationMethod")) == "" && find(step, "succeeded") == nil {
			continue
		}
		steps++
		method := strings.ToLower(text(find(step, "authenticationMethod")))
		if !strings.EqualFold(text(find(step, "succeeded")), "true") {
			continue
		}
		if strings.EqualFold(spelling.Replace(text(find(step, "authenticationStepRequirement"))), "multiFactorAuthentication") {
			return MFAYes, strings.Contains(method, "previously satisfied")
		}
		for _, strong := range strongMethods {
			if strings.Contains(method, strong) && !strings.Contains(method, "single-factor") {
				return MFAYes, false
			}
		}
	}
	additional := strings.ToLower(text(find2(status, "additionalDetails")))
	for _, said := range []string{"mfa requirement satisfied by", "mfa completed in azure ad"} {
		if strings.Contains(additional, said) {
			return MFAYes, strings.Contains(additional, "claim")
		}
	}
	if steps == 0 {
		return MFAUnknown, false
	}
	return MFANo, false
}

// Address reads an IP address leniently (a port, a ninth group, blanks) and writes it in one way; what is no
// address at all stays as it came.
func Address(s string) string {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().WithZone("").String()
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().String()
	}
	if s == "<null>" {
		return ""
	}
	return s
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
