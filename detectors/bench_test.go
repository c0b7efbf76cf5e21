package detectors

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/detectors/rules"
	"cordon/detectors/sigma"
	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/heap"
	"cordon/internal/record"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
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
func (t *template) write(to []byte, n int) []byte { return t.writeFor(to, n, n*7919%principals) }

func (t *template) writeFor(to []byte, n, user int) []byte {
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

// course is an engine that works as a shard has it work.
type course struct {
	*Engine
	templates      []*template
	n              int // records so far
	spent, flushed time.Duration
}

// run runs more records through the engine, raw bytes to findings, and returns the time that took, making the records left
// out.
func (c *course) run(b testing.TB, more int) time.Duration {
	before := c.spent
	var dec record.Decoder
	raws, headers := make([][]byte, burst), make([]map[string][]string, burst)
	var text []byte
	for end := c.n + more; c.n < end; c.n += burst {
		text = text[:0]
		var ends []int
		for i := range burst {
			text = c.templates[(c.n+i)%len(c.templates)].write(text, c.n+i)
			ends = append(ends, len(text))
		}
		at := 0
		for i, end := range ends {
			raws[i], at = text[at:end:end], end
		}
		now := morning.Add(time.Duration(c.n+burst) * 10 * time.Millisecond)
		for i, raw := range raws { // as ingest stores them
			r, err := dec.Decode(raw, record.Defaults{Tenant: tenantID, Enqueued: now})
			if err != nil {
				b.Fatal(err)
			}
			headers[i] = r.Headers(record.Position{Source: "hub", Partition: "0", Sequence: int64(c.n + i)}, now)
		}
		began := time.Now()
		for i, raw := range raws {
			r, position, err := dec.FromLogs(headers[i], raw)
			if err != nil {
				b.Fatal(err)
			}
			c.Process(r, position)
		}
		c.Flush()
		if c.n%(25*burst) == 0 { // checkpoints move the watermark several times a second
			c.SettleEach(func(string, string) time.Time { return now.Add(-10 * time.Minute) })
			c.Flush()
		}
		if c.n%(250*burst) == 0 {
			c.Forget(now.Add(-time.Hour))
		}
		if c.spent-c.flushed >= tickEvery {
			c.tick()
		}
		c.spent += time.Since(began)
	}
	return c.spent - before
}

// loaded is an engine in the midst of its work.
func loaded(b testing.TB, all []*sigma.Rule, templates []*template) *course {
	e, err := NewEngine(all, directory.New())
	require.NoError(b, err)
	c := &course{Engine: e, templates: templates}
	c.run(b, eachCourse)
	c.tick()
	return c
}

// tick is what a shard does once a second.
func (c *course) tick() (took time.Duration) {
	began := time.Now()
	c.FlushAll()
	c.flushed = c.spent
	return time.Since(began)
}

const eachCourse = 50_000

// within has the process keep to so many bytes, as `cordon serve` does with what `memory` says.
func within(b *testing.B, most int) {
	ctx, cancel := context.WithCancel(context.Background())
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		heap.Keep(ctx, most)
	}()
	b.Cleanup(func() {
		cancel()
		<-kept
	})
}

func benchmarkRules(b *testing.B, all []*sigma.Rule) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	within(b, 1<<30)
	templates := benchTemplates(b)
	c := loaded(b, all, templates)
	runtime.GC()
	var spent, std time.Duration
	n, parsed := 0, 0
	for b.Loop() {
		spent += c.run(b, eachCourse)
		n += eachCourse
		for range 1000 {
			raw := templates[parsed%len(templates)].write(nil, parsed)
			var into any
			began := time.Now()
			require.NoError(b, json.Unmarshal(raw, &into))
			std += time.Since(began)
			parsed++
		}
	}
	spent += c.tick()
	b.ReportMetric(float64(n)/spent.Seconds(), "records/s")
	b.ReportMetric(float64(n)/spent.Seconds()/(float64(parsed)/std.Seconds()), "x-json")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkRules is what one core does, from raw bytes to findings, with SigmaHQ's rules and with those that ship beside
// them; x-json is how many times as fast that is as to parse the same bytes with encoding/json, in the same run.
func BenchmarkRules(b *testing.B) {
	ours, err := Load(rules.Shipped)
	require.NoError(b, err)
	theirs := benchRules(b)
	b.Run("sigmahq", func(b *testing.B) { benchmarkRules(b, theirs) })
	b.Run("all", func(b *testing.B) { benchmarkRules(b, append(slices.Clone(theirs), ours...)) })
}

// benchCopies are the rules of benchRules again, with other texts to look for.
func benchCopies(b testing.TB, mark string) []*sigma.Rule {
	folder := sharedFolder()
	if folder == "" {
		return rulesLike(b, 98, mark)
	}
	var all []*sigma.Rule
	require.NoError(b, filepath.WalkDir(filepath.Join(folder, "data", "sigma"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yml" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		dec := yaml.NewDecoder(bytes.NewReader(text))
		for {
			var doc map[string]any
			if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			detection, single := doc["detection"].(map[string]any)
			if !single {
				continue
			}
			delete(doc, "id")
			delete(doc, "name")
			doc["title"] = fmt.Sprint(doc["title"], " ", filepath.Base(path), mark)
			for search, of := range detection {
				if search != "condition" && search != "timeframe" {
					detection[search] = otherwise(of, mark)
				}
			}
			out, err := yaml.Marshal(doc)
			if err != nil {
				return err
			}
			made, err := sigma.Parse(path, bytes.NewReader(out), nil)
			if err != nil {
				return err
			}
			all = append(all, made...)
		}
	}))
	return all
}

// otherwise is a search for other texts and numbers.
func otherwise(of any, mark string) any {
	switch of := of.(type) {
	case map[string]any:
		for key, value := range of {
			if _, modifier, _ := strings.Cut(key, "|"); !slices.Contains([]string{"re", "cidr", "exists", "lt", "lte", "gt", "gte", "fieldref", "expand"}, modifier) {
				of[key] = otherwise(value, mark)
			}
		}
	case []any:
		for i := range of {
			of[i] = otherwise(of[i], mark)
		}
	case string:
		return of + mark
	case int:
		return fmt.Sprint(of, mark)
	}
	return of
}

// BenchmarkRulesGrowth compares ten times the rules with the rules, record by record in the same run.
func BenchmarkRulesGrowth(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	templates := benchTemplates(b)
	few := benchRules(b)
	many := slices.Clone(few)
	for i := range 9 {
		many = append(many, benchCopies(b, fmt.Sprint("x", i))...)
	}
	require.GreaterOrEqual(b, len(many), 9*len(few))
	one, ten := loaded(b, few, templates), loaded(b, many, templates)
	runtime.GC()
	var spent [2]time.Duration
	const some = 5000 // by turns: a noisy moment meets both
	for b.Loop() {
		for range eachCourse / some {
			spent[0] += one.run(b, some)
			spent[1] += ten.run(b, some)
		}
	}
	b.ReportMetric(spent[1].Seconds()/spent[0].Seconds(), "x-at-10x")
	b.ReportMetric(float64(len(many))/float64(len(few)), "x-rules")
	b.ReportMetric(0, "ns/op")
}

func TestARecordThatMatchesNothingCostsTwoAllocationsAtMost(t *testing.T) {
	ours, err := Load(rules.Shipped)
	require.NoError(t, err)
	e, err := NewEngine(append(benchRules(t), ours...), directory.New())
	require.NoError(t, err)
	var dec record.Decoder
	quiet := 0
	for i, template := range benchTemplates(t) {
		raw := template.write(nil, i)
		var found []finding.Finding
		look := func() {
			r, err := dec.Decode(raw, record.Defaults{Tenant: tenantID, Enqueued: morning})
			require.NoError(t, err)
			found = append(found, e.Process(r, "hub/0/1/0")...)
		}
		known := e.records.Len()
		if look(); len(found) > 0 || e.records.Len() > known {
			continue
		}
		r, err := dec.Decode(raw, record.Defaults{Tenant: tenantID, Enqueued: morning})
		require.NoError(t, err)
		if len(directory.New().Observe(r)) > 0 {
			continue // it tells who is privileged
		}
		quiet++
		require.LessOrEqual(t, testing.AllocsPerRun(20, look), 2.0, "%s", raw)
	}
	require.Positive(t, quiet)
}

// BenchmarkPrincipals is what a million principals cost who each have a window open: each failed to sign in, from an
// address of his own, in a process that may have a gibibyte.
func BenchmarkPrincipals(b *testing.B) {
	const many, limit = 1_000_000, 1 << 30
	within(b, limit)
	ours, err := Load(rules.Shipped)
	require.NoError(b, err)
	raw := encode(b, padded(signIn("00000000-0000-4000-8000-000000000001", "10000000-0000-4000-8000-000000000000", "ADDRESS", 50126, morning, oneFactor)))
	template, ok := newTemplate(raw)
	require.True(b, ok)
	usage := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	for b.Loop() {
		e, err := NewEngine(ours, directory.New())
		require.NoError(b, err)
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var dec record.Decoder
		var text []byte
		peak := uint64(0)
		for i := range many {
			text = bytes.ReplaceAll(template.writeFor(nil, i, i), []byte("ADDRESS"), fmt.Appendf(nil, "10.%d.%d.%d", i>>16, i>>8&0xff, i&0xff))
			r, err := dec.Decode(text, record.Defaults{Tenant: tenantID, Enqueued: morning})
			require.NoError(b, err)
			e.Process(r, fmt.Sprint("hub/0/", i, "/0"))
			if i%burst == 0 {
				e.Flush()
			}
			if i%10_000 == 0 {
				metrics.Read(usage)
				peak = max(peak, usage[0].Value.Uint64()-usage[1].Value.Uint64())
			}
		}
		e.FlushAll()
		runtime.GC()
		runtime.ReadMemStats(&after)
		require.Equal(b, many, e.records.Len())
		live := after.HeapAlloc - before.HeapAlloc
		b.ReportMetric(float64(live)/many, "B/principal")
		b.ReportMetric(float64(live)/(1<<20), "MiB")
		b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
		runtime.KeepAlive(e)
	}
}
