package scenario_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"cordon/internal/clock"
	"cordon/internal/simulator/entra"
	"cordon/internal/simulator/partnercenter"
	"cordon/internal/simulator/scenario"
)

type logged struct {
	tenant   string
	category string
	at       time.Time
	record   map[string]any
}

func (l logged) operation() string { return l.record["operationName"].(string) }

func (l logged) properties() map[string]any { return l.record["properties"].(map[string]any) }

type stage struct {
	t     *testing.T
	world *scenario.World
	clock *clock.Scenario
	start time.Time
	mu    sync.Mutex
	logs  []logged
	url   string
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, start: time.Date(2026, 3, 4, 3, 0, 0, 0, time.UTC)}
	s.clock = clock.NewScenario(s.start.Add(time.Hour)) // the acts lie in the past
	s.world = scenario.Build(s.clock, func(tenant *entra.Tenant, category string, record []byte, at time.Time) {
		l := logged{tenant: tenant.ID(), category: category, at: at}
		if err := json.Unmarshal(record, &l.record); err != nil {
			t.Errorf("record is not JSON: %v", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.logs = append(s.logs, l)
	})
	graph := entra.NewGraph(s.world.Tenants...)
	graph.Allow("customer", s.world.Customer, s.world.App(s.world.Customer))
	graph.Allow("partner", s.world.Partner, s.world.App(s.world.Partner))
	server := httptest.NewServer(graph)
	t.Cleanup(server.Close)
	s.url = server.URL + "/v1.0"
	return s
}

func (s *stage) call(method, path, body string) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "Bearer customer")
	res, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer func() { _ = res.Body.Close() }()
	raw, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	require.Less(s.t, res.StatusCode, 300, "%s %s: %s", method, path, raw)
}

func (s *stage) all() []logged {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]logged(nil), s.logs...)
}

func TestTheWorld(t *testing.T) {
	s := newStage(t)
	assert.Len(t, s.world.Customer.Users(), 40)
	assert.Len(t, s.world.SprayedIDs, 34)
	assert.Contains(t, s.world.SprayedIDs, s.world.VictimID)
	for _, id := range append(s.world.BreakGlassIDs, s.world.VictimID, s.world.SecondAdminID) {
		assert.Equal(t, entra.GlobalAdministrator, s.world.Customer.RoleAssignments(id)[0].RoleDefinitionID)
	}
	for _, id := range append(s.world.BreakGlassIDs, s.world.SecondAdminID) {
		assert.NotContains(t, s.world.SprayedIDs, id)
	}
	assert.Equal(t, "active", s.world.Partner.Relationships()[0].Status)
	app := s.world.App(s.world.Customer)
	assert.Len(t, s.world.Customer.RoleAssignments(app.ServicePrincipalID), 2)
	assert.Len(t, s.world.Customer.AppPermissions(app.ServicePrincipalID), len(app.Permissions), "allowing adds nothing twice")
	again := newStage(t)
	assert.Equal(t, s.world.VictimID, again.world.VictimID, "ids are the same in every run")
	assert.Empty(t, s.all(), "building writes no record")
}

func TestTheWholeAttackPlays(t *testing.T) {
	s := newStage(t)
	require.NoError(t, s.world.PlayAll(s.start))
	made := s.world.Created()
	for name, id := range map[string]string{"authenticator": made.AuthenticatorID, "principal": made.MailHelperSP, "grant": made.GrantID,
		"credential": made.CredentialKeyID, "user": made.NewAdmin, "role": made.RoleAssignmentID} {
		assert.NotEmpty(t, id, name)
	}
	assert.Equal(t, entra.GlobalAdministrator, s.world.Customer.RoleAssignments(made.NewAdmin)[0].RoleDefinitionID)
	backup, _ := s.world.Customer.ServicePrincipal(s.world.BackupSP)
	assert.Len(t, backup.PasswordCredentials, 2)
	grants := s.world.Customer.Grants(made.MailHelperSP)
	require.Len(t, grants, 1)
	assert.Equal(t, "Mail.Read Mail.ReadWrite offline_access", grants[0].Scope)

	codes := map[string]map[float64]int{}
	operations := map[string]time.Time{}
	single := 0
	for _, l := range s.all() {
		assert.Equal(t, s.world.Customer.ID(), l.tenant)
		assert.False(t, l.at.Before(s.start) || l.at.After(s.start.Add(13*time.Minute)), "%s at %s", l.operation(), l.at)
		p := l.properties()
		if l.category == "AuditLogs" {
			operations[l.operation()] = l.at
			continue
		}
		ip := p["ipAddress"].(string)
		code := p["status"].(map[string]any)["errorCode"].(float64)
		if codes[ip] == nil {
			codes[ip] = map[float64]int{}
		}
		codes[ip][code]++
		if code == 0 && p["authenticationRequirement"] == "singleFactorAuthentication" {
			single++
			assert.Equal(t, "198.51.100.23", ip)
			assert.Equal(t, s.world.VictimID, p["userId"])
			created, err := time.Parse(time.RFC3339, p["createdDateTime"].(string))
			require.NoError(t, err)
			assert.Equal(t, s.start.Add(8*time.Minute), created)
		}
	}
	assert.Equal(t, map[float64]int{50126: 33, 50076: 1}, codes["203.0.113.77"])
	assert.Equal(t, map[float64]int{0: 2}, codes["198.51.100.23"], "the sign-in, and its revision")
	assert.Equal(t, 2, single)
	assert.Equal(t, 1, codes["192.0.2.10"][50126], "somebody mistypes")
	for name, at := range map[string]time.Duration{"User registered security info": 8*time.Minute + 50*time.Second,
		"Consent to application":            9*time.Minute + 30*time.Second,
		"Add service principal credentials": 10*time.Minute + 10*time.Second,
		"Add user":                          10*time.Minute + 50*time.Second, "Add member to role": 11*time.Minute + 10*time.Second} {
		assert.Equal(t, s.start.Add(at), operations[name], name)
	}
}

func TestUncontainedHeStaysIn(t *testing.T) {
	s := newStage(t)
	require.NoError(t, s.world.PlayAll(s.start))
	outcomes := s.world.Retry(s.start)
	require.Len(t, outcomes, 5)
	for _, o := range outcomes {
		assert.NoError(t, o.Err, o.Act.Story)
		assert.NotEmpty(t, o.Act.Story)
	}
}

func TestContainedHeIsRefused(t *testing.T) {
	s := newStage(t)
	require.NoError(t, s.world.PlayAll(s.start))
	made := s.world.Created()
	s.call("PATCH", "/users/"+s.world.VictimID, `{"accountEnabled":false}`)
	s.call("POST", "/users/"+s.world.VictimID+"/revokeSignInSessions", "")
	s.call("PATCH", "/users/"+made.NewAdmin, `{"accountEnabled":false}`)
	s.call("PATCH", "/servicePrincipals/"+made.MailHelperSP, `{"accountEnabled":false}`)
	s.call("POST", "/servicePrincipals/"+s.world.BackupSP+"/removePassword", `{"keyId":"`+made.CredentialKeyID+`"}`)
	var codes []string
	for _, o := range s.world.Retry(s.start) {
		var refused entra.Refused
		require.True(t, errors.As(o.Err, &refused), "%s: %v", o.Act.Story, o.Err)
		codes = append(codes, refused.Code)
	}
	assert.Equal(t, []string{"50057", "50057", "50057", "7000112", "7000215"}, codes)
	backup, _ := s.world.Customer.ServicePrincipal(s.world.BackupSP)
	require.Len(t, backup.PasswordCredentials, 1)
	assert.Equal(t, s.world.BackupOldKeyID, backup.PasswordCredentials[0].KeyID)
}

// TestRevokingAloneDoesNotStopHim: the exposed password lets him in again, so the story goes on.
func TestRevokingAloneDoesNotStopHim(t *testing.T) {
	s := newStage(t)
	for _, a := range scenario.Attack(s.world) {
		if a.Refusable {
			break
		}
		require.NoError(t, s.world.Play(s.start, a))
		if a.At == 8*time.Minute+50*time.Second {
			break
		}
	}
	s.call("POST", "/users/"+s.world.VictimID+"/revokeSignInSessions", "")
	late := s.start.Add(2 * time.Hour)
	for _, a := range scenario.Attack(s.world) {
		if a.Attacker && !a.Refusable && a.At > 9*time.Minute {
			require.NoError(t, s.world.Play(late, a))
		}
	}
	assert.NotEmpty(t, s.world.Created().RoleAssignmentID)
}

func TestADirectActHappensAtTheClock(t *testing.T) {
	s := newStage(t)
	before := s.clock.Now()
	require.NoError(t, scenario.Attack(s.world)[0].Do())
	assert.WithinRange(t, s.all()[0].at, before, s.clock.Now())
}

func TestActsAreInOrder(t *testing.T) {
	last := time.Duration(0)
	ordinary := 0
	for _, a := range scenario.Attack(newStage(t).world) {
		assert.GreaterOrEqual(t, a.At, last)
		last = a.At
		if !a.Attacker {
			ordinary++
		}
	}
	assert.GreaterOrEqual(t, ordinary, 12)
}

func TestPlayingBesideCallers(t *testing.T) {
	s := newStage(t)
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 20 {
			s.call("POST", "/users/"+s.world.SecondAdminID+"/revokeSignInSessions", "")
			_ = s.world.Created()
		}
	})
	require.NoError(t, s.world.PlayAll(s.start))
	wg.Wait()
	for _, c := range s.world.Customer.Calls() {
		assert.True(t, c.Scenario.After(s.start.Add(59*time.Minute)), "a caller's time is the clock's, not the act's")
	}
}

func TestRemovingDAPIsWrittenAtTheCustomer(t *testing.T) {
	s := newStage(t)
	center := s.world.PartnerCenter(partnercenter.Client{ID: "app", RefreshToken: "r"})
	assert.True(t, center.AllowDelegatedAccess(s.world.Customer.ID()))
	server := httptest.NewServer(center)
	defer server.Close()
	res, err := http.Post(server.URL+"/token", "application/x-www-form-urlencoded", strings.NewReader("grant_type=refresh_token&client_id=app&refresh_token=r"))
	require.NoError(t, err)
	var token struct {
		AccessToken string `json:"access_token"`
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&token))
	require.NoError(t, res.Body.Close())
	req, err := http.NewRequest("PATCH", server.URL+"/v1/customers/"+s.world.Customer.ID(),
		strings.NewReader(`{"AllowDelegatedAccess":false,"attributes":{"objectType":"Customer"}}`))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token.AccessToken)
	res, err = http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 200, res.StatusCode)
	assert.False(t, center.AllowDelegatedAccess(s.world.Customer.ID()))
	require.Len(t, s.all(), 1)
	assert.Equal(t, "Remove partner from company", s.all()[0].operation())
	assert.Equal(t, s.world.Customer.ID(), s.all()[0].tenant)
}

// TestAWorldFromItsOwnRecords reads back what the scenario wrote.
func TestAWorldFromItsOwnRecords(t *testing.T) {
	s := newStage(t)
	require.NoError(t, s.world.PlayAll(s.start))
	made := s.world.Created()
	var records []map[string]any
	for _, l := range s.all() {
		records = append(records, l.record)
	}
	w, err := scenario.FromRecords(s.clock, nil, records)
	require.NoError(t, err)
	assert.Equal(t, s.world.Customer.ID(), w.Customer.ID())
	assert.Nil(t, w.Partner)
	victim, ok := w.Customer.User(s.world.VictimID)
	require.True(t, ok)
	assert.Equal(t, "avery.lindqvist@contoso.example", victim.UserPrincipalName)
	assert.Len(t, w.Customer.Methods(s.world.VictimID), 2)
	child, ok := w.Customer.User(made.NewAdmin)
	require.True(t, ok)
	assert.Equal(t, s.start.Add(10*time.Minute+50*time.Second), child.CreatedDateTime)
	require.Len(t, w.Customer.RoleAssignments(made.NewAdmin), 1)
	assert.Equal(t, entra.GlobalAdministrator, w.Customer.RoleAssignments(made.NewAdmin)[0].RoleDefinitionID)
	grants := w.Customer.Grants(made.MailHelperSP)
	require.Len(t, grants, 1)
	assert.Equal(t, made.GrantID, grants[0].ID)
	backup, ok := w.Customer.ServicePrincipal(s.world.BackupSP)
	require.True(t, ok)
	require.Len(t, backup.PasswordCredentials, 2)
	assert.Equal(t, "sync", backup.PasswordCredentials[1].DisplayName)
	app := w.App(w.Customer)
	assert.Len(t, w.Customer.RoleAssignments(app.ServicePrincipalID), 2)

	_, err = scenario.FromRecords(s.clock, nil, []map[string]any{{"x": 1}})
	assert.ErrorContains(t, err, "none of them names a tenant")
}

// TestWorldsFromPublicRecords reads files that are kept beside the project, where they are.
func TestWorldsFromPublicRecords(t *testing.T) {
	files, _ := filepath.Glob("../../../../shared/data/*/*.ndjson")
	if len(files) == 0 {
		t.Skip("no public records beside the project")
	}
	for _, name := range files {
		if strings.HasSuffix(name, ".labels.ndjson") {
			continue
		}
		t.Run(filepath.Base(name), func(t *testing.T) {
			f, err := os.Open(name)
			require.NoError(t, err)
			defer func() { _ = f.Close() }()
			var records []map[string]any
			lines := bufio.NewScanner(f)
			lines.Buffer(nil, 4<<20)
			for lines.Scan() {
				record := map[string]any{}
				if json.Unmarshal(lines.Bytes(), &record) == nil {
					records = append(records, record)
				}
			}
			require.NoError(t, lines.Err())
			w, err := scenario.FromRecords(clock.Wall{}, nil, records)
			if err != nil {
				assert.ErrorContains(t, err, "names a tenant")
				return
			}
			assert.NotEmpty(t, w.Customer.Users())
		})
	}
}
