package entra

import (
	"strconv"
	"strings"
	"time"
)

// SignIn is one attempt to sign in as a user.
type SignIn struct {
	UserPrincipalName   string
	Password            string
	IP                  string
	Country, City       string // Country is an ISO code
	Latitude, Longitude float64
	UserAgent           string
	AppID               string
	AppDisplayName      string
	ClientApp           string // clientAppUsed: Browser, Mobile Apps and Desktop clients, Authenticated SMTP, …
	Protocol            string // authenticationProtocol: none, oAuth2, ropc, …
	OperatingSystem     string
	Browser             string
	DeviceID            string
	MFA                 bool // the second factor is given when asked for
	Interactive         bool
	Sparse              bool      // the record is sent first without authenticationDetails
	At                  time.Time // the event time; zero is the tenant's clock
}

// MFAPolicy says whether a sign-in must show a second factor.
type MFAPolicy func(User, SignIn) bool

// DefaultMFAPolicy asks everybody, as most tenants believe they do, and forgets what most tenants forget: clients
// that cannot show a second factor are simply not covered.
func DefaultMFAPolicy(_ User, s SignIn) bool {
	if strings.EqualFold(s.Protocol, "ropc") {
		return false
	}
	switch s.ClientApp {
	case "Browser", "Mobile Apps and Desktop clients", "":
		return true
	}
	return false
}

// attempt is a sign-in with its outcome: all that a record says.
type attempt struct {
	SignIn
	recordID, correlation, sessionID, token string
	user                                    User // without an id: nobody of that name
	code                                    int
	reason                                  string
	required                                bool // a second factor was asked for
	revision                                bool
}

// The sign-in service's codes that matter here.
const (
	codeUnknownUser     = 50034
	codeDisabled        = 50057
	codeMFARequired     = 50076
	codeWrongPassword   = 50126
	codeRevoked         = 50173
	codeAppDisabled     = 7000112
	codeSecretWrong     = 7000215
	codeSecretExpired   = 7000222
	codeAppNotFound     = 700016
	invalidToken        = "InvalidAuthenticationToken"
	requestDenied       = "Authorization_RequestDenied"
	reasonInsufficient  = "Insufficient privileges to complete the operation."
	reasonDisabled      = "The user account is disabled."
	reasonRevoked       = "The provided grant has expired due to it being revoked, a fresh auth token is needed."
	reasonWrongPassword = "Error validating credentials due to invalid username or password."
)

// SignIn tries to sign in and writes the record of it. A refusal is a Refused with the service's code: 50034 unknown,
// 50057 disabled, 50126 wrong password, 50076 right password but no second factor.
func (t *Tenant) SignIn(s SignIn) (*Session, error) {
	var session *Session
	var refusal error
	err := t.change(cause{at: s.At, ip: s.IP, agent: s.UserAgent}, func(c *change) error {
		s.At = c.by.at
		a := attempt{SignIn: s, recordID: NewGUID(), correlation: c.correlation, sessionID: NewGUID(), token: opaqueID()[:22]}
		u := t.user(s.UserPrincipalName)
		if u != nil {
			a.user = *u
		}
		a.required = u != nil && t.asksForMFA != nil && t.asksForMFA(*u, s)
		switch {
		case u == nil:
			a.code, a.reason = codeUnknownUser, "The user account does not exist in the directory."
		case !u.AccountEnabled:
			a.code, a.reason = codeDisabled, reasonDisabled
		case u.Password == "" || u.Password != s.Password:
			a.code, a.reason = codeWrongPassword, reasonWrongPassword
		case a.required && !s.MFA:
			a.code = codeMFARequired
			a.reason = "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access the resource."
		}
		c.signIn(a)
		if a.code != 0 {
			refusal = Refused{400, strconv.Itoa(a.code), a.reason}
			return nil
		}
		if s.Sparse {
			t.sparse[a.recordID] = a
		}
		session = &Session{tenant: t, UserID: u.ID, UserPrincipalName: u.UserPrincipalName, IssuedAt: s.At, IP: s.IP,
			UserAgent: s.UserAgent, ID: a.sessionID, RecordID: a.recordID}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return session, refusal
}

// Reemit sends the fuller revision of a sparse sign-in: the same id, with authenticationDetails. It happens at the
// given time (zero is the tenant's clock); the event keeps its own.
func (t *Tenant) Reemit(recordID string, at time.Time) error {
	return t.change(cause{at: at}, func(c *change) error {
		a, ok := t.sparse[recordID]
		if !ok {
			return notFound(recordID)
		}
		delete(t.sparse, recordID)
		a.revision = true
		c.signIn(a)
		return nil
	})
}

// AppSignIn is one attempt of an application to sign in with a secret.
type AppSignIn struct {
	AppID     string
	Secret    string
	IP        string
	Country   string
	City      string
	UserAgent string
	At        time.Time // zero is the tenant's clock
}

// AppSignIn tries to sign in as an application and writes the record of it. A refusal is a Refused: 700016 unknown
// here, 7000112 disabled, 7000222 expired secret, 7000215 no such secret.
func (t *Tenant) AppSignIn(s AppSignIn) (*AppSession, error) {
	var session *AppSession
	var refusal error
	err := t.change(cause{at: s.At, ip: s.IP}, func(c *change) error {
		s.At = c.by.at
		p := t.servicePrincipal(s.AppID)
		code, reason, key := 0, "", ""
		switch {
		case p == nil:
			code, reason = codeAppNotFound, "Application with identifier '"+s.AppID+"' was not found in the directory."
			p = &ServicePrincipal{AppID: s.AppID}
		case !p.AccountEnabled:
			code, reason = codeAppDisabled, "Application '"+s.AppID+"' is disabled."
		default:
			code, reason, key = t.checkSecret(p, s.Secret, s.At)
		}
		c.appSignIn(s, *p, code, reason, key)
		if code != 0 {
			refusal = Refused{401, strconv.Itoa(code), reason}
			return nil
		}
		session = &AppSession{tenant: t, ServicePrincipalID: p.ID, AppID: p.AppID, KeyID: key}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return session, refusal
}

// checkSecret looks at the secrets of the service principal, of the application if it is registered here, and of its
// owner elsewhere.
func (t *Tenant) checkSecret(p *ServicePrincipal, secret string, at time.Time) (code int, reason, keyID string) {
	candidates := clone(p.PasswordCredentials)
	if a := t.application(p.AppID); a != nil {
		candidates = append(candidates, a.PasswordCredentials...)
	}
	if f, ok := t.foreign[strings.ToLower(p.AppID)]; ok {
		candidates = append(candidates, Credential{KeyID: StableGUID(f.AppID, "key"), Secret: f.Secret})
	}
	for _, k := range candidates {
		if secret == "" || k.Secret != secret {
			continue
		}
		if !k.EndDateTime.IsZero() && at.After(k.EndDateTime) {
			return codeSecretExpired, "The provided client secret keys for app '" + p.AppID + "' are expired.", ""
		}
		return 0, "", k.KeyID
	}
	return codeSecretWrong, "Invalid client secret provided.", ""
}
