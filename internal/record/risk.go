package record

// What Identity Protection concluded: the state of a user or service principal, or one detection (domain notes, logs 4.5).

func (r *Record) riskResult() string { return lower(text(r.value(nRiskState))) }

// atRisk is the principal who is: nobody acted.
func (r *Record) atRisk() Party {
	address := Address(first(text(r.value(nIpAddress)), text(find(r.root, nCallerIpAddress))))
	switch r.Category {
	case RiskyUsers:
		return Party{Type: User, ID: text(r.value(nId)), UPN: text(r.value(nUserPrincipalName)), Name: text(r.value(nUserDisplayName))}
	case UserRiskEvents:
		return Party{Type: User, ID: text(r.value(nUserId)), UPN: text(r.value(nUserPrincipalName)), Name: text(r.value(nUserDisplayName)),
			Home: text(r.value(nHomeTenantId)), Address: address}
	case RiskyServicePrincipals:
		return Party{Type: ServicePrincipal, ID: text(r.value(nId)), AppID: text(r.value(nAppId)), Name: text(r.value(nDisplayName))}
	case ServicePrincipalRiskEvents:
		return Party{Type: ServicePrincipal, ID: text(r.value(nServicePrincipalId)), AppID: text(r.value(nAppId)),
			Name: text(r.value(nServicePrincipalDisplayName, nDisplayName)), Address: address}
	}
	return Party{}
}
