package record

import (
	"strings"

	"cordon/internal/tape"
)

// A sign-in of a user, a service principal or a managed identity (domain notes, logs 4.3).

func signInOperation(*Record) string { return "Sign-in activity" }

func (r *Record) signInCorrelation() string {
	if id := text(r.value(nCorrelationId)); id != "" {
		return id
	}
	return text(find(r.root, nCorrelationId))
}

// byApplication says that a sign-in is none of a user.
func (r *Record) byApplication() bool {
	switch r.Category {
	case ServicePrincipalSignInLogs, ManagedIdentitySignInLogs, MicrosoftServicePrincipalSignInLogs:
		return true
	}
	return false
}

func (r *Record) signInActor() Party {
	from := text(r.value(nIpAddress))
	if from == "" {
		from = text(find(r.root, nCallerIpAddress))
	}
	p := Party{Type: User, Home: text(r.value(nHomeTenantId)), Address: Address(from)}
	if r.byApplication() {
		p.Type, p.ID, p.AppID = ServicePrincipal, text(r.value(nServicePrincipalId)), text(r.value(nAppId))
		p.Name = first(text(r.value(nServicePrincipalName)), text(r.value(nAppDisplayName)))
		return p
	}
	p.ID, p.UPN, p.Name = text(r.value(nUserId)), text(r.value(nUserPrincipalName)), text(r.value(nUserDisplayName))
	return p
}

func (r *Record) signInOutcome() outcome {
	o, ok := outcomeOf(strings.TrimSpace(text(find(r.value(nStatus), nErrorCode))))
	if !ok {
		if o, ok = outcomeOf(strings.TrimSpace(text(find(r.root, nResultType)))); !ok {
			o, _ = outcomeOf(strings.TrimSpace(text(r.value(nResultType))))
		}
	}
	o.signedIn = true
	return o
}

func (r *Record) signInResult() string {
	switch o := r.outcome(); {
	case !o.known:
		return ""
	case o.number == 0:
		return "success"
	}
	return "failure"
}

func (r *Record) readSignIn() SignIn {
	o := r.outcome()
	s := SignIn{
		Error: o.number, HasError: o.known,
		Address: r.Actor.Address,
		Country: r.country(),
		Agent:   text(r.value(nUserAgent)),
		Device:  text(find(r.value(nDeviceDetail), nDeviceId)),
		Session: text(r.value(nSessionId)),
		App:     first(text(r.value(nAppDisplayName)), text(r.value(nAppId))),
	}
	if r.byApplication() {
		s.App = first(text(r.value(nResourceDisplayName)), s.App)
	}
	return s
}

func (r *Record) country() string {
	from := r.value(nLocation, nLocationDetails)
	if !from.Exists() {
		return ""
	}
	return first(text(find(from, nCountryOrRegion)), text(from))
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

// MFA says whether a second factor was proved, and whether it came as a claim in a token and was not asked for in this
// sign-in. authenticationDetails is often empty when a record is first written: then nothing is known, and only a revision
// can say No.
func (r *Record) MFA() (proved MFA, previously bool) {
	if r.kind != KindSignIn {
		return MFAUnknown, false
	}
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
	additional := text(find(r.value(nStatus), nAdditionalDetails))
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
