package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/finding"
	"cordon/internal/incident"
	"cordon/internal/simulator/slack"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const contoso = "c0170500-0000-4000-8000-00000000c001"

// room is the view over a real bus and a simulated workspace on a real socket.
type room struct {
	*testing.T
	bus   *bus.Bus
	store *incident.Store
	slack *slack.Server
	url   string
}

func open(t *testing.T) *room {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	r := &room{T: t, bus: b, store: incident.NewStore(b), slack: slack.New(clock.Wall{}, "token")}
	web := httptest.NewServer(r.slack)
	t.Cleanup(web.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	r.url = web.URL + "/api"
	return r
}

// watch runs the view until the test, or the caller, stops it.
func (r *room) watch() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	view := NewSlack(r.bus, r.store, Config{URL: r.url, Token: "token", Channel: "C04", Link: func(n uint64) string { return fmt.Sprintf("https://cordon.example/i/%d", n) }})
	go func() { done <- view.Run(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(r, <-done)
		}
	}
	r.Cleanup(stop)
	return stop
}

func (r *room) tell(principal, kind string, data any) uint64 {
	r.Helper()
	h, err := r.store.Load(r.Context(), bus.IncidentSubject(contoso, principal))
	require.NoError(r, err)
	e, err := incident.New(kind, incident.Cordon, "", time.Now(), data)
	require.NoError(r, err)
	require.NoError(r, r.store.Append(r.Context(), h, e))
	return h.Current().Number
}

func (r *room) opens(principal, name string) uint64 {
	r.Helper()
	n := r.tell(principal, incident.Opened, incident.OpenedData{Playbook: "p", Tenant: contoso, Principal: finding.Principal{Home: contoso, Type: "user", ID: principal, UPN: name}})
	r.tell(principal, incident.FindingJoined, finding.Finding{ID: "f-" + principal, Level: "high", Says: name + " signed in without MFA"})
	return n
}

func (r *room) propose(principal, place, need, says string) incident.Spec {
	r.Helper()
	s := incident.Spec{Ref: incident.Ref{Place: place, Round: 1}, Phase: "contain", Kind: incident.KindDo, Action: "user.disable", Tenant: contoso, Need: need, Verdict: incident.Compromised, Says: says}
	s.Seal()
	r.tell(principal, incident.StepProposed, s)
	return s
}

// shows waits until the channel shows n messages, the last of which contains all these words.
func (r *room) shows(n int, words ...string) slack.Message {
	r.Helper()
	var last slack.Message
	ok := func() bool {
		all := r.slack.Messages()
		if len(all) != n {
			return false
		}
		last = all[n-1]
		for _, w := range words {
			if !strings.Contains(last.Text, w) {
				return false
			}
		}
		return true
	}
	require.Eventually(r, ok, 10*time.Second, 5*time.Millisecond, "%d messages, the last with %q", n, words)
	return last
}

func (r *room) idle() {
	r.Helper()
	require.Eventually(r, func() bool {
		last, err := r.bus.LastSequence(r.Context(), bus.Incidents)
		floor, floorErr := r.bus.AckFloor(r.Context(), bus.Incidents, "chat")
		return err == nil && floorErr == nil && floor == last
	}, 10*time.Second, 5*time.Millisecond)
}

func TestAnIncidentIsOneMessageThatIsUpdatedInPlace(t *testing.T) {
	r := open(t)
	stop := r.watch()
	n := r.opens("a", "avery@contoso.example")
	first := r.shows(1, fmt.Sprintf("Incident %d · avery@contoso.example · suspicious", n), "signed in without MFA", fmt.Sprintf("https://cordon.example/i/%d", n))
	require.Equal(t, "C04", first.Channel)
	s := r.propose("a", "contain.1", incident.Two, "Disable avery")
	waits := r.shows(1, "*Waits for you*\n• Disable avery (two, 2 missing)")
	require.Equal(t, first.TS, waits.TS)
	r.tell("a", incident.VerdictGiven, incident.VerdictData{Verdict: incident.Compromised})
	r.tell("a", incident.StepDone, incident.FinishedData{Ref: s.Ref})
	done := r.shows(1, "compromised", "*Done*\n• Disable avery")
	require.NotContains(t, done.Text, "Waits for you")
	require.Equal(t, first.TS, done.TS)
	require.Positive(t, done.Updates)

	r.opens("b", "blake@contoso.example")
	r.shows(2, "blake@contoso.example")
	r.idle()
	stop()
	r.watch() // another process goes on with the same messages
	r.tell("a", incident.Closed, incident.NoteData{Text: "over"})
	require.Eventually(t, func() bool { return strings.Contains(r.slack.Messages()[0].Text, "closed") }, 10*time.Second, 5*time.Millisecond)
	require.Len(t, r.slack.Messages(), 2)
}

func TestABurstMakesFewUpdates(t *testing.T) {
	r := open(t)
	r.opens("a", "avery@contoso.example")
	for n := range 50 {
		r.tell("a", incident.Noted, incident.NoteData{Text: fmt.Sprint(n)})
	}
	r.propose("a", "contain.1", incident.One, "Disable avery")
	r.watch()
	r.shows(1, "Disable avery")
	r.idle()
	require.Zero(t, r.slack.Messages()[0].Updates, "it was written once, as it stood at the end")
}

func TestARateLimitIsObeyed(t *testing.T) {
	r := open(t)
	refused := make(chan time.Time, 10)
	r.slack.Fail(func(*http.Request) (int, string, string, bool) {
		if len(refused) < 1 {
			refused <- time.Now()
			return 429, "ratelimited", "1", true
		}
		return 0, "", "", false
	})
	r.watch()
	r.opens("a", "avery@contoso.example")
	m := r.shows(1, "avery@contoso.example")
	require.GreaterOrEqual(t, m.At.Sub(<-refused), 900*time.Millisecond, "not before Slack said")
}

func TestWhatSlackRefusesIsTriedAgain(t *testing.T) {
	r := open(t)
	failures := 0
	r.slack.Fail(func(*http.Request) (int, string, string, bool) {
		failures++
		return 200, "fatal_error", "", failures <= 2
	})
	r.watch()
	r.opens("a", "avery@contoso.example")
	r.shows(1, "avery@contoso.example")
}

func TestNamesAreNoMentionsAndNoLinks(t *testing.T) {
	const hostile = "<!channel> <http://evil|click> & @here"
	r := open(t)
	r.watch()
	r.opens("a", hostile)
	s := r.propose("a", "contain.1", incident.One, "Disable "+hostile)
	r.tell("a", incident.StepFailed, incident.FinishedData{Ref: s.Ref, Attempt: 1, Error: "Graph answered 403: " + hostile})
	r.propose("a", "contain.2", incident.One, "Remove "+hostile)
	m := r.shows(1, "*failed*", "• Remove &lt;!channel&gt;")
	require.NotContains(t, m.Text, "<!channel>")
	require.NotContains(t, m.Text, "<http")
	var blocks []struct {
		Type string `json:"type"`
		Text struct {
			Type, Text string
		} `json:"text"`
	}
	require.NoError(t, json.Unmarshal(m.Blocks, &blocks))
	for _, b := range blocks {
		if b.Text.Type == "mrkdwn" {
			require.NotContains(t, b.Text.Text, "<")
			require.NotEmpty(t, b.Text.Text)
		}
	}
}

func TestAVeryLongStoryIsCutNotRefused(t *testing.T) {
	r := open(t)
	r.watch()
	r.opens("a", strings.Repeat("ä<", 2000))
	for n := range 30 {
		r.propose("a", fmt.Sprint("contain.", n+1), incident.One, strings.Repeat("long ", 500))
	}
	r.idle()
	m := r.slack.Messages()
	require.Len(t, m, 1)
	var blocks []struct {
		Text struct{ Text string } `json:"text"`
	}
	require.NoError(t, json.Unmarshal(m[0].Blocks, &blocks))
	require.LessOrEqual(t, len([]rune(blocks[0].Text.Text)), 150)
	require.LessOrEqual(t, len([]rune(blocks[1].Text.Text)), 3000)
}

func TestAnIncidentWithoutFindingsIsShownToo(t *testing.T) {
	r := open(t)
	r.watch()
	r.tell("a", incident.Opened, incident.OpenedData{Playbook: "p", Tenant: contoso, Principal: finding.Principal{Home: contoso, Type: "user", ID: "a", UPN: "avery"}})
	m := r.shows(1, "avery")
	require.NotContains(t, string(m.Blocks), `"text":""`, "Slack refuses an empty text")
}
