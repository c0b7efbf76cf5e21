package entra

import "strings"

// Role is a built-in directory role.
type Role struct {
	TemplateID    string
	DisplayName   string
	WellKnownName string
	// Rank is what a caller needs to change a holder of the role: see outranks.
	Rank Rank
}

// Rank orders roles by who may change their holders.
type Rank int

// The ranks.
const (
	// Plain roles: a User Administrator may change their holders.
	Plain Rank = iota + 1
	// Privileged roles: only a Privileged Authentication Administrator or a Global Administrator may.
	Privileged
)

// The template ids that code here names.
const (
	GlobalAdministrator                   = "62e90394-69f5-4237-9190-012177145e10"
	PrivilegedRoleAdministrator           = "e8611ab8-c189-46e8-94e1-60213ab1f814"
	PrivilegedAuthenticationAdministrator = "7be44c8a-adaf-4e2a-84d6-ab2649e08a13"
	UserAdministrator                     = "fe930be7-5e62-47db-91af-98c3a49a38b1"
	ApplicationAdministrator              = "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3"
	CloudApplicationAdministrator         = "158c047a-c907-4556-b7ef-446551a6b5f7"
)

// Roles returns the built-in roles that the simulator knows.
func Roles() []Role {
	return []Role{
		{GlobalAdministrator, "Global Administrator", "TenantAdmins", Privileged},
		{PrivilegedRoleAdministrator, "Privileged Role Administrator", "PrivilegedRoleAdmins", Privileged},
		{PrivilegedAuthenticationAdministrator, "Privileged Authentication Administrator",
			"PrivilegedAuthenticationAdmins", Privileged},
		{ApplicationAdministrator, "Application Administrator", "ApplicationAdministrators", Privileged},
		{CloudApplicationAdministrator, "Cloud Application Administrator", "CloudApplicationAdministrator", Privileged},
		{"194ae4cb-b126-40b2-bd5b-6091b380977d", "Security Administrator", "SecurityAdmins", Privileged},
		{"b1be1c3e-b65d-4f19-8427-f6fa0d97feb9", "Conditional Access Administrator", "ConditionalAccessAdmins", Privileged},
		{"29232cdf-9323-42fd-ade2-1d097af3e4de", "Exchange Administrator", "ExchangeServiceAdmins", Privileged},
		{"f28a1f50-f6e7-4571-818b-6a12f2af6b6c", "SharePoint Administrator", "SharePointServiceAdmins", Privileged},
		{"b0f54661-2d74-4c50-afa3-1ec803f12efe", "Billing Administrator", "BillingAdmins", Privileged},
		{"c4e39bd9-1100-46d3-8c65-fb160da0071f", "Authentication Administrator", "AuthenticationAdmins", Privileged},
		{"8ac3fc64-6eca-42ea-9e69-59f4c7b60eb2", "Hybrid Identity Administrator", "HybridIdentityAdmins", Privileged},
		{"d29b2b05-8046-44ba-8758-1e26182fcf32", "Directory Synchronization Accounts", "DirectorySynchronizationAccounts", Privileged},
		{"f2ef992c-3afb-46b9-b7cf-a126ee74c451", "Global Reader", "GlobalReaders", Privileged},
		{UserAdministrator, "User Administrator", "UserAccountAdmins", Plain},
		{"729827e3-9c14-49f7-bb1b-9608f156bbb8", "Helpdesk Administrator", "HelpdeskAdmins", Plain},
		{"966707d0-3269-4727-9be2-8c3a10f19b9d", "Password Administrator", "PasswordAdmins", Plain},
		{"88d8e3e3-8f55-4a1e-953a-9b9898b8876b", "Directory Readers", "DirectoryReaders", Plain},
		{"fdd7a751-b60b-444a-984c-02652fe8fa1c", "Groups Administrator", "GroupsAdmins", Plain},
		{"95e79109-95c0-4d8e-aee3-d01accf2d47b", "Guest Inviter", "GuestInviters", Plain},
		{"790c1fb9-7f7d-4f88-86a1-ef1f95c05c1b", "Message Center Reader", "MessageCenterReaders", Plain},
		{"4a5d8f65-41da-4de4-8968-e035b65339cf", "Reports Reader", "ReportsReaders", Plain},
	}
}

// RoleByName returns a role by its template id or its display name; older logs say Company Administrator.
func RoleByName(name string) (Role, bool) {
	if strings.EqualFold(name, "Company Administrator") {
		name = GlobalAdministrator
	}
	for _, r := range Roles() {
		if strings.EqualFold(r.TemplateID, name) || strings.EqualFold(r.DisplayName, name) {
			return r, true
		}
	}
	return Role{}, false
}

// role describes a template id; one that is not built in counts as privileged, as a custom role might be.
func role(templateID string) Role {
	if r, ok := RoleByName(templateID); ok {
		return r
	}
	return Role{TemplateID: templateID, DisplayName: "Custom role", Rank: Privileged}
}

// roleObjectID is the id of the role's object in this tenant, which audit records name beside the template.
func (t *Tenant) roleObjectID(templateID string) string {
	return StableGUID(t.id, "directoryRole", templateID)
}

// holds says whether a principal actively holds one of the roles. The caller has the lock.
func (t *Tenant) holds(principalID string, templateIDs ...string) bool {
	for a := range t.assignments.all() {
		if !strings.EqualFold(a.PrincipalID, principalID) {
			continue
		}
		for _, id := range templateIDs {
			if strings.EqualFold(a.RoleDefinitionID, id) {
				return true
			}
		}
	}
	return false
}

// outranks says whether a caller may change sensitive properties of a user. In app-only mode the permission alone
// does for a user without a role; a holder of one needs a caller whose service principal itself holds a role above
// it. The caller has the lock.
func (t *Tenant) outranks(callerID, userID string) bool {
	need := Rank(0)
	for a := range t.assignments.all() {
		if strings.EqualFold(a.PrincipalID, userID) {
			need = max(need, role(a.RoleDefinitionID).Rank)
		}
	}
	switch need {
	case 0:
		return true
	case Plain:
		return t.holds(callerID, UserAdministrator, PrivilegedAuthenticationAdministrator, GlobalAdministrator)
	default:
		return t.holds(callerID, PrivilegedAuthenticationAdministrator, GlobalAdministrator)
	}
}
