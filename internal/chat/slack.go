// Package chat shows incidents where the on-call people are. A chat message is a view: what is decided is decided
// on the page, and the durable record decides. It is a durable consumer of INCIDENTS.
package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"cordon/internal/bus"
	"cordon/internal/incident"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/slack-go/slack"
)

// Slack keeps one message an incident up to date.
type Slack struct {
	bus     *bus.Bus
	store   *incident.Store
	client  *slack.Client
	channel string
	link    func(number uint64) string
	dirty   map[string]bool // subjects whose message is behind
}

// Config is a workspace's channel.
type Config struct {
	URL     string // of the API; Slack's own where empty
	Token   string
	Channel string
	Link    func(number uint64) string // to the incident's page
}

// NewSlack returns a view into one channel.
func NewSlack(b *bus.Bus, s *incident.Store, cfg Config) *Slack {
	options := []slack.Option{slack.OptionHTTPClient(&http.Client{Timeout: 10 * time.Second})}
	if cfg.URL != "" {
		options = append(options, slack.OptionAPIURL(strings.TrimSuffix(cfg.URL, "/")+"/"))
	}
	return &Slack{bus: b, store: s, client: slack.New(cfg.Token, options...), channel: cfg.Channel, link: cfg.Link, dirty: map[string]bool{}}
}

// Run works until ctx ends. Events that come in a burst make one update.
func (s *Slack) Run(ctx context.Context) error {
	all, err := s.store.All(ctx)
	if err != nil {
		return err
	}
	for _, h := range all { // what an earlier process left unsaid
		if h.Open() != nil {
			s.dirty[h.Subject] = true
		}
	}
	return s.bus.Run(ctx, bus.Worker{Stream: bus.Incidents, Durable: "chat", Filter: []string{"incidents.>"}}, s.event)
}

func (s *Slack) event(ctx context.Context, msg jetstream.Msg) error {
	s.dirty[msg.Subject()] = true
	meta, err := msg.Metadata()
	if err != nil {
		return fmt.Errorf("reading an event: %w", err)
	}
	if meta.NumPending > 0 && len(s.dirty) < 20 {
		return nil
	}
	for subject := range s.dirty {
		if err := s.show(ctx, subject); err != nil {
			var limited *slack.RateLimitedError
			if errors.As(err, &limited) {
				return &bus.RetryAfter{Wait: limited.RetryAfter, Err: err}
			}
			return err
		}
		delete(s.dirty, subject)
	}
	return nil
}

// shown is where an incident's message stands.
type shown struct {
	Channel string `json:"channel"`
	TS      string `json:"ts"`
	Text    string `json:"text"`
}

func (s *Slack) show(ctx context.Context, subject string) error {
	h, err := s.store.Load(ctx, subject)
	if err != nil {
		return err
	}
	i := h.Current()
	if i == nil {
		return nil
	}
	kv, err := s.bus.KeyValue(ctx, bus.ChatBucket)
	if err != nil {
		return err
	}
	key := fmt.Sprintf("slack.%d", i.Number)
	var at shown
	entry, err := kv.Get(ctx, key)
	switch {
	case err == nil:
		if err := json.Unmarshal(entry.Value(), &at); err != nil {
			return fmt.Errorf("reading where incident %d is shown: %w", i.Number, err)
		}
	case !errors.Is(err, jetstream.ErrKeyNotFound):
		return fmt.Errorf("reading where incident %d is shown: %w", i.Number, err)
	}
	text, blocks := s.message(i)
	if at.Text == text {
		return nil
	}
	options := []slack.MsgOption{slack.MsgOptionText(clip(text, maxText), false), slack.MsgOptionBlocks(blocks...)}
	if at.TS == "" {
		at.Channel, at.TS, err = s.client.PostMessageContext(ctx, s.channel, options...)
	} else {
		_, _, _, err = s.client.UpdateMessageContext(ctx, at.Channel, at.TS, options...)
	}
	if err != nil {
		return fmt.Errorf("showing incident %d in Slack: %w", i.Number, err)
	}
	at.Text = text
	data, err := json.Marshal(at)
	if err != nil {
		return fmt.Errorf("encoding where incident %d is shown: %w", i.Number, err)
	}
	if _, err := kv.Put(ctx, key, data); err != nil {
		return fmt.Errorf("storing where incident %d is shown: %w", i.Number, err)
	}
	return nil
}

// maxText is what Slack advises for a message's text; ten times as much is refused, again and again.
const maxText = 3900

// message writes what people need at 03:00: who, how sure, what was done, what waits.
func (s *Slack) message(i *incident.Incident) (string, []slack.Block) {
	state := i.Verdict
	if i.Closed != nil {
		state = "closed"
	}
	title := fmt.Sprintf("Incident %d · %s · %s", i.Number, i.Principal.Label(), state)
	var done, waits []string
	for _, step := range i.Steps {
		switch {
		case step.WaitsForPerson() && step.Kind == incident.KindTask:
			waits = append(waits, "• "+escape(step.Says))
		case step.WaitsForPerson():
			waits = append(waits, fmt.Sprintf("• %s (%s, %d missing)", escape(step.Says), step.Need, step.Missing()))
		case step.Kind == incident.KindDo && (step.State == incident.Done || step.State == incident.Verified):
			done = append(done, "• "+escape(step.Says))
		case step.State == incident.Failed:
			done = append(done, "• *failed*: "+escape(step.Says)+": "+escape(step.Error))
		}
	}
	var body strings.Builder
	if n := len(i.Findings); n > 0 {
		fmt.Fprintf(&body, "%s\n", escape(i.Findings[n-1].Says))
	}
	section := func(name string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(&body, "*%s*\n%s\n", name, strings.Join(lines[:min(len(lines), 12)], "\n"))
		}
	}
	section("Done", done)
	section("Waits for you", waits)
	blocks := []slack.Block{
		slack.NewHeaderBlock(slack.NewTextBlockObject(slack.PlainTextType, clip(title, 150), false, false)),
	}
	if body.Len() > 0 { // an empty section is refused
		blocks = append(blocks, slack.NewSectionBlock(slack.NewTextBlockObject(slack.MarkdownType, clip(body.String(), 2900), false, false), nil, nil))
	}
	link := s.link(i.Number)
	open := slack.NewButtonBlockElement("open", fmt.Sprint(i.Number), slack.NewTextBlockObject(slack.PlainTextType, "Open the incident", false, false))
	open.URL = link
	blocks = append(blocks, slack.NewActionBlock("", open))
	return escape(title) + "\n" + body.String() + link, blocks
}

// escape keeps names from becoming mentions or links (Slack's three control characters).
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
