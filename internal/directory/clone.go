package directory

import (
	"maps"
	"slices"
)

// Clone is a directory that knows what this one knows now. What either learns later is its own: records that are
// looked at again, for a trial, teach the one that others ask nothing.
func (d *Directory) Clone() *Directory {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := New()
	for id, t := range d.tenants {
		c := &tenant{read: t.read, partly: t.partly, holders: maps.Clone(t.holders), groups: maps.Clone(t.groups), changes: make(map[string][]change, len(t.changes))}
		for key, changes := range t.changes {
			c.changes[key] = slices.Clone(changes)
		}
		out.tenants[id] = c
	}
	return out
}
