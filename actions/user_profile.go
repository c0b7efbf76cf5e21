package actions

import (
	"context"
	"fmt"
	"time"

	"cordon/internal/graph"
	"github.com/microsoftgraph/msgraph-sdk-go/users"
)

// User is a user's state as far as containment cares.
type User struct {
	ID              string    `json:"id"`
	UPN             string    `json:"upn"`
	Name            string    `json:"name,omitempty"`
	Enabled         bool      `json:"enabled"`
	Synced          bool      `json:"synced"` // from on-premises: a cloud change is overwritten by the next sync
	Guest           bool      `json:"guest,omitempty"`
	SessionsFrom    time.Time `json:"sessionsFrom,omitzero"` // sessions from before are void
	PasswordChanged time.Time `json:"passwordChanged,omitzero"`
	Created         time.Time `json:"created,omitzero"`
}

// Source for the properties: domain notes, actions E1.
func readUser(ctx context.Context, g *graph.Client, id string) (User, error) {
	u, err := g.Users().ByUserId(id).Get(ctx, &users.UserItemRequestBuilderGetRequestConfiguration{
		QueryParameters: &users.UserItemRequestBuilderGetQueryParameters{Select: []string{"id", "userPrincipalName", "displayName", "accountEnabled",
			"userType", "onPremisesSyncEnabled", "signInSessionsValidFromDateTime", "lastPasswordChangeDateTime", "createdDateTime"}}})
	if err != nil {
		return User{}, fmt.Errorf("reading user: %w", graph.Fault(err))
	}
	return User{ID: text(u.GetId()), UPN: text(u.GetUserPrincipalName()), Name: text(u.GetDisplayName()), Enabled: isTrue(u.GetAccountEnabled()),
		Synced: isTrue(u.GetOnPremisesSyncEnabled()), Guest: text(u.GetUserType()) == "Guest",
		SessionsFrom: when(u.GetSignInSessionsValidFromDateTime()), PasswordChanged: when(u.GetLastPasswordChangeDateTime()),
		Created: when(u.GetCreatedDateTime())}, nil
}

// moved says whether a time that a change sets has moved: beyond what it was, or to when the step began (clocks may
// differ by a few seconds, and Graph's times are whole ones).
func moved(c *Call, was, now time.Time) bool {
	if now.After(was) {
		return true
	}
	s := c.Incident.Step(c.Step.Place)
	return s != nil && !s.StartedAt.IsZero() && !now.Before(s.StartedAt.Add(-5*time.Second))
}

var userProfile = Action{
	Spec: Spec{Name: "user.profile", Phase: "confirm", Summary: "Read the account: enabled, synced from on-premises, sessions, password age.",
		Says: "Read the account of {target}", Target: "user", Permissions: []string{"User.Read.All"}, Example: "- read: user.profile"},
	Read: func(ctx context.Context, c *Call) (any, error) { return readUser(ctx, c.Access.Graph, c.Target().ID) },
}
