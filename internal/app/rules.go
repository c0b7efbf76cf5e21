package app

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"path"
	"time"

	"cordon/detectors"
	"cordon/detectors/fields"
	"cordon/detectors/ledger"
	"cordon/detectors/rules"
	"cordon/internal/app/replay"
	"go.uber.org/zap"
)

// rulesEvery is how often the folder of rules is looked at for changes.
const rulesEvery = 2 * time.Second

// loadRules builds the room that the rules work in, and the ledger of what they find.
func (a *App) loadRules() (err error) {
	if a.rulesSum, err = sumOf(folder(a.cfg.Rules, rules.Shipped)); err != nil {
		return fmt.Errorf("reading the rules: %w", err)
	}
	set, plan, err := a.readRules()
	if err != nil {
		return err
	}
	a.rules.Store(&set)
	a.room = detectors.New(detectors.Config{Bus: a.bus, Plan: plan, Directory: a.dir, Own: []string{a.cfg.Application.ID}, Lateness: a.cfg.Lateness.Records(), Crew: a.crew, Log: a.log})
	a.ledger = ledger.New(a.bus, set.Rules, a.room, a.clock, a.log)
	return nil
}

// readRules reads the folder of rules, or those that ship, as they are now.
func (a *App) readRules() (set replay.Set, plan *detectors.Plan, err error) {
	from := folder(a.cfg.Rules, rules.Shipped)
	if set.Rules, err = detectors.Load(from); err != nil {
		return set, nil, err
	}
	if set.Table, err = fields.Load(from); err != nil {
		return set, nil, err
	}
	set.Modes = a.cfg.Modes
	plan, err = detectors.NewPlan(set.Rules, detectors.WithFields(set.Table), detectors.WithModes(set.Modes))
	return set, plan, err
}

// watchRules takes changes of the folder over while Cordon runs. Where the folder is broken the rules that run go on,
// and the page of rules says what is wrong.
func (a *App) watchRules(ctx context.Context) error {
	from := folder(a.cfg.Rules, rules.Shipped)
	running, seen := a.rulesSum, a.rulesSum
	tick := time.NewTicker(rulesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		var err error
		before := seen
		if seen, err = sumOf(from); err == nil && (seen == running || seen != before) {
			continue // nothing new, or somebody is still writing
		}
		var set replay.Set
		var plan *detectors.Plan
		if err == nil {
			running = seen
			set, plan, err = a.readRules()
		}
		if err != nil {
			if a.ledger.Broken(err) {
				a.log.Error("the rules have changed and cannot be read; those that run go on", zap.Error(err))
			}
			continue
		}
		a.rules.Store(&set)
		a.room.Reload(plan)
		a.ledger.Use(set.Rules)
		a.log.Info("the rules have changed and were taken over", zap.Int("rules", len(set.Rules)))
	}
}

// sumOf tells one state of a folder's YAML files from another.
func sumOf(folder fs.FS) (sum [sha256.Size]byte, err error) {
	all := sha256.New()
	err = fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		if ext := path.Ext(name); err != nil || entry.IsDir() || ext != ".yml" && ext != ".yaml" {
			return err
		}
		text, err := fs.ReadFile(folder, name)
		fmt.Fprintf(all, "%q %d\n", name, len(text)) // a hash never fails
		all.Write(text)
		return err
	})
	return [sha256.Size]byte(all.Sum(nil)), err
}
