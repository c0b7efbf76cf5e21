package entra

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// still is a clock that tests move by hand.
type still struct {
	mu sync.Mutex
	at time.Time
}

func (s *still) Now() time.Time { s.mu.Lock(); defer s.mu.Unlock(); return s.at }

func (s *still) add(d time.Duration) { s.mu.Lock(); defer s.mu.Unlock(); s.at = s.at.Add(d) }

// logged is one emitted record.
type logged struct {
	category string
	at       time.Time
	raw      []byte
	record   map[string]any
}

func (l logged) properties() map[string]any { return l.record["properties"].(map[string]any) }

func (l logged) operation() string { return l.record["operationName"].(string) }

// targets returns the ids of the target resources.
func (l logged) targets() []string {
	var out []string
	for _, r := range l.properties()["targetResources"].([]any) {
		out = append(out, r.(map[string]any)["id"].(string))
	}
	return out
}

// modified returns a modified property's new value, decoded once, of whichever target has it.
func (l logged) modified(t *testing.T, name, which string) any {
	t.Helper()
	for _, r := range l.properties()["targetResources"].([]any) {
		for _, m := range r.(map[string]any)["modifiedProperties"].([]any) {
			m := m.(map[string]any)
			if m["displayName"] != name {
				continue
			}
			if m[which] == nil {
				return nil
			}
			var v any
			require.NoError(t, json.Unmarshal([]byte(m[which].(string)), &v))
			return v
		}
	}
	require.Failf(t, "property is missing", "%s in %s", name, l.raw)
	return nil
}

const (
	tenantID = "11111111-1111-4111-8111-111111111111"
	appID    = "22222222-2222-4222-8222-222222222222"
	spID     = "33333333-3333-4333-8333-333333333333"
	token    = "token-of-cordon"
)

// world is a tenant behind a real socket, with Cordon's application allowed in.
type world struct {
	t      *testing.T
	clock  *still
	tenant *Tenant
	graph  *Graph
	url    string
	mu     sync.Mutex
	logs   []logged
}

func everyPermission() []string {
	return []string{"User.Read.All", "User.EnableDisableAccount.All", "User-PasswordProfile.ReadWrite.All",
		"User.RevokeSessions.All", "UserAuthenticationMethod.ReadWrite.All", "RoleManagement.ReadWrite.Directory",
		"DelegatedPermissionGrant.ReadWrite.All", "Application.ReadWrite.All", "IdentityRiskyUser.ReadWrite.All",
		"Policy.ReadWrite.Authorization", "LicenseAssignment.Read.All", "DelegatedAdminRelationship.ReadWrite.All",
		"RoleEligibilitySchedule.Read.Directory"}
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, clock: &still{at: time.Date(2026, 3, 4, 3, 0, 0, 250e6, time.UTC)}}
	w.tenant = NewTenant(tenantID, "Contoso", w.clock, func(category string, record []byte, at time.Time) {
		l := logged{category: category, at: at, raw: record}
		if err := json.Unmarshal(record, &l.record); err != nil {
			t.Errorf("record is not JSON: %v: %s", err, record)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.logs = append(w.logs, l)
	})
	w.graph = NewGraph(w.tenant)
	w.graph.Allow(token, w.tenant, App{AppID: appID, ServicePrincipalID: spID, DisplayName: "Cordon",
		Permissions: everyPermission(), Roles: []string{PrivilegedAuthenticationAdministrator}})
	server := httptest.NewServer(w.graph)
	t.Cleanup(server.Close)
	w.url = server.URL + "/v1.0"
	return w
}

// taken returns the records since the last time.
func (w *world) taken() []logged {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.logs
	w.logs = nil
	return out
}

func (w *world) user(upn string, roles ...string) User {
	u := w.tenant.AddUser(User{UserPrincipalName: upn, DisplayName: strings.Split(upn, "@")[0], AccountEnabled: true,
		Password: "correct horse"})
	for _, r := range roles {
		w.tenant.AddRoleAssignment(u.ID, r)
	}
	return u
}

// call sends one request and returns status and decoded body.
func (w *world) call(method, path string, body any) (int, map[string]any) {
	w.t.Helper()
	status, _, out := w.callAs(token, method, path, body)
	return status, out
}

func (w *world) callAs(token, method, path string, body any) (int, http.Header, map[string]any) {
	w.t.Helper()
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		require.NoError(w.t, err)
		in = bytes.NewReader(raw)
	}
	url := path
	if !strings.HasPrefix(url, "http") {
		url = w.url + strings.ReplaceAll(path, " ", "%20")
	}
	req, err := http.NewRequest(method, url, in)
	require.NoError(w.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	require.NoError(w.t, err)
	out := map[string]any{}
	if len(raw) > 0 {
		require.NoError(w.t, json.Unmarshal(raw, &out), string(raw))
	}
	return res.StatusCode, res.Header, out
}

func code(body map[string]any) string {
	e, _ := body["error"].(map[string]any)
	c, _ := e["code"].(string)
	return c
}
