package record

import (
	"regexp"
	"slices"
	"strings"
)

// Roles are the directory roles that an audit record gives or takes, by template id and by name. Core Directory
// writes them as modified properties of the user, PIM as a target of type Role.
func (r *Record) Roles() (ids, names []string) { return r.roleIDs(nil), r.roleNames(nil) }

// roleIDs adds the roles' template ids, each once.
func (r *Record) roleIDs(out []string) []string {
	from := len(out)
	targets := r.Targets()
	for i := range targets {
		t := &targets[i]
		if strings.EqualFold(t.Type, "Role") {
			out = once(out, from, t.ID)
		}
		for j := range t.Changes {
			switch c := &t.Changes[j]; {
			case is(c.Name, "role.templateid"), is(c.Name, "role.objectid"), is(c.Name, "templateid"), is(c.Name, "roledefinitionoriginid"):
				out = once(out, from, first(c.New, c.Old))
			}
		}
	}
	for _, d := range elements(r.value(nAdditionalDetails)) {
		if d = unwrap(d); strings.EqualFold(text(find(d, nKey)), "TemplateId") {
			out = once(out, from, text(find(d, nValue)))
		}
	}
	return out
}

// roleNames adds the roles' names, each once.
func (r *Record) roleNames(out []string) []string {
	from := len(out)
	targets := r.Targets()
	for i := range targets {
		t := &targets[i]
		if strings.EqualFold(t.Type, "Role") {
			out = once(out, from, t.Name)
		}
		for j := range t.Changes {
			if c := &t.Changes[j]; is(c.Name, "role.displayname") {
				out = once(out, from, first(c.New, c.Old))
			}
		}
	}
	return out
}

// once adds a value, but not what is empty or stands behind from already.
func once(out []string, from int, value string) []string {
	if value == "" || slices.Contains(out[from:], value) {
		return out
	}
	return append(out, value)
}

// Change returns a modified property by name, whatever target it stands on.
func (r *Record) Change(name string) (Change, bool) {
	for _, t := range r.Targets() {
		for _, c := range t.Changes {
			if strings.EqualFold(c.Name, name) {
				return c, true
			}
		}
	}
	return Change{}, false
}

// Consent is what an audit record says about permissions given to an application.
type Consent struct {
	Known   bool // the record is about a consent or a grant
	Admin   bool
	AppOnly bool
	All     bool     // for every user of the tenant
	Scopes  []string // those that were added
}

var (
	consentScope = regexp.MustCompile(`Scope:\s*([^,\]]*)`)
	consentType  = regexp.MustCompile(`ConsentType:\s*([A-Za-z]+)`)
)

// Consent reads "Consent to application" and "Add delegated permission grant".
func (r *Record) Consent() Consent {
	var c Consent
	flag := func(name string) bool {
		ch, ok := r.Change(name)
		c.Known = c.Known || ok
		return ok && strings.EqualFold(ch.New, "true")
	}
	c.Admin = flag("ConsentContext.IsAdminConsent")
	c.AppOnly = flag("ConsentContext.IsAppOnly")
	c.All = flag("ConsentContext.OnBehalfOfAll")
	if ch, ok := r.Change("ConsentAction.Permissions"); ok {
		c.Known = true
		before, after, found := strings.Cut(ch.New, "=>")
		if !found {
			before, after = ch.Old, ch.New
		}
		had := scopesIn(before)
		for _, s := range scopesIn(after) {
			if !slices.Contains(had, s) {
				c.Scopes = append(c.Scopes, s)
			}
		}
		for _, m := range consentType.FindAllStringSubmatch(after, -1) {
			c.All = c.All || strings.EqualFold(m[1], "AllPrincipals")
		}
	}
	if ch, ok := r.Change("DelegatedPermissionGrant.Scope"); ok {
		c.Known = true
		had := strings.Fields(ch.Old)
		for _, s := range strings.Fields(ch.New) {
			if !slices.Contains(had, s) {
				c.Scopes = append(c.Scopes, s)
			}
		}
	}
	if ch, ok := r.Change("DelegatedPermissionGrant.ConsentType"); ok {
		c.All = c.All || strings.EqualFold(ch.New, "AllPrincipals")
	}
	return c
}

func scopesIn(s string) (scopes []string) {
	for _, m := range consentScope.FindAllStringSubmatch(s, -1) {
		for _, scope := range strings.Fields(m[1]) {
			if !slices.Contains(scopes, scope) {
				scopes = append(scopes, scope)
			}
		}
	}
	return scopes
}

var keyIdentifier = regexp.MustCompile(`KeyIdentifier=([0-9A-Za-z-]+)`)

// CredentialsAdded are the key ids that stand in the new KeyDescription and not in the old one: a credential that was
// only renamed was there before. ok says that the record speaks of credentials at all.
func (r *Record) CredentialsAdded() (keyIDs []string, ok bool) {
	ch, ok := r.Change("KeyDescription")
	if !ok {
		return nil, false
	}
	had := keyIDsIn(ch.Old)
	for _, id := range keyIDsIn(ch.New) {
		if !slices.Contains(had, id) {
			keyIDs = append(keyIDs, id)
		}
	}
	return keyIDs, true
}

// keyIDsIn are the ids of a KeyDescription's entries; of an entry without one, the entry itself.
func keyIDsIn(description string) []string {
	ids := list(description)
	for i, entry := range ids {
		if m := keyIdentifier.FindStringSubmatch(entry); m != nil {
			ids[i] = m[1]
		}
	}
	return ids
}

// selfConsent begins the name of each policy that lets users consent for themselves.
const selfConsent = "managepermissiongrantsforself."

// ConsentPolicyLoosened are the self-consent policies that a change of the authorization policy added.
func (r *Record) ConsentPolicyLoosened() (added []string, ok bool) {
	ch, ok := r.Change("PermissionGrantPolicyIdsAssignedToDefaultUserRole")
	if !ok {
		return nil, false
	}
	had := list(ch.Old)
	for _, p := range list(ch.New) {
		if strings.HasPrefix(strings.ToLower(p), selfConsent) && !slices.Contains(had, p) {
			added = append(added, p)
		}
	}
	return added, true
}
