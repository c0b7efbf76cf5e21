package bus

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRecentBytesAreBounded(t *testing.T) {
	r := recent{most: 100}
	now := time.Now()
	require.Zero(t, r.try(60, now))
	require.Zero(t, r.try(40, now.Add(time.Second)))
	require.Equal(t, kept-2*time.Second, r.try(1, now.Add(2*time.Second)), "until the oldest is forgotten")
	require.Zero(t, r.try(50, now.Add(kept)))
	require.Equal(t, time.Second, r.try(500, now.Add(kept)), "the first that is in the way")
	require.Zero(t, r.try(500, now.Add(3*kept)), "what is too large for the bound is alone")
	require.Positive(t, r.try(1, now.Add(3*kept)))
}

func TestWaitingToStoreEndsWithTheContext(t *testing.T) {
	r := recent{most: 1}
	require.NoError(t, r.admit(t.Context(), 1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.admit(ctx, 1), context.Canceled)
}
