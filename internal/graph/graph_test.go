package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"cordon/internal/clock"
	"cordon/internal/fault"
	"cordon/internal/simulator/entra"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/stretchr/testify/require"
)

// bearer is a token as it is; "" is none.
type bearer string

func (b bearer) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if b == "" {
		return azcore.AccessToken{}, errors.New("the secret has expired")
	}
	if len(o.Scopes) != 1 || o.Scopes[0] != "https://graph.microsoft.com/.default" || !o.EnableCAE {
		return azcore.AccessToken{}, fmt.Errorf("asked for %+v", o)
	}
	return azcore.AccessToken{Token: string(b), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// site is the client over a simulated tenant on a real socket; seen notes each request's headers.
type site struct {
	*testing.T
	*Client
	tenant *entra.Tenant
	graph  *entra.Graph
	user   entra.User
	seen   []http.Header
}

func open(t *testing.T, token string) *site {
	t.Helper()
	s := &site{T: t, tenant: entra.NewTenant("11111111-1111-4111-8111-111111111111", "Contoso", clock.Wall{}, nil)}
	s.graph = entra.NewGraph(s.tenant)
	s.graph.Allow("token", s.tenant, entra.App{AppID: "app", Permissions: []string{"User.Read.All", "User.EnableDisableAccount.All", "User-PasswordProfile.ReadWrite.All"}})
	s.user = s.tenant.AddUser(entra.User{UserPrincipalName: "avery@contoso.example", AccountEnabled: true})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.seen = append(s.seen, r.Header.Clone())
		s.graph.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	c, err := New(web.URL+"/v1.0/", bearer(token))
	require.NoError(t, err)
	s.Client = c
	return s
}

func (s *site) change(set func(*models.User)) Request {
	s.Helper()
	body := models.NewUser()
	set(body)
	r, err := s.Plan(s.Users().ByUserId(s.user.ID).ToPatchRequestInformation(s.Context(), body, nil))
	require.NoError(s, err)
	return r
}

func (s *site) disable() Request {
	off := false
	return s.change(func(u *models.User) { u.SetAccountEnabled(&off) })
}

func faulty(t *testing.T, err error) *fault.Fault {
	t.Helper()
	var f *fault.Fault
	require.True(t, errors.As(err, &f), "%v", err)
	return f
}

func TestAPlannedRequestIsWhatIsSent(t *testing.T) {
	s := open(t, "token")
	r := s.disable()
	require.Equal(t, "PATCH /users/"+s.user.ID+` {"@odata.type":"#microsoft.graph.user","accountEnabled":false}`, r.String())
	require.NoError(t, r.Send(t.Context()))
	u, _ := s.tenant.User(s.user.ID)
	require.False(t, u.AccountEnabled)
	require.Len(t, s.seen, 1)
	require.Equal(t, "high", s.seen[0].Get("x-ms-throttle-priority"), "containment goes first")
	_, err := s.Users().ByUserId(s.user.ID).Get(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, s.seen[1].Get("x-ms-throttle-priority"), "reading does not push ahead")
}

func TestASecretIsNeverShown(t *testing.T) {
	s := open(t, "token")
	password := "Aa1!hunter2"
	r := s.change(func(u *models.User) {
		p := models.NewPasswordProfile()
		p.SetPassword(&password)
		u.SetPasswordProfile(p)
	})
	require.NotContains(t, r.String(), "hunter2")
	require.Contains(t, r.String(), "(random, kept nowhere)")
	require.NoError(t, r.Send(t.Context()))
	u, _ := s.tenant.User(s.user.ID)
	require.Equal(t, password, u.Password, "it is sent all the same")
}

func TestFaultsHaveAClassAndGraphsOwnWords(t *testing.T) {
	s := open(t, "token")
	for status, want := range map[int]fault.Class{400: fault.Permanent, 401: fault.Forbidden, 403: fault.Forbidden, 404: fault.NotFound, 409: fault.Conflict,
		412: fault.Conflict, 423: fault.Retryable, 429: fault.Throttled, 500: fault.Retryable, 501: fault.Permanent, 503: fault.Retryable} {
		s.seen = nil
		s.graph.Fail(func(*http.Request) (int, string, string, bool) { return status, "SomeCode", "2.128", true })
		f := faulty(t, s.disable().Send(t.Context()))
		require.Equal(t, want, f.Class, status)
		require.Equal(t, status, f.Status)
		require.Equal(t, "SomeCode", f.Code)
		require.NotEmpty(t, f.Request)
		require.Equal(t, 2128*time.Millisecond, f.After, "the fraction counts")
		require.Len(t, s.seen, 1, "%d: retries belong to the worker", status)
		_, err := s.Users().ByUserId(s.user.ID).Get(t.Context(), nil)
		require.Equal(t, want, fault.Of(Fault(err)), status)
	}
}

func TestGoneIsDoneOnlyWhereItIsSaid(t *testing.T) {
	s := open(t, "token")
	s.graph.Fail(func(*http.Request) (int, string, string, bool) { return 404, "Request_ResourceNotFound", "", true })
	require.Equal(t, fault.NotFound, faulty(t, s.disable().Send(t.Context())).Class)
	require.NoError(t, s.disable().GoneIsDone().Send(t.Context()))
	s.graph.Fail(func(*http.Request) (int, string, string, bool) { return 403, "Authorization_RequestDenied", "", true })
	require.Error(t, s.disable().GoneIsDone().Send(t.Context()))
}

func TestWithoutATokenNothingIsSent(t *testing.T) {
	s := open(t, "")
	f := faulty(t, s.disable().Send(t.Context()))
	require.Equal(t, fault.Forbidden, f.Class)
	require.Contains(t, f.Message, "getting a token: the secret has expired")
	require.Empty(t, s.seen)
}

func TestNobodyAtTheOtherEndMayHealWithTime(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	web.Close()
	c, err := New(web.URL+"/v1.0", bearer("token"))
	require.NoError(t, err)
	_, err = c.Users().Get(t.Context(), nil)
	require.Equal(t, fault.Retryable, faulty(t, Fault(err)).Class)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Users().Get(ctx, nil)
	require.Equal(t, fault.Retryable, faulty(t, Fault(err)).Class)
	require.NoError(t, Fault(nil))
}

func TestEveryPageIsRead(t *testing.T) {
	s := open(t, "token")
	for n := range 10 {
		s.tenant.AddUser(entra.User{UserPrincipalName: fmt.Sprint(n, "@contoso.example")})
	}
	s.graph.SetPageSize(3)
	page, err := s.Users().Get(t.Context(), nil)
	require.NoError(t, err)
	var names []string
	visit := func(u models.Userable) { names = append(names, deref(u.GetUserPrincipalName())) }
	require.NoError(t, Each(t.Context(), s.Client, page, models.CreateUserCollectionResponseFromDiscriminatorValue, visit))
	require.Len(t, names, 11)
	require.Len(t, s.seen, 4)

	s.graph.Fail(func(r *http.Request) (int, string, string, bool) {
		return 429, "TooManyRequests", "7", r.URL.Query().Get("$skiptoken") != ""
	})
	page, err = s.Users().Get(t.Context(), nil)
	require.NoError(t, err)
	f := faulty(t, Each(t.Context(), s.Client, page, models.CreateUserCollectionResponseFromDiscriminatorValue, visit))
	require.Equal(t, fault.Throttled, f.Class, "half a list is no list")
	require.Equal(t, 7*time.Second, f.After)
}
