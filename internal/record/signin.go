package record

import (
	"strings"

	"cordon/internal/tape"
)

// readSignIn reads a sign-in of a user, a service principal or a managed identity (domain notes, logs 4.3).
func (dec *Decoder) readSignIn() {
	r := &dec.rec
	r.Operation = "Sign-in activity"
	if r.Correlation = text(r.value(nCorrelationId)); r.Correlation == "" {
		r.Correlation = text(find(r.root, nCorrelationId))
	}
	address := text(r.value(nIpAddress))
	if address == "" {
		address = text(find(r.root, nCallerIpAddress))
	}
	dec.signIn = SignIn{
		Address: Address(address),
		Agent:   text(r.value(nUserAgent)),
		Session: text(r.value(nSessionId)),
		App:     text(r.value(nAppDisplayName)),
	}
	if dec.signIn.App == "" {
		dec.signIn.App = text(r.value(nAppId))
	}
	s := &dec.signIn
	r.SignIn = s
	switch r.Category {
	case ServicePrincipalSignInLogs, ManagedIdentitySignInLogs, MicrosoftServicePrincipalSignInLogs:
		r.Actor = Party{Type: ServicePrincipal, ID: text(r.value(nServicePrincipalId)), AppID: text(r.value(nAppId)),
			Name: first(text(r.value(nServicePrincipalName)), text(r.value(nAppDisplayName))), Home: text(r.value(nHomeTenantId)), Address: s.Address}
		s.App = first(text(r.value(nResourceDisplayName)), s.App)
	default:
		r.Actor = Party{Type: User, ID: text(r.value(nUserId)), UPN: text(r.value(nUserPrincipalName)), Name: text(r.value(nUserDisplayName)),
			Home: text(r.value(nHomeTenantId)), Address: s.Address}
	}
	if loc := r.value(nLocation, nLocationDetails); loc.Exists() {
		s.Country = first(text(find(loc, nCountryOrRegion)), text(loc))
	}
	s.Device = text(find(r.value(nDeviceDetail), nDeviceId))
	status := r.value(nStatus)
	if !r.takeError(find(status, nErrorCode)) && !r.takeError(find(r.root, nResultType)) {
		r.takeError(r.value(nResultType))
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

// takeError takes a value for the sign-in's error, if it is one.
func (r *Record) takeError(v tape.Value) bool {
	said := strings.TrimSpace(text(v))
	n, ok := integer(said)
	if ok {
		r.SignIn.Error, r.SignIn.HasError = n, true
		r.setCode(said)
	}
	return ok
}

// setCode keeps how the error is written where that is how the field's reader writes it.
func (r *Record) setCode(said string) {
	if r.code = ""; plain(said) {
		r.code = said
	}
}

// strongMethods prove two factors in one step (domain notes, logs 4.3).
var strongMethods = [...]string{"fido2", "passkey", "windows hello", "x.509", "certificate", "passwordless"}

// multiFactor says that an authentication's step was required for a second factor: "Multi-factor authentication" and
// "multiFactorAuthentication" are one.
func multiFactor(requirement string) bool {
	const word = "multifactorauthentication"
	if !ASCII(requirement) {
		return strings.EqualFold(strings.NewReplacer("-", "", " ", "").Replace(requirement), word)
	}
	n := 0
	for i := range len(requirement) {
		if c := requirement[i]; c != '-' && c != ' ' {
			if n == len(word) || !begins(requirement[i:i+1], word[n:n+1]) {
				return false
			}
			n++
		}
	}
	return n == len(word)
}

// mfa says whether a second factor was proved. authenticationDetails is often empty when a record is first
// written: then nothing is known, and only a revision can say No.
func (r *Record) mfa(status tape.Value) (mfa MFA, previously bool) {
	steps := 0 // an empty text in place of the details says as little as none
	for _, step := range elements(r.value(nAuthenticationDetails)) {
		if step = unwrap(step); step.Kind() != tape.Object {
			continue
		}
		method, succeeded := text(find(step, nAuthenticationMethod)), find(step, nSucceeded)
		if method == "" && !succeeded.Exists() {
			continue
		}
		steps++
		if !strings.EqualFold(text(succeeded), "true") {
			continue
		}
		if multiFactor(text(find(step, nAuthenticationStepRequirement))) {
			return MFAYes, says(method, "previously satisfied")
		}
		for _, strong := range strongMethods {
			if says(method, strong) && !says(method, "single-factor") {
				return MFAYes, false
			}
		}
	}
	additional := text(find(status, nAdditionalDetails))
	for _, said := range [...]string{"mfa requirement satisfied by", "mfa completed in azure ad"} {
		if says(additional, said) {
			return MFAYes, says(additional, "claim")
		}
	}
	if steps == 0 {
		return MFAUnknown, false
	}
	return MFANo, false
}
