package graphlogs

import (
	"bytes"
	"encoding/json"
	"time"

	"cordon/ingest/azuremonitor"
	"cordon/internal/record"
)

// properties are what of an object must be known to wrap it. What is not of an object's shape has none.
func properties(item []byte) map[string]json.RawMessage {
	var all map[string]json.RawMessage
	if json.Unmarshal(item, &all) != nil {
		return nil
	}
	return all
}

// wrap makes a record of an object as the API returned it. What is no object stays as it is: ingest says so of it.
func (l Log) wrap(tenant string, item []byte) []byte {
	p := properties(item)
	if p == nil {
		return item
	}
	operation := l.Operation
	if l.OperationField != "" {
		operation = text(p[l.OperationField])
	}
	return envelope(azuremonitor.Envelope{Time: stamp(p, l.Stamps...), Category: l.Category, Tenant: tenant, Operation: operation}, item)
}

func envelope(e azuremonitor.Envelope, item []byte) []byte {
	raw, err := azuremonitor.Wrap(e, item)
	if err != nil {
		return item // it was read as JSON a moment ago
	}
	return raw
}

// stamp is the first of the named properties that holds a time; Partner Center writes the year 9999 for none, which
// ParseTime refuses.
func stamp(p map[string]json.RawMessage, names ...string) time.Time {
	for _, name := range names {
		if t, ok := record.ParseTime(text(p[name])); ok {
			return t
		}
	}
	return time.Time{}
}

func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// isText says whether a value is a JSON text, which may hold JSON.
func isText(raw json.RawMessage) bool { return bytes.HasPrefix(bytes.TrimSpace(raw), []byte(`"`)) }
