package detectors

import (
	"encoding/json"
	"testing"
	"time"

	"cordon/internal/incident"
	"cordon/internal/record"
	"github.com/stretchr/testify/require"
)

const ownApp = "c0ffee00-0000-4000-8000-000000000001"

// ownChange is an audit record of a change under Cordon's identity.
func ownChange(id, operation, target string, at time.Time) fields {
	return fields{"time": at, "category": "AuditLogs", "tenantId": tenantID, "operationName": operation, "properties": fields{
		"id": id, "activityDateTime": at, "result": "success", "initiatedBy": fields{"app": fields{"appId": ownApp, "servicePrincipalId": "sp-own", "displayName": "Cordon"}},
		"targetResources": []any{fields{"id": target, "type": "User"}}}}
}

// started is the event by which the worker announces a change.
func started(t require.TestingT, tenant, target string, at time.Time, operations ...string) []byte {
	data, err := json.Marshal(incident.StartedData{Action: "user.disable", Tenant: tenant, Objects: []string{target}, Footprint: operations})
	require.NoError(t, err)
	event, err := json.Marshal(incident.Event{V: 1, Type: incident.StepStarted, At: at, By: incident.Cordon, Data: data})
	require.NoError(t, err)
	return event
}

func TestWhatExplainsAChangeUnderCordonsIdentity(t *testing.T) {
	const op = "Disable account"
	for name, c := range map[string]struct {
		tenant, target, operation string
		after                     time.Duration // from announcement to change
		want                      bool
	}{
		"operation, target and time":   {tenantID, "u1", op, time.Second, true},
		"at once":                      {tenantID, "u1", op, 0, true},
		"a minute early, for clocks":   {tenantID, "u1", op, -time.Minute, true},
		"earlier":                      {tenantID, "u1", op, -time.Minute - time.Second, false},
		"a day late":                   {tenantID, "u1", op, 24 * time.Hour, true},
		"later":                        {tenantID, "u1", op, 24*time.Hour + time.Second, false},
		"another operation":            {tenantID, "u1", "Delete user", time.Second, false},
		"another target":               {tenantID, "u2", op, time.Second, false},
		"another tenant":               {"other", "u1", op, time.Second, false},
		"capitals in id and operation": {"7C2F0C1E-52A7-4F1E-9A0B-3A5F5F0E7A11", "U1", "disable Account", time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := footprints{own: []string{ownApp}}
			require.NoError(t, f.announce(started(t, c.tenant, c.target, morning, c.operation), 3))
			r := decode(t, ownChange("o1", op, "u1", morning.Add(c.after)))
			require.True(t, f.isOwn(r))
			waiting, found := f.judge([]foreign{{record: r, position: "p", until: 3, asked: true}})
			require.Equal(t, c.want, len(found) == 0)
			require.Empty(t, waiting)
			if !c.want {
				require.Equal(t, "critical", found[0].Level)
				require.Equal(t, unexplainedRule+"/"+r.ID, found[0].ID)
				require.Equal(t, "sp-own", found[0].Principal.ID)
				require.Contains(t, found[0].Says, op)
			}
		})
	}
}

func TestAChangeIsUnexplainedOnlyOnceAllAnnouncementsWereRead(t *testing.T) {
	r := decode(t, ownChange("o1", "Disable account", "u1", morning.Add(time.Second)))
	for name, last := range map[string][]byte{
		"explained late": started(t, tenantID, "u1", morning, "Disable account"),
		"not explained":  started(t, tenantID, "u2", morning, "Disable account"),
	} {
		f := footprints{own: []string{ownApp}, read: 4}
		require.NoError(t, f.announce([]byte(`{"type":"something.new","data":7}`), 5), "unknown types are skipped")
		waiting, found := f.judge([]foreign{{record: r, until: 6, asked: true}})
		require.Empty(t, found)
		require.Len(t, waiting, 1, "it waits")
		require.NoError(t, f.announce(last, 6))
		waiting, found = f.judge(waiting)
		require.Equal(t, name == "not explained", len(found) == 1, name)
		require.Empty(t, waiting)
	}
	require.Error(t, (&footprints{}).announce([]byte("{"), 1))
}

func TestWhoIsCordon(t *testing.T) {
	f := footprints{own: []string{"", ownApp}}
	other := ownChange("o1", "Disable account", "u1", morning)
	other["properties"].(fields)["initiatedBy"] = fields{"app": fields{"appId": "another"}}
	require.False(t, f.isOwn(decode(t, other)))
	other["properties"].(fields)["initiatedBy"] = fields{"app": fields{"displayName": "no id"}}
	require.False(t, f.isOwn(decode(t, other)), "an empty id is nobody's")
	other["properties"].(fields)["initiatedBy"] = fields{"user": fields{"id": ownApp}}
	require.False(t, f.isOwn(decode(t, other)))
	require.False(t, f.isOwn(&record.Record{Category: record.SignInLogs, Actor: record.Party{Type: record.ServicePrincipal, AppID: ownApp}}))
}

func TestOldAnnouncementsAreForgotten(t *testing.T) {
	f := footprints{}
	for i := range 5 {
		require.NoError(t, f.announce(started(t, tenantID, "u1", morning.Add(time.Duration(i)*24*time.Hour), "x"), uint64(i+1)))
	}
	require.Len(t, f.announced[tenantID], 3)
}

// sent is the journal's entry by which a canary is announced.
func sent(t require.TestingT, nonce string, at time.Time) []byte {
	data, err := json.Marshal(incident.StartedData{Ref: incident.Ref{Place: "canary/" + nonce, Round: 1}, Action: "canary", Tenant: tenantID,
		Objects: []string{"sp-own"}, Footprint: []string{"Update service principal"}})
	require.NoError(t, err)
	event, err := json.Marshal(incident.Event{V: 1, Type: incident.CanarySent, At: at, By: incident.Cordon, Data: data})
	require.NoError(t, err)
	return event
}

func TestACanaryExplainsItsOwnRecordAlone(t *testing.T) {
	notes := func(nonce string) fields {
		return fields{"displayName": "Notes", "oldValue": `[""]`, "newValue": `["cordon canary 2026-03-02T08:00:00Z ` + nonce + `"]`}
	}
	included := func(names string) fields {
		return fields{"displayName": "Included Updated Properties", "newValue": `"` + names + `"`}
	}
	for name, c := range map[string]struct {
		after   time.Duration
		changes []any
		want    bool
	}{
		"its notes":                       {time.Second, []any{notes("n1"), included("Notes")}, true},
		"its notes, seen a day later":     {24 * time.Hour, []any{notes("n1")}, true},
		"the notes of another":            {time.Second, []any{notes("n2")}, false},
		"other notes":                     {time.Second, []any{fields{"displayName": "Notes", "newValue": `["owned"]`}}, false},
		"a credential beside the notes":   {time.Second, []any{notes("n1"), fields{"displayName": "KeyDescription", "newValue": `["x"]`}}, false},
		"another property beside":         {time.Second, []any{notes("n1"), included("Notes, AppRoles")}, false},
		"nothing shown, at once":          {time.Second, nil, true},
		"nothing shown, and much later":   {brief + time.Second, nil, false},
		"another change within the pause": {time.Second, []any{fields{"displayName": "AccountEnabled", "newValue": "[false]"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := footprints{own: []string{ownApp}}
			require.NoError(t, f.journalled(sent(t, "n1", morning), 7))
			change := ownChange("o1", "Update service principal", "sp-own", morning.Add(c.after))
			change["properties"].(fields)["targetResources"].([]any)[0].(fields)["modifiedProperties"] = c.changes
			_, found := f.judge([]foreign{{record: decode(t, change), journal: 7, asked: true}})
			require.Equal(t, c.want, len(found) == 0)
		})
	}
	require.Error(t, (&footprints{}).journalled(started(t, tenantID, "u1", morning)[:5], 1))
	f := footprints{}
	require.NoError(t, f.journalled(sent(t, "n1", morning), 7))
	_, found := f.judge([]foreign{{record: decode(t, ownChange("o1", "x", "sp-own", morning)), journal: 8, asked: true}})
	require.Empty(t, found, "the journal has not been read far enough")
}
