package directory

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"cordon/internal/clock"
	"cordon/internal/graph"
	"cordon/internal/record"
	"cordon/internal/simulator/entra"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/stretchr/testify/require"
)

type bearer string

func (b bearer) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(b), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// Roles are held by those who were given them, and by those who are in groups that were.
func TestRolesAreReadFromGraph(t *testing.T) {
	const global, readers = entra.GlobalAdministrator, "88d8e3e3-8f55-4a1e-953a-9b9898b8876b"
	tenant := entra.NewTenant(entra.NewGUID(), "Contoso", clock.Wall{}, nil)
	user := func(name string) entra.User {
		return tenant.AddUser(entra.User{UserPrincipalName: name + "@contoso.example", AccountEnabled: true})
	}
	given, grouped, both, reader, nobody := user("given"), user("grouped"), user("both"), user("reader"), user("nobody")
	robot := tenant.AddServicePrincipal(entra.ServicePrincipal{DisplayName: "Robot", AppID: entra.NewGUID()})
	admins := tenant.AddGroup(entra.Group{DisplayName: "Admins", Members: []string{grouped.ID, both.ID, robot.ID}})
	read := tenant.AddGroup(entra.Group{DisplayName: "Readers", Members: []string{reader.ID, both.ID}})
	tenant.AddRoleAssignment(given.ID, global)
	tenant.AddRoleAssignment(admins.ID, global)
	tenant.AddRoleAssignment(both.ID, global)
	tenant.AddRoleAssignment(read.ID, readers)

	web := entra.NewGraph(tenant)
	web.SetPageSize(1)
	web.Allow("strong", tenant, entra.App{AppID: "cordon", Permissions: []string{"RoleManagement.Read.Directory", "GroupMember.Read.All"}})
	web.Allow("weak", tenant, entra.App{AppID: "weak", Permissions: []string{"RoleManagement.Read.Directory"}})
	server := httptest.NewServer(web)
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	load := func(token string) (*Directory, Snapshot) {
		client, err := graph.New(server.URL+"/v1.0", bearer(token))
		require.NoError(t, err)
		s, err := ReadGraph(t.Context(), client, "contoso", now)
		require.NoError(t, err)
		d := New()
		d.Load(s)
		return d, s
	}
	of := func(d *Directory, p record.Party) Known {
		known, _ := d.Privileged("contoso", p, now)
		return known
	}

	d, s := load("strong")
	require.Empty(t, s.Unread)
	require.Equal(t, map[string][]Role{admins.ID: {{ID: global}}, read.ID: {{ID: readers}}}, s.Groups)
	for _, p := range s.Principals {
		if p.ID == both.ID {
			require.Equal(t, []Role{{ID: global}, {ID: readers}}, p.Roles, "each once")
		}
	}
	for _, is := range []record.Party{{ID: given.ID}, {ID: grouped.ID}, {ID: both.ID}, {ID: robot.ID}, {UPN: "Grouped@contoso.example"}, {UPN: "given@contoso.example", ID: "10032000AB12CD34"}} {
		require.Equal(t, Yes, of(d, is), is)
	}
	for _, not := range []record.Party{{ID: reader.ID}, {ID: nobody.ID}, {ID: admins.ID}, {UPN: "reader@contoso.example"}, {ID: nobody.ID, UPN: "given@contoso.example"}} {
		require.Equal(t, No, of(d, not), not)
	}

	d, s = load("weak")
	require.Equal(t, []string{admins.ID}, s.Unread, "the other group holds nothing that counts")
	require.Equal(t, Yes, of(d, record.Party{ID: given.ID}))
	for _, unknown := range []entra.User{grouped, reader, nobody} {
		require.Equal(t, Unknown, of(d, record.Party{ID: unknown.ID}), unknown.UserPrincipalName)
	}
}
