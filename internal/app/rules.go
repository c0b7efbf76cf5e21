package app

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"time"

	"cordon/detectors"
	"cordon/detectors/fields"
	"cordon/detectors/ledger"
	"cordon/detectors/rules"
	"cordon/internal/app/replay"
	"cordon/internal/config"
	"go.uber.org/zap"
)

// rulesEvery is how often the folder of rules is looked at for changes.
const rulesEvery = 2 * time.Second

// loadRules builds the room that the rules work in, and the ledger of what they find.
func (a *App) loadRules() (err error) {
	if a.rulesSum, err = sumOf(a.cfg.Rules); err != nil {
		return err
	}
	set, plan, err := readRules(a.cfg)
	if err != nil {
		return err
	}
	a.rules.Store(&set)
	a.room = detectors.New(detectors.Config{Bus: a.bus, Plan: plan, Directory: a.dir, Own: []string{a.cfg.Application.ID}, Lateness: a.cfg.Lateness.Records(), Crew: a.crew, Log: a.log})
	a.ledger = ledger.New(a.bus, set.Rules, a.room, a.clock, a.log)
	return nil
}

// CheckRules says what is wrong with the rules that a configuration names, and the modes that it gives them.
func CheckRules(cfg *config.Config) error {
	_, _, err := readRules(cfg)
	return err
}

// readRules reads the folder of rules, or those that ship, as they are now.
func readRules(cfg *config.Config) (set replay.Set, plan *detectors.Plan, err error) {
	from, err := rules.Open(cfg.Rules)
	if err != nil {
		return set, nil, err
	}
	if set.Rules, err = detectors.Load(from); err != nil {
		return set, nil, err
	}
	if set.Table, err = fields.Load(from); err != nil {
		return set, nil, err
	}
	set.Modes = cfg.Modes
	plan, err = detectors.NewPlan(set.Rules, detectors.WithFields(set.Table), detectors.WithModes(set.Modes))
	return set, plan, err
}

// watchRules takes changes of the folder over while Cordon runs. Where the folder is broken the rules that run go on,
// and the page of rules says what is wrong.
func (a *App) watchRules(ctx context.Context) error {
	running, seen, broken := a.rulesSum, a.rulesSum, false
	tick := time.NewTicker(rulesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, err := sumOf(a.cfg.Rules)
		if err == nil {
			before := seen
			if seen = now; seen != before {
				continue // somebody is still writing
			}
			if seen == running {
				if broken { // as it was
					a.ledger.Use(a.rules.Load().Rules)
					broken = false
				}
				continue
			}
		}
		var set replay.Set
		var plan *detectors.Plan
		if err == nil {
			set, plan, err = readRules(a.cfg)
		}
		if broken = err != nil; broken { // it is read again until it is sound: what was wrong may have been the disk
			if a.ledger.Broken(err) {
				a.log.Error("the rules have changed and cannot be read; those that run go on", zap.Error(err))
			}
			continue
		}
		running = seen
		a.rules.Store(&set)
		a.room.Reload(plan)
		a.ledger.Use(set.Rules)
		a.log.Info("the rules have changed and were taken over", zap.Int("rules", len(set.Rules)))
	}
}

// sumOf tells one state of a folder's YAML files from another.
func sumOf(folder string) (sum [sha256.Size]byte, err error) {
	from, err := rules.Open(folder)
	if err != nil {
		return sum, err
	}
	files, err := detectors.Files(from)
	if err != nil {
		return sum, fmt.Errorf("reading the rules: %w", err)
	}
	all := sha256.New()
	for _, name := range files {
		text, err := fs.ReadFile(from, name)
		if err != nil {
			return sum, fmt.Errorf("reading the rules: %w", err)
		}
		fmt.Fprintf(all, "%q %d\n", name, len(text)) // a hash never fails
		all.Write(text)
	}
	return [sha256.Size]byte(all.Sum(nil)), nil
}
