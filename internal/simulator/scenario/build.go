package scenario

import (
	"strings"
	"time"

	"cordon/internal/clock"
	"cordon/internal/simulator/entra"
)

const (
	domain        = "contoso.example"
	partnerDomain = "fabrikam.example"
	customerID    = "c0170500-0000-4000-8000-00000000c001"
	partnerID     = "fab21ca0-0000-4000-8000-00000000fab1"

	victimName     = "avery.lindqvist"
	secondName     = "morgan.achebe"
	helpdeskName   = "robin.sato"
	victimPassword = "Winter2026!" // what everybody would try first
)

// ordinary are the people of Contoso who hold no role. Thirty-three of them are tried in the spray.
func ordinary() []string {
	return strings.Fields(`
		ada.okafor bela.kiss carla.mendes dmitri.volkov elif.yilmaz farah.aziz gil.navarro hana.suzuki ines.duarte
		jonas.weber kofi.mensah lena.fischer mateo.rossi nadia.haddad omar.farouk petra.novak quinn.byrne rosa.silva
		sven.larsen tara.iyer uma.pillai viktor.horvat wanda.kowalska xavier.dubois yara.nasser zoe.martin aiko.tanaka
		boris.petrov chloe.laurent diego.ramos emma.jensen felix.bauer greta.lind hugo.moreau`)
}

// Build makes Contoso, a customer, and Fabrikam, its partner, as they are before the attack.
func Build(c clock.Clock, emit func(tenant *entra.Tenant, category string, record []byte, at time.Time)) *World {
	w := &World{clock: c, sessions: map[string]*entra.Session{}}
	w.Customer = w.tenant(customerID, "Contoso", emit)
	w.Partner = w.tenant(partnerID, partnerName, emit)
	w.people()
	w.applications()
	w.addCordon(w.Customer, partnerID)
	w.addCordon(w.Partner, partnerID)
	w.RelationshipID = w.Partner.AddRelationship(entra.Relationship{
		ID:          entra.StableGUID("relationship", customerID) + "-" + entra.StableGUID("relationship", partnerID),
		DisplayName: "Fabrikam managed services", CustomerTenantID: customerID, CustomerDisplayName: "Contoso",
		RoleDefinitionIDs: []string{entra.UserAdministrator, "729827e3-9c14-49f7-bb1b-9608f156bbb8"},
	}).ID
	return w
}

func (w *World) person(t *entra.Tenant, name, at, password string) entra.User {
	first, last, _ := strings.Cut(name, ".")
	u := t.AddUser(entra.User{ID: entra.StableGUID(t.ID(), "user", name), UserPrincipalName: name + "@" + at,
		DisplayName: strings.TrimSpace(title(first) + " " + title(last)), AccountEnabled: true, Password: password})
	t.AddMethod(u.ID, entra.Method{Kind: entra.MicrosoftAuthenticator, DisplayName: title(first) + "'s phone",
		ID: entra.StableGUID(t.ID(), "method", name), CreatedDateTime: u.CreatedDateTime.Add(24 * time.Hour)})
	t.AddMethod(u.ID, entra.Method{Kind: entra.Phone, PhoneType: "mobile", PhoneNumber: "+44 20 7946 0000"})
	return u
}

func title(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// password is what nobody would try.
func password(name string) string { return entra.StableGUID("password", name) }

func (w *World) people() {
	c := w.Customer
	victim := w.person(c, victimName, domain, victimPassword)
	w.VictimID = victim.ID
	c.AddRoleAssignment(victim.ID, entra.GlobalAdministrator)
	second := w.person(c, secondName, domain, password(secondName))
	w.SecondAdminID = second.ID
	c.AddRoleAssignment(second.ID, entra.GlobalAdministrator)
	for _, name := range []string{"emergency.one", "emergency.two"} {
		u := c.AddUser(entra.User{ID: entra.StableGUID(c.ID(), "user", name), UserPrincipalName: name + "@" + domain,
			DisplayName: "Break glass " + strings.TrimPrefix(name, "emergency."), AccountEnabled: true, Password: password(name)})
		c.AddMethod(u.ID, entra.Method{Kind: entra.FIDO2, DisplayName: "Key in the safe",
			ID: entra.StableGUID(c.ID(), "method", name), CreatedDateTime: u.CreatedDateTime})
		c.AddRoleAssignment(u.ID, entra.GlobalAdministrator)
		w.BreakGlassIDs = append(w.BreakGlassIDs, u.ID)
	}
	helpdesk := w.person(c, helpdeskName, domain, password(helpdeskName))
	c.AddRoleAssignment(helpdesk.ID, entra.UserAdministrator)
	c.AddUser(entra.User{ID: entra.StableGUID(c.ID(), "user", "sync"), UserPrincipalName: "Sync_DC01@" + domain,
		DisplayName: "On-Premises Directory Synchronization Service Account", AccountEnabled: true, Password: password("sync")})
	c.AddRoleAssignment(entra.StableGUID(c.ID(), "user", "sync"), "d29b2b05-8046-44ba-8758-1e26182fcf32")

	for i, name := range ordinary() {
		u := w.person(c, name, domain, password(name))
		if i == 30 {
			u.OnPremisesSyncEnabled = true
			c.AddUser(u)
		}
		if i == spraySize/2 {
			w.SprayedIDs = append(w.SprayedIDs, victim.ID) // in the middle: a hit counts wherever it falls
		}
		if i < spraySize-1 {
			w.SprayedIDs = append(w.SprayedIDs, u.ID)
		}
	}

	for _, name := range []string{"noor.haddad", "sam.whitlock"} {
		w.person(w.Partner, name, partnerDomain, password(name))
	}
	chief := w.person(w.Partner, "ivo.marsh", partnerDomain, password("ivo.marsh"))
	w.Partner.AddRoleAssignment(chief.ID, entra.GlobalAdministrator)
	w.Partner.AddRoleAssignment(w.person(w.Partner, "lin.osei", partnerDomain, password("lin.osei")).ID, entra.GlobalAdministrator)
}

func (w *World) applications() {
	c := w.Customer
	long := c.AddApplication(entra.Application{ID: entra.StableGUID(c.ID(), "application", "backup"),
		AppID: entra.StableGUID(c.ID(), "app", "backup"), DisplayName: "Backup Automation"})
	w.BackupOldKeyID = entra.StableGUID(c.ID(), "key", "backup")
	w.BackupSP = c.AddServicePrincipal(entra.ServicePrincipal{ID: entra.StableGUID(c.ID(), "servicePrincipal", "backup"),
		AppID: long.AppID, DisplayName: long.DisplayName, AccountEnabled: true,
		PasswordCredentials: []entra.Credential{{KeyID: w.BackupOldKeyID, DisplayName: "nightly job",
			StartDateTime: long.CreatedDateTime, EndDateTime: long.CreatedDateTime.AddDate(3, 0, 0), Secret: password("backup")}},
	}).ID
	c.AddAppPermission(w.BackupSP, "Directory.Read.All")

	payroll := c.AddApplication(entra.Application{ID: entra.StableGUID(c.ID(), "application", "payroll"),
		AppID: entra.StableGUID(c.ID(), "app", "payroll"), DisplayName: "Payroll Connector",
		PasswordCredentials: []entra.Credential{{KeyID: entra.StableGUID(c.ID(), "key", "payroll"), DisplayName: "payroll",
			StartDateTime: long.CreatedDateTime, EndDateTime: long.CreatedDateTime.AddDate(3, 0, 0), Secret: password("payroll")}}})
	w.PayrollAppID = payroll.ID
	sp := c.AddServicePrincipal(entra.ServicePrincipal{ID: entra.StableGUID(c.ID(), "servicePrincipal", "payroll"),
		AppID: payroll.AppID, DisplayName: payroll.DisplayName, AccountEnabled: true})
	c.AddGrant(entra.Grant{ID: entra.StableGUID(c.ID(), "grant", "payroll"), ClientID: sp.ID, Scope: "User.Read"})

	w.MailHelperApp = entra.StableGUID("attacker", "app", "mail helper")
	c.AddForeignApplication(entra.ForeignApplication{AppID: w.MailHelperApp, DisplayName: "Mail Helper",
		OwnerTenantID: entra.StableGUID("attacker", "tenant"), Secret: mailHelperSecret})
}
