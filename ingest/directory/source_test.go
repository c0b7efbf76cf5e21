package directory

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/internal/clock"
	"cordon/internal/record"
	"github.com/stretchr/testify/require"
)

func TestAFileIsReadOnceItIsComplete(t *testing.T) {
	r := newRoom(t)
	r.write("a.ndjson", signIn("a1"))
	require.NoError(t, r.source.pass(t.Context()))
	require.Empty(t, r.records(), "it may still be written")
	r.write("a.ndjson", signIn("a1")+signIn("a2"))
	require.NoError(t, r.source.pass(t.Context()))
	require.Empty(t, r.records(), "it grew")
	require.False(t, r.source.partition.At().CaughtUp)
	require.NoError(t, r.source.pass(t.Context()))
	require.Equal(t, []string{"a1", "a2"}, r.records())
	r.look()
	require.True(t, r.source.partition.At().CaughtUp)
	r.restart(clock.Wall{})
	r.look()
	require.Equal(t, []string{"a1", "a2"}, r.records(), "once")
	require.FileExists(t, filepath.Join(r.dir, "a.ndjson"))
	require.Empty(t, r.warnings())
}

func TestWhatIsNotYetAFileIsLeftAlone(t *testing.T) {
	r := newRoom(t)
	for _, name := range []string{".hidden", "b.part", "b.TMP"} {
		r.write(name, signIn("x"))
	}
	outside := filepath.Join(t.TempDir(), "outside.ndjson")
	require.NoError(t, os.WriteFile(outside, []byte(signIn("x")), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(r.dir, "link.ndjson")))
	require.NoError(t, os.Mkdir(filepath.Join(r.dir, "folder.ndjson"), 0o700))
	r.look()
	require.Empty(t, r.records())
	require.NoError(t, os.Rename(filepath.Join(r.dir, "b.part"), filepath.Join(r.dir, "b.ndjson")))
	r.look()
	require.Equal(t, []string{"x"}, r.records(), "renamed into place")
}

// interrupted is a clock that ends a context when it is asked for the n-th time: all that Cordon does asks it.
type interrupted struct {
	left int
	end  context.CancelFunc
}

func (c *interrupted) Now() time.Time {
	if c.left--; c.left == 0 {
		c.end()
	}
	return time.Now().UTC()
}

// However often and wherever Cordon is killed, each record lands once and in order, and so does each dead letter.
func TestEachRecordLandsOnceThoughCordonIsKilled(t *testing.T) {
	defer func(most int) { pageParts = most }(pageParts)
	pageParts = 40
	a, ids := many("a", 130)
	a = strings.Replace(a, signIn("a0077"), "{broken\n", 1)
	b, more := many("b", 50)
	want := append(slices.Delete(slices.Clone(ids), 77, 78), more...)
	for _, n := range []int{5, 6, 7, 10} {
		t.Run(fmt.Sprint("at ", n), func(t *testing.T) {
			r := newRoom(t)
			r.write("1.ndjson", a)
			r.write("2.ndjson", b)
			at := time.Now().Add(-time.Hour)
			require.NoError(t, os.Chtimes(filepath.Join(r.dir, "1.ndjson"), at, at))
			for range 6 {
				ctx, cancel := context.WithCancel(t.Context())
				r.restart(&interrupted{left: n, end: cancel})
				for ctx.Err() == nil && r.source.pass(ctx) == nil {
				}
				require.Error(t, ctx.Err(), "it was interrupted, and failed at nothing else")
				cancel()
			}
			r.restart(clock.Wall{})
			r.look()
			require.Equal(t, want, r.records())
			require.Len(t, r.letters(), 1)
			require.Contains(t, r.letters()[0], "1.ndjson, line 77: parsing JSON")
			require.EqualValues(t, 1, r.source.partition.At().Dead)
		})
	}
}

func TestContentIsWhatAFileIsKnownBy(t *testing.T) {
	r := newRoom(t)
	r.write("a.ndjson", signIn("a1"))
	r.look()
	r.write("b.ndjson", signIn("a1"))
	r.look()
	require.Equal(t, []string{"a1"}, r.records(), "the same content under another name")
	r.write("a.ndjson", signIn("c1"))
	r.look()
	require.Equal(t, []string{"a1", "c1"}, r.records(), "other content under the same name")
	require.NoError(t, os.Remove(filepath.Join(r.dir, "a.ndjson")))
	r.look()
	r.write("a.ndjson", signIn("c1"))
	r.restart(clock.Wall{})
	r.look()
	require.Equal(t, []string{"a1", "c1"}, r.records(), "the same again")
}

func TestAFileThatGrowsIsReadOn(t *testing.T) {
	r := newRoom(t)
	r.write("a.ndjson", signIn("a1")+signIn("a2"))
	r.look()
	r.write("a.ndjson", signIn("a1")+signIn("a2")+signIn("a2")+strings.TrimSpace(signIn("a3")))
	r.restart(clock.Wall{})
	r.look()
	require.Equal(t, []string{"a1", "a2", "a2", "a3"}, r.records())
	r.write("a.ndjson", signIn("a1")+signIn("a2")+signIn("a2")+signIn("a3")+signIn("a4"))
	r.look()
	require.Equal(t, []string{"a1", "a2", "a2", "a3", "a4"}, r.records(), "the last line had no end")
	require.Empty(t, r.warnings())

	// Where something could not be read, what was added may make it whole: all is read anew.
	whole := signIn("b2")
	r.write("b.ndjson", signIn("b1")+whole[:40])
	r.look()
	r.write("b.ndjson", signIn("b1")+whole)
	r.look()
	require.Equal(t, []string{"b1", "b1", "b2"}, r.records()[5:])
}

func TestAFileThatChangesWhileItIsReadIsReadAgain(t *testing.T) {
	defer func(most int) { pageParts = most }(pageParts)
	pageParts = 100
	r := newRoom(t)
	text, ids := many("a", 2000) // more than is read ahead
	r.write("a.ndjson", text)
	last := strings.Replace(text, "a1999", "b1999", 1)
	changed := false
	r.restart(clockFunc(func() time.Time {
		if got := r.source; got != nil && got.at.Current != nil && !changed {
			changed = true
			r.write("a.ndjson", last)
		}
		return time.Now().UTC()
	}))
	r.look()
	require.True(t, changed)
	require.Equal(t, []string{"a.ndjson: the file was changed while it was read: it will be read from its beginning"}, r.warnings())
	r.look()
	got := r.records()
	require.Equal(t, append(ids[:1999:1999], "b1999"), got[len(got)-2000:])
}

type clockFunc func() time.Time

func (f clockFunc) Now() time.Time { return f() }

func TestCompressedFilesAndCSV(t *testing.T) {
	r := newRoom(t)
	r.cfg.Tenants = []string{tenantID}
	r.restart(clock.Wall{})
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	text, ids := many("z", 1500)
	_, err := z.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	r.write("a.ndjson.gz", packed.String())
	r.look()
	require.Equal(t, ids, r.records())
	r.write("InteractiveSignIns.csv", "\ufeffDate (UTC),Request ID,User ID,Status\r\n2026-03-02T08:20:00Z,csv1,u,Success\r\n2026-03-02T08:20:00Z,csv2\r\n")
	r.look()
	require.Equal(t, append(ids, "csv1"), r.records())
	require.Equal(t, []string{"InteractiveSignIns.csv, line 2: reading the row: it has 2 fields, the header names 4"}, r.letters())
}

func TestUnreadablePartsAreDeadLetters(t *testing.T) {
	r := newRoom(t)
	r.cfg.Tenants = []string{tenantID}
	r.restart(clock.Wall{})
	r.write("a.ndjson", signIn("a1")+"noise\n"+strings.Replace(signIn("a2"), tenantID, "somebody-else", 1)+
		`{"time":"2026-03-02T08:10:00Z","category":"SignInLogs","pad":"`+strings.Repeat("x", record.MaxBytes)+"\"}\n"+
		`{"time":"2026-03-02T08:10:00Z","category":"SignInLogs","deep":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+"}\n"+signIn("a3"))
	r.look()
	require.Equal(t, []string{"a1", "a3"}, r.records())
	got := r.letters()
	require.Len(t, got, 4)
	require.Equal(t, "a.ndjson, line 1: a record is a JSON object", got[0])
	require.Contains(t, got[1], "not on this source's list")
	require.Contains(t, got[2], "at most 1048576 are stored")
	require.Contains(t, got[3], "parsing JSON")
	require.Empty(t, r.warnings())
}

func TestAFileThatBreaksOffIsToldOf(t *testing.T) {
	defer func(most int) { pageParts = most }(pageParts)
	pageParts = 100
	r := newRoom(t)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	text, ids := many("z", 4000)
	_, err := z.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	r.write("a.gz", packed.String()[:packed.Len()-100])
	r.look()
	got := r.records()
	require.NotEmpty(t, got)
	require.Equal(t, ids[:len(got)], got)
	require.Len(t, r.letters(), 1)
	require.Contains(t, r.letters()[0], "unexpected EOF")
	require.Len(t, r.warnings(), 1)
	r.look()
	require.Len(t, r.letters(), 1)
}

func TestWhatIsNoLogIsToldOfOnceAndLeft(t *testing.T) {
	r := newRoom(t)
	r.write("notes.txt", "milk\nbread\n")
	r.write("people.csv", "name,age,shoe size\nKim,33,40\n")
	r.write("package.json", `{"name":"x"}`)
	r.write("broken.gz", "\x1f\x8bnot really")
	r.write("empty.json", "")
	r.look()
	r.look()
	require.Empty(t, r.records())
	require.Empty(t, r.letters())
	got := r.warnings()
	slices.Sort(got)
	require.Len(t, got, 4)
	require.Contains(t, got[0], "broken.gz: the file is no log that Cordon reads: reading broken.gz: gzip")
	require.Contains(t, got[1], "notes.txt: the file is no log that Cordon reads: notes.txt, line 0: a record is a JSON object")
	require.Contains(t, got[2], "package.json: the file is no log that Cordon reads: no category")
	require.Contains(t, got[3], "people.csv: the file is no log that Cordon reads: reading people.csv: line 1: the columns")
	require.True(t, r.source.partition.At().CaughtUp, "it holds nothing up")
	r.write("notes.txt", signIn("a1"))
	r.look()
	require.Equal(t, []string{"a1"}, r.records(), "once it is a log it is read")
}

func TestFilesThatWereReadMoveWhereThatIsWanted(t *testing.T) {
	r := newRoom(t)
	r.cfg.Move = true
	r.restart(clock.Wall{})
	r.write("a.ndjson", signIn("a1"))
	r.look()
	r.restart(clock.Wall{}) // killed between the checkpoint and the move
	r.look()
	require.NoFileExists(t, filepath.Join(r.dir, "a.ndjson"))
	require.FileExists(t, filepath.Join(r.dir, "done", "a.ndjson"))
	r.write("a.ndjson", signIn("a2"))
	r.write("b.ndjson", signIn("a1"))
	r.look()
	r.look()
	require.Equal(t, []string{"a1", "a2"}, r.records())
	left, err := filepath.Glob(filepath.Join(r.dir, "done", "*"))
	require.NoError(t, err)
	require.Len(t, left, 3)
	require.Empty(t, r.warnings())
}

func TestTheCheckpointStaysSmall(t *testing.T) {
	defer func(kept, most int) { keptDone, mostDone = kept, most }(keptDone, mostDone)
	keptDone, mostDone = 3, 6
	r := newRoom(t)
	for i := range 8 {
		name := fmt.Sprintf("%d.ndjson", i)
		r.write(name, signIn(name))
		r.look()
		require.NoError(t, os.Remove(filepath.Join(r.dir, name)))
	}
	require.Len(t, r.source.at.Done, 4)
	for i := range 2 {
		name := fmt.Sprintf("stays%d.ndjson", i)
		r.write(name, signIn(name))
		r.look()
	}
	require.Len(t, r.source.at.Done, 5)
	data, err := json.Marshal(r.source.at)
	require.NoError(t, err)
	require.Less(t, len(data), 1500)
	r.write("stays2.ndjson", signIn("s2"))
	r.look()
	r.write("stays3.ndjson", signIn("s3"))
	require.NoError(t, r.source.pass(t.Context()))
	require.ErrorContains(t, r.source.pass(t.Context()), "no more are taken until some are moved away")
}

func TestRunWatchesUntilItsContextEnds(t *testing.T) {
	r := newRoom(t)
	r.cfg.Every = 10 * time.Millisecond
	r.cfg.Path = filepath.Join(r.dir, "later")
	r.restart(clock.Wall{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.source.Run(ctx) }()
	require.Eventually(t, func() bool { return len(r.warnings()) == 1 }, 10*time.Second, 5*time.Millisecond)
	require.Contains(t, r.warnings()[0], "opening the folder")
	require.NoError(t, os.Mkdir(r.cfg.Path, 0o700))
	r.write(filepath.Join("later", "a.ndjson"), signIn("a1"))
	require.Eventually(t, func() bool { return len(r.records()) == 1 }, 10*time.Second, 10*time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
	require.Len(t, r.warnings(), 1)
}
