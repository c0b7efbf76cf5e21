package actions

import (
	"context"
	"encoding/json"

	"cordon/internal/incident"
)

// Report is what report.write leaves in the incident: Markdown, as of its time.
type Report struct {
	Markdown string `json:"markdown"`
}

var reportWrite = Action{
	Spec: Spec{Name: "report.write", Phase: "improve", Summary: "Write the incident report: what happened, what was done, what is open.",
		Says: "Write the report", Target: "user", Blast: "nobody", Verdict: "suspicious", Irrevocable: "a report changes nothing", Example: "- do: report.write"},
	Read: func(_ context.Context, c *Call) (any, error) {
		return Report{Markdown: incident.Report(c.Incident, c.Clock.Now())}, nil
	},
	Plan: func(context.Context, *Call, json.RawMessage) ([]Request, error) { return nil, nil },
	Verify: func(context.Context, *Call, json.RawMessage) (string, error) {
		return "the report stands in the incident", nil
	},
}
