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
	a.room, err = detectors.New(a.bus, set, a.dir, []string{a.cfg.Application.ID}, a.cfg.Lateness.Records(), a.clock, a.log,
		detectors.WithFields(table), detectors.WithModes(a.cfg.Modes))
	if err != nil {
		return err
	}
	a.ledger = ledger.New(a.bus, set, a.room, a.clock, a.log)
	return nil
}
