package actions

import (
	"context"
	"encoding/json"

	"cordon/internal/fault"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
)

var userDisable = Action{
	Spec: Spec{Name: "user.disable", Phase: "contain", Summary: "Block sign-in: no new token is issued; existing ones end by revoking.",
		Says: "Disable {target}", Target: "user", Permissions: []string{"User.EnableDisableAccount.All", "User.Read.All"},
		Role: "User Administrator; Privileged Authentication Administrator for administrators", Blast: "one user", Verdict: "compromised",
		Footprint: []string{"Disable account", "Update user"}, Example: "- do: user.disable"},
	Read: func(ctx context.Context, c *Call) (any, error) { return readUser(ctx, c.Access.Graph, c.Target().ID) },
	Plan: func(ctx context.Context, c *Call, _ json.RawMessage) ([]Request, error) {
		return setEnabled(ctx, c, false)
	},
	Verify: func(ctx context.Context, c *Call, _ json.RawMessage) (string, error) {
		u, err := readUser(ctx, c.Access.Graph, c.Target().ID)
		if err != nil {
			return "", err
		}
		if u.Enabled {
			return "", &fault.Fault{Class: fault.Retryable, Message: "the account reads as enabled"}
		}
		if u.Synced {
			return "disabled in the cloud; not contained on-premises: the next sync may enable it again", nil
		}
		return "the account reads as disabled", nil
	},
	Undo: func(ctx context.Context, c *Call, before json.RawMessage) ([]Request, error) {
		was, err := restore[User](before)
		if err != nil {
			return nil, err
		}
		now, err := readUser(ctx, c.Access.Graph, c.Target().ID)
		if err != nil {
			return nil, err
		}
		switch {
		case !was.Enabled:
			return nil, fault.Drift("the account was disabled before Cordon disabled it")
		case now.Enabled:
			return nil, fault.Drift("somebody has enabled the account meanwhile")
		}
		return setEnabled(ctx, c, true)
	},
}

// Source: domain notes, actions A2.
func setEnabled(ctx context.Context, c *Call, enabled bool) ([]Request, error) {
	body := models.NewUser()
	body.SetAccountEnabled(&enabled)
	r, err := c.Access.Graph.Plan(c.Access.Graph.Users().ByUserId(c.Target().ID).ToPatchRequestInformation(ctx, body, nil))
	return []Request{r}, err
}

var userEnable = Action{
	Spec: Spec{Name: "user.enable", Phase: "secure", Summary: "Let the user sign in again, once the recovery list is done.",
		Says: "Enable {target} again", Target: "user", Permissions: []string{"User.EnableDisableAccount.All", "User.Read.All"},
		Role: "User Administrator; Privileged Authentication Administrator for administrators", Blast: "one user", Returns: true,
		Footprint: []string{"Enable account", "Update user"}, Example: "- do: user.enable\n  approve: one"},
	Read: func(ctx context.Context, c *Call) (any, error) { return readUser(ctx, c.Access.Graph, c.Target().ID) },
	Plan: func(ctx context.Context, c *Call, before json.RawMessage) ([]Request, error) {
		u, err := restore[User](before)
		if err != nil {
			return nil, err
		}
		if !u.PasswordChanged.After(c.Incident.T0) {
			return nil, fault.Guard("the password was last changed %s, before the compromise began: reset it first", u.PasswordChanged.Format("2 January 15:04"))
		}
		for _, s := range c.Incident.Steps {
			if s.Phase == "contain" && s.WaitsForPerson() && s.Kind == "do" && s.Action != "partner.remove-dap" && s.Action != "partner.terminate-gdap" {
				return nil, fault.Guard("%s still waits: remove or refuse what changed since the compromise began first", s.Place)
			}
		}
		return setEnabled(ctx, c, true)
	},
	Verify: func(ctx context.Context, c *Call, _ json.RawMessage) (string, error) {
		u, err := readUser(ctx, c.Access.Graph, c.Target().ID)
		if err == nil && !u.Enabled {
			err = &fault.Fault{Class: fault.Retryable, Message: "the account reads as disabled"}
		}
		return "the account reads as enabled", err
	},
	Undo: func(ctx context.Context, c *Call, _ json.RawMessage) ([]Request, error) {
		return setEnabled(ctx, c, false)
	},
}
