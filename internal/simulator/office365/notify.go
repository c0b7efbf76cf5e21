package office365

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

var contentTypes = []string{"Audit.AzureActiveDirectory", "Audit.Exchange", "Audit.SharePoint", "Audit.General", "DLP.All"}

const maxBody = 64 << 10

// start answers subscriptions/start, after its webhook has answered.
func (s *Server) start(r *http.Request) (int, string) {
	name := r.URL.Query().Get("contentType")
	if !slices.Contains(contentTypes, name) {
		return http.StatusBadRequest, Error("AF20020", "The specified content type is not valid.")
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return http.StatusBadRequest, Error("AF20001", "The request body cannot be read.")
	}
	var body struct {
		Webhook *Webhook `json:"webhook"`
	}
	if len(bytes.TrimSpace(raw)) > 0 && json.Unmarshal(raw, &body) != nil {
		return http.StatusBadRequest, Error("AF20002", "Invalid parameter type.")
	}
	if hook := body.Webhook; hook != nil {
		if err := s.validate(r.Context(), *hook); err != nil {
			return http.StatusBadRequest, Error("AF20021", "The webhook endpoint ("+hook.Address+") could not be validated. The endpoint did not return HTTP 200.")
		}
		hook.Status = "enabled"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if body.Webhook == nil && s.subscriptions[name] == (Subscription{Status: "enabled"}) {
		return http.StatusBadRequest, Error("AF20024", "The subscription is already enabled. No property change.")
	}
	s.subscriptions[name] = Subscription{Status: "enabled", Webhook: body.Webhook}
	return encoded(map[string]any{"contentType": name, "status": "enabled", "webhook": body.Webhook})
}

func (s *Server) validate(ctx context.Context, hook Webhook) error {
	code := fmt.Sprintf("v%d", time.Now().UnixNano())
	return s.post(ctx, hook, `{"validationCode":"`+code+`"}`, http.Header{"Webhook-Validationcode": {code}})
}

// Notify tells the webhook of a blob's content type about the blob. host is the server's own, as contentUri has it.
func (s *Server) Notify(ctx context.Context, host string, b Blob) error {
	hook := s.Subscription(b.Type).Webhook
	if hook == nil {
		return errors.New("the subscription has no webhook")
	}
	item := s.item(b, strings.TrimPrefix(host, "http://"))
	item["tenantId"], item["clientId"] = s.tenant, "5e1d9f30-7b2a-4c68-a1f4-6c0d8e3b9a32"
	raw, err := json.Marshal([]map[string]string{item})
	if err != nil {
		return fmt.Errorf("encoding a notification: %w", err)
	}
	return s.post(ctx, *hook, string(raw), http.Header{})
}

func (s *Server) post(ctx context.Context, hook Webhook, body string, header http.Header) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.Address, strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("building a notification: %w", err)
	}
	r.Header = header
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("Webhook-AuthID", hook.AuthID)
	answer, err := s.web.Do(r)
	if err != nil {
		return fmt.Errorf("notifying: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("notifying: the webhook answered %d", answer.StatusCode)
	}
	return nil
}

// Close ends the connections to webhooks.
func (s *Server) Close() { s.web.CloseIdleConnections() }
