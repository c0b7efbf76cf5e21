package entra

import (
	"net/http"
	"strings"
)

// userDefaults is what Graph shows of a user without $select. What containment needs is not among it.
func userDefaults() []string {
	return []string{"businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation",
		"preferredLanguage", "surname", "userPrincipalName", "id"}
}

func (u *User) entity() object {
	out := object{
		"id": u.ID, "userPrincipalName": u.UserPrincipalName, "displayName": u.DisplayName, "userType": u.UserType,
		"accountEnabled": u.AccountEnabled, "jobTitle": nullable(u.JobTitle), "mail": nullable(u.UserPrincipalName),
		"createdDateTime":                 graphTime(u.CreatedDateTime),
		"signInSessionsValidFromDateTime": graphTime(u.SignInSessionsValidFromDateTime),
		"refreshTokensValidFromDateTime":  graphTime(u.SignInSessionsValidFromDateTime),
		"lastPasswordChangeDateTime":      graphTime(u.LastPasswordChangeDateTime),
		"onPremisesSyncEnabled":           nil, "businessPhones": []string{}, "otherMails": []string{},
		"proxyAddresses": []string{}, "assignedLicenses": []object{}, "assignedPlans": []object{}, "securityIdentifier": "",
		"identities": []object{{"signInType": "userPrincipalName", "issuer": "contoso.example",
			"issuerAssignedId": u.UserPrincipalName}},
	}
	if u.OnPremisesSyncEnabled {
		out["onPremisesSyncEnabled"] = true
	}
	if _, domain, ok := strings.Cut(u.UserPrincipalName, "@"); ok {
		out["identities"].([]object)[0]["issuer"] = domain
	}
	for _, name := range []string{"givenName", "surname", "mobilePhone", "officeLocation", "preferredLanguage",
		"passwordProfile", "passwordPolicies", "onPremisesImmutableId", "onPremisesDomainName",
		"onPremisesSamAccountName", "onPremisesUserPrincipalName", "onPremisesLastSyncDateTime",
		"onPremisesDistinguishedName", "onPremisesSecurityIdentifier", "externalUserState",
		"externalUserStateChangeDateTime", "creationType", "usageLocation", "department", "companyName", "country",
		"city", "employeeId", "employeeType", "mailNickname", "deletedDateTime", "isResourceAccount",
		"isManagementRestricted", "signInActivity", "manager", "employeeLeaveDateTime", "streetAddress", "state"} {
		out[name] = nil
	}
	return out
}

func listUsers(r *request) (answer, error) {
	var rows []object
	_ = r.read(func(t *Tenant) error {
		for u := range t.users.all() {
			rows = append(rows, u.entity())
		}
		return nil
	})
	return many(r, "users", rows, userDefaults()...)
}

func getUser(r *request) (answer, error) {
	var entity object
	err := r.read(func(t *Tenant) error {
		u := t.user(r.key[0])
		if u == nil {
			return notFound(r.key[0])
		}
		entity = u.entity()
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return one(r, "users", entity, userDefaults()...)
}

// changeUser finds the user and checks, where the change is sensitive, that the caller outranks him.
func (r *request) changeUser(sensitive bool, f func(*change, *User) error) error {
	return r.change(func(c *change) error {
		u := c.t.user(r.key[0])
		if u == nil {
			return notFound(r.key[0])
		}
		if sensitive && !c.t.outranks(r.app.ServicePrincipalID, u.ID) {
			return Refused{403, requestDenied, reasonInsufficient}
		}
		return f(c, u)
	})
}

func patchUser(r *request) (answer, error) {
	enabled, hasEnabled := r.body["accountEnabled"].(bool)
	profile, hasProfile := r.body["passwordProfile"].(object)
	for name := range r.body {
		switch {
		case strings.HasPrefix(name, "@odata."), name == "accountEnabled" && hasEnabled, name == "passwordProfile" && hasProfile:
		default:
			return answer{}, Refused{400, "Request_BadRequest", "Invalid value or property '" + name + "' of resource 'User'."}
		}
	}
	if hasEnabled && !r.may("User.EnableDisableAccount.All", "User.ReadWrite.All", "Directory.ReadWrite.All") ||
		hasProfile && !r.may("User-PasswordProfile.ReadWrite.All", "User.ReadWrite.All", "Directory.ReadWrite.All") {
		return answer{}, Refused{403, requestDenied, reasonInsufficient}
	}
	err := r.changeUser(true, func(c *change, u *User) error {
		if hasProfile {
			password, _ := profile["password"].(string)
			force, _ := profile["forceChangePasswordNextSignIn"].(bool)
			if err := c.setPassword(u, resetUserPassword(), password, force); err != nil {
				return err
			}
		}
		if hasEnabled {
			c.setEnabled(u, enabled)
		}
		return nil
	})
	return answer{status: http.StatusNoContent}, err
}

func revokeSessions(r *request) (answer, error) {
	err := r.changeUser(false, func(c *change, u *User) error {
		c.revoke(u)
		return nil
	})
	return answer{http.StatusOK, object{"@odata.context": metadata(r, "Edm.Boolean"), "value": true}}, err
}
