package entra

import (
	"net/http"
	"strings"
)

func (r Role) entity() object {
	return object{"id": r.TemplateID, "templateId": r.TemplateID, "displayName": r.DisplayName, "isBuiltIn": true,
		"isEnabled": true, "description": nil, "resourceScopes": []string{"/"}, "version": "1"}
}

// assignment describes a role assignment; $expand adds the role and the principal. The caller has the lock.
func (r *request) assignment(t *Tenant, a *RoleAssignment) object {
	out := object{"id": a.ID, "principalId": a.PrincipalID, "roleDefinitionId": a.RoleDefinitionID,
		"directoryScopeId": a.DirectoryScopeID}
	if expands(r, "roleDefinition") {
		out["roleDefinition"] = role(a.RoleDefinitionID).entity()
	}
	if expands(r, "principal") {
		out["principal"] = t.object(a.PrincipalID)
	}
	return out
}

// object is the user, service principal or group of this id, and says which it is; nil where there is none.
func (t *Tenant) object(id string) (entity object) {
	kind := ""
	if u := t.users.get(id); u != nil {
		entity, kind = u.entity(), "user"
	} else if s := t.principals.get(id); s != nil {
		entity, kind = t.principal(s), "servicePrincipal"
	} else if g := t.groups.get(id); g != nil {
		entity, kind = g.entity(), "group"
	} else {
		return nil
	}
	entity["@odata.type"] = "#microsoft.graph." + kind
	return entity
}

// Group is a group that roles can be given to.
type Group struct {
	ID, DisplayName string
	Members         []string // ids of users and service principals
}

func (g *Group) entity() object {
	return object{"id": g.ID, "displayName": g.DisplayName, "isAssignableToRole": true, "securityEnabled": true}
}

func listMembers(r *request) (answer, error) {
	var rows []object
	err := r.read(func(t *Tenant) error {
		g := t.groups.get(r.key[0])
		if g == nil {
			return notFound(r.key[0])
		}
		for _, id := range g.Members {
			if entity := t.object(id); entity != nil {
				rows = append(rows, entity)
			}
		}
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return many(r, "directoryObjects", rows)
}

func listAssignments(r *request) (answer, error) {
	var rows []object
	_ = r.read(func(t *Tenant) error {
		for a := range t.assignments.all() {
			rows = append(rows, r.assignment(t, a))
		}
		return nil
	})
	return many(r, "roleManagement/directory/roleAssignments", rows)
}

func getAssignment(r *request) (answer, error) {
	var entity object
	err := r.read(func(t *Tenant) error {
		a := t.assignments.get(r.key[0])
		if a == nil {
			return notFound(r.key[0])
		}
		entity = r.assignment(t, a)
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return one(r, "roleManagement/directory/roleAssignments", entity)
}

// text reads a text of the body.
func (r *request) text(name string) string {
	s, _ := r.body[name].(string)
	return s
}

func postAssignment(r *request) (answer, error) {
	principal, definition := r.text("principalId"), r.text("roleDefinitionId")
	if scope := r.text("directoryScopeId"); scope != "/" {
		return answer{}, Refused{400, "Request_BadRequest", "directoryScopeId must be '/' here, not '" + scope + "'."}
	}
	var entity object
	err := r.change(func(c *change) error {
		a, err := c.addRoleMember(principal, definition)
		if err != nil {
			return err
		}
		entity = r.assignment(c.t, &a)
		return nil
	})
	return answer{http.StatusCreated, entity}, err
}

func deleteAssignment(r *request) (answer, error) {
	err := r.change(func(c *change) error {
		a := c.t.assignments.get(r.key[0])
		if a == nil {
			return notFound(r.key[0])
		}
		return c.removeRoleMember(*a)
	})
	return answer{status: http.StatusNoContent}, err
}

func listDefinitions(r *request) (answer, error) {
	var rows []object
	for _, role := range Roles() {
		rows = append(rows, role.entity())
	}
	return many(r, "roleManagement/directory/roleDefinitions", rows)
}

func getDefinition(r *request) (answer, error) {
	found, ok := RoleByName(r.key[0])
	if !ok {
		return answer{}, notFound(r.key[0])
	}
	return one(r, "roleManagement/directory/roleDefinitions", found.entity())
}

// needsP2 refuses what Privileged Identity Management does where it is not licensed.
func (t *Tenant) needsP2() error {
	if t.p2 {
		return nil
	}
	return Refused{400, "AadPremiumLicenseRequired",
		"The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance license."}
}

func listEligible(r *request) (answer, error) {
	var rows []object
	err := r.read(func(t *Tenant) error {
		for a := range t.eligible.all() {
			row := r.assignment(t, a)
			row["memberType"], row["startDateTime"], row["endDateTime"] = "Direct", nil, nil
			row["roleEligibilityScheduleId"] = a.ID
			rows = append(rows, row)
		}
		return t.needsP2()
	})
	if err != nil {
		return answer{}, err
	}
	return many(r, "roleManagement/directory/roleEligibilityScheduleInstances", rows)
}

func postScheduleRequest(r *request) (answer, error) {
	principal, definition, action := r.text("principalId"), r.text("roleDefinitionId"), r.text("action")
	if action != "adminRemove" {
		return answer{}, Refused{400, "InvalidRoleAssignmentRequest", "The simulator knows the action adminRemove only."}
	}
	err := r.change(func(c *change) error {
		if err := c.t.needsP2(); err != nil {
			return err
		}
		a := c.t.assignments.find(func(a *RoleAssignment) bool {
			return strings.EqualFold(a.PrincipalID, principal) && strings.EqualFold(a.RoleDefinitionID, definition)
		})
		if a == nil {
			return Refused{400, "RoleAssignmentDoesNotExist", "The Role assignment does not exist."}
		}
		return c.removeThroughPIM(*a)
	})
	return answer{http.StatusCreated, object{
		"@odata.context": metadata(r, "roleManagement/directory/roleAssignmentScheduleRequests/$entity"),
		"id":             NewGUID(), "status": "Revoked", "action": action, "principalId": principal,
		"roleDefinitionId": definition, "directoryScopeId": "/", "justification": nullable(r.text("justification")),
		"createdDateTime": graphTime(r.now),
	}}, err
}
