package entra

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

func metadata(r *request, what string) string {
	return base(r) + "/v1.0/$metadata#" + what
}

func base(r *request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// one answers with one entity, cut down to $select.
func one(r *request, what string, entity object, defaults ...string) (answer, error) {
	out, err := selected(r, entity, defaults)
	if err != nil {
		return answer{}, err
	}
	out["@odata.context"] = metadata(r, what+"/$entity")
	return answer{http.StatusOK, out}, nil
}

// many answers with a page of a collection: $filter, $select, $top and, behind @odata.nextLink, the rest.
func many(r *request, what string, rows []object, defaults ...string) (answer, error) {
	if text := r.query.Get("$filter"); text != "" {
		keep, err := parseFilter(text)
		if err != nil {
			return answer{}, err
		}
		kept := []object{}
		for _, row := range rows {
			ok, err := keep(row)
			if err != nil {
				return answer{}, err
			}
			if ok {
				kept = append(kept, row)
			}
		}
		rows = kept
	}
	total := len(rows)
	rows, next, err := paged(r, rows)
	if err != nil {
		return answer{}, err
	}
	value := []object{}
	for _, row := range rows {
		out, err := selected(r, row, defaults)
		if err != nil {
			return answer{}, err
		}
		value = append(value, out)
	}
	body := object{"@odata.context": metadata(r, what), "value": value}
	if next != "" {
		body["@odata.nextLink"] = next
	}
	if r.query.Get("$count") == "true" {
		body["@odata.count"] = total
	}
	return answer{http.StatusOK, body}, nil
}

// paged cuts a page out of the rows. The token names the last row of the page before, so that rows which go
// meanwhile make nobody skip one.
func paged(r *request, rows []object) (page []object, next string, err error) {
	size := r.pageSize
	if text := r.query.Get("$top"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 999 {
			return nil, "", Refused{400, "Request_BadRequest", "Invalid page size specified: '" + text + "'. Must be between 1 and 999 inclusive."}
		}
		size = min(size, n)
	}
	if token := r.query.Get("$skiptoken"); token != "" {
		raw, err := base64.RawURLEncoding.DecodeString(token)
		i := slices.IndexFunc(rows, func(row object) bool { return row["id"] == string(raw) })
		if err != nil || i < 0 {
			return nil, "", Refused{400, "Directory_ExpiredPageToken", "The specified page token value has expired and can no longer be included in your request."}
		}
		rows = rows[i+1:]
	}
	if len(rows) <= size {
		return rows, "", nil
	}
	last, _ := rows[size-1]["id"].(string)
	query := r.query
	query.Set("$skiptoken", base64.RawURLEncoding.EncodeToString([]byte(last)))
	return rows[:size], base(r) + r.URL.EscapedPath() + "?" + query.Encode(), nil
}

// selected cuts an entity down to $select, or to its default properties; annotations and what $expand asked for stay.
func selected(r *request, entity object, defaults []string) (object, error) {
	want := defaults
	if text := r.query.Get("$select"); text != "" {
		want = nil
		for _, name := range strings.Split(text, ",") {
			name = strings.TrimSpace(name)
			if _, ok := entity[name]; !ok && len(defaults) > 0 {
				return nil, Refused{400, "BadRequest",
					"Parsing OData Select and Expand failed: Could not find a property named '" + name + "'."}
			}
			want = append(want, name)
		}
	}
	if want == nil {
		return entity, nil
	}
	want = append(slices.Clone(want), strings.Split(r.query.Get("$expand"), ",")...)
	out := object{}
	for name, value := range entity {
		if strings.HasPrefix(name, "@") || slices.Contains(want, name) {
			out[name] = value
		}
	}
	return out, nil
}

// expands says whether $expand asks for a name.
func expands(r *request, name string) bool {
	for _, part := range strings.Split(r.query.Get("$expand"), ",") {
		if bare, _, _ := strings.Cut(strings.TrimSpace(part), "("); strings.EqualFold(bare, name) {
			return true
		}
	}
	return false
}

// graphTime is a time as the directory shows it: whole seconds, null for none.
func graphTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

// nullable is a text that is null when empty.
func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}
