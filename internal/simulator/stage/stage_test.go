package stage

import (
	"context"
	"fmt"
	"testing"
	"time"

	"cordon/internal/simulator"
	"cordon/internal/simulator/scenario"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"
)

func TestPlay(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	s, err := Open(ctx, t.TempDir(), "127.0.0.1:0", simulator.Attack, zaptest.NewLogger(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close(context.Background())) }()
	s.Tell = func(f string, a ...any) { t.Logf(f, a...) }
	s.Load(scenario.Attack(s.Sim.World))
	require.NoError(t, s.Play(ctx))
	all, err := s.App.Store().All(ctx)
	require.NoError(t, err)
	for _, h := range all {
		for _, i := range h.Incidents {
			fmt.Println(i.Number, i.Principal.Label(), i.Verdict, i.Why, i.Playbook, i.T0, i.Links)
			for _, f := range i.Findings {
				fmt.Println("   F", f.Time.Format(time.TimeOnly), f.Rule, f.Says, f.Level, f.Unconfirmed, f.Withdrawn, f.Count)
			}
			for _, st := range i.Steps {
				fmt.Println("   S", st.Place, st.Round, st.Action, st.State, st.Need, st.Says, st.Error, st.Note)
			}
		}
	}
}
