package entra

import "net/http"

func (g Grant) entity() object {
	return object{"id": g.ID, "clientId": g.ClientID, "consentType": g.ConsentType, "principalId": nullable(g.PrincipalID),
		"resourceId": g.ResourceID, "scope": g.Scope}
}

func listGrants(r *request) (answer, error) {
	var rows []object
	_ = r.read(func(t *Tenant) error {
		for g := range t.grants.all() {
			rows = append(rows, g.entity())
		}
		return nil
	})
	return many(r, "oauth2PermissionGrants", rows)
}

func getGrant(r *request) (answer, error) {
	var entity object
	err := r.read(func(t *Tenant) error {
		g := t.grants.get(r.key[0])
		if g == nil {
			return notFound(r.key[0])
		}
		entity = g.entity()
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return one(r, "oauth2PermissionGrants", entity)
}

func postGrant(r *request) (answer, error) {
	g := Grant{ClientID: r.text("clientId"), ConsentType: r.text("consentType"), PrincipalID: r.text("principalId"),
		ResourceID: r.text("resourceId"), Scope: r.text("scope")}
	if g.ConsentType != "AllPrincipals" && (g.ConsentType != "Principal" || g.PrincipalID == "") {
		return answer{}, Refused{400, "Request_BadRequest", "consentType must be AllPrincipals, or Principal with a principalId."}
	}
	var entity object
	err := r.change(func(c *change) error {
		for other := range c.t.grants.all() {
			same := other.ClientID == g.ClientID && other.ResourceID == g.ResourceID
			if same && other.ConsentType == g.ConsentType && other.PrincipalID == g.PrincipalID {
				return Refused{409, "Request_MultipleObjectsWithSameKeyValue", "Permission entry already exists."}
			}
		}
		made, err := c.createGrant(g)
		if err != nil {
			return err
		}
		entity = made.entity()
		return nil
	})
	return answer{http.StatusCreated, entity}, err
}

func patchGrant(r *request) (answer, error) {
	err := r.change(func(c *change) error {
		g := c.t.grants.get(r.key[0])
		if g == nil {
			return notFound(r.key[0])
		}
		scope, ok := r.body["scope"].(string)
		if !ok {
			return Refused{400, "Request_BadRequest", "Only scope can be changed."}
		}
		c.setScope(g, scope)
		return nil
	})
	return answer{status: http.StatusNoContent}, err
}

func deleteGrant(r *request) (answer, error) {
	err := r.change(func(c *change) error {
		g := c.t.grants.get(r.key[0])
		if g == nil {
			return notFound(r.key[0])
		}
		c.removeGrant(*g)
		return nil
	})
	return answer{status: http.StatusNoContent}, err
}
