package console_test

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"cordon/internal/console"
	"cordon/internal/simulator"
	"cordon/internal/simulator/scenario"
	"cordon/internal/simulator/stage"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// TestPageFollowsLive opens the incident in a real browser, approves a step, and sees it done without reloading.
func TestPageFollowsLive(t *testing.T) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CORDON_CI") == "1" {
			t.Fatal("Chromium is missing: apt-get install chromium")
		}
		t.Skip("Chromium is missing (Debian's package chromium)")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	s, err := stage.Open(ctx, t.TempDir(), "127.0.0.1:0", simulator.Attack, zap.NewNop())
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close(context.Background())) }()
	s.Load(scenario.Attack(s.Sim.World))
	require.NoError(t, s.Play(ctx))
	grants := s.Sim.World.Customer.Grants(s.Sim.World.Created().MailHelperSP)
	require.Len(t, grants, 1)
	list, err := s.People()[0].List(ctx)
	require.NoError(t, err)
	at := slices.IndexFunc(list, func(i console.Summary) bool { return i.Playbook == "malicious-application" })
	link, err := s.App.Link("alex", "/i/"+strconv.FormatUint(list[at].Number, 10))
	require.NoError(t, err)

	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1500, 1300))
	browsers, stop := chromedp.NewExecAllocator(ctx, options...)
	defer stop()
	var complaints atomic.Int64
	tab, closeTab := chromedp.NewContext(browsers, chromedp.WithListener(func(e any) {
		if _, ok := e.(*runtime.EventExceptionThrown); ok {
			complaints.Add(1)
		}
	}))
	defer closeTab()

	step := `article[id="step-contain.2/` + grants[0].ID + `"]`
	require.NoError(t, chromedp.Do(tab,
		chromedp.Navigate(link),
		chromedp.WaitVisible(step+` button.go`),
		chromedp.Evaluate[chromedp.Void](`window.neverReloaded = "yes"`),
		press(step+` button.go`),
		chromedp.WaitVisible(step+`.verified`),
	))
	state, err := chromedp.Run(tab, chromedp.Text(step+` .state`))
	require.NoError(t, err)
	mark, err := chromedp.Run(tab, chromedp.Evaluate[string](`window.neverReloaded`))
	require.NoError(t, err)
	require.Equal(t, "verified", state)
	require.Equal(t, "yes", mark, "the page followed without being loaded again")
	require.Empty(t, s.Sim.World.Customer.Grants(s.Sim.World.Created().MailHelperSP), "the grant is gone in the tenant")
	require.Zero(t, complaints.Load(), "the page's script ran without an error")

	// What gives access back asks again, in a dialog, before anything is decided.
	require.NoError(t, chromedp.Do(tab,
		press(`article[id="step-contain.1"] button[data-verb="undo"]`),
		chromedp.WaitVisible(`dialog[open]`),
		chromedp.Click(`#ask-yes`),
		chromedp.WaitVisible(`article[id="step-contain.1"].undone`),
	))
	app, _ := s.Sim.World.Customer.ServicePrincipal(s.Sim.World.Created().MailHelperSP)
	require.True(t, app.AccountEnabled, "the application is back")
	if file := os.Getenv("CORDON_SCREENSHOT"); file != "" {
		shoot(t, ctx, tab, s, file)
	}
}

// press clicks what stands at a selector in one go: the page may put a fresh copy in its place at any moment.
func press(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void]("document.querySelector(" + strconv.Quote(selector) + ").click()")
}

// shoot takes the picture of README.md: the administrator's incident, with what waits.
func shoot(t *testing.T, ctx context.Context, tab context.Context, s *stage.Stage, file string) {
	list, err := s.People()[0].List(ctx)
	require.NoError(t, err)
	at := slices.IndexFunc(list, func(i console.Summary) bool { return i.Playbook == "compromised-administrator" })
	require.NoError(t, chromedp.Do(tab,
		chromedp.Navigate("http://"+s.App.Addr()+"/i/"+strconv.FormatUint(list[at].Number, 10)),
		chromedp.WaitVisible(`.desk`),
	))
	picture, err := chromedp.Run(tab, chromedp.CaptureScreenshot())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, picture, 0o644))
}
