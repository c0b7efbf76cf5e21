package record

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecondFactor(t *testing.T) {
	step := func(method, requirement string, succeeded any) fields {
		return fields{"authenticationMethod": method, "authenticationStepRequirement": requirement, "succeeded": succeeded}
	}
	const primary, second = "Primary authentication", "Multi-factor authentication"
	for name, c := range map[string]struct {
		details    any
		additional string
		want       MFA
		previously bool
	}{
		"no details":                {nil, "", MFAUnknown, false},
		"empty details":             {[]any{}, "", MFAUnknown, false},
		"empty details in a string": {"[]", "", MFAUnknown, false},
		"an empty string":           {"", "", MFAUnknown, false},
		"an empty step":             {[]any{fields{}, nil}, "", MFAUnknown, false},
		"password":                  {[]any{step("Password", primary, true)}, "", MFANo, false},
		"password in a string":      {`[{"authenticationMethod":"Password","succeeded":true}]`, "", MFANo, false},
		"second step":               {[]any{step("Password", primary, true), step("Mobile app notification", second, true)}, "", MFAYes, false},
		"second step, respelt":      {[]any{step("Mobile app notification", "Multifactor authentication", "True")}, "", MFAYes, false},
		"second step failed":        {[]any{step("Password", primary, true), step("Mobile app notification", second, false)}, "", MFANo, false},
		"claim in the token":        {[]any{step("Previously satisfied", second, true)}, "", MFAYes, true},
		"said in the status":        {nil, "MFA requirement satisfied by claim in the token", MFAYes, true},
		"done, says the status":     {[]any{}, "MFA completed in Azure AD", MFAYes, false},
		"by the external provider":  {nil, "MFA requirement satisfied by claim provided by external provider", MFAYes, true},
		"a security key":            {[]any{step("FIDO2 security key", primary, true)}, "", MFAYes, false},
		"Windows Hello":             {[]any{step("Windows Hello for Business", primary, true)}, "", MFAYes, false},
		"one-factor certificate":    {[]any{step("X.509 Certificate (single-factor)", primary, true)}, "", MFANo, false},
		"certificate":               {[]any{step("X.509 Certificate (multi-factor)", primary, true)}, "", MFAYes, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := signInRecord()
			properties(f)["authenticationDetails"] = c.details
			properties(f)["status"] = fields{"errorCode": 0, "additionalDetails": c.additional}
			r := decode(t, f, Defaults{})
			proved, previously := r.MFA()
			require.Equal(t, c.want, proved)
			require.Equal(t, c.previously, previously)
			require.Equal(t, c.want == MFAUnknown, r.Field("signIn.mfa").Absent)
		})
	}
}

func TestWhichErrorsProveThePassword(t *testing.T) {
	for code, want := range map[int]bool{0: true, 50074: true, 50076: true, 50079: true, 50126: false, 50053: false, 500121: false, 53003: false} {
		f := signInRecord()
		properties(f)["status"] = fields{"errorCode": code}
		require.Equal(t, want, decode(t, f, Defaults{}).SignIn().PasswordKnown(), code)
	}
}
