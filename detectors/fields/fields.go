// Package fields knows what the field names of Sigma rules mean in a record: by log source, each name is a path, a
// decoded fact or a translation. The table is data (fields.yml), which a folder of rules may add to.
package fields

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"cordon/internal/record"
)

// Reader reads one field of a record: made once for a rule's field, called for each record. It adds the field's values
// to what it is given.
type Reader = record.Reader

// Row is one line of the table.
type Row struct {
	Field string   // as rules write it; case does not matter
	Path  []string // of which the first that is there counts
	Fact  string   // a decoded fact or a translation
	Holds string   // the kind of value, by which detectors/check knows what can never stand there
	Why   string
	File  string
	Line  int
}

// Meaning is what a name stands for in the records of a log source.
type Meaning struct {
	Row   Row // as it stands in the table; without Why where the name needs no row
	Read  Reader
	Bears func(*record.Record) bool // whether the record has the member, be it empty or null; nil for facts, which have none
	Known bool                      // the table has it, or it is a decoded fact, or a documented member of the records
	// Key is the same for two names, of whatever log source, that are read in the same way: what one read the other
	// need not.
	Key string
}

// Table is the meaning of names by log source. It does not change once it is made.
type Table struct{ sources map[string]source }

type source struct {
	rows       map[string]Row
	order      []string
	documented map[string]bool
}

// Name is what the table calls a log source: its service, or category where there is none, but for those whose records are
// of one layout, such as all sign-ins and all of the unified audit log. It is "" for a source that is a whole product.
func Name(product, service, category string) string {
	if product == "m365" {
		return "m365"
	}
	name := strings.ToLower(cmp.Or(service, category))
	for table, services := range layouts {
		if slices.Contains(services, name) {
			return table
		}
	}
	return name
}

// layouts are the log sources, by the table's, that have no part of their own in it.
var layouts = map[string][]string{
	"signinlogs":    {"noninteractiveusersigninlogs", "serviceprincipalsigninlogs", "managedidentitysigninlogs", "microsoftserviceprincipalsigninlogs", "adfssigninlogs"},
	"riskdetection": {"userriskevents", "riskyusers", "serviceprincipalriskevents", "riskyserviceprincipals"},
	"activitylogs":  {"administrative", "security", "policy"},
	"auditlogs":     {"customsecurityattributeauditlogs"},
	"m365":          {"enrichedoffice365auditlogs"},
}

// Sources are the log sources of the table, in order.
func (t *Table) Sources() (names []string) {
	for name := range t.sources {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Rows are the lines of one log source, as the files have them.
func (t *Table) Rows(source string) (rows []Row) {
	s := t.sources[source]
	for _, name := range s.order {
		rows = append(rows, s.rows[name])
	}
	return rows
}

// Resolve says what a name means in a log source. A name that the table does not have is a decoded fact, else a path.
func (t *Table) Resolve(source, name string) Meaning {
	s, key := t.sources[source], strings.ToLower(name)
	if row, ok := s.rows[key]; ok {
		return row.meaning()
	}
	if read, ok := record.Fact(name); ok {
		return Meaning{Row: Row{Field: name, Fact: name}, Read: read, Known: true, Key: factKey(name)}
	}
	bare := strings.TrimPrefix(key, "properties.")
	m := Row{Field: name, Path: []string{name}}.meaning()
	m.Known = s.documented[key] || s.documented[bare]
	return m
}

// Names are all names that a log source knows, for a suggestion where one is misspelt.
func (t *Table) Names(source string) (names []string) {
	s := t.sources[source]
	for _, row := range s.rows {
		names = append(names, row.Field)
	}
	for name := range s.documented {
		if _, taken := s.rows[name]; !taken {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return append(names, record.FactNames()...)
}

// meaning is what the row says.
func (r Row) meaning() Meaning {
	m := Meaning{Row: r, Known: true}
	if r.Fact != "" {
		name := strings.ToLower(r.Fact)
		if read, ok := translations[name]; ok {
			m.Read, m.Key = read, "translation "+name
			return m
		}
		m.Read, _ = record.Fact(r.Fact) // parsing has made sure that it is there
		m.Key = factKey(r.Fact)
		return m
	}
	m.Read, m.Bears, m.Key = firstOf(r.Path), anyOf(r.Path), pathKey(r.Path)
	return m
}

func anyOf(paths []string) func(*record.Record) bool {
	var bears []func(*record.Record) bool
	for _, p := range paths {
		bears = append(bears, record.Bears(p))
	}
	return func(rec *record.Record) bool {
		return slices.ContainsFunc(bears, func(has func(*record.Record) bool) bool { return has(rec) })
	}
}

// firstOf is the reader of the first path that says something.
func firstOf(paths []string) Reader {
	if len(paths) == 1 {
		return record.Path(paths[0])
	}
	var readers []Reader
	for _, p := range paths {
		readers = append(readers, record.Path(p))
	}
	return func(rec *record.Record, out []string) []string {
		from := len(out)
		for _, read := range readers {
			out = read(rec, out)
			for _, s := range out[from:] {
				if s != "" {
					return out
				}
			}
			out = out[:from]
		}
		return out
	}
}

func factKey(name string) string { return "fact " + strings.ToLower(name) }

// pathKey is the paths, quoted, so that none can pass for two. Members are found whatever their case in ASCII.
func pathKey(paths []string) string {
	key := []byte("path")
	for _, p := range paths {
		key = strconv.AppendQuote(append(key, ' '), strings.Map(func(c rune) rune {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			return c
		}, p))
	}
	return string(key)
}
