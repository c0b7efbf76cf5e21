package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"cordon/internal/fault"
	"cordon/internal/graph"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
)

// Licences are the service plans that the tenant has and that are provisioned.
type Licences struct {
	Plans []string `json:"plans"`
}

var tenantLicences = Action{
	Spec: Spec{Name: "tenant.licences", Phase: "confirm", Summary: "Read which service plans the tenant has: some actions need Entra ID P1 or P2.",
		Says: "Read the licences of {target}", Target: "tenant", Permissions: []string{"LicenseAssignment.Read.All"}, Example: "- read: tenant.licences"},
	Read: func(ctx context.Context, c *Call) (any, error) {
		page, err := c.Access.Graph.Skus().Get(ctx, nil)
		if err != nil {
			return nil, fmt.Errorf("reading licences: %w", graph.Fault(err))
		}
		out := Licences{Plans: []string{}}
		for _, sku := range page.GetValue() {
			for _, plan := range sku.GetServicePlans() {
				if name := text(plan.GetServicePlanName()); text(plan.GetProvisioningStatus()) == "Success" && !slices.Contains(out.Plans, name) {
					out.Plans = append(out.Plans, name)
				}
			}
		}
		return out, nil
	},
}

// ConsentPolicy is what users may consent to by themselves.
type ConsentPolicy struct {
	Assigned []string `json:"assigned"`
	Open     bool     `json:"open"` // users may consent
}

// selfConsent begins the names of the policies that let users consent for themselves.
const selfConsent = "managepermissiongrantsforself."

func readConsentPolicy(ctx context.Context, g *graph.Client) (ConsentPolicy, error) {
	p, err := g.Policies().AuthorizationPolicy().Get(ctx, nil)
	if err != nil {
		return ConsentPolicy{}, fmt.Errorf("reading the authorization policy: %w", graph.Fault(err))
	}
	out := ConsentPolicy{Assigned: []string{}}
	if d := p.GetDefaultUserRolePermissions(); d != nil {
		out.Assigned = append(out.Assigned, d.GetPermissionGrantPoliciesAssigned()...)
	}
	out.Open = slices.ContainsFunc(out.Assigned, isSelfConsent)
	return out, nil
}

func isSelfConsent(name string) bool { return strings.HasPrefix(strings.ToLower(name), selfConsent) }

var tenantConsentPolicy = Action{
	Spec: Spec{Name: "tenant.consent-policy", Phase: "confirm", Summary: "Read whether users may consent to applications by themselves.",
		Says: "Read the consent policy of {target}", Target: "tenant", Permissions: []string{"Policy.Read.All"}, Example: "- read: tenant.consent-policy"},
	Read: func(ctx context.Context, c *Call) (any, error) { return readConsentPolicy(ctx, c.Access.Graph) },
}

// Source: domain notes, actions S4a. Only what lets users consent for themselves goes; the owners' entries stay.
var policyDisableUserConsent = Action{
	Spec: Spec{Name: "policy.disable-user-consent", Phase: "secure", Summary: "Users no longer consent to applications by themselves. Existing grants stay.",
		Says: "Stop users of {target} from consenting to applications", Target: "tenant", Permissions: []string{"Policy.ReadWrite.Authorization"}, Role: "Privileged Role Administrator",
		Blast: "every user of the tenant, for new applications", Verdict: "compromised", Footprint: []string{"Update authorization policy"}, Example: "- do: policy.disable-user-consent\n  approve: one"},
	Read: func(ctx context.Context, c *Call) (any, error) { return readConsentPolicy(ctx, c.Access.Graph) },
	Plan: func(ctx context.Context, c *Call, before json.RawMessage) ([]Request, error) {
		was, err := restore[ConsentPolicy](before)
		if err != nil {
			return nil, err
		}
		return setConsentPolicy(ctx, c, slices.DeleteFunc(slices.Clone(was.Assigned), isSelfConsent))
	},
	Verify: func(ctx context.Context, c *Call, _ json.RawMessage) (string, error) {
		p, err := readConsentPolicy(ctx, c.Access.Graph)
		if err == nil && p.Open {
			err = &fault.Fault{Class: fault.Retryable, Message: "users may still consent"}
		}
		return "users can no longer consent by themselves", err
	},
	Undo: func(ctx context.Context, c *Call, before json.RawMessage) ([]Request, error) {
		was, err := restore[ConsentPolicy](before)
		if err != nil {
			return nil, err
		}
		now, err := readConsentPolicy(ctx, c.Access.Graph)
		if err != nil {
			return nil, err
		}
		if now.Open {
			return nil, fault.Drift("somebody has let users consent meanwhile")
		}
		return setConsentPolicy(ctx, c, was.Assigned)
	},
}

func setConsentPolicy(ctx context.Context, c *Call, assigned []string) ([]Request, error) {
	d := models.NewDefaultUserRolePermissions()
	d.SetPermissionGrantPoliciesAssigned(assigned)
	body := models.NewAuthorizationPolicy()
	body.SetDefaultUserRolePermissions(d)
	r, err := c.Access.Graph.Plan(c.Access.Graph.Policies().AuthorizationPolicy().ToPatchRequestInformation(ctx, body, nil))
	return []Request{r}, err
}
