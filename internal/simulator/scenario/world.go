// Package scenario is what happens in the simulated tenants: the attack on a customer of a CSP that `cordon try` plays,
// or the world that an exported log file tells of. It fills [entra.Tenant]s and acts in them; whoever plays it delivers
// the records afterwards, as Microsoft does, minutes late.
//
// Acts carry their own time. An act that is played with Play has the event time start+At, whatever the clock says, so
// that a test may play the whole attack at once; one whose Do is called directly happens at the clock's time.
package scenario

import (
	"sync"
	"time"

	"cordon/internal/clock"
	"cordon/internal/simulator/entra"
	"cordon/internal/simulator/partnercenter"
)

// Emit receives each log record of each tenant; see [entra.Emit].
type Emit func(tenant *entra.Tenant, category string, record []byte, at time.Time)

// World is the tenants of a scenario, and what in them tests look for.
type World struct {
	Customer *entra.Tenant
	Partner  *entra.Tenant // nil in a world that was read from records
	Tenants  []*entra.Tenant

	// What there is from the beginning. Ids are the same in every run.
	VictimID       string   // avery.lindqvist, Global Administrator
	SecondAdminID  string   // the other one
	BreakGlassIDs  []string // two more, for emergencies
	SprayedIDs     []string // the victim among them
	BackupSP       string   // service principal Backup Automation …
	BackupOldKeyID string   // … and the credential that it has rightly
	PayrollAppID   string   // object id of the application Payroll Connector
	MailHelperApp  string   // application id of what the attacker wants consent for
	RelationshipID string   // the partner's GDAP relationship with the customer

	clock clock.Clock

	playing  sync.Mutex // one act at a time
	mu       sync.Mutex
	moment   time.Time // the time of the act that is played; zero is the clock's
	created  Created
	sessions map[string]*entra.Session // of ordinary people, by user id
	attacker attacker
}

// Created is what the attacker has made so far; ids are empty until then.
type Created struct {
	AuthenticatorID  string // a method of the victim
	MailHelperSP     string // the service principal that his consent made
	GrantID          string
	CredentialKeyID  string // on Backup Automation
	NewAdmin         string // user svc-backup-sync
	RoleAssignmentID string // which makes him Global Administrator
}

// Created returns what the attacker has made so far.
func (w *World) Created() Created {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.created
}

func (w *World) note(f func(*Created)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.created)
}

// now is the time of the act that is played, else the clock's.
func (w *World) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.moment.IsZero() {
		return w.clock.Now()
	}
	return w.moment
}

const (
	cordonAppID = "c07d0000-51ab-4c0d-8a11-000000000001"
	partnerName = "Fabrikam"
)

// App is Cordon's application in a tenant, as [entra.Graph.Allow] wants it. In a customer it holds the roles without
// which it could not contain an administrator.
func (w *World) App(t *entra.Tenant) entra.App {
	app := entra.App{AppID: cordonAppID, DisplayName: "Cordon",
		ServicePrincipalID: entra.StableGUID(t.ID(), "servicePrincipal", cordonAppID)}
	if t == w.Partner {
		app.Permissions = []string{"DelegatedAdminRelationship.ReadWrite.All", "User.Read.All", "Organization.Read.All",
			"LicenseAssignment.Read.All"}
		return app
	}
	app.Roles = []string{entra.PrivilegedAuthenticationAdministrator, entra.PrivilegedRoleAdministrator}
	app.Permissions = []string{"User.Read.All", "User.EnableDisableAccount.All", "User-PasswordProfile.ReadWrite.All",
		"User.RevokeSessions.All", "UserAuthenticationMethod.ReadWrite.All", "RoleManagement.ReadWrite.Directory",
		"RoleEligibilitySchedule.Read.Directory", "RoleAssignmentSchedule.ReadWrite.Directory", "Directory.Read.All",
		"DelegatedPermissionGrant.ReadWrite.All", "Application.ReadWrite.All", "IdentityRiskyUser.ReadWrite.All",
		"Policy.Read.All", "Policy.ReadWrite.Authorization", "LicenseAssignment.Read.All", "Organization.Read.All"}
	return app
}

// addCordon puts Cordon's own service principal, roles and permissions into a tenant.
func (w *World) addCordon(t *entra.Tenant, owner string) {
	app := w.App(t)
	t.AddServicePrincipal(entra.ServicePrincipal{ID: app.ServicePrincipalID, AppID: app.AppID, DisplayName: app.DisplayName,
		AccountEnabled: true, AppOwnerOrganizationID: owner})
	for _, role := range app.Roles {
		t.AddRoleAssignment(app.ServicePrincipalID, role)
	}
	for _, permission := range app.Permissions {
		t.AddAppPermission(app.ServicePrincipalID, permission)
	}
}

// PartnerCenter returns the partner's Partner Center over this world: delegated administration of the customer is on,
// and removing it is written to the customer's audit log.
func (w *World) PartnerCenter(client partnercenter.Client, options ...partnercenter.Option) *partnercenter.Server {
	customers := map[string]partnercenter.Customer{}
	partner := ""
	if w.Partner != nil {
		partner = w.Partner.ID()
		customers[w.Customer.ID()] = partnercenter.Customer{CompanyName: w.Customer.Name(), Domain: domain, AllowDelegatedAccess: true}
	}
	client.TenantID = partner
	options = append([]partnercenter.Option{partnercenter.WithClient(client), partnercenter.OnRemoved(func(string) {
		_ = w.Customer.PartnerRemoved(partner, partnerName) // fails only where a record cannot be encoded
	})}, options...)
	return partnercenter.New(w.clock, customers, options...)
}

// tenant makes a tenant whose records go to emit.
func (w *World) tenant(id, name string, emit Emit) *entra.Tenant {
	var t *entra.Tenant
	t = entra.NewTenant(id, name, w.clock, func(category string, record []byte, at time.Time) {
		if emit != nil {
			emit(t, category, record, at)
		}
	})
	w.Tenants = append(w.Tenants, t)
	return t
}
