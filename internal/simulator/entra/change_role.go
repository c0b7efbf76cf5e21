package entra

import "strings"

// pimApp is the first-party application through which PIM changes roles.
func pimApp(tenantID string) App {
	const appID = "01fc33a7-78ba-4d2f-a4b7-768e336e890e"
	return App{AppID: appID, DisplayName: "MS-PIM", ServicePrincipalID: StableGUID(tenantID, "servicePrincipal", appID)}
}

// principalTarget is a user or a service principal as the target of a role record.
func (c *change) principalTarget(id string, m ...modified) (target, bool) {
	if u := c.t.users.get(id); u != nil {
		return userTarget(u, m...), true
	}
	if s := c.t.principals.get(id); s != nil {
		return servicePrincipalTarget(s, m...), true
	}
	return target{}, false
}

func (c *change) roleTargets(principalID, templateID string, added bool) []target {
	r := role(templateID)
	property := func(name, value string) modified {
		if added {
			return modified{name, nil, value}
		}
		return modified{name, value, nil}
	}
	member, _ := c.principalTarget(principalID,
		property("Role.ObjectID", c.t.roleObjectID(templateID)),
		property("Role.DisplayName", r.DisplayName),
		property("Role.TemplateId", r.TemplateID),
		property("Role.WellKnownObjectName", r.WellKnownName))
	return []target{member, {id: c.t.roleObjectID(templateID), name: r.DisplayName, kind: "Role"}}
}

func (c *change) addRoleMember(principalID, templateID string) (RoleAssignment, error) {
	if _, ok := c.principalTarget(principalID); !ok {
		return RoleAssignment{}, notFound(principalID)
	}
	if _, ok := RoleByName(templateID); !ok {
		return RoleAssignment{}, Refused{400, "Request_BadRequest", "The role definition '" + templateID + "' does not exist."}
	}
	if c.t.holds(principalID, templateID) {
		return RoleAssignment{}, Refused{400, "Request_BadRequest",
			"A conflicting object with one or more of the specified property values is present in the directory."}
	}
	a := c.t.addRole(&c.t.assignments, principalID, templateID)
	c.audit(addMemberToRole(), "", c.roleTargets(principalID, templateID, true)...)
	return a, nil
}

func (c *change) removeRoleMember(a RoleAssignment) error {
	if strings.EqualFold(a.RoleDefinitionID, GlobalAdministrator) && c.t.lastGlobalAdministrator(a.PrincipalID) {
		return Refused{400, "Request_BadRequest", "The last enabled Global Administrator cannot be removed."}
	}
	c.t.assignments.remove(a.ID)
	c.audit(removeMemberFromRole(), "", c.roleTargets(a.PrincipalID, a.RoleDefinitionID, false)...)
	return nil
}

// removeThroughPIM writes PIM's record under the caller and Core Directory's under PIM's own application.
func (c *change) removeThroughPIM(a RoleAssignment) error {
	caller := c.by
	c.by = cause{at: caller.at, app: pimApp(c.t.id)}
	err := c.removeRoleMember(a)
	c.by = caller
	if err != nil {
		return err
	}
	r := role(a.RoleDefinitionID)
	member, _ := c.principalTarget(a.PrincipalID)
	c.audit(pimRemoved(), "", target{id: r.TemplateID, name: r.DisplayName, kind: "Role"}, member,
		target{id: c.correlation, kind: "Request"})
	return nil
}

// lastGlobalAdministrator says whether no enabled user but this one is Global Administrator.
func (t *Tenant) lastGlobalAdministrator(userID string) bool {
	for a := range t.assignments.all() {
		if !strings.EqualFold(a.RoleDefinitionID, GlobalAdministrator) || strings.EqualFold(a.PrincipalID, userID) {
			continue
		}
		if u := t.users.get(a.PrincipalID); u != nil && u.AccountEnabled {
			return false
		}
	}
	return true
}

func notFound(id string) error {
	return Refused{404, "Request_ResourceNotFound",
		"Resource '" + id + "' does not exist or one of its queried reference-property objects are not present."}
}
