package export

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"cordon/internal/record"
)

// The portals' CSV. Microsoft documents that they can be downloaded
// (https://learn.microsoft.com/entra/identity/monitoring-health/howto-download-logs), not their columns: those are
// known from public scripts that read or imitate them, and so are confirmed by use alone. Names are compared by
// letters and digits: the portal writes "Application ID " and "Autonomous system  number", and "Incoming token type"
// twice. A column that nobody knows is kept under its own name.

// table is a CSV export whose header has been recognised.
type table struct {
	file    string
	comma   rune
	columns []column
	record  func(row) ([]byte, error)
}

// column is one column of a header: its name as written, and that by which it is known.
type column struct{ name, key string }

// row is one row's cells that are not empty, by their column.
type row []cell

type cell struct {
	column
	text string
}

// get is the first cell of one of these columns.
func (r row) get(keys ...string) string {
	for _, key := range keys {
		for _, c := range r {
			if c.key == key {
				return c.text
			}
		}
	}
	return ""
}

// keyOf is what a column is known by, however it is spelt.
func keyOf(name string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return unicode.ToLower(c)
		}
		return -1
	}, name)
}

// form is one kind of CSV export, and the columns without which it is none: one of each list.
type form struct {
	name    string
	needs   [][]string
	convert func(file string, columns []column) func(row) ([]byte, error)
}

var forms = []form{
	{"Purview's audit search or Search-UnifiedAuditLog (AuditData and RecordType)",
		[][]string{{"auditdata"}, {"recordtype", "operation", "operations", "creationdate"}}, unifiedRows},
	{"Entra's sign-in logs (Date (UTC), Request ID, User ID or Username, …)",
		[][]string{{"dateutc", "date"}, {"requestid", "signinerrorcode"}, {"userid", "username", "serviceprincipalid"}}, signInRows},
	{"Entra's audit logs (Date (UTC), Service, Category, Activity, …)",
		[][]string{{"dateutc", "date"}, {"activity"}, {"service", "category"}}, auditRows},
}

// tableOf recognises a header. Neither table nor error: the line is no header at all.
func tableOf(file string, header []byte) (*table, error) {
	most := 0
	for _, comma := range []rune{',', ';', '\t'} {
		names, err := split(header, comma)
		if err != nil {
			continue
		}
		columns := make([]column, 0, len(names))
		has := map[string]bool{}
		for _, name := range names {
			name = strings.TrimSpace(name)
			columns = append(columns, column{name, keyOf(name)})
			has[keyOf(name)] = true
		}
		most = max(most, len(columns))
		for _, f := range forms {
			if !slices.ContainsFunc(f.needs, func(any []string) bool {
				return !slices.ContainsFunc(any, func(key string) bool { return has[key] })
			}) {
				return &table{file: file, comma: comma, columns: columns, record: f.convert(file, columns)}, nil
			}
		}
	}
	name := strings.TrimSuffix(strings.ToLower(filepath.Base(file)), ".gz")
	directive := bytes.HasPrefix(header, []byte("#TYPE ")) || bytes.HasPrefix(bytes.ToLower(header), []byte("sep="))
	if directive {
		return &table{file: file}, nil // its header is the next line
	}
	if !strings.HasSuffix(name, ".csv") && (most < 3 || bytes.ContainsAny(header, "{}")) {
		return nil, nil
	}
	expected := make([]string, 0, len(forms))
	for _, f := range forms {
		expected = append(expected, f.name)
	}
	return nil, fmt.Errorf("the columns %q are those of no export that is known; expected are those of %s", clip(string(header)), strings.Join(expected, ", or of "))
}

func clip(s string) string {
	if len(s) > 200 {
		return strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}

func split(text []byte, comma rune) ([]string, error) {
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma, r.FieldsPerRecord = comma, -1
	fields, err := r.Read()
	if err != nil {
		return nil, err
	}
	if _, err := r.Read(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one row")
	}
	return fields, nil
}

// read visits each row behind the header, which stands on line n.
func (t *table) read(r *bufio.Reader, n int, header []byte, err error, visit func(Item) error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	rows := &rows{r: r, n: n + 1}
	if t.columns == nil { // a line for Excel or PowerShell stood before the header
		_, text, ok, err := rows.next()
		if err != nil || !ok {
			return err
		}
		named, err := tableOf(t.file, bytes.TrimSpace(text))
		if err != nil {
			return fmt.Errorf("line %d: %w", n+2, err)
		}
		if named == nil || named.columns == nil {
			return fmt.Errorf("line %d: the header of a CSV export was expected", n+2)
		}
		t = named
	}
	for {
		at, text, ok, err := rows.next()
		if err != nil || !ok {
			return err
		}
		it := Item{File: t.file, Line: at, Raw: text}
		if rows.reason != nil {
			it.Err = rows.reason
		} else if fields, err := split(text, t.comma); err != nil {
			it.Raw, it.Err = rows.giveBack(), fmt.Errorf("reading the row: %w", parseReason(err))
		} else if it.Raw, err = t.row(fields); err != nil {
			it.Raw, it.Err = text, err
		}
		if err := visit(it); err != nil {
			return err
		}
	}
}

// parseReason leaves out the line that encoding/csv counts: it sees one row alone.
func parseReason(err error) error {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return parse.Err
	}
	return err
}

func (t *table) row(fields []string) ([]byte, error) {
	for len(fields) > len(t.columns) && strings.TrimSpace(fields[len(fields)-1]) == "" {
		fields = fields[:len(fields)-1]
	}
	if len(fields) != len(t.columns) {
		return nil, fmt.Errorf("reading the row: it has %d fields, the header names %d", len(fields), len(t.columns))
	}
	cells := make(row, 0, len(fields))
	for i, text := range fields {
		if text = strings.TrimSpace(text); text != "" {
			cells = append(cells, cell{t.columns[i], text})
		}
	}
	return t.record(cells)
}

// timeOf reads the times of CSV exports: those that Azure writes, and those of the portal's and Excel's US form. They
// are UTC, as the header says.
func timeOf(s string) (time.Time, bool) {
	s = strings.NewReplacer("\u202f", " ", "\u00a0", " ", ", ", " ").Replace(s)
	if t, ok := record.ParseTime(s); ok {
		return t, true
	}
	for _, layout := range []string{"1/2/2006 3:04 PM", "1/2/2006 15:04", "2006-01-02 15:04"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// unifiedRows reads the CSV of Purview's audit search and of Search-UnifiedAuditLog: the record is in AuditData.
// https://learn.microsoft.com/purview/audit-log-export-records
func unifiedRows(string, []column) func(row) ([]byte, error) {
	return func(r row) ([]byte, error) {
		text := []byte(r.get("auditdata"))
		if !unifiedRecord(text) {
			return nil, errAuditData
		}
		return text, nil
	}
}
