package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"cordon/internal/fault"
	"cordon/internal/graph"
	"github.com/google/uuid"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/tenantrelationships"
)

// Partners is what a partner of ours may do in the tenant.
type Partners struct {
	Partner string   `json:"partner,omitempty"` // the partner's tenant
	DAP     bool     `json:"dap"`
	Objects []Object `json:"objects"` // GDAP relationships that are active
}

// Source: domain notes, actions E13, E14. Seen from the partner's side: the customer's Graph does not show it.
var tenantPartners = Action{
	Spec: Spec{Name: "tenant.partners", Phase: "confirm", Summary: "Ask Partner Center and the partner's Graph what delegated access to this tenant is on.",
		Says: "Read the partner's access to {target}", Target: "tenant", Permissions: []string{"DelegatedAdminRelationship.Read.All"}, Example: "- read: tenant.partners"},
	Read: func(ctx context.Context, c *Call) (any, error) {
		p := c.Access.Partner
		if p == nil {
			return Partners{}, nil
		}
		out := Partners{Partner: p.Tenant}
		dap, err := readDAP(ctx, c)
		if err != nil {
			return nil, err
		}
		out.DAP = dap
		out.Objects, err = readRelationships(ctx, c)
		return out, err
	},
}

func readDAP(ctx context.Context, c *Call) (bool, error) {
	switch {
	case c.Access.Partner == nil:
		return false, nil
	case c.Access.Partner.Center == nil:
		return false, fault.Guard("the configuration names no access to Partner Center: whether DAP is on cannot be told")
	}
	customer, err := c.Access.Partner.Center.Customer(ctx, c.Access.Tenant)
	if err != nil {
		return false, fmt.Errorf("asking Partner Center: %w", err)
	}
	return isTrue(customer.AllowDelegatedAccess), nil
}

func readRelationships(ctx context.Context, c *Call) ([]Object, error) {
	p := c.Access.Partner
	if p == nil || p.Graph == nil {
		return nil, nil
	}
	filter := "(status eq 'active') AND (customer/tenantId eq '" + odata(c.Access.Tenant) + "')"
	page, err := p.Graph.Relationships().Get(ctx, &tenantrelationships.DelegatedAdminRelationshipsRequestBuilderGetRequestConfiguration{
		QueryParameters: &tenantrelationships.DelegatedAdminRelationshipsRequestBuilderGetQueryParameters{Filter: &filter}})
	if err != nil {
		return nil, fmt.Errorf("reading GDAP relationships: %w", graph.Fault(err))
	}
	var out []Object
	err = graph.Each(ctx, p.Graph, page, models.CreateDelegatedAdminRelationshipCollectionResponseFromDiscriminatorValue, func(r models.DelegatedAdminRelationshipable) {
		out = append(out, Object{ID: text(r.GetId()), Type: "relationship", Label: text(r.GetDisplayName()), On: p.Tenant, Changed: when(r.GetActivatedDateTime())})
	})
	if err != nil {
		return nil, fmt.Errorf("reading GDAP relationships: %w", err)
	}
	return out, nil
}

// Source: domain notes, actions A15. Terminating is asynchronous, and not idempotent in effect: a relationship
// that is no longer active is left alone.
var partnerTerminateGDAP = Action{
	Spec: Spec{Name: "partner.terminate-gdap", Phase: "contain", Summary: "End a partner's granular delegated admin relationship with this tenant.",
		Says: "Terminate the GDAP relationship {target}", Target: "relationship", Permissions: []string{"DelegatedAdminRelationship.ReadWrite.All"}, Tier0: true,
		Blast: "the partner's people lose their way into this tenant", Verdict: "compromised",
		Irrevocable: "a new relationship must be requested by the partner and approved by a Global Administrator of the customer",
		Example:     "- do: partner.terminate-gdap\n  for-each: evidence.gdap\n  approve: two\n  after: previous"},
	Read: func(ctx context.Context, c *Call) (any, error) {
		open, err := readRelationships(ctx, c)
		return Partners{Objects: open}, err
	},
	Plan: func(ctx context.Context, c *Call, before json.RawMessage) ([]Request, error) {
		was, err := restore[Partners](before)
		if err != nil {
			return nil, err
		}
		if !has(was.Objects, c.Target().ID) {
			return nil, nil // ends already
		}
		body := models.NewDelegatedAdminRelationshipRequest()
		terminate := models.TERMINATE_DELEGATEDADMINRELATIONSHIPREQUESTACTION
		body.SetAction(&terminate)
		g := c.Access.Partner.Graph
		r, err := g.Plan(g.Relationships().ByDelegatedAdminRelationshipId(c.Target().ID).Requests().ToPostRequestInformation(ctx, body, nil))
		return []Request{r}, err
	},
	Verify: func(ctx context.Context, c *Call, _ json.RawMessage) (string, error) {
		r, err := c.Access.Partner.Graph.Relationships().ByDelegatedAdminRelationshipId(c.Target().ID).Get(ctx, nil)
		if err != nil {
			return "", fmt.Errorf("reading the relationship: %w", graph.Fault(err))
		}
		status := "unknown"
		if s := r.GetStatus(); s != nil {
			status = s.String()
		}
		if !strings.HasPrefix(status, "terminat") {
			return "", &fault.Fault{Class: fault.Retryable, Message: "the relationship is " + status}
		}
		if status != "terminated" {
			return "", &fault.Fault{Class: fault.Retryable, Message: "the relationship is being terminated (" + status + ")"}
		}
		return "the relationship is terminated; tokens that were issued live on for up to an hour", nil
	},
}

// Source: domain notes, actions A16. Only Partner Center can do it, with a partner's token that has passed MFA.
var partnerRemoveDAP = Action{
	Spec: Spec{Name: "partner.remove-dap", Phase: "contain", Summary: "Switch the partner's delegated admin privileges off: its Admin Agents are no longer Global Administrators here.",
		Says: "Remove the partner's delegated admin privileges (DAP) on {target}", Target: "tenant", Permissions: nil,
		Role: "Admin agent of the partner, App+User with MFA (Partner Center)", Tier0: true, Blast: "the partner's people lose their way into this tenant", Verdict: "compromised",
		Irrevocable: "DAP can no longer be granted; ask the customer for GDAP", Footprint: []string{"Remove partner from company"},
		Example: "- do: partner.remove-dap\n  when: tenant.dap\n  approve: two\n  after: previous"},
	Read: func(ctx context.Context, c *Call) (any, error) {
		dap, err := readDAP(ctx, c)
		return Partners{DAP: dap}, err
	},
	Plan: func(ctx context.Context, c *Call, before json.RawMessage) ([]Request, error) {
		was, err := restore[Partners](before)
		if err != nil || !was.DAP {
			return nil, err
		}
		// The same id for every attempt: Partner Center then knows a repetition.
		id := uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "cordon/%d/%s/%d", c.Incident.Number, c.Step.Place, c.Step.Round))
		return []Request{c.Access.Partner.Center.RemoveDAP(c.Access.Tenant, id.String())}, nil
	},
	Verify: func(ctx context.Context, c *Call, _ json.RawMessage) (string, error) {
		dap, err := readDAP(ctx, c)
		if err == nil && dap {
			err = &fault.Fault{Class: fault.Retryable, Message: "Partner Center still reads delegated access as allowed"}
		}
		return "Partner Center reads delegated access as off; Azure role assignments of the partner are apart from it", err
	},
}
