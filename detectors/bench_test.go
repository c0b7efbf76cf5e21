package detectors

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/detectors/rules"
	"cordon/detectors/sigma"
	"cordon/internal/directory"
	"cordon/internal/record"
	"github.com/stretchr/testify/require"
)

// principals is how many users the records of a benchmark are about.
const principals = 100_000

// template is a record whose id, time and principal are put in anew each time.
type template struct {
	pieces [][]byte
	puts   []byte // behind each piece: i(d), t(ime), u(ser's id), n(ame), 0 for nothing
}

var timeMember = regexp.MustCompile(`"(time|createdDateTime|activityDateTime|TimeGenerated|CreationTime|eventTimestamp|detectedDateTime|lastUpdatedDateTime)" *: *"([^"]+)"`)

func newTemplate(raw []byte) (*template, bool) {
	r, err := record.Decode(raw, record.Defaults{Tenant: tenantID, Enqueued: morning})
	if err != nil || !r.Decoded() {
		return nil, false
	}
	type cut struct {
		from, to int
		put      byte
	}
	var cuts []cut
	mark := func(text string, put byte) {
		for at := 0; len(text) > 3; {
			i := bytes.Index(raw[at:], []byte(`"`+text+`"`))
			if i < 0 {
				return
			}
			cuts = append(cuts, cut{at + i + 1, at + i + 1 + len(text), put})
			at += i + len(text)
		}
	}
	mark(r.ID[strings.LastIndexByte(r.ID, '/')+1:], 'i')
	mark(r.Actor.ID, 'u')
	mark(r.Actor.UPN, 'n')
	for _, m := range timeMember.FindAllSubmatchIndex(raw, -1) {
		cuts = append(cuts, cut{m[4], m[5], 't'})
	}
	slices.SortFunc(cuts, func(a, b cut) int { return a.from - b.from })
	t, at := &template{}, 0
	for _, c := range cuts {
		if c.from < at {
			continue
		}
		t.pieces, t.puts = append(t.pieces, raw[at:c.from]), append(t.puts, c.put)
		at = c.to
	}
	t.pieces, t.puts = append(t.pieces, raw[at:]), append(t.puts, 0)
	return t, true
}

// write makes record number n, n hundredths of a second after the morning.
func (t *template) write(to []byte, n int) []byte {
	user := n * 7919 % principals
	for i, piece := range t.pieces {
		to = append(to, piece...)
		switch t.puts[i] {
		case 'i':
			to = fmt.Appendf(to, "%08x-0000-4000-8000-%012x", n, n*2654435761&0xffffffffffff)
		case 'u':
			to = fmt.Appendf(to, "10000000-0000-4000-8000-%012x", user)
		case 'n':
			to = fmt.Appendf(to, "user%06d@contoso.example", user)
		case 't':
			to = morning.Add(time.Duration(n)*10*time.Millisecond).AppendFormat(to, time.RFC3339Nano)
		}
	}
	return to
}

// benchTemplates are the shared records, else records of our own of the same shapes.
func benchTemplates(b testing.TB) []*template {
	var out []*template
	take := func(line []byte) {
		if t, ok := newTemplate(bytes.Clone(line)); ok {
			out = append(out, t)
		}
	}
	if folder := sharedFolder(); folder != "" {
		files, err := filepath.Glob(filepath.Join(folder, "data", "*", "*.ndjson"))
		require.NoError(b, err)
		for _, file := range files {
			if strings.Contains(file, ".labels.") || strings.Contains(file, "loganalytics") {
				continue // the same sign-ins in another layout
			}
			text, err := os.ReadFile(file)
			require.NoError(b, err)
			for line := range bytes.Lines(text) {
				take(bytes.TrimSpace(line))
			}
		}
		require.NotEmpty(b, out)
		return out
	}
	for i := range 20 {
		code := []int{0, 0, 0, 50126, 50076, 500121}[i%6]
		take(encode(b, padded(signIn(fmt.Sprint("sign-in-", i), fmt.Sprint("some-user-", i), fmt.Sprint("203.0.113.", i), code, morning, oneFactor))))
		if i%4 == 0 {
			take(encode(b, roleChanged(fmt.Sprint("audit-", i), []string{"Update user", "Add member to role", "Update application", "Add service principal"}[i/4%4], fmt.Sprint("target-", i), morning)))
		}
		if i%5 == 0 {
			take(encode(b, fields{"time": morning, "category": "Administrative", "tenantId": tenantID, "operationName": "MICROSOFT.COMPUTE/VIRTUALMACHINES/START/ACTION", "correlationId": fmt.Sprint("c-", i),
				"resourceId": "/SUBSCRIPTIONS/0/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.COMPUTE/VIRTUALMACHINES/V", "resultType": "Success", "callerIpAddress": "192.0.2.1", "eventDataId": fmt.Sprint("event-", i)}))
		}
	}
	return out
}

// benchRules are SigmaHQ's rules where they are at hand, else as many of our own of the same shapes.
func benchRules(b testing.TB) []*sigma.Rule {
	if folder := sharedFolder(); folder != "" {
		all, err := Load(os.DirFS(filepath.Join(folder, "data", "sigma")))
		require.NoError(b, err)
		return all
	}
	return rulesLike(b, 98, "")
}

// rulesLike makes rules in the shapes of SigmaHQ's: three of four are a name or two of one field.
func rulesLike(b testing.TB, n int, mark string) []*sigma.Rule {
	var text strings.Builder
	for i := range n {
		service, detection := "auditlogs", fmt.Sprintf("{operationName: [Operation %d%s, Other operation %d%s]}", i, mark, i, mark)
		switch i % 8 {
		case 1, 2:
			service, detection = "signinlogs", fmt.Sprintf("{ResultType: 5%04d%s, Status: failure}", i, mark)
		case 3:
			service, detection = "activitylogs", fmt.Sprintf("{operationName|startswith: MICROSOFT.PROVIDER%d%s/, operationName|endswith: [/WRITE, /DELETE]}", i, mark)
		case 4:
			service, detection = "activitylogs", fmt.Sprintf("{operationName: [MICROSOFT.NETWORK/THING%d%s/WRITE, MICROSOFT.NETWORK/THING%d%s/DELETE]}", i, mark, i, mark)
		case 5:
			service, detection = "signinlogs", fmt.Sprintf("{Status: Success, userAgent|contains: [Agent%d%s, Tool%d%s]}", i, mark, i, mark)
		}
		fmt.Fprintf(&text, "---\ntitle: Rule %d%s\nlogsource: {product: azure, service: %s}\ndetection: {selection: %s, condition: selection}\n", i, mark, service, detection)
	}
	all, err := sigma.Parse("like.yml", strings.NewReader(text.String()), nil)
	require.NoError(b, err)
	return all
}

// padded gives a sign-in what real ones carry beside what rules read.
func padded(f fields) fields {
	p := f["properties"].(fields)
	var policies []fields
	for i := range 4 {
		policies = append(policies, fields{"id": fmt.Sprint("policy-", i), "displayName": "Require multifactor authentication", "result": "notApplied", "enforcedGrantControls": []string{"Mfa"}})
	}
	p["appliedConditionalAccessPolicies"] = policies
	p["deviceDetail"] = fields{"deviceId": "", "operatingSystem": "Windows 10", "browser": "Edge 120.0.0"}
	p["userAgent"] = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
	p["location"] = fields{"city": "Amsterdam", "countryOrRegion": "NL", "geoCoordinates": fields{"latitude": 52.3, "longitude": 4.9}}
	return f
}

// course runs records through an engine as a shard does: raw bytes to findings. It returns the time that took, making
// the records left out.
func course(b testing.TB, e *Engine, templates []*template, from, n int) time.Duration {
	const some = 5000
	var spent time.Duration
	var dec record.Decoder
	raws := make([][]byte, some)
	var text []byte
	for done := 0; done < n; done += some {
		text = text[:0]
		var ends []int
		for i := range some {
			text = templates[(from+done+i)%len(templates)].write(text, from+done+i)
			ends = append(ends, len(text))
		}
		at := 0
		for i, end := range ends {
			raws[i], at = text[at:end:end], end
		}
		now := morning.Add(time.Duration(from+done+some) * 10 * time.Millisecond)
		began := time.Now()
		for i, raw := range raws {
			r, err := dec.Decode(raw, record.Defaults{Tenant: tenantID, Enqueued: now})
			if err != nil {
				b.Fatal(err)
			}
			e.Process(r, "hub/0/1/0")
			if i%burst == 0 {
				e.Flush()
			}
		}
		e.SettleEach(func(string, string) time.Time { return now.Add(-10 * time.Minute) })
		e.Flush()
		if done%(10*some) == 0 { // once a second, or every few
			e.FlushAll()
			e.Forget(now.Add(-time.Hour))
		}
		spent += time.Since(began)
	}
	return spent
}

func benchmarkRules(b *testing.B, all []*sigma.Rule) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	templates := benchTemplates(b)
	e, err := NewEngine(all, directory.New())
	require.NoError(b, err)
	const each = 50_000
	course(b, e, templates, 0, each)
	runtime.GC()
	var spent time.Duration
	n := 0
	for b.Loop() {
		spent += course(b, e, templates, each+n, each)
		n += each
	}
	b.ReportMetric(float64(n)/spent.Seconds(), "records/s")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkRules(b *testing.B) {
	ours, err := Load(rules.Shipped)
	require.NoError(b, err)
	theirs := benchRules(b)
	b.Run("sigmahq", func(b *testing.B) { benchmarkRules(b, theirs) })
	b.Run("all", func(b *testing.B) { benchmarkRules(b, append(slices.Clone(theirs), ours...)) })
}
