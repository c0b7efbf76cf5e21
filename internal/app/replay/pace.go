package replay

import (
	"context"
	"time"

	"cordon/detectors"
)

const (
	speakEvery = time.Second // a client that hears nothing for long takes it for dead
	askEvery   = time.Second // of work, between two looks at how the running detectors do
	lagging    = 1000        // messages of LOGS before them: then they come first
	maxWait    = 10 * time.Second
)

// tell says how far the replay is.
func (p *pass) tell(waits bool) error {
	p.spoke = time.Now()
	p.progress.Took, p.progress.Waits = time.Since(p.began), waits
	if s := p.progress.Took.Seconds(); s > 0 {
		p.progress.Rate = float64(p.progress.Records) / s
	}
	return p.told(p.progress)
}

func (p *pass) speak(waits bool) error {
	if time.Since(p.spoke) < speakEvery {
		return nil
	}
	return p.tell(waits)
}

// pace lets the running detectors go first: where they lag behind, a replay waits for them, but each time only so long,
// for in a tenant that is always busy it would never end.
func (p *pass) pace(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.progress.Records&63 != 0 { // asking the clock costs too
		return nil
	}
	if err := p.speak(false); err != nil {
		return err
	}
	if time.Since(p.asked) < askEvery {
		return nil
	}
	defer func() { p.asked = time.Now() }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < maxWait; {
		behind, err := detectors.Behind(ctx, p.cfg.Bus)
		if err != nil {
			return err
		}
		if behind < lagging {
			return nil
		}
		if err := p.speak(true); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
