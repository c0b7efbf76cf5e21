package entra

import (
	"net/http"
	"slices"
	"strings"
)

// methodPermissions names, for each kind, the family of its own narrow permissions.
func methodPermissions() map[MethodKind]string {
	return map[MethodKind]string{Phone: "Phone", MicrosoftAuthenticator: "MicrosoftAuthApp", FIDO2: "Passkey",
		SoftwareOATH: "SoftwareOATH", Email: "Email", TemporaryAccessPass: "TAP", WindowsHelloForBusiness: "WindowsHello"}
}

// kind reads the method's kind from the path and checks the permission that goes with it.
func (r *request) kind(write bool) (MethodKind, error) {
	kind, ok := strings.CutSuffix(r.key[1], "Methods")
	family, known := methodPermissions()[MethodKind(kind)]
	if !ok || !known {
		return "", Refused{400, "BadRequest", "Resource not found for the segment '" + r.key[1] + "'."}
	}
	allowed := []string{"UserAuthenticationMethod.ReadWrite.All", "UserAuthMethod-" + family + ".ReadWrite.All"}
	if !write {
		allowed = append(allowed, "UserAuthenticationMethod.Read.All", "UserAuthMethod-"+family+".Read.All")
	}
	if !r.may(allowed...) {
		return "", Refused{403, requestDenied, reasonInsufficient}
	}
	return MethodKind(kind), nil
}

func (m Method) entity(typed bool) object {
	out := object{"id": m.ID}
	if typed {
		out["@odata.type"] = "#microsoft.graph." + string(m.Kind) + "AuthenticationMethod"
	}
	switch m.Kind {
	case Password:
		out["password"], out["createdDateTime"] = nil, graphTime(m.CreatedDateTime)
	case Phone:
		out["phoneNumber"], out["phoneType"], out["smsSignInState"] = m.PhoneNumber, m.PhoneType, "notAllowedByPolicy"
		out["createdDateTime"] = nil
	case Email:
		out["emailAddress"] = m.EmailAddress
	case SoftwareOATH:
		out["secretKey"] = nil
	case TemporaryAccessPass:
		out["temporaryAccessPass"], out["createdDateTime"] = nil, graphTime(m.CreatedDateTime)
		out["isUsable"], out["isUsableOnce"], out["lifetimeInMinutes"] = true, true, 60
	case MicrosoftAuthenticator:
		out["displayName"], out["createdDateTime"] = m.DisplayName, graphTime(m.CreatedDateTime)
		out["deviceTag"], out["phoneAppVersion"] = "SoftwareTokenActivated", "6.2409.6094"
	case FIDO2:
		out["displayName"], out["model"], out["createdDateTime"] = m.DisplayName, m.DisplayName, graphTime(m.CreatedDateTime)
		out["attestationLevel"], out["aaGuid"] = "attested", "00000000-0000-0000-0000-000000000000"
	default:
		out["displayName"], out["createdDateTime"] = nullable(m.DisplayName), graphTime(m.CreatedDateTime)
	}
	return out
}

// methodsOf lists a user's methods, the password first.
func (r *request) methodsOf(keep func(Method) bool) ([]Method, error) {
	var out []Method
	err := r.read(func(t *Tenant) error {
		u := t.user(r.key[0])
		if u == nil {
			return notFound(r.key[0])
		}
		all := append([]Method{{ID: PasswordMethodID, Kind: Password, CreatedDateTime: u.LastPasswordChangeDateTime}},
			t.methods[strings.ToLower(u.ID)]...)
		for _, m := range all {
			if keep(m) {
				out = append(out, m)
			}
		}
		return nil
	})
	return out, err
}

func listMethods(r *request) (answer, error) {
	list, err := r.methodsOf(func(Method) bool { return true })
	if err != nil {
		return answer{}, err
	}
	var rows []object
	for _, m := range list {
		rows = append(rows, m.entity(true))
	}
	return many(r, "users('"+r.key[0]+"')/authentication/methods", rows)
}

func listMethodsOfKind(r *request) (answer, error) {
	kind, err := r.kind(false)
	if err != nil {
		return answer{}, err
	}
	list, err := r.methodsOf(func(m Method) bool { return m.Kind == kind })
	if err != nil {
		return answer{}, err
	}
	var rows []object
	for _, m := range list {
		rows = append(rows, m.entity(false))
	}
	return many(r, "users('"+r.key[0]+"')/authentication/"+r.key[1], rows)
}

func getMethod(r *request) (answer, error) {
	kind, err := r.kind(false)
	if err != nil {
		return answer{}, err
	}
	list, err := r.methodsOf(func(m Method) bool { return m.Kind == kind && strings.EqualFold(m.ID, r.key[2]) })
	if err != nil {
		return answer{}, err
	}
	if len(list) == 0 {
		return answer{}, noMethod(r.key[2])
	}
	return one(r, "users('"+r.key[0]+"')/authentication/"+r.key[1], list[0].entity(false))
}

func (r *request) phone() (number, phoneType string, err error) {
	kind, err := r.kind(true)
	if err != nil {
		return "", "", err
	}
	if kind != Phone {
		return "", "", Refused{405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."}
	}
	number, _ = r.body["phoneNumber"].(string)
	phoneType, _ = r.body["phoneType"].(string)
	if !strings.HasPrefix(number, "+") {
		return "", "", Refused{400, "invalidPhoneNumber", "The phone number must begin with + and a country code."}
	}
	if phoneType != "" && !slices.Contains([]string{"mobile", "alternateMobile", "office"}, phoneType) {
		return "", "", Refused{400, "Request_BadRequest", "The phone type '" + phoneType + "' is invalid."}
	}
	return number, phoneType, nil
}

func postMethod(r *request) (answer, error) {
	number, phoneType, err := r.phone()
	if err != nil {
		return answer{}, err
	}
	var made Method
	err = r.changeUser(true, func(c *change, u *User) error {
		if phoneType == "" {
			phoneType = "mobile"
		}
		made, err = c.registerMethod(u, Method{Kind: Phone, PhoneNumber: number, PhoneType: phoneType}, "Admin")
		return err
	})
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusCreated, made.entity(false)}, nil
}

func patchMethod(r *request) (answer, error) {
	number, _, err := r.phone()
	if err != nil {
		return answer{}, err
	}
	err = r.changeUser(true, func(c *change, u *User) error { return c.changePhone(u, r.key[2], number) })
	return answer{status: http.StatusNoContent}, err
}

func deleteMethod(r *request) (answer, error) {
	kind, err := r.kind(true)
	if err != nil {
		return answer{}, err
	}
	err = r.changeUser(true, func(c *change, u *User) error { return c.deleteMethod(u, kind, r.key[2], "Admin") })
	return answer{status: http.StatusNoContent}, err
}
