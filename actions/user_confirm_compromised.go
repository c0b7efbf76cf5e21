package actions

import (
	"context"
	"encoding/json"

	"github.com/microsoftgraph/msgraph-sdk-go/identityprotection"
)

// Source: domain notes, actions A6. One request a second a tenant for all applications, and a 429 without
// Retry-After: the worker waits on its own.
var userConfirmCompromised = Action{
	Spec: Spec{Name: "user.confirm-compromised", Phase: "contain", Summary: "Set the user's risk to high, so that risk policies and continuous access evaluation react.",
		Says: "Mark {target} as compromised in Identity Protection", Target: "user", Permissions: []string{"IdentityRiskyUser.ReadWrite.All"},
		Licence: "Entra ID P2", Blast: "one user", Verdict: "compromised",
		Footprint: []string{"ConfirmAccountCompromised", "ConfirmCompromised"}, Example: "- do: user.confirm-compromised\n  when: '\"AAD_PREMIUM_P2\" in tenant.licences'"},
	Read: func(ctx context.Context, c *Call) (any, error) { return readUser(ctx, c.Access.Graph, c.Target().ID) },
	Plan: func(ctx context.Context, c *Call, _ json.RawMessage) ([]Request, error) {
		body := identityprotection.NewRiskyUsersConfirmCompromisedPostRequestBody()
		body.SetUserIds([]string{c.Target().ID})
		r, err := c.Access.Graph.Plan(c.Access.Graph.IdentityProtection().RiskyUsers().ConfirmCompromised().ToPostRequestInformation(ctx, body, nil))
		return []Request{r}, err
	},
	Verify: func(context.Context, *Call, json.RawMessage) (string, error) {
		return "Identity Protection took it; the risk shows within minutes", nil
	},
	Undo: func(ctx context.Context, c *Call, _ json.RawMessage) ([]Request, error) {
		body := identityprotection.NewRiskyUsersDismissPostRequestBody()
		body.SetUserIds([]string{c.Target().ID})
		r, err := c.Access.Graph.Plan(c.Access.Graph.IdentityProtection().RiskyUsers().Dismiss().ToPostRequestInformation(ctx, body, nil))
		return []Request{r}, err
	},
}
