package record

// readRisk reads what Identity Protection concluded: the state of a user or service principal, or one detection
// (domain notes, logs 4.5). The principal is who is at risk: nobody acted.
func (dec *Decoder) readRisk() {
	r := &dec.rec
	r.Operation = NormalOperation(text(find(r.root, nOperationName)))
	r.Result = lower(text(r.value(nRiskState)))
	r.Correlation = text(r.value(nCorrelationId))
	address := Address(first(text(r.value(nIpAddress)), text(find(r.root, nCallerIpAddress))))
	switch r.Category {
	case RiskyUsers:
		r.Actor = Party{Type: User, ID: text(r.value(nId)), UPN: text(r.value(nUserPrincipalName)), Name: text(r.value(nUserDisplayName))}
	case UserRiskEvents:
		r.Actor = Party{Type: User, ID: text(r.value(nUserId)), UPN: text(r.value(nUserPrincipalName)), Name: text(r.value(nUserDisplayName)),
			Home: text(r.value(nHomeTenantId)), Address: address}
	case RiskyServicePrincipals:
		r.Actor = Party{Type: ServicePrincipal, ID: text(r.value(nId)), AppID: text(r.value(nAppId)), Name: text(r.value(nDisplayName))}
	case ServicePrincipalRiskEvents:
		r.Actor = Party{Type: ServicePrincipal, ID: text(r.value(nServicePrincipalId)), AppID: text(r.value(nAppId)),
			Name: text(r.value(nServicePrincipalDisplayName, nDisplayName)), Address: address}
	}
}
