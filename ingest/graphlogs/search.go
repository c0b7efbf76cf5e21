package graphlogs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"cordon/ingest"
	"cordon/ingest/azuremonitor"
	"cordon/internal/fault"
	"cordon/internal/record"
)

// SearchPermission is the least that Search needs; AuditLogsQuery-Entra.Read.All and its sisters open one service each.
const SearchPermission = "AuditLogsQuery.Read.All"

// Search is one search of the unified audit log: what one principal of an incident did.
type Search struct {
	User string    `json:"user"` // user principal name
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Operations narrows it; empty: all.
	Operations []string `json:"operations,omitempty"`
}

// Name tells searches apart: the same search is made once.
func (s Search) Name() string {
	name := strings.ToLower(s.User) + " " + s.From.UTC().Format(time.RFC3339) + " " + s.To.UTC().Format(time.RFC3339)
	if len(s.Operations) > 0 {
		name += " " + strings.Join(s.Operations, ",")
	}
	return name
}

// searched is where a search stands.
type searched struct {
	Search Search `json:"search"`
	Query  string `json:"query,omitempty"` // Graph's id of it
	Done   bool   `json:"done,omitempty"`
}

// searchPath is the asynchronous search (learn.microsoft.com/graph/api/security-auditcoreroot-post-auditlogqueries).
const searchPath = "v1.0/security/auditLog/queries"

// Search asks for a search of the unified audit log, waits for it (minutes, sometimes more; ctx bounds it) and stores
// what it finds under the source "<tenant>/graph-search". It returns how many records the search has stored. Asked
// again, also after a restart, it takes the same query up where it stood; once done, it asks nothing.
func (p *Poller) Search(ctx context.Context, s Search) (found int64, err error) {
	defer p.client.web.CloseIdleConnections()
	if s.User == "" || !s.From.Before(s.To) {
		return 0, errors.New("searching the unified audit log: a user, and a time before the other, are needed")
	}
	partition, err := p.partition(ctx, p.cfg.searches(), s.Name())
	if err != nil {
		return 0, err
	}
	if err := p.search(ctx, partition, s); err != nil {
		if fault.Of(err) == fault.Forbidden {
			err = fmt.Errorf("the permission %s is missing: %w", SearchPermission, err)
		}
		return 0, fmt.Errorf("searching the unified audit log for %s: %w", s.User, err)
	}
	for _, c := range partition.At().Carried {
		found += c.Records
	}
	return found, nil
}

func (p *Poller) search(ctx context.Context, partition *ingest.Partition, s Search) error {
	var at searched
	if err := partition.Cursor(&at); err != nil || at.Done {
		return err
	}
	at.Search = s
	store := func(at searched, records [][]byte) error {
		raw, err := json.Marshal(at)
		if err != nil {
			return fmt.Errorf("encoding the cursor: %w", err)
		}
		return partition.StorePage(ctx, ingest.Page{Records: records, Cursor: raw})
	}
	if at.Query == "" {
		var err error
		if at.Query, err = p.begin(ctx, s); err != nil {
			return err
		}
		if err := store(at, nil); err != nil {
			return err
		}
	}
	if err := p.await(ctx, at.Query); err != nil {
		if class := fault.Of(err); class == fault.NotFound || errors.Is(err, errSearchFailed) {
			return errors.Join(err, store(searched{Search: s}, nil)) // the next call begins anew
		}
		return err
	}
	address := p.client.first(searchPath+"/"+url.PathEscape(at.Query)+"/records", url.Values{"$top": {"500"}})
	return p.chain(ctx, address, func(items []json.RawMessage, last bool) error {
		var records [][]byte
		for _, item := range items {
			records = append(records, unified(p.cfg.Tenant, item))
		}
		at.Done = last
		return store(at, records)
	})
}

// begin asks for the search and returns Graph's id of it.
func (p *Poller) begin(ctx context.Context, s Search) (id string, err error) {
	body := map[string]any{"displayName": "Cordon: " + s.User, "userPrincipalNameFilters": []string{s.User},
		"filterStartDateTime": s.From.UTC().Format(filterTime), "filterEndDateTime": s.To.UTC().Format(filterTime)}
	if len(s.Operations) > 0 {
		body["operationFilters"] = s.Operations
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return "", fmt.Errorf("encoding the query: %w", err)
	}
	q, err := p.query(ctx, http.MethodPost, searchPath, raw)
	if err == nil && (q.ID == "" || len(q.ID) > 200) {
		err = errors.New("the service gave the query no id")
	}
	return q.ID, err
}

// query is Graph's auditLogQuery.
type query struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

func (p *Poller) query(ctx context.Context, method, path string, body []byte) (q query, err error) {
	err = p.ask(ctx, p.graph, func(ctx context.Context) error {
		data, err := p.client.send(ctx, method, p.client.first(path, nil), body)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(data, &q); err != nil {
			return &fault.Fault{Class: fault.Permanent, Service: "Graph", Message: "the query's answer cannot be read: " + err.Error()}
		}
		return nil
	})
	return q, err
}

var errSearchFailed = errors.New("the service gave the search up")

// await asks until the search has succeeded.
func (p *Poller) await(ctx context.Context, id string) error {
	for {
		q, err := p.query(ctx, http.MethodGet, searchPath+"/"+url.PathEscape(id), nil)
		if err != nil {
			return err
		}
		switch q.Status {
		case "succeeded":
			return nil
		case "failed", "cancelled":
			return fmt.Errorf("%w: %s", errSearchFailed, q.Status)
		}
		if err := p.sleep(ctx, p.pace.search); err != nil {
			return err
		}
	}
}

// unified makes a record of an auditLogRecord: its auditData is the unified audit record as the Office 365 Management
// Activity API writes it.
func unified(tenant string, item []byte) []byte {
	outer := properties(item)
	data := outer["auditData"]
	if isText(data) {
		data = json.RawMessage(text(data))
	}
	inner := properties(data)
	if inner == nil {
		return item // ingest says of it that it is no record
	}
	e := azuremonitor.Envelope{Time: stamp(inner, "CreationTime"), Category: unifiedCategory(inner, outer), Tenant: tenant, Operation: text(inner["Operation"])}
	if e.Time.IsZero() {
		e.Time = stamp(outer, "createdDateTime")
	}
	if e.Operation == "" {
		e.Operation = text(outer["operation"])
	}
	return envelope(e, data)
}

// workloads are the content types of the Management Activity API by the services that write into them.
var workloads = []struct {
	category string
	names    []string
	types    []int // AuditLogRecordType
}{
	{record.UnifiedEntra, []string{"azureactivedirectory", "azureactivedirectoryaccountlogon"}, []int{8, 9, 15}},
	{record.UnifiedExchange, []string{"exchange"}, []int{1, 2, 3, 50}},
	{record.UnifiedSharePoint, []string{"sharepoint", "onedrive"}, []int{4, 6, 7, 14, 36, 37, 38, 39}},
}

// unifiedCategory tells the content type by the workload, else by the record's type, else by what Graph calls the
// service; of anything else it is Audit.General.
func unifiedCategory(inner, outer map[string]json.RawMessage) string {
	for _, name := range []string{text(inner["Workload"]), text(outer["service"])} {
		for _, w := range workloads {
			if slices.Contains(w.names, strings.ToLower(name)) {
				return w.category
			}
		}
		if name != "" {
			return record.UnifiedGeneral
		}
		kind, err := strconv.Atoi(strings.Trim(string(inner["RecordType"]), `" `))
		for _, w := range workloads {
			if err == nil && slices.Contains(w.types, kind) {
				return w.category
			}
		}
	}
	return record.UnifiedGeneral
}
