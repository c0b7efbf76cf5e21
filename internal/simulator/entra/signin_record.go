package entra

import (
	"strconv"
	"time"
)

type object = map[string]any

// signIn writes the record of a user's sign-in, in the full documented shape.
func (c *change) signIn(a attempt) {
	n := c.t.written
	c.t.written++
	category := "SignInLogs"
	if !a.Interactive {
		category = "NonInteractiveUserSignInLogs"
	}
	written := a.At
	if a.revision {
		written = c.by.at
	}
	conditional := "notApplied"
	switch {
	case a.required && a.code == codeMFARequired:
		conditional = "failure"
	case a.required && a.code == 0:
		conditional = "success"
	}
	userID, name := a.user.ID, a.user.DisplayName
	if userID == "" {
		name = a.UserPrincipalName
	}
	created := a.At.UTC().Format(auditTime)
	c.write(category, object{
		"time": written.UTC().Format(auditTime), "resourceId": c.t.resourceID(), "operationName": "Sign-in activity",
		"operationVersion": "1.0", "category": category, "tenantId": c.t.id, "resultType": strconv.Itoa(a.code),
		"resultSignature": "None", "resultDescription": a.reason, "durationMs": 0, "callerIpAddress": a.IP,
		"correlationId": a.correlation, "identity": name, "Level": level(n), "location": a.Country,
		"properties": object{
			"id": a.recordID, "createdDateTime": created, "userDisplayName": name,
			"userPrincipalName": a.UserPrincipalName, "userId": userID, "appId": a.AppID,
			"appDisplayName": a.AppDisplayName, "ipAddress": a.IP, "status": a.status(), "clientAppUsed": a.ClientApp,
			"userAgent": a.UserAgent, "deviceDetail": object{"deviceId": a.DeviceID, "displayName": "",
				"operatingSystem": a.OperatingSystem, "browser": a.Browser, "isCompliant": a.DeviceID != "",
				"isManaged": a.DeviceID != "", "trustType": ""},
			"location":      location(a.Country, a.City, a.Latitude, a.Longitude),
			"correlationId": a.correlation, "conditionalAccessStatus": conditional,
			"appliedConditionalAccessPolicies": []object{{"id": StableGUID(c.t.id, "policy", "mfa"),
				"displayName": "Require MFA for everyone", "enforcedGrantControls": []string{"Mfa"},
				"enforcedSessionControls": []string{}, "result": conditional, "conditionsSatisfied": 3,
				"conditionsNotSatisfied": 0}},
			"originalRequestId": a.recordID, "isInteractive": a.Interactive, "tokenIssuerName": "",
			"tokenIssuerType": "AzureAD", "authenticationProcessingDetails": []object{
				{"key": "Legacy TLS (TLS 1.0, 1.1, 3DES)", "value": "False"}, {"key": "Is CAE Token", "value": "False"}},
			"networkLocationDetails": []object{}, "clientCredentialType": "none", "processingTimeInMilliseconds": "214",
			"riskDetail": "none", "riskLevelAggregated": "none", "riskLevelDuringSignIn": "none", "riskState": "none",
			"riskEventTypes": []string{}, "riskEventTypes_v2": []string{},
			"resourceDisplayName": "Microsoft Graph", "resourceId": graphAppID, "resourceTenantId": c.t.id,
			"homeTenantId": c.t.id, "homeTenantName": "", "tenantId": c.t.id,
			"authenticationDetails":             a.details(),
			"authenticationRequirementPolicies": a.requirementPolicies(),
			"authenticationRequirement":         a.requirement(),
			"authenticationProtocol":            orNone(a.Protocol), "incomingTokenType": "none",
			"servicePrincipalId": "", "servicePrincipalName": "", "userType": orMember(a.user.UserType), "flaggedForReview": false,
			"isTenantRestricted": false, "autonomousSystemNumber": 64496, "crossTenantAccessType": "none",
			"privateLinkDetails": object{}, "ssoExtensionVersion": "", "alternateSignInName": "",
			"uniqueTokenIdentifier": a.token, "sessionId": a.sessionID, "mfaDetail": object{},
			"signInIdentifierType": "", "rngcStatus": 0,
		},
	}, written)
}

func location(country, city string, latitude, longitude float64) object {
	geo := object{}
	if latitude != 0 || longitude != 0 {
		geo = object{"latitude": latitude, "longitude": longitude}
	}
	return object{"city": city, "state": "", "countryOrRegion": country, "geoCoordinates": geo}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func orMember(s string) string {
	if s == "" {
		return "Member"
	}
	return s
}

func (a attempt) status() object {
	s := object{"errorCode": a.code}
	switch {
	case a.code == 0 && a.required:
		s["additionalDetails"] = "MFA completed in Azure AD"
		if !a.Interactive {
			s["additionalDetails"] = "MFA requirement satisfied by claim in the token"
		}
	case a.code == codeMFARequired:
		s["failureReason"], s["additionalDetails"] = a.reason, "MFA required in Azure AD"
	case a.code != 0:
		s["failureReason"] = a.reason
	}
	return s
}

// requirement is the stage that was reached: a sign-in whose password is wrong never says multi-factor.
func (a attempt) requirement() string {
	if a.required && (a.code == 0 || a.code == codeMFARequired) {
		return "multiFactorAuthentication"
	}
	return "singleFactorAuthentication"
}

func (a attempt) requirementPolicies() []object {
	if a.requirement() == "singleFactorAuthentication" {
		return []object{}
	}
	return []object{{"requirementProvider": "multiConditionalAccess", "detail": "Conditional Access"}}
}

// details are the authentication steps: empty at the first emission of a sparse sign-in, and where no password was
// tried.
func (a attempt) details() []object {
	if a.Sparse && !a.revision || a.user.ID == "" || a.code == codeDisabled {
		return []object{}
	}
	at := a.At.UTC().Format(time.RFC3339)
	password := object{"authenticationStepDateTime": at, "authenticationMethod": "Password",
		"authenticationMethodDetail": "Password in the cloud", "succeeded": a.code != codeWrongPassword,
		"authenticationStepResultDetail": "Correct password", "authenticationStepRequirement": "Primary authentication",
		"StatusSequence": 0, "RequestSequence": 1}
	if a.code == codeWrongPassword {
		password["authenticationStepResultDetail"] = "Invalid username or password or Invalid on-premise username or password."
	}
	steps := []object{password}
	if !a.required || a.code == codeWrongPassword {
		return steps
	}
	second := object{"authenticationStepDateTime": at, "authenticationMethod": "Mobile app notification",
		"authenticationMethodDetail": "", "succeeded": a.code == 0,
		"authenticationStepResultDetail": "MFA successfully completed", "authenticationStepRequirement": "Multi-factor authentication",
		"StatusSequence": 1, "RequestSequence": 2}
	switch {
	case a.code == codeMFARequired:
		second["authenticationMethod"], second["authenticationStepResultDetail"] = "", "MFA required in Azure AD"
	case !a.Interactive:
		second["authenticationMethod"] = "Previously satisfied"
		second["authenticationStepResultDetail"] = "MFA requirement satisfied by claim in the token"
	}
	return append(steps, second)
}

// appSignIn writes the record of an application's sign-in. Its outer time is in US style, as this category's is.
func (c *change) appSignIn(s AppSignIn, p ServicePrincipal, code int, reason, keyID string) {
	n := c.t.written
	c.t.written++
	c.write("ServicePrincipalSignInLogs", object{
		"time": s.At.UTC().Format("1/2/2006 3:04:05 PM"), "resourceId": c.t.resourceID(),
		"operationName": "Sign-in activity", "operationVersion": "1.0", "category": "ServicePrincipalSignInLogs",
		"tenantId": c.t.id, "resultType": strconv.Itoa(code), "resultSignature": "None", "resultDescription": reason,
		"durationMs": 0, "callerIpAddress": s.IP, "correlationId": c.correlation, "Level": level(n), "location": s.Country,
		"properties": object{
			"id": NewGUID(), "createdDateTime": s.At.UTC().Format(auditTime), "userDisplayName": "",
			"userPrincipalName": "", "userId": nil, "appId": p.AppID, "appDisplayName": p.DisplayName, "ipAddress": s.IP,
			"status": object{"errorCode": code, "failureReason": reason}, "clientAppUsed": "", "userAgent": s.UserAgent,
			"deviceDetail": object{}, "location": location(s.Country, s.City, 0, 0), "correlationId": c.correlation,
			"conditionalAccessStatus": "notApplied", "appliedConditionalAccessPolicies": []object{},
			"isInteractive": false, "authenticationDetails": []object{}, "authenticationRequirement": "",
			"authenticationProcessingDetails": []object{}, "riskLevelDuringSignIn": "low", "riskState": "none",
			"resourceDisplayName": "Microsoft Graph", "resourceId": graphAppID, "resourceTenantId": c.t.id,
			"homeTenantId": p.AppOwnerOrganizationID, "servicePrincipalId": p.ID, "servicePrincipalName": p.DisplayName,
			"servicePrincipalCredentialKeyId": keyID, "servicePrincipalCredentialThumbprint": "",
			"crossTenantAccessType": "none", "uniqueTokenIdentifier": opaqueID()[:22],
		},
	}, s.At)
}
