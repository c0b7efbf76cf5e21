package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/internal/config"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestModesOfTheConfiguration(t *testing.T) {
	t.Setenv("CORDON_TEST_TOKEN", "t0ken")
	data := t.TempDir()
	start := func(modes string) (*App, error) {
		cfg, err := config.Parse(strings.NewReader(fmt.Sprintf("data: %s\nlisten: 127.0.0.1:0\ngraph: http://127.0.0.1:1\ntenants: [{id: t, credential: {token: {env: CORDON_TEST_TOKEN}}}]\nmodes: %s\n", data, modes)))
		require.NoError(t, err)
		return New(t.Context(), cfg, Options{})
	}
	_, err := start("{usr-created: audit}")
	require.EqualError(t, err, "modes.usr-created: there is no rule of that name; did you mean user-created?")
	a, err := start("{user-created: audit, password-spray: off}") // the data folder was given back
	require.NoError(t, err)
	require.Equal(t, []string{"audit", "off", "on"}, []string{a.room.Mode("user-created"), a.room.Mode("password-spray"), a.room.Mode("password-spray-hit")})
	require.NoError(t, a.Stop(t.Context()))
}

// watching is Cordon with the rules of a folder, which it looks at until the test ends.
func watching(t *testing.T, folder string) *App {
	t.Helper()
	t.Setenv("CORDON_TEST_TOKEN", "t0ken")
	cfg, err := config.Parse(strings.NewReader(fmt.Sprintf("data: %s\nrules: %s\nlisten: 127.0.0.1:0\ngraph: http://127.0.0.1:1\ntenants: [{id: t, credential: {token: {env: CORDON_TEST_TOKEN}}}]\n", t.TempDir(), folder)))
	require.NoError(t, err)
	a, err := New(t.Context(), cfg, Options{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.watchRules(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, a.Stop(context.Background()))
	})
	return a
}

// A change of the folder is taken over while Cordon runs; a broken one leaves the rules that run, and says so.
func TestRulesAreTakenOverWhileCordonRuns(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	rule := func(name string) string {
		return fmt.Sprintf("title: T\nname: %s\nlogsource: {product: azure, service: signinlogs}\ndetection: {s: {signIn.address: 192.0.2.1}, condition: s}\ncustom: {mode: on}\n", name)
	}
	write("one.yml", rule("one"))
	a := watching(t, folder)
	names := func() (all []string) {
		for _, r := range a.ledger.Report().Rules {
			all = append(all, r.Name)
		}
		return all
	}
	require.Equal(t, []string{"one"}, names())
	write("two.yml", strings.Replace(rule("two"), "condition: s", "condition: t", 1))
	require.Eventually(t, func() bool { return a.ledger.IsBroken() }, 20*time.Second, 20*time.Millisecond)
	require.Contains(t, a.ledger.Report().Broken, `two.yml:4: condition "t": there is no search named "t"`)
	require.Equal(t, []string{"one"}, names(), "the rules before go on")
	write("two.yml", rule("two"))
	require.Eventually(t, func() bool { return !a.ledger.IsBroken() }, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, []string{"one", "two"}, names())
	require.Equal(t, "on", a.room.Mode("two"))
	require.Len(t, a.rules.Load().Rules, 2, "a replay asks the rules that run")

	require.NoError(t, os.Remove(filepath.Join(folder, "one.yml")))
	require.NoError(t, os.Remove(filepath.Join(folder, "two.yml")))
	require.Eventually(t, func() bool { return a.ledger.IsBroken() }, 20*time.Second, 20*time.Millisecond)
	require.Contains(t, a.ledger.Report().Broken, "there are none")
	require.Equal(t, []string{"one", "two"}, names(), "an empty folder switches nothing off")
}

// A folder that could not be read for a while, and is as it was, is no broken one.
func TestAFolderThatComesBackIsSound(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "rules")
	require.NoError(t, os.Mkdir(folder, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "one.yml"), []byte("title: T\nname: one\nlogsource: {product: azure, service: signinlogs}\ndetection: {s: {signIn.address: 192.0.2.1}, condition: s}\n"), 0o600))
	a := watching(t, folder)
	require.NoError(t, os.Rename(folder, folder+".away"))
	require.Eventually(t, a.ledger.IsBroken, 15*time.Second, 20*time.Millisecond)
	require.Contains(t, a.ledger.Report().Broken, folder, "it is named")
	require.NoError(t, os.Rename(folder+".away", folder))
	require.Eventually(t, func() bool { return !a.ledger.IsBroken() }, 15*time.Second, 20*time.Millisecond)
	require.Len(t, a.ledger.Report().Rules, 1)
}
