package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cordon/internal/app"
	"cordon/internal/clock"
	"cordon/internal/console"
	"cordon/internal/console/client"
	"cordon/internal/incident"
	"cordon/internal/simulator"
	"cordon/internal/simulator/entra"
	"cordon/internal/simulator/stage"
	"cordon/playbooks/library"
	"github.com/stretchr/testify/require"
)

// TestMain lets this test binary be the child: the real command line in a real process that can be killed.
func TestMain(m *testing.M) {
	if args := os.Getenv("CORDON_TEST_CHILD"); args != "" {
		os.Exit(run(context.Background(), strings.Split(args, "\n"), os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// TestKilledInTheMiddle kills Cordon (kill -9) at the moment when a change has been made in the tenant and the answer is
// not yet out, starts it again, and finds the same end: no step lost, and nothing done twice that must not be.
func TestKilledInTheMiddle(t *testing.T) {
	for name, at := range map[string]func(entra.Call) bool{
		"while disabling the administrator": func(c entra.Call) bool {
			return c.Method == "PATCH" && strings.Contains(c.Body, "accountEnabled") && strings.Contains(c.Path, "/users/")
		},
		"while terminating GDAP, which is not idempotent": func(c entra.Call) bool {
			return c.Method == "POST" && strings.HasSuffix(c.Path, "/requests")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			killed(t, at)
		})
	}
}

func killed(t *testing.T, at func(entra.Call) bool) {
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	dir := t.TempDir()
	sim, err := simulator.Start(clock.Wall{}, simulator.Attack)
	require.NoError(t, err)
	defer func() { require.NoError(t, sim.Close()) }()
	text, err := sim.Config(filepath.Join(dir, "secrets"), filepath.Join(dir, "data"))
	require.NoError(t, err)
	cfg := filepath.Join(dir, "cordon.yaml")
	require.NoError(t, os.WriteFile(cfg, []byte(text+"playbooks: "+impatient(t, dir)+"\n"), 0o600))

	// The attack has happened; its records are all delivered now.
	require.NoError(t, sim.World.PlayAll(time.Now().UTC().Add(-stage.Ago)))
	sim.Deliver(time.Now())

	var child atomic.Pointer[exec.Cmd]
	var shot atomic.Bool
	for _, tenant := range sim.World.Tenants {
		tenant.OnCall(func(c entra.Call) {
			if at(c) && shot.CompareAndSwap(false, true) {
				_ = child.Load().Process.Signal(syscall.SIGKILL)
			}
		})
	}
	child.Store(serve(t, cfg))
	first := child.Load()
	ended := make(chan struct{})
	go func() { _ = first.Wait(); close(ended) }()
	people := reach(t, ctx, sim, dir, nil)
	until(t, ctx, "Cordon was killed", func() bool {
		decide(ctx, people) // what waits is approved all along: the second kill comes late
		return shot.Load()
	})
	<-ended

	child.Store(serve(t, cfg))
	defer func() {
		second := child.Load()
		require.NoError(t, second.Process.Signal(syscall.SIGTERM))
		_ = second.Wait()
	}()
	people = reach(t, ctx, sim, dir, people)
	w := sim.World
	defer func() {
		if t.Failed() {
			tell(t, people)
		}
	}()
	until(t, ctx, "everything is contained", func() bool {
		decide(ctx, people)
		made := w.Created()
		victim, _ := w.Customer.User(w.VictimID)
		childAccount, _ := w.Customer.User(made.NewAdmin)
		app, _ := w.Customer.ServicePrincipal(made.MailHelperSP)
		return !victim.AccountEnabled && !childAccount.AccountEnabled && !app.AccountEnabled && len(w.Customer.Grants(made.MailHelperSP)) == 0 &&
			!sim.Partner.AllowDelegatedAccess(w.Customer.ID()) && strings.HasPrefix(w.Partner.Relationships()[0].Status, "terminat") &&
			nothingWaits(ctx, people)
	})
	for _, o := range w.Retry(time.Now()) {
		require.Error(t, o.Err, "refused: %s", o.Act.Story)
	}

	// Each list folds, which checks the chain; no step failed or was lost on the way.
	list, err := people[0].List(ctx)
	require.NoError(t, err)
	require.Len(t, list, 2)
	for _, sum := range list {
		i, err := people[0].Show(ctx, sum.Number)
		require.NoError(t, err)
		for _, s := range i.Steps {
			require.NotEqual(t, incident.Failed, s.State, "%s: %s", s.Place, s.Error)
		}
	}
	// What is not idempotent was called once.
	terminations := 0
	for _, c := range w.Partner.Calls() {
		if strings.HasSuffix(c.Path, "/requests") {
			terminations++
		}
	}
	require.Equal(t, 1, terminations)
	removals := 0
	for range sim.Partner.Calls() {
		removals++
	}
	require.LessOrEqual(t, removals, 2, "a repetition bears the same MS-RequestId")
}

// tell shows what is open, for the reader of a failure.
func tell(t *testing.T, people []*client.Client) {
	list, err := people[0].List(context.Background())
	t.Log(err)
	for _, sum := range list {
		i, err := people[0].Show(context.Background(), sum.Number)
		t.Log(sum.Number, sum.Principal, sum.Verdict, err)
		for _, s := range i.Steps {
			if s.Kind != incident.KindRead {
				t.Log("  ", s.State, s.Ref, s.Says, s.Need, s.Attempt, s.Error)
			}
		}
	}
}

// impatient is the library that ships, with a second round of revoking after a second instead of minutes.
func impatient(t *testing.T, dir string) string {
	folder := filepath.Join(dir, "playbooks")
	require.NoError(t, os.MkdirAll(folder, 0o700))
	files, err := fs.Glob(library.Shipped, "*.yml")
	require.NoError(t, err)
	for _, f := range files {
		data, err := fs.ReadFile(library.Shipped, f)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(folder, f), []byte(strings.ReplaceAll(string(data), "again-after: 5m", "again-after: 1s")), 0o600))
	}
	return folder
}

func serve(t *testing.T, cfg string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CORDON_TEST_CHILD=serve\n--config\n"+cfg)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	require.NoError(t, cmd.Start())
	return cmd
}

// reach waits for run.json to name a Cordon that answers, and another than before.
func reach(t *testing.T, ctx context.Context, sim *simulator.Simulator, dir string, before []*client.Client) []*client.Client {
	var people []*client.Client
	until(t, ctx, "Cordon answers", func() bool {
		r, err := app.ReadRunFile(filepath.Join(dir, "data"))
		if err != nil || before != nil && r.Address == before[0].Base {
			return false
		}
		people = nil
		for _, name := range simulator.Analysts {
			people = append(people, client.New(r.Address, sim.Token(name)))
		}
		_, err = people[0].List(ctx)
		return err == nil
	})
	return people
}

// decide approves what waits as two people, and does the tasks. While Cordon is down, or the incident moves on, there
// is nothing to decide: the next look tries again.
func decide(ctx context.Context, people []*client.Client) {
	list, err := people[0].List(ctx)
	if err != nil {
		return
	}
	for _, sum := range list {
		i, err := people[0].Show(ctx, sum.Number)
		if err != nil {
			return
		}
		for _, s := range i.Waiting() {
			d := console.Decision{Verb: "approve", Place: s.Place, Digest: s.Digest}
			if s.Kind == incident.KindTask {
				d = console.Decision{Verb: "done", Place: s.Place}
			}
			for n := range max(s.Missing(), 1) {
				_ = people[n].Decide(ctx, i.Number, d, nil)
			}
		}
	}
}

func nothingWaits(ctx context.Context, people []*client.Client) bool {
	list, err := people[0].List(ctx)
	if err != nil || len(list) == 0 {
		return false
	}
	for _, sum := range list {
		i, err := people[0].Show(ctx, sum.Number)
		if err != nil || len(i.Waiting()) > 0 {
			return false
		}
		for _, s := range i.Steps {
			switch s.State {
			case incident.Approved, incident.Running, incident.Retrying, incident.Waiting:
				return false
			}
		}
		if r := i.Step("improve.1"); r == nil {
			return false
		}
	}
	return true
}

func until(t *testing.T, ctx context.Context, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			require.FailNow(t, fmt.Sprintf("waiting until %s: %v", what, ctx.Err()))
		}
	}
}
