package directory

import (
	"slices"
	"strings"
)

// GlobalAdministrator is the template id of the role that can do everything.
const GlobalAdministrator = "62e90394-69f5-4237-9190-012177145e10"

// PrivilegedRoles are the roles whose holders count as administrators: those that Microsoft's baseline wants
// behind MFA, and what reaches them (domain notes, posture 3.1).
var PrivilegedRoles = []Role{
	{GlobalAdministrator, "Global Administrator"},
	{"e8611ab8-c189-46e8-94e1-60213ab1f814", "Privileged Role Administrator"},
	{"7be44c8a-adaf-4e2a-84d6-ab2649e08a13", "Privileged Authentication Administrator"},
	{"194ae4cb-b126-40b2-bd5b-6091b380977d", "Security Administrator"},
	{"b1be1c3e-b65d-4f19-8427-f6fa0d97feb9", "Conditional Access Administrator"},
	{"9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3", "Application Administrator"},
	{"158c047a-c907-4556-b7ef-446551a6b5f7", "Cloud Application Administrator"},
	{"c4e39bd9-1100-46d3-8c65-fb160da0071f", "Authentication Administrator"},
	{"fe930be7-5e62-47db-91af-98c3a49a38b1", "User Administrator"},
	{"29232cdf-9323-42fd-ade2-1d097af3e4de", "Exchange Administrator"},
	{"f28a1f50-f6e7-4571-818b-6a12f2af6b6c", "SharePoint Administrator"},
	{"729827e3-9c14-49f7-bb1b-9608f156bbb8", "Helpdesk Administrator"},
	{"b0f54661-2d74-4c50-afa3-1ec803f12efe", "Billing Administrator"},
	{"966707d0-3269-4727-9be2-8c3a10f19b9d", "Password Administrator"},
	{"3a2c62db-5318-420d-8d74-23affee5d9d5", "Intune Administrator"},
	{"8ac3fc64-6eca-42ea-9e69-59f4c7b60eb2", "Hybrid Identity Administrator"},
	{"e00e864a-17c5-4a4b-9c06-f5b95a8d5bd8", "Partner Tier2 Support"},
	{"4ba39ca4-527c-499a-b93d-d9b492c50246", "Partner Tier1 Support"},
	{"be2f45a1-457d-42af-a067-6ec1fa63bc45", "External Identity Provider Administrator"},
	{"8329153b-31d0-4727-b945-745eb3bc5f31", "Domain Name Administrator"},
}

// oldNames are what older records call a role.
var oldNames = map[string]string{
	"company administrator":                GlobalAdministrator,
	"tenantadmins":                         GlobalAdministrator,
	"application management administrator": "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3",
}

// Privileged says whether a role, by template id or by name, is a privileged one.
func Privileged(id, name string) bool {
	for _, r := range PrivilegedRoles {
		if id != "" && strings.EqualFold(r.ID, id) || name != "" && strings.EqualFold(r.Name, name) {
			return true
		}
	}
	return oldNames[strings.ToLower(name)] != ""
}

// canonical is the one way in which a role is kept, so that a change that names it is the same role as one that
// gives its id: by template id where it is one that Cordon knows, else as it came.
func canonical(role Role) Role {
	for _, r := range PrivilegedRoles {
		if strings.EqualFold(r.ID, role.ID) || role.ID == "" && strings.EqualFold(r.Name, role.Name) {
			return Role{ID: r.ID}
		}
	}
	if old := oldNames[strings.ToLower(role.Name)]; old != "" && role.ID == "" {
		return Role{ID: old}
	}
	if role.ID != "" {
		return Role{ID: strings.Clone(strings.ToLower(role.ID))} // what a Decoder gave out is written over
	}
	return Role{Name: strings.Clone(strings.ToLower(role.Name))}
}

func canonicals(roles []Role) []Role {
	out := make([]Role, len(roles))
	for i, r := range roles {
		out[i] = canonical(r)
	}
	return out
}

// RoleName is a role's name as people know it.
func RoleName(role Role) string {
	id := role.ID
	if old := oldNames[strings.ToLower(role.Name)]; old != "" {
		id = old
	}
	for _, r := range PrivilegedRoles {
		if strings.EqualFold(r.ID, id) {
			return r.Name
		}
	}
	if role.Name != "" {
		return role.Name
	}
	return role.ID
}

// Lists are the placeholders that rules may use for privileged roles.
func Lists() map[string][]string {
	var ids, names []string
	for _, r := range PrivilegedRoles {
		ids, names = append(ids, r.ID), append(names, r.Name)
	}
	for name := range oldNames {
		names = append(names, name)
	}
	slices.Sort(names)
	return map[string][]string{"privileged-role-ids": ids, "privileged-role-names": names}
}
