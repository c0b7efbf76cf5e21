package graphlogs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cordon/internal/clock"
	"cordon/internal/fault"
	"cordon/internal/partnercenter"
	"cordon/internal/record"
	"cordon/internal/simulator/entra"
	simulated "cordon/internal/simulator/partnercenter"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// Risk and the partner's alerts come under their own categories, and again when they have changed.
func TestSecuritySources(t *testing.T) {
	s := newSite(t, clock.NewScenario(noon))
	s.graph.SetPageSize(2)
	u := s.tenant.AddUser(entra.User{UserPrincipalName: "avery@contoso.example", AccountEnabled: true})
	s.tenant.SetRisk(entra.Risk{UserID: u.ID, RiskLevel: "high", RiskState: "atRisk", RiskDetail: "none", RiskLastUpdatedDateTime: noon.Add(-time.Hour)})
	old, recent := noon.AddDate(0, 0, -40).Format(time.RFC3339), noon.Add(-time.Hour).Format(time.RFC3339)
	detection := map[string]any{"id": "d1", "detectedDateTime": recent, "lastUpdatedDateTime": recent, "activityDateTime": old, "riskState": "atRisk",
		"userId": u.ID, "userPrincipalName": u.UserPrincipalName, "additionalInfo": `[{"Key":"userAgent","Value":"<x> & y"}]`}
	s.add(entra.RiskDetections, detection)
	s.add(entra.ServicePrincipalRiskDetections, map[string]any{"id": "d2", "detectedDateTime": recent, "servicePrincipalId": "sp"})
	s.add(entra.RiskyServicePrincipals, map[string]any{"id": "sp", "riskLastUpdatedDateTime": recent, "riskLevel": "high"})
	alert := map[string]any{"id": "a1", "alertType": "networkConnectionsToCryptoMiningPools", "status": "active", "severity": "high",
		"customerTenantId": "22222222-2222-4222-8222-222222222222", "detectedDateTime": recent, "lastObservedDateTime": recent}
	s.add(entra.PartnerSecurityAlerts, alert)
	counts := func() map[string]int {
		out := map[string]int{}
		for _, r := range s.stored() {
			require.Equal(t, tenantID, r.Tenant)
			out[r.Category]++
		}
		return out
	}
	run(t, s.poller(zap.NewNop(), "risk-detections", "risky-users", "risky-service-principals", "service-principal-risk-detections", "partner-security-alerts"))
	want := map[string]int{record.UserRiskEvents: 1, record.RiskyUsers: 1, record.RiskyServicePrincipals: 1, record.ServicePrincipalRiskEvents: 1, record.PartnerSecurityAlerts: 1}
	require.Eventually(t, func() bool { return maps.Equal(want, counts()) }, patience, tick)

	detection["riskState"], alert["status"] = "dismissed", "resolved"
	s.add(entra.RiskDetections, detection)
	s.add(entra.PartnerSecurityAlerts, alert)
	s.tenant.SetRisk(entra.Risk{UserID: u.ID, RiskLevel: "none", RiskState: "dismissed", RiskDetail: "adminDismissedAllRiskForUser", RiskLastUpdatedDateTime: noon})
	want[record.UserRiskEvents], want[record.RiskyUsers], want[record.PartnerSecurityAlerts] = 2, 2, 2
	require.Eventually(t, func() bool { return maps.Equal(want, counts()) }, patience, tick)
	asked := s.requests()
	require.Eventually(t, func() bool { return s.requests() > asked+25 }, patience, tick)
	require.Equal(t, want, counts(), "and no more than changed")
}

// center is a simulated Partner Center and the real client of it.
func center(t *testing.T, c clock.Clock) (*simulated.Server, *partnercenter.Client) {
	t.Helper()
	server := simulated.New(c, nil, simulated.WithClient(simulated.Client{ID: "app", Secret: "s", RefreshToken: "r"}))
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	return server, partnercenter.New(partnercenter.Config{URL: web.URL, TokenURL: web.URL + "/token", ClientID: "app", ClientSecret: "s", RefreshToken: "r"})
}

func TestPartnerCentersLogs(t *testing.T) {
	s := newSite(t, clock.NewScenario(noon))
	server, client := center(t, s.clock)
	audit := func(n int, at time.Time) {
		server.AddAuditRecord(simulated.AuditRecord{Date: at, Object: json.RawMessage(fmt.Sprintf(
			`{"id":"a%d","operationType":"granular_admin_access_assignment_created","operationDate":%q,"operationStatus":"succeeded"}`, n, at.Format(time.RFC3339)))})
	}
	fraud := func(id int, status string) {
		server.AddFraudEvent(simulated.FraudEvent{Status: status, Object: json.RawMessage(fmt.Sprintf(
			`{"eventId":"f%d","eventTime":"2025-12-08T00:25:45.69","eventStatus":%q,"eventType":"NetworkConnectionsToCryptoMiningPools","lastObserved":"9999-12-31T23:59:59.9970000","hitCount":"10"}`, id, status))})
	}
	for n := range 120 { // three pages of today's, and some of yesterday
		audit(n, noon.Add(-time.Duration(n)*10*time.Minute))
	}
	for n := range 130 {
		fraud(n, "Active")
	}
	fraud(200, "Resolved")
	p, err := New(Config{Tenant: tenantID, URL: s.url, Credential: bearer("token"), PartnerCenter: client, Every: 10 * time.Millisecond,
		Logs: []string{"partner-fraud-events", "partner-audit-records"}}, s.bus, s.clock, zap.NewNop())
	require.NoError(t, err)
	p.setPace(quick())
	throttled := false
	server.Fail(func(r *http.Request) (int, string, string, bool) {
		defer func() { throttled = throttled || r.URL.Path != "/token" }()
		return 429, simulated.Throttled(1), "0.01", !throttled && r.URL.Path != "/token"
	})
	stop := run(t, p)
	count := func(category string) (n int) {
		for _, r := range s.stored() {
			if r.Category == category {
				n++
				require.False(t, r.Time.After(noon), "the year 9999 is none")
			}
		}
		return n
	}
	require.Eventually(t, func() bool {
		return count(record.PartnerFraudEvents) == 131 && count(record.PartnerAuditRecords) == 120
	}, patience, tick)
	audit(900, noon.Add(-20*time.Hour)) // late, and of yesterday
	fraud(0, "Investigating")
	require.Eventually(t, func() bool {
		return count(record.PartnerFraudEvents) == 132 && count(record.PartnerAuditRecords) == 121
	}, patience, tick)
	stop()
	for id, n := range s.ids() {
		if strings.HasSuffix(id, "/f0") {
			require.Equal(t, 2, n, "what became of it is a revision")
			continue
		}
		require.Equal(t, 1, n, id)
	}
	require.Empty(t, s.letters())
}

// found is a unified audit record as a search finds it.
func (s *site) found(n int, user, workload string, at time.Time) {
	s.Helper()
	s.add(entra.UnifiedAudit, map[string]any{"Id": fmt.Sprint("u", n), "CreationTime": at.Format("2006-01-02T15:04:05"), "Operation": "New-InboxRule",
		"UserId": user, "Workload": workload, "RecordType": 1, "OrganizationId": tenantID, "ClientIP": "192.0.2.7"})
}

func TestASearchFindsWhatOnePrincipalDid(t *testing.T) {
	s := newSite(t, clock.NewScenario(noon))
	s.graph.SetPageSize(2)
	user := "Avery@contoso.example"
	for n, workload := range []string{"Exchange", "AzureActiveDirectory", "OneDrive", "SharePoint", "MicrosoftTeams", "Exchange"} {
		s.found(n, "avery@contoso.example", workload, noon.Add(-time.Duration(n)*time.Hour))
	}
	s.found(50, "blake@contoso.example", "Exchange", noon.Add(-time.Hour))
	s.found(51, "avery@contoso.example", "Exchange", noon.Add(-100*time.Hour))
	search := Search{User: user, From: noon.Add(-24 * time.Hour), To: noon}

	// It breaks between the pages of what was found, and is taken up by another process.
	s.meanwhile(func(w http.ResponseWriter, r *http.Request) bool {
		if behind(r) {
			w.WriteHeader(http.StatusBadRequest)
		}
		return behind(r)
	})
	_, err := s.poller(zap.NewNop()).Search(t.Context(), search)
	require.ErrorContains(t, err, "400")
	require.Len(t, s.ids(), 2)
	s.meanwhile(nil)
	n, err := s.poller(zap.NewNop()).Search(t.Context(), search)
	require.NoError(t, err)
	require.EqualValues(t, 6, n)
	asked := s.requests()
	n, err = s.poller(zap.NewNop()).Search(t.Context(), search)
	require.NoError(t, err)
	require.EqualValues(t, 6, n)
	require.Equal(t, asked, s.requests(), "a search that is done asks nothing")
	posts := 0
	for _, r := range s.asked {
		if r.Method == http.MethodPost {
			posts++
		}
	}
	require.Equal(t, 1, posts)

	got := map[string]int{}
	for _, r := range s.stored() {
		got[r.Category]++
		require.Equal(t, tenantID, r.Tenant)
		require.Equal(t, "avery@contoso.example", r.Field("UserId").List[0])
		require.Equal(t, "New-InboxRule", r.Field("Operation").List[0])
		require.Zero(t, noon.Sub(r.Time)%time.Hour)
	}
	require.Equal(t, map[string]int{record.UnifiedExchange: 2, record.UnifiedEntra: 1, record.UnifiedSharePoint: 2, record.UnifiedGeneral: 1}, got)
}

// What was asked for is searched by whoever polls the tenant, once.
func TestASearchThatWasAskedForIsMade(t *testing.T) {
	s := newSite(t, clock.NewScenario(noon))
	s.found(1, "avery@contoso.example", "Exchange", noon.Add(-time.Hour))
	search := Search{User: "avery@contoso.example", From: noon.Add(-24 * time.Hour), To: noon}
	for range 2 {
		require.NoError(t, Ask(t.Context(), s.bus, s.clock, tenantID, search))
	}
	stop := run(t, s.poller(zap.NewNop(), "risky-users"))
	require.Eventually(t, func() bool { return len(s.ids()) == 1 }, patience, tick)
	require.NoError(t, Ask(t.Context(), s.bus, s.clock, tenantID, search), "it is done")
	stop()
	posts := 0
	for _, r := range s.asked {
		if r.Method == http.MethodPost {
			posts++
		}
	}
	require.Equal(t, 1, posts)
}

func TestASearchThatIsRefusedOrGivenUp(t *testing.T) {
	s := newSite(t, clock.NewScenario(noon))
	search := Search{User: "avery@contoso.example", From: noon.Add(-time.Hour), To: noon}
	p := s.poller(zap.NewNop())
	s.graph.Fail(func(*http.Request) (int, string, string, bool) { return 403, "Forbidden", "", true })
	_, err := p.Search(t.Context(), search)
	require.ErrorContains(t, err, "AuditLogsQuery.Read.All is missing")
	require.Equal(t, fault.Forbidden, fault.Of(err))
	s.graph.Fail(nil)
	s.meanwhile(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			_, _ = fmt.Fprint(w, `{"id":"q","status":"failed"}`)
		}
		return r.Method == http.MethodGet
	})
	_, err = p.Search(t.Context(), search)
	require.ErrorIs(t, err, errSearchFailed)
	s.meanwhile(nil)
	n, err := p.Search(t.Context(), search)
	require.NoError(t, err, "the next one begins anew")
	require.Zero(t, n)
	_, err = p.Search(t.Context(), Search{User: "a"})
	require.ErrorContains(t, err, "are needed")

	ctx, cancel := context.WithCancel(t.Context())
	s.meanwhile(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			cancel()
		}
		return false
	})
	_, err = p.Search(ctx, Search{User: "other@contoso.example", From: noon.Add(-time.Hour), To: noon})
	require.True(t, errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "canceled"), err)
}

// auditData may be a JSON text, may name no workload, may be missing.
func TestUnifiedRecordsInOtherShapes(t *testing.T) {
	for item, want := range map[string]string{
		`{"auditData":"{\"Operation\":\"o\",\"CreationTime\":\"2026-03-04T11:00:00\",\"RecordType\":15}"}`:                                          record.UnifiedEntra,
		`{"createdDateTime":"2026-03-04T11:00:00Z","operation":"o","auditData":{"RecordType":"6"}}`:                                                 record.UnifiedSharePoint,
		`{"createdDateTime":"2026-03-04T11:00:00Z","operation":"o","service":"Exchange","auditData":{"@odata.type":"#microsoft.graph.security.x"}}`: record.UnifiedExchange,
		`{"createdDateTime":"2026-03-04T11:00:00Z","operation":"o","auditData":{}}`:                                                                 record.UnifiedGeneral,
	} {
		r, err := record.Decode(unified(tenantID, []byte(item)), record.Defaults{})
		require.NoError(t, err, item)
		require.Equal(t, want, r.Category, item)
		require.Equal(t, noon.Add(-time.Hour), r.Time, item)
	}
	_, err := record.Decode(unified(tenantID, []byte(`{"id":"x"}`)), record.Defaults{})
	require.Error(t, err)
}
