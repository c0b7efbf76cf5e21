package chaos

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"cordon/detectors"
	"cordon/detectors/rules"
	"cordon/internal/bus"
	"cordon/internal/finding"
	"cordon/internal/record"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// said is what a finding says, but for what depends on how records came together: how often it was revised, and which
// of several sources brought its proof.
func said(t *testing.T, f finding.Finding) string {
	t.Helper()
	f.Revision = 0
	proof := make([]finding.Proof, len(f.Proof))
	for i, p := range f.Proof {
		p.Positions = nil
		proof[i] = p
	}
	f.Proof = proof
	data, err := json.Marshal(f)
	require.NoError(t, err)
	return string(data)
}

// inPassing says that a correlation raised the finding before all records of its window were there, and took it back.
// Whether anybody saw it depends on how records came together.
func inPassing(f finding.Finding) bool {
	return f.Withdrawn != "" && strings.HasPrefix(f.Rule, "password-spray")
}

// undisturbed is what one engine finds in LOGS as it stands, that reads all of it at once.
func undisturbed(t *testing.T, b *bus.Bus, watermark time.Time) map[string]string {
	t.Helper()
	all, err := detectors.Load(rules.Shipped)
	require.NoError(t, err)
	e, err := detectors.NewEngine(all, known())
	require.NoError(t, err)
	require.NoError(t, b.Scan(t.Context(), bus.Logs, bus.RecordsIn(""), time.Time{}, func(m jetstream.Msg) error {
		r, at, err := record.FromLogs(m.Headers(), m.Data())
		require.NoError(t, err)
		e.Process(r, at.String())
		return nil
	}))
	e.FlushAll()
	e.Settle(watermark)
	e.FlushAll()
	out := map[string]string{}
	for _, f := range e.Current() {
		if !inPassing(f) {
			out[f.ID] = said(t, f)
		}
	}
	return out
}

// published is what FINDINGS ends with, by identity, and how often it fell back on the way: somebody who has read a
// revision of a finding takes no other for news but a higher one.
func published(t *testing.T, b *bus.Bus) (last map[string]string, messages int, fellBack []string) {
	t.Helper()
	type state struct {
		revision int
		said     string
		passing  bool
	}
	highest := map[string]state{}
	require.NoError(t, b.Scan(t.Context(), bus.Findings, bus.FindingsIn(""), time.Time{}, func(m jetstream.Msg) error {
		var f finding.Finding
		require.NoError(t, json.Unmarshal(m.Data(), &f))
		messages++
		now, had := state{f.Revision, said(t, f), inPassing(f)}, highest[f.ID]
		if f.Revision <= had.revision {
			if now.said != had.said {
				fellBack = append(fellBack, fmt.Sprintf("revision %d after %d of %s:\n%s\n%s", f.Revision, had.revision, f.ID, had.said, now.said))
			}
			return nil
		}
		highest[f.ID] = now
		return nil
	}))
	last = map[string]string{}
	for id, s := range highest {
		if !s.passing {
			last[id] = s.said
		}
	}
	return last, messages, fellBack
}

// compare counts what is missing and what differs, and shows some of it.
func compare(t *testing.T, b *bus.Bus, want map[string]string) (y tally) {
	t.Helper()
	have, messages, fellBack := published(t, b)
	y = tally{Findings: len(want), Published: messages, FellBack: len(fellBack)}
	for _, text := range fellBack[:min(len(fellBack), 5)] {
		t.Error(text)
	}
	show := func(id string) {
		if y.Lost+y.Differing <= 5 {
			t.Errorf("%s:\nwant %s\nhave %s", id, want[id], have[id])
		}
	}
	for id, is := range want {
		switch now, there := have[id]; {
		case !there:
			y.Lost++
			show(id)
		case now != is:
			y.Differing++
			show(id)
		}
	}
	for id := range have {
		if _, there := want[id]; !there {
			y.Differing++
			show(id)
		}
	}
	return y
}
