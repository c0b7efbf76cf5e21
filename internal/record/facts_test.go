package record

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// changed is an audit record whose targets carry these modified properties, given as name, old and new.
func changed(operation string, targets ...[][3]any) fields {
	f := auditRecord()
	f["operationName"] = operation
	var list []any
	for i, changes := range targets {
		var modified []any
		for _, c := range changes {
			modified = append(modified, fields{"displayName": c[0], "oldValue": c[1], "newValue": c[2]})
		}
		list = append(list, fields{"id": string(rune('a' + i)), "type": "Other", "modifiedProperties": modified})
	}
	properties(f)["targetResources"] = list
	return f
}

func TestValuesAreDecodedOnce(t *testing.T) {
	for in, want := range map[any]string{
		`"\"True\""`:        `"True"`, // decoded once, not twice
		`"True"`:            "True",
		`True`:              "True",
		`""`:                "",
		nil:                 "",
		`["a"]`:             `["a"]`,
		`"Global Admin`:     `"Global Admin`,
		`"[] => [[x]]; "`:   "[] => [[x]]; ",
		true:                "true",
		7:                   "7",
		`{"CredentialType"`: `{"CredentialType"`,
	} {
		r := decode(t, changed("Update policy", [][3]any{{"X", nil, in}}), Defaults{})
		c, ok := r.Change("x")
		require.True(t, ok)
		require.Equal(t, want, c.New, in)
	}
	r := decode(t, changed("Update policy", [][3]any{{"X", nil, []any{"a", 1}}}), Defaults{})
	require.Equal(t, `["a",1]`, r.Targets()[0].Changes[0].New, "some exports decode the text themselves")
}

func TestRoles(t *testing.T) {
	const admin = "62e90394-69f5-4237-9190-012177145e10"
	core := [][3]any{{"Role.ObjectID", nil, `"o1"`}, {"Role.DisplayName", nil, `"Global Administrator"`}, {"Role.TemplateId", nil, `"` + admin + `"`}}
	ids, names := decode(t, changed("Add member to role", core), Defaults{}).Roles()
	require.Equal(t, []string{"o1", admin}, ids)
	require.Equal(t, []string{"Global Administrator"}, names)

	taken := [][3]any{{"Role.TemplateId", `"` + admin + `"`, `""`}, {"Role.DisplayName", `"Global Administrator"`, nil}}
	ids, names = decode(t, changed("Remove member from role", nil, taken), Defaults{}).Roles()
	require.Equal(t, []string{admin}, ids, "of a removal the old value names the role, on whatever target it stands")
	require.Equal(t, []string{"Global Administrator"}, names)

	pim := auditRecord()
	properties(pim)["targetResources"] = []any{fields{"type": "User", "id": "u2"}, fields{"type": "Role", "id": "r1", "displayName": "Privileged Role Administrator"}}
	properties(pim)["additionalDetails"] = []any{fields{"key": "RoleDefinitionOriginId", "value": "x"}, fields{"key": "TemplateId", "value": "t1"}, nil, "y"}
	r := decode(t, pim, Defaults{})
	ids, names = r.Roles()
	require.Equal(t, []string{"r1", "t1"}, ids)
	require.Equal(t, []string{"Privileged Role Administrator"}, names)
	require.Equal(t, []string{"r1", "t1"}, r.Field("role.templateId").List)
}

func TestConsents(t *testing.T) {
	const text = `"[] => [[Id: g1, ClientId: sp1, PrincipalId: , ResourceId: r1, ConsentType: AllPrincipals, Scope: User.Read Mail.Read, CreatedDateTime: ]]; "`
	for name, c := range map[string]struct {
		changes [][3]any
		want    Consent
	}{
		"admin for everyone": {
			[][3]any{{"ConsentContext.IsAdminConsent", nil, `"True"`}, {"ConsentContext.IsAppOnly", nil, `"False"`}, {"ConsentContext.OnBehalfOfAll", nil, `"True"`}, {"ConsentAction.Permissions", nil, text}},
			Consent{Known: true, Admin: true, All: true, Scopes: []string{"User.Read", "Mail.Read"}},
		},
		"everyone, told by the type of the grant alone": {
			[][3]any{{"ConsentAction.Permissions", nil, text}},
			Consent{Known: true, All: true, Scopes: []string{"User.Read", "Mail.Read"}},
		},
		"one user": {
			[][3]any{{"ConsentContext.IsAdminConsent", nil, `"False"`}, {"ConsentAction.Permissions", nil, `"[] => [[ConsentType: Principal, Scope: Mail.Read]]; "`}},
			Consent{Known: true, Scopes: []string{"Mail.Read"}},
		},
		"only what was added counts": {
			[][3]any{{"ConsentAction.Permissions", nil, `"[[ConsentType: Principal, Scope: User.Read]] => [[ConsentType: Principal, Scope: User.Read Mail.Send]]; "`}},
			Consent{Known: true, Scopes: []string{"Mail.Send"}},
		},
		"old and new value apart": {
			[][3]any{{"ConsentAction.Permissions", `"[[Scope: User.Read]]"`, `"[[Scope: User.Read Files.Read]]"`}},
			Consent{Known: true, Scopes: []string{"Files.Read"}},
		},
		"application permissions": {
			[][3]any{{"ConsentContext.IsAppOnly", nil, `"True"`}},
			Consent{Known: true, AppOnly: true},
		},
		"delegated grant": {
			[][3]any{{"DelegatedPermissionGrant.Scope", `" User.Read"`, `" User.Read Mail.Read"`}, {"DelegatedPermissionGrant.ConsentType", nil, `"AllPrincipals"`}},
			Consent{Known: true, All: true, Scopes: []string{"Mail.Read"}},
		},
		"something else": {[][3]any{{"DisplayName", nil, `"x"`}}, Consent{}},
	} {
		t.Run(name, func(t *testing.T) {
			// The properties stand in any order and on any target.
			r := decode(t, changed("Consent to application", [][3]any{{"Y", nil, nil}}, c.changes), Defaults{})
			require.Equal(t, c.want, r.Consent())
			require.Equal(t, !c.want.Known, r.Field("consent.everyone").Absent)
		})
	}
}

func TestCredentialsAdded(t *testing.T) {
	entry := func(id string) string {
		return `"[KeyIdentifier=` + id + `,KeyType=Password,KeyUsage=Verify,DisplayName=x]"`
	}
	for name, c := range map[string]struct {
		old, new any
		want     []string
	}{
		"the first":             {"[]", "[" + entry("k1") + "]", []string{"k1"}},
		"one more":              {"[" + entry("k1") + "]", "[" + entry("k2") + "," + entry("k1") + "]", []string{"k2"}},
		"one less":              {"[" + entry("k1") + "]", "[]", nil},
		"none":                  {nil, nil, nil},
		"the text itself":       {nil, "opaque", []string{"opaque"}},
		"a description changed": {"[" + entry("k1") + "]", "[" + `"[KeyIdentifier=k1,KeyType=Password,KeyUsage=Verify,DisplayName=renamed]"` + "]", nil},
	} {
		t.Run(name, func(t *testing.T) {
			ids, ok := decode(t, changed("Update application", [][3]any{{"KeyDescription", c.old, c.new}}), Defaults{}).CredentialsAdded()
			require.True(t, ok)
			require.Equal(t, c.want, ids)
		})
	}
	_, ok := decode(t, auditRecord(), Defaults{}).CredentialsAdded()
	require.False(t, ok)
}

func TestConsentPolicyLoosened(t *testing.T) {
	const name = "PermissionGrantPolicyIdsAssignedToDefaultUserRole"
	for why, c := range map[string]struct {
		old, new any
		want     []string
	}{
		"added":           {"[]", "[\r\n  \"ManagePermissionGrantsForSelf.microsoft-user-default-legacy\"\r\n]", []string{"ManagePermissionGrantsForSelf.microsoft-user-default-legacy"}},
		"taken away":      {`["ManagePermissionGrantsForSelf.low"]`, "[]", nil},
		"there before":    {`["ManagePermissionGrantsForSelf.low"]`, `["ManagePermissionGrantsForSelf.low"]`, nil},
		"of owned things": {"[]", `["ManagePermissionGrantsForOwnedResource.x"]`, nil},
	} {
		t.Run(why, func(t *testing.T) {
			added, ok := decode(t, changed("Update authorization policy", [][3]any{{name, c.old, c.new}}), Defaults{}).ConsentPolicyLoosened()
			require.True(t, ok)
			require.Equal(t, c.want, added)
		})
	}
}

func TestFieldsReachWhereverTheyStand(t *testing.T) {
	r := decode(t, signInRecord(), Defaults{})
	for name, want := range map[string][]string{
		"properties.status.errorCode":             {"0"},
		"status.errorCode":                        {"0"},
		"Properties.LOCATION.countryOrRegion":     {"RO"},
		"resultType":                              {"0"},
		"properties.resultType":                   {"0"},
		"signIn.errorCode":                        {"0"},
		"category":                                {"SignInLogs"},
		"properties.nothing":                      nil,
		"":                                        nil,
		"properties.status.errorCode.more":        nil,
		"properties.targetResources.displayName":  nil,
		"actor.upn":                               {"avery@contoso.example"},
		"properties.authenticationDetails.method": nil,
	} {
		v := r.Field(name)
		require.Equal(t, want, v.List, name)
		require.Equal(t, want == nil, v.Absent, name)
	}
	a := decode(t, changed("Set domain authentication", [][3]any{{"A", nil, "1"}}, [][3]any{{"B", nil, "2"}, {"C", nil, ""}}), Defaults{})
	require.Equal(t, []string{"1", "2", ""}, a.Field("targetResources.modifiedProperties.newValue").List, "every element of every array")
}
