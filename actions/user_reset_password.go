package actions

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"

	"cordon/internal/fault"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
)

// Source: domain notes, actions A3. The password is random and nobody reads it: the user gets in again by a
// temporary pass. Doing it twice makes another one, which is as good.
var userResetPassword = Action{
	Spec: Spec{Name: "user.reset-password", Phase: "contain", Summary: "Set a random password that nobody knows, so that enabling the account later is safe.",
		Says: "Reset the password of {target}", Target: "user", Permissions: []string{"User-PasswordProfile.ReadWrite.All"},
		Role: "User Administrator; Privileged Authentication Administrator for administrators", Blast: "one user", Verdict: "compromised",
		Irrevocable: "the old password is known to the attacker",
		Footprint:   []string{"Reset user password", "Reset password", "Update StsRefreshTokenValidFrom Timestamp", "Update user"},
		Example:     "- do: user.reset-password\n  when: not actor.synced"},
	Read: func(ctx context.Context, c *Call) (any, error) { return readUser(ctx, c.Access.Graph, c.Target().ID) },
	Plan: func(ctx context.Context, c *Call, before json.RawMessage) ([]Request, error) {
		u, err := restore[User](before)
		if err != nil {
			return nil, err
		}
		if u.Synced {
			return nil, fault.Guard("the password of a synced user is set on-premises")
		}
		password, err := randomPassword()
		if err != nil {
			return nil, err
		}
		force := true
		profile := models.NewPasswordProfile()
		profile.SetPassword(&password)
		profile.SetForceChangePasswordNextSignIn(&force)
		body := models.NewUser()
		body.SetPasswordProfile(profile)
		r, err := c.Access.Graph.Plan(c.Access.Graph.Users().ByUserId(c.Target().ID).ToPatchRequestInformation(ctx, body, nil))
		return []Request{r}, err
	},
	Verify: func(ctx context.Context, c *Call, before json.RawMessage) (string, error) {
		was, err := restore[User](before)
		if err != nil {
			return "", err
		}
		now, err := readUser(ctx, c.Access.Graph, c.Target().ID)
		if err == nil && !moved(c, was.PasswordChanged, now.PasswordChanged) {
			err = &fault.Fault{Class: fault.Retryable, Message: "the time of the password has not moved"}
		}
		return "the password is a new one", err
	},
}

// randomPassword has 128 bits of chance and the four kinds of characters that policies ask for.
func randomPassword() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("making a password: %w", err)
	}
	return fmt.Sprintf("Aa1!%x", b), nil
}
