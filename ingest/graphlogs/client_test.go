package graphlogs

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cordon/internal/clock"
	"cordon/internal/record"
	"cordon/internal/simulator/entra"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// The token is sent to the configured host alone, whatever an answer says.
func TestATokenIsSentNowhereElse(t *testing.T) {
	m := &manual{now: noon}
	var elsewhere int
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	t.Cleanup(thief.Close)
	s := newSite(t, m)
	p := s.poller(zap.NewNop(), "directory-audits").still(m)
	host := strings.TrimPrefix(s.url, "http://")
	for name, next := range map[string]string{
		"another host":  thief.URL + "/v1.0/auditLogs/directoryAudits?$skiptoken=x",
		"a user before": "http://" + host + "@" + strings.TrimPrefix(thief.URL, "http://") + "/x",
		"a user":        "http://someone@" + host + "/x",
		"a scheme":      "https://" + host + "/x",
		"a suffix":      s.url + ".example/x",
		"no host":       "/v1.0/auditLogs/directoryAudits",
		"nothing":       "::",
	} {
		t.Run(name, func(t *testing.T) {
			s.meanwhile(func(w http.ResponseWriter, _ *http.Request) bool {
				_, _ = fmt.Fprintf(w, `{"value":[],"@odata.nextLink":%q}`, next)
				return true
			})
			require.ErrorContains(t, s.once(p, "directory-audits"), "the next page")
		})
	}
	s.meanwhile(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, thief.URL, http.StatusTemporaryRedirect)
		return true
	})
	require.ErrorContains(t, s.once(p, "directory-audits"), "307")
	require.Zero(t, elsewhere)
	require.Empty(t, s.ids())
}

// What is too large to be a record, or is none, is a dead letter; the rest of its page is stored.
func TestWhatIsNoRecordIsADeadLetter(t *testing.T) {
	s := newSite(t, clock.NewScenario(noon))
	id := s.audit("good", noon)
	s.add(entra.DirectoryAudits, map[string]any{"id": "large", "activityDateTime": noon.Format(time.RFC3339), "pad": strings.Repeat("x", 1<<20)})
	p := s.poller(zap.NewNop(), "directory-audits")
	p.cfg.Since = time.Hour
	require.NoError(t, s.once(p, "directory-audits"))
	require.NoError(t, s.once(p, "directory-audits"))
	s.meanwhile(func(w http.ResponseWriter, _ *http.Request) bool {
		_, _ = fmt.Fprint(w, `{"value":[7,null]}`)
		return true
	})
	require.NoError(t, s.once(p, "directory-audits"))
	letters := s.letters()
	require.Len(t, letters, 3)
	require.Contains(t, letters[0], "at most 1048576 are stored")
	require.Contains(t, letters[1], "a record is a JSON object")
	require.Equal(t, map[string]int{id: 1}, s.ids())
}

func TestAPageThatIsTooLargeIsAskedForInSmallerOnes(t *testing.T) {
	s := newSite(t, clock.NewScenario(noon))
	want := s.audits("a", 40, noon)
	core, seen := observer.New(zap.WarnLevel)
	p := s.poller(zap.New(core), "directory-audits")
	p.client.most = 4 << 10
	run(t, p)
	require.Eventually(t, func() bool { return len(s.ids()) == 40 }, patience, tick)
	require.Equal(t, want, s.ids())
	require.Contains(t, seen.All()[0].Message, "asking for smaller ones")
}

func TestAnswersThatAreNone(t *testing.T) {
	s := newSite(t, clock.NewScenario(noon))
	p := s.poller(zap.NewNop(), "directory-audits")
	for body, said := range map[string]string{
		``: "reading a page", `[]`: "reading a page", `{}`: "it has no value", `{"value":null}`: "it has no value",
		`<html>`: "reading a page", `{"value":{}}`: "reading a page",
	} {
		s.meanwhile(func(w http.ResponseWriter, _ *http.Request) bool { _, _ = fmt.Fprint(w, body); return true })
		require.ErrorContains(t, s.once(p, "directory-audits"), said, body)
	}
	s.meanwhile(func(w http.ResponseWriter, r *http.Request) bool {
		_, _ = fmt.Fprintf(w, `{"value":[],"@odata.nextLink":%q}`, "http://"+r.Host+r.URL.RequestURI())
		return true
	})
	require.ErrorContains(t, s.once(p, "directory-audits"), "the same one")
}

func FuzzDecodePage(f *testing.F) {
	for _, seed := range []string{`{"value":[{"id":"a"}],"@odata.nextLink":"http://x"}`, `{"value":null}`, `[]`, `{"value":[1,"a",null,[]]}`, ``, `{"Value":[{}]}`} {
		f.Add([]byte(seed))
	}
	l, _ := find("directory-audits")
	f.Fuzz(func(t *testing.T, data []byte) {
		items, _, err := decodePage(data)
		if err != nil {
			return
		}
		for _, item := range items {
			for _, raw := range [][]byte{l.wrap(tenantID, item), unified(tenantID, item)} {
				r, err := record.Decode(raw, record.Defaults{Enqueued: noon})
				if err == nil && len(raw) > len(item) && r.Tenant != tenantID { // an object says nothing of whose record it is
					t.Fatalf("%s became a record of %q", item, r.Tenant)
				}
			}
		}
	})
}
