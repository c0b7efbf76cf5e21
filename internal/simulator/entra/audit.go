package entra

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// activity is one of the operations that Entra writes to AuditLogs.
type activity struct {
	name     string
	category string
	service  string
	kind     string
}

// target is one object of an audit record.
type target struct {
	id, name, kind, upn string
	modified            []modified
}

// modified is one property of a target; old and new become JSON text in a string, nil becomes null.
type modified struct {
	name     string
	old, new any
}

type auditEnvelope struct {
	Time             string          `json:"time"`
	ResourceID       string          `json:"resourceId"`
	OperationName    string          `json:"operationName"`
	OperationVersion string          `json:"operationVersion"`
	Category         string          `json:"category"`
	TenantID         string          `json:"tenantId"`
	ResultSignature  string          `json:"resultSignature"`
	DurationMs       int             `json:"durationMs"`
	CallerIPAddress  *string         `json:"callerIpAddress"`
	CorrelationID    string          `json:"correlationId"`
	Identity         string          `json:"identity,omitempty"`
	Level            any             `json:"Level"`
	Properties       auditProperties `json:"properties"`
}

type auditProperties struct {
	ID                  string              `json:"id"`
	Category            string              `json:"category"`
	CorrelationID       string              `json:"correlationId"`
	Result              string              `json:"result"`
	ResultReason        string              `json:"resultReason"`
	ActivityDisplayName string              `json:"activityDisplayName"`
	ActivityDateTime    string              `json:"activityDateTime"`
	LoggedByService     string              `json:"loggedByService"`
	OperationType       string              `json:"operationType"`
	UserAgent           *string             `json:"userAgent"`
	InitiatedBy         auditInitiator      `json:"initiatedBy"`
	TargetResources     []auditTarget       `json:"targetResources"`
	AdditionalDetails   []map[string]string `json:"additionalDetails"`
}

type auditInitiator struct {
	User *auditUser `json:"user,omitempty"`
	App  *auditApp  `json:"app,omitempty"`
}

type auditUser struct {
	ID                string   `json:"id"`
	DisplayName       *string  `json:"displayName"`
	UserPrincipalName string   `json:"userPrincipalName"`
	IPAddress         *string  `json:"ipAddress"`
	Roles             []string `json:"roles"`
}

type auditApp struct {
	AppID                *string `json:"appId"`
	DisplayName          string  `json:"displayName"`
	ServicePrincipalID   *string `json:"servicePrincipalId"`
	ServicePrincipalName *string `json:"servicePrincipalName"`
}

type auditTarget struct {
	ID                  string          `json:"id"`
	DisplayName         *string         `json:"displayName"`
	Type                string          `json:"type"`
	UserPrincipalName   *string         `json:"userPrincipalName"`
	ModifiedProperties  []auditModified `json:"modifiedProperties"`
	AdministrativeUnits []string        `json:"administrativeUnits"`
}

type auditModified struct {
	DisplayName string  `json:"displayName"`
	OldValue    *string `json:"oldValue"`
	NewValue    *string `json:"newValue"`
}

const auditTime = "2006-01-02T15:04:05.0000000Z"

// audit writes one AuditLogs record of the change. The caller has the lock.
func (c *change) audit(a activity, reason string, targets ...target) {
	n := c.t.written
	c.t.written++
	at := c.by.at.Format(auditTime)
	targets = slices.Clone(targets)
	if n%2 == 1 && len(targets) > 1 && targets[0].kind != targets[1].kind {
		slices.Reverse(targets) // their order is not fixed in real logs: look them up by type
	}
	properties := auditProperties{
		ID: auditID(a.service, c.correlation), Category: a.category, CorrelationID: c.correlation, Result: "success",
		ResultReason: reason, ActivityDisplayName: a.name, ActivityDateTime: at, LoggedByService: a.service,
		OperationType: a.kind, InitiatedBy: c.by.initiator(), AdditionalDetails: []map[string]string{},
	}
	if c.by.agent != "" {
		properties.AdditionalDetails = append(properties.AdditionalDetails,
			map[string]string{"key": "User-Agent", "value": c.by.agent})
	}
	for _, t := range targets {
		properties.TargetResources = append(properties.TargetResources, t.resource())
	}
	c.write("AuditLogs", auditEnvelope{
		Time: at, ResourceID: c.t.resourceID(), OperationName: a.name, OperationVersion: "1.0", Category: "AuditLogs",
		TenantID: c.t.id, ResultSignature: "None", CallerIPAddress: optional(c.by.ip), CorrelationID: c.correlation,
		Identity: c.by.name(), Level: level(n), Properties: properties,
	}, c.by.at)
}

func (c *change) write(category string, record any, at time.Time) {
	body, err := json.Marshal(record)
	if err != nil {
		c.err = fmt.Errorf("encoding %s record: %w", category, err)
		return
	}
	c.out = append(c.out, emission{category, body, at})
}

func (t *Tenant) resourceID() string { return "/tenants/" + t.id + "/providers/Microsoft.aadiam" }

// level varies as it does between real producers.
func level(n int) any {
	return []any{4, "4", "Informational"}[n%3]
}

// auditID is what Entra's services make: the service (Core Directory says Directory), the correlation, and a tail.
func auditID(service, correlation string) string {
	if service == "Core Directory" {
		service = "Directory"
	}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	tail := make([]byte, 5)
	for i := range tail {
		tail[i] = letters[rand.IntN(len(letters))]
	}
	return fmt.Sprintf("%s_%s_%s_%d", service, correlation, tail, 10_000_000+rand.IntN(89_999_999))
}

func (by cause) name() string {
	if by.user.ID != "" {
		return by.user.DisplayName
	}
	return by.app.DisplayName
}

func (by cause) initiator() auditInitiator {
	if by.user.ID != "" {
		return auditInitiator{User: &auditUser{
			ID: by.user.ID, DisplayName: optional(by.user.DisplayName), UserPrincipalName: by.user.UserPrincipalName,
			IPAddress: optional(by.ip), Roles: []string{},
		}}
	}
	return auditInitiator{App: &auditApp{
		AppID: optional(by.app.AppID), DisplayName: by.app.DisplayName,
		ServicePrincipalID: optional(by.app.ServicePrincipalID),
	}}
}

func (t target) resource() auditTarget {
	out := auditTarget{
		ID: t.id, DisplayName: optional(t.name), Type: t.kind, UserPrincipalName: optional(t.upn),
		ModifiedProperties: []auditModified{}, AdministrativeUnits: []string{},
	}
	for _, m := range t.modified {
		out.ModifiedProperties = append(out.ModifiedProperties, auditModified{m.name, jsonText(m.old), jsonText(m.new)})
	}
	return out
}

// jsonText is a value as JSON text in a string, which is how Entra writes old and new values.
func jsonText(v any) *string {
	if v == nil {
		return nil
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil // cannot be: only strings and lists of strings are given
	}
	text := strings.TrimSuffix(b.String(), "\n")
	return &text
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// included names the properties that a record is about, as Core Directory adds it to its records.
func included(names string) modified { return modified{"Included Updated Properties", nil, names} }

func userTarget(u *User, m ...modified) target {
	return target{id: u.ID, name: u.DisplayName, kind: "User", upn: u.UserPrincipalName, modified: m}
}

func servicePrincipalTarget(s *ServicePrincipal, m ...modified) target {
	return target{id: s.ID, name: s.DisplayName, kind: "ServicePrincipal", modified: m}
}

func applicationTarget(a *Application, m ...modified) target {
	return target{id: a.ID, name: a.DisplayName, kind: "Application", modified: m}
}
