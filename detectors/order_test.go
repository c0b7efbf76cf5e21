package detectors

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	fieldtable "cordon/detectors/fields"
	"cordon/detectors/sigma"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/record"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// storiesACheck: with rapid's 100 checks, 1,500 stories, each of which comes in three ways.
const storiesACheck = 15

func mustEncode(f fields) []byte {
	raw, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return raw
}

// story is a set of rules, all that happens, and how far the watermarks come.
type story struct {
	plan    *Plan
	text    string
	tenants []string
	all     []*happened
	mark    func(tenant, category string) time.Time
}

func oneOf[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// randomRules are three to five rules for single records, up to four correlations, and sometimes exceptions.
func randomRules(r *rand.Rand) string {
	searches := []string{
		`signin|s: {signIn.errorCode: 0}, condition: s`,
		`signin|s: {signIn.errorCode|neq: 0}, condition: s`,
		`signin|s: {actor.privileged: "true", location.countryOrRegion: null}, condition: s`,
		`signin|s: {actor.privileged: "true"}, f: {location.countryOrRegion: RO}, condition: s and not f`,
		`signin|s: {actor.privileged: "true", signIn.address|startswith: "192"}, f: {location.countryOrRegion: RO}, condition: s and not f`,
		`signin|s: {location.countryOrRegion: null}, condition: s`,
		`signin|s: {signIn.errorCode: 0}, f: {location.countryOrRegion: RO}, condition: s and not f`,
		`signin|s: {location.countryOrRegion: RO}, condition: s`,
		`signin|s: {signIn.address|exists: true}, condition: s`,
		`audit|s: {operation: Update user}, condition: s`,
		`audit|s: {operation|contains: e}, condition: s`,
	}
	var text strings.Builder
	var names []string
	service := map[string]string{}
	custom := func(more string) string {
		out := "custom: {mode: " + oneOf(r, "on", "on", "audit") + oneOf(r, "", ", privileged-level: critical") + more + "}\n"
		return "level: " + oneOf(r, "low", "high") + "\n" + out
	}
	for i := range 3 + r.IntN(3) {
		which, search, _ := strings.Cut(oneOf(r, searches...), "|")
		name := fmt.Sprint("r", i)
		names, service[name] = append(names, name), which
		fmt.Fprintf(&text, "---\ntitle: %s\nname: %s\nlogsource: {product: azure, service: %slogs}\ndetection: {%s}\n%s", name, name, which, search, custom(""))
	}
	for i := range r.IntN(5) {
		name := fmt.Sprint("c", i)
		r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		of := slices.Clone(names[:1+r.IntN(3)])
		kind := oneOf(r, "event_count", "value_count", "temporal", "temporal_ordered", "value_sum", "value_avg")
		if strings.HasPrefix(kind, "temporal") && len(of) == 1 {
			of = slices.Clone(names[:2])
		}
		group := oneOf(r, "actor.id", "signIn.address", "who", "actor.id, signIn.address")
		fmt.Fprintf(&text, "---\ntitle: %s\nname: %s\ncorrelation:\n  type: %s\n  rules: [%s]\n  group-by: [%s]\n  timespan: %s\n", name, name, kind, strings.Join(of, ", "), group,
			oneOf(r, "5m", "10m", "3m"))
		if group == "who" {
			var fields []string
			for _, rule := range of {
				fields = append(fields, rule+": "+oneOf(r, "actor.id", "actor.id", "signIn.address"))
			}
			fmt.Fprintf(&text, "  aliases: {who: {%s}}\n", strings.Join(fields, ", "))
		}
		n := 1 + r.IntN(3)
		if kind == "temporal" || kind == "temporal_ordered" {
			n = 1 + r.IntN(len(of))
		}
		condition := fmt.Sprintf(oneOf(r, "gte: %d", "gte: %d", "gte: %d", "gt: 0, lt: %d", "eq: %d", "gte: 1, neq: %d"), n)
		if strings.Contains(condition, "lt: 1") {
			condition = "eq: 1"
		}
		if kind == "value_count" {
			condition += ", field: " + oneOf(r, "signIn.address", "actor.id", "[actor.id, signIn.address]")
		}
		if kind == "value_sum" || kind == "value_avg" {
			condition = oneOf(r, "gte: %d", "gte: %d", "lt: %d", "gte: 0, lt: %d")
			condition = fmt.Sprintf(condition+", field: signIn.errorCode", oneOf(r, 1, 20_000, 50_126, 90_000))
		}
		fmt.Fprintf(&text, "  condition: {%s}\n%s", condition, oneOf(r, "", "", "  generate: true\n", "  generate: false\n"))
		more := ""
		if r.IntN(2) == 0 {
			more = ", principal: actor of " + oneOf(r, of...)
		}
		text.WriteString(custom(more))
		names = append(names, name)
	}
	for i := range max(0, r.IntN(4)-1) {
		if rule := fmt.Sprint("r", i); service[rule] == "signin" {
			fmt.Fprintf(&text, "---\ntitle: f\nname: f%d\nlogsource: {product: azure, service: signinlogs}\nfilter: {rules: [%s], s: {%s}, condition: not s}\ncustom: {owner: o, reason: r, until: %s}\n",
				i, rule, oneOf(r, "signIn.address: 192.0.2.1", "location.countryOrRegion: RO", "actor.id: u1"), morning.Add(20*time.Minute).Format(time.RFC3339))
		}
	}
	return text.String()
}

func randomStory(t require.TestingT, r *rand.Rand, table *fieldtable.Table) *story {
	w := &story{text: randomRules(r), tenants: []string{"11111111-52a7-4f1e-9a0b-3a5f5f0e7a11", "t2.example", "t3.example"}[:1+r.IntN(3)]}
	rules, err := sigma.Parse("r.yml", strings.NewReader(w.text), nil)
	require.NoError(t, err, w.text)
	w.plan, err = NewPlan(rules, WithFields(table))
	require.NoError(t, err, w.text)
	for i := range r.IntN(24) {
		h := &happened{tenant: oneOf(r, w.tenants...), user: oneOf(r, "u1", "u2", "u|3", "admin"), at: morning.Add(time.Duration(r.IntN(60)-30) * 30 * time.Second)}
		h.admin = h.user == "admin"
		if r.IntN(4) == 0 {
			h.category, h.oper = record.AuditLogs, oneOf(r, "Update user", "Add policy", "Consent")
			h.revisions = []fields{{"time": h.at, "category": h.category, "tenantId": h.tenant, "operationName": h.oper, "properties": fields{
				"id": fmt.Sprint("a", i), "activityDateTime": h.at, "result": "success", "initiatedBy": fields{"user": fields{"id": h.user}}}}}
		} else {
			h.category, h.address, h.country, h.code = record.SignInLogs, oneOf(r, "", "192.0.2.1", "198.51.100.2"), oneOf(r, "", "RO", "NO"), oneOf(r, 0, 50126)
			with := func(address, country, device bool) fields {
				p := fields{"id": fmt.Sprint("s", i), "createdDateTime": h.at, "userId": h.user, "status": fields{"errorCode": h.code}}
				if address && h.address != "" {
					p["ipAddress"] = h.address
				}
				if country && h.country != "" {
					p["location"] = fields{"countryOrRegion": h.country}
				}
				if device {
					p["deviceDetail"] = fields{"displayName": "laptop"}
				}
				return fields{"time": h.at, "category": h.category, "tenantId": h.tenant, "properties": p}
			}
			h.revisions = []fields{with(true, true, true)}
			if r.IntN(2) == 0 {
				first := r.IntN(2) == 0
				h.revisions = append([]fields{with(first, !first, false)}, h.revisions...)
				if r.IntN(2) == 0 {
					h.revisions = append([]fields{with(false, false, false)}, h.revisions...)
				}
			}
		}
		h.full = decode(t, h.revisions[len(h.revisions)-1])
		h.id = h.full.ID
		w.all = append(w.all, h)
	}
	marks := map[string]time.Time{}
	for _, tenant := range w.tenants {
		for _, category := range []string{record.SignInLogs, record.AuditLogs} {
			marks[tenant+category] = morning.Add(time.Duration(r.IntN(60)-20) * time.Minute)
		}
	}
	end := r.IntN(3) == 0
	w.mark = func(tenant, category string) time.Time {
		m, begun := marks[tenant+category]
		switch {
		case end:
			return time.Time{}
		case !begun:
			return time.Unix(0, 0)
		}
		return m
	}
	return w
}

func (w *story) directory() *directory.Directory {
	d := directory.New()
	for _, tenant := range w.tenants {
		d.Load(directory.Snapshot{Tenant: tenant, Read: morning.Add(-24 * time.Hour), Principals: []directory.Principal{
			{ID: "admin", Roles: []directory.Role{{ID: directory.GlobalAdministrator, Name: "Global Administrator"}}}}})
	}
	return d
}

// arrival is a record as one of its sources brings it, or where the watermarks have come.
type arrival struct {
	what     *happened
	record   *record.Record
	position string
	marks    map[string]time.Time
}

// arrivals are all revisions in a random order, some of them twice, and watermarks that nothing later falls behind.
func (w *story) arrivals(t require.TestingT, r *rand.Rand, tenants []string) (out []arrival) {
	for _, h := range w.all {
		if !slices.Contains(tenants, h.tenant) {
			continue
		}
		for i, f := range h.revisions {
			out = append(out, arrival{what: h, record: decode(t, f), position: fmt.Sprint("hub/", h.id, "/", i)})
			for range max(0, r.IntN(5)-3) {
				again := maps.Clone(f)
				again["more"] = r.IntN(1000)
				out = append(out, arrival{what: h, record: decode(t, again), position: fmt.Sprint("graph/", h.id, "/", i)})
			}
		}
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	if lag := r.IntN(20); r.IntN(2) == 0 { // late within a bound
		late := map[*record.Record]time.Time{}
		for _, a := range out {
			late[a.record] = a.what.at.Add(time.Duration(r.IntN(1+lag)) * time.Minute)
		}
		slices.SortStableFunc(out, func(a, b arrival) int { return late[a.record].Compare(late[b.record]) })
	}
	last := map[string]time.Time{}
	for i := len(out); i >= 0; i-- {
		if r.IntN(4) > 0 {
			continue
		}
		marks := map[string]time.Time{}
		for _, tenant := range tenants {
			for _, category := range []string{record.SignInLogs, record.AuditLogs} {
				m := w.mark(tenant, category)
				if m.IsZero() {
					m = morning.Add(40 * time.Minute)
				}
				for _, a := range out[i:] {
					if a.what != nil && a.what.tenant == tenant && a.what.category == category && !m.Before(a.what.at) {
						m = a.what.at.Add(-1)
					}
				}
				if r.IntN(3) == 0 {
					m = m.Add(-time.Duration(r.IntN(10)) * time.Minute)
				}
				if have, ok := last[tenant+category]; ok && have.Before(m) {
					m = have
				}
				last[tenant+category], marks[tenant+category] = m, m
			}
		}
		out = slices.Insert(out, i, arrival{marks: marks})
	}
	return out
}

// consumer keeps of each finding the highest revision.
type consumer map[string]finding.Finding

func (c consumer) take(t *rapid.T, w *story, found []finding.Finding) {
	for _, f := range found {
		have, ok := c[f.ID]
		if ok && have.Revision == f.Revision && tell(have) != tell(f) {
			t.Fatalf("revision %d of %s is told twice, otherwise\n%+v\n%+v\n%s", f.Revision, f.ID, tell(have), tell(f), w.text)
		}
		if !ok || f.Revision > have.Revision {
			c[f.ID] = f
		}
	}
}

// come has arrivals come to one engine that crashes now and then, and hands what it publishes to the consumer.
func (w *story) come(t *rapid.T, r *rand.Rand, arrivals []arrival, seen consumer) {
	e := w.plan.Engine(w.directory())
	var head []byte
	buckets, at := map[int][]byte{}, 0 // the last snapshot, and where it stands
	var since []finding.Finding        // published since
	until := -1                        // where one fell that another has not come to yet
	publish := func(found []finding.Finding) {
		seen.take(t, w, found)
		since = append(since, found...)
	}
	marked := func(marks map[string]time.Time) func(string, string) time.Time {
		return func(tenant, category string) time.Time {
			if m, ok := marks[tenant+category]; ok {
				return m
			}
			return time.Unix(0, 0)
		}
	}
	crashes := oneOf(r, 0, 1, 1, 3)
	for i := 0; i < len(arrivals); i++ {
		a := arrivals[i]
		if a.marks != nil {
			publish(e.SettleEach(marked(a.marks)))
		} else {
			publish(e.Process(a.record, a.position))
		}
		if i == until {
			e.reread(true, time.Time{})
			until = -1
		}
		switch r.IntN(8) {
		case 0, 1:
			publish(e.Flush())
		case 2:
			publish(e.FlushAll())
		case 3:
			var changed map[int][]byte
			head, changed = e.save()
			maps.Copy(buckets, changed)
			at, since = i+1, nil
		case 4:
			if crashes == 0 {
				continue
			}
			crashes--
			e = w.plan.Engine(w.directory())
			if head != nil {
				same, err := e.load(head, maps.Clone(buckets))
				require.NoError(t, err)
				require.True(t, same)
			}
			for _, past := range arrivals[:at] { // as a shard reads it back
				if past.marks == nil {
					e.fuller.see(past.record.ID, past.record.Fullness())
				}
			}
			for _, f := range since {
				e.published(f)
			}
			since = slices.Clone(since)
			if until = max(until, i); until < at { // nothing is read again
				e.reread(true, time.Time{})
				until = -1
			}
			i = at - 1
		}
	}
	if w.mark(w.tenants[0], record.SignInLogs).IsZero() {
		publish(e.Settle(time.Time{}))
	} else {
		publish(e.SettleEach(w.mark))
	}
	publish(e.FlushAll())
	for _, f := range e.Current() {
		if have := seen[f.ID]; tell(have) != tell(f) || have.Revision != f.Revision {
			t.Fatalf("the engine holds what was not published:\nwant %d %+v %v\ngot %d %+v\n%s", f.Revision, tell(f), f.Withdrawn, have.Revision, tell(have), w.text)
		}
	}
}

// A finding is arithmetic: whatever the order in which records come, from how many sources, in which batches, over how
// many engines, and however often one of them falls and comes back from an older snapshot, who keeps of each finding the
// highest revision holds what the naive reading of the definitions finds.
func TestFindingsAreArithmetic(t *testing.T) {
	table, err := fieldtable.Standard()
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 7))
		for range storiesACheck {
			w := randomStory(t, r, table)
			n := &naive{plan: w.plan.Engine(w.directory()), all: w.all, mark: w.mark}
			want := n.evaluate()
			for range 3 {
				seen := consumer{}
				shards := make([][]string, 1+r.IntN(3))
				for _, tenant := range w.tenants {
					i := r.IntN(len(shards))
					shards[i] = append(shards[i], tenant)
				}
				var order []string
				for _, tenants := range shards {
					arrivals := w.arrivals(t, r, tenants)
					for _, a := range arrivals {
						if a.marks == nil {
							order = append(order, a.position+" "+a.what.at.Format(time.TimeOnly))
						} else {
							order = append(order, fmt.Sprint(a.marks))
						}
					}
					w.come(t, r, arrivals, seen)
				}
				got := map[string]told{}
				for id, f := range seen {
					if f.Withdrawn == "" || w.plan.correlation(f.Rule) == nil { // a window that was never whole is as good as none
						got[id] = tell(f)
					}
				}
				if !maps.Equal(want, got) {
					t.Fatalf("%s\n%s\n%s", difference(want, got), w.text, strings.Join(order, "\n"))
				}
			}
		}
	})
}

func difference(want, got map[string]told) string {
	var out []string
	for id, f := range want {
		if g, ok := got[id]; !ok {
			out = append(out, fmt.Sprintf("missing %s %+v", id, f))
		} else if g != f {
			out = append(out, fmt.Sprintf("want %s %+v\ngot  %s %+v", id, f, id, g))
		}
	}
	for id, f := range got {
		if _, ok := want[id]; !ok {
			out = append(out, fmt.Sprintf("too many %s %+v", id, f))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}
