package app

import (
	"fmt"
	"strings"
	"testing"

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
