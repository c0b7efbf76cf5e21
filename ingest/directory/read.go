package directory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"syscall"

	"cordon/ingest"
	"cordon/ingest/export"
	"cordon/internal/record"
	"go.uber.org/zap"
)

// What is handed on at once, at most. Tests lower pageParts.
var pageParts = 900

const pageBytes = 4 << 20

// file reads one complete file to its end. An error is one of the folder or of the store; what is wrong with the
// file itself is told and leaves nothing to be done.
func (s *Source) file(ctx context.Context, root *os.Root, name string, at look, present map[string]look) error {
	if len(s.at.Done) >= mostDone {
		return fmt.Errorf("reading %s: the folder holds %d files that were read, no more are taken until some are moved away", name, len(s.at.Done))
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe in its place would never open
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		s.tell(name, "opening the file: "+err.Error())
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	if !info.Mode().IsRegular() || lookOf(info) != at {
		return nil // changed since: the next look will tell
	}
	if at.size == 0 {
		s.known[name] = at
		return nil
	}
	begin, err := s.identify(ctx, f, name, at, present)
	if err != nil || begin == nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	r := &reading{s: s, ctx: ctx, file: *begin, present: present, skip: begin.Parts,
		stored: s.at.Current != nil && *s.at.Current == *begin}
	return r.run(f)
}

// identify finds out what a file is: nil where its content has been read before, else where in it to begin.
func (s *Source) identify(ctx context.Context, f io.Reader, name string, at look, present map[string]look) (*file, error) {
	shorter := s.at.shorter(name, at.size)
	sum := sha256.New()
	var grown *file
	in := &source{ctx: ctx, r: io.LimitReader(f, at.size)}
	read := int64(0)
	for i := len(shorter) - 1; i >= 0; i-- { // the shortest first, for the digest only grows
		n, err := io.CopyN(sum, in, shorter[i].Size-read)
		read += n
		if err != nil {
			return nil, in.failed(name)
		}
		if digestOf(sum) == shorter[i].Digest {
			grown = &shorter[i]
		}
	}
	n, err := io.Copy(sum, in)
	if err != nil || read+n != at.size {
		return nil, in.failed(name) // shorter than it was: the next look will tell
	}
	digest := digestOf(sum)
	if c := s.at.Current; c != nil && c.Digest == digest && c.Size == at.size && c.Name == name && c.Modified == at.modified {
		return c, nil
	}
	if old, ok := s.at.same(at.size, digest); ok {
		s.known[name] = at
		s.log.Info("a file has the content of one that was read before", zap.String("file", name), zap.String("before", old.Name))
		if !s.cfg.Move {
			return nil, nil
		}
		renamed := old
		renamed.Name, renamed.Modified = name, at.modified
		delete(s.known, name)
		return nil, s.store(ctx, nil, func(int) cursor { return s.at.finish(renamed, present) })
	}
	begin := &file{Name: name, Size: at.size, Modified: at.modified, Digest: digest}
	if grown != nil {
		begin.Parts, begin.Last = grown.Parts-1, grown.Last
	}
	return begin, nil
}

func digestOf(sum hash.Hash) string { return hex.EncodeToString(sum.Sum(nil)) }

// store stores parts and the cursor behind them, and keeps the cursor.
func (s *Source) store(ctx context.Context, parts []ingest.Part, behind func(taken int) cursor) error {
	var last cursor
	err := s.partition.StoreParts(ctx, parts, func(taken int) any {
		last = behind(taken)
		return last
	})
	if err == nil {
		s.at = last
	}
	return err
}

// source is a file's bytes until ctx ends. It keeps the disk's error, which is no fault of the content.
type source struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		s.err = err
		return 0, err
	}
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

func (s *source) failed(name string) error {
	if s.err != nil {
		return fmt.Errorf("reading %s: %w", name, s.err)
	}
	return nil
}

// reading is one file on its way into LOGS.
type reading struct {
	s       *Source
	ctx     context.Context
	file    file // as the checkpoint has it, but for what waits
	present map[string]look
	stored  bool  // the checkpoint names the file already
	skip    int64 // parts that were stored before
	seen    int64 // parts read
	bad     bool
	last    string // digest of the part read last

	parts []ingest.Part // what waits
	bytes int
}

var (
	errStore = errors.New("storing")
	errNoLog = errors.New("no log")
)

func (r *reading) run(f io.Reader) error {
	sum := sha256.New()
	in := &source{ctx: r.ctx, r: io.LimitReader(f, r.file.Size)}
	all := io.TeeReader(in, sum)
	err := export.ReadFrom(r.file.Name, all, r.take)
	if errors.Is(err, errStore) {
		return err
	}
	if _, drained := io.Copy(io.Discard, all); drained != nil || in.err != nil {
		return errors.Join(in.failed(r.file.Name), drained)
	}
	if digestOf(sum) != r.file.Digest {
		r.s.tell(r.file.Name, "the file was changed while it was read: it will be read from its beginning")
		return nil
	}
	if errors.Is(err, errNoLog) || err != nil && r.seen == 0 {
		return r.refuse(err)
	}
	if !r.stored && r.skip == 0 {
		if reason := r.noLog(); reason != nil {
			return r.refuse(reason)
		}
	}
	if err != nil {
		r.bad = true
		r.parts = append(r.parts, ingest.Part{Err: fmt.Errorf("%w: behind part %d nothing could be read", err, r.seen)})
		r.s.tell(r.file.Name, "the rest of the file could not be read: "+err.Error())
	}
	return r.flush(true)
}

// refuse leaves a file that is no log where it is, until it changes or Cordon starts anew.
func (r *reading) refuse(reason error) error {
	r.s.known[r.file.Name] = r.file.look()
	r.s.tell(r.file.Name, "the file is no log that Cordon reads: "+reason.Error())
	return nil
}

// take is given each part of the file in turn.
func (r *reading) take(it export.Item) error {
	at := r.seen
	r.seen++
	r.bad = r.bad || it.Err != nil
	sum := sha256.Sum256(it.Raw)
	r.last = hex.EncodeToString(sum[:8])
	if at < r.skip {
		return nil
	}
	same := r.last == r.file.Last
	r.file.Last = ""
	if same {
		r.skip++
		r.file.Parts++
		return nil
	}
	if len(r.parts) >= pageParts || r.bytes+len(it.Raw) > pageBytes && len(r.parts) > 0 {
		if !r.stored && r.skip == 0 {
			if reason := r.noLog(); reason != nil {
				return fmt.Errorf("%w: %w", errNoLog, reason)
			}
		}
		if err := r.flush(false); err != nil {
			return fmt.Errorf("%w records of %s: %w", errStore, it.File, err)
		}
	}
	part := ingest.Part{Raw: it.Raw}
	if it.Err != nil {
		part.Err = fmt.Errorf("%s, line %d: %w", it.File, it.Line, it.Err)
	}
	r.parts = append(r.parts, part)
	r.bytes += len(it.Raw)
	return nil
}

// noLog says why a file whose first parts wait is no log: not one of them is a record.
func (r *reading) noLog() (reason error) {
	defaults := record.Defaults{Enqueued: r.s.clock.Now()}
	if len(r.s.cfg.Tenants) == 1 {
		defaults.Tenant = r.s.cfg.Tenants[0]
	}
	for _, part := range r.parts {
		err := part.Err
		if err == nil {
			_, err = record.Decode(part.Raw, defaults)
		}
		if err == nil {
			return nil
		}
		if reason == nil {
			reason = err
		}
	}
	return reason
}

// flush stores what waits; at the end of the file its being done with it.
func (r *reading) flush(end bool) error {
	if !r.stored {
		// In a batch of its own: a file given up before may have left dead letters at the next number.
		begun := r.file
		if err := r.s.store(r.ctx, nil, func(int) cursor { return cursor{Current: &begun, Done: r.s.at.Done} }); err != nil {
			return err
		}
		r.stored = true
	}
	before, waiting := r.s.at.Done, len(r.parts)
	err := r.s.store(r.ctx, r.parts, func(taken int) cursor {
		f := r.file
		f.Parts += int64(taken)
		if end && taken == waiting {
			f.Parts, f.Last, f.Bad = r.seen, r.last, r.bad
			return cursor{Done: before}.finish(f, r.present)
		}
		return cursor{Current: &f, Done: before}
	})
	if err != nil {
		return err
	}
	r.file.Parts += int64(waiting)
	r.parts, r.bytes = nil, 0
	if end {
		r.s.log.Info("a file was read", zap.String("file", r.file.Name), zap.Int64("parts", r.seen))
	}
	return nil
}
