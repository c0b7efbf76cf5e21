package fault

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRetryAfterReadsWhatGraphWrites(t *testing.T) {
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"2.128": 2128 * time.Millisecond, "57": 57 * time.Second, "": 0, "-1": 0, "soon": 0,
		"Mon, 02 Mar 2026 08:00:30 GMT": 30 * time.Second, "Mon, 02 Mar 2026 07:00:00 GMT": 0,
	} {
		require.Equal(t, want, RetryAfter(value, now), value)
	}
}

func TestClassSurvivesWrapping(t *testing.T) {
	err := fmt.Errorf("disabling: %w", &Fault{Class: Forbidden, Service: "Graph", Status: 403, Code: "Authorization_RequestDenied", Message: "Insufficient privileges"})
	require.Equal(t, Forbidden, Of(err))
	require.Contains(t, err.Error(), "Graph answered 403: Authorization_RequestDenied: Insufficient privileges")
	require.Equal(t, Retryable, Of(fmt.Errorf("connection reset")))
}
