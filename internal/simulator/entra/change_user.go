package entra

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

func (c *change) setEnabled(u *User, enabled bool) {
	if u.AccountEnabled == enabled {
		return
	}
	old := u.AccountEnabled
	u.AccountEnabled = enabled
	name := disableAccount()
	if enabled {
		name = enableAccount()
	}
	c.audit(name, "", userTarget(u))
	c.audit(updateUser(), "", userTarget(u,
		modified{"AccountEnabled", []bool{old}, []bool{enabled}},
		included("AccountEnabled"),
		modified{"TargetId.UserType", nil, u.UserType}))
}

// minPassword is shorter than what Entra asks of complexity; enough to answer 400 now and then.
const minPassword = 8

func (c *change) setPassword(u *User, a activity, password string, force bool) error {
	if len(password) < minPassword {
		return Refused{400, "Request_BadRequest",
			"The specified password does not comply with password complexity requirements. Please provide a different password."}
	}
	u.Password, u.ForceChangePassword, u.LastPasswordChangeDateTime = password, force, c.by.at
	c.audit(a, "", userTarget(u, modified{"TargetId.UserType", nil, u.UserType}))
	c.revoke(u)
	return nil
}

// revoke ends what was issued before now. The time moves forward only.
func (c *change) revoke(u *User) {
	old := u.SignInSessionsValidFromDateTime
	if c.by.at.After(old) {
		u.SignInSessionsValidFromDateTime = c.by.at
	}
	c.audit(updateRefreshTokens(), "", userTarget(u,
		modified{"StsRefreshTokensValidFrom", []string{old.UTC().Format(time.RFC3339)},
			[]string{u.SignInSessionsValidFromDateTime.UTC().Format(time.RFC3339)}},
		included("StsRefreshTokensValidFrom"),
		modified{"TargetId.UserType", nil, u.UserType}))
}

func (c *change) createUser(u User) (*User, error) {
	if c.t.user(u.UserPrincipalName) != nil {
		return nil, Refused{400, "Request_BadRequest", "Another object with the same value for property userPrincipalName already exists."}
	}
	u.ID, u.AccountEnabled, u.CreatedDateTime = NewGUID(), true, c.by.at
	made := c.t.addUser(u)
	c.audit(addUser(), "", userTarget(made,
		modified{"AccountEnabled", []bool{}, []bool{true}},
		modified{"DisplayName", []string{}, []string{made.DisplayName}},
		modified{"UserPrincipalName", []string{}, []string{made.UserPrincipalName}},
		modified{"UserType", []string{}, []string{made.UserType}},
		included("AccountEnabled, DisplayName, UserPrincipalName, UserType")))
	return made, nil
}

func (c *change) setJobTitle(u *User, title string) {
	old := u.JobTitle
	u.JobTitle = title
	c.audit(updateUser(), "", userTarget(u,
		modified{"JobTitle", []string{old}, []string{title}},
		included("JobTitle"),
		modified{"TargetId.UserType", nil, u.UserType}))
}

func (c *change) addToGroup(u *User, group string) {
	c.audit(addMemberToGroup(), "",
		userTarget(u,
			modified{"Group.ObjectID", nil, StableGUID(c.t.id, "group", group)},
			modified{"Group.DisplayName", nil, group}),
		target{id: StableGUID(c.t.id, "group", group), kind: "Group"})
}

// methodName is how Entra's texts call a method.
func methodName(m Method) string {
	switch m.Kind {
	case MicrosoftAuthenticator:
		return "Authenticator App with Notification and Code"
	case Phone:
		switch m.PhoneType {
		case "alternateMobile":
			return "Alternate Mobile Phone Call"
		case "office":
			return "Office Phone"
		}
		return "Mobile Phone SMS"
	case FIDO2:
		return "Fido2 Security Key"
	case SoftwareOATH:
		return "Authenticator App with Code"
	case TemporaryAccessPass:
		return "temporary access pass method"
	case Email:
		return "Email"
	default:
		return string(m.Kind)
	}
}

// strongAuthentication is the property that Core Directory's own record names for phones and authenticators; the
// other methods leave no such record.
func strongAuthentication(kind MethodKind) string {
	switch kind {
	case MicrosoftAuthenticator:
		return "StrongAuthenticationPhoneAppDetail"
	case Phone:
		return "StrongAuthenticationUserDetails"
	}
	return ""
}

func (c *change) methodRecords(a activity, reason string, u *User, m Method, old, new any) {
	c.audit(a, reason, userTarget(u))
	if property := strongAuthentication(m.Kind); property != "" {
		c.audit(updateUser(), "", userTarget(u,
			modified{property, old, new}, included(property), modified{"TargetId.UserType", nil, u.UserType}))
	}
}

// detail is what a Core Directory record shows of a method.
func detail(m Method) any {
	if m.Kind == Phone {
		return []map[string]string{{"PhoneNumber": m.PhoneNumber, "PhoneType": m.PhoneType}}
	}
	return []map[string]string{{"DeviceName": m.DisplayName, "Id": m.ID}}
}

func (c *change) registerMethod(u *User, m Method, by string) (Method, error) {
	if m.Kind == Phone {
		for _, other := range c.t.methods[strings.ToLower(u.ID)] {
			if other.ID == phoneID(m.PhoneType) {
				return Method{}, Refused{400, "phoneMethodAlreadyExists", "A phone of this type is registered already."}
			}
		}
	}
	m.CreatedDateTime = c.by.at
	m = c.t.addMethod(u.ID, m)
	a := adminRegistered()
	if by == "User" {
		a = userRegistered()
	}
	c.methodRecords(a, fmt.Sprintf("%s registered %s", by, methodName(m)), u, m, []string{}, detail(m))
	return m, nil
}

func (c *change) changePhone(u *User, id, number string) error {
	list := c.t.methods[strings.ToLower(u.ID)]
	i := slices.IndexFunc(list, func(m Method) bool { return m.Kind == Phone && strings.EqualFold(m.ID, id) })
	if i < 0 {
		return noMethod(id)
	}
	old := list[i]
	list[i].PhoneNumber = number
	c.methodRecords(adminUpdated(), "Admin changed "+methodName(old), u, old, detail(old), detail(list[i]))
	return nil
}

func (c *change) deleteMethod(u *User, kind MethodKind, id, by string) error {
	key := strings.ToLower(u.ID)
	list := c.t.methods[key]
	i := slices.IndexFunc(list, func(m Method) bool { return m.Kind == kind && strings.EqualFold(m.ID, id) })
	if i < 0 {
		return noMethod(id)
	}
	m := list[i]
	if m.Default && len(list) > 1 {
		return Refused{400, "Request_BadRequest",
			"The default method cannot be deleted while other methods are registered; delete those first."}
	}
	c.t.methods[key] = slices.Delete(slices.Clone(list), i, i+1)
	a := adminDeleted()
	if by == "User" {
		a = userDeleted()
	}
	c.methodRecords(a, fmt.Sprintf("%s deleted %s", by, methodName(m)), u, m, detail(m), []string{})
	return nil
}

func noMethod(id string) error {
	return Refused{404, "ResourceNotFound", "The requested authentication method '" + id + "' was not found."}
}

func (c *change) setRisk(u *User, confirmed bool) {
	r := Risk{UserID: u.ID, RiskLevel: "none", RiskState: "dismissed", RiskDetail: "adminDismissedAllRiskForUser",
		RiskLastUpdatedDateTime: c.by.at}
	a := dismissUser()
	if confirmed {
		r.RiskLevel, r.RiskState, r.RiskDetail = "high", "confirmedCompromised", "adminConfirmedUserCompromised"
		a = confirmCompromised()
	}
	old, known := c.t.risks[strings.ToLower(u.ID)]
	c.t.risks[strings.ToLower(u.ID)] = r
	if known && old.RiskState == r.RiskState {
		return
	}
	c.audit(a, "", userTarget(u))
}
