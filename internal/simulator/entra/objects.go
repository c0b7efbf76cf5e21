package entra

import (
	"slices"
	"strings"
	"time"
)

// User is a user as the directory holds it; the names are Graph's.
type User struct {
	ID                              string
	UserPrincipalName               string
	DisplayName                     string
	JobTitle                        string
	AccountEnabled                  bool
	Password                        string
	ForceChangePassword             bool
	UserType                        string // Member or Guest
	CreatedDateTime                 time.Time
	OnPremisesSyncEnabled           bool
	SignInSessionsValidFromDateTime time.Time
	LastPasswordChangeDateTime      time.Time
}

// MethodKind is a kind of authentication method; with "Methods" behind it, it is the segment of Graph's path.
type MethodKind string

// The kinds of authentication methods.
const (
	Password                MethodKind = "password"
	Phone                   MethodKind = "phone"
	MicrosoftAuthenticator  MethodKind = "microsoftAuthenticator"
	FIDO2                   MethodKind = "fido2"
	SoftwareOATH            MethodKind = "softwareOath"
	Email                   MethodKind = "email"
	TemporaryAccessPass     MethodKind = "temporaryAccessPass"
	WindowsHelloForBusiness MethodKind = "windowsHelloForBusiness"
)

// The ids that are the same for every user.
const (
	PasswordMethodID       = "28c10230-6103-485e-b985-444c60001490"
	MobilePhoneID          = "3179e48a-750b-4051-897c-87b9720928f7"
	AlternateMobilePhoneID = "b6332ec1-7057-4abe-9331-3d72feddfe41"
	OfficePhoneID          = "e37fc753-ff3b-4958-9484-eaa9425c82bc"
)

// Method is one authentication method of a user.
type Method struct {
	ID              string
	Kind            MethodKind
	DisplayName     string // the device, the key's model
	PhoneNumber     string
	PhoneType       string // mobile, alternateMobile, office
	EmailAddress    string
	CreatedDateTime time.Time // a phone shows none: a replaced number looks old
	Default         bool      // cannot be deleted while another second factor is left
}

// RoleAssignment gives a directory role to a principal.
type RoleAssignment struct {
	ID               string
	PrincipalID      string
	RoleDefinitionID string // the role's template id
	DirectoryScopeID string // "/" for the whole tenant
}

// Credential is a password or a certificate of an application or service principal.
type Credential struct {
	KeyID         string
	DisplayName   string
	StartDateTime time.Time
	EndDateTime   time.Time
	Secret        string // of a password; never shown over HTTP
}

// ServicePrincipal is an application's identity in this tenant.
type ServicePrincipal struct {
	ID                     string
	AppID                  string
	DisplayName            string
	AccountEnabled         bool
	Notes                  string
	AppOwnerOrganizationID string // the tenant that registered the application
	CreatedDateTime        time.Time
	PasswordCredentials    []Credential
	KeyCredentials         []Credential
}

// Application is an application that this tenant registered.
type Application struct {
	ID                  string
	AppID               string
	DisplayName         string
	CreatedDateTime     time.Time
	PasswordCredentials []Credential
	KeyCredentials      []Credential
}

// ForeignApplication is an application that another tenant registered and to which somebody here may consent. Its
// secret is its owner's: no credential of it shows in this tenant.
type ForeignApplication struct {
	AppID         string
	DisplayName   string
	OwnerTenantID string
	Secret        string
}

// Grant is a delegated permission grant (oauth2PermissionGrant).
type Grant struct {
	ID          string
	ClientID    string // the client's service principal
	ConsentType string // AllPrincipals or Principal
	PrincipalID string
	ResourceID  string // the resource's service principal
	Scope       string // separated by blanks
}

// Scopes returns the grant's scopes.
func (g Grant) Scopes() []string { return strings.Fields(g.Scope) }

// AppRoleAssignment gives an application permission to a service principal.
type AppRoleAssignment struct {
	ID              string
	AppRoleID       string
	Permission      string // the app role's value, such as User.Read.All
	PrincipalID     string
	ResourceID      string
	CreatedDateTime time.Time
}

// AuthorizationPolicy says what users may do by default.
type AuthorizationPolicy struct {
	PermissionGrantPoliciesAssigned []string
}

// Risk is what Identity Protection says of a user.
type Risk struct {
	UserID                  string
	RiskLevel               string // none, low, medium, high
	RiskState               string // none, atRisk, confirmedCompromised, dismissed
	RiskDetail              string
	RiskLastUpdatedDateTime time.Time
}

// Relationship is a granular delegated admin privilege (GDAP) of this partner tenant over a customer.
type Relationship struct {
	ID                  string
	DisplayName         string
	CustomerTenantID    string
	CustomerDisplayName string
	Status              string // active, terminationRequested, terminating, terminated, …
	RoleDefinitionIDs   []string
	CreatedDateTime     time.Time
	ActivatedDateTime   time.Time
	EndDateTime         time.Time
	LastModified        time.Time
	terminate           time.Time // when a termination was requested
}

// RelationshipRequest is a request to end or lock a relationship.
type RelationshipRequest struct {
	ID              string
	RelationshipID  string
	Action          string
	Status          string // created, pending, succeeded
	CreatedDateTime time.Time
}

// Refused is the answer to a caller who may not do what he asked for: on the wire a Graph error, in process an error.
type Refused struct {
	Status int
	Code   string // Graph's error code, or the sign-in service's number such as 50057
	Reason string
}

// Error says what was refused and why.
func (r Refused) Error() string { return "refusing: " + r.Code + ": " + r.Reason }

func clone[T any](in []T) []T { return slices.Clone(in) }

func (s ServicePrincipal) copied() ServicePrincipal {
	s.PasswordCredentials, s.KeyCredentials = clone(s.PasswordCredentials), clone(s.KeyCredentials)
	return s
}

func (a Application) copied() Application {
	a.PasswordCredentials, a.KeyCredentials = clone(a.PasswordCredentials), clone(a.KeyCredentials)
	return a
}
