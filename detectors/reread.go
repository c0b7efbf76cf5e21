package detectors

import (
	"time"

	"cordon/internal/directory"
	"cordon/internal/finding"
	"cordon/internal/record"
)

// Reread is the room without its streams: it looks at what LOGS holds again, with any number of engines side by side, as
// the room looked at it when it came. It publishes nothing. Like an engine it belongs to one goroutine.
//
// Of the checkpoints that moved the watermarks at the time LOGS keeps the last alone. So a record says in their place how
// far its partition had been read by then, and of one that brought nothing for an hour it is taken that there was nothing.
type Reread struct {
	engines    []*Engine
	directory  *directory.Directory
	footprints footprints
	watermarks *watermarks
	told       func(engine int, found []finding.Finding)

	brought map[[2]string]time.Time // by source and partition: when LOGS last took a record from it
	settled time.Time               // as LOGS stamps its messages
	cleared time.Time
	since   int // records since the last flush
}

const (
	readerLags  = time.Hour       // what a partition's records may leave open about how far it had been read
	settleEvery = 5 * time.Minute // of the time in which LOGS was written
	together    = 10 * burst      // records between two flushes: nobody waits for the findings
)

// NewReread has engines look at records again. They share a directory, which learns from the records: give it a clone of
// the one that others ask. own are the application ids under which Cordon changes tenants; told gets what an engine finds.
func NewReread(d *directory.Directory, own []string, l record.Lateness, told func(engine int, found []finding.Finding), engines ...*Engine) *Reread {
	return &Reread{engines: engines, directory: d, footprints: footprints{own: own}, watermarks: newWatermarks(l), told: told, brought: map[[2]string]time.Time{}}
}

// Back is how far before a time records are needed for the findings of that time: a slot's first window opens two
// timespans before the slot ends.
func (r *Reread) Back() time.Duration {
	reach := time.Duration(0)
	for _, e := range r.engines {
		reach = max(reach, e.Reach())
	}
	return 2 * reach
}

// Record looks at a record that reached its source at one time, and LOGS at another.
func (r *Reread) Record(rec *record.Record, at record.Position, enqueued, stored time.Time) {
	r.read(rec, at, enqueued, stored)
	if r.footprints.isOwn(rec) {
		r.directory.Observe(rec) // whether Cordon made the change is the footprint's question, and no rule's
		return
	}
	for i, e := range r.engines {
		if found := e.Process(rec, at.String()); len(found) > 0 {
			r.told(i, found)
		}
	}
	if r.since++; r.since >= together {
		r.flush()
	}
	if stored.Sub(r.settled) >= settleEvery {
		r.settled = stored
		r.silent(stored)
		r.Settle()
	}
}

// Learn takes from a record what it says of principals, and nothing else.
func (r *Reread) Learn(rec *record.Record) { r.directory.Observe(rec) }

// read moves the watermark of a record's partition.
func (r *Reread) read(rec *record.Record, at record.Position, enqueued, stored time.Time) {
	r.brought[[2]string{at.Source, at.Partition}] = stored
	seen := r.watermarks.seen[at.Source][at.Partition]
	if enqueued = enqueued.Add(-readerLags); enqueued.After(seen) {
		seen = enqueued
	}
	r.watermarks.take(record.Checkpoint{Source: at.Source, Partition: at.Partition, Seen: seen, Carried: []record.Carried{{Tenant: rec.Tenant, Category: rec.Category}}})
}

// silent takes the partitions that brought nothing for long as read.
func (r *Reread) silent(now time.Time) {
	for key, stored := range r.brought {
		since := now.Add(-readerLags)
		if stored.Before(since) && r.watermarks.seen[key[0]][key[1]].Before(since) {
			r.watermarks.seen[key[0]][key[1]] = since
		}
	}
}

// Checkpoint takes what a checkpoint says.
func (r *Reread) Checkpoint(cp record.Checkpoint) { r.watermarks.take(cp) }

// Settle confirms what the watermarks have passed, and forgets what lies far behind them.
func (r *Reread) Settle() {
	for i, e := range r.engines {
		r.told(i, e.SettleEach(r.watermarks.of))
	}
	r.flush()
	if behind := r.watermarks.behind(); behind.Sub(r.cleared) > time.Hour {
		for _, e := range r.engines {
			e.pass(behind, r.watermarks.lateness)
		}
		r.cleared = behind
	}
}

// End settles all: it is the end of input, and nothing can come any more.
func (r *Reread) End() {
	for i, e := range r.engines {
		r.told(i, e.Settle(time.Time{}))
	}
	for i, e := range r.engines {
		r.told(i, e.FlushAll())
	}
}

func (r *Reread) flush() {
	r.since = 0
	for i, e := range r.engines {
		r.told(i, e.Flush())
	}
}

// FromRules says whether a finding comes from a rule; Cordon's other detectors look at more than records.
func FromRules(f finding.Finding) bool { return f.Rule != unexplainedRule }
