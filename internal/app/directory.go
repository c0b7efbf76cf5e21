package app

import (
	"context"
	"sync"
	"time"

	"cordon/internal/directory"
	"go.uber.org/zap"
)

const (
	// directoryEvery is how often the directory is read from Graph again; in between the audit stream keeps it current.
	directoryEvery = time.Hour
	// askAgain is how soon a tenant that did not answer is asked again; each time it does not, twice as long is waited.
	askAgain = time.Minute
	// answerWithin is how long a tenant may take.
	answerWithin = 20 * time.Second
)

// readDirectory asks the Graph of tenants who is privileged, and returns those that did not answer: of them what was known
// stays.
func (a *App) readDirectory(ctx context.Context, tenants []string) (silent []string) {
	var asked sync.WaitGroup
	var mu sync.Mutex
	for _, id := range tenants {
		asked.Go(func() {
			within, cancel := context.WithTimeout(ctx, answerWithin)
			defer cancel()
			access, err := a.tenants.Access(id)
			var s directory.Snapshot
			if err == nil {
				s, err = directory.ReadGraph(within, access.Graph, id, a.clock.Now())
			}
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				silent = append(silent, id)
				a.log.Warn("reading who is privileged; what was known stays", zap.String("tenant", id), zap.Error(err))
				return
			}
			a.room.Risen(id, a.dir.Load(s))
			if len(s.Unread) > 0 {
				a.log.Warn("who is in groups that hold privileged roles may not be read; whoever is not known to be privileged may be: consent to GroupMember.Read.All",
					zap.String("tenant", id), zap.Strings("groups", s.Unread))
			}
			if err := directory.Save(ctx, a.bus, s); err != nil && ctx.Err() == nil {
				a.log.Warn("keeping who is privileged; a restart will have to ask before it knows", zap.String("tenant", id), zap.Error(err))
			}
		})
	}
	asked.Wait()
	return silent
}

// keepDirectory reads the directory each hour, and asks those that did not answer sooner.
func (a *App) keepDirectory(ctx context.Context, silent []string) error {
	turns := newTurns(time.Now())
	for {
		wait, all := turns.next(time.Now(), len(silent) > 0)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		if all {
			silent = a.tenants.ids()
		}
		if silent = a.readDirectory(ctx, silent); ctx.Err() != nil {
			return nil
		}
	}
}

// turns say when the directory is read.
type turns struct {
	whole time.Time     // when all of it is read next
	again time.Duration // how long to wait before those that did not answer are asked again
}

func newTurns(now time.Time) *turns { return &turns{whole: now.Add(directoryEvery), again: askAgain} }

// next is how long to wait, and whether all are asked then; silent says that some have not answered.
func (t *turns) next(now time.Time, silent bool) (wait time.Duration, all bool) {
	wait = max(t.whole.Sub(now), 0)
	if !silent {
		t.again = askAgain
	} else if t.again < wait {
		wait = t.again
		t.again *= 2
		return wait, false
	}
	t.whole = t.whole.Add(directoryEvery)
	if t.whole.Before(now) { // it took longer than that
		t.whole = now.Add(directoryEvery)
	}
	return wait, true
}
