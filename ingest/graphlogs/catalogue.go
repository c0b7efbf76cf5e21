package graphlogs

import (
	"slices"
	"time"

	"cordon/internal/record"
)

// Log is one of the logs that can be read: what is asked, how often, and what its objects become.
type Log struct {
	Name     string // in the configuration and as the partition of the source
	Category string
	// Permission is the least that the service asks for; Licence is what the tenant must have, "" where nothing.
	Permission string
	Licence    string

	PartnerCenter bool   // else Graph
	Path          string // Graph's, with its version
	// TimeField is what a question's span of time is about.
	TimeField string
	Where     string // a further condition of the filter
	Ordered   bool   // Graph takes $orderby here
	Top       int    // the page size that is asked for; 0 leaves it to the service

	// Every is how often it is asked. Overlap is how late after its TimeField an object may still appear or change:
	// so far back each question reaches again. Slice bounds one question's span behind that, so that a long catch-up
	// keeps what it has. Lag is how long an object's event time may lie before its TimeField.
	Every, Overlap, Slice, Lag time.Duration

	// Operation is the record's operationName; OperationField, where set, names the property that says it.
	Operation, OperationField string
	// Stamps are the properties that say when it happened, the first one that holds a time.
	Stamps []string
}

const (
	day   = 24 * time.Hour
	years = 10 * 365 * day // for lists that are read whole, whatever their objects' age
)

// Page sizes: sign-ins may be asked for by 1,000, the default and most; with the policies that applied, one of them can
// be 20 KB, so half of it. Risk detections by 500 at most; 20 is the default (learn.microsoft.com/graph/api, signin-list
// and riskdetection-list). For audits the most is unconfirmed, as is any $top for partner alerts, which documents $count,
// $filter and $select alone.
//
// Filters: directoryAudits takes ge, le and $orderby; signIns ge and le on createdDateTime, newest first. For risk
// detections detectedDateTime is what others' connectors filter by; lastUpdatedDateTime is unconfirmed, so a change of an
// older one is seen through the risky user, whose riskLastUpdatedDateTime moves.
var catalogue = []Log{
	{Name: "directory-audits", Category: record.AuditLogs, Permission: "AuditLog.Read.All",
		Path: "v1.0/auditLogs/directoryAudits", TimeField: "activityDateTime", Ordered: true, Top: 500,
		Every: time.Minute, Overlap: 30 * time.Minute, Slice: 2 * time.Hour,
		OperationField: "activityDisplayName", Stamps: []string{"activityDateTime"}},
	signIns("sign-ins", record.SignInLogs, "interactiveUser"),
	signIns("non-interactive-sign-ins", record.NonInteractiveUserSignInLogs, "nonInteractiveUser"),
	signIns("service-principal-sign-ins", record.ServicePrincipalSignInLogs, "servicePrincipal"),
	signIns("managed-identity-sign-ins", record.ManagedIdentitySignInLogs, "managedIdentity"),
	signIns("sign-ins-v1", record.SignInLogs, ""),
	{Name: "risk-detections", Category: record.UserRiskEvents, Permission: "IdentityRiskEvent.Read.All",
		Licence: "Microsoft Entra ID P1 or P2", Path: "v1.0/identityProtection/riskDetections", TimeField: "detectedDateTime", Top: 500,
		Every: 5 * time.Minute, Overlap: 48 * time.Hour, Slice: 7 * day, Lag: 90 * day,
		Operation: "User Risk Detection", Stamps: []string{"detectedDateTime", "activityDateTime"}},
	{Name: "risky-users", Category: record.RiskyUsers, Permission: "IdentityRiskyUser.Read.All",
		Licence: "Microsoft Entra ID P2", Path: "v1.0/identityProtection/riskyUsers", TimeField: "riskLastUpdatedDateTime", Top: 500,
		Every: 5 * time.Minute, Overlap: 2 * time.Hour, Slice: 7 * day,
		Operation: "Risky user", Stamps: []string{"riskLastUpdatedDateTime"}},
	{Name: "risky-service-principals", Category: record.RiskyServicePrincipals, Permission: "IdentityRiskyServicePrincipal.Read.All",
		Licence: "Microsoft Entra Workload ID Premium", Path: "v1.0/identityProtection/riskyServicePrincipals", TimeField: "riskLastUpdatedDateTime", Top: 500,
		Every: 5 * time.Minute, Overlap: 2 * time.Hour, Slice: 7 * day,
		Operation: "Risky service principal", Stamps: []string{"riskLastUpdatedDateTime"}},
	{Name: "service-principal-risk-detections", Category: record.ServicePrincipalRiskEvents, Permission: "IdentityRiskEvent.Read.All",
		Licence: "Microsoft Entra Workload ID Premium", Path: "v1.0/identityProtection/servicePrincipalRiskDetections", TimeField: "detectedDateTime", Top: 500,
		Every: 5 * time.Minute, Overlap: 48 * time.Hour, Slice: 7 * day, Lag: 90 * day,
		Operation: "Service Principal Risk Detection", Stamps: []string{"detectedDateTime", "activityDateTime"}},
	{Name: "partner-security-alerts", Category: record.PartnerSecurityAlerts, Permission: "PartnerSecurity.Read.All",
		Path: "beta/security/partner/securityAlerts", TimeField: "detectedDateTime",
		Every: 5 * time.Minute, Overlap: 7 * day, Slice: 30 * day, Lag: 30 * day,
		OperationField: "alertType", Stamps: []string{"lastObservedDateTime", "detectedDateTime"}},
	{Name: "partner-fraud-events", Category: record.PartnerFraudEvents, Permission: "App+User of an Admin Agent in Partner Center", PartnerCenter: true,
		Every: 5 * time.Minute, Overlap: day, Slice: years, Lag: years,
		OperationField: "eventType", Stamps: []string{"lastObserved", "lastOccurrence", "eventTime"}},
	{Name: "partner-audit-records", Category: record.PartnerAuditRecords, Permission: "App+User of an Admin Agent in Partner Center", PartnerCenter: true,
		Every: 5 * time.Minute, Overlap: day, Slice: day, Lag: 2 * day,
		OperationField: "operationType", Stamps: []string{"operationDate"}},
}

// signIns is the log of one kind of sign-ins. Graph's v1.0 knows interactive ones alone, and does not say of them
// whether a second factor was used or from which tenant the user came; beta, which Microsoft calls unsupported, says
// both, so it is what Default chooses.
func signIns(name, category, kind string) Log {
	l := Log{Name: name, Category: category, Permission: "AuditLog.Read.All and Directory.Read.All", Licence: "Microsoft Entra ID P1 or P2",
		Path: "v1.0/auditLogs/signIns", TimeField: "createdDateTime", Top: 500,
		Every: time.Minute, Overlap: 30 * time.Minute, Slice: 2 * time.Hour,
		Operation: "Sign-in activity", Stamps: []string{"createdDateTime"}}
	if kind != "" {
		l.Path, l.Where = "beta/auditLogs/signIns", "signInEventTypes/any(t: t eq '"+kind+"')"
	}
	return l
}

// Catalogue is every log there is.
func Catalogue() []Log { return slices.Clone(catalogue) }

// Default are the logs of a tenant that no hub carries: those of Graph but sign-ins-v1, which is sign-ins over again,
// and the partner's.
func Default() (names []string) {
	for _, l := range catalogue {
		if !l.PartnerCenter && l.Name != "sign-ins-v1" && l.Category != record.PartnerSecurityAlerts {
			names = append(names, l.Name)
		}
	}
	return names
}

// Partner are the logs that only a partner's own tenant has.
func Partner() (names []string) {
	for _, l := range catalogue {
		if l.PartnerCenter || l.Category == record.PartnerSecurityAlerts {
			names = append(names, l.Name)
		}
	}
	return names
}

func find(name string) (Log, bool) {
	i := slices.IndexFunc(catalogue, func(l Log) bool { return l.Name == name })
	if i < 0 {
		return Log{}, false
	}
	return catalogue[i], true
}
