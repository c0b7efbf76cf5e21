// Package sdk_test lets the real msgraph-sdk-go call the simulated Graph: compressed bodies, percent-encoded query
// names, paging, error types. It has a folder of its own because compiling the SDK's users package takes a minute.
package sdk_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoft/kiota-abstractions-go/serialization"
	jsonserialization "github.com/microsoft/kiota-serialization-json-go"
	core "github.com/microsoftgraph/msgraph-sdk-go-core"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/models/odataerrors"
	"github.com/microsoftgraph/msgraph-sdk-go/rolemanagement"
	"github.com/microsoftgraph/msgraph-sdk-go/serviceprincipalswithappid"
	"github.com/microsoftgraph/msgraph-sdk-go/tenantrelationships"
	"github.com/microsoftgraph/msgraph-sdk-go/users"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"cordon/internal/clock"
	"cordon/internal/simulator/entra"
)

type bearer string

func (b bearer) AuthenticateRequest(_ context.Context, r *abstractions.RequestInformation, _ map[string]any) error {
	r.Headers.Add("Authorization", "Bearer "+string(b))
	return nil
}

func adapter(t *testing.T, token, base string) *core.GraphRequestAdapterBase {
	abstractions.RegisterDefaultSerializer(func() serialization.SerializationWriterFactory {
		return jsonserialization.NewJsonSerializationWriterFactory()
	})
	abstractions.RegisterDefaultDeserializer(func() serialization.ParseNodeFactory {
		return jsonserialization.NewJsonParseNodeFactory()
	})
	client := core.GetDefaultClient(&core.GraphClientOptions{})
	client.Timeout = 10 * time.Second
	a, err := core.NewGraphRequestAdapterBaseWithParseNodeFactoryAndSerializationWriterFactoryAndHttpClient(
		bearer(token), core.GraphClientOptions{}, nil, nil, client)
	require.NoError(t, err)
	a.SetBaseUrl(base)
	return a
}

func ptr[T any](v T) *T { return &v }

func TestTheRealSDK(t *testing.T) {
	tenant := entra.NewTenant(entra.NewGUID(), "Contoso", clock.Wall{}, nil)
	graph := entra.NewGraph(tenant)
	graph.SetPageSize(2)
	graph.Allow("strong", tenant, entra.App{AppID: "cordon", Permissions: []string{"User.ReadWrite.All",
		"User.RevokeSessions.All", "UserAuthenticationMethod.ReadWrite.All", "RoleManagement.ReadWrite.Directory",
		"Application.Read.All", "DelegatedAdminRelationship.ReadWrite.All"},
		Roles: []string{entra.PrivilegedAuthenticationAdministrator}})
	graph.Allow("weak", tenant, entra.App{AppID: "weak", Permissions: []string{"User.ReadWrite.All"}})
	server := httptest.NewServer(graph)
	defer server.Close()
	admin := tenant.AddUser(entra.User{UserPrincipalName: "avery@contoso.example", DisplayName: "Avery", AccountEnabled: true})
	tenant.AddRoleAssignment(admin.ID, entra.GlobalAdministrator)
	for _, name := range []string{"b", "c", "d", "e"} {
		tenant.AddUser(entra.User{UserPrincipalName: name + "#EXT#@contoso.example", AccountEnabled: true})
	}
	phone := tenant.AddMethod(admin.ID, entra.Method{Kind: entra.Phone, PhoneNumber: "+44 20"})
	ctx := context.Background()
	strong := adapter(t, "strong", server.URL+"/v1.0")
	at := map[string]string{"baseurl": strong.GetBaseUrl()}
	all := users.NewUsersRequestBuilderInternal(at, strong)

	disabled := models.NewUser()
	disabled.SetAccountEnabled(ptr(false))
	weak := adapter(t, "weak", server.URL+"/v1.0")
	_, err := users.NewUsersRequestBuilderInternal(at, weak).ByUserId(admin.ID).Patch(ctx, disabled, nil)
	var refused *odataerrors.ODataError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, http.StatusForbidden, refused.ResponseStatusCode)
	assert.Equal(t, "Authorization_RequestDenied", *refused.GetErrorEscaped().GetCode())

	_, err = all.ByUserId(admin.ID).Patch(ctx, disabled, nil)
	require.NoError(t, err)
	revoked, err := all.ByUserId(admin.ID).RevokeSignInSessions().PostAsRevokeSignInSessionsPostResponse(ctx, nil)
	require.NoError(t, err)
	assert.True(t, *revoked.GetValue())

	got, err := all.ByUserId("avery@contoso.example").Get(ctx, &users.UserItemRequestBuilderGetRequestConfiguration{
		QueryParameters: &users.UserItemRequestBuilderGetQueryParameters{Select: []string{"id", "accountEnabled", "signInSessionsValidFromDateTime"}}})
	require.NoError(t, err)
	assert.False(t, *got.GetAccountEnabled())
	assert.WithinDuration(t, time.Now(), *got.GetSignInSessionsValidFromDateTime(), time.Minute)
	_, err = all.ByUserId("b#EXT#@contoso.example").Get(ctx, nil)
	require.NoError(t, err, "a guest's # is escaped")

	page, err := all.Get(ctx, nil)
	require.NoError(t, err)
	iterator, err := core.NewPageIterator[models.Userable](page, strong, models.CreateUserCollectionResponseFromDiscriminatorValue)
	require.NoError(t, err)
	seen := 0
	require.NoError(t, iterator.Iterate(ctx, func(models.Userable) bool { seen++; return true }))
	assert.Equal(t, 5, seen)

	methods, err := all.ByUserId(admin.ID).Authentication().Methods().Get(ctx, nil)
	require.NoError(t, err)
	kinds := []string{}
	for _, m := range methods.GetValue() {
		kinds = append(kinds, *m.GetOdataType())
	}
	assert.Equal(t, []string{"#microsoft.graph.passwordAuthenticationMethod", "#microsoft.graph.phoneAuthenticationMethod"}, kinds)
	err = all.ByUserId(admin.ID).Authentication().PhoneMethods().ByPhoneAuthenticationMethodId(phone.ID).Delete(ctx, nil)
	require.NoError(t, err)
	err = all.ByUserId(admin.ID).Authentication().PhoneMethods().ByPhoneAuthenticationMethodId(phone.ID).Delete(ctx, nil)
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, http.StatusNotFound, refused.ResponseStatusCode)

	assignments := rolemanagement.NewRoleManagementRequestBuilderInternal(at, strong).Directory().RoleAssignments()
	roles, err := assignments.Get(ctx, &rolemanagement.DirectoryRoleAssignmentsRequestBuilderGetRequestConfiguration{
		QueryParameters: &rolemanagement.DirectoryRoleAssignmentsRequestBuilderGetQueryParameters{
			Filter: ptr("principalId eq '" + admin.ID + "'"), Expand: []string{"roleDefinition"}}})
	require.NoError(t, err)
	require.Len(t, roles.GetValue(), 1)
	assert.Equal(t, "Global Administrator", *roles.GetValue()[0].GetRoleDefinition().GetDisplayName())

	builder := serviceprincipalswithappid.NewServicePrincipalsWithAppIdRequestBuilderInternal(at, strong, ptr("cordon"))
	sp, err := builder.Get(ctx, nil)
	require.NoError(t, err)
	assert.Equal(t, "cordon", *sp.GetAppId())

	rel := tenant.AddRelationship(entra.Relationship{CustomerTenantID: entra.NewGUID()})
	terminate := models.NewDelegatedAdminRelationshipRequest()
	terminate.SetAction(ptr(models.TERMINATE_DELEGATEDADMINRELATIONSHIPREQUESTACTION))
	partner := tenantrelationships.NewTenantRelationshipsRequestBuilderInternal(at, strong).DelegatedAdminRelationships()
	made, err := partner.ByDelegatedAdminRelationshipId(rel.ID).Requests().Post(ctx, terminate, nil)
	require.NoError(t, err)
	assert.Equal(t, models.CREATED_DELEGATEDADMINRELATIONSHIPREQUESTSTATUS, *made.GetStatus())
	assert.Equal(t, "terminationRequested", tenant.Relationships()[0].Status)
}
