package eventhubs

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/crew"
	"cordon/internal/record"
	simulated "cordon/internal/simulator/eventhubs"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// signIn3K is a sign-in of about 3 KB as it comes from the stream; @ID, @USER and @TIME are filled in.
var signIn3K = func() string {
	policies := make([]string, 9)
	for i := range policies {
		policies[i] = fmt.Sprintf(`{"id":"6f4f8b2e-0000-4000-8000-%012d","displayName":"CA%03d: Require multifactor authentication","enforcedGrantControls":["Mfa"],"enforcedSessionControls":[],"result":"notApplied","conditionsSatisfied":3}`, i, i)
	}
	return `{"time":"@TIME","resourceId":"/tenants/` + tenantID + `/providers/Microsoft.aadiam","operationName":"Sign-in activity","operationVersion":"1.0","category":"SignInLogs","tenantId":"` + tenantID + `",` +
		`"resultType":"0","resultSignature":"None","durationMs":0,"callerIpAddress":"198.51.100.23","correlationId":"@ID","identity":"Avery Winters","Level":4,"location":"DE","properties":{"id":"@ID","createdDateTime":"@TIME",` +
		`"userDisplayName":"Avery Winters","userPrincipalName":"@USER@contoso.example","userId":"@USER","appId":"c44b4083-3bb0-49c1-b47d-974e53cbdf3c","appDisplayName":"Azure Portal","ipAddress":"198.51.100.23",` +
		`"status":{"errorCode":0,"additionalDetails":"MFA requirement satisfied by claim in the token"},"clientAppUsed":"Browser","userAgent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",` +
		`"deviceDetail":{"deviceId":"","operatingSystem":"Windows10","browser":"Chrome 130.0.0"},"location":{"city":"Berlin","state":"Berlin","countryOrRegion":"DE","geoCoordinates":{"latitude":52.5,"longitude":13.4}},"correlationId":"@ID",` +
		`"conditionalAccessStatus":"notApplied","appliedConditionalAccessPolicies":[` + strings.Join(policies, ",") + `],"authenticationDetails":[{"authenticationStepDateTime":"@TIME","authenticationMethod":"Previously satisfied","succeeded":true,` +
		`"authenticationStepRequirement":"Multi-factor authentication"}],"authenticationRequirement":"multiFactorAuthentication","riskLevelDuringSignIn":"none","tokenIssuerType":"AzureAD","resourceDisplayName":"Windows Azure Service Management API",` +
		`"homeTenantId":"` + tenantID + `","userType":"Member","crossTenantAccessType":"none","uniqueTokenIdentifier":"@ID","sessionId":"0063f1aa-6a04-4c8e-8d3d-2b1f0f1d6b1c"}}`
}()

// fresh makes messages of perMessage records each, with ids and times that no other call gives.
func fresh(run, messages, perMessage int, at time.Time) [][]byte {
	out := make([][]byte, messages)
	n := 0
	for i := range out {
		var body bytes.Buffer
		body.WriteString(`{"records":[`)
		for k := range perMessage {
			if k > 0 {
				body.WriteByte(',')
			}
			n++
			fill := strings.NewReplacer("@ID", fmt.Sprintf("%08x-0000-4000-8000-%012d", run, n), "@USER", "user-"+strconv.Itoa(n%5000), "@TIME", at.Add(time.Duration(n)*time.Millisecond).UTC().Format("2006-01-02T15:04:05.0000000Z"))
			_, _ = fill.WriteString(&body, signIn3K)
		}
		body.WriteString(`]}`)
		out[i] = body.Bytes()
	}
	return out
}

// benchBus may store as fast as it can, whatever stays in memory.
func benchBus(b *testing.B) *bus.Bus {
	s, err := bus.Open(b.Context(), bus.Config{Dir: b.TempDir(), Recent: 1 << 40})
	require.NoError(b, err)
	return s
}

func held(b *testing.B, s *bus.Bus) uint64 {
	info, err := s.Stream(bus.Logs).Info(b.Context())
	require.NoError(b, err)
	return info.State.Msgs
}

// BenchmarkHubToLogs reads a hub of four partitions over TCP, with the real SDK, into LOGS on disk, synced. of-ceiling
// compares with a bare publisher that has the same messages ready and does nothing but atomic batches, in the same run.
func BenchmarkHubToLogs(b *testing.B) {
	const partitions, messages, perMessage = 4, 400, 80
	const records = messages * perMessage
	var ours, bare time.Duration
	run := 0
	for b.Loop() {
		run++
		bodies := fresh(run, messages, perMessage, time.Now())
		ours += hubToLogs(b, bodies, partitions, records)
		bare += ceiling(b, bodies, partitions, records)
	}
	total := float64(run * records)
	b.ReportMetric(total/ours.Seconds(), "records/s")
	b.ReportMetric(total/bare.Seconds(), "ceiling-records/s")
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "of-ceiling")
	b.ReportMetric(0, "ns/op")
}

func hubToLogs(b *testing.B, bodies [][]byte, partitions, records int) time.Duration {
	s := benchBus(b)
	defer s.Close()
	n, err := simulated.Listen("127.0.0.1:0")
	require.NoError(b, err)
	defer n.Close()
	hub := n.AddHub(hubName, partitions)
	for i, body := range bodies {
		hub.Enqueue(i%partitions, body, time.Now())
	}
	source := New(Config{Namespace: "simulated", Hub: hubName, ConnectionString: n.ConnectionString(hubName), Tenants: []string{tenantID}}, s, crew.Alone(), clock.Wall{}, zap.NewNop())
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- source.Run(ctx) }()
	first := uint64(0)
	for first == 0 { // connecting is not what is measured
		first = held(b, s)
	}
	began := time.Now()
	for held(b, s) < uint64(records+partitions) {
		time.Sleep(2 * time.Millisecond)
	}
	took := time.Duration(float64(time.Since(began)) * float64(records) / float64(uint64(records)-first))
	cancel()
	require.NoError(b, <-done)
	return took
}

// ceiling publishes the same records as fast as the store takes them.
func ceiling(b *testing.B, bodies [][]byte, partitions, records int) time.Duration {
	s := benchBus(b)
	defer s.Close()
	ready := make([][]bus.Message, partitions)
	for i, body := range bodies {
		body = bytes.TrimSuffix(bytes.TrimPrefix(body, []byte(`{"records":[`)), []byte(`]}`))
		for k, raw := range bytes.SplitAfter(body, []byte(`"0063f1aa-6a04-4c8e-8d3d-2b1f0f1d6b1c"}}`)) {
			if raw = bytes.TrimPrefix(raw, []byte(",")); len(raw) == 0 {
				continue
			}
			r, err := record.Decode(raw, record.Defaults{})
			require.NoError(b, err)
			at := record.Position{Source: "simulated/" + hubName, Partition: strconv.Itoa(i % partitions), Sequence: int64(i / partitions), Index: k}
			p := i % partitions
			ready[p] = append(ready[p], bus.Message{Subject: bus.LogSubject(r.Tenant, r.Category, r.Actor.Key()), Header: nats.Header(r.Headers(at, r.Time)), Data: raw})
		}
	}
	began := time.Now()
	var publishers sync.WaitGroup
	for _, mine := range ready {
		publishers.Go(func() {
			for batch := range slices.Chunk(mine, bus.MaxBatch) {
				if _, err := s.PublishBatch(b.Context(), batch); err != nil {
					panic(err)
				}
			}
		})
	}
	publishers.Wait()
	took := time.Since(began)
	require.EqualValues(b, records, held(b, s))
	return took
}

// BenchmarkIngestLatency enqueues 1,000 records a second, one a message, over two partitions, and measures each from
// its being in the hub to LOGS' acknowledgement.
func BenchmarkIngestLatency(b *testing.B) {
	const partitions, perSecond, seconds = 2, 1000, 4
	s := benchBus(b)
	defer s.Close()
	n, err := simulated.Listen("127.0.0.1:0")
	require.NoError(b, err)
	defer n.Close()
	hub := n.AddHub(hubName, partitions)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	source := New(Config{Namespace: "simulated", Hub: hubName, ConnectionString: n.ConnectionString(hubName), Tenants: []string{tenantID}}, s, crew.Alone(), clock.Wall{}, zap.NewNop())
	var mu sync.Mutex
	var took []time.Duration
	source.stored = func(partition string, sequence int64) {
		now := time.Now()
		p, err := strconv.Atoi(partition)
		wall, ok := hub.EnqueuedWall(p, sequence)
		if err != nil || !ok {
			panic("the hub does not know its own message")
		}
		mu.Lock()
		took = append(took, now.Sub(wall))
		mu.Unlock()
	}
	measured := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(took)
	}
	go func() { done <- source.Run(ctx) }()
	for i := range partitions { // every reader stands by before anything is measured
		hub.Enqueue(i, fresh(0, 1, 1, time.Now())[0], time.Now())
	}
	for measured() < partitions {
		time.Sleep(time.Millisecond)
	}
	mu.Lock()
	took = nil
	mu.Unlock()
	run := 0
	for b.Loop() {
		run++
		bodies := fresh(run, perSecond*seconds, 1, time.Now())
		next := time.Now()
		for i, body := range bodies {
			next = next.Add(time.Second / perSecond)
			time.Sleep(time.Until(next))
			hub.Enqueue(i%partitions, body, time.Now())
		}
		for measured() < run*len(bodies) {
			time.Sleep(time.Millisecond)
		}
	}
	cancel()
	require.NoError(b, <-done)
	slices.Sort(took)
	quantile := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))]) / float64(time.Millisecond) }
	b.ReportMetric(quantile(0.5), "p50-ms")
	b.ReportMetric(quantile(0.99), "p99-ms")
	b.ReportMetric(float64(len(took)), "records")
	b.ReportMetric(0, "ns/op")
}
