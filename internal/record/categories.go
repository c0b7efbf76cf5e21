package record

import (
	"strings"
	"time"
)

// The categories that Cordon decodes. Those of Azure Monitor are spelt as diagnostic settings write them (domain
// notes, logs 4.1); the others have no name there and bear their service's.
const (
	AuditLogs                           = "AuditLogs"
	SignInLogs                          = "SignInLogs"
	NonInteractiveUserSignInLogs        = "NonInteractiveUserSignInLogs"
	ServicePrincipalSignInLogs          = "ServicePrincipalSignInLogs"
	ManagedIdentitySignInLogs           = "ManagedIdentitySignInLogs"
	MicrosoftServicePrincipalSignInLogs = "MicrosoftServicePrincipalSignInLogs"
	ADFSSignInLogs                      = "ADFSSignInLogs"
	ProvisioningLogs                    = "ProvisioningLogs"
	RiskyUsers                          = "RiskyUsers"
	UserRiskEvents                      = "UserRiskEvents"
	RiskyServicePrincipals              = "RiskyServicePrincipals"
	ServicePrincipalRiskEvents          = "ServicePrincipalRiskEvents"
	MicrosoftGraphActivityLogs          = "MicrosoftGraphActivityLogs"
	EnrichedOffice365AuditLogs          = "EnrichedOffice365AuditLogs"
	NetworkAccessTrafficLogs            = "NetworkAccessTrafficLogs"
	CustomSecurityAttributeAuditLogs    = "CustomSecurityAttributeAuditLogs"

	// Azure Activity.
	Administrative = "Administrative"
	Security       = "Security"
	Policy         = "Policy"

	// Intune calls its audit category AuditLogs too; its resourceId tells it apart.
	IntuneAuditLogs = "IntuneAuditLogs"

	// The Office 365 Management Activity API's content types.
	UnifiedEntra      = "Audit.AzureActiveDirectory"
	UnifiedExchange   = "Audit.Exchange"
	UnifiedSharePoint = "Audit.SharePoint"
	UnifiedGeneral    = "Audit.General"
	UnifiedDLP        = "DLP.All"

	// Defender XDR's streaming API writes the table's name behind this.
	AdvancedHunting = "AdvancedHunting-"

	// Partner Center and the partner part of Graph.
	PartnerSecurityAlerts = "PartnerSecurityAlerts"
	PartnerFraudEvents    = "PartnerFraudEvents"
	PartnerAuditRecords   = "PartnerAuditRecords"
)

// Kind is what a category's records are about: which decoder reads them, and how late they are expected.
type Kind string

// The kinds, as the configuration's `lateness` names them.
const (
	KindSignIn        Kind = "sign-in"
	KindAudit         Kind = "audit"
	KindRisk          Kind = "risk"
	KindGraphActivity Kind = "graph-activity"
	KindAzureActivity Kind = "azure-activity"
	KindUnifiedAudit  Kind = "unified-audit"
	KindDefender      Kind = "defender"
	KindPartner       Kind = "partner"
	KindUnknown       Kind = "unknown" // stored raw, and counted
)

type category struct {
	name string
	kind Kind
}

// categories are all that Cordon knows by name, in the order of domain notes, logs 4.1.
var categories = []category{
	{AuditLogs, KindAudit},
	{SignInLogs, KindSignIn},
	{NonInteractiveUserSignInLogs, KindSignIn},
	{ServicePrincipalSignInLogs, KindSignIn},
	{ManagedIdentitySignInLogs, KindSignIn},
	{MicrosoftServicePrincipalSignInLogs, KindSignIn},
	{ADFSSignInLogs, KindSignIn},
	{ProvisioningLogs, KindAudit},
	{RiskyUsers, KindRisk},
	{UserRiskEvents, KindRisk},
	{RiskyServicePrincipals, KindRisk},
	{ServicePrincipalRiskEvents, KindRisk},
	{MicrosoftGraphActivityLogs, KindGraphActivity},
	{EnrichedOffice365AuditLogs, KindUnifiedAudit},
	{NetworkAccessTrafficLogs, KindGraphActivity},
	{CustomSecurityAttributeAuditLogs, KindAudit},
	{Administrative, KindAzureActivity},
	{Security, KindAzureActivity},
	{Policy, KindAzureActivity},
	{"Alert", KindAzureActivity},
	{"ServiceHealth", KindAzureActivity},
	{"ResourceHealth", KindAzureActivity},
	{"Recommendation", KindAzureActivity},
	{"Autoscale", KindAzureActivity},
	{IntuneAuditLogs, KindAudit},
	{UnifiedEntra, KindUnifiedAudit},
	{UnifiedExchange, KindUnifiedAudit},
	{UnifiedSharePoint, KindUnifiedAudit},
	{UnifiedGeneral, KindUnifiedAudit},
	{UnifiedDLP, KindUnifiedAudit},
	{PartnerSecurityAlerts, KindPartner},
	{PartnerFraudEvents, KindPartner},
	{PartnerAuditRecords, KindPartner},
}

// byName finds them as they are written.
var byName = func() map[string]*category {
	m := make(map[string]*category, len(categories))
	for i := range categories {
		m[categories[i].name] = &categories[i]
	}
	return m
}()

// categoryOf is the category of that name, whatever its case; nil where there is none.
func categoryOf(name string) *category {
	if c := byName[name]; c != nil {
		return c
	}
	for i := range categories {
		if c := &categories[i]; len(c.name) == len(name) && strings.EqualFold(c.name, name) {
			return c
		}
	}
	return nil
}

// KindOf tells a category's kind.
func KindOf(category string) Kind {
	switch c := byName[category]; {
	case c != nil:
		return c.kind
	case strings.HasPrefix(category, AdvancedHunting):
		return KindDefender
	}
	return KindUnknown
}

// Lateness is how long after its event time a record of a kind is expected at the latest: later ones count too, but
// the watermark does not wait for them.
type Lateness map[Kind]time.Duration

// DefaultLateness is what the sources were seen to need (domain notes, logs 4.1).
func DefaultLateness() Lateness {
	return Lateness{
		KindSignIn: 30 * time.Minute, KindAudit: 30 * time.Minute, KindAzureActivity: 30 * time.Minute, KindDefender: time.Hour,
		KindGraphActivity: 3 * time.Hour, KindUnifiedAudit: 24 * time.Hour, KindPartner: 24 * time.Hour, KindRisk: 48 * time.Hour, KindUnknown: 30 * time.Minute,
	}
}

// Of is the lateness of a category's records.
func (l Lateness) Of(category string) time.Duration { return l[KindOf(category)] }
