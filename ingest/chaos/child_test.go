package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cordon/ingest/eventhubs"
	"cordon/internal/bus"
	"cordon/internal/clock"
	"cordon/internal/crew"
	"cordon/internal/heap"
	"cordon/internal/record"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// spec says what a child process is: a reader, or a server of NATS.
type spec struct {
	Dir        string // of the embedded server, or of the server that it is
	URL        string // of NATS, where it is not embedded
	Replicas   int
	Crew       string // its name among the instances; alone, and sure that every partition is its own, where empty
	Connection string // of the hub
	Until      []int64
	Memory     bool // say at the end how much memory it took
	Log        string

	Server *natsServer
}

type natsServer struct {
	Name          string
	Port, Cluster int
	Routes        []int
}

// run does what the child is for, until its standard input ends: that is when its parent wants it to, or has gone.
func (s spec) run() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if s.Server != nil {
		return s.serve(ctx)
	}
	return s.read(ctx, cancel)
}

func (s spec) read(ctx context.Context, cancel func()) error {
	out := zap.NewProductionConfig()
	out.OutputPaths, out.Sampling, out.DisableStacktrace = []string{s.Log}, nil, true
	log, err := out.Build()
	if err != nil {
		return err
	}
	var b *bus.Bus
	for b == nil {
		b, err = bus.Open(ctx, bus.Config{Dir: s.Dir, URL: s.URL, Replicas: s.Replicas, Log: log})
		switch {
		case err == nil:
		case s.URL == "" || ctx.Err() != nil:
			return err
		default: // a server may be down: whoever runs Cordon as a service starts it again
			time.Sleep(100 * time.Millisecond)
		}
	}
	defer b.Close()
	with := crew.Alone()
	if s.Crew != "" {
		with = crew.New(b, s.Crew, log)
	}
	source := eventhubs.New(eventhubs.Config{Namespace: "simulated", Hub: hubName, ConnectionString: s.Connection}, b, with, clock.Wall{}, log)
	var hands sync.WaitGroup
	hands.Go(func() { heap.Keep(ctx, 256<<20) })
	hands.Go(func() { _ = with.Run(ctx) })
	hands.Go(func() { _ = source.Run(ctx) })
	if s.Until != nil {
		for !stored(ctx, b, s.Until) && ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond)
		}
		cancel()
	}
	hands.Wait()
	if s.Memory {
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			return err
		}
		_, peak, _ := strings.Cut(string(status), "VmHWM:")
		fmt.Println(strings.Fields(peak)[0])
	}
	return nil
}

// stored says whether every partition's checkpoint has come to its last message.
func stored(ctx context.Context, b *bus.Bus, until []int64) bool {
	for i, last := range until {
		msg, err := b.Last(ctx, bus.Logs, bus.CheckpointSubject("simulated/"+hubName, strconv.Itoa(i)))
		var at record.Checkpoint
		if err != nil || msg == nil || json.Unmarshal(msg.Data, &at) != nil || at.Sequence < last || !at.Done {
			return false
		}
	}
	return true
}

// serve is a nats-server as an operator would configure it for Cordon.
func (s spec) serve(ctx context.Context) error {
	o := &server.Options{
		ServerName: s.Server.Name, Host: "127.0.0.1", Port: s.Server.Port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: s.Dir, SyncAlways: true, MaxPayload: bus.MaxPayload, MaxPending: 64 << 20,
		JetStreamLimits: server.JSLimitOpts{MaxBatchInflightPerStream: 50},
	}
	if s.Server.Cluster != 0 {
		o.Cluster = server.ClusterOpts{Name: "chaos", Host: "127.0.0.1", Port: s.Server.Cluster}
		for _, port := range s.Server.Routes {
			o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))})
		}
	}
	srv, err := server.NewServer(o)
	if err != nil {
		return err
	}
	srv.Start()
	<-ctx.Done()
	srv.Shutdown()
	srv.WaitForShutdown()
	return nil
}

// child is a running one.
type child struct {
	spec
	cmd    *exec.Cmd
	input  io.Closer
	output *strings.Builder
	ended  chan error
}

func start(t *testing.T, s spec) *child {
	t.Helper()
	if s.Log == "" {
		s.Log = filepath.Join(t.TempDir(), "log")
	}
	text, err := json.Marshal(s)
	require.NoError(t, err)
	c := &child{spec: s, cmd: exec.Command(os.Args[0]), output: &strings.Builder{}, ended: make(chan error, 1)}
	c.cmd.Env = append(os.Environ(), "CORDON_CHAOS_CHILD="+string(text))
	c.cmd.Stdout, c.cmd.Stderr = c.output, os.Stderr
	c.input, err = c.cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, c.cmd.Start())
	go func() {
		c.ended <- c.cmd.Wait()
		close(c.ended)
	}()
	t.Cleanup(c.kill)
	return c
}

// kill ends it as a power cut would, and waits for that.
func (c *child) kill() {
	_ = c.cmd.Process.Signal(syscall.SIGKILL) // it may have gone already
	<-c.ended
}

// stop lets it say good-bye.
func (c *child) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, c.input.Close())
	c.wait(t, 20*time.Second)
}

func (c *child) wait(t *testing.T, patience time.Duration) {
	t.Helper()
	select {
	case err := <-c.ended:
		require.NoError(t, err)
	case <-time.After(patience):
		require.FailNow(t, "the child has not ended", "%s", tail(c.Log))
	}
}

func tail(file string) string {
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	return string(data[max(0, len(data)-3000):])
}

// count tells how often a child's log says something.
func (c *child) count(what string) int {
	data, _ := os.ReadFile(c.Log) // a child that has warned of nothing has none
	return strings.Count(string(data), what)
}

// What a reader's log says of a lost partition, of a write that its fence refused, and of one of which it does not know
// whether it was stored.
const (
	saysStolen     = "ownership"
	saysFenced     = "the subject has moved on"
	saysUnanswered = "committing a batch: context deadline exceeded"
)

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// startNATS runs one server on TCP and waits until it answers.
func startNATS(t *testing.T) (s *child, url string) {
	t.Helper()
	port := freePort(t)
	s = start(t, spec{Dir: t.TempDir(), Server: &natsServer{Name: "n0", Port: port}})
	awaitPort(t, port)
	return s, "nats://127.0.0.1:" + strconv.Itoa(port)
}

func awaitPort(t *testing.T, port int) {
	t.Helper()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, 20*time.Second, 10*time.Millisecond)
}
