package directory

import "slices"

// cursor is what the checkpoint says of the folder.
type cursor struct {
	// Current is the file in hand.
	Current *file `json:"current,omitempty"`
	// Done are the files that were read to their end, the newest last.
	Done []file `json:"done,omitempty"`
}

// file is one content of one name.
type file struct {
	Name     string `json:"name"`
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"`
	Digest   string `json:"sha256"`
	// Parts are the records and unreadable parts at the file's beginning that have been stored.
	Parts int64 `json:"parts"`
	// Last is the digest of the part behind those, which has been stored as well if it is still the same: the last
	// one of a file to which something has been added since. In a finished file it is counted in Parts.
	Last string `json:"last,omitempty"`
	// Bad says that a part could not be read. What is added to the file may complete it, and change how it falls
	// into parts.
	Bad bool `json:"bad,omitempty"`
}

func (f file) look() look { return look{f.Size, f.Modified} }

// A finished file is remembered as long as it lies in the folder, and then until so many others have followed. More
// than mostDone in the folder are not kept: the checkpoint is written with each batch. Tests lower them.
var (
	keptDone = 500
	mostDone = 5000
)

// done finds a file that was read and has not been touched since.
func (c cursor) done(name string, l look) (file, bool) {
	for _, f := range c.Done {
		if f.Name == name && f.look() == l {
			return f, true
		}
	}
	return file{}, false
}

// same finds a finished file of the same content.
func (c cursor) same(size int64, digest string) (file, bool) {
	for _, f := range c.Done {
		if f.Size == size && f.Digest == digest {
			return f, true
		}
	}
	return file{}, false
}

// shorter are the finished contents of a name that a longer one may begin with, the longest first.
func (c cursor) shorter(name string, size int64) []file {
	var out []file
	for _, f := range c.Done {
		if f.Name == name && f.Size < size && f.Parts > 0 && !f.Bad {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b file) int { return int(min(1, max(-1, b.Size-a.Size))) })
	return out
}

// finish is the cursor behind a file, without what need not be remembered any more.
func (c cursor) finish(f file, present map[string]look) cursor {
	out := cursor{}
	var others []file
	for _, old := range c.Done {
		if l, there := present[old.Name]; there && l == old.look() {
			out.Done = append(out.Done, old)
		} else {
			others = append(others, old)
		}
	}
	others = others[max(0, len(others)-keptDone):]
	out.Done = append(append(others, out.Done...), f)
	return out
}
