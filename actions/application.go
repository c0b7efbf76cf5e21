package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"cordon/internal/fault"
	"cordon/internal/graph"
	"github.com/google/uuid"
	"github.com/microsoftgraph/msgraph-sdk-go/applications"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/serviceprincipals"
)

// Application is a service principal and, where it lives in this tenant, its application.
type Application struct {
	ID          string    `json:"id"` // of the service principal
	AppID       string    `json:"appId"`
	Name        string    `json:"name"`
	Enabled     bool      `json:"enabled"`
	Application string    `json:"application,omitempty"` // the application object's id
	Credentials []Object  `json:"credentials,omitempty"` // on both
	Created     time.Time `json:"created,omitzero"`
}

// Source: domain notes, actions E10. Credentials can sit on the service principal and on the application.
func readApplication(ctx context.Context, g *graph.Client, id string) (Application, error) {
	var app Application
	sp, err := g.ServicePrincipals().ByServicePrincipalId(id).Get(ctx, &serviceprincipals.ServicePrincipalItemRequestBuilderGetRequestConfiguration{
		QueryParameters: &serviceprincipals.ServicePrincipalItemRequestBuilderGetQueryParameters{
			Select: []string{"id", "appId", "displayName", "accountEnabled", "passwordCredentials", "keyCredentials"}}})
	filter := "id eq '" + odata(id) + "'" // credentials may be on an application that has no service principal here
	switch {
	case err == nil:
		app = Application{ID: text(sp.GetId()), AppID: text(sp.GetAppId()), Name: text(sp.GetDisplayName()), Enabled: isTrue(sp.GetAccountEnabled())}
		app.Credentials = credentials(app.ID, "servicePrincipal", sp.GetPasswordCredentials(), sp.GetKeyCredentials())
		filter = "appId eq '" + odata(app.AppID) + "'"
	case fault.Of(graph.Fault(err)) != fault.NotFound:
		return app, fmt.Errorf("reading service principal: %w", graph.Fault(err))
	}
	page, appErr := g.Applications().Get(ctx, &applications.ApplicationsRequestBuilderGetRequestConfiguration{
		QueryParameters: &applications.ApplicationsRequestBuilderGetQueryParameters{Filter: &filter,
			Select: []string{"id", "appId", "displayName", "passwordCredentials", "keyCredentials"}}})
	if appErr != nil {
		return app, fmt.Errorf("reading application: %w", graph.Fault(appErr))
	}
	for _, a := range page.GetValue() {
		app.Application, app.AppID = text(a.GetId()), text(a.GetAppId())
		if app.Name == "" {
			app.Name = text(a.GetDisplayName())
		}
		app.Credentials = append(app.Credentials, credentials(app.Application, "application", a.GetPasswordCredentials(), a.GetKeyCredentials())...)
	}
	if app.ID == "" && app.Application == "" {
		return app, fmt.Errorf("reading service principal: %w", graph.Fault(err))
	}
	return app, nil
}

func credentials(on, kind string, passwords []models.PasswordCredentialable, keys []models.KeyCredentialable) []Object {
	var out []Object
	for _, p := range passwords {
		out = append(out, Object{ID: keyID(p.GetKeyId()), Type: "password", Label: "secret " + text(p.GetDisplayName()), On: on, Detail: kind, Changed: when(p.GetStartDateTime())})
	}
	for _, k := range keys {
		out = append(out, Object{ID: keyID(k.GetKeyId()), Type: "certificate", Label: "certificate " + text(k.GetDisplayName()), On: on, Detail: kind, Changed: when(k.GetStartDateTime())})
	}
	return out
}

func keyID(id *uuid.UUID) string {
	if id == nil {
		return ""
	}
	return id.String()
}

var applicationProfile = Action{
	Spec: Spec{Name: "application.profile", Phase: "confirm", Summary: "Read the application: enabled, credentials on it and on its service principal.",
		Says: "Read the application {target}", Target: "servicePrincipal", Permissions: []string{"Application.Read.All"}, Example: "- read: application.profile"},
	Read: func(ctx context.Context, c *Call) (any, error) {
		return readApplication(ctx, c.Access.Graph, c.Target().ID)
	},
}

// Source: domain notes, actions A9. Disabling is the containment; a deleted one could be consented to again.
var applicationDisable = Action{
	Spec: Spec{Name: "application.disable", Phase: "contain", Summary: "Block the application: it gets no new token, for itself or for anybody.",
		Says: "Disable the application {target}", Target: "servicePrincipal", Permissions: []string{"Application.ReadWrite.All"}, Role: "Cloud Application Administrator",
		Blast: "everybody who uses the application", Verdict: "compromised", Footprint: []string{"Update service principal", "Disable account"}, Example: "- do: application.disable"},
	Read: func(ctx context.Context, c *Call) (any, error) {
		return readApplication(ctx, c.Access.Graph, c.Target().ID)
	},
	Plan: func(ctx context.Context, c *Call, _ json.RawMessage) ([]Request, error) {
		return setApplication(ctx, c, false)
	},
	Verify: func(ctx context.Context, c *Call, _ json.RawMessage) (string, error) {
		app, err := readApplication(ctx, c.Access.Graph, c.Target().ID)
		if err == nil && app.Enabled {
			err = &fault.Fault{Class: fault.Retryable, Message: "the application reads as enabled"}
		}
		return "the application reads as disabled", err
	},
	Undo: func(ctx context.Context, c *Call, before json.RawMessage) ([]Request, error) {
		was, err := restore[Application](before)
		if err != nil {
			return nil, err
		}
		now, err := readApplication(ctx, c.Access.Graph, c.Target().ID)
		if err != nil {
			return nil, err
		}
		switch {
		case !was.Enabled:
			return nil, fault.Drift("the application was disabled before Cordon disabled it")
		case now.Enabled:
			return nil, fault.Drift("somebody has enabled the application meanwhile")
		}
		return setApplication(ctx, c, true)
	},
}

func setApplication(ctx context.Context, c *Call, enabled bool) ([]Request, error) {
	body := models.NewServicePrincipal()
	body.SetAccountEnabled(&enabled)
	r, err := c.Access.Graph.Plan(c.Access.Graph.ServicePrincipals().ByServicePrincipalId(c.Target().ID).ToPatchRequestInformation(ctx, body, nil))
	return []Request{r}, err
}

// Source: domain notes, actions A11, A11b. The text of a secret can never be read, so there is no way back.
var applicationRemoveCredential = Action{
	Spec: Spec{Name: "application.remove-credential", Phase: "contain", Summary: "Remove a secret or certificate from an application and from its service principal.",
		Says: "Remove {target}", Target: "credential", Params: []Param{{Name: "application", Summary: "object id of the service principal or application that holds it", Required: true}},
		Permissions: []string{"Application.ReadWrite.All"}, Role: "Cloud Application Administrator", Blast: "whoever uses that credential", Verdict: "compromised",
		Irrevocable: "the text of a secret can never be read back",
		Footprint:   []string{"Remove service principal credentials", "Update application - Certificates and secrets management", "Update service principal", "Update application"},
		Example:     "- do: application.remove-credential\n  for-each: incident.credentials"},
	Read: func(ctx context.Context, c *Call) (any, error) {
		return readApplication(ctx, c.Access.Graph, c.Param("application"))
	},
	Plan: func(ctx context.Context, c *Call, before json.RawMessage) ([]Request, error) {
		app, err := restore[Application](before)
		if err != nil {
			return nil, err
		}
		var out []Request
		for _, cred := range app.Credentials {
			if !strings.EqualFold(cred.ID, c.Target().ID) {
				continue
			}
			r, err := removeCredential(ctx, c, app, cred)
			if err != nil {
				return nil, err
			}
			out = append(out, r)
		}
		return out, nil
	},
	Verify: func(ctx context.Context, c *Call, _ json.RawMessage) (string, error) {
		app, err := readApplication(ctx, c.Access.Graph, c.Param("application"))
		if err == nil && has(app.Credentials, c.Target().ID) {
			err = &fault.Fault{Class: fault.Retryable, Message: "the credential is still listed"}
		}
		return "the credential is no longer listed", err
	},
}

func removeCredential(ctx context.Context, c *Call, app Application, cred Object) (Request, error) {
	g := c.Access.Graph
	key, err := uuid.Parse(cred.ID)
	if err != nil {
		return nil, fault.Guard("%q is no key id", cred.ID)
	}
	onApplication := cred.Detail == "application"
	switch {
	case cred.Type == "password" && onApplication:
		body := applications.NewItemRemovePasswordPostRequestBody()
		body.SetKeyId(&key)
		r, err := g.Plan(g.Applications().ByApplicationId(cred.On).RemovePassword().ToPostRequestInformation(ctx, body, nil))
		return r.GoneIsDone(), err
	case cred.Type == "password":
		body := serviceprincipals.NewItemRemovePasswordPostRequestBody()
		body.SetKeyId(&key)
		r, err := g.Plan(g.ServicePrincipals().ByServicePrincipalId(cred.On).RemovePassword().ToPostRequestInformation(ctx, body, nil))
		return r.GoneIsDone(), err
	}
	// removeKey wants a proof signed by a key of the application: a responder sends the survivors instead.
	survivors := []models.KeyCredentialable{}
	var have []models.KeyCredentialable
	if onApplication {
		a, err := g.Applications().ByApplicationId(cred.On).Get(ctx, nil)
		if err != nil {
			return nil, fmt.Errorf("reading keys: %w", graph.Fault(err))
		}
		have = a.GetKeyCredentials()
	} else {
		sp, err := g.ServicePrincipals().ByServicePrincipalId(cred.On).Get(ctx, nil)
		if err != nil {
			return nil, fmt.Errorf("reading keys: %w", graph.Fault(err))
		}
		have = sp.GetKeyCredentials()
	}
	for _, k := range have {
		if keyID(k.GetKeyId()) != cred.ID {
			survivors = append(survivors, k)
		}
	}
	if onApplication {
		body := models.NewApplication()
		body.SetKeyCredentials(survivors)
		return g.Plan(g.Applications().ByApplicationId(cred.On).ToPatchRequestInformation(ctx, body, nil))
	}
	body := models.NewServicePrincipal()
	body.SetKeyCredentials(survivors)
	return g.Plan(g.ServicePrincipals().ByServicePrincipalId(cred.On).ToPatchRequestInformation(ctx, body, nil))
}
