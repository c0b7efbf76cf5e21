package directory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"cordon/internal/bus"
	"cordon/internal/record"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const tenantID = "7c2f0c1e-52a7-4f1e-9a0b-3a5f5f0e7a11"

var read = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

const hour, aDay = time.Hour, 24 * time.Hour

// change is an audit record that gives or takes a role, named by template id, by name, or by both.
func roleRecord(t require.TestingT, id, operation, target, roleID, roleName string, at time.Time) *record.Record {
	var changes []any
	if roleID != "" {
		changes = append(changes, map[string]any{"displayName": "Role.TemplateId", "newValue": `"` + roleID + `"`})
	}
	if roleName != "" {
		changes = append(changes, map[string]any{"displayName": "Role.DisplayName", "newValue": `"` + roleName + `"`})
	}
	raw, err := json.Marshal(map[string]any{"time": at, "category": "AuditLogs", "tenantId": tenantID, "operationName": operation, "properties": map[string]any{
		"id": id, "activityDateTime": at, "result": "success", "targetResources": []any{map[string]any{"id": target, "type": "User", "modifiedProperties": changes}}}})
	require.NoError(t, err)
	r, err := record.Decode(raw, record.Defaults{})
	require.NoError(t, err)
	return r
}

func user(id string) record.Party { return record.Party{Type: record.User, ID: id} }

func standing(d *Directory, p record.Party, at time.Time) Known {
	k, _ := d.Privileged(tenantID, p, at)
	return k
}

func TestWhatWasReadHoldsForATime(t *testing.T) {
	d := New()
	require.Equal(t, Unknown, standing(d, user("u1"), read))
	d.Load(Snapshot{Tenant: tenantID, Read: read, Principals: []Principal{
		{ID: "u1", UPN: "avery@contoso.example", Roles: []Role{{ID: GlobalAdministrator, Name: "Global Administrator"}}},
		{ID: "u2", Roles: []Role{{ID: "88d8e3e3-8f55-4a1e-953a-9b9898b8876b"}}}, // a directory reader
		{ID: "u3", Created: read.Add(-300 * aDay), Roles: []Role{{Name: "TenantAdmins"}}},
	}})
	for name, c := range map[string]struct {
		who  record.Party
		at   time.Duration // from the reading
		want Known
	}{
		"when it was read":         {user("u1"), 0, Yes},
		"in capitals":              {user("U1"), 0, Yes},
		"by name":                  {record.Party{UPN: "Avery@contoso.example"}, 0, Yes},
		"long after":               {user("u1"), 100 * aDay, Yes},
		"30 days before":           {user("u1"), -30 * aDay, Yes},
		"longer before":            {user("u1"), -31 * aDay, Unknown},
		"back to its creation":     {user("u3"), -300 * aDay, Yes},
		"before its creation":      {user("u3"), -301 * aDay, Unknown},
		"a role that matters not":  {user("u2"), 0, No},
		"who is not in it":         {user("u9"), 0, No},
		"nor then":                 {user("u9"), -30 * aDay, No},
		"but who knows about then": {user("u9"), -31 * aDay, Unknown},
		"nobody":                   {record.Party{}, 0, Unknown},
	} {
		require.Equal(t, c.want, standing(d, c.who, read.Add(c.at)), name)
	}
	_, roles := d.Privileged("7C2F0C1E-52A7-4F1E-9A0B-3A5F5F0E7A11", user("u3"), read)
	require.Equal(t, []string{"Global Administrator"}, roles, "by the name that people know")
	require.Equal(t, Unknown, first(d.Privileged("another", user("u1"), read)))
}

func first(k Known, _ []string) Known { return k }

func TestTheAuditStreamKeepsItCurrent(t *testing.T) {
	const pra = "e8611ab8-c189-46e8-94e1-60213ab1f814"
	snapshot := Snapshot{Tenant: tenantID, Read: read, Principals: []Principal{{ID: "u1", Roles: []Role{{ID: GlobalAdministrator, Name: "Global Administrator"}}}}}
	for name, c := range map[string]struct {
		operation, role, roleName string
		target                    string
		at                        time.Duration
		before, after             Known // an hour before and after the change
	}{
		"given":                             {"Add member to role", pra, "", "u9", hour * 5, No, Yes},
		"given, by name":                    {"Add member to role", "", "Global Administrator", "u9", hour * 5, No, Yes},
		"given before the reading":          {"Add member to role", pra, "", "u1", -hour * 5, No, Yes},
		"given through PIM":                 {"Add member to role in PIM completed (permanent)", pra, "", "u9", hour * 5, No, Yes},
		"activated":                         {"Add member to role completed (PIM activation)", pra, "", "u9", hour * 5, No, Yes},
		"eligible is not held":              {"Add eligible member to role in PIM completed (permanent)", pra, "", "u9", hour * 5, No, No},
		"requested is not held":             {"Add member to role in PIM requested (permanent)", pra, "", "u9", hour * 5, No, No},
		"a role that matters not":           {"Add member to role", "", "Directory Readers", "u9", hour * 5, No, No},
		"taken, by id":                      {"Remove member from role", GlobalAdministrator, "", "u1", hour * 5, Yes, No},
		"taken, by name alone":              {"Remove member from role in PIM completed (permanent)", "", "Global Administrator", "u1", hour * 5, Yes, No},
		"taken, by both":                    {"Remove member from role", GlobalAdministrator, "Company Administrator", "u1", hour * 5, Yes, No},
		"taken before the reading, and yet": {"Remove member from role", GlobalAdministrator, "", "u1", -hour * 5, Yes, No},
		"another role taken":                {"Remove member from role", pra, "", "u1", hour * 5, Yes, Yes},
	} {
		t.Run(name, func(t *testing.T) {
			d := New()
			d.Load(snapshot)
			if name == "given before the reading" {
				d.Load(Snapshot{Tenant: tenantID, Read: read, Principals: []Principal{{ID: "u1", Roles: []Role{{ID: pra}}}}})
			}
			at := read.Add(c.at)
			d.Observe(roleRecord(t, "r1", c.operation, c.target, c.role, c.roleName, at))
			require.Equal(t, c.before, standing(d, user(c.target), at.Add(-hour)))
			require.Equal(t, c.after, standing(d, user(c.target), at))
			require.Equal(t, c.after, standing(d, user(c.target), at.Add(hour)))
		})
	}
}

func TestARefusedChangeChangesNothing(t *testing.T) {
	d := New()
	raw := roleRecord(t, "r1", "Add member to role", "u9", GlobalAdministrator, "", read).Raw
	r, err := record.Decode(bytes.Replace(raw, []byte(`"success"`), []byte(`"failure"`), 1), record.Defaults{})
	require.NoError(t, err)
	require.Equal(t, "failure", r.Result())
	d.Observe(r)
	require.Equal(t, Unknown, standing(d, user("u9"), read))
}

func TestALaterReadingWinsOverEarlierChanges(t *testing.T) {
	d := New()
	d.Observe(roleRecord(t, "r1", "Add member to role", "u9", GlobalAdministrator, "", read.Add(-hour)))
	require.Equal(t, Yes, standing(d, user("u9"), read.Add(hour)))
	d.Load(Snapshot{Tenant: tenantID, Read: read}) // the removal was never delivered
	require.Equal(t, No, standing(d, user("u9"), read.Add(hour)))
	require.Equal(t, Yes, standing(d, user("u9"), read.Add(-time.Minute)), "then it was so")
}

// The stream alone: whatever the order of arrival, each moment has the answer of the last change before it.
func TestTheOrderOfArrivalDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "changes")
		var records []*record.Record
		held := map[int]bool{}
		for i := range n {
			given := rapid.Bool().Draw(t, "given")
			held[i] = given
			operation, id, name := "Remove member from role", GlobalAdministrator, ""
			if given {
				operation = "Add member to role"
			}
			if rapid.Bool().Draw(t, "by name") {
				id, name = "", "Global Administrator"
			}
			records = append(records, roleRecord(t, fmt.Sprint("r", i), operation, "u1", id, name, read.Add(time.Duration(i)*hour)))
		}
		d := New()
		for _, r := range rapid.Permutation(append(records, records...)).Draw(t, "order") {
			d.Observe(r)
		}
		for i := range n {
			k := standing(d, user("u1"), read.Add(time.Duration(i)*hour+time.Minute))
			require.Equal(t, held[i], k == Yes, "after change %d", i)
		}
		require.NotEqual(t, Yes, standing(d, user("u1"), read.Add(-hour)) == Yes && held[0], "not before it was given")
	})
}

func TestASnapshotOutlivesARestart(t *testing.T) {
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	defer b.Close()
	s := Snapshot{Tenant: tenantID, Read: read, Principals: []Principal{{ID: "u1", Created: read.Add(-aDay), Roles: []Role{{ID: GlobalAdministrator}}}}}
	require.NoError(t, Save(t.Context(), b, s))
	d := New()
	require.NoError(t, d.Restore(t.Context(), b, []string{tenantID, "never read"}))
	require.Equal(t, Yes, standing(d, user("u1"), read))
}

func TestRolesMatchByTemplateIDOrByName(t *testing.T) {
	for _, r := range PrivilegedRoles {
		require.True(t, Privileged(r.ID, ""), r.Name)
		require.True(t, Privileged("", r.Name), r.Name)
		require.Equal(t, Role{ID: r.ID}, canonical(Role{Name: r.Name}))
	}
	require.True(t, Privileged("", "Company Administrator"))
	require.False(t, Privileged("", ""))
	require.False(t, Privileged("x", "Directory Readers"))
	lists := Lists()
	require.Len(t, lists["privileged-role-ids"], len(PrivilegedRoles))
	require.Contains(t, lists["privileged-role-names"], "company administrator")
}

func TestACloneLearnsForItself(t *testing.T) {
	d := New()
	d.Load(Snapshot{Tenant: tenantID, Read: read, Principals: []Principal{{ID: "u1", Roles: []Role{{ID: GlobalAdministrator}}}}})
	d.Observe(roleRecord(t, "r1", "Add member to role", "u9", GlobalAdministrator, "", read.Add(hour)))
	c := d.Clone()
	require.Equal(t, Yes, standing(c, user("u1"), read))
	require.Equal(t, Yes, standing(c, user("u9"), read.Add(2*hour)))
	c.Observe(roleRecord(t, "r2", "Remove member from role", "u9", GlobalAdministrator, "", read.Add(3*hour)))
	c.Load(Snapshot{Tenant: tenantID, Read: read.Add(5 * hour)})
	require.Equal(t, No, standing(c, user("u9"), read.Add(4*hour)))
	require.Equal(t, Yes, standing(d, user("u9"), read.Add(4*hour)))
	require.Equal(t, Yes, standing(d, user("u1"), read.Add(6*hour)))
	d.Observe(roleRecord(t, "r3", "Add member to role", "u7", GlobalAdministrator, "", read.Add(hour)))
	require.NotEqual(t, Yes, standing(c, user("u7"), read.Add(2*hour)))
}

// A file may list an application by its application id; a name that was given anew is nobody's proof.
func TestWhoseRoleItIs(t *testing.T) {
	const object, app, other = "0b000000-0000-4000-8000-000000000001", "0a000000-0000-4000-8000-000000000002", "0c000000-0000-4000-8000-000000000003"
	d := New()
	d.Load(Snapshot{Tenant: tenantID, Read: read, Principals: []Principal{
		{ID: app, Roles: []Role{{ID: GlobalAdministrator}}},
		{ID: object, UPN: "avery@contoso.example", Roles: []Role{{ID: GlobalAdministrator}}},
	}})
	require.Equal(t, Yes, standing(d, record.Party{ID: other, AppID: app}, read))
	require.Equal(t, Yes, standing(d, record.Party{ID: object, UPN: "avery@contoso.example"}, read))
	require.Equal(t, No, standing(d, record.Party{ID: other, UPN: "avery@contoso.example"}, read))
}

// Who is added to a group that holds a role holds it from then on; who is taken out may hold it otherwise.
func TestAGroupThatHoldsARole(t *testing.T) {
	const admins, others = "AD000000-0000-4000-8000-000000000001", "0e000000-0000-4000-8000-000000000002"
	member := func(id, operation, group string, byTarget bool) *record.Record {
		user := map[string]any{"id": "u1", "type": "User"}
		targets := []any{user}
		if byTarget {
			targets = append(targets, map[string]any{"id": group, "type": "Group"})
		} else {
			user["modifiedProperties"] = []any{map[string]any{"displayName": "Group.ObjectID", "newValue": `"` + group + `"`}}
		}
		raw, err := json.Marshal(map[string]any{"time": read.Add(hour), "category": "AuditLogs", "tenantId": tenantID, "operationName": operation, "properties": map[string]any{
			"id": id, "activityDateTime": read.Add(hour), "result": "success", "targetResources": targets}})
		require.NoError(t, err)
		r, err := record.Decode(raw, record.Defaults{})
		require.NoError(t, err)
		return r
	}
	for name, c := range map[string]struct {
		r    *record.Record
		want Known
	}{
		"added":                {member("1", "Add member to group", admins, false), Yes},
		"added, by its target": {member("2", "Add member to group", "ad000000-0000-4000-8000-000000000001", true), Yes},
		"to another":           {member("3", "Add member to group", others, false), No},
		"taken out":            {member("4", "Remove member from group", admins, false), No},
	} {
		t.Run(name, func(t *testing.T) {
			d := New()
			d.Load(Snapshot{Tenant: tenantID, Read: read, Groups: map[string][]Role{admins: {{Name: "Company Administrator"}}}})
			d = d.Clone()
			facts := d.Observe(c.r)
			require.Equal(t, c.want == Yes, len(facts) > 0)
			require.Equal(t, c.want, standing(d, user("u1"), read.Add(2*hour)))
			require.Equal(t, No, standing(d, user("u1"), read), "before")
		})
	}
	d := New()
	d.Load(Snapshot{Tenant: tenantID, Read: read, Unread: []string{admins}})
	require.Equal(t, Unknown, standing(d.Clone(), user("u1"), read))
}
