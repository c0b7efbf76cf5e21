package partnercenter_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"cordon/internal/clock"
	"cordon/internal/simulator/partnercenter"
)

const (
	contoso = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
	remove  = `{"AllowDelegatedAccess":false,"attributes":{"objectType":"Customer"}}`
)

type place struct {
	t       *testing.T
	server  *partnercenter.Server
	url     string
	removed []string
}

func start(t *testing.T, options ...partnercenter.Option) *place {
	p := &place{t: t}
	options = append(options,
		partnercenter.WithClient(partnercenter.Client{ID: "app", Secret: "s", RefreshToken: "refresh", User: "agent@fabrikam.example", TenantID: "p"}),
		partnercenter.OnRemoved(func(id string) { p.removed = append(p.removed, id) }))
	p.server = partnercenter.New(clock.Wall{}, map[string]partnercenter.Customer{
		strings.ToUpper(contoso): {CompanyName: "Contoso", Domain: "contoso.example", AllowDelegatedAccess: true}}, options...)
	server := httptest.NewServer(p.server)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *place) token(refresh string) (*oauth2.Token, error) {
	config := oauth2.Config{ClientID: "app", ClientSecret: "s", Endpoint: oauth2.Endpoint{TokenURL: p.url + "/token"}}
	return config.TokenSource(context.Background(), &oauth2.Token{RefreshToken: refresh}).Token()
}

func (p *place) call(method, path, token, requestID, body string) (int, map[string]any) {
	req, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	require.NoError(p.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("MS-RequestId", requestID)
	res, err := http.DefaultClient.Do(req)
	require.NoError(p.t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	require.NoError(p.t, err)
	out := map[string]any{}
	require.NoError(p.t, json.Unmarshal(raw, &out), string(raw))
	return res.StatusCode, out
}

func TestDAPIsRemovedOnce(t *testing.T) {
	p := start(t)
	token, err := p.token("refresh")
	require.NoError(t, err)
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(token.AccessToken, ".")[1])
	require.NoError(t, err)
	assert.Contains(t, string(claims), `"amr":["pwd","mfa"]`)
	assert.Contains(t, string(claims), `"aud":"https://api.partnercenter.microsoft.com"`)

	status, body := p.call("GET", "/v1/customers/"+contoso, token.AccessToken, "", "")
	require.Equal(t, 200, status, body)
	assert.Equal(t, true, body["allowDelegatedAccess"])
	assert.Equal(t, "reseller", body["relationshipToPartner"])
	assert.Equal(t, "Contoso", body["companyProfile"].(map[string]any)["companyName"])

	var hooked []partnercenter.Call
	p.server.OnCall(func(c partnercenter.Call) {
		assert.False(t, p.server.AllowDelegatedAccess(contoso))
		hooked = append(hooked, c)
	})
	for range 2 {
		status, body = p.call("PATCH", "/v1/customers/"+contoso, token.AccessToken, "one", remove)
		require.Equal(t, 200, status, body)
		assert.Equal(t, false, body["allowDelegatedAccess"])
	}
	assert.Equal(t, []string{contoso}, p.removed, "a repeat has no second effect")
	calls := p.server.Calls()
	assert.Equal(t, hooked, calls)
	require.Len(t, calls, 2)
	assert.False(t, calls[0].Replayed)
	assert.True(t, calls[1].Replayed)

	status, _ = p.call("PATCH", "/v1/customers/"+contoso, token.AccessToken, "one", remove+" ")
	assert.Equal(t, 409, status, "an id is for one request")
	status, _ = p.call("PATCH", "/v1/customers/"+contoso, token.AccessToken, "two", remove)
	assert.Equal(t, 200, status)
	assert.Len(t, p.removed, 1)
}

func TestRefusals(t *testing.T) {
	p := start(t)
	token, err := p.token("refresh")
	require.NoError(t, err)
	for name, c := range map[string]struct {
		method, path, token, body string
		status                    int
		code                      float64
	}{
		"no token":       {"GET", contoso, "", "", 401, 1000},
		"stranger":       {"GET", "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb", token.AccessToken, "", 404, 20002},
		"no GUID":        {"GET", "contoso", token.AccessToken, "", 400, 800002},
		"giving":         {"PATCH", contoso, token.AccessToken, strings.Replace(remove, "false", "true", 1), 400, 900118},
		"no object type": {"PATCH", contoso, token.AccessToken, `{"AllowDelegatedAccess":false}`, 400, 900118},
		"noise":          {"PATCH", contoso, token.AccessToken, "\x00", 400, 900118},
		"too large":      {"PATCH", contoso, token.AccessToken, strings.Repeat(" ", 1<<20), 400, 2000},
		"method":         {"PUT", contoso, token.AccessToken, remove, 405, 2000},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := p.call(c.method, "/v1/customers/"+c.path, c.token, name, c.body)
			assert.Equal(t, c.status, status, body)
			assert.Equal(t, c.code, body["code"])
			assert.NotEmpty(t, body["description"])
		})
	}
	_, err = p.token("stolen")
	assert.ErrorContains(t, err, "invalid_grant")
	assert.True(t, p.server.AllowDelegatedAccess(contoso))
	assert.Empty(t, p.server.Calls())

	p.server.Fail(func(*http.Request) (int, string, string, bool) { return 429, partnercenter.Throttled(57), "57", true })
	status, body := p.call("GET", "/v1/customers/"+contoso, token.AccessToken, "", "")
	assert.Equal(t, 429, status)
	assert.EqualValues(t, 429, body["statusCode"])
}

func TestATokenWithoutMFAIsRefused(t *testing.T) {
	p := start(t, partnercenter.WithoutMFA())
	token, err := p.token("refresh")
	require.NoError(t, err)
	status, body := p.call("PATCH", "/v1/customers/"+contoso, token.AccessToken, "x", remove)
	assert.Equal(t, 401, status)
	assert.Contains(t, body["description"], "MFA required")
	assert.True(t, p.server.AllowDelegatedAccess(contoso))
}
