package office365

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"cordon/internal/fault"
	"go.uber.org/zap"
)

// maxSubscriptions bounds the list of subscriptions, of which there are five at most.
const maxSubscriptions = 1 << 20

// subscription is what the service says of one content type.
type subscription struct {
	ContentType string `json:"contentType"`
	Status      string `json:"status"`
	Webhook     *struct {
		Status  string `json:"status"`
		Address string `json:"address"`
	} `json:"webhook"`
}

func readSubscriptions(data []byte) (map[string]subscription, error) {
	var listed []subscription
	if err := json.Unmarshal(data, &listed); err != nil {
		return nil, fmt.Errorf("reading the list of subscriptions: %w", err)
	}
	all := map[string]subscription{}
	for _, sub := range listed {
		all[sub.ContentType] = sub
	}
	return all, nil
}

// keep looks at the subscriptions now and then, and at once where a reader finds his one gone.
func (s *Source) keep(ctx context.Context, err error) {
	wait := time.Duration(0)
	for {
		switch {
		case err == nil:
			wait = s.pace.check
		case fault.Of(err) == fault.Forbidden:
			wait = s.pace.refused
			s.log.Error("keeping the Office 365 subscriptions", zap.Duration("again in", wait), zap.Error(err))
		default:
			wait = s.pace.grow(wait)
			s.log.Warn("keeping the Office 365 subscriptions", zap.Duration("again in", wait), zap.Error(err))
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-s.check:
			timer.Stop()
			if sleep(ctx, s.pace.retry) != nil { // several readers find it at once, and a start takes a moment to show
				return
			}
		case <-ctx.Done():
			timer.Stop()
			return
		}
		if err = s.subscribe(ctx); ctx.Err() != nil {
			return
		}
	}
}

// subscribe starts what is not started, or not with the webhook that it should have.
func (s *Source) subscribe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*answerWithin)
	defer cancel()
	data, _, err := s.api.call(ctx, http.MethodGet, s.api.operation("subscriptions/list", nil), nil, maxSubscriptions)
	if err != nil {
		return fmt.Errorf("listing subscriptions: %w", err)
	}
	all, err := readSubscriptions(data)
	if err != nil {
		return err
	}
	var failed []error
	for _, r := range s.readers {
		sub, known := all[r.content]
		enabled := known && strings.EqualFold(sub.Status, "enabled")
		if enabled && s.hooked(sub) {
			continue
		}
		if known && !enabled {
			r.log.Warn("the subscription is not enabled: starting it again. What Microsoft gathered while it was stopped cannot be had any more", zap.String("status", clip(sub.Status)))
		}
		if err := s.start(ctx, r, enabled); err != nil {
			failed = append(failed, fmt.Errorf("starting the subscription to %s: %w", r.content, err))
		}
	}
	return errors.Join(failed...)
}

// hooked says that a subscription has the webhook that it should have. One that we were not told of is left alone.
func (s *Source) hooked(sub subscription) bool {
	hook := s.cfg.Webhook
	return hook == nil || sub.Webhook != nil && sub.Webhook.Address == hook.Address && strings.EqualFold(sub.Webhook.Status, "enabled")
}

// start starts a subscription, without its webhook where that cannot be validated: content must come all the same.
func (s *Source) start(ctx context.Context, r *reader, enabled bool) error {
	to := s.api.operation("subscriptions/start", url.Values{"contentType": {r.content}})
	body := []byte{}
	if hook := s.cfg.Webhook; hook != nil {
		var err error
		if body, err = json.Marshal(map[string]any{"webhook": map[string]string{"address": hook.Address, "authId": hook.AuthID, "expiration": ""}}); err != nil {
			return fmt.Errorf("encoding the webhook: %w", err)
		}
	}
	_, _, err := s.api.call(ctx, http.MethodPost, to, body, maxSubscriptions)
	if code(err) == codeBadWebhook {
		r.log.Warn("Microsoft cannot reach the webhook: content is polled", zap.Error(err))
		if enabled {
			return nil
		}
		_, _, err = s.api.call(ctx, http.MethodPost, to, []byte{}, maxSubscriptions)
	}
	if err != nil && code(err) != codeStarted {
		return err
	}
	r.log.Info("the subscription is started; the first content of a new one can take up to 12 hours")
	signal(r.woken)
	return nil
}
