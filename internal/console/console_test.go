package console_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"cordon/ingest"
	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/console"
	"cordon/internal/console/client"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/incident"
	"cordon/internal/record"
	"cordon/internal/sources"
	"cordon/internal/telemetry"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

const (
	contoso = "c0170500-0000-4000-8000-00000000c001"
	hostile = `<script>alert("pwned")</script>*.>`
)

var subject = bus.IncidentSubject(contoso, "avery")

// house is a console on a real socket over a real bus.
type house struct {
	*testing.T
	server   *console.Server
	bus      *bus.Bus
	store    *incident.Store
	base     string
	number   uint64
	searched []string
	close    context.CancelFunc
}

func open(t *testing.T) *house {
	t.Helper()
	quiet := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, quiet) })
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	h := &house{T: t, bus: b, store: incident.NewStore(b)}
	people := []console.Analyst{
		{Person: incident.Person{Name: "alex", May: []string{"one", "two"}}, Token: "token-of-alex"},
		{Person: incident.Person{Name: "sam", May: []string{"one", "two"}}, Token: "token-of-sam"},
		{Person: incident.Person{Name: "reader"}, Token: "token-of-reader"},
		{Person: incident.Person{Name: "nobody"}}, // whose token was left empty
	}
	board := sources.New(b, clock.Wall{}, record.DefaultLateness(), zap.NewNop())
	counts := rulesOf(h)
	metrics, err := telemetry.Handler(zap.NewNop(), telemetry.Sources{Board: board}, telemetry.Rules{Ledger: counts})
	require.NoError(t, err)
	h.server, err = console.New(console.Config{Sources: board, Rules: counts, Metrics: metrics, Search: func(_ context.Context, tenant, user string, from, to time.Time) error {
		h.searched = append(h.searched, fmt.Sprintf("%s %s %s", tenant, user, to.Sub(from)))
		return nil
	},
		Letters: ingest.NewLetters(b, clock.Wall{}, func(name string) (ingest.Source, bool) {
			return ingest.Source{Name: name, Clock: clock.Wall{}}, name == "ns/hub"
		}), Bus: b, Store: h.store, Clock: clock.Wall{}, Analysts: people,
		Tenant: func(string) string { return "Contoso" }, Mode: func(string) string { return "automatic" }, Log: zap.NewNop()})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	h.base = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	h.close = cancel
	done := make(chan error, 1)
	followed := make(chan error, 2)
	go func() { done <- h.server.Serve(ctx, l) }()
	go func() { followed <- board.Run(ctx) }()
	go func() { followed <- counts.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, <-followed)
		require.NoError(t, <-followed)
		http.DefaultClient.CloseIdleConnections()
	})

	h.tell(incident.Opened, incident.OpenedData{Playbook: "p", Tenant: contoso, Principal: finding.Principal{Home: contoso, Type: "user", ID: "avery", UPN: hostile, Privileged: directory.No}})
	h.tell(incident.FindingJoined, finding.Finding{ID: "f", Rule: "r", Title: hostile, Says: hostile + " signed in", Level: "high", Count: 1,
		Proof: []finding.Proof{{Record: "r", Label: hostile, Operation: hostile, Address: hostile}}})
	h.tell(incident.Linked, incident.LinkedData{Subject: subject, Label: hostile, Why: hostile})
	return h
}

func (h *house) tell(kind string, data any) {
	h.Helper()
	x, err := h.store.Load(h.Context(), subject)
	require.NoError(h, err)
	e, err := incident.New(kind, incident.Cordon, "", time.Now(), data)
	require.NoError(h, err)
	require.NoError(h, h.store.Append(h.Context(), x, e))
	h.number = x.Current().Number
}

func (h *house) propose(place, need string, change ...func(*incident.Spec)) incident.Spec {
	h.Helper()
	s := incident.Spec{Ref: incident.Ref{Place: place, Round: 1}, Phase: "contain", Kind: incident.KindDo, Action: "user.disable", Tenant: contoso,
		Target: incident.Target{Type: "user", ID: "avery", Label: hostile}, Need: need, Verdict: incident.Compromised, Says: "Disable " + hostile}
	for _, c := range change {
		c(&s)
	}
	s.Seal()
	h.tell(incident.StepProposed, s)
	return s
}

func (h *house) step(place string) *incident.Step {
	h.Helper()
	x, err := h.store.Load(h.Context(), subject)
	require.NoError(h, err)
	return x.Current().Step(place)
}

// ask sends a request and returns status, headers and body.
func (h *house) ask(method, path, body string, change ...func(*http.Request)) (int, http.Header, string) {
	h.Helper()
	r, err := http.NewRequestWithContext(h.Context(), method, h.base+path, strings.NewReader(body))
	require.NoError(h, err)
	for _, c := range change {
		c(r)
	}
	answer, err := http.DefaultClient.Do(r)
	require.NoError(h, err)
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	require.NoError(h, err)
	return answer.StatusCode, answer.Header, string(data)
}

func as(name string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer token-of-"+name) }
}

func (h *house) decisions() string { return fmt.Sprintf("/api/v1/incidents/%d/decisions", h.number) }

func (h *house) decide(name string, d console.Decision) (int, console.Answer) {
	h.Helper()
	body, err := json.Marshal(d)
	require.NoError(h, err)
	status, _, text := h.ask("POST", h.decisions(), string(body), as(name))
	var a console.Answer
	require.NoError(h, json.Unmarshal([]byte(text), &a), text)
	return status, a
}

func TestNobodyComesInWithoutAToken(t *testing.T) {
	h := open(t)
	s := h.propose("contain.1", incident.One)
	bearer := func(v string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", v) }
	}
	for name, how := range map[string]func(*http.Request){
		"nothing": func(*http.Request) {}, "an empty token": bearer("Bearer "), "another's": bearer("Bearer token-of-nobody"), "no scheme": bearer("token-of-alex"),
		"another scheme": bearer("Basic token-of-alex"), "a made-up session": func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "cordon", Value: "x"}) },
		"an empty session": func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "cordon", Value: ""}) },
		"a prefix":         bearer("Bearer token-of-ale"),
	} {
		for _, path := range []string{"/", "/i/1", "/i/1/report.md", "/events", "/api/v1/incidents", "/api/v1/incidents/1", "/api/v1/incidents/1/events", "/api/v1/incidents/99",
			"/sources", "/api/v1/sources", "/metrics", "/api/v1/deadletters", "/api/v1/deadletters/x"} {
			status, _, body := h.ask("GET", path, "", how)
			require.Equal(t, 401, status, "%s: %s", name, path)
			for _, leak := range []string{"alert", "Contoso", contoso, "signed in", "contain.1", "Disable", "alex"} {
				require.NotContains(t, body, leak, "%s: %s", name, path)
			}
		}
		status, _, _ := h.ask("POST", h.decisions(), `{"verb":"approve","place":"contain.1","digest":"`+s.Digest+`"}`, how)
		require.Equal(t, 401, status, name)
	}
	require.Equal(t, incident.Waiting, h.step("contain.1").State)
}

func TestBearer(t *testing.T) {
	h := open(t)
	s := h.propose("contain.1", incident.One)
	c := client.New(h.base, "token-of-alex")
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	list, err := c.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, 1, list[0].Waiting)
	require.Equal(t, hostile, list[0].Principal)
	require.Equal(t, "Contoso", list[0].Tenant)
	i, err := c.Show(t.Context(), list[0].Number)
	require.NoError(t, err)
	require.Equal(t, s.Digest, i.Step("contain.1").Digest)
	_, err = c.Show(t.Context(), 99)
	require.EqualError(t, err, "there is no such incident")
	require.NoError(t, c.Decide(t.Context(), list[0].Number, console.Decision{Verb: "approve", Place: "contain.1", Digest: s.Digest}, nil))
	require.Equal(t, incident.Approved, h.step("contain.1").State)
	require.Equal(t, "alex", h.step("contain.1").Approvals[0].By)
	err = c.Decide(t.Context(), list[0].Number, console.Decision{Verb: "approve", Place: "contain.1", Digest: s.Digest}, nil)
	require.EqualError(t, err, "contain.1 is approved: there is nothing to decide")

	status, _, body := h.ask("GET", fmt.Sprintf("/api/v1/incidents/%d/events", h.number), "", as("reader"))
	require.Equal(t, 200, status)
	var events []incident.Numbered
	require.NoError(t, json.Unmarshal([]byte(body), &events))
	require.Equal(t, incident.StepApproved, events[len(events)-1].Type)
}

func TestALinkWorksOnceAndTheLoginIsRecorded(t *testing.T) {
	h := open(t)
	_, err := h.server.Link(h.base, "mallory", "/")
	require.ErrorContains(t, err, `there is no analyst "mallory"`)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &http.Client{Jar: jar}
	t.Cleanup(browser.CloseIdleConnections)
	get := func(link string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", link, nil)
		require.NoError(t, err)
		answer, err := browser.Do(r)
		require.NoError(t, err)
		defer answer.Body.Close()
		data, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return answer.StatusCode, string(data)
	}
	link, err := h.server.Link(h.base, "alex", "/i/1")
	require.NoError(t, err)
	status, body := get(link)
	require.Equal(t, 200, status)
	require.Contains(t, body, `href="/i/1"`)
	at, err := url.Parse(h.base)
	require.NoError(t, err)
	require.Len(t, jar.Cookies(at), 1)
	status, body = get(h.base + "/i/1")
	require.Equal(t, 200, status)
	require.Contains(t, body, "alex")
	status, _ = get(link)
	require.Equal(t, 403, status, "it has been used")
	status, _ = get(h.base + "/login?token=guessed")
	require.Equal(t, 403, status)

	_, headers, _ := h.ask("GET", strings.TrimPrefix(must(h.server.Link(h.base, "sam", "/")), h.base), "")
	cookie := headers.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/"} {
		require.Contains(t, cookie, want)
	}

	var logins []incident.Event
	prev := ""
	require.NoError(t, h.bus.Scan(t.Context(), bus.Audit, "audit.>", time.Time{}, func(m jetstream.Msg) error {
		var e incident.Event
		require.NoError(t, json.Unmarshal(m.Data(), &e))
		require.Equal(t, prev, e.Prev, "a chain")
		prev = incident.Hash(m.Data())
		logins = append(logins, e)
		require.NotContains(t, string(m.Data()), "token")
		return nil
	}))
	require.Len(t, logins, 2)
	require.Equal(t, "login", logins[0].Type)
	require.Equal(t, "alex", logins[0].By)
	require.Equal(t, "sam", logins[1].By)
}

func TestAnAnalystComesInByHisOwnToken(t *testing.T) {
	h := open(t)
	form := func(token string, change ...func(*http.Request)) (int, http.Header, string) {
		t.Helper()
		change = append(change, func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") })
		return h.ask("POST", "/login", url.Values{"token": {token}}.Encode(), change...)
	}
	status, _, body := h.ask("GET", "/login", "")
	require.Equal(t, 200, status)
	require.Contains(t, body, `type="password"`)
	status, headers, _ := form("token-of-alex", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
	require.Equal(t, 403, status)
	require.Empty(t, headers.Get("Set-Cookie"), "nobody is logged in from another site")
	status, headers, body = form("token-of-mallory")
	require.Equal(t, 403, status)
	require.Empty(t, headers.Get("Set-Cookie"))
	require.Contains(t, body, "no analyst&#39;s token")
	require.NotContains(t, body, "mallory")
	status, headers, _ = form(" token-of-alex\n")
	require.Equal(t, 200, status)
	session, _, _ := strings.Cut(headers.Get("Set-Cookie"), ";")
	status, _, body = h.ask("GET", "/", "", func(r *http.Request) { r.Header.Set("Cookie", session) })
	require.Equal(t, 200, status)
	require.Contains(t, body, "alex")
	last, err := h.bus.Last(t.Context(), bus.Audit, bus.AuditSubject("cordon"))
	require.NoError(t, err)
	require.Contains(t, string(last.Data), `"by":"alex"`)
}

func must(s string, err error) string {
	if err != nil {
		panic(err)
	}
	return s
}

func TestALinkLeadsNowhereElse(t *testing.T) {
	h := open(t)
	for _, next := range []string{"https://evil.example/", "//evil.example/", `/\evil.example/`, "javascript:alert(1)", "", "\t//evil.example", "/\t/evil.example", "/\n/evil.example"} {
		link := must(h.server.Link(h.base, "alex", next))
		_, _, body := h.ask("GET", strings.TrimPrefix(link, h.base), "")
		require.Contains(t, body, `<a href="/">`, "%q", next)
		require.NotContains(t, body, "evil", "%q", next)
	}
}

func TestADecisionFromAnotherSiteIsRefused(t *testing.T) {
	h := open(t)
	s := h.propose("contain.1", incident.One)
	_, headers, _ := h.ask("GET", strings.TrimPrefix(must(h.server.Link(h.base, "alex", "/")), h.base), "")
	session, _, _ := strings.Cut(headers.Get("Set-Cookie"), ";")
	body := `{"verb":"approve","place":"contain.1","digest":"` + s.Digest + `"}`
	for name, value := range map[string][2]string{"fetch metadata": {"Sec-Fetch-Site", "cross-site"}, "same site": {"Sec-Fetch-Site", "same-site"}, "origin": {"Origin", "https://evil.example"}, "no origin": {"Origin", "null"}} {
		status, _, _ := h.ask("POST", h.decisions(), body, func(r *http.Request) {
			r.Header.Set("Cookie", session)
			r.Header.Set(value[0], value[1])
		})
		require.Equal(t, 403, status, name)
	}
	require.Equal(t, incident.Waiting, h.step("contain.1").State)
	status, _, _ := h.ask("POST", h.decisions(), body, func(r *http.Request) {
		r.Header.Set("Cookie", session)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Origin", h.base)
	})
	require.Equal(t, 200, status, "the page's own")
	require.Equal(t, incident.Approved, h.step("contain.1").State)
}

func TestBadRequests(t *testing.T) {
	h := open(t)
	s := h.propose("contain.1", incident.One)
	for name, c := range map[string]struct {
		path, body string
		status     int
		says       string
	}{
		"no JSON":             {h.decisions(), "approve", 400, "no JSON of the known form"},
		"nothing":             {h.decisions(), "", 400, "no JSON"},
		"an unknown field":    {h.decisions(), `{"verb":"note","force":true}`, 400, "no JSON of the known form"},
		"two decisions":       {h.decisions(), `{"verb":"note"}{"verb":"close"}`, 400, "more than one decision"},
		"an unknown verb":     {h.decisions(), `{"verb":"delete"}`, 400, `verb "delete" is none of approve, refuse, undo, ask, done, note, close`},
		"no verb":             {h.decisions(), `{}`, 400, "is none of"},
		"no digest":           {h.decisions(), `{"verb":"approve","place":"contain.1"}`, 400, "send the digest of the step as you saw it"},
		"a long reason":       {h.decisions(), `{"verb":"note","why":"` + strings.Repeat("x", 4001) + `"}`, 400, "longer than 4,000"},
		"a body beyond bound": {h.decisions(), `{"verb":"note","why":"` + strings.Repeat("x", 70<<10) + `"}`, 400, "no JSON"},
		"no number":           {"/api/v1/incidents/x/decisions", `{"verb":"note"}`, 400, "an incident is a number"},
		"number nought":       {"/api/v1/incidents/0/decisions", `{"verb":"note"}`, 400, "an incident is a number"},
		"no such incident":    {"/api/v1/incidents/99/decisions", `{"verb":"note","why":"x"}`, 404, "there is no such incident"},
		"no such step":        {h.decisions(), `{"verb":"approve","place":"contain.9","digest":"x"}`, 409, "has no step contain.9"},
		"another digest":      {h.decisions(), `{"verb":"approve","place":"contain.1","digest":"x"}`, 409, "has changed since you saw it"},
	} {
		status, _, body := h.ask("POST", c.path, c.body, as("alex"))
		require.Equal(t, c.status, status, name)
		require.Contains(t, body, strings.ReplaceAll(c.says, `"`, `\"`), name)
	}
	status, _, _ := h.ask("DELETE", h.decisions(), "", as("alex"))
	require.Equal(t, 405, status)
	status, _, _ = h.ask("GET", "/api/v1/nothing", "", as("alex"))
	require.Equal(t, 404, status)
	status, a := h.decide("reader", console.Decision{Verb: "approve", Place: "contain.1", Digest: s.Digest})
	require.Equal(t, 409, status)
	require.Equal(t, "reader may look, and decide nothing", a.Error)
	require.Equal(t, incident.Waiting, h.step("contain.1").State)
}

func TestAccessIsGivenBackOnlyUponASecondConfirmation(t *testing.T) {
	h := open(t)
	for _, place := range []string{"contain.1", "contain.2"} {
		s := h.propose(place, incident.Auto)
		h.tell(incident.StepDone, incident.FinishedData{Ref: s.Ref})
	}
	undo := console.Decision{Verb: "undo", Place: "contain.1"}
	confirmed := func(d console.Decision, challenge string) console.Decision { d.Confirm = challenge; return d }
	challenge := func(name string, d console.Decision) string {
		t.Helper()
		status, a := h.decide(name, d)
		require.Equal(t, 428, status)
		require.NotEmpty(t, a.Challenge)
		require.Contains(t, a.Error, "second proof")
		require.False(t, a.OK)
		return a.Challenge
	}
	refused := func(name string, d console.Decision) {
		t.Helper()
		status, a := h.decide(name, d)
		require.Equal(t, 409, status)
		require.Contains(t, a.Error, "the confirmation is not the one that was asked for, or came too late")
		require.Nil(t, h.step("undo/contain.1"))
	}
	refused("alex", confirmed(undo, "guessed"))
	refused("sam", confirmed(undo, challenge("alex", undo))) // another person's
	other := console.Decision{Verb: "undo", Place: "contain.2"}
	refused("alex", confirmed(undo, challenge("alex", other))) // of another decision
	once := challenge("alex", undo)
	refused("sam", confirmed(undo, once))
	refused("alex", confirmed(undo, once)) // it can be met once, even by the wrong one
	status, a := h.decide("alex", confirmed(undo, challenge("alex", undo)))
	require.Equal(t, 200, status, a.Error)
	require.Equal(t, "second confirmation", h.step("undo/contain.1").Approvals[0].SecondProof)

	c := client.New(h.base, "token-of-alex")
	asked := 0
	err := c.Decide(t.Context(), h.number, other, func() bool { asked++; return false })
	require.ErrorContains(t, err, "second proof")
	require.Nil(t, h.step("undo/contain.2"))
	require.NoError(t, c.Decide(t.Context(), h.number, other, func() bool { asked++; return true }))
	require.Equal(t, 2, asked)
	require.NotNil(t, h.step("undo/contain.2"))
}

func TestNamesAreEscapedOnThePage(t *testing.T) {
	h := open(t)
	h.propose("contain.1", incident.One)
	failed := h.propose("contain.2", incident.One, func(s *incident.Spec) { s.Why = hostile })
	h.tell(incident.StepStarted, incident.StartedData{Ref: failed.Ref, Attempt: 1, Requests: []string{"PATCH " + hostile}, Before: json.RawMessage(`{"upn":"</pre><script>alert(1)</script>"}`)})
	h.tell(incident.StepFailed, incident.FinishedData{Ref: failed.Ref, Attempt: 1, Error: "Graph answered 403: " + hostile})
	read := h.propose("confirm.1", incident.Auto, func(s *incident.Spec) { s.Kind, s.Phase, s.Action = incident.KindRead, "confirm", "user.profile" })
	h.tell(incident.EvidenceRead, incident.EvidenceData{Step: read.Ref, Name: "user.profile", Value: json.RawMessage(`{"name":"</pre><script>alert(1)</script>"}`)})
	h.tell(incident.StepProposed, incident.Spec{Ref: incident.Ref{Place: `x" onclick="alert(1)`, Round: 1}, Phase: "contain", Kind: incident.KindTask, Need: incident.One, Says: hostile})
	for _, path := range []string{"/", "/i/1", "/i/1?part=body"} {
		status, header, body := h.ask("GET", path, "", as("alex"))
		require.Equal(t, 200, status, body)
		require.NotContains(t, body, "<script>", path)
		require.NotContains(t, body, `" onclick="`, path)
		require.Contains(t, body, "&lt;script&gt;", path)
		require.Equal(t, "text/html; charset=utf-8", header.Get("Content-Type"))
	}
	status, header, body := h.ask("GET", "/i/1/report.md", "", as("alex"))
	require.Equal(t, 200, status)
	require.NotContains(t, body, "<script>")
	require.Equal(t, `attachment; filename="incident-1.md"`, header.Get("Content-Disposition"))
}

func TestEveryAnswerCarriesTheHeaders(t *testing.T) {
	h := open(t)
	for _, path := range []string{"/", "/i/1", "/login", "/static/console.js", "/api/v1/incidents", "/nothing", "/sources", "/metrics", "/api/v1/deadletters/x/replay"} {
		for _, how := range []func(*http.Request){func(*http.Request) {}, as("alex")} {
			_, header, _ := h.ask("GET", path, "", how)
			policy := header.Get("Content-Security-Policy")
			for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
				require.Contains(t, policy, want, path)
			}
			require.NotContains(t, policy, "unsafe", path)
			require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"), path)
			require.Equal(t, "no-referrer", header.Get("Referrer-Policy"), path)
			require.Equal(t, "no-store", header.Get("Cache-Control"), path)
		}
	}
	_, _, page := h.ask("GET", "/i/1", "", as("alex"))
	require.NotContains(t, page, "<style", "what the policy forbids")
	require.NotContains(t, page, " style=")
	require.NotContains(t, page, " onclick=")
}

// listen opens the page's event stream and returns its lines.
func (h *house) listen(ctx context.Context) (<-chan string, func()) {
	h.Helper()
	r, err := http.NewRequestWithContext(ctx, "GET", h.base+"/events", nil)
	require.NoError(h, err)
	as("reader")(r)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(h, err)
	require.Equal(h, 200, answer.StatusCode)
	require.Equal(h, "text/event-stream", answer.Header.Get("Content-Type"))
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		in := bufio.NewScanner(answer.Body)
		for in.Scan() {
			if in.Text() != "" {
				lines <- in.Text()
			}
		}
	}()
	return lines, func() { _ = answer.Body.Close() }
}

func next(t *testing.T, lines <-chan string) string {
	t.Helper()
	select {
	case l, open := <-lines:
		require.True(t, open, "the stream has ended")
		return l
	case <-time.After(10 * time.Second):
		require.FailNow(t, "nothing came")
		return ""
	}
}

func TestEventsTellOfWhatIsAppended(t *testing.T) {
	h := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	lines, done := h.listen(ctx)
	defer done()
	require.Equal(t, ": open", next(t, lines))
	told := func() bool { // the server may have begun to follow only now: what it missed before, the page has read
		h.tell(incident.Noted, incident.NoteData{Text: "hello"})
		select {
		case l := <-lines:
			return strings.HasPrefix(l, "id: ")
		case <-time.After(200 * time.Millisecond):
			return false
		}
	}
	for deadline := time.Now().Add(10 * time.Second); !told(); {
		require.True(t, time.Now().Before(deadline), "nothing came")
	}
	require.Equal(t, "data: changed", next(t, lines), "no content")
	cancel() // the page goes: its goroutines with it, which goleak checks
	for range lines {
	}
}

func TestEventsEndWithTheServer(t *testing.T) {
	h := open(t)
	lines, done := h.listen(t.Context())
	defer done()
	require.Equal(t, ": open", next(t, lines))
	h.close()
	for range lines { // until the server ends it
	}
}
