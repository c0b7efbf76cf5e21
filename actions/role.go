package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"cordon/internal/directory"
	"cordon/internal/fault"
	"cordon/internal/graph"
	"cordon/internal/record"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/rolemanagement"
)

// Source: domain notes, actions E1. Graph does not date an assignment: the audit stream does.
var userRoles = Action{
	Spec: Spec{Name: "user.roles", Phase: "confirm", Summary: "List the directory roles that are assigned, with the time where the audit stream says when.",
		Says: "Read the roles of {target}", Target: "user", Permissions: []string{"RoleManagement.Read.Directory"}, Example: "- read: user.roles"},
	Read: func(ctx context.Context, c *Call) (any, error) {
		roles, err := readRoles(ctx, c.Access.Graph, "principalId eq '"+odata(c.Target().ID)+"'")
		if err != nil {
			return nil, err
		}
		err = c.Records.Audit(ctx, c.Access.Tenant, c.Since(lookBack), func(r *record.Record) {
			if !strings.HasPrefix(strings.ToLower(r.Operation), "add") || !targets(r, c.Target().ID) {
				return
			}
			ids, _ := r.Roles()
			for i := range roles {
				for _, id := range ids {
					if strings.EqualFold(id, roles[i].Detail) && r.Time.After(roles[i].Changed) {
						roles[i].Changed = r.Time
					}
				}
			}
		})
		return Objects{roles}, err
	},
}

// odata escapes a literal of a filter.
func odata(s string) string { return strings.ReplaceAll(s, "'", "''") }

func readRoles(ctx context.Context, g *graph.Client, filter string) ([]Object, error) {
	page, err := g.Roles().RoleAssignments().Get(ctx, &rolemanagement.DirectoryRoleAssignmentsRequestBuilderGetRequestConfiguration{
		QueryParameters: &rolemanagement.DirectoryRoleAssignmentsRequestBuilderGetQueryParameters{Filter: &filter}})
	if err != nil {
		return nil, fmt.Errorf("reading role assignments: %w", graph.Fault(err))
	}
	var out []Object
	err = graph.Each(ctx, g, page, models.CreateUnifiedRoleAssignmentCollectionResponseFromDiscriminatorValue, func(a models.UnifiedRoleAssignmentable) {
		id := text(a.GetRoleDefinitionId()) // a built-in role's definition id is its template id
		out = append(out, Object{ID: text(a.GetId()), Type: "role", Label: directory.RoleName(directory.Role{ID: id}), On: text(a.GetPrincipalId()), Detail: id, Scope: text(a.GetDirectoryScopeId())})
	})
	if err != nil {
		return nil, fmt.Errorf("reading role assignments: %w", err)
	}
	return out, nil
}

// Source: domain notes, actions A7.
var roleRemove = Action{
	Spec: Spec{Name: "role.remove", Phase: "contain", Summary: "Take a directory role away.",
		Says: "Take the role {target} away", Target: "role", Params: []Param{{Name: "user", Summary: "who holds it", Required: true}, {Name: "role", Summary: "its template id"}},
		Permissions: []string{"RoleManagement.ReadWrite.Directory"}, Role: "Privileged Role Administrator", Blast: "one user", Verdict: "compromised",
		Footprint: []string{"Remove member from role", "Remove member from role in PIM completed (permanent)"},
		Example:   "- do: role.remove\n  for-each: changedAfter(evidence.roles, t0)"},
	Read: func(ctx context.Context, c *Call) (any, error) {
		roles, err := readRoles(ctx, c.Access.Graph, "principalId eq '"+odata(c.Param("user"))+"'")
		return Objects{roles}, err
	},
	Plan: func(ctx context.Context, c *Call, before json.RawMessage) ([]Request, error) {
		have, err := restore[Objects](before)
		if err != nil {
			return nil, err
		}
		var out []Request
		for _, role := range assigned(have.Objects, c) {
			r, err := c.Access.Graph.Plan(c.Access.Graph.Roles().RoleAssignments().ByUnifiedRoleAssignmentId(role.ID).ToDeleteRequestInformation(ctx, nil))
			if err != nil {
				return nil, err
			}
			out = append(out, r.GoneIsDone())
		}
		return out, nil
	},
	Verify: func(ctx context.Context, c *Call, _ json.RawMessage) (string, error) {
		roles, err := readRoles(ctx, c.Access.Graph, "principalId eq '"+odata(c.Param("user"))+"'")
		if err == nil && len(assigned(roles, c)) > 0 {
			err = &fault.Fault{Class: fault.Retryable, Message: "the role is still assigned"}
		}
		return "the role is no longer assigned", err
	},
	Undo: func(ctx context.Context, c *Call, before json.RawMessage) ([]Request, error) {
		was, err := restore[Objects](before)
		if err != nil {
			return nil, err
		}
		now, err := readRoles(ctx, c.Access.Graph, "principalId eq '"+odata(c.Param("user"))+"'")
		if err != nil {
			return nil, err
		}
		if len(assigned(now, c)) > 0 {
			return nil, fault.Drift("the role has been assigned again meanwhile")
		}
		var out []Request
		for _, role := range assigned(was.Objects, c) {
			body, scope := models.NewUnifiedRoleAssignment(), role.Scope
			if scope == "" {
				return nil, fault.Drift("the scope of the role was not recorded")
			}
			body.SetPrincipalId(&role.On)
			body.SetRoleDefinitionId(&role.Detail)
			body.SetDirectoryScopeId(&scope)
			r, err := c.Access.Graph.Plan(c.Access.Graph.Roles().RoleAssignments().ToPostRequestInformation(ctx, body, nil))
			if err != nil {
				return nil, err
			}
			out = append(out, r)
		}
		return out, nil
	},
}

// assigned picks the assignment that a step means: by its id, or, for an account that was made by the attacker,
// every one it holds.
func assigned(roles []Object, c *Call) []Object {
	var out []Object
	for _, r := range roles {
		if strings.EqualFold(r.ID, c.Target().ID) || strings.EqualFold(c.Target().ID, c.Param("user")) {
			out = append(out, r)
		}
	}
	return out
}
