package slack_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	client "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"cordon/internal/clock"
	"cordon/internal/simulator/slack"
)

func start(t *testing.T) (*slack.Server, string) {
	s := slack.New(clock.Wall{}, "xoxb-simulated")
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL + "/api/"
}

func TestTheRealClient(t *testing.T) {
	s, base := start(t)
	var seen []slack.Message
	s.OnMessage(func(m slack.Message) { seen = append(seen, m) })
	api := client.New("xoxb-simulated", client.OptionAPIURL(base))
	ctx := context.Background()
	who, err := api.AuthTestContext(ctx)
	require.NoError(t, err)
	assert.Equal(t, "cordon", who.User)

	header := client.NewHeaderBlock(client.NewTextBlockObject(client.PlainTextType, "Incident 1", false, false))
	channel, ts, err := api.PostMessageContext(ctx, "C1", client.MsgOptionText("incident 1", false), client.MsgOptionBlocks(header))
	require.NoError(t, err)
	assert.Equal(t, "C1", channel)
	_, again, _, err := api.UpdateMessageContext(ctx, "C1", ts, client.MsgOptionText("incident 1: contained", false))
	require.NoError(t, err)
	assert.Equal(t, ts, again)
	_, second, err := api.PostMessageContext(ctx, "C1", client.MsgOptionText("incident 2", false))
	require.NoError(t, err)
	assert.NotEqual(t, ts, second)

	all := s.Messages()
	require.Len(t, all, 2)
	assert.Equal(t, "incident 1: contained", all[0].Text)
	assert.Equal(t, 1, all[0].Updates)
	assert.Contains(t, string(all[0].Blocks), "Incident 1")
	require.Len(t, seen, 3)
	assert.Equal(t, 0, seen[0].Updates)
}

func TestNoes(t *testing.T) {
	s, base := start(t)
	ctx := context.Background()
	stranger := client.New("xoxb-other", client.OptionAPIURL(base))
	_, err := stranger.AuthTestContext(ctx)
	assert.EqualError(t, err, "invalid_auth")
	api := client.New("xoxb-simulated", client.OptionAPIURL(base))
	_, _, _, err = api.UpdateMessageContext(ctx, "C1", "1.0", client.MsgOptionText("x", false))
	assert.EqualError(t, err, "message_not_found")
	_, _, err = api.PostMessageContext(ctx, "C1")
	assert.EqualError(t, err, "no_text")

	s.Fail(func(*http.Request) (int, string, string, bool) { return 429, "ratelimited", "3", true })
	_, _, err = api.PostMessageContext(ctx, "C1", client.MsgOptionText("x", false))
	var limited *client.RateLimitedError
	require.ErrorAs(t, err, &limited)
	s.Fail(nil)
	assert.Empty(t, s.Messages())
}

func TestBearerAndBounds(t *testing.T) {
	_, base := start(t)
	send := func(method, auth string, form url.Values) string {
		req, err := http.NewRequest("POST", base+method, strings.NewReader(form.Encode()))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Authorization", auth)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		buf := make([]byte, 4096)
		n, _ := res.Body.Read(buf)
		return string(buf[:n])
	}
	const good = "Bearer xoxb-simulated"
	assert.Contains(t, send("auth.test", good, nil), `"ok":true`)
	assert.Contains(t, send("auth.test", "", nil), "not_authed")
	assert.Contains(t, send("chat.delete", good, nil), "unknown_method")
	assert.Contains(t, send("chat.postMessage", good, url.Values{"channel": {"C"}, "blocks": {"{"}}), "invalid_blocks_format")
	assert.Contains(t, send("chat.postMessage", good, url.Values{"channel": {"C"}, "text": {strings.Repeat("x", 2<<20)}}), "invalid_form_data")
}
