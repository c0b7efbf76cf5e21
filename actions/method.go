package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"cordon/internal/fault"
	"cordon/internal/graph"
	"cordon/internal/record"
	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
)

// passwordMethod is the id of the password among a user's methods: always the same.
const passwordMethod = "28c10230-6103-485e-b985-444c60001490"

// Objects is a list of evidence.
type Objects struct {
	Objects []Object `json:"objects"`
}

// Source: domain notes, actions E5. Graph dates few methods; the audit stream says when one was registered.
var userMethods = Action{
	Spec: Spec{Name: "user.methods", Phase: "confirm", Summary: "List the authentication methods, with the time each appeared as far as Graph or the audit stream says.",
		Says: "Read the authentication methods of {target}", Target: "user", Permissions: []string{"UserAuthenticationMethod.Read.All"}, Example: "- read: user.methods"},
	Read: func(ctx context.Context, c *Call) (any, error) {
		methods, err := readMethods(ctx, c.Access.Graph, c.Target().ID)
		if err != nil {
			return nil, err
		}
		if err := dateMethods(ctx, c, methods); err != nil {
			return nil, err
		}
		return Objects{methods}, nil
	},
}

func readMethods(ctx context.Context, g *graph.Client, user string) ([]Object, error) {
	page, err := g.Users().ByUserId(user).Authentication().Methods().Get(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("reading authentication methods: %w", graph.Fault(err))
	}
	var out []Object
	err = graph.Each(ctx, g, page, models.CreateAuthenticationMethodCollectionResponseFromDiscriminatorValue, func(m models.AuthenticationMethodable) {
		if text(m.GetId()) == passwordMethod {
			return
		}
		kind := strings.TrimSuffix(strings.TrimPrefix(text(m.GetOdataType()), "#microsoft.graph."), "AuthenticationMethod")
		o := Object{ID: text(m.GetId()), Type: kind, Label: kind, On: user}
		if dated, ok := m.(interface{ GetCreatedDateTime() *time.Time }); ok {
			o.Changed = when(dated.GetCreatedDateTime())
		}
		if named, ok := m.(interface{ GetDisplayName() *string }); ok && text(named.GetDisplayName()) != "" {
			o.Label = kind + " " + text(named.GetDisplayName())
		}
		if phone, ok := m.(models.PhoneAuthenticationMethodable); ok {
			o.Detail = text(phone.GetPhoneNumber())
			o.Label = "phone ending in " + lastDigits(o.Detail)
		}
		out = append(out, o)
	})
	if err != nil {
		return nil, fmt.Errorf("reading authentication methods: %w", err)
	}
	return out, nil
}

func lastDigits(s string) string {
	if len(s) > 2 {
		return s[len(s)-2:]
	}
	return s
}

// methodWords tell from an audit record's reason which kind of method was registered.
var methodWords = map[string][]string{
	"microsoftAuthenticator": {"authenticator"}, "phone": {"phone", "sms"}, "fido2": {"fido", "passkey", "security key"},
	"softwareOath": {"oath", "hardware token"}, "email": {"email"}, "temporaryAccessPass": {"temporary access pass"},
	"windowsHelloForBusiness": {"windows hello"}, "platformCredential": {"platform"},
}

// dateMethods takes dates from the audit stream: a registration dates the only undated method of its kind; where
// several could be meant they stay undated, and a person must look.
func dateMethods(ctx context.Context, c *Call, methods []Object) error {
	registered := map[string]time.Time{}
	err := c.Records.Audit(ctx, c.Access.Tenant, c.Since(lookBack), func(r *record.Record) {
		op := strings.ToLower(r.Operation)
		if !strings.Contains(op, "security info") || strings.Contains(op, "deleted") || !targets(r, c.Target().ID) {
			return
		}
		reason := strings.ToLower(strings.Join(r.Field("properties.resultReason").List, " "))
		for kind, words := range methodWords {
			for _, w := range words {
				if strings.Contains(reason, w) && r.Time.After(registered[kind]) {
					registered[kind] = r.Time
				}
			}
		}
	})
	if err != nil {
		return err
	}
	for kind, at := range registered {
		var undated []int
		for i, m := range methods {
			if m.Type == kind && (m.Changed.IsZero() || kind == "phone") {
				undated = append(undated, i)
			}
		}
		for _, i := range undated {
			if len(undated) == 1 {
				methods[i].Changed = at
			} else {
				methods[i].Undated = true
			}
		}
	}
	return nil
}

func targets(r *record.Record, id string) bool {
	for _, t := range r.Targets() {
		if strings.EqualFold(t.ID, id) {
			return true
		}
	}
	return false
}

// Source: domain notes, actions A4.
var methodRestore = Action{
	Spec: Spec{Name: "method.restore", Phase: "contain", Summary: "Take away an authentication method that appeared since the compromise began; put back a phone number that was replaced, where it is known.",
		Says: "Remove {target}", Target: "method", Params: []Param{{Name: "user", Summary: "whose method it is", Required: true}, {Name: "type", Summary: "phone, microsoftAuthenticator, …", Required: true}, {Name: "was", Summary: "the phone number before"}},
		Permissions: []string{"UserAuthenticationMethod.ReadWrite.All"}, Role: "Authentication Administrator; Privileged Authentication Administrator for administrators",
		Blast: "one user", Verdict: "compromised", Irrevocable: "a method is registered again by its user",
		Footprint: []string{"Admin deleted security info", "Admin updated security info", "User deleted security info", "Update user", "Remove users strong authentication phone app detail"},
		Example:   "- do: method.restore\n  for-each: changedAfter(evidence.methods, t0)"},
	Read: func(ctx context.Context, c *Call) (any, error) {
		methods, err := readMethods(ctx, c.Access.Graph, c.Param("user"))
		return Objects{methods}, err
	},
	Plan: func(ctx context.Context, c *Call, before json.RawMessage) ([]Request, error) {
		have, err := restore[Objects](before)
		if err != nil {
			return nil, err
		}
		if !has(have.Objects, c.Target().ID) {
			return nil, nil // gone already
		}
		if was := c.Param("was"); was != "" && c.Param("type") == "phone" {
			body := models.NewPhoneAuthenticationMethod()
			body.SetPhoneNumber(&was)
			r, err := c.Access.Graph.Plan(c.Access.Graph.Users().ByUserId(c.Param("user")).Authentication().PhoneMethods().
				ByPhoneAuthenticationMethodId(c.Target().ID).ToPatchRequestInformation(ctx, body, nil))
			return []Request{r}, err
		}
		info, err := deleteMethod(ctx, c)
		r, err := c.Access.Graph.Plan(info, err)
		return []Request{r.GoneIsDone()}, err
	},
	Verify: func(ctx context.Context, c *Call, _ json.RawMessage) (string, error) {
		methods, err := readMethods(ctx, c.Access.Graph, c.Param("user"))
		if err == nil && has(methods, c.Target().ID) && c.Param("was") == "" {
			err = &fault.Fault{Class: fault.Retryable, Message: "the method is still listed"}
		}
		return "the method is no longer listed", err
	},
}

func deleteMethod(ctx context.Context, c *Call) (*abstractions.RequestInformation, error) {
	a, id := c.Access.Graph.Users().ByUserId(c.Param("user")).Authentication(), c.Target().ID
	switch c.Param("type") {
	case "phone":
		return a.PhoneMethods().ByPhoneAuthenticationMethodId(id).ToDeleteRequestInformation(ctx, nil)
	case "microsoftAuthenticator":
		return a.MicrosoftAuthenticatorMethods().ByMicrosoftAuthenticatorAuthenticationMethodId(id).ToDeleteRequestInformation(ctx, nil)
	case "fido2":
		return a.Fido2Methods().ByFido2AuthenticationMethodId(id).ToDeleteRequestInformation(ctx, nil)
	case "softwareOath":
		return a.SoftwareOathMethods().BySoftwareOathAuthenticationMethodId(id).ToDeleteRequestInformation(ctx, nil)
	case "email":
		return a.EmailMethods().ByEmailAuthenticationMethodId(id).ToDeleteRequestInformation(ctx, nil)
	case "temporaryAccessPass":
		return a.TemporaryAccessPassMethods().ByTemporaryAccessPassAuthenticationMethodId(id).ToDeleteRequestInformation(ctx, nil)
	case "windowsHelloForBusiness":
		return a.WindowsHelloForBusinessMethods().ByWindowsHelloForBusinessAuthenticationMethodId(id).ToDeleteRequestInformation(ctx, nil)
	case "platformCredential":
		return a.PlatformCredentialMethods().ByPlatformCredentialAuthenticationMethodId(id).ToDeleteRequestInformation(ctx, nil)
	}
	return nil, fault.Guard("a method of type %q cannot be removed through Graph", c.Param("type"))
}

func has(objects []Object, id string) bool {
	for _, o := range objects {
		if strings.EqualFold(o.ID, id) {
			return true
		}
	}
	return false
}
