package entra

import (
	"net/http"
	"slices"
	"strings"
)

func credentials(list []Credential, certificate bool) []object {
	out := []object{}
	for _, k := range list {
		row := object{"keyId": k.KeyID, "displayName": nullable(k.DisplayName), "startDateTime": graphTime(k.StartDateTime),
			"endDateTime": graphTime(k.EndDateTime), "customKeyIdentifier": nil}
		if certificate {
			row["type"], row["usage"], row["key"] = "AsymmetricX509Cert", "Verify", nil
		} else {
			row["secretText"], row["hint"] = nil, "abc"
		}
		out = append(out, row)
	}
	return out
}

// principal describes a service principal. Microsoft Graph's own lists the names of the app roles that are in use
// here, so that a reader can turn an assignment's id into a permission. The caller has the lock.
func (t *Tenant) principal(s *ServicePrincipal) object {
	appRoles := []object{}
	if s.AppID == graphAppID {
		var names []string
		for a := range t.appRoles.all() {
			names = append(names, a.Permission)
		}
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			appRoles = append(appRoles, object{"id": appRoleID(name), "value": name, "displayName": name,
				"isEnabled": true, "allowedMemberTypes": []string{"Application"}})
		}
	}
	return object{"id": s.ID, "appId": s.AppID, "displayName": s.DisplayName, "appDisplayName": s.DisplayName,
		"accountEnabled": s.AccountEnabled, "notes": nullable(s.Notes), "appOwnerOrganizationId": s.AppOwnerOrganizationID,
		"servicePrincipalType": "Application", "servicePrincipalNames": []string{s.AppID},
		"createdDateTime": graphTime(s.CreatedDateTime), "appRoles": appRoles, "tags": []string{},
		"passwordCredentials": credentials(s.PasswordCredentials, false), "replyUrls": []string{},
		"keyCredentials": credentials(s.KeyCredentials, true), "disabledByMicrosoftStatus": nil}
}

func (a *Application) entity() object {
	return object{"id": a.ID, "appId": a.AppID, "displayName": a.DisplayName, "createdDateTime": graphTime(a.CreatedDateTime),
		"passwordCredentials": credentials(a.PasswordCredentials, false), "signInAudience": "AzureADMyOrg",
		"keyCredentials": credentials(a.KeyCredentials, true), "tags": []string{}}
}

func listPrincipals(r *request) (answer, error) {
	var rows []object
	_ = r.read(func(t *Tenant) error {
		for s := range t.principals.all() {
			rows = append(rows, t.principal(s))
		}
		return nil
	})
	return many(r, "servicePrincipals", rows)
}

// findPrincipal finds by object id, or by application id where the path says (appId='…').
func (r *request) findPrincipal(t *Tenant) (*ServicePrincipal, error) {
	s := t.principals.get(r.key[0])
	if strings.Contains(strings.ToLower(r.URL.Path), "(appid=") {
		s = t.principals.find(func(s *ServicePrincipal) bool { return strings.EqualFold(s.AppID, r.key[0]) })
	}
	if s == nil {
		return nil, notFound(r.key[0])
	}
	return s, nil
}

func (r *request) findApplication(t *Tenant) (*Application, error) {
	a := t.applications.get(r.key[0])
	if strings.Contains(strings.ToLower(r.URL.Path), "(appid=") {
		a = t.applications.find(func(a *Application) bool { return strings.EqualFold(a.AppID, r.key[0]) })
	}
	if a == nil {
		return nil, notFound(r.key[0])
	}
	return a, nil
}

func getPrincipal(r *request) (answer, error) {
	var entity object
	err := r.read(func(t *Tenant) error {
		s, err := r.findPrincipal(t)
		if err == nil {
			entity = t.principal(s)
		}
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return one(r, "servicePrincipals", entity)
}

// survivors reads the keyIds of a keyCredentials list; ok says that the body has one.
func (r *request) survivors() (ids []string, ok bool, err error) {
	raw, ok := r.body["keyCredentials"]
	if !ok {
		return nil, false, nil
	}
	list, isList := raw.([]any)
	if !isList {
		return nil, true, Refused{400, "Request_BadRequest", "keyCredentials must be a list."}
	}
	for _, item := range list {
		entry, _ := item.(object)
		id, _ := entry["keyId"].(string)
		ids = append(ids, id)
	}
	return ids, true, nil
}

func (r *request) onlyProperties(names ...string) error {
	for name := range r.body {
		if !strings.HasPrefix(name, "@odata.") && !slices.Contains(names, name) {
			return Refused{400, "Request_BadRequest", "The simulator does not change property '" + name + "'."}
		}
	}
	return nil
}

func patchPrincipal(r *request) (answer, error) {
	keys, hasKeys, err := r.survivors()
	if err == nil {
		err = r.onlyProperties("accountEnabled", "keyCredentials", "notes")
	}
	if err != nil {
		return answer{}, err
	}
	anyones := r.may(writePrincipals()...)
	err = r.change(func(c *change) error {
		s, err := r.findPrincipal(c.t)
		if err != nil {
			return err
		}
		if !anyones && !strings.EqualFold(s.ID, r.app.ServicePrincipalID) { // every application here owns itself
			return Refused{403, requestDenied, reasonInsufficient}
		}
		if hasKeys {
			if err := c.setPrincipalKeys(s, keys); err != nil {
				return err
			}
		}
		if enabled, ok := r.body["accountEnabled"].(bool); ok {
			c.setPrincipalEnabled(s, enabled)
		}
		if notes, ok := r.body["notes"].(string); ok {
			return c.setPrincipalNotes(s, notes)
		}
		return nil
	})
	return answer{status: http.StatusNoContent}, err
}

func removePrincipalPassword(r *request) (answer, error) {
	err := r.change(func(c *change) error {
		s, err := r.findPrincipal(c.t)
		if err != nil {
			return err
		}
		return c.removePrincipalPassword(s, r.text("keyId"))
	})
	return answer{status: http.StatusNoContent}, err
}

func listAppRoles(r *request) (answer, error) {
	var rows []object
	err := r.read(func(t *Tenant) error {
		s, err := r.findPrincipal(t)
		if err != nil {
			return err
		}
		for a := range t.appRoles.all() {
			if strings.EqualFold(a.PrincipalID, s.ID) {
				rows = append(rows, object{"id": a.ID, "appRoleId": a.AppRoleID, "principalId": a.PrincipalID,
					"principalDisplayName": s.DisplayName, "principalType": "ServicePrincipal", "resourceId": a.ResourceID,
					"resourceDisplayName": "Microsoft Graph", "createdDateTime": graphTime(a.CreatedDateTime)})
			}
		}
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return many(r, "servicePrincipals('"+r.key[0]+"')/appRoleAssignments", rows)
}

func listApplications(r *request) (answer, error) {
	var rows []object
	_ = r.read(func(t *Tenant) error {
		for a := range t.applications.all() {
			rows = append(rows, a.entity())
		}
		return nil
	})
	return many(r, "applications", rows)
}

func getApplication(r *request) (answer, error) {
	var entity object
	err := r.read(func(t *Tenant) error {
		a, err := r.findApplication(t)
		if err == nil {
			entity = a.entity()
		}
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return one(r, "applications", entity)
}

func patchApplication(r *request) (answer, error) {
	keys, hasKeys, err := r.survivors()
	if err == nil {
		err = r.onlyProperties("keyCredentials")
	}
	if err != nil {
		return answer{}, err
	}
	err = r.change(func(c *change) error {
		a, err := r.findApplication(c.t)
		if err != nil || !hasKeys {
			return err
		}
		return c.setApplicationKeys(a, keys)
	})
	return answer{status: http.StatusNoContent}, err
}

func removeApplicationPassword(r *request) (answer, error) {
	err := r.change(func(c *change) error {
		a, err := r.findApplication(c.t)
		if err != nil {
			return err
		}
		return c.removeApplicationPassword(a, r.text("keyId"))
	})
	return answer{status: http.StatusNoContent}, err
}
