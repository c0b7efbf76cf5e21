package console_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASearchIsAskedForAndOnTheRecord(t *testing.T) {
	h := open(t)
	path := fmt.Sprintf("/api/v1/incidents/%d/search", h.number)
	as := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	for body, want := range map[string]string{`{"days":0}`: "from 1 to 180", `{"days":181}`: "from 1 to 180", `{"weeks":1}`: "", `7`: ""} {
		status, _, said := h.ask("POST", path, body, as("token-of-alex"))
		require.Equal(t, http.StatusBadRequest, status, body)
		require.Contains(t, said, want)
	}
	status, _, _ := h.ask("POST", path, `{"days":7}`, as("token-of-reader"))
	require.Equal(t, http.StatusConflict, status, "who may only look asks for nothing")
	require.Empty(t, h.audit())
	status, _, _ = h.ask("POST", path, `{"days":7}`, as("token-of-alex"))
	require.Equal(t, http.StatusAccepted, status)
	require.Equal(t, []string{contoso + " " + hostile + " 168h0m0s"}, h.searched)
	require.Len(t, h.audit(), 1)
	require.Equal(t, "unified-audit.search", h.audit()[0].Type)
	require.Equal(t, "alex", h.audit()[0].By)
}
