package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"cordon/internal/difference"
)

// silence is how long a replay may say nothing: it tells how far it has come every second.
const silence = time.Minute

// ReplayRecords runs stored records through rules again, and returns in what the findings differ. It ends with ctx.
func (c *Client) ReplayRecords(ctx context.Context, ask difference.Request, told func(difference.Progress)) (*difference.Report, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(silence, func() { cancel(errors.New("the running Cordon says nothing any more")) })
	defer quiet.Stop()
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, fmt.Errorf("encoding a request: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+"/api/v1/replay", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("building a request: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+c.Token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := c.web.Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking Cordon: %w", err)
	}
	defer answer.Body.Close()
	dec := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer))
	if answer.StatusCode/100 != 2 {
		refused := &Refused{Status: answer.StatusCode}
		if err := dec.Decode(&refused.Answer); err != nil {
			return nil, fmt.Errorf("asking Cordon: it answered %s", answer.Status)
		}
		return nil, refused
	}
	for {
		var line difference.Line
		if err := dec.Decode(&line); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return nil, fmt.Errorf("reading Cordon's answer: %w", err)
		}
		quiet.Reset(silence)
		switch {
		case line.Report != nil:
			return line.Report, nil
		case line.Error != "":
			return nil, errors.New(line.Error)
		case line.Progress != nil && told != nil:
			told(*line.Progress)
		}
	}
}
