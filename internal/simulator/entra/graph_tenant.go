package entra

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
)

// licensed refuses Identity Protection where P2 is not licensed. The caller has the lock.
func (t *Tenant) licensed() error {
	if t.p2 {
		return nil
	}
	return Refused{403, "Forbidden", "Your tenant is not licensed for this feature."}
}

func confirmRisky(r *request) (answer, error) { return setRisky(r, true) }
func dismissRisky(r *request) (answer, error) { return setRisky(r, false) }

func setRisky(r *request, confirmed bool) (answer, error) {
	ids, _ := r.body["userIds"].([]any)
	err := r.change(func(c *change) error {
		if err := c.t.licensed(); err != nil {
			return err
		}
		if len(ids) == 0 || len(ids) > 60 {
			return Refused{400, "BadRequest", "userIds must hold 1 to 60 ids."}
		}
		var users []*User
		for _, id := range ids {
			text, _ := id.(string)
			u := c.t.users.get(text)
			if u == nil {
				return notFound(text)
			}
			users = append(users, u)
		}
		for _, u := range users {
			c.setRisk(u, confirmed)
		}
		return nil
	})
	return answer{status: http.StatusNoContent}, err
}

func getRisky(r *request) (answer, error) {
	var entity object
	err := r.read(func(t *Tenant) error {
		if err := t.licensed(); err != nil {
			return err
		}
		risk, ok := t.risks[strings.ToLower(r.key[0])]
		u := t.users.get(r.key[0])
		if !ok || u == nil {
			return notFound(r.key[0]) // who was never at risk is no risky user
		}
		entity = object{"id": u.ID, "isDeleted": false, "isProcessing": false, "riskLevel": risk.RiskLevel,
			"riskState": risk.RiskState, "riskDetail": risk.RiskDetail, "userDisplayName": u.DisplayName,
			"userPrincipalName": u.UserPrincipalName, "riskLastUpdatedDateTime": graphTime(risk.RiskLastUpdatedDateTime)}
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return one(r, "identityProtection/riskyUsers", entity)
}

func getPolicy(r *request) (answer, error) {
	assigned := r.tenant.AuthorizationPolicy().PermissionGrantPoliciesAssigned
	if assigned == nil {
		assigned = []string{}
	}
	out := object{"@odata.context": metadata(r, "policies/authorizationPolicy/$entity"), "id": "authorizationPolicy",
		"displayName": "Authorization Policy", "allowInvitesFrom": "everyone", "blockMsolPowerShell": false,
		"allowedToSignUpEmailBasedSubscriptions": true, "allowedToUseSSPR": true, "allowEmailVerifiedUsersToJoinOrganization": false,
		"guestUserRoleId": "10dae51f-b6af-4016-8d66-8c2a99b929b3",
		"defaultUserRolePermissions": object{"allowedToCreateApps": true, "allowedToCreateSecurityGroups": true,
			"allowedToReadOtherUsers": true, "permissionGrantPoliciesAssigned": assigned}}
	return answer{http.StatusOK, out}, nil
}

func patchPolicy(r *request) (answer, error) {
	if err := r.onlyProperties("defaultUserRolePermissions"); err != nil {
		return answer{}, err
	}
	permissions, _ := r.body["defaultUserRolePermissions"].(object)
	raw, ok := permissions["permissionGrantPoliciesAssigned"].([]any)
	if !ok {
		return answer{}, Refused{400, "Request_BadRequest", "defaultUserRolePermissions.permissionGrantPoliciesAssigned must be a list."}
	}
	assigned := []string{}
	for _, v := range raw {
		text, _ := v.(string)
		if !strings.HasPrefix(strings.ToLower(text), "managepermissiongrantsfor") {
			return answer{}, Refused{400, "Request_BadRequest", "'" + text + "' is no permission grant policy."}
		}
		assigned = append(assigned, text)
	}
	err := r.change(func(c *change) error { c.setConsentPolicies(assigned); return nil })
	return answer{status: http.StatusNoContent}, err
}

func listSkus(r *request) (answer, error) {
	var p2 bool
	_ = r.read(func(t *Tenant) error { p2 = t.p2; return nil })
	plans := []object{{"servicePlanId": "41781fb2-bc02-4b7c-bd55-b576c07bb09d", "servicePlanName": "AAD_PREMIUM",
		"provisioningStatus": "Success", "appliesTo": "User"}}
	part := "AAD_PREMIUM"
	if p2 {
		part = "AAD_PREMIUM_P2"
		plans = append(plans, object{"servicePlanId": "eec0eb4f-6444-4f95-aba0-50c24d67f998",
			"servicePlanName": "AAD_PREMIUM_P2", "provisioningStatus": "Success", "appliesTo": "User"})
	}
	return many(r, "subscribedSkus", []object{{"id": r.tenant.id + "_" + StableGUID(part), "skuId": StableGUID(part),
		"skuPartNumber": part, "capabilityStatus": "Enabled", "consumedUnits": 40, "appliesTo": "User",
		"prepaidUnits": object{"enabled": 50, "suspended": 0, "warning": 0, "lockedOut": 0}, "servicePlans": plans}})
}

func listOrganization(r *request) (answer, error) {
	return many(r, "organization", []object{{"id": r.tenant.id, "displayName": r.tenant.name, "tenantType": "AAD",
		"countryLetterCode": "GB", "onPremisesSyncEnabled": nil, "assignedPlans": []object{}, "verifiedDomains": []object{
			{"name": strings.ToLower(r.tenant.name) + ".example", "isDefault": true, "isInitial": true, "type": "Managed"}}}})
}

func (rel Relationship) entity() object {
	roles := []object{}
	for _, id := range rel.RoleDefinitionIDs {
		roles = append(roles, object{"roleDefinitionId": id})
	}
	return object{"@odata.etag": rel.etag(), "id": rel.ID, "displayName": rel.DisplayName, "status": rel.Status,
		"duration": "P730D", "autoExtendDuration": "PT0S", "createdDateTime": graphTime(rel.CreatedDateTime),
		"activatedDateTime": graphTime(rel.ActivatedDateTime), "endDateTime": graphTime(rel.EndDateTime),
		"lastModifiedDateTime": graphTime(rel.LastModified), "accessDetails": object{"unifiedRoles": roles},
		"customer": object{"tenantId": rel.CustomerTenantID, "displayName": rel.CustomerDisplayName}}
}

func (rel Relationship) etag() string {
	return `W/"` + base64.StdEncoding.EncodeToString([]byte(rel.Status+rel.LastModified.UTC().Format(auditTime))) + `"`
}

func listRelationships(r *request) (answer, error) {
	rows := []object{}
	for _, rel := range r.tenant.Relationships() {
		rows = append(rows, rel.entity())
	}
	return many(r, "tenantRelationships/delegatedAdminRelationships", rows)
}

func (r *request) relationship() (Relationship, error) {
	all := r.tenant.Relationships()
	i := slices.IndexFunc(all, func(rel Relationship) bool { return strings.EqualFold(rel.ID, r.key[0]) })
	if i < 0 {
		return Relationship{}, notFound(r.key[0])
	}
	return all[i], nil
}

func getRelationship(r *request) (answer, error) {
	rel, err := r.relationship()
	if err != nil {
		return answer{}, err
	}
	return one(r, "tenantRelationships/delegatedAdminRelationships", rel.entity())
}

func (q RelationshipRequest) entity() object {
	return object{"id": q.ID, "action": q.Action, "status": q.Status, "createdDateTime": graphTime(q.CreatedDateTime),
		"lastModifiedDateTime": graphTime(q.CreatedDateTime)}
}

// postRelationshipRequest ends a relationship. It answers at once and has its effect later; Entra writes no audit
// record of it that is documented, Partner Center does.
func postRelationshipRequest(r *request) (answer, error) {
	if action := r.text("action"); action != "terminate" {
		return answer{}, Refused{400, "BadRequest", "The action '" + action + "' is not valid in this state."}
	}
	var q RelationshipRequest
	err := r.change(func(c *change) error {
		c.t.settle(c.by.at)
		rel := c.t.relationships.get(r.key[0])
		if rel == nil {
			return notFound(r.key[0])
		}
		if rel.Status != "active" {
			return Refused{409, "Conflict", "The relationship is " + rel.Status + ", not active."}
		}
		rel.Status, rel.terminate, rel.LastModified = "terminationRequested", c.by.at, c.by.at
		q = RelationshipRequest{ID: NewGUID(), RelationshipID: rel.ID, Action: "terminate", Status: "created", CreatedDateTime: c.by.at}
		c.t.requests.put(q.ID, q)
		return nil
	})
	return answer{http.StatusCreated, q.entity()}, err
}

func (r *request) requests(keep func(RelationshipRequest) bool) ([]object, error) {
	if _, err := r.relationship(); err != nil {
		return nil, err
	}
	rows := []object{}
	_ = r.read(func(t *Tenant) error {
		for q := range t.requests.all() {
			if strings.EqualFold(q.RelationshipID, r.key[0]) && keep(*q) {
				rows = append(rows, q.entity())
			}
		}
		return nil
	})
	return rows, nil
}

func listRelationshipRequests(r *request) (answer, error) {
	rows, err := r.requests(func(RelationshipRequest) bool { return true })
	if err != nil {
		return answer{}, err
	}
	return many(r, "tenantRelationships/delegatedAdminRelationships('"+r.key[0]+"')/requests", rows)
}

func getRelationshipRequest(r *request) (answer, error) {
	rows, err := r.requests(func(q RelationshipRequest) bool { return strings.EqualFold(q.ID, r.key[1]) })
	if err != nil {
		return answer{}, err
	}
	if len(rows) == 0 {
		return answer{}, notFound(r.key[1])
	}
	return one(r, "tenantRelationships/delegatedAdminRelationships/requests", rows[0])
}
