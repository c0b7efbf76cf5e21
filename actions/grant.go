package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"cordon/internal/fault"
	"cordon/internal/graph"
	"cordon/internal/record"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/oauth2permissiongrants"
)

// Grant is a delegated permission grant, whole: what undo posts again.
type Grant struct {
	Object
	Client    string `json:"client"`
	Consent   string `json:"consent"` // AllPrincipals or Principal
	Principal string `json:"principal,omitempty"`
	Resource  string `json:"resource"`
	Scope     string `json:"scope"`
}

// Grants is a list of them.
type Grants struct {
	Objects []Grant `json:"objects"`
}

func readGrants(ctx context.Context, g *graph.Client, filter string) ([]Grant, error) {
	page, err := g.Grants().Get(ctx, &oauth2permissiongrants.Oauth2PermissionGrantsRequestBuilderGetRequestConfiguration{
		QueryParameters: &oauth2permissiongrants.Oauth2PermissionGrantsRequestBuilderGetQueryParameters{Filter: &filter}})
	if err != nil {
		return nil, fmt.Errorf("reading grants: %w", graph.Fault(err))
	}
	var out []Grant
	err = graph.Each(ctx, g, page, models.CreateOAuth2PermissionGrantCollectionResponseFromDiscriminatorValue, func(x models.OAuth2PermissionGrantable) {
		gr := Grant{Client: text(x.GetClientId()), Consent: text(x.GetConsentType()), Principal: text(x.GetPrincipalId()), Resource: text(x.GetResourceId()), Scope: strings.TrimSpace(text(x.GetScope()))}
		gr.Object = Object{ID: text(x.GetId()), Type: "grant", Label: gr.Scope, On: gr.Client, Detail: gr.Consent}
		if gr.Consent == "AllPrincipals" {
			gr.Label += " for everyone"
		}
		out = append(out, gr)
	})
	if err != nil {
		return nil, fmt.Errorf("reading grants: %w", err)
	}
	return out, nil
}

// dateGrants takes from the audit stream when a client's permissions were given: grants themselves carry no date.
func dateGrants(ctx context.Context, c *Call, grants []Grant) error {
	return c.Records.Audit(ctx, c.Access.Tenant, c.Since(lookBack), func(r *record.Record) {
		if !r.Consent().Known || r.Result() == "failure" || strings.HasPrefix(r.Operation, "Remove") {
			return
		}
		client, _ := r.Change("ServicePrincipal.ObjectID")
		for i, g := range grants {
			if (targets(r, g.Client) || strings.EqualFold(client.New, g.Client)) && r.Time.After(g.Changed) {
				grants[i].Changed = r.Time
			}
		}
	})
}

// Source: domain notes, actions E7.
var userGrants = Action{
	Spec: Spec{Name: "user.grants", Phase: "confirm", Summary: "List the permissions that the user gave to applications.",
		Says: "Read the grants of {target}", Target: "user", Permissions: []string{"Directory.Read.All"}, Example: "- read: user.grants"},
	Read: func(ctx context.Context, c *Call) (any, error) {
		return datedGrants(ctx, c, "principalId eq '"+odata(c.Target().ID)+"'")
	},
}

var applicationGrants = Action{
	Spec: Spec{Name: "application.grants", Phase: "confirm", Summary: "List the delegated permissions that the application has.",
		Says: "Read the grants of {target}", Target: "servicePrincipal", Permissions: []string{"Directory.Read.All"}, Example: "- read: application.grants"},
	Read: func(ctx context.Context, c *Call) (any, error) {
		return datedGrants(ctx, c, "clientId eq '"+odata(c.Target().ID)+"'")
	},
}

func datedGrants(ctx context.Context, c *Call, filter string) (any, error) {
	grants, err := readGrants(ctx, c.Access.Graph, filter)
	if err == nil {
		err = dateGrants(ctx, c, grants)
	}
	return Grants{grants}, err
}

// Source: domain notes, actions A10.
var grantDelete = Action{
	Spec: Spec{Name: "grant.delete", Phase: "contain", Summary: "Take delegated permissions away from an application.",
		Says: "Delete the grant {target}", Target: "grant", Params: []Param{{Name: "application", Summary: "object id of the service principal that has it", Required: true}},
		Permissions: []string{"DelegatedPermissionGrant.ReadWrite.All"}, Role: "Cloud Application Administrator", Blast: "everybody who uses the application", Verdict: "compromised",
		Footprint: []string{"Remove delegated permission grant", "Remove OAuth2PermissionGrant"}, Example: "- do: grant.delete\n  for-each: evidence.grants\n  approve: one"},
	Read: func(ctx context.Context, c *Call) (any, error) {
		grants, err := readGrants(ctx, c.Access.Graph, "clientId eq '"+odata(c.Param("application"))+"'")
		return Grants{grants}, err
	},
	Plan: func(ctx context.Context, c *Call, _ json.RawMessage) ([]Request, error) {
		r, err := c.Access.Graph.Plan(c.Access.Graph.Grants().ByOAuth2PermissionGrantId(c.Target().ID).ToDeleteRequestInformation(ctx, nil))
		return []Request{r.GoneIsDone()}, err
	},
	Verify: func(ctx context.Context, c *Call, _ json.RawMessage) (string, error) {
		grants, err := readGrants(ctx, c.Access.Graph, "clientId eq '"+odata(c.Param("application"))+"'")
		if err == nil && find(grants, c.Target().ID) != nil {
			err = &fault.Fault{Class: fault.Retryable, Message: "the grant is still listed"}
		}
		return "the grant is no longer listed", err
	},
	Undo: func(ctx context.Context, c *Call, before json.RawMessage) ([]Request, error) {
		was, err := restore[Grants](before)
		if err != nil {
			return nil, err
		}
		g := find(was.Objects, c.Target().ID)
		if g == nil {
			return nil, fault.Drift("the grant was gone before Cordon deleted it")
		}
		now, err := readGrants(ctx, c.Access.Graph, "clientId eq '"+odata(c.Param("application"))+"'")
		if err != nil {
			return nil, err
		}
		for _, other := range now {
			if other.Resource == g.Resource && other.Consent == g.Consent && other.Principal == g.Principal {
				return nil, fault.Drift("permissions on the same resource have been granted meanwhile")
			}
		}
		body := models.NewOAuth2PermissionGrant()
		body.SetClientId(&g.Client)
		body.SetConsentType(&g.Consent)
		if g.Principal != "" {
			body.SetPrincipalId(&g.Principal)
		}
		body.SetResourceId(&g.Resource)
		body.SetScope(&g.Scope)
		r, err := c.Access.Graph.Plan(c.Access.Graph.Grants().ToPostRequestInformation(ctx, body, nil))
		return []Request{r}, err
	},
}

func find(grants []Grant, id string) *Grant {
	for i := range grants {
		if grants[i].ID == id {
			return &grants[i]
		}
	}
	return nil
}
