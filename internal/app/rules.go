package app

import (
	"cordon/detectors"
	"cordon/detectors/fields"
	"cordon/detectors/ledger"
	"cordon/detectors/rules"
	"cordon/internal/app/replay"
)

// loadRules builds the room that the rules work in, and the ledger of what they find.
func (a *App) loadRules() error {
	from := folder(a.cfg.Rules, rules.Shipped)
	set, err := detectors.Load(from)
	if err != nil {
		return err
	}
	table, err := fields.Load(from)
	if err != nil {
		return err
	}
	a.rules = replay.Set{Rules: set, Table: table}
	plan, err := detectors.NewPlan(set, detectors.WithFields(table), detectors.WithModes(a.cfg.Modes))
	if err != nil {
		return err
	}
	a.room = detectors.New(detectors.Config{Bus: a.bus, Plan: plan, Directory: a.dir, Own: []string{a.cfg.Application.ID}, Lateness: a.cfg.Lateness.Records(), Crew: a.crew, Log: a.log})
	a.ledger = ledger.New(a.bus, set, a.room, a.clock, a.log)
	return nil
}
