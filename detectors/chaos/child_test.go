package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cordon/detectors"
	"cordon/detectors/rules"
	"cordon/internal/bus"
	"cordon/internal/crew"
	"cordon/internal/record"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// spec says what a child process is: an instance of the detectors, or the server of NATS.
type spec struct {
	URL  string // of NATS
	Crew string // its name among the instances
	Log  string

	Dir  string // of the server
	Port int
}

// run does what the child is for, until its standard input ends: that is when its parent wants it to, or has gone.
func (s spec) run() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if s.Port != 0 {
		return s.serve(ctx)
	}
	return s.detect(ctx)
}

func (s spec) detect(ctx context.Context) error {
	out := zap.NewProductionConfig()
	out.OutputPaths, out.Sampling, out.DisableStacktrace = []string{s.Log}, nil, true
	log, err := out.Build()
	if err != nil {
		return err
	}
	all, err := detectors.Load(rules.Shipped)
	if err != nil {
		return err
	}
	plan, err := detectors.NewPlan(all)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		// A busy server may fail to answer in time: whoever runs Cordon as a service starts it again.
		if err := s.detectWith(ctx, plan, log); err != nil {
			log.Warn("beginning again", zap.Error(err))
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
	return nil
}

func (s spec) detectWith(ctx context.Context, plan *detectors.Plan, log *zap.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b, err := bus.Open(ctx, bus.Config{URL: s.URL, Log: log})
	if err != nil {
		return err
	}
	defer b.Close()
	with := crew.New(b, s.Crew, log)
	room := detectors.New(detectors.Config{Bus: b, Plan: plan, Directory: known(), Lateness: record.DefaultLateness(), Crew: with, Log: log})
	var hands sync.WaitGroup
	hands.Go(func() { _ = with.Run(ctx) })
	hands.Go(func() { report(ctx, room) })
	err = room.Run(ctx)
	cancel()
	hands.Wait()
	return err
}

// report tells the parent, on a line, which shards the instance holds, whenever those are others.
func report(ctx context.Context, room *detectors.Room) {
	told := []int{-1}
	for ctx.Err() == nil {
		if now := room.Shards(); !slices.Equal(now, told) {
			told = now
			_ = json.NewEncoder(os.Stdout).Encode(append([]int{}, now...)) // to a parent that is there: else standard input has ended
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// serve is a nats-server as an operator would configure it for Cordon.
func (s spec) serve(ctx context.Context) error {
	srv, err := server.NewServer(&server.Options{
		ServerName: "n0", Host: "127.0.0.1", Port: s.Port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: s.Dir, SyncAlways: true, MaxPayload: bus.MaxPayload, MaxPending: 64 << 20,
		JetStreamLimits: server.JSLimitOpts{MaxBatchInflightPerStream: 50},
	})
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
	shards atomic.Pointer[[]int] // that it said it holds; nil until it has said so
	ended  chan error
}

func start(t *testing.T, s spec) *child {
	t.Helper()
	if s.Log == "" {
		s.Log = filepath.Join(t.TempDir(), "log")
	}
	text, err := json.Marshal(s)
	require.NoError(t, err)
	c := &child{spec: s, cmd: exec.Command(os.Args[0]), ended: make(chan error, 1)}
	c.cmd.Env = append(os.Environ(), "CORDON_CHAOS_CHILD="+string(text))
	c.cmd.Stderr = os.Stderr
	c.input, err = c.cmd.StdinPipe()
	require.NoError(t, err)
	output, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.cmd.Start())
	go func() {
		defer close(c.ended)
		lines := bufio.NewScanner(output)
		for lines.Scan() {
			var held []int
			if json.Unmarshal(lines.Bytes(), &held) == nil { // the last line may be half a line
				c.shards.Store(&held)
			}
		}
		c.ended <- c.cmd.Wait()
	}()
	t.Cleanup(c.kill)
	return c
}

// held are the shards that the child says it holds.
func (c *child) held() []int {
	if held := c.shards.Load(); held != nil {
		return *held
	}
	return nil
}

// kill ends it as a power cut would, and waits for that.
func (c *child) kill() {
	_ = c.cmd.Process.Signal(syscall.SIGKILL) // it may have gone already
	<-c.ended
}

// dump ends it and has it say, on standard error, what it was waiting for.
func (c *child) dump() {
	_ = c.cmd.Process.Signal(syscall.SIGQUIT) // it may have gone already
	<-c.ended
}

// stop lets it say good-bye.
func (c *child) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, c.input.Close())
	select {
	case err := <-c.ended:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
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

// startNATS runs a server on TCP and connects to it.
func startNATS(t *testing.T) (b *bus.Bus, url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	start(t, spec{Dir: t.TempDir(), Port: port})
	url = "nats://127.0.0.1:" + strconv.Itoa(port)
	require.Eventually(t, func() bool {
		b, err = bus.Open(t.Context(), bus.Config{URL: url})
		return err == nil
	}, 20*time.Second, 20*time.Millisecond)
	t.Cleanup(b.Close)
	return b, url
}

// logs are the last lines of what children had to say.
func logs(children []*child) string {
	var out strings.Builder
	for _, c := range children {
		out.WriteString(c.Crew + ":\n" + tail(c.Log) + "\n")
	}
	return out.String()
}
