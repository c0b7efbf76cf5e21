// Package directory knows who is privileged, where, and since when. It is filled from Graph and kept current by
// the audit stream itself; detectors ask it about the time of a record, not about now (architecture, rule 7).
package directory

import (
	"cmp"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"cordon/internal/record"
)

// Known is a fact that may be unknown. Unknown never satisfies a clause.
type Known string

// The values of a fact.
const (
	Yes     Known = "yes"
	No      Known = "no"
	Unknown Known = ""
)

// holdsBack is how long before it was read a fact without a date is taken to have held.
const holdsBack = 30 * 24 * time.Hour

// Snapshot is what Graph, or a file, said about a tenant's role holders at one time. Who is not in it held no role.
type Snapshot struct {
	Tenant     string      `json:"tenant" yaml:"tenant"`
	Read       time.Time   `json:"read" yaml:"read"`
	Principals []Principal `json:"principals" yaml:"principals"`
	// Groups are those that hold roles, by id: who is added to one holds them.
	Groups map[string][]Role `json:"groups,omitempty" yaml:"groups"`
	// Unread are groups that hold privileged roles and that nobody let us look into: of all who are not listed nothing is known.
	Unread []string `json:"unread,omitempty" yaml:"unread"`
}

// Principal is a role holder.
type Principal struct {
	ID      string    `json:"id" yaml:"id"`
	UPN     string    `json:"upn,omitempty" yaml:"upn"`
	Created time.Time `json:"created,omitzero" yaml:"created"`
	Roles   []Role    `json:"roles" yaml:"roles"`
}

// Role is a directory role by template id and, where known, by name.
type Role struct {
	ID   string `json:"id" yaml:"id"`
	Name string `json:"name,omitempty" yaml:"name"`
}

// Directory answers about any number of tenants. It is safe for concurrent use.
type Directory struct {
	mu      sync.Mutex
	tenants map[string]*tenant
	last    *tenant // that somebody asked about: the next is the same, as a rule
}

type tenant struct {
	written string // its id, as somebody first asked by it
	read    time.Time
	partly  bool                 // others may hold roles too
	holders map[string]Principal // by folded id and by folded name
	groups  map[string][]Role    // by folded id
	changes map[string][]change  // by folded id and name of the principal, by time
}

type change struct {
	at   time.Time
	role Role
	held bool
	id   string // of the record
}

// New returns an empty directory: everything is unknown.
func New() *Directory { return &Directory{tenants: map[string]*tenant{}} }

func (d *Directory) tenant(id string) *tenant {
	id = strings.ToLower(id)
	t := d.tenants[id]
	if t == nil {
		t = &tenant{holders: map[string]Principal{}, changes: map[string][]change{}}
		d.tenants[id] = t
	}
	return t
}

// Load replaces what was read about a tenant; what the audit stream said stays. It returns who holds a privileged role that
// nobody had read of him, by id and by name: what he did before may have been taken for somebody else's.
func (d *Directory) Load(s Snapshot) (risen []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.tenant(s.Tenant)
	before := t.holders
	t.read, t.partly, t.holders = s.Read, len(s.Unread) > 0, map[string]Principal{}
	t.groups = map[string][]Role{}
	for id, roles := range s.Groups {
		t.groups[strings.ToLower(id)] = canonicals(roles)
	}
	for _, p := range s.Principals {
		p.Roles = canonicals(p.Roles)
		known := cmp.Or(p.ID, p.UPN)
		had := before[strings.ToLower(known)].Roles
		if slices.ContainsFunc(p.Roles, func(r Role) bool { return Privileged(r.ID, r.Name) && !slices.Contains(had, r) }) {
			for _, key := range []string{p.ID, p.UPN} {
				if key != "" {
					risen = append(risen, key)
				}
			}
		}
		for _, key := range []string{p.ID, p.UPN} {
			if key != "" {
				t.holders[strings.ToLower(key)] = p
			}
		}
	}
	return risen
}

// Fact is what an audit record said of a role and one who got or lost it.
type Fact struct {
	Tenant string    `json:"tenant"`
	Key    string    `json:"key"` // his folded id or name
	At     time.Time `json:"at"`
	Role   Role      `json:"role"`
	Held   bool      `json:"held"`
	Record string    `json:"record"`
}

// Observe learns from an audit record that gives or takes a role, and returns what the record says, be it new or not.
func (d *Directory) Observe(r *record.Record) (said []Fact) {
	if r.Category != record.AuditLogs {
		return nil
	}
	held, roles := d.changed(r)
	if len(roles) == 0 || r.Result() == "failure" {
		return nil
	}
	tenant, id := "", "" // a Decoder writes its texts over
	for _, target := range r.Targets() {
		if len(said) >= maxFacts {
			break
		}
		if !strings.EqualFold(target.Type, "User") && !strings.EqualFold(target.Type, "ServicePrincipal") {
			continue
		}
		if id == "" {
			tenant, id = strings.ToLower(strings.Clone(r.Tenant)), strings.Clone(r.ID)
			said = make([]Fact, 0, 2*len(roles))
		}
		keys := [...]string{strings.ToLower(strings.Clone(target.ID)), strings.ToLower(strings.Clone(target.UPN))}
		for _, role := range roles {
			for _, key := range keys {
				if key != "" && len(key) <= maxKey {
					said = append(said, Fact{Tenant: tenant, Key: key, At: r.Time, Role: role, Held: held, Record: id})
				}
			}
		}
	}
	d.Learn(said)
	return said
}

// What one record may say of who holds what: whoever writes records could fill the memory with one. Real ones speak of a
// role and one or two principals.
const (
	maxFacts = 1000
	maxKey   = 256 // bytes of an id or a user principal name
)

// changed are the privileged roles that a record gives or takes.
func (d *Directory) changed(r *record.Record) (held bool, roles []Role) {
	held, isRole := roleChange(r.Operation)
	if !isRole {
		return true, d.rolesOfGroup(r)
	}
	ids, names := r.Roles()
	add := func(role Role) { // most records give both, which are one
		if role = canonical(role); Privileged(role.ID, role.Name) && !slices.Contains(roles, role) { // nobody asks for others
			roles = append(roles, role)
		}
	}
	for _, id := range ids {
		add(Role{ID: id})
	}
	for _, name := range names {
		add(Role{Name: name})
	}
	return held, roles
}

// rolesOfGroup are those that a record gives by adding a member to a group. Who is taken out of one may hold them otherwise:
// that he does not is for the next reading to say.
func (d *Directory) rolesOfGroup(r *record.Record) []Role {
	if !strings.EqualFold(r.Operation, "add member to group") {
		return nil
	}
	id := ""
	if c, said := r.Change("Group.ObjectID"); said {
		id = c.New
	}
	for _, t := range r.Targets() {
		if id == "" && strings.EqualFold(t.Type, "Group") {
			id = t.ID
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tenant(r.Tenant).groups[strings.ToLower(id)]
}

// Learn takes facts that were observed, here or elsewhere.
func (d *Directory) Learn(facts []Fact) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range facts {
		d.tenant(f.Tenant).learn(f.Key, change{at: f.At, role: f.Role, held: f.Held, id: f.Record})
	}
}

func (t *tenant) learn(key string, c change) {
	have := t.changes[key]
	from := sort.Search(len(have), func(i int) bool { return !have[i].at.Before(c.at) })
	to := from // behind those of the same time
	for ; to < len(have) && have[to].at.Equal(c.at); to++ {
		if have[to].id == c.id && have[to].role == c.role {
			return
		}
	}
	t.changes[key] = slices.Insert(have, to, c)
}

// roleChange tells role operations from all others: what gives a role that counts at once, and what takes it.
// Eligible and requested roles are not held.
func roleChange(operation string) (held, ok bool) {
	is := func(name string) bool { return strings.EqualFold(operation, name) }
	begins := func(name string) bool {
		return len(operation) >= len(name) && strings.EqualFold(operation[:len(name)], name)
	}
	switch {
	case is("add member to role"), is("add scoped member to role"),
		begins("add member to role in pim completed"), is("add member to role completed (pim activation)"),
		begins("add member to role outside of pim"):
		return true, true
	case is("remove member from role"), is("remove scoped member from role"),
		begins("remove member from role in pim completed"),
		is("remove member from role (pim activation expired)"), is("remove member from role completed (pim deactivate)"):
		return false, true
	}
	return false, false
}

// Privileged says whether the party held a privileged role in the tenant at time at, and which.
func (d *Directory) Privileged(tenantID string, p record.Party, at time.Time) (Known, []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var room [128]byte // it is asked about every record: small letters cost no allocation
	t := d.last
	if t == nil || t.written != tenantID {
		if t = d.tenants[string(record.AppendLower(room[:0], tenantID))]; t != nil {
			if d.last = t; t.written == "" {
				t.written = strings.Clone(tenantID)
			}
		}
	}
	if t == nil || p.Key() == "" {
		return Unknown, nil
	}
	answer := No
	if t.read.IsZero() || t.partly || at.Before(t.read.Add(-holdsBack)) {
		answer = Unknown // nobody read what else he holds
	}
	var lists [3][]change // that speak of him, as they are: there may be thousands
	changes := lists[:0]
	var holder Principal
	for _, key := range [...]string{p.ID, p.UPN, p.AppID} {
		if key == "" {
			continue
		}
		lower := record.AppendLower(room[:0], key)
		if of := t.changes[string(lower)]; len(of) > 0 {
			changes = append(changes, of)
		}
		if h, ok := t.holders[string(lower)]; ok && !another(key, p, h) {
			holder = h
		}
	}
	if len(changes) == 0 && len(holder.Roles) == 0 {
		return answer, nil // as of almost everybody
	}
	roles := slices.Clone(holder.Roles)
	for _, of := range changes {
		for i := range of {
			if !slices.Contains(roles, of[i].role) { // of the few that there are
				roles = append(roles, of[i].role)
			}
		}
	}
	var names []string
	for _, role := range roles {
		if !Privileged(role.ID, role.Name) {
			continue
		}
		switch t.held(role, changes, holder, at) {
		case Yes:
			names = append(names, RoleName(role))
		case Unknown:
			if answer == No {
				answer = Unknown
			}
		}
	}
	if len(names) > 0 {
		slices.Sort(names)
		return Yes, slices.Compact(names)
	}
	return answer, nil
}

// another says that the holder whom the party's name has found is somebody else: names are given anew, ids are not.
func another(key string, p record.Party, h Principal) bool {
	const guid = len("00000000-0000-0000-0000-000000000000")
	return !strings.EqualFold(h.ID, key) && len(p.ID) == guid && len(h.ID) == guid && !strings.EqualFold(p.ID, h.ID)
}

// held decides one role at one time: the last change before it, else the next one after it, else the snapshot.
func (t *tenant) held(role Role, changes [][]change, holder Principal, at time.Time) Known {
	var last, next *change
	for _, of := range changes {
		for i := range of {
			c := &of[i]
			if c.role != role {
				continue
			}
			if !c.at.After(at) {
				if last == nil || c.at.After(last.at) {
					last = c
				}
			} else if next == nil || c.at.Before(next.at) {
				next = c
			}
		}
	}
	inSnapshot := slices.Contains(holder.Roles, role)
	switch {
	case last != nil && (t.read.IsZero() || t.read.After(at) || last.at.After(t.read)):
		return known(last.held)
	case !t.read.IsZero() && !t.read.After(at): // read before that time, and nothing changed since
		return known(inSnapshot)
	case next != nil && (t.read.IsZero() || next.at.Before(t.read)):
		return known(!next.held)
	case t.read.IsZero():
		return Unknown
	case inSnapshot && !holder.Created.IsZero() && !at.Before(holder.Created), !at.Before(t.read.Add(-holdsBack)):
		return known(inSnapshot)
	}
	return Unknown
}

func known(b bool) Known {
	if b {
		return Yes
	}
	return No
}
