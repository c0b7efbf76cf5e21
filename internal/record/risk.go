package record

// readRisk reads what Identity Protection concluded: the state of a user or service principal, or one detection
// (domain notes, logs 4.5). The principal is who is at risk: nobody acted.
func (dec *Decoder) readRisk() {
	r := &dec.rec
	r.Operation = NormalOperation(text(find(r.root, "operationName")))
	r.Result = lower(text(r.value("riskState")))
	r.Correlation = text(r.value("correlationId"))
	address := Address(first(text(r.value("ipAddress")), text(find(r.root, "callerIpAddress"))))
	switch r.Category {
	case RiskyUsers:
		r.Actor = Party{Type: User, ID: text(r.value("id")), UPN: text(r.value("userPrincipalName")), Name: text(r.value("userDisplayName"))}
	case UserRiskEvents:
		r.Actor = Party{Type: User, ID: text(r.value("userId")), UPN: text(r.value("userPrincipalName")), Name: text(r.value("userDisplayName")),
			Home: text(r.value("homeTenantId")), Address: address}
	case RiskyServicePrincipals:
		r.Actor = Party{Type: ServicePrincipal, ID: text(r.value("id")), AppID: text(r.value("appId")), Name: text(r.value("displayName"))}
	case ServicePrincipalRiskEvents:
		r.Actor = Party{Type: ServicePrincipal, ID: text(r.value("servicePrincipalId")), AppID: text(r.value("appId")),
			Name: text(r.value("servicePrincipalDisplayName", "displayName")), Address: address}
	}
}
