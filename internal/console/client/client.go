// Package client speaks the console's HTTP API, for the commands that act on a running Cordon and for tests.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"cordon/internal/console"
	"cordon/internal/incident"
)

// Client is one analyst's way to a running Cordon.
type Client struct {
	Base  string
	Token string
	web   http.Client
}

// New returns a client.
func New(base, token string) *Client {
	return &Client{Base: base, Token: token, web: http.Client{}}
}

// patience is how long an answer may take.
const patience = 15 * time.Second

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// Refused is an answer that says no, in words for a person.
type Refused struct {
	Status int
	console.Answer
}

func (r *Refused) Error() string { return r.Answer.Error }

// List lists all incidents.
func (c *Client) List(ctx context.Context) ([]console.Summary, error) {
	var out []console.Summary
	err := c.call(ctx, http.MethodGet, "/api/v1/incidents", nil, &out)
	return out, err
}

// Show returns one incident as it stands.
func (c *Client) Show(ctx context.Context, number uint64) (*incident.Incident, error) {
	var out incident.Incident
	return &out, c.call(ctx, http.MethodGet, fmt.Sprintf("/api/v1/incidents/%d", number), nil, &out)
}

// Search asks for a search of the unified audit log for an incident's principal, so many days back.
func (c *Client) Search(ctx context.Context, number uint64, days int) error {
	return c.call(ctx, http.MethodPost, fmt.Sprintf("/api/v1/incidents/%d/search", number), console.SearchRequest{Days: days}, nil)
}

// Decide sends a decision. Where it gives access back, confirm is asked; it must say yes for Decide to go on.
func (c *Client) Decide(ctx context.Context, number uint64, d console.Decision, confirm func() bool) error {
	path := fmt.Sprintf("/api/v1/incidents/%d/decisions", number)
	err := c.call(ctx, http.MethodPost, path, d, nil)
	refused, ok := err.(*Refused)
	if !ok || refused.Status != http.StatusPreconditionRequired || confirm == nil || !confirm() {
		return err
	}
	d.Confirm = refused.Challenge
	return c.call(ctx, http.MethodPost, path, d, nil)
}

func (c *Client) call(ctx context.Context, method, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.patiently(ctx, method, path, body, into)
}

// patiently is call without a time of its own.
func (c *Client) patiently(ctx context.Context, method, path string, body, into any) error {
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encoding a request: %w", err)
		}
		in = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.Base+path, in)
	if err != nil {
		return fmt.Errorf("building a request: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+c.Token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := c.web.Do(r)
	if err != nil {
		return fmt.Errorf("asking Cordon: %w", err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading Cordon's answer: %w", err)
	}
	if answer.StatusCode/100 != 2 {
		refused := &Refused{Status: answer.StatusCode}
		if err := json.Unmarshal(data, &refused.Answer); err != nil {
			return fmt.Errorf("asking Cordon: it answered %s", answer.Status)
		}
		return refused
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("reading Cordon's answer: %w", err)
	}
	return nil
}
