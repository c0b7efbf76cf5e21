package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cordon/internal/record"
)

// envelope is the form of the stream, which the decoders read.
type envelope struct {
	Time       string `json:"time"`
	Category   string `json:"category"`
	Tenant     string `json:"tenantId,omitempty"`
	Operation  string `json:"operationName,omitempty"`
	Caller     string `json:"callerIpAddress,omitempty"`
	Properties fields `json:"properties"`
}

// fields are written in the order of their names: the same row is the same bytes.
type fields map[string]any

// set puts a value below a path. What stands there already is kept.
func (f fields) set(path string, value any) bool {
	name, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		if _, there := f[name]; there {
			return false
		}
		f[name] = value
		return true
	}
	inner, ok := f[name].(fields)
	if !ok {
		if _, there := f[name]; there {
			return false
		}
		inner = fields{}
		f[name] = inner
	}
	return inner.set(rest, value)
}

// keep puts a cell that has no place in the stream's form under the column's own name.
func (f fields) keep(c cell) {
	if c.name != "" {
		f.set(strings.ReplaceAll(c.name, ".", " "), c.text)
	}
}

// dated is the time of a row in the stream's form.
func dated(r row) (string, error) {
	text := r.get("dateutc", "date")
	if text == "" {
		return "", errors.New("reading the row: it has no date")
	}
	t, ok := timeOf(text)
	if !ok {
		return "", fmt.Errorf("reading the row: the date %q is in no form that the portals write", clip(text))
	}
	return t.UTC().Format("2006-01-02T15:04:05.999999999Z"), nil
}

// signInColumns are the columns of the sign-in logs by keyOf, and their place in the record's properties
// (https://learn.microsoft.com/graph/api/resources/signin).
var signInColumns = map[string]string{
	"requestid":                              "id",
	"useragent":                              "userAgent",
	"correlationid":                          "correlationId",
	"userid":                                 "userId",
	"user":                                   "userDisplayName",
	"username":                               "userPrincipalName",
	"usertype":                               "userType",
	"crosstenantaccesstype":                  "crossTenantAccessType",
	"incomingtokentype":                      "incomingTokenType",
	"authenticationprotocol":                 "authenticationProtocol",
	"uniquetokenidentifier":                  "uniqueTokenIdentifier",
	"originaltransfermethod":                 "originalTransferMethod",
	"clientcredentialtype":                   "clientCredentialType",
	"tokenprotectionsigninsession":           "tokenProtectionStatusDetails.signInSessionStatus",
	"tokenprotectionsigninsessionstatuscode": "tokenProtectionStatusDetails.signInSessionStatusCode",
	"application":                            "appDisplayName",
	"applicationid":                          "appId",
	"appownertenantid":                       "appOwnerTenantId",
	"resource":                               "resourceDisplayName",
	"resourceid":                             "resourceId",
	"resourcetenantid":                       "resourceTenantId",
	"resourceownertenantid":                  "resourceOwnerTenantId",
	"hometenantid":                           "homeTenantId",
	"hometenantname":                         "homeTenantName",
	"ipaddress":                              "ipAddress",
	"status":                                 "status.result", // the portal's word for it; the stream has the code alone
	"failurereason":                          "status.failureReason",
	"clientapp":                              "clientAppUsed",
	"deviceid":                               "deviceDetail.deviceId",
	"browser":                                "deviceDetail.browser",
	"operatingsystem":                        "deviceDetail.operatingSystem",
	"compliant":                              "deviceDetail.isCompliant",
	"managed":                                "deviceDetail.isManaged",
	"jointype":                               "deviceDetail.trustType",
	"multifactorauthenticationresult":        "status.additionalDetails",
	"multifactorauthenticationauthmethod":    "mfaDetail.authMethod",
	"multifactorauthenticationauthdetail":    "mfaDetail.authDetail",
	"authenticationrequirement":              "authenticationRequirement",
	"signinidentifier":                       "signInIdentifier",
	"sessionid":                              "sessionId",
	"ipaddressseenbyresource":                "ipAddressFromResourceProvider",
	"throughglobalsecureaccess":              "isThroughGlobalSecureAccess",
	"globalsecureaccessipaddress":            "globalSecureAccessIpAddress",
	"autonomoussystemnumber":                 "autonomousSystemNumber",
	"flaggedforreview":                       "flaggedForReview",
	"tokenissuertype":                        "tokenIssuerType",
	"tokenissuername":                        "tokenIssuerName",
	"latency":                                "processingTimeInMilliseconds",
	"conditionalaccess":                      "conditionalAccessStatus",
	"managedidentitytype":                    "managedServiceIdentity.msiType",
	"associatedresourceid":                   "managedServiceIdentity.associatedResourceId",
	"federatedtokenid":                       "managedServiceIdentity.federatedTokenId",
	"federatedtokenissuer":                   "managedServiceIdentity.federatedTokenIssuer",
	"serviceprincipalid":                     "servicePrincipalId",
	"serviceprincipalname":                   "servicePrincipalName",
	"credentialkeyid":                        "servicePrincipalCredentialKeyId",
	"credentialthumbprint":                   "servicePrincipalCredentialThumbprint",
}

// labels are the portal's words for values of the stream, by the column; both are compared by keyOf.
var labels = map[string][]string{
	"crosstenantaccesstype":     {"none", "b2bCollaboration", "b2bDirectConnect", "microsoftSupport", "serviceProvider", "passthrough"},
	"authenticationrequirement": {"singleFactorAuthentication", "multiFactorAuthentication"},
	"incomingtokentype":         {"none", "primaryRefreshToken", "saml11", "saml20"},
	"conditionalaccess":         {"success", "failure", "notApplied"},
	"tokenissuertype":           {"AzureAD", "ADFederationServices"},
}

// numbers and truths are the columns that the stream writes as such.
var (
	numbers = []string{"latency", "autonomoussystemnumber", "tokenprotectionsigninsessionstatuscode"}
	truths  = []string{"compliant", "managed", "throughglobalsecureaccess", "flaggedforreview"}
)

func valueOf(c cell) any {
	known := keyOf(c.text)
	for _, label := range labels[c.key] {
		if keyOf(label) == known {
			return label
		}
	}
	if slices.Contains(numbers, c.key) {
		if n, err := strconv.ParseInt(c.text, 10, 64); err == nil {
			return n
		}
	}
	if slices.Contains(truths, c.key) {
		switch known {
		case "true", "yes":
			return true
		case "false", "no":
			return false
		}
	}
	if c.key == "uniquetokenidentifier" && len(c.text) > 1 && c.text[0] == '\'' && strings.ContainsRune("+-=@", rune(c.text[1])) {
		return c.text[1:] // the portal keeps Excel from taking it for a formula
	}
	return c.text
}

// signInRows reads the CSV of the sign-in logs. The four logs have nearly the same columns: the name that the portal
// gives the file (NonInteractiveSignIns_…, ApplicationSignIns_…, MSISignIns_…) tells them apart.
func signInRows(file string, columns []column) func(row) ([]byte, error) {
	category := signInCategory(file, columns)
	var tenants tenants
	return func(r row) ([]byte, error) {
		at, err := dated(r)
		if err != nil {
			return nil, err
		}
		p := fields{"createdDateTime": at, "status": fields{}}
		for _, c := range r {
			place, known := signInColumns[c.key]
			switch {
			case c.key == "dateutc" || c.key == "date" || c.key == "signinerrorcode":
			case c.key == "location":
				p.set("location", location(c.text))
			case !known:
				p.keep(c)
			case !p.set(place, valueOf(c)) && c.key != "incomingtokentype": // it stands there twice, as value and as label
				p.keep(c)
			}
		}
		if code := errorCode(r); code != nil {
			p.set("status.errorCode", code)
		}
		if category == record.NonInteractiveUserSignInLogs {
			p.set("isInteractive", false)
		}
		return json.Marshal(envelope{Time: at, Category: category, Operation: "Sign-in activity",
			Tenant: tenants.of(r.get("hometenantid"), r.get("resourcetenantid")), Properties: p})
	}
}

func signInCategory(file string, columns []column) string {
	has := func(keys ...string) bool {
		return slices.ContainsFunc(columns, func(c column) bool { return slices.Contains(keys, c.key) })
	}
	name := strings.ToLower(filepath.Base(file))
	switch {
	case strings.Contains(name, "msisignins"):
		return record.ManagedIdentitySignInLogs
	case !has("userid", "username") && has("serviceprincipalid"):
		return record.ServicePrincipalSignInLogs
	case strings.Contains(name, "noninteractive"):
		return record.NonInteractiveUserSignInLogs
	}
	return record.SignInLogs
}

// errorCode is the code as the stream has it, a number; the portal leaves it empty where the sign-in succeeded. nil:
// nobody knows, and neither success nor failure may be made of it.
func errorCode(r row) any {
	code := r.get("signinerrorcode")
	if n, err := strconv.Atoi(code); err == nil {
		return n
	}
	if code != "" && keyOf(code) != "none" {
		return code
	}
	if keyOf(r.get("status")) == "success" {
		return 0
	}
	return nil
}

// location reads "City, State, CC"; parts may be missing, and cities have commas.
func location(text string) fields {
	out := fields{}
	parts := strings.Split(text, ",")
	put := func(name, value string) {
		if value = strings.TrimSpace(value); value != "" {
			out[name] = value
		}
	}
	put("countryOrRegion", parts[len(parts)-1])
	switch parts = parts[:len(parts)-1]; len(parts) {
	case 0:
	case 1:
		put("city", parts[0])
	default:
		put("state", parts[len(parts)-1])
		put("city", strings.Join(parts[:len(parts)-1], ","))
	}
	return out
}

// tenants finds whose log a file is: no column says it. It is home or resource tenant of every row, and known as soon
// as one row leaves only one. "" while both may be it: then whoever reads the file must say.
type tenants struct{ left []string }

func (t *tenants) of(home, resource string) string {
	if home == "" && resource == "" {
		return t.one()
	}
	here := slices.DeleteFunc([]string{strings.ToLower(home), strings.ToLower(resource)}, func(s string) bool { return s == "" })
	if len(here) == 1 {
		return t.one() // half a row says nothing of the other half
	}
	here = slices.Compact(here)
	if t.left == nil {
		t.left = here
	} else if both := slices.DeleteFunc(slices.Clone(t.left), func(s string) bool { return !slices.Contains(here, s) }); len(both) > 0 {
		t.left = both
	} else {
		t.left = here // rows of several logs in one file: each for itself
	}
	return t.one()
}

func (t *tenants) one() string {
	if len(t.left) == 1 {
		return t.left[0]
	}
	return ""
}
