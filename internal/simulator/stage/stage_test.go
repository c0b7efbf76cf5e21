package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/internal/app"
	"cordon/internal/bus"
	"cordon/internal/config"
	"cordon/internal/console"
	"cordon/internal/console/client"
	"cordon/internal/finding"
	"cordon/internal/incident"
	"cordon/internal/simulator"
	"cordon/internal/simulator/entra"
	"cordon/internal/simulator/scenario"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// azeventhubs v2.0.2: a link that is closed while it negotiates its claim leaves the renewer behind.
		goleak.IgnoreAnyFunction("github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2/internal.(*Namespace).startNegotiateClaimRenewer.func3"),
		// Idle connections of http clients end with their servers.
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

func open(t *testing.T) (*Stage, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	s, err := Open(ctx, t.TempDir(), "127.0.0.1:0", simulator.Attack, zap.NewNop())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	s.Load(scenario.Attack(s.Sim.World))
	return s, ctx
}

// TestAttackIsContained plays the attack with nobody at the desk, then lets two people decide, and looks at the tenant.
func TestAttackIsContained(t *testing.T) {
	s, ctx := open(t)
	w := s.Sim.World
	before, _ := w.Customer.User(w.VictimID)
	require.NoError(t, s.Play(ctx))

	// By itself: the administrator, his second factor, the account that he made, the application.
	made := w.Created()
	contained := func() {
		t.Helper()
		victim, _ := w.Customer.User(w.VictimID)
		require.False(t, victim.AccountEnabled, "the administrator is disabled")
		require.True(t, victim.SignInSessionsValidFromDateTime.After(before.SignInSessionsValidFromDateTime), "his sessions have moved")
		require.True(t, victim.LastPasswordChangeDateTime.After(before.LastPasswordChangeDateTime), "his password is another")
		for _, m := range w.Customer.Methods(w.VictimID) {
			require.NotEqual(t, made.AuthenticatorID, m.ID, "the attacker's authenticator is gone")
		}
		child, _ := w.Customer.User(made.NewAdmin)
		require.False(t, child.AccountEnabled, "the new administrator is disabled as a child")
		require.Empty(t, w.Customer.RoleAssignments(made.NewAdmin), "and holds no role")
		sp, _ := w.Customer.ServicePrincipal(made.MailHelperSP)
		require.False(t, sp.AccountEnabled, "the application is disabled")
		second, _ := w.Customer.User(w.SecondAdminID)
		require.True(t, second.AccountEnabled, "nobody else was touched")
		require.Len(t, w.Customer.RoleAssignments(w.VictimID), 1, "the role that he rightly had is his")
	}
	contained()
	require.NotEmpty(t, w.Customer.Grants(made.MailHelperSP), "deleting the grant waits for a person")
	require.True(t, s.Sim.Partner.AllowDelegatedAccess(w.Customer.ID()), "DAP waits for two people")
	require.NotEmpty(t, s.StillIn, "the new credential still works until somebody approves")

	// What the two people approve.
	require.NoError(t, s.PlayUnattended(ctx))
	contained()
	require.Empty(t, w.Customer.Grants(made.MailHelperSP), "the grant is gone")
	backup, _ := w.Customer.ServicePrincipal(w.BackupSP)
	for _, c := range backup.PasswordCredentials {
		require.NotEqual(t, made.CredentialKeyID, c.KeyID, "the new credential is gone")
	}
	require.True(t, slices.ContainsFunc(backup.PasswordCredentials, func(c entra.Credential) bool { return c.KeyID == w.BackupOldKeyID }), "the old one stays")
	require.False(t, s.Sim.Partner.AllowDelegatedAccess(w.Customer.ID()), "DAP is off")
	for _, r := range w.Partner.Relationships() {
		require.Equal(t, "terminated", r.Status, "GDAP is terminated")
	}
	s.StillIn = nil
	for _, o := range w.Retry(s.Clock.Now()) {
		var refused entra.Refused
		require.ErrorAs(t, o.Err, &refused, o.Act.Story)
	}
	left, err := s.Left(ctx)
	require.NoError(t, err)
	require.Empty(t, left)

	footprint(t, ctx, s)
	chain(t, ctx, s)
	undo(t, ctx, s)
}

// footprint: Cordon's own changes came back as audit records, and raised nothing.
func footprint(t *testing.T, ctx context.Context, s *Stage) {
	own := 0
	err := s.App.Bus().Scan(ctx, bus.Logs, "logs.>", time.Time{}, func(m jetstream.Msg) error {
		if strings.Contains(string(m.Data()), s.Sim.World.App(s.Sim.World.Customer).AppID) {
			own++
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, own, 8, "the loop is closed")
	err = s.App.Bus().Scan(ctx, bus.Findings, "findings.>", time.Time{}, func(m jetstream.Msg) error {
		var f finding.Finding
		require.NoError(t, json.Unmarshal(m.Data(), &f))
		require.NotEqual(t, "unexplained-own-change", f.Rule, f.Says)
		require.NotEqual(t, s.Sim.World.App(s.Sim.World.Customer).ServicePrincipalID, f.Actor.ID, f.Says)
		return nil
	})
	require.NoError(t, err)
}

// chain: every incident's events fold, which checks each link; the approvals bear two names.
func chain(t *testing.T, ctx context.Context, s *Stage) {
	all, err := s.App.Store().All(ctx)
	require.NoError(t, err)
	require.Len(t, all, 2)
	for _, h := range all {
		for _, step := range h.Current().Steps {
			if step.Need == incident.Two && step.State == incident.Verified {
				require.Len(t, step.Approvals, 2)
				require.NotEqual(t, step.Approvals[0].By, step.Approvals[1].By)
			}
			if step.Action == "user.reset-password" {
				require.NotContains(t, strings.Join(step.Requests, " "), "Aa1!", "no password is written down")
			}
		}
		require.NotEmpty(t, h.Current().Links, "the two incidents are linked")
	}
}

// undo gives the administrator's account back: asked again, and by two people.
func undo(t *testing.T, ctx context.Context, s *Stage) {
	people := s.People()
	list, err := people[0].List(ctx)
	require.NoError(t, err)
	at := slices.IndexFunc(list, func(x console.Summary) bool { return x.Playbook == "compromised-administrator" })
	number := list[at].Number
	d := console.Decision{Verb: "undo", Place: "contain.1"}

	err = people[0].Decide(ctx, number, d, nil)
	var refused *client.Refused
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusPreconditionRequired, refused.Status, "a second confirmation is asked for")
	require.NoError(t, people[0].Decide(ctx, number, d, func() bool { return true }))
	require.NoError(t, s.Settled(ctx))
	victim, _ := s.Sim.World.Customer.User(s.Sim.World.VictimID)
	require.False(t, victim.AccountEnabled, "one person is not enough")

	i, err := people[1].Show(ctx, number)
	require.NoError(t, err)
	step := i.Step("undo/contain.1")
	require.Equal(t, incident.Waiting, step.State)
	approve := console.Decision{Verb: "approve", Place: step.Place, Digest: step.Digest}
	err = people[0].Decide(ctx, number, approve, func() bool { return true })
	require.ErrorAs(t, err, &refused, "nobody approves twice")
	require.NoError(t, people[1].Decide(ctx, number, approve, func() bool { return true }))
	require.NoError(t, s.Settled(ctx))
	victim, _ = s.Sim.World.Customer.User(s.Sim.World.VictimID)
	require.True(t, victim.AccountEnabled, "the account is back")
	i, err = people[1].Show(ctx, number)
	require.NoError(t, err)
	require.Equal(t, incident.Undone, i.Step("contain.1").State)
	require.Len(t, i.Step("undo/contain.1").Approvals, 2)
}

// TestHostileNames: principals whose names are subjects of NATS, HTML and line ends are seen, contained and shown like
// any other; broken input beside them is kept, and stops nothing.
func TestHostileNames(t *testing.T) {
	s, ctx := open(t)
	s.acts = nil
	tenant := s.Sim.World.Customer.ID()
	hub := s.Sim.Hub(tenant)
	record := func(upn, id, operation string, at time.Time) string {
		data, err := json.Marshal(map[string]any{"time": at.Format(time.RFC3339Nano), "category": "AuditLogs", "tenantId": tenant, "operationName": operation,
			"properties": map[string]any{"id": id, "correlationId": id, "result": "success", "activityDateTime": at.Format(time.RFC3339Nano),
				"initiatedBy":     map[string]any{"user": map[string]any{"id": upn, "userPrincipalName": upn}},
				"targetResources": []any{map[string]any{"id": upn, "type": "User", "modifiedProperties": []any{map[string]any{"displayName": "Role.TemplateId", "newValue": `"62e90394-69f5-4237-9190-012177145e10"`}}}}}})
		require.NoError(t, err)
		return string(data)
	}
	now := s.Clock.Now()
	names := []string{"*.>", "a.b.c", "<script>alert(1)</script>", "line\nbreak\r\nX-Header: 1", strings.Repeat("long", 200)}
	for n, name := range names {
		hub.Enqueue(n%4, []byte(`{"records":[`+record(name, "hostile-"+string(rune('a'+n)), "Add member to role", now)+`]}`), now)
	}
	big, err := json.Marshal(map[string]any{"category": "AuditLogs", "tenantId": tenant, "blob": strings.Repeat("x", 2<<20)})
	require.NoError(t, err)
	for _, broken := range []string{`{"records":[{"category":"AuditLogs","ti`, "\x00\xff\x17binary", `{"records":[` + string(big) + `,` + record("after-the-big-one", "hostile-z", "Add member to role", now) + `]}`} {
		hub.Enqueue(1, []byte(broken), now)
	}
	require.NoError(t, s.Settled(ctx))

	all, err := s.App.Store().All(ctx)
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, h := range all {
		seen[h.Current().Principal.ID] = true
	}
	for _, name := range append(names, "after-the-big-one") {
		require.True(t, seen[name], "an incident for %.20q", name)
	}
	letters := 0
	require.NoError(t, s.App.Bus().Scan(ctx, bus.DeadLetters, "deadletter.>", time.Time{}, func(m jetstream.Msg) error {
		letters++
		require.NotEmpty(t, m.Headers().Get("Cordon-Reason"))
		return nil
	}))
	require.Equal(t, 3, letters, "the truncated, the binary and the 2 MiB one")
}

func TestSecondCordonOnTheSameFolderRefusesToStart(t *testing.T) {
	s, ctx := open(t)
	text, err := s.Sim.Config(filepath.Join(t.TempDir(), "secrets"), s.Data)
	require.NoError(t, err)
	cfg, err := config.Parse(strings.NewReader(text))
	require.NoError(t, err)
	_, err = app.New(ctx, cfg, app.Options{})
	require.ErrorIs(t, err, bus.ErrDataFolderInUse)
}

func TestTryUnattendedPrintsOneObject(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var out bytes.Buffer
	require.NoError(t, Try(t.Context(), Options{Unattended: true, JSON: true, Listen: "127.0.0.1:0", Out: &out, Log: zap.NewNop()}))
	var r Result
	dec := json.NewDecoder(&out)
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&r))
	require.False(t, dec.More())
	require.Equal(t, 2, r.Incidents)
	require.Greater(t, r.Records, 60)
	require.GreaterOrEqual(t, r.Findings, 8)
	require.Zero(t, r.Steps[incident.Failed]+r.Steps[incident.Waiting])
	require.Positive(t, r.RecordToContainmentMs.P50)
}

func TestTryPlaysAFile(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	file := filepath.Join(t.TempDir(), "export.ndjson")
	lines := []string{
		`{"time":"2026-03-02T08:10:05Z","resourceId":"/tenants/7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11/providers/Microsoft.aadiam","operationName":"Add member to role","category":"AuditLogs","tenantId":"7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11","properties":{"id":"d1","correlationId":"c1","result":"success","activityDateTime":"2026-03-02T08:10:05Z","initiatedBy":{"user":{"id":"5f0c3c5e-0000-4000-8000-000000000001","userPrincipalName":"mallory@contoso.example"}},"targetResources":[{"id":"5f0c3c5e-0000-4000-8000-000000000002","type":"User","userPrincipalName":"eve@contoso.example","modifiedProperties":[{"displayName":"Role.TemplateId","newValue":"\"62e90394-69f5-4237-9190-012177145e10\""}]}]}}`,
		`{"time":"2026-03-02T08:14:05Z","resourceId":"/tenants/7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11/providers/Microsoft.aadiam","operationName":"User registered security info","category":"AuditLogs","tenantId":"7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11","properties":{"id":"d2","correlationId":"c2","result":"success","activityDateTime":"2026-03-02T08:14:05Z","loggedByService":"Authentication Methods","resultReason":"User registered Authenticator App with Notification and Code","initiatedBy":{"user":{"id":"5f0c3c5e-0000-4000-8000-000000000001","userPrincipalName":"mallory@contoso.example"}},"targetResources":[{"id":"5f0c3c5e-0000-4000-8000-000000000001","type":"User","userPrincipalName":"mallory@contoso.example"}]}}`,
	}
	require.NoError(t, os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600))
	var out bytes.Buffer
	require.NoError(t, Try(t.Context(), Options{Unattended: true, JSON: true, Input: file, Listen: "127.0.0.1:0", Out: &out, Log: zap.NewNop()}))
	var r Result
	require.NoError(t, json.Unmarshal(out.Bytes(), &r))
	require.Equal(t, 1, r.Incidents)
	require.GreaterOrEqual(t, r.Findings, 2)

	err := Try(t.Context(), Options{Input: filepath.Join(t.TempDir(), "missing"), Out: &out, Log: zap.NewNop()})
	require.True(t, errors.Is(err, os.ErrNotExist), "a missing file is said to be missing: %v", err)
}

// An old export, newest first, is played in the order in which it happened: the windows of years ago are as open as today's.
func TestAnOldFileIsPlayedInItsOrder(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	const tenant = "7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11"
	began := time.Date(2024, 5, 6, 7, 0, 0, 0, time.UTC)
	var lines []string
	add := func(n int, at time.Time, user, category string, code int) {
		text, err := json.Marshal(map[string]any{"time": at, "category": category, "tenantId": tenant, "operationName": "Sign-in activity", "properties": map[string]any{
			"id": fmt.Sprint("s", n), "createdDateTime": at, "userId": user, "userPrincipalName": user + "@contoso.example", "ipAddress": "203.0.113.9", "status": map[string]any{"errorCode": code}}})
		require.NoError(t, err)
		lines = append([]string{string(text)}, lines...)
	}
	for day := range 3 {
		for n := range 8 {
			add(10*day+n, began.Add(time.Duration(day)*72*time.Hour+time.Duration(n)*time.Minute), fmt.Sprintf("5f0c3c5e-0000-4000-8000-0000000000%02d", n), []string{"SignInLogs", "NonInteractiveUserSignInLogs"}[n%2], 50126)
		}
	}
	file := filepath.Join(t.TempDir(), "old.ndjson")
	require.NoError(t, os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600))
	var out bytes.Buffer
	require.NoError(t, Try(t.Context(), Options{Unattended: true, JSON: true, Input: file, Listen: "127.0.0.1:0", Out: &out, Log: zap.NewNop()}))
	var r Result
	require.NoError(t, json.Unmarshal(out.Bytes(), &r))
	require.Equal(t, 3, r.Findings, "a spray on each of three days")
}
