package entra

import (
	"slices"
	"strconv"
	"time"
)

// Session is what a successful sign-in gives: the power to act as that user until it is revoked. Resources here
// check continuously, as Graph and Exchange do: a session dies with the account, and with every revocation.
type Session struct {
	tenant            *Tenant
	UserID            string
	UserPrincipalName string
	IssuedAt          time.Time
	IP, UserAgent     string
	ID                string // sessionId of the sign-in
	RecordID          string // id of the sign-in's record
	at                time.Time
}

// At returns the same session acting at a given time instead of the tenant's clock.
func (s *Session) At(at time.Time) *Session {
	moved := *s
	moved.at = at
	return &moved
}

// act runs f as the user, if the session still holds and the user has one of the roles; no role means anybody may.
func (s *Session) act(roles []string, f func(*change, *User) error) error {
	return s.tenant.change(cause{at: s.at, ip: s.IP, agent: s.UserAgent}, func(c *change) error {
		me, err := s.check(c)
		if err != nil {
			return err
		}
		if len(roles) > 0 && !s.tenant.holds(me.ID, roles...) {
			return Refused{403, requestDenied, reasonInsufficient}
		}
		return f(c, me)
	})
}

func (s *Session) check(c *change) (*User, error) {
	me := s.tenant.users.get(s.UserID)
	switch {
	case me == nil:
		return nil, Refused{401, invalidToken, "The user no longer exists."}
	case !me.AccountEnabled:
		return nil, Refused{401, strconv.Itoa(codeDisabled), reasonDisabled}
	case s.IssuedAt.Before(me.SignInSessionsValidFromDateTime):
		return nil, Refused{401, strconv.Itoa(codeRevoked), reasonRevoked}
	}
	c.by.user = *me
	return me, nil
}

// RegisterAuthenticator registers an authenticator app for the user himself.
func (s *Session) RegisterAuthenticator(device string) (methodID string, err error) {
	err = s.act(nil, func(c *change, me *User) error {
		m, err := c.registerMethod(me, Method{Kind: MicrosoftAuthenticator, DisplayName: device}, "User")
		methodID = m.ID
		return err
	})
	return methodID, err
}

// DeleteMethod deletes one of the user's own methods.
func (s *Session) DeleteMethod(kind MethodKind, id string) error {
	return s.act(nil, func(c *change, me *User) error { return c.deleteMethod(me, kind, id, "User") })
}

// ChangePassword changes the user's own password, which ends every session, also this one.
func (s *Session) ChangePassword(password string) error {
	return s.act(nil, func(c *change, me *User) error {
		return c.setPassword(me, changeUserPassword(), password, false)
	})
}

// ConsentForEveryone consents, for the whole tenant, to delegated permissions of an application, and creates its
// service principal if there is none.
func (s *Session) ConsentForEveryone(appID, displayName string, scopes ...string) (principalID, grantID string, err error) {
	may := []string{GlobalAdministrator, PrivilegedRoleAdministrator, ApplicationAdministrator, CloudApplicationAdministrator}
	err = s.act(may, func(c *change, _ *User) error {
		p, g, err := c.consent(appID, displayName, scopes)
		if err != nil {
			return err
		}
		principalID, grantID = p.ID, g.ID
		return nil
	})
	return principalID, grantID, err
}

// AddServicePrincipalCredential adds a password to a service principal.
func (s *Session) AddServicePrincipalCredential(principalID, name string) (Credential, error) {
	var k Credential
	may := []string{GlobalAdministrator, ApplicationAdministrator, CloudApplicationAdministrator}
	err := s.act(may, func(c *change, _ *User) error {
		p := s.tenant.principals.get(principalID)
		if p == nil {
			return notFound(principalID)
		}
		k = c.addPrincipalPassword(p, name)
		return nil
	})
	return k, err
}

// CreateUser creates an enabled user and returns his id.
func (s *Session) CreateUser(userPrincipalName, displayName, password string) (id string, err error) {
	err = s.act([]string{GlobalAdministrator, UserAdministrator}, func(c *change, _ *User) error {
		u, err := c.createUser(User{UserPrincipalName: userPrincipalName, DisplayName: displayName, Password: password})
		if err != nil {
			return err
		}
		id = u.ID
		return nil
	})
	return id, err
}

// AddRoleMember gives a role, by template id, to a principal.
func (s *Session) AddRoleMember(principalID, templateID string) (assignmentID string, err error) {
	err = s.act([]string{GlobalAdministrator, PrivilegedRoleAdministrator}, func(c *change, _ *User) error {
		a, err := c.addRoleMember(principalID, templateID)
		assignmentID = a.ID
		return err
	})
	return assignmentID, err
}

// UpdateJobTitle is a harmless change of a user's profile.
func (s *Session) UpdateJobTitle(userID, title string) error {
	return s.act([]string{GlobalAdministrator, UserAdministrator}, func(c *change, _ *User) error {
		u := s.tenant.users.get(userID)
		if u == nil {
			return notFound(userID)
		}
		c.setJobTitle(u, title)
		return nil
	})
}

// AddGroupMember is a harmless change of a group that gives nothing.
func (s *Session) AddGroupMember(userID, group string) error {
	return s.act([]string{GlobalAdministrator, UserAdministrator}, func(c *change, _ *User) error {
		u := s.tenant.users.get(userID)
		if u == nil {
			return notFound(userID)
		}
		c.addToGroup(u, group)
		return nil
	})
}

// ReadMail reads the user's own mailbox. Entra writes no record of it.
func (s *Session) ReadMail() error {
	return s.act(nil, func(*change, *User) error { return nil })
}

// AppSession is what a successful sign-in of an application gives.
type AppSession struct {
	tenant             *Tenant
	ServicePrincipalID string
	AppID              string
	KeyID              string
}

// ReadMail reads a user's mailbox through a grant for everyone, as an application that holds refresh tokens does.
func (s *AppSession) ReadMail(userID string) error {
	return s.act(func() error {
		if s.tenant.user(userID) == nil {
			return notFound(userID)
		}
		for g := range s.tenant.grants.all() {
			mine := g.ClientID == s.ServicePrincipalID && g.ConsentType == "AllPrincipals"
			if mine && (slices.Contains(g.Scopes(), "Mail.Read") || slices.Contains(g.Scopes(), "Mail.ReadWrite")) {
				return nil
			}
		}
		return Refused{403, "ErrorAccessDenied", "Access is denied. Check credentials and try again."}
	})
}

// ReadDirectory reads the directory with the application's own permissions.
func (s *AppSession) ReadDirectory() error {
	return s.act(func() error {
		for a := range s.tenant.appRoles.all() {
			if a.PrincipalID == s.ServicePrincipalID && a.Permission == "Directory.Read.All" {
				return nil
			}
		}
		return Refused{403, requestDenied, reasonInsufficient}
	})
}

func (s *AppSession) act(f func() error) error {
	s.tenant.mu.Lock()
	defer s.tenant.mu.Unlock()
	if p := s.tenant.principals.get(s.ServicePrincipalID); p == nil || !p.AccountEnabled {
		return Refused{401, strconv.Itoa(codeAppDisabled), "Application '" + s.AppID + "' is disabled."}
	}
	return f()
}
