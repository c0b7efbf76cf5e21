package actions

import (
	"context"
	"encoding/json"
	"time"

	"cordon/internal/fault"
)

// Source: domain notes, actions A1, limits 5.2. It never waits for disabling: where that is refused, revoking must
// still run.
var userRevokeSessions = Action{
	Spec: Spec{Name: "user.revoke-sessions", Phase: "contain", Summary: "Void every refresh token and browser session; access tokens live on for up to an hour, less where evaluated continuously.",
		Says: "Revoke the sessions of {target}", Target: "user", Permissions: []string{"User.RevokeSessions.All"},
		Blast: "one user signs in again", Verdict: "suspicious", Irrevocable: "the user simply signs in again",
		Footprint: []string{"Update StsRefreshTokenValidFrom Timestamp", "Update user"}, Example: "- do: user.revoke-sessions\n  again-after: 5m"},
	Read: func(ctx context.Context, c *Call) (any, error) { return readUser(ctx, c.Access.Graph, c.Target().ID) },
	Plan: func(ctx context.Context, c *Call, _ json.RawMessage) ([]Request, error) {
		r, err := c.Access.Graph.Plan(c.Access.Graph.Users().ByUserId(c.Target().ID).RevokeSignInSessions().ToPostRequestInformation(ctx, nil))
		return []Request{r}, err
	},
	Verify: func(ctx context.Context, c *Call, before json.RawMessage) (string, error) {
		was, err := restore[User](before)
		if err != nil {
			return "", err
		}
		now, err := readUser(ctx, c.Access.Graph, c.Target().ID)
		if err != nil {
			return "", err
		}
		if now.Guest {
			return "a guest's sessions at home are beyond reach: tell the home tenant", nil
		}
		if !moved(c, was.SessionsFrom, now.SessionsFrom) {
			return "", &fault.Fault{Class: fault.Retryable, Message: "the time from which sessions are valid has not moved"}
		}
		return "sessions from before " + now.SessionsFrom.Format(time.TimeOnly) + " are void", nil
	},
}
