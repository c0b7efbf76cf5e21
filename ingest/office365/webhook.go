package office365

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"
)

const (
	maxNotification  = 1 << 20
	notificationTime = 10 * time.Second
)

// Webhook is where Microsoft posts that there is new content; it is mounted at the address that the configuration
// names. It believes nothing beyond that: a notification makes the next listing early, and what the listing says is
// read, so that a forged one can do no more.
func (s *Source) Webhook() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hook := s.cfg.Webhook
		if hook == nil {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "a notification is a POST", http.StatusMethodNotAllowed)
			return
		}
		if !same(r.Header.Get("Webhook-AuthID"), hook.AuthID) {
			http.Error(w, "the Webhook-AuthID is not the one that was agreed on", http.StatusForbidden)
			return
		}
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(time.Now().Add(notificationTime)) // a recorder has none
		defer func() { _ = control.SetReadDeadline(time.Time{}) }()
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxNotification))
		if err != nil {
			status := http.StatusBadRequest
			var large *http.MaxBytesError
			if errors.As(err, &large) {
				status = http.StatusRequestEntityTooLarge
			}
			http.Error(w, "the notification cannot be read", status)
			return
		}
		content, err := s.notified(body, r.Header.Get("Webhook-ValidationCode"))
		if err != nil {
			s.log.Warn("refusing a notification of Office 365", zap.Error(err))
			http.Error(w, "the notification is not one of this tenant's feed", http.StatusBadRequest)
			return
		}
		for _, reader := range s.readers {
			if content[reader.content] {
				signal(reader.woken)
			}
		}
		w.WriteHeader(http.StatusOK)
	})
}

// same compares secrets in a time that depends on neither.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// notified reads a notification: the content types that have something new; none where it only asks whether somebody
// is there.
func (s *Source) notified(body []byte, validation string) (map[string]bool, error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	if validation != "" || len(body) > 0 && body[0] == '{' {
		var asked struct {
			ValidationCode string `json:"validationCode"`
		}
		if err := json.Unmarshal(body, &asked); err != nil {
			return nil, fmt.Errorf("reading a validation: %w", err)
		}
		if asked.ValidationCode == "" || validation == "" || !same(asked.ValidationCode, validation) {
			return nil, errors.New("reading a validation: its code is not that of its header")
		}
		return nil, nil
	}
	var items []struct {
		TenantID    string `json:"tenantId"`
		ContentType string `json:"contentType"`
		ContentURI  string `json:"contentUri"`
	}
	if err := json.Unmarshal(body, &items); err != nil {
		return nil, fmt.Errorf("reading a notification: %w", err)
	}
	content := map[string]bool{}
	for _, it := range items {
		if !strings.EqualFold(it.TenantID, s.cfg.Tenant) {
			return nil, fmt.Errorf("reading a notification: it is for tenant %q", clip(it.TenantID))
		}
		if _, err := s.api.own(it.ContentURI); err != nil {
			return nil, fmt.Errorf("reading a notification: contentUri: %w", err)
		}
		content[it.ContentType] = true
	}
	return content, nil
}
