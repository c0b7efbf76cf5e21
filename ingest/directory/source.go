// Package directory watches a folder for exported files and stores their records, each once. It is a source of
// ingest for what no hub and no API carries: an export put there by a person, or by a job that copies.
//
// A file is known by the digest of its content. The same content again, under whatever name, is nothing new; other
// content under a known name is a new file; and a file to which lines were added since is read on from where it
// ended. How far the file in hand has been read stands in the one checkpoint of the folder, with the records: where
// Cordon is killed it goes on behind the last record stored. Only a file whose content is changed while it is read
// brings a record twice, under the same id, which detectors count once.
package directory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"cordon/ingest"
	"cordon/internal/bus"
	"cordon/internal/clock"
	"go.uber.org/zap"
)

// Config names one folder.
type Config struct {
	Path    string
	Tenants []string      // whose records may come from here; a single one is also that of records that name none
	Every   time.Duration // between two looks; 5 seconds where 0. A file that has not changed between two is complete
	// Move has files that were read moved to the sub-folder "done"; else they stay.
	Move bool
}

const (
	everyDefault = 5 * time.Second
	partition    = "files"
	doneFolder   = "done"
)

// Name is what the source is called in checkpoints.
func (c Config) Name() string { return "directory/" + c.Path }

// Source watches one folder.
type Source struct {
	cfg   Config
	bus   *bus.Bus
	clock clock.Clock
	log   *zap.Logger

	// What is known of the folder since the start; what has to outlive it stands in the checkpoint.
	partition *ingest.Partition
	at        cursor
	seen      map[string]look   // by the last look
	known     map[string]look   // read before under another name, empty, or no log: not to be read again as they are
	told      map[string]string // what was last reported of a file, or of the folder
}

// look is a file as it lay in the folder.
type look struct {
	size     int64
	modified int64 // nanoseconds since 1970
}

func lookOf(info fs.FileInfo) look { return look{info.Size(), info.ModTime().UnixNano()} }

// New returns a source; Run reads it.
func New(cfg Config, b *bus.Bus, c clock.Clock, log *zap.Logger) *Source {
	if cfg.Every <= 0 {
		cfg.Every = everyDefault
	}
	return &Source{cfg: cfg, bus: b, clock: c, log: log.With(zap.String("source", cfg.Name())),
		seen: map[string]look{}, known: map[string]look{}, told: map[string]string{}}
}

// Run watches until ctx ends. What fails is tried again at the next look.
func (s *Source) Run(ctx context.Context) error {
	for {
		err := s.pass(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			s.partition = nil // what has been stored is read again
			s.tell("", "watching the folder; trying again: "+err.Error())
		} else {
			delete(s.told, "")
		}
		wait := time.NewTimer(s.cfg.Every)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return nil
		}
	}
}

// tell reports something of a file once, until something else is to be told of it.
func (s *Source) tell(name, what string) {
	if s.told[name] == what {
		return
	}
	s.told[name] = what
	s.log.Warn(what, zap.String("file", name))
}

// pass looks at the folder once, and reads what is complete.
func (s *Source) pass(ctx context.Context) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	now := s.clock.Now()
	root, err := os.OpenRoot(s.cfg.Path) // no link leads out of the folder
	if err != nil {
		return fmt.Errorf("opening the folder: %w", err)
	}
	defer root.Close()
	files, err := list(root)
	if err != nil {
		return err
	}
	present := map[string]look{}
	for _, f := range files {
		present[f.name] = f.look
	}
	whole := true
	for _, f := range files {
		if s.known[f.name] == f.look {
			continue
		}
		if done, ok := s.at.done(f.name, f.look); ok {
			if s.cfg.Move {
				s.move(root, done)
			}
			continue
		}
		whole = false
		if s.seen[f.name] != f.look {
			continue // still being written, or new
		}
		if err := s.file(ctx, root, f.name, f.look, present); err != nil {
			s.seen = present
			return err
		}
	}
	s.seen = present
	for _, memory := range []func(string){
		func(name string) { delete(s.known, name) },
		func(name string) { delete(s.told, name) },
	} {
		for _, name := range s.forgotten(present) {
			memory(name)
		}
	}
	if !whole {
		return nil
	}
	return s.partition.Idle(ctx, now)
}

// forgotten are the names that are no longer in the folder.
func (s *Source) forgotten(present map[string]look) (names []string) {
	for name := range s.known {
		if _, there := present[name]; !there {
			names = append(names, name)
		}
	}
	for name := range s.told {
		if _, there := present[name]; !there && name != "" {
			names = append(names, name)
		}
	}
	return names
}

func (s *Source) open(ctx context.Context) error {
	if s.partition != nil {
		return nil
	}
	p, _, err := ingest.Open(ctx, s.bus, ingest.Source{Name: s.cfg.Name(), Tenants: s.cfg.Tenants, Clock: s.clock}, partition)
	if err != nil {
		return err
	}
	var at cursor
	if err := p.Cursor(&at); err != nil {
		return err
	}
	s.partition, s.at = p, at
	return nil
}

type listed struct {
	name string
	look look
}

// list are the files that may be read, the oldest first.
func list(root *os.Root) ([]listed, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("opening the folder: %w", err)
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return nil, fmt.Errorf("listing the folder: %w", err)
	}
	var files []listed
	for _, e := range entries {
		if lower := strings.ToLower(e.Name()); !e.Type().IsRegular() || lower[0] == '.' || strings.HasSuffix(lower, ".part") || strings.HasSuffix(lower, ".tmp") {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("listing the folder: %w", err)
		}
		files = append(files, listed{e.Name(), lookOf(info)})
	}
	slices.SortFunc(files, func(a, b listed) int {
		if a.look.modified != b.look.modified {
			return int(min(1, max(-1, a.look.modified-b.look.modified)))
		}
		return strings.Compare(a.name, b.name)
	})
	return files, nil
}

// move puts a file that was read into the sub-folder, unless another has taken its place meanwhile.
func (s *Source) move(root *os.Root, f file) {
	err := root.MkdirAll(doneFolder, 0o750)
	to := doneFolder + "/" + f.Name
	if err == nil {
		if _, there := root.Lstat(to); there == nil {
			to += "." + f.Digest[:8]
		}
		err = root.Rename(f.Name, to)
	}
	if err == nil {
		var info fs.FileInfo
		if info, err = root.Lstat(to); err == nil && lookOf(info) != f.look() {
			err = root.Rename(to, f.Name) // it was another one: it has not been read
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.tell(f.Name, "moving a file that was read: "+err.Error())
	}
}
