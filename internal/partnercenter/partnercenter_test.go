package partnercenter

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"cordon/internal/clock"
	"cordon/internal/fault"
	simulated "cordon/internal/simulator/partnercenter"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	customer = "c0170500-0000-4000-8000-00000000c001"
	request  = "11111111-1111-4111-8111-111111111111"
)

// center is the client over a simulated Partner Center on a real socket.
func center(t *testing.T, refresh string, options ...simulated.Option) (*Client, *simulated.Server) {
	t.Helper()
	options = append([]simulated.Option{simulated.WithClient(simulated.Client{ID: "app", Secret: "secret", RefreshToken: "refresh", User: "cordon@fabrikam.example"})}, options...)
	server := simulated.New(clock.Wall{}, map[string]simulated.Customer{customer: {CompanyName: "Contoso", AllowDelegatedAccess: true}}, options...)
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	c := New(Config{URL: web.URL + "/", TokenURL: web.URL + "/token", ClientID: "app", ClientSecret: "secret", RefreshToken: refresh})
	t.Cleanup(c.web.CloseIdleConnections)
	return c, server
}

func faulty(t *testing.T, err error) *fault.Fault {
	t.Helper()
	var f *fault.Fault
	require.True(t, errors.As(err, &f), "%v", err)
	return f
}

func TestRemovingDAP(t *testing.T) {
	c, server := center(t, "refresh")
	before, err := c.Customer(t.Context(), customer)
	require.NoError(t, err)
	require.True(t, *before.AllowDelegatedAccess)
	remove := c.RemoveDAP(customer, request)
	require.Equal(t, `PATCH /v1/customers/`+customer+` {"AllowDelegatedAccess":false,"attributes":{"objectType":"Customer"}} (Partner Center)`, remove.String())
	require.NoError(t, remove.Send(t.Context()))
	require.False(t, server.AllowDelegatedAccess(customer))
	after, err := c.Customer(t.Context(), customer)
	require.NoError(t, err)
	require.False(t, *after.AllowDelegatedAccess)

	require.NoError(t, remove.Send(t.Context()), "a repetition is recognised by its id")
	calls := server.Calls()
	require.Len(t, calls, 2)
	require.Equal(t, request, calls[0].RequestID)
	require.Equal(t, request, calls[1].RequestID)
	require.True(t, calls[1].Replayed)
}

func TestThrottlingSaysWhenToComeBack(t *testing.T) {
	c, server := center(t, "refresh")
	var ids []string
	server.Fail(func(r *http.Request) (int, string, string, bool) {
		ids = append(ids, r.Header.Get("MS-RequestId"))
		return 429, simulated.Throttled(17), "17", r.Method == http.MethodPatch
	})
	err := c.RemoveDAP(customer, request).Send(t.Context())
	f := faulty(t, err)
	require.Equal(t, fault.Throttled, f.Class)
	require.Equal(t, 17*time.Second, f.After)
	require.Contains(t, f.Message, "Rate limit is exceeded. Try again in 17 seconds.")
	require.True(t, server.AllowDelegatedAccess(customer))
	server.Fail(nil)
	require.NoError(t, c.RemoveDAP(customer, request).Send(t.Context()))
	require.Equal(t, request, ids[len(ids)-1])
	require.Equal(t, request, server.Calls()[0].RequestID, "the same id when it is tried again")
}

func TestATokenWithoutMFAIsSaidInWords(t *testing.T) {
	c, server := center(t, "refresh", simulated.WithoutMFA())
	err := c.RemoveDAP(customer, request).Send(t.Context())
	f := faulty(t, err)
	require.Equal(t, fault.Forbidden, f.Class)
	require.Contains(t, f.Message, "without MFA: consent again with MFA")
	require.Empty(t, server.Calls())
}

func TestALapsedConsentIsForbiddenAndShowsNoSecret(t *testing.T) {
	c, _ := center(t, "refresh-that-has-lapsed")
	_, err := c.Customer(t.Context(), customer)
	f := faulty(t, err)
	require.Equal(t, fault.Forbidden, f.Class)
	require.Equal(t, "invalid_grant", f.Code)
	require.Equal(t, "Entra", f.Service)
	require.NotContains(t, err.Error(), "refresh-that-has-lapsed")
	require.NotContains(t, err.Error(), "secret:")
}

func TestRefusalsInPartnerCentersOwnWords(t *testing.T) {
	c, server := center(t, "refresh")
	_, err := c.Customer(t.Context(), "99999999-9999-4999-8999-999999999999")
	f := faulty(t, err)
	require.Equal(t, fault.NotFound, f.Class)
	require.Equal(t, "20002", f.Code)
	require.Contains(t, f.Message, "no relationship with customer")

	for status, class := range map[int]fault.Class{403: fault.Forbidden, 404: fault.NotFound, 410: fault.NotFound, 501: fault.Permanent, 503: fault.Retryable} {
		server.Fail(func(r *http.Request) (int, string, string, bool) {
			return status, simulated.Error(900421, "no"), "", r.URL.Path != "/token"
		})
		_, err := c.Customer(t.Context(), customer)
		f := faulty(t, err)
		require.Equal(t, class, f.Class, status)
		require.Equal(t, status, f.Status)
	}
	server.Fail(func(r *http.Request) (int, string, string, bool) {
		return 502, `"<html>a gateway's page</html>"`, "", r.URL.Path != "/token"
	})
	_, err = c.Customer(t.Context(), customer)
	require.Equal(t, "Bad Gateway", faulty(t, err).Message)
	server.Fail(func(r *http.Request) (int, string, string, bool) {
		return 200, `"no customer"`, "", r.URL.Path != "/token"
	})
	_, err = c.Customer(t.Context(), customer)
	require.ErrorContains(t, err, "reading Partner Center's answer")
}

func TestNobodyAtTheOtherEndMayHealWithTime(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	web.Close()
	c := New(Config{URL: web.URL, TokenURL: web.URL + "/token", ClientID: "app", RefreshToken: "refresh"})
	_, err := c.Customer(t.Context(), customer)
	require.Equal(t, fault.Retryable, faulty(t, err).Class)
}
