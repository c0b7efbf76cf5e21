package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"cordon/ingest/export"
	"cordon/internal/app"
	"cordon/internal/clock"
	"cordon/internal/record"
	"cordon/internal/simulator"
	"cordon/internal/simulator/entra"
	"cordon/internal/simulator/scenario"
	"cordon/internal/simulator/slack"
	"go.uber.org/zap"
)

// Options are the flags of `cordon try`.
type Options struct {
	Unattended bool
	JSON       bool
	Input      string
	Data       string
	Listen     string
	Out        io.Writer
	Log        *zap.Logger
}

// Try is `cordon try`.
func Try(ctx context.Context, o Options) (err error) {
	folders := []string{}
	if o.Data == "" {
		if o.Data, err = os.MkdirTemp("", "cordon-try-"); err != nil {
			return fmt.Errorf("making a data folder: %w", err)
		}
		defer os.RemoveAll(o.Data)
		cache, err := app.CacheFolder()
		if err != nil {
			return err
		}
		folders = append(folders, cache)
	}
	build := simulator.Build(simulator.Attack)
	var records []item
	if o.Input != "" {
		if records, err = readInput(o.Input); err != nil {
			return err
		}
		build = func(c clock.Clock, emit func(*entra.Tenant, string, []byte, time.Time)) (*scenario.World, error) {
			return fromRecords(c, emit, records)
		}
	}
	s, err := Open(ctx, o.Data, o.Listen, build, o.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	remove, err := s.App.WriteRunFile(append(folders, o.Data)...)
	defer remove()
	if err != nil {
		return err
	}
	if !o.JSON {
		s.Tell = func(format string, args ...any) { fmt.Fprintf(o.Out, "  "+format+"\n", args...) }
		s.introduce(o.Input)
	}
	if o.Input == "" {
		s.Load(scenario.Attack(s.Sim.World))
	} else {
		s.post(records)
	}
	if o.Unattended {
		return s.unattended(ctx, o)
	}
	if err := s.Play(ctx); err != nil {
		return err
	}
	if s.Tell != nil {
		if err := s.invite(ctx); err != nil {
			return err
		}
	}
	return s.stay(ctx)
}

func (s *Stage) introduce(input string) {
	if input != "" {
		s.Tell("The tenants that %s names are simulated on this machine. Nothing leaves it.", input)
		return
	}
	s.Tell("Fabrikam (partner) and Contoso (customer) are simulated on this machine. Nothing leaves it.")
	shown := map[string]bool{}
	s.Sim.Slack.OnMessage(func(m slack.Message) {
		if shown[m.TS] {
			return // it is updated in place
		}
		shown[m.TS] = true
		first, _, _ := strings.Cut(m.Text, "\n")
		s.Tell("          ─ chat: %s", first)
	})
}

// unattended plays to the end with simulated people, and says whether all is well.
func (s *Stage) unattended(ctx context.Context, o Options) error {
	if err := s.PlayUnattended(ctx); err != nil {
		return err
	}
	result, err := s.Result(ctx)
	if err != nil {
		return err
	}
	if o.JSON {
		err = json.NewEncoder(o.Out).Encode(result)
	} else {
		s.Tell("%d records, %d findings, %d incidents; from record to containment %.0f ms (p50), %.0f ms (most)",
			result.Records, result.Findings, result.Incidents, result.RecordToContainmentMs.P50, result.RecordToContainmentMs.Max)
	}
	if err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	left, err := s.Left(ctx)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("not everything was contained: %s", strings.Join(left, "; "))
	}
	return err
}

// invite prints what waits, and the ways in.
func (s *Stage) invite(ctx context.Context) error {
	s.Tell("")
	if err := s.TellWaiting(ctx); err != nil {
		return err
	}
	page := "/"
	all, err := s.App.Store().All(ctx)
	if err != nil {
		return err
	}
	first := uint64(0)
	for _, h := range all {
		for _, i := range h.Incidents {
			if first == 0 || i.Number < first {
				first = i.Number
				page = fmt.Sprintf("/i/%d", first)
			}
		}
	}
	s.Tell("")
	for _, name := range simulator.Analysts {
		link, err := s.App.Link(name, page)
		if err != nil {
			return err
		}
		s.Tell("as %-5s %s", name+":", link)
	}
	s.Tell("Open a link (each works once), or use `cordon incidents`. Ctrl-C ends it all.")
	return nil
}

// stay keeps everything running for the people at the page: what is due still happens, at once.
func (s *Stage) stay(ctx context.Context) error {
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, err := s.Step(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// item is a record of an input file.
type item struct {
	record *record.Record
	raw    []byte
}

func readInput(file string) ([]item, error) {
	var out []item
	err := export.Read(file, os.Stdin, func(it export.Item) error {
		if it.Err != nil {
			return nil // `cordon detect` says what is wrong with a file
		}
		it.Raw = slices.Clone(it.Raw)
		r, err := record.Decode(it.Raw, record.Defaults{})
		if err == nil {
			out = append(out, item{r, it.Raw})
		}
		return nil
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("%s holds no record that Cordon can read; `cordon detect` says why", file)
	}
	return out, err
}

func fromRecords(c clock.Clock, emit func(*entra.Tenant, string, []byte, time.Time), records []item) (*scenario.World, error) {
	var objects []map[string]any
	for _, r := range records {
		objects = append(objects, envelope(r.record))
	}
	return scenario.FromRecords(c, emit, objects)
}

// envelope writes what was decoded of a record in the form of Azure Monitor, whatever form the file had: the world
// that it tells of is built from that.
func envelope(r *record.Record) map[string]any {
	properties := map[string]any{"id": r.ID, "result": r.Result(), "correlationId": r.Correlation(), "activityDateTime": r.Time.Format(time.RFC3339Nano),
		"createdDateTime": r.Time.Format(time.RFC3339Nano), "resultReason": strings.Join(r.Field("properties.resultReason").List, " ")}
	user := map[string]any{"id": r.Actor.ID, "userPrincipalName": r.Actor.UPN, "displayName": r.Actor.Name}
	if r.SignIn() != nil {
		properties["userId"], properties["userPrincipalName"], properties["userDisplayName"] = r.Actor.ID, r.Actor.UPN, r.Actor.Name
	} else if r.Actor.Type == record.ServicePrincipal {
		properties["initiatedBy"] = map[string]any{"app": map[string]any{"appId": r.Actor.AppID, "servicePrincipalId": r.Actor.ID, "displayName": r.Actor.Name}}
	} else if r.Actor.Type == record.User {
		properties["initiatedBy"] = map[string]any{"user": user}
	}
	var targets []any
	for _, t := range r.Targets() {
		var changes []any
		for _, c := range t.Changes {
			changes = append(changes, map[string]any{"displayName": c.Name, "oldValue": jsonText(c.Old), "newValue": jsonText(c.New)})
		}
		targets = append(targets, map[string]any{"id": t.ID, "type": t.Type, "displayName": t.Name, "userPrincipalName": t.UPN, "modifiedProperties": changes})
	}
	properties["targetResources"] = targets
	return map[string]any{"time": r.Time.Format(time.RFC3339Nano), "category": r.Category, "tenantId": r.Tenant, "operationName": r.Operation, "properties": properties}
}

// jsonText is a value as audit records carry it: JSON in a string.
func jsonText(value string) any {
	if value == "" {
		return nil
	}
	if value[0] == '[' || value[0] == '{' {
		return value
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	return string(text)
}

// post puts the file's records on their way in the order in which they happened, an hour of theirs a second: windows are of
// event time, and the watermarks must not run ahead of what is still to come.
func (s *Stage) post(records []item) {
	known := map[string]string{}
	for _, t := range s.Sim.World.Tenants {
		known[strings.ToLower(t.ID())] = t.ID()
	}
	slices.SortStableFunc(records, func(a, b item) int { return a.record.Time.Compare(b.record.Time) })
	due, hour := s.Start.Add(time.Minute), time.Time{}
	for _, r := range records {
		if now := r.record.Time.Truncate(time.Hour); !now.Equal(hour) {
			due, hour = due.Add(time.Second), now
		}
		if id, ok := known[strings.ToLower(r.record.Tenant)]; ok {
			s.Sim.PostOf(id, r.record.Category, r.raw, due, hour.Add(time.Hour))
		}
	}
}
