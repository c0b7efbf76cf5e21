package sigma

import (
	"slices"
	"strings"

	"cordon/internal/record"
	"go.yaml.in/yaml/v3"
)

// LogSource is what a rule looks at, as it was written, but for the product, which has several names.
type LogSource struct{ Product, Category, Service string }

var (
	signIns  = []string{record.SignInLogs, record.NonInteractiveUserSignInLogs, record.ServicePrincipalSignInLogs, record.ManagedIdentitySignInLogs, record.ADFSSignInLogs}
	activity = []string{record.Administrative, record.Security, record.Policy}
	risk     = []string{record.UserRiskEvents, record.RiskyUsers, record.ServicePrincipalRiskEvents, record.RiskyServicePrincipals}
	unified  = []string{record.UnifiedEntra, record.UnifiedExchange, record.UnifiedSharePoint, record.UnifiedGeneral, record.UnifiedDLP, record.EnrichedOffice365AuditLogs}
)

// routes are the services of each product with the record categories that they stand for. The services of azure and
// m365 are those of Sigma's taxonomy appendix; below them, the names of Azure Monitor's own categories, in small
// letters. `signinlogs` are the sign-ins of users, as in the portal's page of that name; the others have names of
// their own.
var routes = []struct {
	product, service string
	categories       []string
}{
	{"azure", "auditlogs", []string{record.AuditLogs}},
	{"azure", "pim", []string{record.AuditLogs}}, // Privileged Identity Management writes to the directory's audit log
	{"azure", "signinlogs", []string{record.SignInLogs, record.NonInteractiveUserSignInLogs}},
	{"azure", "activitylogs", activity},
	{"azure", "riskdetection", risk},
	{"azure", "noninteractiveusersigninlogs", []string{record.NonInteractiveUserSignInLogs}},
	{"azure", "serviceprincipalsigninlogs", []string{record.ServicePrincipalSignInLogs}},
	{"azure", "managedidentitysigninlogs", []string{record.ManagedIdentitySignInLogs}},
	{"azure", "microsoftserviceprincipalsigninlogs", []string{record.MicrosoftServicePrincipalSignInLogs}},
	{"azure", "adfssigninlogs", []string{record.ADFSSignInLogs}},
	{"azure", "provisioninglogs", []string{record.ProvisioningLogs}},
	{"azure", "userriskevents", []string{record.UserRiskEvents}},
	{"azure", "riskyusers", []string{record.RiskyUsers}},
	{"azure", "serviceprincipalriskevents", []string{record.ServicePrincipalRiskEvents}},
	{"azure", "riskyserviceprincipals", []string{record.RiskyServicePrincipals}},
	{"azure", "microsoftgraphactivitylogs", []string{record.MicrosoftGraphActivityLogs}},
	{"azure", "networkaccesstrafficlogs", []string{record.NetworkAccessTrafficLogs}},
	{"azure", "customsecurityattributeauditlogs", []string{record.CustomSecurityAttributeAuditLogs}},
	{"azure", "enrichedoffice365auditlogs", []string{record.EnrichedOffice365AuditLogs}},
	{"azure", "administrative", []string{record.Administrative}},
	{"azure", "security", []string{record.Security}},
	{"azure", "policy", []string{record.Policy}},
	{"azure", "", slices.Concat([]string{record.AuditLogs}, signIns, activity, risk, []string{record.MicrosoftGraphActivityLogs})},

	{"m365", "audit", unified},
	{"m365", "exchange", []string{record.UnifiedExchange, record.EnrichedOffice365AuditLogs}},
	{"m365", "sharepoint", []string{record.UnifiedSharePoint, record.EnrichedOffice365AuditLogs}},
	{"m365", "azureactivedirectory", []string{record.UnifiedEntra}},
	{"m365", "dlp", []string{record.UnifiedDLP}},
	{"m365", "threat_management", []string{record.UnifiedGeneral}},
	{"m365", "threat_detection", []string{record.UnifiedGeneral}},
	{"m365", "general", []string{record.UnifiedGeneral}},
	{"m365", "", unified},
}

var products = map[string]string{"azure": "azure", "m365": "m365", "microsoft365": "m365", "microsoft_365": "m365"}

// route names the categories that a log source stands for. `category:` is read as a service is, for rules that write
// the name of an Azure Monitor category there.
func route(n *yaml.Node, s *logSource) ([]string, error) {
	if err := own(n, "product", "category", "service", "definition"); err != nil {
		return nil, err
	}
	product, ok := products[strings.ToLower(s.Product)]
	if !ok {
		return nil, at(n, "logsource product %q: only azure and m365 are read", s.Product)
	}
	both, err := routed(n, product, s.Service)
	if err != nil || s.Category == "" {
		return both, err
	}
	byCategory, err := routed(n, product, s.Category)
	if err != nil {
		return nil, err
	}
	both = slices.DeleteFunc(slices.Clone(both), func(c string) bool { return !slices.Contains(byCategory, c) })
	if len(both) == 0 {
		return nil, at(n, "logsource service %q and category %q have no record in common", s.Service, s.Category)
	}
	return both, nil
}

func routed(n *yaml.Node, product, service string) ([]string, error) {
	var services []string
	for _, r := range routes {
		if r.product != product {
			continue
		}
		if r.service == strings.ToLower(service) {
			return r.categories, nil
		}
		if r.service != "" {
			services = append(services, r.service)
		}
	}
	return nil, at(n, "logsource %q of product %s has no decoder; those that have one are %s", service, product, strings.Join(services, ", "))
}
