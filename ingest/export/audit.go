package export

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cordon/internal/record"
)

// auditColumns are the columns of the audit logs by keyOf, and their place in the record's properties
// (https://learn.microsoft.com/graph/api/resources/directoryaudit). The record's id is not among them: the records of
// a CSV are known by their bytes.
var auditColumns = map[string]string{
	"id":            "id",
	"correlationid": "correlationId",
	"service":       "loggedByService",
	"category":      "category",
	"activity":      "activityDisplayName",
	"result":        "result",
	"resultreason":  "resultReason",
	"useragent":     "userAgent",
	"operationtype": "operationType",
}

// actorColumns are read by initiator.
var actorColumns = []string{"dateutc", "date", "actortype", "actordisplayname", "actorobjectid", "actoruserprincipalname", "ipaddress",
	"actorhometenantid", "actorhometenantname", "actorserviceprincipalid", "actorserviceprincipalname"}

// The columns that are numbered from 1. The portal writes up to three targets, five properties of each and six details,
// and leaves out what is beyond.
var (
	targetColumn   = regexp.MustCompile(`^target([0-9]{1,2})(type|displayname|objectid|id|userprincipalname|grouptype)$`)
	propertyColumn = regexp.MustCompile(`^target([0-9]{1,2})modifiedproperty([0-9]{1,2})(name|oldvalue|newvalue)$`)
	detailColumn   = regexp.MustCompile(`^additionaldetail([0-9]{1,2})(key|value)$`)
)

var targetMembers = map[string]string{"type": "type", "displayname": "displayName", "objectid": "id", "id": "id",
	"userprincipalname": "userPrincipalName", "grouptype": "groupType",
	"name": "displayName", "oldvalue": "oldValue", "newvalue": "newValue", "key": "key", "value": "value"}

// auditRows reads the CSV of the audit logs. It names no tenant: whoever reads the file must.
func auditRows(string, []column) func(row) ([]byte, error) {
	return func(r row) ([]byte, error) {
		at, err := dated(r)
		if err != nil {
			return nil, err
		}
		p := fields{"activityDateTime": at}
		targets, details := numbered{}, numbered{}
		properties := map[int]numbered{}
		for _, c := range r {
			place, known := auditColumns[c.key]
			if m := targetColumn.FindStringSubmatch(c.key); m != nil {
				targets.at(m[1]).set(targetMembers[m[2]], c.text)
			} else if m := propertyColumn.FindStringSubmatch(c.key); m != nil {
				targets.at(m[1])
				n, _ := strconv.Atoi(m[1]) // digits, says the pattern
				if properties[n] == nil {
					properties[n] = numbered{}
				}
				properties[n].at(m[2]).set(targetMembers[m[3]], c.text)
			} else if m := detailColumn.FindStringSubmatch(c.key); m != nil {
				details.at(m[1]).set(targetMembers[m[2]], c.text)
			} else if slices.Contains(actorColumns, c.key) {
				continue
			} else if !known || !p.set(place, c.text) {
				p.keep(c)
			}
		}
		for n, changed := range properties {
			targets[n]["modifiedProperties"] = changed.inOrder()
		}
		p["targetResources"] = targets.inOrder()
		if len(details) > 0 {
			p["additionalDetails"] = details.inOrder()
		}
		by, caller := initiator(r)
		p["initiatedBy"] = by
		return json.Marshal(envelope{Time: at, Category: record.AuditLogs, Operation: r.get("activity"), Caller: caller, Properties: p})
	}
}

// numbered are members of a list by their number.
type numbered map[int]fields

func (m numbered) at(number string) fields {
	n, _ := strconv.Atoi(number) // digits, say the patterns
	if m[n] == nil {
		m[n] = fields{}
	}
	return m[n]
}

func (m numbered) inOrder() []fields {
	order := make([]int, 0, len(m))
	for n := range m {
		order = append(order, n)
	}
	slices.Sort(order)
	out := []fields{}
	for _, n := range order {
		out = append(out, m[n])
	}
	return out
}

// initiator is who did it, and the address of an application, which has no place in the record's initiatedBy.
func initiator(r row) (by fields, caller string) {
	member := fields{}
	put := func(name string, columns ...string) {
		if text := r.get(columns...); text != "" {
			member[name] = text
		}
	}
	put("displayName", "actordisplayname")
	kind := strings.ToLower(r.get("actortype"))
	if strings.HasPrefix(kind, "app") || strings.HasPrefix(kind, "service") || kind != "user" && r.get("actoruserprincipalname") == "" && r.get("actorserviceprincipalid", "actorserviceprincipalname") != "" {
		put("servicePrincipalId", "actorserviceprincipalid", "actorobjectid")
		put("servicePrincipalName", "actorserviceprincipalname")
		return fields{"app": member}, r.get("ipaddress")
	}
	put("id", "actorobjectid")
	put("userPrincipalName", "actoruserprincipalname")
	put("ipAddress", "ipaddress")
	put("homeTenantId", "actorhometenantid")
	put("homeTenantName", "actorhometenantname")
	if len(member) == 0 {
		return fields{}, ""
	}
	return fields{"user": member}, ""
}
