package record

import (
	"strconv"
	"strings"

	"cordon/internal/tape"
)

// readSignIn reads a sign-in of a user, a service principal or a managed identity (domain notes, logs 4.3).
func (dec *Decoder) readSignIn() {
	r := &dec.rec
	r.Operation = "Sign-in activity"
	r.Correlation = first(text(r.value("correlationId")), text(find(r.root, "correlationId")))
	dec.signIn = SignIn{
		Address: Address(first(text(r.value("ipAddress")), text(find(r.root, "callerIpAddress")))),
		Agent:   text(r.value("userAgent")),
		Session: text(r.value("sessionId")),
		App:     first(text(r.value("appDisplayName")), text(r.value("appId"))),
	}
	s := &dec.signIn
	r.SignIn = s
	switch r.Category {
	case ServicePrincipalSignInLogs, ManagedIdentitySignInLogs, MicrosoftServicePrincipalSignInLogs:
		r.Actor = Party{Type: ServicePrincipal, ID: text(r.value("servicePrincipalId")), AppID: text(r.value("appId")),
			Name: first(text(r.value("servicePrincipalName")), text(r.value("appDisplayName"))), Home: text(r.value("homeTenantId")), Address: s.Address}
		s.App = first(text(r.value("resourceDisplayName")), s.App)
	default:
		r.Actor = Party{Type: User, ID: text(r.value("userId")), UPN: text(r.value("userPrincipalName")), Name: text(r.value("userDisplayName")),
			Home: text(r.value("homeTenantId")), Address: s.Address}
	}
	if loc := r.value("location", "locationDetails"); loc.Exists() {
		s.Country = first(text(find(loc, "countryOrRegion")), text(loc))
	}
	s.Device = text(find(r.value("deviceDetail"), "deviceId"))
	status := r.value("status")
	for _, v := range [...]tape.Value{find(status, "errorCode"), find(r.root, "resultType"), r.value("resultType")} {
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

// strongMethods prove two factors in one step (domain notes, logs 4.3).
var strongMethods = []string{"fido2", "passkey", "windows hello", "x.509", "certificate", "passwordless"}

// spelling takes out what differs between "Multi-factor authentication" and "multiFactorAuthentication".
var spelling = strings.NewReplacer("-", "", " ", "")

// mfa says whether a second factor was proved. authenticationDetails is often empty when a record is first
// written: then nothing is known, and only a revision can say No.
func (r *Record) mfa(status tape.Value) (mfa MFA, previously bool) {
	steps := 0 // an empty text in place of the details says as little as none
	for _, step := range elements(r.value("authenticationDetails")) {
		step = unwrap(step)
		if step.Kind() != tape.Object || text(find(step, "authenticationMethod")) == "" && !find(step, "succeeded").Exists() {
			continue
		}
		steps++
		if !strings.EqualFold(text(find(step, "succeeded")), "true") {
			continue
		}
		method := strings.ToLower(text(find(step, "authenticationMethod")))
		if strings.EqualFold(spelling.Replace(text(find(step, "authenticationStepRequirement"))), "multiFactorAuthentication") {
			return MFAYes, strings.Contains(method, "previously satisfied")
		}
		for _, strong := range strongMethods {
			if strings.Contains(method, strong) && !strings.Contains(method, "single-factor") {
				return MFAYes, false
			}
		}
	}
	additional := strings.ToLower(text(find(status, "additionalDetails")))
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
