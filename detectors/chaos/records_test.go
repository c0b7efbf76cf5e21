package chaos

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"cordon/internal/bus"
	"cordon/internal/directory"
	"cordon/internal/record"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

const (
	tenants = 40
	admin   = "0a4e6a1e-1111-4c6e-9d43-0d8a5c1f0001" // in each tenant

	noDetails = "[]"
	oneFactor = `[{"authenticationMethod":"Password","succeeded":true,"authenticationStepRequirement":"Primary authentication"}]`
	twoFactor = `[{"authenticationMethod":"Password","succeeded":true},{"authenticationMethod":"Mobile app notification","succeeded":true,"authenticationStepRequirement":"Multi-factor authentication"}]`
)

var morning = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func tenant(n int) string { return fmt.Sprintf("7c2f%04x-52a7-4f1e-9a0b-3a5f5f0e7a11", n) }

// known is what every instance has read of the tenants' roles.
func known() *directory.Directory {
	d := directory.New()
	for n := range tenants {
		d.Load(directory.Snapshot{Tenant: tenant(n), Read: morning.Add(-24 * time.Hour),
			Principals: []directory.Principal{{ID: admin, Roles: []directory.Role{{ID: directory.GlobalAdministrator, Name: "Global Administrator"}}}}})
	}
	return d
}

type fields = map[string]any

// signIn is an interactive sign-in; details are its authentication steps, in JSON.
func signIn(tenant, id, user, address string, code int, at time.Time, details string) fields {
	return fields{"time": at.Add(time.Minute), "category": record.SignInLogs, "tenantId": tenant, "properties": fields{
		"id": id, "createdDateTime": at, "userId": user, "userPrincipalName": user + "@contoso.example", "ipAddress": address,
		"status": fields{"errorCode": code}, "authenticationRequirement": "singleFactorAuthentication", "authenticationDetails": details}}
}

// roleGiven is the audit record of a role that a user was given.
func roleGiven(tenant, id, user string, at time.Time) fields {
	return fields{"time": at, "category": record.AuditLogs, "tenantId": tenant, "operationName": "Add member to role", "properties": fields{
		"id": id, "activityDateTime": at, "result": "success", "initiatedBy": fields{"user": fields{"id": "u1", "userPrincipalName": "avery@contoso.example"}},
		"targetResources": []any{fields{"id": user, "type": "User", "modifiedProperties": []any{
			fields{"displayName": "Role.DisplayName", "newValue": `"Global Administrator"`},
			fields{"displayName": "Role.TemplateId", "newValue": `"` + directory.GlobalAdministrator + `"`}}}}}}
}

// writer puts records into LOGS as ingest does: in batches with their checkpoints, from two sources of one partition.
type writer struct {
	bus  *bus.Bus
	next int64 // positions, of either source
}

// arrival is a record as it comes from a source.
type arrival struct {
	fields
	source string
	came   time.Time
}

var sources = []string{"hub", "export"}

// write stores records, and that all has been read up to a time.
func (w *writer) write(t *testing.T, records []arrival, seen time.Time) (last uint64) {
	t.Helper()
	var batch []bus.Message
	for _, a := range records {
		raw, err := json.Marshal(a.fields)
		require.NoError(t, err)
		r, err := record.Decode(raw, record.Defaults{})
		require.NoError(t, err)
		w.next++
		at := record.Position{Source: a.source, Partition: "0", Sequence: w.next}
		batch = append(batch, bus.Message{Subject: bus.LogSubject(r.Tenant, r.Category, r.Actor.Key()), Header: nats.Header(r.Headers(at, r.Time.Add(time.Minute))), Data: r.Raw})
	}
	for _, source := range sources {
		cp := record.Checkpoint{Source: source, Partition: "0", Sequence: w.next, Done: true, Seen: seen}
		for n := range tenants {
			for _, category := range []string{record.SignInLogs, record.AuditLogs} {
				cp.Carried = append(cp.Carried, record.Carried{Tenant: tenant(n), Category: category})
			}
		}
		data, err := json.Marshal(cp)
		require.NoError(t, err)
		batch = append(batch, bus.Message{Subject: bus.CheckpointSubject(source, "0"), Data: data, Header: nats.Header{"Nats-Rollup": {"sub"}}})
	}
	last, err := w.bus.PublishBatch(t.Context(), batch)
	require.NoError(t, err)
	return last
}

// step is the time from one thing that happens to the next.
const step = 3 * time.Second

// late is by how many steps a record may come too late, but for a fuller revision, which takes its time.
const late = 15

// story makes some n records of several tenants in the order in which they come: sprays and their hits, administrators
// without a second factor whose fuller revision comes later or never, roles given and used, what the other source
// brings once more, and much that means nothing. What is given comes before it is used: whether a role was known when a
// record came decides what is found, and is not the question here.
func story(r *rand.Rand, n int) []arrival {
	var all []arrival
	at := func(steps int) time.Time { return morning.Add(time.Duration(steps) * step) }
	come := func(when int, f fields) {
		when += r.IntN(late)
		all = append(all, arrival{f, sources[0], at(when)})
		if r.IntN(8) == 0 {
			all = append(all, arrival{f, sources[1], at(when + r.IntN(4*late))})
		}
	}
	serial := 0
	id := func() string { serial++; return fmt.Sprintf("r%06d", serial) }
	few := func() string { return tenant(r.IntN(8)) } // so that much happens in each
	for i := 0; len(all) < n; i++ {
		switch who := few(); r.IntN(40) {
		case 0: // a spray of a few minutes, perhaps over a slot's end, perhaps with a hit before, amid or after
			address, tried, every := fmt.Sprintf("203.0.%d.%d", i>>8, i&255), 4+r.IntN(8), 1+r.IntN(40)
			for user := range tried {
				come(i+user*every, signIn(who, id(), fmt.Sprint("user", user), address, 50126, at(i+user*every), noDetails))
			}
			for range r.IntN(3) {
				hit := i + r.IntN(12*every)
				come(hit, signIn(who, id(), fmt.Sprint("victim", r.IntN(3)), address, 50076, at(hit), noDetails))
			}
		case 1, 2: // an administrator's sign-in, whose details come later, if they do
			s := id()
			come(i, signIn(who, s, admin, "198.51.100.23", 0, at(i), noDetails))
			switch r.IntN(3) {
			case 0:
				come(i+r.IntN(400), signIn(who, s, admin, "198.51.100.23", 0, at(i), oneFactor))
			case 1:
				come(i+r.IntN(400), signIn(who, s, admin, "198.51.100.23", 0, at(i), twoFactor))
			}
		case 3:
			user := "new-" + id()
			come(i, roleGiven(who, id(), user, at(i)))
			for range r.IntN(3) {
				used := i + 3*late + r.IntN(300)
				come(used, signIn(who, id(), user, "198.51.100.24", 0, at(used), []string{noDetails, oneFactor, twoFactor}[r.IntN(3)]))
			}
		default:
			come(i, signIn(who, id(), fmt.Sprint("user", r.IntN(200)), fmt.Sprintf("192.0.2.%d", r.IntN(256)), 0, at(i), oneFactor))
		}
	}
	slices.SortStableFunc(all, func(a, b arrival) int { return a.came.Compare(b.came) })
	return all
}
